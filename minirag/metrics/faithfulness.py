"""Faithfulness: the share of an answer's statements that the contexts support."""

from collections.abc import Sequence

from minirag import prompts
from minirag.metrics.judge import Judge, for_one_score, supported_share
from minirag.metrics.score import Score, Unscored
from minirag.models import Chat
from minirag.prompts import Reply, list_at

STATEMENTS_REPLY = 256
"""Tokens reserved for the list of statements, on top of twice the answer's."""


def faithfulness(question: str, answer: str, contexts: Sequence[str], *, judge: Chat | Judge) -> Score:
    """Return supported statements ÷ all statements (ragas, faithfulness).

    One call splits the answer into statements, one gives a verdict for each against all contexts. What does not fit
    the judge's window is judged piece by piece, and a statement is supported if any piece supports it. Unscored if the
    answer makes no statements. `evidence`: `{"statement", "supported", "reason"}` each.

    >>> from minirag.testing import ScriptedChat
    >>> judge = ScriptedChat({"statements": ["It opened in 1987.", "It is blue."]},
    ...     {"verdicts": [{"index": 1, "supported": True}, {"index": 2, "supported": False}]})
    >>> faithfulness("When did it open?", "In 1987. It is blue.", ["It opened in 1987."], judge=judge).value
    0.5
    """
    judge = for_one_score(judge)
    messages, schema = prompts.statements(question, answer), prompts.STATEMENTS_SCHEMA
    try:
        if not answer.strip():
            raise Unscored("the answer makes no statements")
        # statements repeat the answer with its references spelt out
        reply = 2 * judge.model.tokenizer.count(answer) + STATEMENTS_REPLY
        reply = min(reply, judge.budget.room(messages, 0, schema))
        if reply < STATEMENTS_REPLY // 2:
            raise Unscored("the answer does not fit the judge's window")
        statements = judge.ask(messages, read_statements, stage="statements", schema=schema, max_tokens=reply)
        if not statements:
            raise Unscored("the answer makes no statements")
        return supported_share(judge, statements, contexts, stage="verdicts")
    except Unscored as reason:
        return Score(None, str(reason), (), tuple(judge.exchanges))


def read_statements(reply: Reply) -> list[str]:
    """Return the statements of a reply, without blank ones. Raises ValueError naming the fault."""
    values = list_at(reply, "statements")
    if not all(isinstance(value, str) for value in values):
        raise ValueError("'statements' is not a list of texts")
    return [value.strip() for value in values if value.strip()]
