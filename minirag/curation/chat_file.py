"""Would a service train on this chat file, whatever wrote it? Each line by itself, then the lines together."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from minirag.curation.chat_line import WARNINGS, Message, Problem, check_line
from minirag.curation.duplicates import NearDuplicates
from minirag.curation.rules import curate
from minirag.curation.templates import parts
from minirag.errors import InputError
from minirag.questions import near_duplicate
from minirag.text import Tokenizer, example_limit, for_model, words
from minirag.training import FEWEST_EXAMPLES, Example

MAX_FILE_BYTES = 512 << 20


class Finding(NamedTuple):
    """One rule broken at one line (from 1; 0 stands for the file as a whole)."""

    line: int
    rule: str
    message: str
    is_error: bool


@dataclass
class Checked:
    """What one file holds, and what is wrong with it; `tokens` has one number for each usable example."""

    path: Path
    findings: list[Finding] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    answer_tokens: int = 0
    with_system: int = 0

    def add(self, line: int, *problems: Problem) -> None:
        """Note what is wrong with a line."""
        self.findings += [Finding(line, rule, message, rule not in WARNINGS) for rule, message in problems]

    def count(self, messages: Sequence[Message], tokenizer: Tokenizer) -> int:
        """Count a usable example; return its tokens."""
        counts = [tokenizer.count(_text(message)) for message in messages]
        roles = [message["role"] for message in messages]
        tokens = 3 + sum(3 + tokenizer.count(role) + n for role, n in zip(roles, counts, strict=True))
        self.tokens.append(tokens)
        self.answer_tokens += sum(n for role, n in zip(roles, counts, strict=True) if role == "assistant")
        self.with_system += roles[0] in ("system", "developer")
        return tokens


def check_files(
    paths: Sequence[Path],
    validation: Path | None = None,
    *,
    model: str = "gpt-4.1-mini",
    eval_questions: Sequence[str] = (),
) -> list[Checked]:
    """Check files for training `model`, one after the other, then the `validation` file.

    Lines are compared across all files. A line of the validation file that an earlier file has too is an error, and so
    is a prompt with one of `eval_questions`. What was read stays in memory, over 2 kB a line. Raises InputError for a
    file that cannot be read.
    """
    tokenizer, limit = for_model(model), example_limit(model)
    earlier, evaluation = _Earlier(), _EvalQuestions(eval_questions)
    results = []
    files = [*((path, False) for path in paths), *([] if validation is None else [(validation, True)])]
    for file, (path, is_validation) in enumerate(files):
        checked = Checked(path)
        results.append(checked)
        if path.is_file() and path.stat().st_size > MAX_FILE_BYTES:
            checked.add(0, ("file size", f"the file is larger than {MAX_FILE_BYTES >> 20} MB"))
            continue
        for line, messages, problems in _lines(path):
            checked.add(line, *problems)
            if _is_usable(messages, problems):
                tokens = checked.count(messages, tokenizer)
                if tokens > limit:
                    checked.add(line, ("tokens", f"{tokens:,} tokens; the model takes {limit:,} and cuts off the end"))
                checked.add(line, *evaluation.problems(messages))
                checked.add(line, *earlier.problems(messages, Place(file, line, path.name), is_validation))
        examples = len(checked.tokens)
        if examples < FEWEST_EXAMPLES and not is_validation:
            checked.add(0, ("too few", f"{examples} usable examples; services need at least {FEWEST_EXAMPLES}"))
        if 0 < checked.with_system < examples:
            without = f"{examples - checked.with_system} of {examples} examples have no system message"
            checked.add(0, ("mixed system messages", without))
    return results


def curate_file(path: Path) -> list[tuple[int, Example]]:
    """Return the usable examples of a file after `curate`, with the numbers of their lines from 0."""
    lines = [(number - 1, messages) for number, messages, problems in _lines(path) if _is_usable(messages, problems)]
    texts = [[{**message, "content": message.get("content") or ""} for message in messages] for _, messages in lines]
    examples = curate([Example(tuple(messages)) for messages in texts])
    return [(index, example) for (index, _), example in zip(lines, examples, strict=True)]


def _lines(path: Path) -> Iterator[tuple[int, list[Message], list[Problem]]]:
    """Yield each line's number, messages and problems."""
    if path.exists() and not path.is_file():
        raise InputError(f"Cannot read {path}: it is not a file.")  # a pipe may never end
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield number, *check_line(line.rstrip(b"\r\n"))
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error


def _is_usable(messages: Sequence[Message], problems: Sequence[Problem]) -> bool:
    return bool(messages) and all(rule in WARNINGS for rule, _ in problems)


def _text(message: Message) -> str:
    """Return what a message says, calls included."""
    calls = message.get("tool_calls") or message.get("function_call") or ""
    return f"{message.get('content') or ''}{calls or ''}"


class _EvalQuestions:
    """The eval questions, to find prompts that quote one or ask nearly the same."""

    def __init__(self, questions: Sequence[str]) -> None:
        self._questions = questions
        self._phrases = [f" {' '.join(words(question))} " for question in questions]
        self._similar = [set(words(question)) for question in questions]

    def problems(self, messages: Sequence[Message]) -> Iterator[Problem]:
        if not self._questions:
            return
        question = words(parts(messages[:-1]).question)
        quoted = (number for number, phrase in enumerate(self._phrases) if phrase in f" {' '.join(question)} ")
        numbers = [
            number for number in (next(quoted, None), near_duplicate(question, self._similar)) if number is not None
        ]
        if numbers:
            yield "eval question", f"the prompt holds the eval question {self._questions[min(numbers)][:60]!r}"


class Place(NamedTuple):
    """A line of a file; `file` is the number of the file, since one may be given twice."""

    file: int
    line: int
    name: str


class _Earlier:
    """The examples so far, to find what a new one has in common with an earlier one."""

    def __init__(self) -> None:
        self._first: dict[bytes, tuple[Place, bytes]] = {}
        self._near = NearDuplicates[Place]()

    def problems(self, messages: Sequence[Message], place: Place, is_validation: bool) -> Iterator[Problem]:
        prompt, reply = "\n".join(map(_text, messages[:-1])), _text(messages[-1])
        first, first_reply = self._first.setdefault(_digest(prompt), (place, _digest(reply)))
        near = self._near.add(place, f"{parts(messages[:-1]).question}\n{reply}")
        earlier = near if first == place else first
        if earlier is None:
            return
        where = f"line {earlier.line}" + ("" if earlier.file == place.file else f" of {earlier.name}")
        if is_validation and earlier.file != place.file:
            yield "validation overlap", f"(nearly) the same as {where}"
        elif first == place:
            yield "near-duplicate", f"nearly the same as {where}"
        elif first_reply == _digest(reply):
            yield "duplicate", f"the same as {where}"
        else:
            yield "contradiction", f"another reply to the same prompt as {where}"


def _digest(text: str) -> bytes:
    return hashlib.sha256(" ".join(words(text)).encode("utf-8", "surrogatepass")).digest()[:16]
