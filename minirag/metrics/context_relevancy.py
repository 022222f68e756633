"""Row 6. Context relevancy: how much of the retrieved text the question needs."""

from collections.abc import Mapping, Sequence
from typing import Any

from minirag import prompts
from minirag.metrics.score import Asker, Reply, Score, Unscored
from minirag.models import Chat, Embedder
from minirag.replies import listed
from minirag.sentences import sentence_spans

TOKENS_PER_NUMBER = 4


def context_relevancy(
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
    """Sentences of the contexts that answering the question takes ÷ all their sentences, in [0, 1].

    Calls: one, which lists the numbers of the needed sentences; with `window`, as many as it takes. `answer`,
    `reference` and `embed` are not used. Unscored with a reason: "there are no contexts"; "a sentence does not fit
    the judge's window"; "context: …, twice". `evidence`: `{"sentence"}` for each needed one. Raises ServiceError.
    Source: ragas of 2023, context_relevancy.

    >>> from minirag.testing import ScriptedChat
    >>> judge = ScriptedChat({"needed": [2]})
    >>> context_relevancy("When?", "", ["It rained. It opened in 1987."], judge=judge).value
    0.5
    """
    asker = Asker(judge, tags, repeat, window)
    sentences = [" ".join(text[start:end].split()) for text in contexts for start, end in sentence_spans(text)]
    sentences = [sentence for sentence in sentences if sentence]
    needed: list[str] = []
    seen = 0
    try:
        if not sentences:
            raise Unscored("there are no contexts")
        while seen < len(sentences):
            batch = _batch(asker, sentences[seen:], question)
            needed += _needed(asker, batch, question)
            seen += len(batch)
    except Unscored as unscored:
        return asker.unscored(unscored)
    evidence = tuple({"sentence": sentence} for sentence in needed)
    return Score(len(needed) / len(sentences), "", evidence, asker.ids)


def _reply(count: int) -> int:
    return TOKENS_PER_NUMBER * count + 32


def _batch(asker: Asker, sentences: Sequence[str], question: str) -> Sequence[str]:
    """As many of the first sentences as one request holds."""
    count = len(sentences)
    while (
        count
        and asker.window.room(prompts.needed(sentences[:count], question), _reply(count), prompts.NEEDED_SCHEMA) < 0
    ):
        count = count * 3 // 4
    if not count:
        raise Unscored("a sentence does not fit the judge's window")
    return sentences[:count]


def _needed(asker: Asker, sentences: Sequence[str], question: str) -> list[str]:
    numbers = asker.ask(
        prompts.needed(sentences, question),
        lambda reply: read_numbers(reply, len(sentences)),
        stage="context",
        schema=prompts.NEEDED_SCHEMA,
        max_tokens=_reply(len(sentences)),
    )
    return [sentences[number - 1] for number in numbers]


def read_numbers(reply: Reply, count: int) -> list[int]:
    """The numbers of a reply in order, each once; ValueError for anything that is no number from 1 to `count`."""
    numbers = listed(reply, "needed")
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= count:
            raise ValueError(f"'needed' holds {number!r:.40}, but the sentences go from 1 to {count}")
    return sorted(set(numbers))
