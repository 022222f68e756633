"""Adds to `models` a judge: asked within its window, read strictly, given one second chance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from minirag import prompts
from minirag.errors import WindowTooSmall
from minirag.metrics.replies import Reply, Verdict, json_object, read_verdicts, reply_tokens
from minirag.metrics.score import Score, Unscored
from minirag.models import Chat
from minirag.prompts import Excerpt, Message
from minirag.query import Window, excerpts, largest
from minirag.retry import in_order

T = TypeVar("T")
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

    def most(
        self,
        items: Sequence[T],
        build: Callable[[Sequence[T]], list[Message]],
        reply: Callable[[int], int],
        schema: Mapping[str, Any],
        *,
        spare: int = 0,
    ) -> int:
        """Return how many of the first `items` fit the prompt that `build` makes of them; 0 if none does.

        `reply` gives the tokens to reserve for the reply to so many items; `spare` tokens stay free.
        """
        return largest(len(items), lambda n: self.budget.room(build(items[:n]), reply(n), schema) >= spare)

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
                return read(json_object(exchange.text))
            except ValueError as error:
                fault = str(error)
        raise Unscored(f"{stage}: two replies cannot be used, the last: {fault}")


def for_one_score(judge: Chat | Judge) -> Judge:
    """Return the judge with no calls made yet; a bare chat model becomes one without a window."""
    return replace(judge) if isinstance(judge, Judge) else Judge(judge)


def supported_share(judge: Judge, statements: Sequence[str], contexts: Sequence[str], *, stage: str) -> Score:
    """Return supported statements ÷ statements, with a verdict and its reason for each as evidence.

    What does not fit one request is judged in parts: statements so that half of the window is left to the contexts,
    then the contexts. A statement is supported if any part of the contexts supports it.
    """
    half, schema = (judge.window or 0) // 2, prompts.VERDICTS_SCHEMA
    requests: list[tuple[range, list[Message]]] = []  # the numbers of some statements, and a prompt about them
    start = 0
    while start < len(statements):
        rest = statements[start:]
        count = judge.most(rest, partial(prompts.verdicts, []), reply_tokens, schema, spare=half) or 1
        numbers = range(start, start + count)
        requests += [(numbers, messages) for messages in _verdict_prompts(judge, rest[:count], contexts)]
        start = numbers.stop

    def ask(request: tuple[range, list[Message]]) -> list[Verdict]:
        numbers, messages = request
        read = partial(read_verdicts, key="supported", count=len(numbers))
        return judge.ask(messages, read, stage=stage, schema=schema, max_tokens=reply_tokens(len(numbers)))

    # one worker: the second chance comes before the next request, and after a fault nothing more is asked
    by_statement: list[list[Verdict]] = [[] for _ in statements]
    for (numbers, _), verdicts in zip(requests, in_order(ask, requests, 1), strict=True):
        for number, verdict in zip(numbers, verdicts, strict=True):
            by_statement[number].append(verdict)
    final = [next((verdict for verdict in each if verdict.positive), each[-1]) for each in by_statement]
    evidence = tuple(
        {"statement": text, "supported": verdict.positive, "reason": verdict.reason}
        for text, verdict in zip(statements, final, strict=True)
    )
    value = sum(verdict.positive for verdict in final) / len(statements)
    return Score(value, "", evidence, tuple(judge.exchanges))


def _verdict_prompts(judge: Judge, statements: Sequence[str], contexts: Sequence[str]) -> list[list[Message]]:
    """Return prompts that together show all contexts to these statements, each within the window."""

    def build(shown: Sequence[Excerpt]) -> list[Message]:
        return prompts.verdicts(shown, statements)

    reply, schema = reply_tokens(len(statements)), prompts.VERDICTS_SCHEMA
    try:
        room = judge.budget.require(build([]), reply, schema)
    except WindowTooSmall:
        raise Unscored("a statement does not fit the judge's window") from None
    rest = judge.budget.units([Excerpt(context) for context in contexts], room - 24)
    messages = []
    while rest:
        count = judge.budget.take(rest, build, reply, schema)
        if count == 0:
            raise Unscored("the contexts do not fit the judge's window")
        if count < len(rest) and rest[count].passage == rest[count - 1].passage:
            # leave a context that would be torn to the next request, unless it is the only one
            whole = next(i for i in range(count) if rest[i].passage == rest[count].passage)
            count = whole or count
        messages.append(build(excerpts(rest[:count])))
        rest = rest[count:]
    return messages or [build([])]
