"""The table of results: what `scripts/bench --json` keeps, between two markers of the README."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from benchmarks.results_table import write_results

RECORD = {
    "command": "scripts/bench log",
    "date": "2026-11-25",
    "machine": "2 cores",
    "lines": [
        {"what": "open", "value": 0.5, "unit": "x", "against": "60 MB/s", "reach": 1.0},
        {"what": "growth", "value": 1.2345, "unit": "exponent", "against": "", "reach": 1.1},
        {"what": "size", "value": 12345.6, "unit": "bytes", "against": "", "reach": None},
    ],
}
TABLE = """`scripts/bench log` (2026-11-25; 2 cores)

| measured | | against | at most |
|---|---|---|---|
| open | 0.5 x | 60 MB/s | 1 |
| growth | **1.23 exponent** |  | 1.1 |
| size | 12,346 bytes |  |  |
"""


def test_the_figures_replace_what_stands_between_the_markers_and_nothing_else(tmp_path: Path) -> None:
    readme, record = tmp_path / "README.md", tmp_path / "log.json"
    record.write_text(json.dumps(RECORD))
    readme.write_text("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n")
    for _ in range(2):
        write_results(readme, [record])
        assert readme.read_text() == f"before\n<!-- bench -->\n\n{TABLE}\n<!-- /bench -->\nafter\n"


def test_a_readme_without_markers_is_left_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("nothing marked\n")
    with pytest.raises(SystemExit, match="needs <!-- bench -->"):
        write_results(readme, [])
    assert readme.read_text() == "nothing marked\n"
