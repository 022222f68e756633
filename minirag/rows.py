"""Row 5. Rows to be scored, from anywhere: dicts, JSONL, CSV, or a run folder; ragas' column names are known too."""

import ast
import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from minirag.errors import InputError

NAMES = {
    "question": ("question", "user_input"),
    "answer": ("answer", "response"),
    "contexts": ("contexts", "retrieved_contexts"),
    "reference": ("reference", "ground_truth", "ground_truths"),
    "question_id": ("question_id", "id"),
    "arm": ("arm",),
    "page": ("page",),
}
csv.field_size_limit(1 << 28)


@dataclass(frozen=True, slots=True)
class Row:
    """One answer to be scored: what was asked, said and retrieved, and what should have been said, if known.

    `contexts` is empty where nothing was retrieved, and None where that is not known; `page` is the name of the page
    that the question is about, if known.
    """

    question: str
    answer: str
    contexts: tuple[str, ...] | None = None
    reference: str | None = None
    question_id: str = ""
    arm: str = ""
    page: str = ""


def as_row(fields: Mapping[str, Any], number: int = 1) -> Row:
    """The row of a mapping with minirag's or ragas' names. Raises InputError that names row and field.

    >>> as_row({"user_input": "Who?", "response": "Ann.", "retrieved_contexts": ["Ann did it."]})
    Row(question='Who?', answer='Ann.', contexts=('Ann did it.',), reference=None, question_id='1', arm='', page='')
    """
    found = {
        name: next((fields[other] for other in others if fields.get(other) is not None), None)
        for name, others in NAMES.items()
    }
    for name in ("question", "answer"):
        if not isinstance(found[name], str):
            raise InputError(f"Row {number} has no text under {name!r} (or {NAMES[name][1]!r}).")
    reference = found["reference"]
    if isinstance(reference, list):
        reference = " ".join(map(str, reference))
    return Row(
        _clean(found["question"]),
        _clean(found["answer"]),
        _contexts(found["contexts"], number),
        None if reference is None else _clean(str(reference)),
        str(found["question_id"] if found["question_id"] is not None else number),
        str(found["arm"] or ""),
        str(found["page"] or ""),
    )


def _clean(text: Any) -> str:
    """A lone surrogate cannot be sent; a question mark takes its place."""
    return str(text).encode("utf-8", "replace").decode()


def distinct(rows: Iterable[Row]) -> list[Row]:
    """The rows, with `#2`, `#3`, … behind question ids that an arm has more than once."""
    seen: Counter[tuple[str, str]] = Counter()
    result = []
    for item in rows:
        seen[item.arm, item.question_id] += 1
        count = seen[item.arm, item.question_id]
        result.append(item if count == 1 else replace(item, question_id=f"{item.question_id}#{count}"))
    return result


def _contexts(value: Any, number: int) -> tuple[str, ...] | None:
    """A list of texts; in a CSV cell as JSON or as Python writes it; any other text is one context."""
    if isinstance(value, str):
        value = _listed(value) or ([value] if value.strip() else [])
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise InputError(f"The contexts of row {number} are not a list of texts.")
    return tuple(map(_clean, value))


def _listed(text: str) -> list[Any] | None:
    """The list that a text spells out, if it does."""
    for read in (json.loads, ast.literal_eval) if text.lstrip().startswith("[") else ():
        try:
            value = read(text)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(value, list):
            return value
    return None


def read_rows(path: Path) -> list[Row]:
    """The rows of a `.jsonl` or `.csv` file, or the judged answers of a run folder. Raises InputError."""
    try:
        if path.is_dir():
            fields = list(_of_run(path))
        elif path.exists() and not path.is_file():
            raise InputError(f"{path} is no ordinary file; save what it gives in a file and name that.")
        elif path.suffix.lower() == ".csv":
            fields = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
        else:
            fields = list(_json_lines(path))
    except FileNotFoundError as error:
        raise InputError(f"There is no {error.filename}.") from None
    except (KeyError, TypeError) as error:
        raise InputError(f"The answers in {path} are not those of a run ({error}); run it again.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    rows = [as_row(mapping, number) for number, mapping in enumerate(fields, 1)]
    if not rows:
        raise InputError(f"{path} holds no rows; give one JSON object a line, or a CSV file with a header.")
    return rows


def _json_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(path.read_text("utf-8-sig").split("\n"), 1):
        if line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                raise InputError(f"Line {number} of {path} is not JSON; each line is one object.") from None
            if not isinstance(value, dict):
                raise InputError(f"Line {number} of {path} is no JSON object.")
            yield value


def _of_run(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The eval answers of a finished run, with the text of their chunks."""
    chunks = {chunk["id"]: chunk for chunk in _json_lines(folder / "chunks.jsonl")}
    questions = {question["id"]: question for question in _json_lines(folder / "questions.jsonl")}
    for answer in _json_lines(folder / "answers.jsonl"):
        question = questions.get(answer["question_id"], {})
        if question.get("split") == "eval":
            contexts = [chunks[id]["text"] for id in answer["contexts"] if id in chunks]
            about = chunks.get(question["chunk_id"])
            page = None if about is None else f"{about['source']} {about['page']}"
            yield {**answer, "question": question["text"], "answer": answer["text"], "contexts": contexts, "page": page}
