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
    sentences = rest = [sentence for sentence in sentences if sentence]
    build, schema = partial(prompts.needed, question=question), prompts.NEEDED_SCHEMA
    needed: list[str] = []
    try:
        if not sentences:
            raise Unscored("there are no contexts")
        while rest:
            count, reply = len(rest), _reply_tokens(len(rest))
            while count and judge.budget.room(build(rest[:count]), reply, schema) < 0:
                count = count * 3 // 4
                reply = _reply_tokens(count)
            if count == 0:
                raise Unscored("a sentence does not fit the judge's window")
            read = partial(read_numbers, count=count)
            numbers = judge.ask(build(rest[:count]), read, stage="context", schema=schema, max_tokens=reply)
            needed += [rest[number - 1] for number in numbers]
            rest = rest[count:]
    except Unscored as reason:
        return Score(None, str(reason), (), tuple(judge.exchanges))
    evidence = tuple({"sentence": sentence} for sentence in needed)
    return Score(len(needed) / len(sentences), "", evidence, tuple(judge.exchanges))


def _reply_tokens(sentences: int) -> int:
    """Return the tokens to reserve for the numbers of so many sentences."""
    return TOKENS_PER_NUMBER * sentences + 32


def read_numbers(reply: Reply, count: int) -> list[int]:
    """Return the numbers of a reply in order, each once. Raises ValueError for anything but 1 to `count`."""
    numbers = list_at(reply, "needed")
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= count:
            raise ValueError(f"'needed' holds {number!r:.40}, but the sentences go from 1 to {count}")
    return sorted(set(numbers))
