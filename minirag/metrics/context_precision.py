"""Row 6. Context precision: whether the useful contexts were ranked first."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from minirag import prompts
from minirag.metrics.judging import Verdict, read_verdicts, reply_tokens
from minirag.metrics.score import Asker, Score, Unscored
from minirag.models import Chat, Embedder
from minirag.prompts import Excerpt


def context_precision(
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
    """Average precision of the ranked contexts, Σ precision@k · useful_k ÷ Σ useful_k, in [0, 1]; 0 if none is useful.

    A context is useful if it helped to arrive at the reference, or at the answer where there is no reference.
    Calls: one for all contexts; with `window`, as many as it takes, each context whole. `embed` is not used.
    Unscored with a reason: "there are no contexts"; "there is neither reference nor answer"; "a context does not
    fit the judge's window"; "context: …, twice". `evidence`: `{"context", "useful", "reason"}`, `context` from 0.
    Raises ServiceError. Source: ragas, context_precision with and without reference.

    >>> from minirag.testing import ScriptedChat
    >>> judge = ScriptedChat({"verdicts": [{"index": 1, "useful": False}, {"index": 2, "useful": True}]})
    >>> context_precision("When?", "In 1987.", ["It rained.", "It opened in 1987."], judge=judge).value
    0.5
    """
    asker = Asker(judge, tags, repeat, window)
    target = reference or answer
    try:
        if not contexts:
            raise Unscored("there are no contexts")
        if not target.strip():
            raise Unscored("there is neither reference nor answer")
        verdicts: list[Verdict] = []
        while len(verdicts) < len(contexts):
            verdicts += _next(asker, contexts[len(verdicts) :], question, target)
    except Unscored as unscored:
        return asker.unscored(unscored)
    evidence = tuple(
        {"context": number, "useful": useful, "reason": reason} for number, (useful, reason) in enumerate(verdicts)
    )
    return Score(average_precision([v.positive for v in verdicts]), "", evidence, asker.ids)


def average_precision(useful: Sequence[bool]) -> float:
    """Mean over the useful ranks k of the share of useful ones among the first k; 0 if none is useful.

    >>> average_precision([True, False, True])
    0.8333333333333333
    """
    ranks = [rank for rank, is_useful in enumerate(useful, 1) if is_useful]
    return math.fsum(found / rank for found, rank in enumerate(ranks, 1)) / len(ranks) if ranks else 0.0


def _next(asker: Asker, contexts: Sequence[str], question: str, target: str) -> list[Verdict]:
    """Verdicts on as many of the first `contexts` as one request holds."""
    schema = prompts.USEFUL_SCHEMA
    count = len(contexts)
    while count and asker.window.room(_request(contexts[:count], question, target), reply_tokens(count), schema) < 0:
        count -= 1
    if not count:
        raise Unscored("a context does not fit the judge's window")
    return asker.ask(
        _request(contexts[:count], question, target),
        lambda reply: read_verdicts(reply, contexts[:count], "useful"),
        stage="context",
        schema=schema,
        max_tokens=reply_tokens(count),
    )


def _request(contexts: Sequence[str], question: str, target: str) -> list[prompts.Message]:
    return prompts.useful([Excerpt(context) for context in contexts], question, target)
