"""Row 6. What a metric returns, and how a metric asks its judge: strictly, with one second chance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from minirag import prompts
from minirag.message_log import Exchange
from minirag.models import Chat
from minirag.prompts import Message
from minirag.replies import NotJSON, json_object

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Score:
    """One metric of one answer: `value` in [0, 1], or None with a `reason`.

    `evidence` is what the value was computed from, one mapping a statement or question; `exchanges` are the ids
    of the log's lines behind it.
    """

    value: float | None
    reason: str = ""
    evidence: tuple[Mapping[str, Any], ...] = ()
    exchanges: tuple[str, ...] = ()


class Unscored(Exception):
    """Carries the reason why an answer gets no value out of a metric's steps."""


@dataclass
class Asker:
    """A judge, the tags and repeat number of one score, and the exchanges made for it."""

    judge: Chat
    tags: Mapping[str, Any]
    repeat: int
    exchanges: list[Exchange] = field(default_factory=list)

    def ask(
        self,
        messages: Sequence[Message],
        read: Callable[[Mapping[str, Any]], T],
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
        for asked in (messages, None):
            sent = prompts.again(messages, fault) if asked is None else asked
            exchange = self.judge.complete(
                sent, stage=stage, tags=self.tags, max_tokens=max_tokens, schema=schema, repeat=self.repeat
            )
            self.exchanges.append(exchange)
            try:
                if exchange.finish_reason == "length":
                    raise NotJSON("the reply was cut off at its token limit")
                if exchange.finish_reason == "content_filter":
                    raise NotJSON("the service's content filter held the reply back")
                return read(json_object(exchange.text))
            except ValueError as error:
                fault = str(error)
        raise Unscored(f"{stage}: {fault}, twice")

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(exchange.id for exchange in self.exchanges)


def texts(reply: Mapping[str, Any], key: str) -> list[str]:
    """The list of texts at `key` of a reply; ValueError where it is anything else."""
    values = reply.get(key)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"'{key}' is not a list of texts")
    return [value.strip() for value in values if value.strip()]
