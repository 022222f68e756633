"""The report in a real browser: nothing planted in it runs, and everybody can read it on any screen."""

import re
from collections.abc import Sequence
from html import unescape

import pytest

from browser import Opened
from made_results import ARABIC, CHINESE, LONG, UNBROKEN, made
from minirag.report import report_html
from minirag.report.charts import differences, paired
from minirag.report.markup import document
from payloads import markup

POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
NOWHERE = "http://127.0.0.1:9"
WHY = [f"By how much did fares rise in year {number}?" for number in range(20)]


def report(texts: Sequence[str]) -> str:
    """A report in which each text is planted as document, question, answer, judge's reason, model and more."""
    return report_html(made(texts, names=texts[0], scored=False))


def has_sprung(opened: Opened) -> bool:
    """Return True if a planted script has run, half a second after the page was loaded."""
    opened.page.wait_for_timeout(500)
    return bool(opened.page.evaluate("document.documentElement.hasAttribute('data-sprung')"))


def test_payloads_planted_everywhere_run_never_and_ask_for_nothing(browser):
    texts = markup(NOWHERE)
    with browser.open(report(texts)) as opened:
        assert not has_sprung(opened)
        assert (opened.messages, opened.requests) == ([], [])
        assert opened.page.locator("details").count() == 2 * len(texts)  # a question and a passage each


@pytest.mark.parametrize("kept", ["escaping", "policy", "neither"])
def test_either_of_the_two_is_enough_against_scripts_and_without_both_they_run(kept, browser):
    page = report(markup(NOWHERE)[:1] if kept == "neither" else markup(NOWHERE))  # others lead away from the page
    page = page if kept == "policy" else POLICY.sub("", page)
    with browser.open(page if kept == "escaping" else unescape(page)) as opened:
        assert has_sprung(opened) == (kept == "neither")


PAGES = {
    "20 questions": lambda: report_html(made(WHY, rounds=2)),
    "odd texts": lambda: report_html(made([LONG[:600], LONG, CHINESE, ARABIC, UNBROKEN, "", "<b>&amp;</b>"])),
    "no tuned model": lambda: report_html(made(WHY, arms=("base", "teacher"), scored=False)),
}


@pytest.mark.parametrize(("size", "scheme"), [("narrow", "light"), ("wide", "dark")])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_quiet_accessible_and_fits_folded_or_not(name, size, scheme, browser):
    with browser.open(PAGES[name](), size=size, scheme=scheme) as opened:
        opened.clean()
        opened.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        assert opened.overflow() == 0


def test_a_reader_unfolds_a_question_and_its_passage_by_keyboard(browser):
    with browser.open(report_html(made(["Why?", "How?"]))) as opened:
        opened.page.locator(".questions summary").first.press("Enter")
        first = opened.page.locator(".questions details").first
        assert first.locator("blockquote:visible").count() == 3
        first.locator("details summary").press("Enter")
        assert first.locator("blockquote:visible").count() == 4


def test_a_reader_searches_and_sorts_the_questions(browser):
    page = report_html(made(["Why did fares rise?", "How many people travel?", "Zones: which are new?"]))
    with browser.open(page) as opened:
        shown = opened.page.locator(".questions tbody:visible th")
        everything = shown.all_inner_texts()
        opened.page.get_by_label("Search questions and answers").fill("FARES")
        assert shown.all_inner_texts() == ["Why did fares rise?"]
        opened.page.get_by_label("Search questions and answers").fill("")
        for direction in (1, -1):
            opened.page.get_by_role("button", name="question").click()
            assert shown.all_inner_texts() == sorted(everything)[::direction]
        opened.clean()


def test_text_in_charts_is_large_enough_and_inside_at_400(browser):
    pair = {"difference": 0.1, "low": 0.05, "high": 0.15, "verdict": "no meaningful difference"}
    values = {f"q{i}": i / 20 for i in range(20)}
    charts = [
        differences("differences", {"teacher": pair, "control": pair}),
        paired("scores", values, dict.fromkeys(values, 0.5)),
    ]
    with browser.open(document("Charts", charts), size="narrow") as opened:
        assert 12 * opened.page.evaluate("document.querySelector('svg').getScreenCTM().a") >= 10
        boxes = """[...document.querySelectorAll("svg text")].map(text => [text, text.closest("svg")]
            .map(each => each.getBoundingClientRect()).flatMap(box => [box.left, box.right]))"""
        for left, right, start, end in opened.page.evaluate(boxes):
            assert (left >= start - 1, right <= end + 1) == (True, True)


def test_on_paper_everything_is_unfolded_and_light(browser):
    with browser.open(report_html(made(["Why?"])), scheme="dark") as opened:
        opened.page.emulate_media(media="print")
        assert opened.page.locator(".questions blockquote").first.is_visible()
        assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
