"""Rows of question, answer and contexts, as anybody's file or the folder of a run has them."""

import ast
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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


def read_fields(path: Path) -> Sequence[Mapping[str, Any]]:
    """Return the fields of each row, as the file or the run folder has them. Raises InputError."""
    try:
        if path.is_dir():
            fields: Sequence[Mapping[str, Any]] = [answer for answer, _ in judged_answers(path)]
        elif path.suffix.lower() == ".csv":
            text = decode_text(str(path), path.read_bytes())
            delimiter = max(",;\t", key=text.partition("\n")[0].count)
            reader = csv.DictReader(io.StringIO(text, newline=None), delimiter=delimiter)
            for name, count in Counter(filter(None, reader.fieldnames or ())).items():
                if count > 1:  # promptfoo writes the outputs of several models side by side
                    raise InputError(f"{path} has {count} columns {name!r}; give each model a file of its own.")
            fields = list(reader)
        elif path.suffix.lower() == ".json":
            fields = _rows_in(path)
        else:
            fields = list(json_lines(path))
    except FileNotFoundError as error:
        raise InputError(f"There is no {error.filename}.") from None
    except (KeyError, TypeError) as error:
        raise InputError(f"The answers in {path} are not those of a run ({error}); run it again.") from error
    except (OSError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if not fields:
        raise InputError(f"{path} holds no rows; give one JSON object a line, or a CSV file with a header.")
    return fields


def _rows_in(path: Path) -> Sequence[Mapping[str, Any]]:
    """Return the rows of one JSON document: a list, or an object that holds them as deepeval and promptfoo do."""
    try:
        value = json.loads(decode_text(str(path), path.read_bytes()))
    except (ValueError, RecursionError):  # perhaps an object a line
        return list(json_lines(path))
    while isinstance(value, dict) and (name := next((name for name in ROW_LISTS if name in value), None)):
        value = value[name]
    rows = value if isinstance(value, list) else [value]
    if not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path} holds no list of JSON objects.")
    return rows


def judged_answers(folder: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the eval answers of a run, as fields of a row, each with the name of the page that it is about."""
    chunks = {chunk["id"]: chunk for chunk in json_lines(folder / "chunks.jsonl")}
    questions = {question["id"]: question for question in json_lines(folder / "questions.jsonl")}
    for answer in json_lines(folder / "answers.jsonl"):
        question = questions.get(answer["question_id"], {})
        if question.get("split") == "eval":
            contexts = [chunks[id]["text"] for id in answer["contexts"] if id in chunks]
            source = chunks.get(question["chunk_id"])
            page = answer["question_id"] if source is None else f"{source['source']} {source['page']}"
            yield {**answer, "question": question["text"], "answer": answer["text"], "contexts": contexts}, page


def json_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    for n, line in enumerate(decode_text(str(path), path.read_bytes()).split("\n"), 1):
        if line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                raise InputError(f"Line {n} of {path} is not JSON; each line is one object.") from None
            if not isinstance(value, dict):
                raise InputError(f"Line {n} of {path} is no JSON object.")
            yield value


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
