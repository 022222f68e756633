"""Context recall: the share of a reference answer's sentences that the contexts support."""

from collections.abc import Sequence

from minirag.metrics.judge import Judge, for_one_score, supported_share
from minirag.metrics.score import Score, Unscored
from minirag.models import Chat
from minirag.text import sentence_spans


def context_recall(
    question: str, answer: str, contexts: Sequence[str], *, judge: Chat | Judge, reference: str | None = None
) -> Score:
    """Return sentences of the reference answer that the contexts support ÷ all its sentences (ragas, context_recall).

    One call gives a verdict for each sentence. `question` and `answer` are not used. Unscored without a reference.
    `evidence` is that of faithfulness.

    >>> from minirag.testing import ScriptedChat
    >>> judge = ScriptedChat({"verdicts": [{"index": 1, "supported": 1}, {"index": 2, "supported": 0}]})
    >>> context_recall("", "", ["It opened in 1987."], judge=judge, reference="It opened in 1987. It is blue.").value
    0.5
    """
    judge = for_one_score(judge)
    reference = reference or ""
    sentences = [
        reference[start:end].strip() for start, end in sentence_spans(reference) if reference[start:end].strip()
    ]
    try:
        if not sentences:
            raise Unscored("there is no reference answer")
        return supported_share(judge, sentences, contexts, stage="context")
    except Unscored as reason:
        return Score(None, str(reason), (), tuple(judge.exchanges))
