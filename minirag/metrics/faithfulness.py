"""Row 6. Faithfulness: which share of an answer's statements the given text supports."""

from collections.abc import Mapping, Sequence
from typing import Any

from minirag import prompts
from minirag.metrics.judging import supported_share
from minirag.metrics.score import Asker, Score, Unscored, texts
from minirag.models import Chat, Embedder

STATEMENTS_REPLY = 256
"""Tokens reserved for the list of statements, over twice those of the answer."""


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

    Calls: one splits the answer into statements, one gives a verdict for each against all contexts. Verdicts are
    matched to statements by number. With `window`, contexts and statements that do not fit one request are judged
    piece by piece, and a statement is supported if any piece supports it. `embed` and `reference` are not used.

    Unscored (`value` None) with a reason: "the answer makes no statements"; "statements: …, twice" or "verdicts:
    …, twice" where the judge's reply is unusable. `evidence`: `{"statement", "supported", "reason", "span"}` for
    each, `span` being (context, start, end) or None. Raises ServiceError. Source: ragas, faithfulness.

    >>> from minirag.testing import ScriptedChat
    >>> judge = ScriptedChat({"statements": ["It opened in 1987.", "It is blue."]},
    ...     {"verdicts": [{"index": 1, "supported": True}, {"index": 2, "supported": False}]})
    >>> faithfulness("When did it open?", "In 1987. It is blue.", ["It opened in 1987."], judge=judge).value
    0.5
    """
    asker = Asker(judge, tags, repeat, window)
    try:
        statements = _statements(asker, question, answer)
        if not statements:
            raise Unscored("the answer makes no statements")
        return supported_share(asker, contexts, statements, "verdicts")
    except Unscored as unscored:
        return asker.unscored(unscored)


def _statements(asker: Asker, question: str, answer: str) -> list[str]:
    if not answer.strip():
        return []
    messages = prompts.statements(question, answer)
    # statements repeat the answer with its references spelt out
    reply = 2 * asker.judge.tokenizer.count(answer) + STATEMENTS_REPLY
    if (room := asker.window.room(messages, 0, prompts.STATEMENTS_SCHEMA)) < reply:
        if room < STATEMENTS_REPLY // 2:
            raise Unscored("the answer does not fit the judge's window")
        reply = room
    return asker.ask(
        messages,
        lambda found: texts(found, "statements"),
        stage="statements",
        schema=prompts.STATEMENTS_SCHEMA,
        max_tokens=reply,
    )
