"""Row 6. From the log to a training file that a service will accept: every candidate kept or dropped, and why."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from minirag.errors import InputError
from minirag.files import write_jsonl
from minirag.message_log import Exchange, MessageLog
from minirag.prompts import NOT_STATED, Message
from minirag.tokens import Tokenizer, for_model

FEWEST_EXAMPLES = 10
EXAMPLE_TOKENS = 65_536
_ABSTAINS = re.compile(
    r"\b(?:document|context|text|excerpts?|passages?) (?:does|do|did) not\b"
    r"|\bnot (?:mentioned|stated|specified|provided)\b"
    r"|\b(?:cannot|can't|unable to) (?:answer|determine|find)\b|\bno information\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Example:
    """One candidate for the training file: a prompt with its reply, and `dropped`, the reason why it stays out."""

    question: str
    exchange: Exchange
    tokens: int
    dropped: str = ""

    @property
    def messages(self) -> list[Message]:
        """What the line of the training file holds."""
        return _messages(self.exchange)


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """A written training file: its path, and every candidate, kept or dropped."""

    path: Path
    examples: tuple[Example, ...]

    @property
    def kept(self) -> list[Example]:
        """The examples that the file holds, in its order."""
        return [example for example in self.examples if not example.dropped]

    @property
    def tokens(self) -> int:
        """Tokens of one epoch."""
        return sum(example.tokens for example in self.kept)

    @property
    def epochs(self) -> int:
        """The passes over the file that a service makes by default."""
        return default_epochs(len(self.kept))

    def report(self) -> dict[str, Any]:
        """Counts and tokens by reason, and each candidate by its exchange's id; what `training_report.json` holds."""
        dropped = Counter(example.dropped for example in self.examples if example.dropped)
        return {
            "kept": len(self.kept),
            "dropped": dict(sorted(dropped.items())),
            "by_stage": dict(sorted(Counter(example.exchange.stage for example in self.kept).items())),
            "tokens": self.tokens,
            "epochs": self.epochs,
            "tokens_billed": self.tokens * self.epochs,
            "examples": [
                {
                    "exchange": example.exchange.id,
                    "question": example.question,
                    "stage": example.exchange.stage,
                    "tokens": example.tokens,
                    "dropped": example.dropped or None,
                }
                for example in self.examples
            ],
        }


def write_training_file(
    log: MessageLog,
    path: str | os.PathLike[str],
    *,
    stages: Collection[str] = ("draft", "refine"),
    split: str = "train",
    only: Mapping[str, str] | None = None,
    leaks: Callable[[str, Exchange], str] = lambda *_: "",
    model: str = "gpt-4.1-mini",
    keep_all: bool = False,
) -> TrainingFile:
    """Write the log's answers as a chat training file, `{"messages": […]}` a line, ordered by question and draft.

    Taken are exchanges of `stages` whose `split` tag is `split` or missing; or, with `only`, exactly those whose ids
    it maps to the ids of their questions. Left out, each with its reason: cut-off and empty replies, abstentions,
    doubles, examples for which `leaks(question id, exchange)` names a leak, and examples over the token limit of
    `model`; with `keep_all` only what no service would accept. Raises InputError where nothing is left.
    """
    candidates = [
        (str(exchange.tags.get("question", "")) if only is None else only[exchange.id], exchange)
        for exchange in log
        if exchange.stage in stages
        and exchange.error is None
        and (exchange.tags.get("split", split) == split if only is None else exchange.id in only)
    ]
    candidates.sort(key=lambda pair: (pair[0], int(pair[1].tags.get("draft", 0)), pair[1].id))
    tokenizer = for_model(model)
    examples = tuple(_judged(candidates, tokenizer, leaks, keep_all))
    file = TrainingFile(Path(path), examples)
    if not file.kept:
        raise InputError(
            f"None of {len(examples)} answers can be trained on ({_reasons(examples)}); collect more answers."
        )
    write_jsonl(file.path, ({"messages": example.messages} for example in file.kept))
    return file


def _judged(
    candidates: Iterable[tuple[str, Exchange]],
    tokenizer: Tokenizer,
    leaks: Callable[[str, Exchange], str],
    keep_all: bool,
) -> Iterable[Example]:
    seen: set[str] = set()
    for question, exchange in candidates:
        example = Example(question, exchange, tokenizer.count_messages(_messages(exchange)))
        line = json.dumps(example.messages, ensure_ascii=False)
        reason = _unacceptable(example)
        if not reason and not keep_all:
            reason = leaks(question, exchange) or _unwanted(example, line in seen)
        if not reason:
            seen.add(line)
        yield replace(example, dropped=reason)


def _messages(exchange: Exchange) -> list[Message]:
    return [*exchange.request["messages"], {"role": "assistant", "content": exchange.text.strip()}]


def _unacceptable(example: Example) -> str:
    if example.exchange.finish_reason != "stop":
        return f"finish_reason {example.exchange.finish_reason}"
    if not example.exchange.text.strip():
        return "empty"
    return "over the token limit" if example.tokens > EXAMPLE_TOKENS else ""


def _unwanted(example: Example, double: bool) -> str:
    if abstains(example.exchange.text):
        return "abstains"
    return "duplicate" if double else ""


def abstains(text: str) -> bool:
    """Whether a reply says that it cannot answer, instead of answering.

    >>> abstains("The document does not say."), abstains("The fee is 3 euros.")
    (True, False)
    """
    return text.strip() == NOT_STATED or (len(text) < 240 and _ABSTAINS.search(text) is not None)


def _reasons(examples: Sequence[Example]) -> str:
    counts = Counter(example.dropped for example in examples)
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common()) or "the log holds none"


def default_epochs(n: int) -> int:
    """Epochs that OpenAI chooses for n examples: 3, more for few, fewer for very many (its cookbook).

    >>> default_epochs(10), default_epochs(40), default_epochs(20_000)
    (10, 3, 1)
    """
    if n <= 0:
        return 0
    if 3 * n < 100:
        return min(25, 100 // n)
    return max(1, 25_000 // n) if 3 * n > 25_000 else 3
