"""Row 4. A training file in memory: its examples, kept, dropped or held out, and the report that tells why."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minirag.message_log import Exchange
from minirag.prompts import Message

PageKey = tuple[str, int]


class Origin(NamedTuple):
    """What is known of an example beside its text: the page its question is about, those its prompt shows, a leak."""

    page: PageKey | None = None
    shown: frozenset[PageKey] = frozenset()
    leak: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """One candidate for the training file: `messages` as a line holds them, and `dropped`, why it stays out.

    `detail` says what exactly was found, `refine` what a refine step did, `held_out` whether it is for validation.
    """

    question: str
    exchange: Exchange
    messages: tuple[Message, ...]
    origin: Origin
    tokens: int = 0
    reply_tokens: int = 0
    dropped: str = ""
    detail: str = ""
    refine: str | None = None
    held_out: bool = False

    @property
    def reply(self) -> str:
        return self.messages[-1]["content"]


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """A written training file: its path, every candidate, kept or dropped, and the validation file, if any."""

    path: Path
    examples: tuple[Example, ...]
    validation: Path | None = None

    @property
    def kept(self) -> list[Example]:
        """The examples that the file holds, in its order."""
        return [example for example in self.examples if not example.dropped and not example.held_out]

    @property
    def held_out(self) -> list[Example]:
        """The examples that the validation file holds."""
        return [example for example in self.examples if not example.dropped and example.held_out]

    @property
    def tokens(self) -> int:
        """Tokens of one epoch."""
        return sum(example.tokens for example in self.kept)

    @property
    def epochs(self) -> int:
        """The passes over the file that a service makes by default."""
        return default_epochs(len(self.kept))

    def report(self, epochs: int | None = None) -> dict[str, Any]:
        """Counts and tokens by reason, and each candidate by its exchange's id; what `training_report.json` holds.

        `epochs` are those that were chosen; None takes the service's usual number.
        """
        kept = self.kept
        epochs = epochs or self.epochs
        reasons = sorted({example.dropped for example in self.examples if example.dropped})
        dropped = {reason: [e for e in self.examples if e.dropped == reason] for reason in reasons}
        return {
            "kept": len(kept),
            "held_out": len(self.held_out),
            "held_out_tokens": sum(example.tokens for example in self.held_out),
            "dropped": {reason: len(examples) for reason, examples in dropped.items()},
            "dropped_tokens": {reason: sum(e.tokens for e in examples) for reason, examples in dropped.items()},
            "by_stage": dict(sorted(Counter(example.exchange.stage for example in kept).items())),
            "refine": dict(sorted(Counter(e.refine for e in self.examples if e.refine).items())),
            "pages_asked_about": len({e.origin.page for e in kept if e.origin.page}),
            "pages_shown": len(frozenset().union(*(e.origin.shown for e in kept))),
            "tokens": self.tokens,
            "tokens_per_example": spread([e.tokens for e in kept]),
            "answer_share": round(sum(e.reply_tokens for e in kept) / self.tokens, 4) if kept else None,
            "epochs": epochs,
            "tokens_billed": self.tokens * epochs,
            "examples": [
                {
                    "exchange": example.exchange.id,
                    "question": example.question,
                    "stage": example.exchange.stage,
                    "tokens": example.tokens,
                    "refine": example.refine,
                    "held_out": example.held_out,
                    "dropped": example.dropped or None,
                    "detail": example.detail,
                }
                for example in self.examples
            ],
        }


def spread(counts: Sequence[int]) -> dict[str, float]:
    """Smallest, median and largest of `counts`, and the tenths below and above; empty for none."""
    quantiles = {"min": 0, "p10": 10, "median": 50, "p90": 90, "max": 100}
    return {name: float(np.percentile(counts, share)) for name, share in quantiles.items()} if counts else {}


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
