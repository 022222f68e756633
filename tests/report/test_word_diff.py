"""The word diff: both texts can be read back from it."""

import random
import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gallery import ARABIC, CHINESE, LONG, UNBROKEN
from minirag.report.word_diff import word_diff

WORDS = st.lists(st.sampled_from("the fare rose fell by 3 % in May ; 票 价 <b> &amp; \n".split(" ")), max_size=30)


def kept(html: str, dropped: str) -> str:
    """The text that is left without the elements of one name."""
    return unescape(re.sub("<[^>]*>", "", re.sub(f"<{dropped}>.*?</{dropped}>", "", html, flags=re.DOTALL)))


@given(WORDS, WORDS)
def test_without_its_insertions_it_is_the_old_text_and_without_its_deletions_the_new(
    old: list[str], new: list[str]
) -> None:
    html = word_diff(" ".join(old), " ".join(new))
    assert kept(html, "del") == " ".join(new)
    assert kept(html, "ins").split() == " ".join(old).split()


@given(st.text(max_size=60))
def test_a_text_against_itself_has_no_mark(same: str) -> None:
    assert re.findall("<[^>]*>", word_diff(same, same)) == []


@pytest.mark.parametrize(
    ("old", "new", "html"),
    [
        ("", "", ""),
        ("", "New.", "<ins>New.</ins>"),
        ("Old.", "", "<del>Old.</del>"),
        ("It rose.", "It  rose.", "It  rose."),
        ("票价上涨", "票价下跌", "票价<del>上涨</del><ins>下跌</ins>"),
        ("a < b", "a > b", "a <del>&lt; </del><ins>&gt; </ins>b"),
        (
            "It rose in the end.",
            "They fell by the sea.",
            "<del>It rose in the end</del><ins>They fell by the sea</ins>.",
        ),
    ],
)
def test_changes_are_words_and_in_chinese_characters(old: str, new: str, html: str) -> None:
    assert word_diff(old, new) == html


@pytest.mark.parametrize("text", [CHINESE * 160, ARABIC * 60, LONG, UNBROKEN * 10], ids=["zh", "ar", "en", "link"])
def test_an_answer_of_5000_characters_shows_a_changed_word_and_little_more(text: str) -> None:
    tokens = re.findall(r"\w+\s*|\W", text[:5000])
    tokens[len(tokens) // 2] = "changed "
    changed = "".join(tokens)
    html = word_diff(text[:5000], changed)
    assert kept(html, "del") == changed
    assert "changed" in html
    if " " in text:
        assert len(html) < 5200


def test_the_number_of_steps_does_not_explode_with_texts_that_share_few_words() -> None:
    """What difflib would be slow at: long texts of few different words. All of them are seen as changed."""
    chance = random.Random(1)
    old, new = ("".join(chance.choices("票价上涨因为电费", k=5000)) for _ in range(2))
    assert kept(word_diff(old, new), "del") == new
