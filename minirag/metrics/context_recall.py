"""Row 6. Context recall: which share of a reference answer the retrieved text holds."""

from collections.abc import Mapping, Sequence
from typing import Any

from minirag.metrics.judging import supported_share
from minirag.metrics.score import Asker, Score, Unscored
from minirag.models import Chat, Embedder
from minirag.sentences import sentence_spans


def context_recall(
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
    """Sentences of the reference answer that the contexts support ÷ all its sentences, in [0, 1].

    Calls: one, with a verdict for each sentence. `question`, `answer` and `embed` are not used. Unscored with a
    reason: "there is no reference answer"; "context: …, twice". `evidence`: `{"statement", "supported", "reason",
    "span"}` for each sentence. Raises ServiceError. Source: ragas, context_recall.

    >>> from minirag.testing import ScriptedChat
    >>> judge = ScriptedChat({"verdicts": [{"index": 1, "supported": 1}, {"index": 2, "supported": 0}]})
    >>> context_recall("", "", ["It opened in 1987."], judge=judge, reference="It opened in 1987. It is blue.").value
    0.5
    """
    asker = Asker(judge, tags, repeat, window)
    sentences = [reference[start:end].strip() for start, end in sentence_spans(reference)] if reference else []
    sentences = [sentence for sentence in sentences if sentence]
    try:
        if not sentences:
            raise Unscored("there is no reference answer")
        return supported_share(asker, contexts, sentences, "context")
    except Unscored as unscored:
        return asker.unscored(unscored)
