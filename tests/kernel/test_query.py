"""Retrieve, fill the window, draft, refine: no request over the window, nothing given twice, nothing left out."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from minirag import Page, QueryEngine, VectorStore, chunk, prompts
from minirag.errors import WindowTooSmall
from minirag.prompts import Excerpt
from minirag.query import Window, excerpts
from minirag.testing import FunctionChat
from minirag.text import encoding

PAGES = [
    Page(n, "report", " ".join(f"Fact {n}-{i} is about the matter of {n * i} widgets." for i in range(60)) + "\n")
    for n in range(1, 5)
]


class OneHot:
    """Each text of the store has its own direction; a question points to the chunk whose page it names."""

    model = "one-hot"

    def embed(self, texts: Sequence[str], **_: Any) -> np.ndarray:
        rows = np.full((len(texts), 6), 0.01, np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[int(re.search(r"(\d)", text).group(1))] = 1.0
        return rows


@pytest.fixture
def store():
    return VectorStore.build(chunk(PAGES, size=1024, overlap=128), OneHot())


def engine(store: VectorStore, reply: Any = lambda _: "the answer", **options: Any) -> tuple[QueryEngine, FunctionChat]:
    chat = FunctionChat(reply)
    return QueryEngine(store, chat, OneHot(), **options), chat


def given_text(chat: FunctionChat) -> list[str]:
    return [
        "".join(re.findall(r"<excerpt-[^>]*>\n(.*?)\n</excerpt", a["messages"][-1]["content"], re.S))
        for a in chat.asked
    ]


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
    sentences = re.findall(r"Fact \d-\d+ ", " ".join(given_text(chat)))
    expected = [s for hit in answer.hits for s in re.findall(r"Fact \d-\d+ ", hit.chunk.text)]
    assert sentences == expected
    for asked in chat.asked:
        assert chat.tokenizer.count_messages(asked["messages"]) + asked["max_tokens"] <= 1000


def test_each_refine_request_holds_the_answer_before_it_which_a_reply_of_nothing_leaves_as_it_is(store):
    replies = iter(["first", "second", *[""] * 100])
    querying, chat = engine(store, lambda _: next(replies), top_k=2, context_window=700, reply_tokens=100)
    answer = querying.query("What about 3?")
    shown = [re.findall(r"\n(first|second)\n", asked["messages"][-1]["content"]) for asked in chat.asked]
    assert shown == [[], ["first"], *[["second"]] * (len(shown) - 2)]
    assert (answer.text, len(shown) > 3) == ("second", True)


def test_text_that_two_chunks_share_is_given_once():
    pages = [Page(1, "report", " ".join(f"Sentence number {i} stands here." for i in range(200)) + "\n")]
    store = VectorStore.build(chunk(pages, size=300, overlap=100), OneHotByRow())
    querying, chat = engine(store, top_k=3, context_window=None)
    hits = store.search(np.ones(4, np.float32), 3)[0]
    querying.read("Q?", hits, {})
    numbers = re.findall(r"number (\d+)", given_text(chat)[0])
    assert len(numbers) == len(set(numbers))
    assert set(numbers) == {n for hit in hits for n in re.findall(r"number (\d+)", hit.chunk.text)}


class OneHotByRow(OneHot):
    def embed(self, texts: Sequence[str], **_: Any) -> np.ndarray:
        return np.eye(len(texts), 4, dtype=np.float32) + 0.1


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
        QueryEngine(store, chat, OneHot(), **options).query("What about 3?")
    assert chat.asked == []


@pytest.mark.parametrize("model", ["llama3.2", "qwen3:8b", "smollm2", "in-house-7b"])
def test_any_model_works_in_the_default_window_and_its_long_answer_costs_no_room(store, model):
    long = " ".join(["Bezugsgrößenverschiebungen"] * 100)  # bytes count it eight times as long as it is
    chat = FunctionChat(lambda _: long, model=model)
    chat.usage = {"completion_tokens": 250}
    answer = QueryEngine(store, chat, OneHot()).query("What about 3?")
    sentences = re.findall(r"Fact \d-\d+ ", " ".join(given_text(chat)))
    assert sentences == [s for hit in answer.hits for s in re.findall(r"Fact \d-\d+ ", hit.chunk.text)]


def test_answers_from_prompts_that_a_server_has_cut_are_marked(store):
    for read, is_cut in ((512, True), (None, False), (2000, False)):
        chat = FunctionChat(lambda _: "the answer")
        chat.usage = {"prompt_tokens": read}
        answer = QueryEngine(store, chat, OneHot()).query("What about 3?")
        assert answer.prompt_cut is is_cut
        assert ("prompt_cut" in answer.to_json("e001", "base")) is is_cut


# -- the window itself -------------------------------------------------------------------------------------


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
