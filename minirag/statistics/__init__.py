"""Adds what stands behind a verdict: `comparison_of` makes `comparison.json`, `replication` compares several runs."""

from minirag.statistics.caution import conflicts, cut_off, models_served, repeated
from minirag.statistics.findings import Evaluation, comparison_of, primary_of
from minirag.statistics.labels import LABELS_FILE, read_labels
from minirag.statistics.replication import Replication, replication
from minirag.statistics.sources import question_kinds

__all__ = [
    "LABELS_FILE",
    "Evaluation",
    "Replication",
    "comparison_of",
    "conflicts",
    "cut_off",
    "models_served",
    "primary_of",
    "question_kinds",
    "read_labels",
    "repeated",
    "replication",
]
