"""A finished run to look at, in a notebook or from another program: its files, read and never written."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minirag.errors import InputError
from minirag.metrics.score import Scores
from minirag.questions import Question
from minirag.report.markup import number, tag, text
from minirag.report.tables import comparison_table

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class SavedRun:
    """The files of a run's `folder`, each read when first used. Raises InputError if one is missing or damaged."""

    folder: Path

    @cached_property
    def facts(self) -> dict[str, Any]:
        """`run.json`."""
        return dict(self._read("run.json", json.loads))

    @cached_property
    def questions(self) -> list[Question]:
        """`questions.jsonl`."""
        return [Question(**{**row, "flags": tuple(row["flags"])}) for row in self._rows("questions.jsonl")]

    @cached_property
    def answers(self) -> dict[tuple[str, str], str]:
        """The texts of `answers.jsonl`, by (arm, question id)."""
        return {(row["arm"], row["question_id"]): row["text"] for row in self._rows("answers.jsonl")}

    @cached_property
    def scores(self) -> Scores:
        """`scores.jsonl`."""
        return Scores.read(self.folder / "scores.jsonl")

    @cached_property
    def comparison(self) -> dict[str, Any]:
        """`comparison.json`."""
        return dict(self._read("comparison.json", json.loads))

    def to_pandas(self) -> "pandas.DataFrame":
        """Return one row a score, in the columns of `scores.jsonl`, with the question, its page and the answer.

        Needs pandas. Evidence is a list of mappings in a cell.
        """
        import pandas

        frame = pandas.DataFrame(self._rows("scores.jsonl"))
        keys, questions = list(zip(frame["arm"], frame["question_id"], strict=True)), {q.id: q for q in self.questions}
        frame["question"] = [questions[question_id].text for _, question_id in keys]
        frame["page"] = [questions[question_id].page for _, question_id in keys]
        frame["answer"] = [self.answers.get(key) for key in keys]
        return frame

    def _repr_html_(self) -> str:
        """Return the verdict and the comparison, as a notebook shows them."""
        table = comparison_table(self.comparison)
        head = tag("tr", *(tag("th", text(name.replace("_", " "))) for name in table.head))
        rows = (
            tag("tr", *(tag("td", text(cell) if isinstance(cell, str | int) else number(cell)) for cell in row))
            for row in table.rows
        )
        verdict = tag("p", text(self.comparison["verdict"]))
        return verdict + tag("table", tag("thead", head), tag("tbody", *rows))

    def _rows(self, name: str) -> list[dict[str, Any]]:
        return list(self._read(name, lambda content: [json.loads(line) for line in content.split("\n") if line]))

    def _read(self, name: str, parse: Callable[[str], Any]) -> Any:
        path = self.folder / name
        try:
            return parse(path.read_text("utf-8"))
        except FileNotFoundError:
            raise InputError(f"There is no {path}; name the folder of a finished run.") from None
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read ({error}); run again.") from error
