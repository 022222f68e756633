"""One HTML file with the verdict, the numbers behind it and every answer with its evidence; and the same as tables.

Deleting this room leaves runs without `report.html` and tables; nothing in them is computed here.
"""

from pathlib import Path

from minirag.message_log import write_atomically
from minirag.report import sections
from minirag.report.losses import worst_losses
from minirag.report.markup import document
from minirag.report.questions import questions
from minirag.report.results import Results, read_losses
from minirag.report.tables import comparison_table, score_table
from minirag.report.verdict import verdict

__all__ = ["FILES", "Results", "read_losses", "report_html", "write_report", "write_tables"]
FILES = ("report.html", "report.md", "scores.csv", "comparison.csv")
"""What this room writes into a run's folder."""


def report_html(results: Results) -> str:
    """Return the report as one HTML document; the same results give the same bytes."""
    parts = [
        verdict(results),
        worst_losses(results),
        questions(results),
        sections.every_question(results),
        sections.costs(results),
        sections.training(results),
        sections.noise(results),
        sections.caution(results),
        sections.passages(results),
        sections.about(results),
    ]
    return document("Can the small model replace the large one?", parts)


def write_report(folder: Path, results: Results) -> Path:
    """Write `report.html` and return its path."""
    path = folder / "report.html"
    write_atomically(path, report_html(results).encode("utf-8", "replace"))
    return path


def write_tables(folder: Path, kind: str, results: Results) -> list[Path]:
    """Write scores and comparison as `comparison.csv` and `scores.csv`, or both into `report.md` for kind `md`."""
    scores = score_table({question.id: question.text for question in results.questions}, results.scores)
    tables = {"comparison": comparison_table(results.comparison), "scores": scores}
    files = {f"{name}.csv": table.csv() for name, table in tables.items()}
    if kind == "md":
        files = {"report.md": "\n".join(f"## {n.capitalize()}\n\n{table.markdown()}" for n, table in tables.items())}
    for name, content in files.items():
        write_atomically(folder / name, content.encode("utf-8", "replace"))
    return [folder / name for name in files]
