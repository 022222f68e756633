"""Retrieve, fill the window, draft, refine: no request over the window, nothing given twice, nothing left out."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from doubles import Rows
from minirag import Page, QueryEngine, VectorStore, chunk, prompts
from minirag.errors import WindowTooSmall
from minirag.models import Hit
from minirag.prompts import Excerpt
from minirag.query import Window, excerpts
from minirag.testing import FunctionChat
from minirag.text import encoding

PAGES = [
    Page(n, "report", " ".join(f"Fact {n}-{i} is about the matter of {n * i} widgets." for i in range(60)) + "\n")
    for n in range(1, 5)
]


def directions(texts: Sequence[str]) -> np.ndarray:
    """Each page has its own direction; a question points to the chunk whose page it names."""
    pages = [int(re.search(r"\d", text)[0]) for text in texts]
    return np.eye(6)[pages] + 0.01


EMBED = Rows(directions)


@pytest.fixture
def store():
    return VectorStore.build(chunk(PAGES, size=1024, overlap=128), EMBED)


def engine(store: VectorStore, reply: Any = lambda _: "the answer", **options: Any) -> tuple[QueryEngine, FunctionChat]:
    chat = FunctionChat(reply)
    return QueryEngine(store, chat, EMBED, **options), chat


def shown(chat: FunctionChat, pattern: str) -> list[str]:
    """Return all that matches in the excerpts that a model was shown, in order."""
    prompts = "".join(asked["messages"][-1]["content"] for asked in chat.asked)
    return re.findall(pattern, "".join(re.findall(r"<excerpt-[^>]*>\n(.*?)\n</excerpt", prompts, re.S)))


def facts(hits: Iterable[Hit], pattern: str = r"Fact \d-\d+ ") -> list[str]:
    return [fact for hit in hits for fact in re.findall(pattern, hit.chunk.text)]


def test_what_fits_one_request_is_one_draft(store):
    querying, chat = engine(store, top_k=1, context_window=4096)
    answer = querying.query("What about 2?", tags={"question": "q7"})
    assert (answer.text, len(answer.drafts), [hit.chunk.page for hit in answer.hits]) == ("the answer", 1, [2])
    assert chat.asked[0]["stage"] == "draft"
    assert answer.contexts == [PAGES[1].text]
    assert chat.asked[0]["tags"] == {"question": "q7", "draft": 1, "chunks": [answer.hits[0].chunk.id]}
    assert 'page="2"' in chat.asked[0]["messages"][-1]["content"]


def test_what_does_not_fit_is_refined_and_every_sentence_is_given_exactly_once(store):
    querying, chat = engine(store, top_k=2, context_window=1000, reply_tokens=200)
    answer = querying.query("What about 3?")
    assert [a["stage"] for a in chat.asked] == ["draft"] + ["refine"] * (len(chat.asked) - 1)
    assert len(chat.asked) > 2
    assert shown(chat, r"Fact \d-\d+ ") == facts(answer.hits)
    for asked in chat.asked:
        assert chat.tokenizer.count_messages(asked["messages"]) + asked["max_tokens"] <= 1000


def test_each_refine_request_holds_the_answer_before_it_which_a_reply_of_nothing_leaves_as_it_is(store):
    replies = iter(["first", "second", *[""] * 100])
    querying, chat = engine(store, lambda _: next(replies), top_k=2, context_window=700, reply_tokens=100)
    answer = querying.query("What about 3?")
    earlier = [re.findall(r"\n(first|second)\n", asked["messages"][-1]["content"]) for asked in chat.asked]
    assert earlier == [[], ["first"], *[["second"]] * (len(earlier) - 2)]
    assert (answer.text, len(earlier) > 3) == ("second", True)


def test_text_that_two_chunks_share_is_given_once():
    pages = [Page(1, "report", " ".join(f"Sentence number {i} stands here." for i in range(200)) + "\n")]
    store = VectorStore.build(chunk(pages, size=300, overlap=100), Rows(lambda texts: np.eye(len(texts), 4) + 0.1))
    querying, chat = engine(store, top_k=3, context_window=None)
    hits = querying.query("Q?", vector=np.ones(4, np.float32)).hits
    numbers = shown(chat, r"number (\d+)")
    assert len(numbers) == len(set(numbers))
    assert set(numbers) == set(facts(hits, r"number (\d+)"))


@pytest.mark.parametrize(
    ("model", "options", "error"),
    [
        ("gpt-4o", {"context_window": 200, "reply_tokens": 100}, "raise --context-window"),
        ("gpt-4o", {"context_window": 460, "reply_tokens": 160}, "raise --context-window"),  # enough for a draft alone
        ("in-house-7b", {"context_window": 1024}, "--tokenizer FILE"),  # its vocabulary is not known: bytes
    ],
)
def test_a_window_too_small_is_found_before_anything_is_sent(store, model, options, error):
    chat = FunctionChat(lambda _: "word " * 250, model=model)
    with pytest.raises(WindowTooSmall, match=error):
        QueryEngine(store, chat, EMBED, **options).query("What about 3?")
    assert chat.asked == []


@pytest.mark.parametrize("model", ["llama3.2", "qwen3:8b", "smollm2", "in-house-7b"])
def test_any_model_works_in_the_default_window_and_its_long_answer_costs_no_room(store, model):
    long = " ".join(["Bezugsgrößenverschiebungen"] * 100)  # bytes count it eight times as long as it is
    chat = FunctionChat(lambda _: long, model=model)
    chat.usage = {"completion_tokens": 250}
    answer = QueryEngine(store, chat, EMBED).query("What about 3?")
    assert shown(chat, r"Fact \d-\d+ ") == facts(answer.hits)


def test_answers_from_prompts_that_a_server_has_cut_are_marked(store):
    for read, is_cut in ((512, True), (None, False), (2000, False)):
        chat = FunctionChat(lambda _: "the answer")
        chat.usage = {"prompt_tokens": read}
        answer = QueryEngine(store, chat, EMBED).query("What about 3?")
        assert answer.prompt_cut is is_cut
        assert ("prompt_cut" in answer.to_json("e001", "base")) is is_cut


@given(text=st.text(max_size=400), limit=st.integers(12, 60))
@settings(max_examples=40, deadline=None)
def test_units_tile_their_passages_and_keep_to_the_limit(text, limit):
    window = Window(encoding("o200k_base"), 1000)
    units = window.units([Excerpt(text, 3)], limit)
    assert "".join(unit.text for unit in units) == text
    assert all(encoding("o200k_base").count(unit.text) <= limit for unit in units)


@given(texts=st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=12), size=st.integers(220, 500))
@settings(max_examples=40, deadline=None)
def test_take_takes_as_many_units_as_fit_and_never_more(texts, size):
    window = Window(encoding("o200k_base"), size)
    units = window.units([Excerpt(text, n) for n, text in enumerate(texts)], 60)

    def build(given: Sequence[Excerpt]) -> list[prompts.Message]:
        return prompts.draft("Q?", given)

    count = window.take(units, build, 50)
    assert window.room(build(excerpts(units[:count])), 50) >= 0
    if count < len(units):  # the mark in the fence changes with the text, so one more may just fit
        assert window.room(build(excerpts(units[: count + 1])), 50) < 12
