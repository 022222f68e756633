"""Row 6. From the log to a training file that a service will accept: every candidate kept or dropped, and why."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
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

    exchange: Exchange
    tokens: int
    dropped: str = ""

    @property
    def messages(self) -> list[Message]:
        """What the line of the training file holds."""
        return [*self.exchange.request["messages"], {"role": "assistant", "content": self.exchange.text.strip()}]


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
                    "question": example.exchange.tags.get("question"),
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
    only: Collection[str] | None = None,
    leaks: Callable[[Exchange], bool] = lambda _: False,
    model: str = "gpt-4.1-mini",
    keep_all: bool = False,
) -> TrainingFile:
    """Write the log's answers as a chat training file, `{"messages": […]}` a line, ordered by question and draft.

    Taken are exchanges of `stages` whose `split` tag is `split` or missing; `only` narrows them to those ids.
    Left out, each with its reason: cut-off and empty replies, abstentions, doubles, examples for which `leaks`
    is true, and examples over the token limit of `model`; with `keep_all` only what no service would accept.
    Raises InputError where nothing is left.
    """
    candidates = [
        exchange
        for exchange in log
        if exchange.stage in stages
        and exchange.error is None
        and exchange.tags.get("split", split) == split
        and (only is None or exchange.id in only)
    ]
    candidates.sort(
        key=lambda exchange: (str(exchange.tags.get("question", "")), int(exchange.tags.get("draft", 0)), exchange.id)
    )
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
    candidates: Iterable[Exchange], tokenizer: Tokenizer, leaks: Callable[[Exchange], bool], keep_all: bool
) -> Iterable[Example]:
    seen: set[str] = set()
    for exchange in candidates:
        text = exchange.text.strip()
        messages = [*exchange.request["messages"], {"role": "assistant", "content": text}]
        tokens = tokenizer.count_messages(messages)
        line = json.dumps(messages, ensure_ascii=False)
        reason = _unacceptable(exchange, text, tokens) or (
            "" if keep_all else _unwanted(exchange, text, line in seen, leaks)
        )
        if not reason:
            seen.add(line)
        yield Example(exchange, tokens, reason)


def _unacceptable(exchange: Exchange, text: str, tokens: int) -> str:
    if exchange.finish_reason != "stop":
        return f"finish_reason {exchange.finish_reason}"
    if not text:
        return "empty"
    return "over the token limit" if tokens > EXAMPLE_TOKENS else ""


def _unwanted(exchange: Exchange, text: str, double: bool, leaks: Callable[[Exchange], bool]) -> str:
    if leaks(exchange):
        return "eval page in the prompt"
    if abstains(text):
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
