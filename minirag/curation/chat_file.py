"""Would a service train on this chat file, whatever wrote it? Each line by itself, then the lines together."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from minirag.curation.chat_line import WARNINGS, Problem, check_line
from minirag.curation.duplicates import NearDuplicates
from minirag.curation.rules import curate
from minirag.curation.templates import parts
from minirag.errors import InputError
from minirag.prompts import Message
from minirag.questions import NEAR_DUPLICATE
from minirag.text import example_limit, for_model, jaccard, words
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

    def add(self, line: int, *problems: Problem) -> None:
        """Note what is wrong with a line."""
        self.findings += [Finding(line, rule, message, rule not in WARNINGS) for rule, message in problems]


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
    tokenizer, limit, earlier, results = for_model(model), example_limit(model), _Earlier(), []
    evaluated = [(question, words(question)) for question in eval_questions]
    files = [*((path, False) for path in paths), *([] if validation is None else [(validation, True)])]
    for file, (path, is_validation) in enumerate(files):
        checked, with_system = Checked(path), 0
        results.append(checked)
        if path.is_file() and path.stat().st_size > MAX_FILE_BYTES:
            checked.add(0, ("file size", f"the file is larger than {MAX_FILE_BYTES >> 20} MB"))
            continue
        for line, messages, problems in _lines(path):
            checked.add(line, *problems)
            if not messages:
                continue
            tokens = tokenizer.count_messages(messages)
            checked.tokens.append(tokens)
            checked.answer_tokens += sum(tokenizer.count(m["content"]) for m in messages if m["role"] == "assistant")
            with_system += messages[0]["role"] in ("system", "developer")
            if tokens > limit:
                checked.add(line, ("tokens", f"{tokens:,} tokens; the model takes {limit:,} and cuts off the end"))
            if evaluated:
                checked.add(line, *_leaks(messages, evaluated))
            checked.add(line, *earlier.problems(messages, Place(file, line, path.name), is_validation))
        examples = len(checked.tokens)
        if examples < FEWEST_EXAMPLES and not is_validation:
            checked.add(0, ("too few", f"{examples} usable examples; services need at least {FEWEST_EXAMPLES}"))
        if 0 < with_system < examples:
            without = f"{examples - with_system} of {examples} examples have no system message"
            checked.add(0, ("mixed system messages", without))
    return results


def curate_file(path: Path) -> list[tuple[int, Example]]:
    """Return the usable examples of a file after `curate`, with the numbers of their lines from 0."""
    lines = [(number - 1, messages) for number, messages, _ in _lines(path) if messages]
    examples = curate([Example(tuple(messages)) for _, messages in lines])
    return [(index, example) for (index, _), example in zip(lines, examples, strict=True)]


def _lines(path: Path) -> Iterator[tuple[int, list[Message], list[Problem]]]:
    """Yield each line's number, its messages as texts, none if a service would refuse it, and its problems."""
    if path.exists() and not path.is_file():
        raise InputError(f"Cannot read {path}: it is not a file.")  # a pipe may never end
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                messages, problems = check_line(line.rstrip(b"\r\n"))
                texts = []
                if all(rule in WARNINGS for rule, _ in problems):
                    for message in messages:
                        calls = message.get("tool_calls") or message.get("function_call") or ""
                        texts.append({"role": message["role"], "content": f"{message.get('content') or ''}{calls}"})
                yield number, texts, problems
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error


def _leaks(messages: Sequence[Message], evaluated: Sequence[tuple[str, list[str]]]) -> Iterator[Problem]:
    """Yield the first eval question that a prompt quotes or nearly asks; `evaluated` has each with its words."""
    prompt_words = words(parts(messages[:-1]).question)
    for question, own in evaluated:
        if f" {' '.join(own)} " in f" {' '.join(prompt_words)} " or jaccard(own, prompt_words) >= NEAR_DUPLICATE:
            yield "eval question", f"the prompt holds the eval question {question[:60]!r}"
            return


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
        prompt, reply = "\n".join(message["content"] for message in messages[:-1]), messages[-1]["content"]
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
