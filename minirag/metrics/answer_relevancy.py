"""Row 6. Answer relevancy: how near the questions that an answer would answer are to the one that was asked."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minirag import prompts
from minirag.errors import InputError
from minirag.metrics.score import Asker, Reply, Score, Unscored
from minirag.models import Chat, Embedder
from minirag.replies import listed

TOKENS_PER_QUESTION = 80


def answer_relevancy(
    question: str,
    answer: str,
    contexts: Sequence[str] = (),
    *,
    judge: Chat,
    embed: Embedder | None = None,
    reference: str | None = None,
    window: int | None = None,
    n: int = 3,
    tags: Mapping[str, Any] | None = None,
    repeat: int = 0,
) -> Score:
    """Mean cosine of the question with `n` questions written from the answer alone, in [0, 1] (below 0 counts as 0).

    0 if all n are noncommittal ("all", not "any"). Calls: one that returns all n questions, so that the value does
    not depend on how a service samples, and one for the vectors. The judge never sees `question`; `contexts`
    and `reference` are not used.

    Unscored (`value` None) with a reason: "the answer is empty"; "the answer does not fit the judge's window";
    "reverse: …, twice" where the judge's reply is unusable. `evidence`: `{"question", "cosine", "noncommittal"}` for
    each. Raises InputError without `embed`, and ServiceError. Source: ragas, answer_relevancy.

    >>> from minirag.testing import ScriptedChat, TableEmbedding
    >>> asked = [{"question": "Who?", "noncommittal": False}, {"question": "Where?", "noncommittal": False}]
    >>> table = TableEmbedding({"Who is it?": [1, 0], "Who?": [1, 0], "Where?": [0, 1]})
    >>> answer_relevancy("Who is it?", "Ann.", judge=ScriptedChat({"questions": asked}), embed=table, n=2).value
    0.5
    """
    if embed is None:
        raise InputError("answer_relevancy needs an embedding model; pass embed=EmbeddingModel(…).")
    asker = Asker(judge, tags, repeat, window)
    try:
        if not answer.strip():
            raise Unscored("the answer is empty")
        reply = TOKENS_PER_QUESTION * (n + 1)
        if asker.window.room(prompts.reverse(answer, n), reply, prompts.REVERSE_SCHEMA) < 0:
            raise Unscored("the answer does not fit the judge's window")
        written = asker.ask(
            prompts.reverse(answer, n),
            lambda reply: read_questions(reply, n),
            stage="reverse",
            schema=prompts.REVERSE_SCHEMA,
            max_tokens=reply,
        )
    except Unscored as unscored:
        return asker.unscored(unscored)
    vectors = embed.embed([question, *(text for text, _ in written)], tags=tags).astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1)
    cosines = (vectors[1:] @ vectors[0]) / np.maximum(norms[1:] * norms[0], 1e-12)
    evidence = tuple(
        {"question": text, "cosine": round(float(cosine), 6), "noncommittal": noncommittal}
        for (text, noncommittal), cosine in zip(written, cosines, strict=True)
    )
    committed = not all(noncommittal for _, noncommittal in written)
    value = min(1.0, max(0.0, float(cosines.mean()))) if committed else 0.0
    return Score(value, evidence=evidence, exchanges=tuple(asker.ids))


def read_questions(reply: Reply, n: int) -> list[tuple[str, bool]]:
    """The n questions of a reply with their noncommittal flags; ValueError names the fault."""
    items = listed(reply, "questions")
    if not all(isinstance(item, dict) for item in items):
        raise ValueError("'questions' is not a list of objects")
    if len(items) != n:
        raise ValueError(f"there are {len(items)} questions where {n} were asked for")
    written = []
    for item in items:
        text, noncommittal = item.get("question"), item.get("noncommittal")
        if not isinstance(text, str) or not text.strip():
            raise ValueError("a question is empty")
        if noncommittal not in (0, 1, True, False) or isinstance(noncommittal, float):
            raise ValueError(f"a noncommittal flag is {noncommittal!r:.40}, neither true nor false")
        written.append((text.strip(), bool(noncommittal)))
    return written
