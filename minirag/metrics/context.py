"""The three metrics of the contexts: are they ranked well, do they hold the reference answer, and how much else?"""

import math
from collections.abc import Sequence
from functools import partial

from minirag import prompts
from minirag.metrics.judge import Judge, Verdict, for_one_score, is_number, supported_share
from minirag.metrics.score import Score, Unscored
from minirag.models import Chat
from minirag.prompts import Excerpt, Message, Reply, list_at
from minirag.text import sentence_spans

TOKENS_PER_NUMBER = 4


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
            count = judge.most(rest, build, schema)
            if count == 0:
                raise Unscored("a context does not fit the judge's window")
            verdicts += judge.verdicts(build(rest[:count]), count, key="useful", stage="context", schema=schema)
    except Unscored as reason:
        return Score(None, str(reason), (), tuple(judge.exchanges))
    evidence = tuple({"context": number, **verdict} for number, verdict in enumerate(verdicts))
    return Score(average_precision([v["useful"] for v in verdicts]), "", evidence, tuple(judge.exchanges))


def average_precision(useful: Sequence[bool]) -> float:
    """Return the mean, over the useful ranks k, of the useful share of the first k; 0 if none is useful.

    >>> average_precision([True, False, True])
    0.8333333333333333
    """
    ranks = [rank for rank, is_useful in enumerate(useful, 1) if is_useful]
    return math.fsum(count / rank for count, rank in enumerate(ranks, 1)) / len(ranks) if ranks else 0.0


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
    sentences = [text for start, end in sentence_spans(reference) if (text := reference[start:end].strip())]
    try:
        if not sentences:
            raise Unscored("there is no reference answer")
        return supported_share(judge, sentences, contexts, stage="context")
    except Unscored as reason:
        return Score(None, str(reason), (), tuple(judge.exchanges))


def context_relevancy(question: str, answer: str, contexts: Sequence[str], *, judge: Chat | Judge) -> Score:
    """Return sentences of the contexts needed to answer the question ÷ all their sentences (ragas of 2023).

    One call lists the numbers of the needed sentences; more calls where they do not fit the judge's window. `answer` is
    not used. Unscored without contexts. `evidence`: `{"sentence"}` for each needed one.

    >>> from minirag.testing import ScriptedChat
    >>> judge = ScriptedChat({"needed": [2]})
    >>> context_relevancy("When?", "", ["It rained. It opened in 1987."], judge=judge).value
    0.5
    """
    judge = for_one_score(judge)
    sentences = [" ".join(text[start:end].split()) for text in contexts for start, end in sentence_spans(text)]
    sentences = rest = [sentence for sentence in sentences if sentence]
    schema = prompts.NEEDED_SCHEMA
    needed: list[str] = []
    try:
        if not sentences:
            raise Unscored("there are no contexts")
        while rest:
            count = len(rest)
            while True:
                messages, reply = prompts.needed(rest[:count], question), TOKENS_PER_NUMBER * count + 32
                if count == 0 or judge.budget.room(messages, reply, schema) >= 0:
                    break
                count = count * 3 // 4
            if count == 0:
                raise Unscored("a sentence does not fit the judge's window")
            read = partial(read_numbers, count=count)
            numbers = judge.ask(messages, read, stage="context", schema=schema, max_tokens=reply)
            needed += [rest[number - 1] for number in numbers]
            rest = rest[count:]
    except Unscored as reason:
        return Score(None, str(reason), (), tuple(judge.exchanges))
    evidence = tuple({"sentence": sentence} for sentence in needed)
    return Score(len(needed) / len(sentences), "", evidence, tuple(judge.exchanges))


def read_numbers(reply: Reply, count: int) -> list[int]:
    """Return the numbers of a reply in order, each once. Raises ValueError for anything but 1 to `count`."""
    numbers = list_at(reply, "needed")
    for number in numbers:
        if not is_number(number, count):
            raise ValueError(f"'needed' holds {number!r:.40}, but the sentences go from 1 to {count}")
    return sorted(set(numbers))
