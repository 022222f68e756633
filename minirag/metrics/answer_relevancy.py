"""Answer relevancy: how close the questions that an answer would answer are to the one that was asked."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from minirag import prompts
from minirag.metrics.judge import Judge, for_one_score
from minirag.metrics.score import Score, Unscored
from minirag.models import Chat, Embedder
from minirag.prompts import Reply, list_at

TOKENS_PER_QUESTION = 80


def answer_relevancy(
    question: str,
    answer: str,
    contexts: Sequence[str] = (),
    *,
    judge: Chat | Judge,
    embed: Embedder,
    n: int = 3,
) -> Score:
    """Return the mean cosine of the question with `n` questions written from the answer alone (ragas).

    0 if the mean is below 0, or if all n questions are noncommittal. One call returns all n, so that the value does not
    depend on a service's support of repeated samples; one call embeds them. The judge never sees `question`; `contexts`
    are not used. Unscored if the answer is empty. `evidence`: `{"question", "cosine", "noncommittal"}` each.

    >>> from minirag.testing import ScriptedChat, TableEmbedding
    >>> written = [{"question": "Who?", "noncommittal": False}, {"question": "Where?", "noncommittal": False}]
    >>> table = TableEmbedding({"Who is it?": [1, 0], "Who?": [1, 0], "Where?": [0, 1]})
    >>> answer_relevancy("Who is it?", "Ann.", judge=ScriptedChat({"questions": written}), embed=table, n=2).value
    0.5
    """
    judge = for_one_score(judge)
    messages, schema, reply = prompts.reverse(answer, n), prompts.REVERSE_SCHEMA, TOKENS_PER_QUESTION * (n + 1)
    try:
        if not answer.strip():
            raise Unscored("the answer is empty")
        if judge.budget.room(messages, reply, schema) < 0:
            raise Unscored("the answer does not fit the judge's window")
        read = partial(read_questions, n=n)
        written = judge.ask(messages, read, stage="reverse", schema=schema, max_tokens=reply)
    except Unscored as reason:
        return Score(None, str(reason), (), tuple(judge.exchanges))
    vectors = embed.embed([question, *(text for text, _ in written)], tags=judge.tags).astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1)
    cosines = (vectors[1:] @ vectors[0]) / np.maximum(norms[1:] * norms[0], 1e-12)
    evidence = tuple(
        {"question": text, "cosine": round(float(cosine), 6), "noncommittal": noncommittal}
        for (text, noncommittal), cosine in zip(written, cosines, strict=True)
    )
    is_committed = not all(noncommittal for _, noncommittal in written)
    value = min(1.0, max(0.0, float(cosines.mean()))) if is_committed else 0.0
    return Score(value, "", evidence, tuple(judge.exchanges))


def read_questions(reply: Reply, n: int) -> list[tuple[str, bool]]:
    """Return the n questions of a reply with their noncommittal flags. Raises ValueError naming the fault."""
    items, questions = list_at(reply, "questions"), []
    if len(items) != n:
        raise ValueError(f"there are {len(items)} questions where {n} were asked for")
    for item in items:
        row = item if isinstance(item, dict) else {}
        text, noncommittal = row.get("question"), row.get("noncommittal")
        if not isinstance(text, str) or not text.strip():
            raise ValueError("a question is empty")
        if not isinstance(noncommittal, int) or noncommittal not in (0, 1):
            raise ValueError(f"a noncommittal flag is {noncommittal!r:.40}, neither true nor false")
        questions.append((text.strip(), bool(noncommittal)))
    return questions
