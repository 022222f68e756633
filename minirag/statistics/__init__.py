"""Adds what stands behind a verdict: `comparison_of` makes `comparison.json`, `replication` compares several runs."""

from minirag.statistics.caution import (
    conflicts as conflicts,
    cut_off as cut_off,
    models_served as models_served,
    repeated as repeated,
)
from minirag.statistics.findings import comparison_of as comparison_of, primary_of as primary_of
from minirag.statistics.labels import LABELS_FILE as LABELS_FILE, read_labels as read_labels
from minirag.statistics.replication import replication as replication
