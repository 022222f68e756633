"""Context relevancy: the share of the contexts' sentences that the question needs."""

from collections.abc import Sequence
from functools import partial

from minirag import prompts
from minirag.metrics.judge import Judge, for_one_score
from minirag.metrics.replies import Reply, list_at
from minirag.metrics.score import Score, Unscored
from minirag.models import Chat
from minirag.text import sentence_spans

TOKENS_PER_NUMBER = 4


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
    sentences = [sentence for sentence in sentences if sentence]
    needed: list[str] = []
    try:
        if not sentences:
            raise Unscored("there are no contexts")
        rest = sentences
        while rest:
            shown, reply = _first_that_fit(judge, rest, question)
            messages, read = prompts.needed(shown, question), partial(read_numbers, count=len(shown))
            numbers = judge.ask(messages, read, stage="context", schema=prompts.NEEDED_SCHEMA, max_tokens=reply)
            needed += [shown[number - 1] for number in numbers]
            rest = rest[len(shown) :]
    except Unscored as reason:
        return Score(None, str(reason), (), tuple(judge.exchanges))
    evidence = tuple({"sentence": sentence} for sentence in needed)
    return Score(len(needed) / len(sentences), "", evidence, tuple(judge.exchanges))


def _first_that_fit(judge: Judge, sentences: Sequence[str], question: str) -> tuple[Sequence[str], int]:
    """Return the first sentences, as many as one request holds, and the tokens to reserve for the reply."""
    count = len(sentences)
    while count:
        messages, reply = prompts.needed(sentences[:count], question), TOKENS_PER_NUMBER * count + 32
        if judge.budget.room(messages, reply, prompts.NEEDED_SCHEMA) >= 0:
            return sentences[:count], reply
        count = count * 3 // 4
    raise Unscored("a sentence does not fit the judge's window")


def read_numbers(reply: Reply, count: int) -> list[int]:
    """Return the numbers of a reply in order, each once. Raises ValueError for anything but 1 to `count`."""
    numbers = list_at(reply, "needed")
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= count:
            raise ValueError(f"'needed' holds {number!r:.40}, but the sentences go from 1 to {count}")
    return sorted(set(numbers))
