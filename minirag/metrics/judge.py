"""Adds to `models` a judge: asked within its window, its replies read strictly, given one second chance.

Nothing in a reply is guessed, completed or repaired.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeGuard, TypeVar

from minirag import prompts
from minirag.metrics.score import Score, Unscored
from minirag.models import Chat
from minirag.prompts import Excerpt, Message, Reply, json_object, list_at
from minirag.query import SMALLEST_EXCERPT, Window, excerpts, largest
from minirag.retry import in_order

T = TypeVar("T")
Schema = Mapping[str, Any]
Verdict = dict[str, Any]
"""True or False under the name of what was asked, and the judge's `reason`."""
TOKENS_PER_VERDICT = 56
_VERDICTS = {True: True, "true": True, "yes": True, False: False, "false": False, "no": False}  # 1 == True, 0 == False


def reply_tokens(verdicts: int) -> int:
    """Return the tokens to reserve for so many verdicts."""
    return TOKENS_PER_VERDICT * (verdicts + 1)


def read_verdicts(reply: Reply, key: str, count: int) -> list[Verdict]:
    """Return the verdicts on statements or excerpts 1 to `count`, in this order: True or False under `key`, `reason`.

    Raises ValueError naming what is missing, repeated or unclear.
    """
    verdicts: dict[int, Verdict] = {}
    for item in list_at(reply, "verdicts"):
        if not isinstance(item, dict):
            raise ValueError("'verdicts' is not a list of objects")
        number, value = item.get("index"), item.get(key)
        if not is_number(number, count):
            raise ValueError(f"a verdict has the number {number!r:.40}, but they go from 1 to {count}")
        if number in verdicts:
            raise ValueError(f"number {number} has two verdicts")
        word = value.strip().lower() if isinstance(value, str) else value
        if not isinstance(word, int | str) or word not in _VERDICTS:
            raise ValueError(f"the verdict of number {number} is {value!r:.40}, neither true nor false")
        verdicts[number] = {key: _VERDICTS[word], "reason": str(item.get("reason") or "")}
    for number in range(1, count + 1):
        if number not in verdicts:
            raise ValueError(f"number {number} has no verdict ({len(verdicts)} verdicts where {count} are due)")
    return [verdict for _, verdict in sorted(verdicts.items())]


def is_number(value: Any, count: int) -> TypeGuard[int]:
    """Return True for a whole number from 1 to `count`; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= count


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
        self, items: Sequence[T], build: Callable[[Sequence[T]], list[Message]], schema: Schema, *, spare: int = 0
    ) -> int:
        """Return on how many of the first `items` one request can have verdicts; 0 if none fits.

        `build` makes the prompt; `spare` tokens stay free.
        """
        return largest(len(items), lambda n: self.budget.room(build(items[:n]), reply_tokens(n), schema) >= spare)

    def ask(
        self, messages: Sequence[Message], read: Callable[[Reply], T], *, stage: str, schema: Schema, max_tokens: int
    ) -> T:
        """Return what `read` makes of the judge's JSON reply.

        `read` raises ValueError to name a fault. The judge is then told the fault and asked once more; a second fault
        raises Unscored.
        """
        fault = ""
        for _ in range(2):
            exchange = self.model.complete(
                prompts.again(messages, fault) if fault else messages,
                stage=stage,
                tags=self.tags,
                max_tokens=max_tokens,
                schema=schema,
                repeat=self.repeat,
            )
            self.exchanges.append(exchange.id)
            try:
                if exchange.finish_reason == "length":
                    raise ValueError("the reply was cut off at its token limit")
                return read(json_object(exchange.text))
            except ValueError as error:
                fault = str(error)
        raise Unscored(f"{stage}: two replies cannot be used, the last: {fault}")

    def verdicts(
        self, messages: Sequence[Message], count: int, *, key: str, stage: str, schema: Schema
    ) -> list[Verdict]:
        """Return the verdicts on the `count` numbered items of a prompt; true or false stands under `key`."""
        read = partial(read_verdicts, key=key, count=count)
        return self.ask(messages, read, stage=stage, schema=schema, max_tokens=reply_tokens(count))


def for_one_score(judge: Chat | Judge) -> Judge:
    """Return the judge with no calls made yet; a bare chat model becomes one without a window."""
    return replace(judge) if isinstance(judge, Judge) else Judge(judge)


def supported_share(judge: Judge, statements: Sequence[str], contexts: Sequence[str], *, stage: str) -> Score:
    """Return supported statements ÷ statements, with a verdict and its reason for each as evidence.

    What does not fit one request is judged in parts: statements so that half of the window is left to the contexts,
    then the contexts. A statement is supported if any part of the contexts supports it.
    """
    half, schema = (judge.window or 0) // 2, prompts.VERDICTS_SCHEMA
    final: dict[int, Verdict] = {}  # by the place of the statement
    start = 0
    while rest := statements[start:]:
        count = judge.most(rest, partial(prompts.verdicts, []), schema, spare=half) or 1
        ask = partial(judge.verdicts, count=count, key="supported", stage=stage, schema=schema)
        # one worker: the second chance comes before the next request, and after a fault nothing more is asked
        for verdicts in in_order(ask, _verdict_prompts(judge, rest[:count], contexts), 1):
            for place, verdict in enumerate(verdicts, start):
                if place not in final or not final[place]["supported"]:
                    final[place] = verdict
        start += count
    evidence = tuple({"statement": statements[place], **verdict} for place, verdict in final.items())
    value = sum(verdict["supported"] for verdict in final.values()) / len(statements)
    return Score(value, "", evidence, tuple(judge.exchanges))


def _verdict_prompts(judge: Judge, statements: Sequence[str], contexts: Sequence[str]) -> list[list[Message]]:
    """Return prompts that together show all contexts to these statements, each within the window."""
    build = partial(prompts.verdicts, statements=statements)
    reply, schema = reply_tokens(len(statements)), prompts.VERDICTS_SCHEMA
    room = judge.budget.room(build([]), reply, schema)
    if room < SMALLEST_EXCERPT:
        raise Unscored("a statement does not fit the judge's window")
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
