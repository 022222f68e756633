"""Rows of question, answer and contexts, as anybody's file or the folder of a run has them."""

import ast
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from minirag.documents import decode_text
from minirag.errors import InputError
from minirag.metrics.evaluation import FIELDS, Row, as_row

csv.field_size_limit(1 << 28)
ROW_LISTS = ("testRunData", "testCases", "results")
"""Where the rows stand in a JSON document of deepeval (`testCases`) and of promptfoo (`results` of `results`)."""
_TEXT = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
"""A text as Python writes it."""


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a `.jsonl` or `.csv` file, or the judged answers of a run folder. Raises InputError."""
    fields = read_fields(path)
    return [as_row({name: _cell(name, value) for name, value in row.items()}, n) for n, row in enumerate(fields, 1)]


def read_fields(path: Path) -> list[dict[str, Any]]:
    """Return the fields of each row, as the file or the run folder has them. Raises InputError."""
    try:
        if path.is_dir():
            fields = list(_judged_answers(path))
        elif path.suffix.lower() == ".csv":
            text = decode_text(str(path), path.read_bytes())
            delimiter = max(",;\t", key=text.partition("\n")[0].count)
            reader = csv.DictReader(io.StringIO(text, newline=None), delimiter=delimiter)
            for name, count in Counter(filter(None, reader.fieldnames or ())).items():
                if count > 1:  # promptfoo writes the outputs of several models side by side
                    raise InputError(f"{path} has {count} columns {name!r}; give each model a file of its own.")
            fields = list(reader)
            if longer := next((number for number, row in enumerate(fields, 1) if None in row), None):
                raise InputError(f"Row {longer} of {path} has more fields than the header; quote what holds a comma.")
        else:
            fields = read_json(path)
    except FileNotFoundError as error:
        raise InputError(f"There is no {error.filename}.") from None
    except (KeyError, TypeError) as error:
        raise InputError(f"The answers in {path} are not those of a run ({error}); run it again.") from error
    except (OSError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if not fields:
        raise InputError(f"{path} holds no rows; give one JSON object a line, or a CSV file with a header.")
    return fields


def read_json(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a file: one a line, or a list, or an object that holds one as deepeval and promptfoo do."""
    text = decode_text(str(path), path.read_bytes())
    try:
        rows = json.loads(text)
        while isinstance(rows, dict) and (name := next((name for name in ROW_LISTS if name in rows), None)):
            rows = rows[name]
        rows = rows if isinstance(rows, list) else [rows]
    except (ValueError, RecursionError):
        rows = []
        for number, line in enumerate(text.split("\n"), 1):
            try:
                rows += [json.loads(line)] if line.strip() else []
            except (ValueError, RecursionError):
                raise InputError(f"Line {number} of {path} is not JSON; each line is one object.") from None
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise InputError(f"Row {number} of {path} is no JSON object.")
    return rows


def _judged_answers(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the eval answers of a run as fields of a row, and the `page` that each is about."""
    chunks = {chunk["id"]: chunk for chunk in read_json(folder / "chunks.jsonl")}
    questions = {question["id"]: question for question in read_json(folder / "questions.jsonl")}
    for answer in read_json(folder / "answers.jsonl"):
        question = questions.get(answer["question_id"], {})
        if question.get("split") == "eval":
            contexts = [chunks[id]["text"] for id in answer["contexts"] if id in chunks]
            source = chunks.get(question["chunk_id"])
            page = answer["question_id"] if source is None else f"{source['source']} {source['page']}"
            texts = {"question": question["text"], "answer": answer["text"], "contexts": contexts}
            yield {**answer, **texts, "page": page}


def _cell(name: str, value: Any) -> Any:
    """Return a value as a row takes it: texts that are written out as a list, in JSON or in Python, are one."""
    if isinstance(value, list):
        return [_cell("", item) for item in value]
    if not isinstance(value, str):
        return value
    if name in (*FIELDS["contexts"], "ground_truths") and value.lstrip().startswith("["):
        if re.fullmatch(rf"\[\s*{_TEXT}(\s+{_TEXT})*\s*\]", value.strip(), re.DOTALL):  # as numpy prints an array
            return _cell("", [ast.literal_eval(text) for text in re.findall(_TEXT, value, re.DOTALL)])
        for read in (json.loads, ast.literal_eval):
            with suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                if isinstance(listed := read(value), list):
                    return _cell("", listed)
    return value.encode("utf-8", "replace").decode()  # a lone surrogate, which cannot be sent, becomes "?"
