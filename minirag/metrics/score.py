"""Row 6. What a metric returns, and how a metric asks its judge: strictly, with one second chance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from minirag import prompts
from minirag.message_log import Exchange
from minirag.models import Chat
from minirag.prompts import Message
from minirag.query import Window
from minirag.replies import json_value, listed

T = TypeVar("T")
Reply = dict[str, Any] | list[Any]
_UNFINISHED = {
    "length": "the reply was cut off at its token limit",
    "content_filter": "the service's content filter held the reply back",
}


@dataclass(frozen=True, slots=True)
class Score:
    """One metric of one answer: `value` in [0, 1], or None with a `reason`.

    `evidence` is what the value was computed from, one mapping a statement, context or question; `exchanges` are
    the ids of the log's lines behind it.

    >>> Score(None, "the answer makes no statements").value is None
    True
    """

    value: float | None
    reason: str = ""
    evidence: tuple[Mapping[str, Any], ...] = ()
    exchanges: tuple[str, ...] = ()


class Unscored(Exception):
    """Carries the reason why an answer gets no value out of a metric's steps."""


class Asker:
    """A judge and its window, the tags and repeat number of one score, and the exchanges made for it."""

    def __init__(self, judge: Chat, tags: Mapping[str, Any] | None, repeat: int, window: int | None = None) -> None:
        self.judge = judge
        self.tags = tags or {}
        self.repeat = repeat
        self.window = Window(judge.tokenizer, window)
        self.exchanges: list[Exchange] = []

    def ask(
        self,
        messages: Sequence[Message],
        read: Callable[[Reply], T],
        *,
        stage: str,
        schema: Mapping[str, Any],
        max_tokens: int,
    ) -> T:
        """What `read` makes of the judge's JSON reply.

        `read` raises ValueError to name a fault. The judge is then asked once more, told the fault; a second
        fault raises Unscored. Nothing is repaired.
        """
        fault = ""
        for second in (False, True):
            sent = prompts.again(messages, fault) if second else messages
            exchange = self.judge.complete(
                sent, stage=stage, tags=self.tags, max_tokens=max_tokens, schema=schema, repeat=self.repeat
            )
            self.exchanges.append(exchange)
            if exchange.finish_reason in _UNFINISHED:
                fault = _UNFINISHED[exchange.finish_reason]
                continue
            try:
                return read(json_value(exchange.text))
            except ValueError as error:
                fault = str(error)
        raise Unscored(f"{stage}: {fault}, twice")

    @property
    def ids(self) -> tuple[str, ...]:
        """The exchanges' ids, in the order they were made."""
        return tuple(exchange.id for exchange in self.exchanges)

    def unscored(self, why: Unscored) -> Score:
        """The score of an answer that has none."""
        return Score(None, str(why), (), self.ids)


def texts(reply: Reply, key: str) -> list[str]:
    """The list of texts at `key` of a reply, blank ones left out; ValueError where it is anything else."""
    values = listed(reply, key)
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{key!r} is not a list of texts")
    return [value.strip() for value in values if value.strip()]
