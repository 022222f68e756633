"""Adds to `models` a judge: asked within its window, read strictly, given one second chance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from minirag import prompts
from minirag.errors import WindowTooSmall
from minirag.metrics.replies import Reply, Verdict, json_value, read_verdicts, reply_tokens
from minirag.metrics.score import Score, Unscored
from minirag.models import Chat
from minirag.prompts import Excerpt, Message
from minirag.retry import in_order
from minirag.text import sentence_spans, words
from minirag.window import Window, excerpts

T = TypeVar("T")
SUPPORTING_SHARE = 0.6
"""A sentence with this share of a statement's words is shown as its support."""
_UNFINISHED = {
    "length": "the reply was cut off at its token limit",
    "content_filter": "the service's content filter held the reply back",
}


@dataclass
class Judge:
    """A chat model that judges, and what all its calls for one score have in common.

    `window` is the size of its context window in tokens (None: everything fits), `tags` are logged with each call, and
    `repeat` tells rounds of judging apart. `exchanges` collects the ids of the calls.
    """

    model: Chat
    window: int | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    repeat: int = 0
    exchanges: list[str] = field(default_factory=list, init=False)

    @property
    def budget(self) -> Window:
        """The window as the judge's tokenizer counts it."""
        return Window(self.model.tokenizer, self.window)

    def ask(
        self,
        messages: Sequence[Message],
        read: Callable[[Reply], T],
        *,
        stage: str,
        schema: Mapping[str, Any],
        max_tokens: int,
    ) -> T:
        """Return what `read` makes of the judge's JSON reply.

        `read` raises ValueError to name a fault. The judge is then told the fault and asked once more; a second fault
        raises Unscored.
        """
        fault = ""
        for second in (False, True):
            exchange = self.model.complete(
                prompts.again(messages, fault) if second else messages,
                stage=stage,
                tags=self.tags,
                max_tokens=max_tokens,
                schema=schema,
                repeat=self.repeat,
            )
            self.exchanges.append(exchange.id)
            if exchange.finish_reason in _UNFINISHED:
                fault = _UNFINISHED[exchange.finish_reason]
                continue
            try:
                return read(json_value(exchange.text))
            except ValueError as error:
                fault = str(error)
        raise Unscored(f"{stage}: {fault}, twice")


def for_one_score(judge: Chat | Judge) -> Judge:
    """Return the judge with no calls made yet; a bare chat model becomes one without a window."""
    return replace(judge) if isinstance(judge, Judge) else Judge(judge)


def supported_share(judge: Judge, statements: Sequence[str], contexts: Sequence[str], *, stage: str) -> Score:
    """Return supported statements ÷ statements, with a verdict, its reason and the supporting span as evidence."""
    # each request shows some of the statements and some of the contexts; one request if everything fits
    requests: list[tuple[range, list[Message]]] = []
    start = 0
    while start < len(statements):
        numbers = range(start, start + _statements_per_request(judge, statements[start:]))
        requests += [(numbers, messages) for messages in _requests(judge, statements[start : numbers.stop], contexts)]
        start = numbers.stop

    def ask(request: tuple[range, list[Message]]) -> list[Verdict]:
        numbers, messages = request
        return judge.ask(
            messages,
            lambda reply: read_verdicts(reply, statements[numbers.start : numbers.stop], "supported"),
            stage=stage,
            schema=prompts.VERDICTS_SCHEMA,
            max_tokens=reply_tokens(len(numbers)),
        )

    # one worker: the second chance comes before the next request, and after a fault nothing more is asked
    verdicts: dict[int, Verdict] = {}
    for (numbers, _), replies in zip(requests, in_order(ask, requests, 1), strict=True):
        for number, verdict in zip(numbers, replies, strict=True):
            if number not in verdicts or not verdicts[number].positive:
                verdicts[number] = verdict
    evidence = tuple(
        {"statement": text, "supported": yes, "reason": why, "span": supporting_span(text, contexts) if yes else None}
        for text, (yes, why) in zip(statements, (verdicts[number] for number in range(len(statements))), strict=True)
    )
    value = sum(verdict.positive for verdict in verdicts.values()) / len(statements)
    return Score(value, "", evidence, tuple(judge.exchanges))


def _statements_per_request(judge: Judge, statements: Sequence[str]) -> int:
    """Return how many of the first statements leave half of the window to the contexts; at least one."""
    if judge.window is None:
        return len(statements)
    for count in range(2, len(statements) + 1):
        messages = prompts.verdicts([], statements[:count])
        if judge.budget.room(messages, reply_tokens(count), prompts.VERDICTS_SCHEMA) < judge.window // 2:
            return count - 1
    return len(statements)


def _requests(judge: Judge, statements: Sequence[str], contexts: Sequence[str]) -> list[list[Message]]:
    """Return prompts that together show all contexts to these statements, each within the window."""
    build: Callable[[Sequence[Excerpt]], list[Message]] = lambda shown: prompts.verdicts(shown, statements)  # noqa: E731
    reply, schema = reply_tokens(len(statements)), prompts.VERDICTS_SCHEMA
    try:
        room = judge.budget.require(build([]), reply, schema)
    except WindowTooSmall:
        raise Unscored("a statement does not fit the judge's window") from None
    rest = judge.budget.units([Excerpt(context) for context in contexts], room - 24)
    requests = []
    while rest:
        count = judge.budget.take(rest, build, reply, schema)
        if count == 0:
            raise Unscored("the contexts do not fit the judge's window")
        if count < len(rest) and rest[count].passage == rest[count - 1].passage:
            # leave a context that would be torn to the next request, unless it is the only one
            whole = next(i for i in range(count) if rest[i].passage == rest[count].passage)
            count = whole or count
        requests.append(build(excerpts(rest[:count])))
        rest = rest[count:]
    return requests or [build([])]


def supporting_span(statement: str, contexts: Sequence[str]) -> tuple[int, int, int] | None:
    """Return (context, start, end) of the sentence with most of the statement's words; None below `SUPPORTING_SHARE`.

    >>> supporting_span("The tram opened in 1987.", ["It rained.", "Long ago. The tram opened in April 1987."])
    (1, 10, 40)
    """
    wanted = set(words(statement))
    best_share, best = 0.0, None
    for number, context in enumerate(contexts):
        for start, end in sentence_spans(context):
            share = len(wanted.intersection(words(context[start:end]))) / max(1, len(wanted))
            if share > best_share:
                best_share, best = share, (number, start, start + len(context[start:end].rstrip()))
    return best if best_share >= SUPPORTING_SHARE else None
