"""What is taken out of pages: headers, footers and page numbers at the edges, and characters that nobody can send."""

import pytest
from hypothesis import given, strategies as st

from minirag.pdf import clean_characters, clean_pages
from pdfs import WORDS


def test_characters_that_services_refuse_go():
    assert clean_characters("a\0b\ud800c\x07d\r\ne\vf \u2003\n\ud83d\ude00\n\n") == "abcd\ne\nf\n😀\n"


def test_headers_footers_and_page_numbers_go_at_the_edges_only():
    bodies = [f"{word.title()} begins.\n{number}\n42\nIt ends with {word}." for number, word in enumerate(WORDS, 1)]
    pages = [f"Acme\n\n{body}\nForm 10-K\nPage {n} of 17" for n, body in enumerate(bodies, 1)]
    assert [body + "\n" for body in bodies] == clean_pages(pages)


def test_a_number_that_moves_with_the_pages_is_no_hindrance_to_a_header():
    pages = [f"Acme | {n + 1} | Report\n{word} {word}" for n, word in enumerate(WORDS)]
    assert [f"{word} {word}\n" for word in WORDS] == clean_pages(pages)


def test_page_numbers_may_start_anew_be_roman_and_skip_a_page():
    numbers = ["i", "ii", "iii", "iv", "- 1 -", "- 2 -", "", "- 4 -", "1.", "2.", "3."]
    pages = [f"{word} {word}\n{number}".strip() for word, number in zip(WORDS, numbers, strict=False)]
    assert [f"{word} {word}\n" for word in WORDS[: len(numbers)]] == clean_pages(pages)


@pytest.mark.parametrize(
    "edge",
    [
        lambda n: f"Table {n}",  # a label that counts, one a page
        lambda n: f"Total {n * 37} {n * 91}",  # the last row of a table
        lambda n: str(n * n * 3 + 5),  # a cell of its own
        lambda n: f"{n // 99}00",  # the same cell each time
        lambda n: f"Acme {WORDS[n]}",
    ],
)
def test_text_that_only_looks_like_furniture_stays(edge):
    pages = [f"{word} starts.\n{edge(n)}\n" for n, word in enumerate(WORDS)]
    assert pages == clean_pages(pages)


def test_a_line_on_four_pages_or_on_a_quarter_of_them_stays():
    few = [f"Acme\n{word}\n" for word in WORDS[:4]]
    assert few == clean_pages(few)
    quarter = [f"{'Acme' if n % 4 == 0 else n * 7}\nLine {n * 13}.\n" for n in range(40)]
    assert quarter == clean_pages(quarter)


@given(st.lists(st.text(alphabet=st.sampled_from("ab 12ivİı\n\f\r\0\ud800"), max_size=30), max_size=12))
def test_cleaning_keeps_the_number_of_pages_and_makes_them_fit_to_send(pages):
    texts = clean_pages(pages)
    assert len(pages) == len(texts)
    for text in texts:
        assert text == "" or (text.endswith("\n") and text.strip())
        assert text == text.encode().decode()
        assert not set("\0\r\f") & set(text)
