"""Faithfulness: the share of an answer's statements that the contexts support."""

from collections.abc import Sequence

from minirag import prompts
from minirag.metrics.judge import Judge, for_one_score, supported_share
from minirag.metrics.replies import Reply, list_at
from minirag.metrics.score import Score, Unscored
from minirag.models import Chat

STATEMENTS_REPLY = 256
"""Tokens reserved for the list of statements, on top of twice the answer's."""


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

    def read(reply: Reply) -> list[str]:
        values = list_at(reply, "statements")
        if not all(isinstance(value, str) for value in values):
            raise ValueError("'statements' is not a list of texts")
        return [value.strip() for value in values if value.strip()]

    return judge.ask(messages, read, stage="statements", schema=prompts.STATEMENTS_SCHEMA, max_tokens=reply)
