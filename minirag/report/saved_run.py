"""Row 8. A finished run to look at, in a notebook or from another program: its files, read and never written."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minirag.errors import InputError
from minirag.evaluation import Scores
from minirag.questions import Question
from minirag.report.markup import tag, text
from minirag.report.tables import comparison_table

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class SavedRun:
    """The files of a run's `folder` as they are now; each is read when it is asked for. Raises InputError."""

    folder: Path

    @cached_property
    def facts(self) -> dict[str, Any]:
        """`run.json`."""
        found: dict[str, Any] = self._read("run.json", json.loads)
        return found

    @cached_property
    def questions(self) -> list[Question]:
        """`questions.jsonl`."""
        rows = self._read("questions.jsonl", _lines)
        return [Question(**{**row, "flags": tuple(row["flags"])}) for row in rows]

    @cached_property
    def answers(self) -> dict[tuple[str, str], str]:
        """The texts of `answers.jsonl`, by (arm, question id)."""
        return {(row["arm"], row["question_id"]): row["text"] for row in self._read("answers.jsonl", _lines)}

    @cached_property
    def scores(self) -> Scores:
        """`scores.jsonl`."""
        return Scores.read(self.folder / "scores.jsonl")

    @cached_property
    def comparison(self) -> dict[str, Any]:
        """`comparison.json`."""
        found: dict[str, Any] = self._read("comparison.json", json.loads)
        return found

    @property
    def evaluated(self) -> list[Question]:
        """The eval questions."""
        return [question for question in self.questions if question.split == "eval"]

    def to_pandas(self) -> "pandas.DataFrame":
        """One row a score, in the columns of `scores.jsonl`, with the question, its page and the answer; needs pandas.

        Evidence stays what it is, a list of mappings in a cell.
        """
        frame, asked = self.scores.to_pandas(), {question.id: question for question in self.questions}
        keys = list(zip(frame["arm"], frame["question_id"], strict=True))
        frame["question"] = [asked[id].text for _, id in keys]
        frame["page"] = [asked[id].page for _, id in keys]
        frame["answer"] = [self.answers.get(key) for key in keys]
        return frame

    def _repr_html_(self) -> str:
        """The verdicts and the comparison, as a notebook shows them."""
        table = comparison_table(self.comparison)
        head = "".join(tag("th", text(name.replace("_", " "))) for name in table.head)
        rows = (tag("tr", *(tag("td", text(_shown(cell))) for cell in row)) for row in table.rows)
        told = tag("p", text(self.comparison["verdict"]))
        return told + tag("table", tag("thead", tag("tr", head)), tag("tbody", *rows))

    def _read(self, name: str, parse: Callable[[str], Any]) -> Any:
        path = self.folder / name
        try:
            return parse(path.read_text("utf-8"))
        except FileNotFoundError:
            raise InputError(f"There is no {path}; name the folder of a finished run.") from None
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read ({error}); run again.") from error


def _lines(content: str) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in content.split("\n") if line]


def _shown(cell: object) -> str:
    return "–" if cell is None else f"{cell:.3f}" if isinstance(cell, float) else str(cell)
