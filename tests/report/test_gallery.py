"""The report's parts as people see them, in Chromium: every chart and table, on all screens, with all data."""

from collections.abc import Iterator

import pytest

from browser import SCHEMES, SIZES, Browser, Opened
from gallery import charts, document, gallery, rows
from minirag.report.question_table import question_table

PAGE = gallery()


@pytest.fixture
def table(browser: Browser) -> Iterator[Opened]:
    """Forty questions in a wide window."""
    with browser.open(PAGE) as opened:
        yield opened


def shown(opened: Opened) -> int:
    return opened.page.locator(".questions tbody:visible").count()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", SIZES)
def test_the_page_is_quiet_alone_accessible_and_fits_with_all_unfolded(
    browser: Browser, size: str, scheme: str
) -> None:
    with browser.open(PAGE, size=size, scheme=scheme) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        opened.clean()
        for picture in opened.page.locator("svg").all():
            box = picture.bounding_box()
            assert (box["width"] >= 300, box["height"] >= 20) == (True, True)


def test_text_in_charts_is_at_least_ten_pixels_high_at_400(browser: Browser) -> None:
    with browser.open(PAGE, size="narrow") as opened:
        scale = opened.page.evaluate("document.querySelector('svg').getScreenCTM().a")
        sizes = opened.page.evaluate(
            "[...document.querySelectorAll('svg text')].map(each => parseFloat(getComputedStyle(each).fontSize))"
        )
    assert scale * min(sizes) >= 10


def test_without_javascript_all_is_there_and_no_control_that_does_nothing(browser: Browser) -> None:
    with browser.open(PAGE, script=False) as opened:
        assert (opened.said, opened.asked) == ([], [])
        assert shown(opened) == 40
        assert opened.page.locator("form").is_hidden()
        opened.page.locator("summary").nth(5).click()
        assert opened.page.locator("details").nth(5).locator("blockquote").first.is_visible()
        assert opened.page.locator("svg").count() == len(charts())


def test_the_search_finds_words_of_questions_and_of_answers_in_any_order(table: Opened) -> None:
    page = table.page
    page.get_by_label("Search").fill("39? FARES")
    assert shown(table) == 1
    page.get_by_label("Search").fill("票价")
    assert shown(table) == 1
    page.get_by_label("Search").fill("nowhere")
    assert (shown(table), page.get_by_role("status").text_content()) == (0, "0 of 40 questions")
    page.get_by_role("button", name="Reset").click()
    assert shown(table) == 40


def test_the_filter_shows_one_kind_as_its_number_says(table: Opened) -> None:
    choice = table.page.get_by_label("Show")
    for option in choice.locator("option").all():
        choice.select_option(option.get_attribute("value"))
        assert f"({shown(table)})" in option.text_content()


def test_the_keyboard_alone_reaches_search_filter_and_answers(table: Opened) -> None:
    keyboard = table.page.keyboard
    keyboard.press("Tab")
    keyboard.type("year 12?")
    keyboard.press("Enter")
    assert shown(table) == 1
    for _ in range(3):
        keyboard.press("Tab")
    keyboard.press("Enter")
    assert table.page.locator("tbody:visible blockquote").first.is_visible()


def test_a_screen_reader_hears_a_chart_s_name_and_what_it_shows(table: Opened) -> None:
    first = table.page.get_by_role("img", name="Faithfulness, 40 questions").first
    assert "9 better" in first.locator("desc").text_content()


def test_on_paper_the_answers_are_unfolded(table: Opened) -> None:
    table.page.emulate_media(media="print")
    assert table.page.locator("blockquote").first.is_visible()
    assert table.page.locator("form").is_hidden()


@pytest.mark.parametrize("n", [0, 1, 500])
def test_any_number_of_questions_makes_a_page(browser: Browser, n: int) -> None:
    html, script = question_table(["base", "tuned", "difference"], rows(n))
    with browser.open(document([html], f"'{script}'"), size="narrow") as opened:
        opened.clean()
        assert shown(opened) == n


def test_what_a_page_must_not_do_is_noticed(browser: Browser) -> None:
    svg = '<svg role="img" viewBox="0 0 9 9" width="50"><text x="5">too long</text></svg>'
    body = f'<img src="http://127.0.0.1:9/x.png"><p style="width: 2000px">wide</p>{svg}<script>no()</script>'
    with browser.open(f"<!doctype html><html><body>{body}</body></html>") as opened:
        assert any("no is not defined" in line for line in opened.said)
        assert opened.asked == ["http://127.0.0.1:9/x.png"]
        assert [fault.split()[0] for fault in opened.faults()] == [
            "document-title",
            "html-has-lang",
            "image-alt",
            "svg-img-alt",
        ]
        assert (opened.overflow() > 0, opened.outside()) == (True, ["too long"])


def test_the_policy_stops_any_other_script(browser: Browser) -> None:
    html, script = question_table(["base", "tuned", "difference"], rows(1))
    with browser.open(document([html, "<script>document.title = 'taken'</script>"], f"'{script}'")) as opened:
        assert opened.page.title() == "Gallery"
        assert "Content Security Policy" in opened.said[0]
