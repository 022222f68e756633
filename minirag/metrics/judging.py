"""Row 6. Verdicts on numbered things (statements, excerpts), read strictly and fitted to the judge's window."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from minirag import prompts
from minirag.errors import WindowTooSmall
from minirag.metrics.evidence import supporting_span
from minirag.metrics.score import Asker, Reply, Score, Unscored
from minirag.prompts import Excerpt, Message
from minirag.query import Passage, Unit, Window, excerpts
from minirag.replies import listed
from minirag.retry import in_order

TOKENS_PER_VERDICT = 56
_WORDS = {"true": True, "yes": True, "supported": True, "false": False, "no": False, "unsupported": False}


class Verdict(NamedTuple):
    """What a judge says of one numbered thing, and why."""

    positive: bool
    reason: str


def reply_tokens(verdicts: int) -> int:
    """Tokens to reserve for so many verdicts."""
    return TOKENS_PER_VERDICT * (verdicts + 1)


def supported_share(asker: Asker, contexts: Sequence[str], statements: Sequence[str], stage: str) -> Score:
    """Supported statements ÷ statements, with the reason and the supporting span of each as evidence."""
    verdicts = support(asker, contexts, statements, stage)
    evidence = [
        {"statement": text, "supported": yes, "reason": why, "span": supporting_span(text, contexts) if yes else None}
        for text, (yes, why) in zip(statements, verdicts, strict=True)
    ]
    return Score(sum(v.positive for v in verdicts) / len(verdicts), "", tuple(evidence), asker.ids)


def support(asker: Asker, contexts: Sequence[str], statements: Sequence[str], stage: str) -> list[Verdict]:
    """For each statement whether the contexts support it, in as few requests as the window allows.

    One request where everything fits; else contexts and statements go piece by piece, and a statement is
    supported if any piece of the contexts supports it.
    """
    batches: list[Sequence[str]] = []
    rest = statements
    while rest:
        batches.append(rest[: _batch_size(asker.window, rest)])
        rest = rest[len(batches[-1]) :]
    return [
        verdict
        for verdicts in in_order(lambda batch: _of_batch(asker, contexts, batch, stage), batches, 1)
        for verdict in verdicts
    ]


def _batch_size(window: Window, statements: Sequence[str]) -> int:
    """As many statements as leave half of the window to the contexts; at least one."""
    if window.size is None:
        return len(statements)
    count = 1
    while count < len(statements):
        room = window.room(
            prompts.verdicts([], statements[: count + 1]), reply_tokens(count + 1), prompts.VERDICTS_SCHEMA
        )
        if room < window.size // 2:
            break
        count += 1
    return count


def _of_batch(asker: Asker, contexts: Sequence[str], statements: Sequence[str], stage: str) -> list[Verdict]:
    def build(given: Sequence[Excerpt]) -> list[Message]:
        return prompts.verdicts(given, statements)

    reply = reply_tokens(len(statements))

    def judged(messages: list[Message]) -> list[Verdict]:
        return asker.ask(
            messages,
            lambda found: read_verdicts(found, statements, "supported"),
            stage=stage,
            schema=prompts.VERDICTS_SCHEMA,
            max_tokens=reply,
        )

    merged: list[Verdict] = []
    # one after the other: a second chance is due before the next request, and after a fault none
    for new in in_order(judged, fitted(asker.window, contexts, build, reply, prompts.VERDICTS_SCHEMA), 1):
        merged = [old if old.positive else found for old, found in zip(merged, new, strict=True)] if merged else new
    return merged


def fitted(
    window: Window,
    contexts: Sequence[str],
    build: Callable[[Sequence[Excerpt]], list[Message]],
    reply: int,
    schema: Mapping[str, Any],
) -> list[list[Message]]:
    """The requests that show all of `contexts`, each within the window; one without excerpts if there are none."""
    try:
        room = window.require(build([]), reply, schema)
    except WindowTooSmall:
        raise Unscored("a statement does not fit the judge's window") from None
    rest = window.units([Passage(context) for context in contexts], room - 24)
    requests = []
    while rest:
        count = _whole_passages(rest, window.take(rest, build, reply, schema))
        if count == 0:
            raise Unscored("the contexts do not fit the judge's window")
        requests.append(build(excerpts(rest[:count])))
        rest = rest[count:]
    return requests or [build([])]


def _whole_passages(units: Sequence[Unit], count: int) -> int:
    """`count`, or fewer so that no context is torn between two requests, where at least one is whole."""
    if 0 < count < len(units) and units[count].passage == units[count - 1].passage:
        whole = next(i for i in range(count) if units[i].passage == units[count].passage)
        return whole or count
    return count


def read_verdicts(reply: Reply, things: Sequence[str], key: str) -> list[Verdict]:
    """The verdicts on `things` in their order, each found by its number, or by its text where it has no number.

    Read are our own form and ragas' (`statement`, `reason`, `verdict`). ValueError names what is missing, doubled or
    unclear.

    >>> reply = {"verdicts": [{"index": 2, "supported": "no"}, {"index": 1, "supported": 1}]}
    >>> read_verdicts(reply, ["It opened.", "It is blue."], "supported")
    [Verdict(positive=True, reason=''), Verdict(positive=False, reason='')]
    """
    lone = isinstance(reply, dict) and len(things) == 1 and not {"verdicts", "statements"} & set(reply)
    items = [reply] if lone else listed(reply, "verdicts", "statements")
    numbers = {" ".join(text.split()): number for number, text in enumerate(things, 1)}
    found: dict[int, Verdict] = {}
    for item in items:
        if not isinstance(item, dict):
            raise ValueError("'verdicts' is not a list of objects")
        number = _number(item, numbers, len(things))
        if number in found:
            raise ValueError(f"number {number} has two verdicts")
        found[number] = Verdict(_boolean(item.get(key, item.get("verdict")), number), str(item.get("reason") or ""))
    missing = [number for number in range(1, len(things) + 1) if number not in found]
    if missing:
        raise ValueError(f"number {missing[0]} has no verdict ({len(found)} verdicts where {len(things)} are due)")
    return [found[number] for number in range(1, len(things) + 1)]


def _number(item: Mapping[str, Any], numbers: Mapping[str, int], count: int) -> int:
    """Which thing a verdict is about; the only one where nothing is said and there is but one."""
    index, text = item.get("index"), item.get("statement")
    named = numbers.get(" ".join(text.split())) if isinstance(text, str) and len(numbers) == count else None
    if index is None:
        index = 1 if text is None and count == 1 else named
    elif named is not None and named != index:
        raise ValueError(f"the verdict of number {index!r:.40} quotes number {named}")
    if isinstance(index, bool) or not isinstance(index, int) or not 1 <= index <= count:
        raise ValueError(f"a verdict has the number {index!r:.40}, but they go from 1 to {count}")
    return index


def _boolean(value: Any, number: int) -> bool:
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _WORDS:
        return _WORDS[value.strip().lower()]
    raise ValueError(f"the verdict of number {number} is {value!r:.40}, neither true nor false")
