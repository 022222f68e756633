"""Chunks: exact counts, exact slices, full cover, kept order, on any text; and cuts where a reader would cut."""

import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import example, given, settings, strategies as st

from minirag.chunker import TOKENIZER, Page, chunk
from minirag.errors import InputError
from minirag.text import sentence_spans

count = TOKENIZER.count
WORDS = ["the", " net", "Income", "'s ", " 2022", "3.5", ". ", "! ", "\n", "\n\n", "  ", "\t", "。", "、", "年度", "は"]
WORDS += ["營業", "é", "👩‍👩‍👧‍👦", "\ufe0f", "/", "•", "a" * 16, "Zq9_", "\r\n", "\u3000", "=====", "\x1c", "\ud800"]
any_text = st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=3)), max_size=120).map("".join)


def check(pages, chunks, size, overlap):
    """All that is promised of chunks, by counting and slicing afresh."""
    sources = {page.source: "".join(p.text for p in pages if p.source == page.source) for page in pages}
    assert [c.text for c in chunks] == [sources[c.source][c.start : c.end] for c in chunks]
    assert [c.tokens for c in chunks] == [count(c.text) for c in chunks]
    assert all(c.tokens <= size for c in chunks)
    assert len({c.id for c in chunks}) == len(chunks)
    offsets = dict.fromkeys(sources, 0)
    for page in pages:
        start, end = offsets[page.source], offsets[page.source] + len(page.text)
        offsets[page.source] = end
        own = [c for c in chunks if (c.source, c.page) == (page.source, page.number)]
        assert all(start <= c.start < c.end <= end for c in own)
        assert all(a.start < b.start and a.end < b.end for a, b in pairwise(own))
        shared = [sources[page.source][b.start : a.end] for a, b in pairwise(own)]
        assert all(count(text) <= overlap for text in shared)
        missing = set(range(start, end)).difference(*(range(c.start, c.end) for c in own))
        assert not "".join(sources[page.source][i] for i in missing).strip()


@given(any_text, any_text, st.integers(16, 60), st.floats(0, 0.5))
@example("a " + "b" * 5000 + " c. " + "。" * 3000 + " " * 9000 + "x", "", 16, 0.5)
@example("Ab. " * 30 + "".join("b" * n + ". " for n in range(480, 560, 7)), "", 60, 0.5)
@example("a \ud83d\ude00. " * 60, "", 16, 0.5)
@example("e" + "́" * 3000, "=" * 2500 + "年" * 2500 + "Zq9" * 900 + "\ufe0f。" * 900, 31, 0.3)
@settings(max_examples=300, deadline=None)
def test_every_promise_holds_on_any_text(first, second, size, share):
    overlap = int(size * share)
    pages = [Page(1, "a", first), Page(1, "b", second), Page(2, "a", second + first)]
    check(pages, chunk(pages, size=size, overlap=overlap), size, overlap)


def counted_afresh(text, size, overlap):
    """The (start, end, tokens) of a page's chunks, by the rules alone: every slice that is looked at is encoded."""
    if count(text) <= size:
        return [(0, len(text), count(text))]
    borders, spans = [end for _, end in sentence_spans(text)], []
    last, end = -1, 0
    while end < len(text):
        following = next(b for b in borders if b > end)
        shared = [b for b in borders if last < b < end] if overlap and end in borders else []
        fits = (b for b in shared if count(text[b:end]) <= overlap and count(text[b:following]) <= size)
        start = next(fits, end)
        ends = [b for b in borders if b > end and count(text[start:b]) <= size]
        if ends:
            last_quarter = [b for b in ends if count(text[b : ends[-1]]) <= size // 4]
            paragraphs = [b for b in last_quarter if re.search(r"\n\s*\n\s*$", text[max(b - 8, 0) : b])]
            stop = (ends if ends[-1] == len(text) else paragraphs or ends)[-1]
        else:
            stop = start + TOKENIZER.prefix(text[start:], size)
            word = re.search(r"(?<=\s)\S+\Z", text[start:stop])
            if word and text[start : start + word.start()].strip() and re.match(r"\S", text[stop:]):
                stop = start + word.start()
            while count(text[start:stop]) > size:
                stop -= 1
        spans.append((start, stop, count(text[start:stop])))
        last, end = start, stop
    return spans


words_text = st.lists(st.sampled_from([*WORDS[:16], "word ", "Another one. ", "營業", "/", "•", "Zq9_"]), max_size=200)


@given(words_text.map("".join), st.integers(16, 60), st.floats(0, 0.5))
@settings(max_examples=300, deadline=None)
def test_cuts_are_where_the_rules_put_them_when_every_slice_is_counted_afresh(text, size, share):
    chunks = chunk([Page(1, "a", text)], size=size, overlap=int(size * share))
    spans = counted_afresh(text, size, int(size * share)) if text else []
    assert [span for span in spans if text[slice(*span[:2])].strip()] == [(c.start, c.end, c.tokens) for c in chunks]


def test_blank_pages_give_no_chunk_but_count_in_the_offsets():
    chunks = chunk([Page(1, "a", "Hi. "), Page(2, "a", " \n "), Page(3, "a", ""), Page(4, "a", "Bye.")])
    assert [(c.page, c.start, c.end, c.text) for c in chunks] == [(1, 0, 4, "Hi. "), (4, 7, 11, "Bye.")]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"size": 15}, "The chunk size of 15 tokens is too small: take 16 or more."),
        ({"size": 20, "overlap": 11}, "A chunk overlap of 11 tokens does not suit a size of 20: take 0 to 10."),
        ({"overlap": -1}, "A chunk overlap of -1 tokens does not suit a size of 1024: take 0 to 512."),
    ],
)
def test_unusable_settings_are_refused_in_a_sentence(arguments, sentence):
    with pytest.raises(InputError) as caught:
        chunk([], **arguments)
    assert str(caught.value) == sentence


def test_an_executor_cuts_the_same_chunks():
    pages = [Page(n, "a", f"Page {n} is short. " * n) for n in range(70)]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        assert chunk(pages, size=16, overlap=4, executor=executor) == chunk(pages, size=16, overlap=4)
