"""Row 3. Is this a chat file that a service will train on? Each line by itself, then the lines together.

Any file of any origin is read once, a line at a time: a million lines take no more memory than ten.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from minirag.curation.chat_rules import FEWEST_EXAMPLES, MOST_LINE_BYTES, Breach, breaches
from minirag.curation.prompt_parts import parts
from minirag.curation.seen import FirstSeen, NearDuplicates
from minirag.curation.similar import Similar
from minirag.errors import InputError
from minirag.text import example_limit, for_model, words

MOST_FILE_BYTES = 512 << 20
MOST_FINDINGS = 1000
"""Findings of one rule that are kept; all are counted."""
SAME_QUESTION = 0.8
Messages = Sequence[Mapping[str, Any]]


class Finding(NamedTuple):
    """One rule broken at one line (from 1; 0 stands for the file as a whole)."""

    line: int
    rule: str
    message: str
    is_error: bool = True


@dataclass
class Checked:
    """What one file holds, and what is wrong with it; of one rule the first 1,000 findings are kept."""

    path: Path
    examples: int = 0
    with_system: int = 0
    tokens: int = 0
    answer_tokens: int = 0
    counts: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """Findings by (rule, whether it is an error)."""
    findings: list[Finding] = field(default_factory=list)
    histogram: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1 << 17, np.int64), repr=False)
    """Examples by their number of tokens; the last place counts all larger ones."""

    def add(self, line: int, breach: Breach) -> None:
        """Count a breach, and keep it unless its rule has very many."""
        self.counts[breach.rule, breach.is_error] += 1
        if self.counts[breach.rule, breach.is_error] <= MOST_FINDINGS:
            self.findings.append(Finding(line, *breach))

    def total(self, *, errors: bool) -> int:
        """How many errors there are, or how many warnings."""
        return sum(count for (_, is_error), count in self.counts.items() if is_error == errors)

    def tokens_at(self, share: float) -> int:
        """The tokens that `share` of the examples do not exceed (0.5: the median); 0 where there is no example."""
        place = np.searchsorted(np.cumsum(self.histogram), max(1, round(share * self.examples)))
        return int(place) if self.examples else 0


class ChatFiles:
    """Checks files one after the other, for training on `model`; lines are compared across all of them.

    `eval_questions` must not stand in any prompt. Use it as a context manager: what was seen lies on disk.
    """

    def __init__(self, model: str = "gpt-4.1-mini", eval_questions: Sequence[str] = ()) -> None:
        self.tokenizer = for_model(model)
        self.limit = example_limit(model)
        self.eval_questions = eval_questions
        self._as_words = [f" {' '.join(words(question))} " for question in eval_questions]
        self._alike = Similar(SAME_QUESTION, map(words, eval_questions))
        self._starts: list[tuple[int, Path]] = []
        self._number = 0
        self._near = NearDuplicates()
        self._first = FirstSeen()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._near.close()
        self._first.close()

    def check(self, path: Path, *, validation: bool = False) -> Checked:
        """Check one file; a line of a `validation` file that an earlier file holds too is an error.

        Raises InputError for a file that cannot be read.
        """
        _require_file(path)
        checked = Checked(path)
        self._starts.append((self._number, path))
        try:
            if path.stat().st_size > MOST_FILE_BYTES:
                checked.add(0, Breach("file size", f"the file is larger than {MOST_FILE_BYTES >> 20} MB"))
            with path.open("rb") as file:
                for number, line in enumerate(_lines(file), 1):
                    self._number += 1
                    self._line(checked, number, line, validation)
        except OSError as error:
            raise InputError(f"Cannot read {path}: {error.strerror}.") from error
        if checked.examples < FEWEST_EXAMPLES and not validation:
            said = f"{checked.examples} usable examples; services need at least {FEWEST_EXAMPLES}"
            checked.add(0, Breach("too few", said))
        if 0 < checked.with_system < checked.examples:
            said = f"{checked.examples - checked.with_system} of {checked.examples} examples have no system message"
            checked.add(0, Breach("mixed system messages", said, is_error=False))
        return checked

    def _line(self, checked: Checked, number: int, line: bytes, validation: bool) -> None:
        messages, found = breaches(line)
        if messages and not any(breach.is_error for breach in found):
            found += self._of_example(checked, messages)
            found += self._of_others(messages, validation)
        for breach in found:
            checked.add(number, breach)

    def _of_example(self, checked: Checked, messages: Messages) -> Iterator[Breach]:
        """Count an example, and look at its tokens and questions."""
        counts = [self.tokenizer.count(_text(message)) for message in messages]
        tokens = 3 + sum(3 + self.tokenizer.count(m["role"]) + n for m, n in zip(messages, counts, strict=True))
        checked.examples += 1
        checked.with_system += messages[0]["role"] in {"system", "developer"}
        checked.tokens += tokens
        checked.answer_tokens += sum(n for m, n in zip(messages, counts, strict=True) if m["role"] == "assistant")
        checked.histogram[min(tokens, len(checked.histogram) - 1)] += 1
        if tokens > self.limit:
            yield Breach("tokens", f"{tokens:,} tokens; the model takes {self.limit:,} and cuts off the end")
        if self.eval_questions and (asked := self._eval_question(messages)):
            yield Breach("eval question", f"the prompt holds the eval question {asked[:60]!r}")

    def _eval_question(self, messages: Messages) -> str | None:
        asked = words(parts(messages[:-1]).question)
        plain = f" {' '.join(asked)} "
        quoted = next((number for number, question in enumerate(self._as_words) if question in plain), None)
        found = [number for number in (quoted, self._alike.first(asked)) if number is not None]
        return self.eval_questions[min(found)] if found else None

    def _of_others(self, messages: Messages, validation: bool) -> Iterator[Breach]:
        """What an example has in common with one before it."""
        prompt, reply = "\n".join(map(_text, messages[:-1])), _text(messages[-1])
        digest = hashlib.sha256(" ".join(words(reply)).encode()).hexdigest()[:16]
        first = self._first.add(" ".join(words(prompt)), self._number, digest)
        near = self._near.add(self._number, f"{parts(messages[:-1]).question}\n{reply}")
        earlier = near if first is None else first[0]
        if earlier is None:
            return
        where = self._where(earlier)
        if validation and earlier <= self._starts[-1][0]:
            yield Breach("validation overlap", f"(nearly) the same as {where}")
        elif first is None:
            yield Breach("near-duplicate", f"nearly the same as {where}", is_error=False)
        elif first[1] == digest:
            yield Breach("duplicate", f"the same as {where}", is_error=False)
        else:
            yield Breach("contradiction", f"another reply to the same prompt as {where}", is_error=False)

    def _where(self, number: int) -> str:
        start, path = max(place for place in self._starts if place[0] < number)
        return f"line {number - start}" + (f" of {path.name}" if path != self._starts[-1][1] else "")


def _text(message: Mapping[str, Any]) -> str:
    """What a message says, calls included."""
    calls = message.get("tool_calls") or message.get("function_call") or ""
    return f"{message.get('content') or ''}{calls or ''}"


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines without their ends; of one that is too long only the beginning is ever held."""
    while line := file.readline(MOST_LINE_BYTES + 1):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(MOST_LINE_BYTES)
        yield line.rstrip(b"\r\n")


def _require_file(path: Path) -> None:
    """A pipe or a device may never end, and is gone once it was read."""
    if path.exists() and not path.is_file():
        raise InputError(f"Cannot read {path}: it is no file.")


def curatable(path: Path) -> Iterator[tuple[int, Messages]]:
    """The examples of a file that break no rule, with their numbers from 0; the others count but are left out."""
    try:
        with path.open("rb") as file:
            for index, line in enumerate(_lines(file)):
                messages, found = breaches(line)
                if messages and not any(breach.is_error for breach in found):
                    yield index, messages
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
