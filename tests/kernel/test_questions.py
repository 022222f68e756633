"""Questions: exactly as many as asked for, spread over the document, no page in both splits."""

import json
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from doubles import Rows
from minirag import Chunk, Page, VectorStore, chunk
from minirag.errors import InputError
from minirag.questions import (
    PAGE_GUESSED,
    SPLITS,
    Question,
    make_questions,
    near_duplicate,
    read_questions,
    split_pages,
)
from minirag.testing import FunctionChat
from minirag.text import words

WORDS = "amber basalt cedar delta ember fjord garnet harbour iris juniper kelp lagoon maple nectar opal pine".split()


def pages(count: int) -> list[Page]:
    texts = (f"On page {n} the {WORDS[n % 16]} of {WORDS[n // 16]} is described at length. " * 6 for n in range(count))
    return [Page(n, "doc", text + "\n") for n, text in enumerate(texts, 1)]


def writer(reply: Any = None) -> FunctionChat:
    """Writes two questions that name what the excerpt is about."""

    def ask(messages: Sequence[Any]) -> str:
        words = messages[-1]["content"].split("On page ")[1].split()
        topic = f"{words[0]} {words[2]} {words[4]}"
        return json.dumps({"questions": [f"What is {topic}?", f"Where and when did {topic} come from, and why?"]})

    return FunctionChat(reply or ask)


def generate(chunks: Sequence[Chunk], chat: FunctionChat, counts: dict[str, int], **options: Any) -> list[Question]:
    """Make questions without files, so that nothing is embedded."""
    embed = Rows(lambda texts: np.eye(len(texts)))
    return make_questions(counts, chunks, VectorStore.build(chunks, embed), embed, chat, **options)


def test_exactly_the_number_asked_for_spread_over_different_pages():
    questions = generate(chunk(pages(60)), writer(), {"train": 20, "eval": 20})
    assert Counter(q.split for q in questions) == {"train": 20, "eval": 20}
    by_split = {split: {q.page for q in questions if q.split == split} for split in SPLITS}
    assert [len(by_split[split]) for split in SPLITS] == [20, 20]
    assert not by_split["train"] & by_split["eval"]
    assert max(q.page for q in questions) > 50
    assert min(q.page for q in questions) < 10
    assert len({q.id for q in questions}) == 40
    assert all(q.chunk_id for q in questions)
    assert generate(chunk(pages(60)), writer(), {"train": 20, "eval": 20}, workers=1) == questions
    other = generate(chunk(pages(60)), writer(), {"train": 20, "eval": 20}, seed=1)
    assert [q.page for q in other] != [q.page for q in questions]


def test_questions_are_shared_out_evenly_among_few_pages():
    def ask(messages: Sequence[Any]) -> str:
        page = messages[-1]["content"].split("On page ")[1].split()[0]
        return json.dumps({"questions": [f"Which {topic} has {page}?" for topic in WORDS[:8]]})

    questions = generate(chunk(pages(8)), writer(ask), {"train": 14, "eval": 10})
    for split in SPLITS:
        counts = Counter(q.page for q in questions if q.split == split)
        assert max(counts.values()) - min(counts.values()) <= 1


def test_useless_replies_are_made_up_for_and_too_few_different_questions_are_fewer():
    replies = iter(["no JSON", '{"questions": "x"}', '{"questions": [1, null]}', '{"questions": ["No mark"]}'])
    model = writer()
    good = model.reply
    model.reply = lambda messages: next(replies, None) or good(messages)
    assert len(generate(chunk(pages(30)), model, {"train": 10}, workers=1)) == 10
    assert len(generate(chunk(pages(30)), writer(lambda _: '{"questions": ["Always the same?"]}'), {"train": 9})) == 1
    with pytest.raises(InputError, match=r"No train question could be written from the 30 chunks .*no JSON"):
        generate(chunk(pages(30)), writer(lambda _: "no JSON"), {"train": 9})


LETTERS = st.frozensets(st.sampled_from("abcdefghij"), max_size=10)


@given(LETTERS, st.lists(LETTERS, max_size=12))
def test_a_near_duplicate_is_the_first_that_shares_four_fifths_of_all_words(asked, others):
    first = next(
        (n for n, other in enumerate(others) if len(asked & other) >= Fraction(4, 5) * len(asked | other)), None
    )
    assert near_duplicate(asked, others) == first


@given(st.integers(2, 300), st.integers(1, 200), st.integers(1, 200), st.integers(0, 50))
def test_splitting_gives_each_page_to_one_split_and_both_splits_some(count, train, test, seed):
    keys = [("d", n) for n in range(count)]
    split = split_pages(keys, train, test, seed)
    assert sorted(split["train"] + split["eval"]) == keys
    assert split["train"]
    assert split["eval"]
    with pytest.raises(InputError, match="only one page"):
        split_pages(keys[:1], train, test, seed)


def test_a_file_is_taken_line_by_line_as_it_is(tmp_path):
    path = tmp_path / "q.txt"
    path.write_bytes("\ufeffWho?\r\n\n  What  is\tthis?  \nStatement\n".encode())
    assert read_questions(path) == ["Who?", "What is this?", "Statement"]


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "holds no question"), (b"\xff\xfe\x00", "save it as UTF-8"), (None, "No such file")],
)
def test_a_file_without_questions_is_a_sentence(tmp_path, content, says):
    path = tmp_path / "q.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_questions(path)


def test_a_question_from_a_file_takes_its_nearest_page_and_is_not_written_again(tmp_path):
    # the first of two texts is nearest to the fourth chunk, the second to the second
    embed, chunks = Rows(lambda texts: np.eye(30)[[3, 1] if len(texts) == 2 else range(30)]), chunk(pages(30))
    store = VectorStore.build(chunks, embed)
    (tmp_path / "q.txt").write_text(f"Who?\nWhat is 9 {WORDS[8]} {WORDS[0]}?\n")
    made = make_questions({"train": 28, "eval": str(tmp_path / "q.txt")}, chunks, store, embed, writer())
    evaluated = [question for question in made if question.split == "eval"]
    assert [(q.id, q.page, q.flags) for q in evaluated] == [("e001", 4, (PAGE_GUESSED,)), ("e002", 2, (PAGE_GUESSED,))]
    trained = [question for question in made if question.split == "train"]
    assert len(trained) == 28
    assert not {question.page for question in trained} & {2, 4}
    assert near_duplicate(words(evaluated[1].text), [words(question.text) for question in trained]) is None
