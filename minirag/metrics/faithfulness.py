"""Row 6. Faithfulness: which share of an answer's statements the given text supports."""

from collections.abc import Mapping, Sequence
from typing import Any

from minirag import prompts
from minirag.errors import WindowTooSmall
from minirag.metrics.score import Asker, Score, Unscored, texts
from minirag.models import Chat, Embedder
from minirag.window import Passage, Unit, Window, excerpts

STATEMENTS_REPLY = 640
TOKENS_PER_VERDICT = 56
_WORDS = {"true": True, "yes": True, "supported": True, "false": False, "no": False, "unsupported": False}


def faithfulness(
    question: str,
    answer: str,
    contexts: Sequence[str],
    *,
    judge: Chat,
    embed: Embedder | None = None,
    reference: str | None = None,
    window: int | None = None,
    tags: Mapping[str, Any] | None = None,
    repeat: int = 0,
) -> Score:
    """Supported statements ÷ all statements, in [0, 1].

    One call splits the answer into statements, one gives a verdict for each against all contexts (ragas'
    definition; verdicts are matched to statements by number). With `window`, contexts and statements that do not
    fit one request are judged piece by piece, and a statement is supported if any piece supports it. `embed` and
    `reference` are not looked at.

    Unscored (`value` None) with a reason: the answer makes no statements, or the judge's reply is
    unusable twice. `evidence`: `{"statement", "supported", "reason"}` for each. Raises ServiceError.
    """
    asker = Asker(judge, tags or {}, repeat)
    limit = Window(judge.tokenizer, window)
    try:
        found = _statements(asker, question, answer)
        if not found:
            raise Unscored("the answer makes no statements")
        evidence = [
            {"statement": text, "supported": supported, "reason": reason}
            for text, (supported, reason) in zip(found, _verdicts(asker, limit, contexts, found), strict=True)
        ]
    except Unscored as unscored:
        return Score(None, str(unscored), exchanges=asker.ids)
    supported = sum(1 for item in evidence if item["supported"])
    return Score(supported / len(evidence), evidence=tuple(evidence), exchanges=asker.ids)


def _statements(asker: Asker, question: str, answer: str) -> list[str]:
    if not answer.strip():
        return []
    return asker.ask(
        prompts.statements(question, answer),
        lambda reply: texts(reply, "statements"),
        stage="statements",
        schema=prompts.STATEMENTS_SCHEMA,
        max_tokens=STATEMENTS_REPLY,
    )


def _verdicts(
    asker: Asker, window: Window, contexts: Sequence[str], statements: Sequence[str]
) -> list[tuple[bool, str]]:
    """A verdict and a reason for each statement, in as few requests as the window allows."""
    verdicts: list[tuple[bool, str]] = []
    while len(verdicts) < len(statements):
        rest = statements[len(verdicts) :]
        verdicts += _of_batch(asker, window, contexts, rest[: _batch_size(window, rest)])
    return verdicts


def _batch_size(window: Window, statements: Sequence[str]) -> int:
    """As many statements as leave half of the window to the contexts; at least one."""
    if window.size is None:
        return len(statements)
    count = 1
    while count < len(statements):
        reply = TOKENS_PER_VERDICT * (count + 2)
        if (
            window.room(prompts.verdicts([], statements[: count + 1]), reply, prompts.VERDICTS_SCHEMA)
            < window.size // 2
        ):
            break
        count += 1
    return count


def _of_batch(
    asker: Asker, window: Window, contexts: Sequence[str], statements: Sequence[str]
) -> list[tuple[bool, str]]:
    reply, schema = TOKENS_PER_VERDICT * (len(statements) + 1), prompts.VERDICTS_SCHEMA
    try:
        room = window.require(prompts.verdicts([], statements), reply, schema)
    except WindowTooSmall:
        raise Unscored("a statement does not fit the judge's window") from None
    rest = window.units([Passage(context) for context in contexts], room - 24)
    merged: list[tuple[bool, str]] = []
    while rest or not merged:  # without any context, too, the judge says what follows from nothing
        count = window.take(rest, lambda given: prompts.verdicts(given, statements), reply, schema)
        if count == 0 and rest:
            raise Unscored("the contexts do not fit the judge's window")
        count = _whole_passages(rest, count)
        new = asker.ask(
            prompts.verdicts(excerpts(rest[:count]), statements),
            lambda found: read_verdicts(found, len(statements)),
            stage="verdicts",
            schema=schema,
            max_tokens=reply,
        )
        merged = [old if old[0] else found for old, found in zip(merged, new, strict=True)] if merged else new
        rest = rest[count:]
    return merged


def _whole_passages(units: Sequence[Unit], count: int) -> int:
    """`count`, or fewer so that no context is torn between two requests, where at least one is whole."""
    if count < len(units) and units[count].passage == units[count - 1].passage:
        whole = next(i for i in range(count) if units[i].passage == units[count].passage)
        return whole or count
    return count


def read_verdicts(reply: Mapping[str, Any], count: int) -> list[tuple[bool, str]]:
    """The verdicts of a reply in the statements' order; ValueError names what is missing, doubled or unclear.

    >>> read_verdicts({"verdicts": [{"index": 2, "supported": "no"}, {"index": 1, "supported": 1}]}, 2)
    [(True, ''), (False, '')]
    """
    items = reply.get("verdicts")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("'verdicts' is not a list of objects")
    by_index: dict[int, tuple[bool, str]] = {}
    for item in items:
        index = item.get("index")
        if isinstance(index, bool) or not isinstance(index, int) or not 1 <= index <= count:
            raise ValueError(f"a verdict has the number {index!r}, but the statements go from 1 to {count}")
        if index in by_index:
            raise ValueError(f"statement {index} has two verdicts")
        by_index[index] = (_boolean(item.get("supported"), index), str(item.get("reason") or ""))
    missing = [index for index in range(1, count + 1) if index not in by_index]
    if missing:
        raise ValueError(f"statement {missing[0]} has no verdict ({len(by_index)} verdicts for {count} statements)")
    return [by_index[index] for index in range(1, count + 1)]


def _boolean(value: Any, index: int) -> bool:
    if isinstance(value, bool):
        return value
    if value in (0, 1) and isinstance(value, int):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _WORDS:
        return _WORDS[value.strip().lower()]
    raise ValueError(f"the verdict of statement {index} is {value!r}, neither true nor false")
