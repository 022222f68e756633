"""Context precision: whether the useful contexts were ranked first."""

import math
from collections.abc import Sequence
from functools import partial

from minirag import prompts
from minirag.metrics.judge import Judge, for_one_score
from minirag.metrics.replies import Verdict, read_verdicts, reply_tokens
from minirag.metrics.score import Score, Unscored
from minirag.models import Chat
from minirag.prompts import Excerpt, Message


def context_precision(
    question: str, answer: str, contexts: Sequence[str], *, judge: Chat | Judge, reference: str | None = None
) -> Score:
    """Return the average precision of the ranked contexts, Σ precision@k · useful_k ÷ Σ useful_k (ragas).

    A context is useful if it helped to arrive at the reference, or at the answer where there is no reference; 0 if
    none is. One call for all contexts; more where they do not fit the judge's window, each context whole. Unscored
    without contexts, or with neither reference nor answer. `evidence`: `{"context", "useful", "reason"}`, `context`
    from 0.

    >>> from minirag.testing import ScriptedChat
    >>> judge = ScriptedChat({"verdicts": [{"index": 1, "useful": False}, {"index": 2, "useful": True}]})
    >>> context_precision("When?", "In 1987.", ["It rained.", "It opened in 1987."], judge=judge).value
    0.5
    """
    judge = for_one_score(judge)
    target, schema = reference or answer, prompts.USEFUL_SCHEMA
    verdicts: list[Verdict] = []

    def build(shown: Sequence[str]) -> list[Message]:
        return prompts.useful([Excerpt(context) for context in shown], question, target)

    try:
        if not contexts:
            raise Unscored("there are no contexts")
        if not target.strip():
            raise Unscored("there is neither reference nor answer")
        while rest := contexts[len(verdicts) :]:
            count = judge.most(rest, build, reply_tokens, schema)
            if count == 0:
                raise Unscored("a context does not fit the judge's window")
            read, reply = partial(read_verdicts, key="useful", count=count), reply_tokens(count)
            verdicts += judge.ask(build(rest[:count]), read, stage="context", schema=schema, max_tokens=reply)
    except Unscored as reason:
        return Score(None, str(reason), (), tuple(judge.exchanges))
    evidence = tuple(
        {"context": number, "useful": verdict.positive, "reason": verdict.reason}
        for number, verdict in enumerate(verdicts)
    )
    return Score(average_precision([v.positive for v in verdicts]), "", evidence, tuple(judge.exchanges))


def average_precision(useful: Sequence[bool]) -> float:
    """Return the mean, over the useful ranks k, of the useful share of the first k; 0 if none is useful.

    >>> average_precision([True, False, True])
    0.8333333333333333
    """
    ranks = [rank for rank, is_useful in enumerate(useful, 1) if is_useful]
    return math.fsum(count / rank for count, rank in enumerate(ranks, 1)) / len(ranks) if ranks else 0.0
