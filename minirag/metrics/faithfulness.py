"""Faithfulness: the share of an answer's statements that the contexts support."""

from collections.abc import Callable, Sequence
from typing import Any

from minirag import prompts
from minirag.errors import WindowTooSmall
from minirag.metrics.judge import Judge, Verdict, for_one_score, list_at, read_verdicts, reply_tokens
from minirag.metrics.score import Score, Unscored
from minirag.models import Chat
from minirag.prompts import Excerpt, Message
from minirag.query import Passage, excerpts
from minirag.retry import in_order
from minirag.sentences import sentence_spans
from minirag.text import words

STATEMENTS_REPLY = 256
"""Tokens reserved for the list of statements, on top of twice the answer's."""
SUPPORTING_SHARE = 0.6
"""A sentence with this share of a statement's words is shown as its support."""


def faithfulness(question: str, answer: str, contexts: Sequence[str], *, judge: Chat | Judge) -> Score:
    """Return supported statements ÷ all statements (ragas, faithfulness).

    One call splits the answer into statements, one gives a verdict for each against all contexts. What does not fit
    the judge's window is judged piece by piece, and a statement is supported if any piece supports it. Unscored if the
    answer makes no statements. `evidence`: `{"statement", "supported", "reason", "span"}` each, `span` being
    (context, start, end) of the sentence nearest to a supported statement, or None.

    >>> from minirag.testing import ScriptedChat
    >>> judge = ScriptedChat({"statements": ["It opened in 1987.", "It is blue."]},
    ...     {"verdicts": [{"index": 1, "supported": True}, {"index": 2, "supported": False}]})
    >>> faithfulness("When did it open?", "In 1987. It is blue.", ["It opened in 1987."], judge=judge).value
    0.5
    """
    judge = for_one_score(judge)
    try:
        statements = _statements(judge, question, answer)
        if not statements:
            raise Unscored("the answer makes no statements")
        return supported_share(judge, statements, contexts, stage="verdicts")
    except Unscored as reason:
        return Score(None, str(reason), (), tuple(judge.exchanges))


def _statements(judge: Judge, question: str, answer: str) -> list[str]:
    """Return the answer's statements as the judge lists them."""
    if not answer.strip():
        return []
    messages = prompts.statements(question, answer)
    # statements repeat the answer with its references spelt out
    reply = 2 * judge.model.tokenizer.count(answer) + STATEMENTS_REPLY
    if (room := judge.budget.room(messages, 0, prompts.STATEMENTS_SCHEMA)) < reply:
        if room < STATEMENTS_REPLY // 2:
            raise Unscored("the answer does not fit the judge's window")
        reply = room

    def read(reply: dict[str, Any] | list[Any]) -> list[str]:
        values = list_at(reply, "statements")
        if not all(isinstance(value, str) for value in values):
            raise ValueError("'statements' is not a list of texts")
        return [value.strip() for value in values if value.strip()]

    return judge.ask(messages, read, stage="statements", schema=prompts.STATEMENTS_SCHEMA, max_tokens=reply)


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
    rest = judge.budget.units([Passage(context) for context in contexts], room - 24)
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
