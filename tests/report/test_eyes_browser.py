"""The report in a real browser: nothing that is planted in it runs, and nothing is asked for."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from doubles import Script
from made_results import made
from minirag.report import html
from minirag.report.question_table import script_hash
from payloads import ESCAPES, SPRUNG, markup

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --virtual-time-budget=3000"
)
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no browser is installed (apt-get install chromium)")


@pytest.fixture
def elsewhere() -> Iterator[Script]:
    """What a page might ask for something."""
    with Script({}) as script:
        yield script


def seen_in_browser(page: str, folder: Path) -> str:
    """The page as the browser has it after three seconds of its own time; loading and scripts are over then."""
    path = folder / "page.html"
    path.write_text(page, "utf-8")
    command = [str(BROWSER), *FLAGS.split(), f"--user-data-dir={folder / 'profile'}", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def has_sprung(dom: str) -> bool:
    """Whether a planted script has run."""
    return re.search(r"<html[^>]*data-sprung", dom) is not None


def report(texts: Sequence[str]) -> str:
    """A report in which each text is planted as document, question, answer, judge's reason, model and more."""
    return html(made(texts, names=texts[0], scored=False))


def unescaped(page: str) -> str:
    """The same page as it would be if nothing were escaped."""
    for coded, plain in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#x27;", "'"), ("&amp;", "&")):
        page = page.replace(coded, plain)
    return page


@needs_browser
def test_sixty_payloads_planted_everywhere_run_never_and_ask_for_nothing(tmp_path: Path, elsewhere: Script) -> None:
    texts = markup(elsewhere.url)
    assert len(texts) == len(set(texts)) == 60
    page = report(texts)
    dom = seen_in_browser(page, tmp_path)
    assert not has_sprung(dom)
    assert elsewhere.requests == []
    assert dom.count("<details>") == 60 + len(set(texts))  # a question and a passage each
    assert not re.search(r"<(?:img|iframe|object|embed|video|audio|link|base)\b", dom)
    own = report(["plain"])
    assert [len(re.findall(rf"<{name}\b", dom)) for name in ("script", "input", "svg")] == [
        len(re.findall(rf"<{name}\b", own)) for name in ("script", "input", "svg")
    ]


@needs_browser
@pytest.mark.parametrize("kept", ["escaping", "policy"])
def test_either_of_the_two_is_enough_against_scripts(kept: str, tmp_path: Path, elsewhere: Script) -> None:
    page = report(markup(elsewhere.url))
    page = POLICY.sub("", page) if kept == "escaping" else unescaped(page)
    assert not has_sprung(seen_in_browser(page, tmp_path))


@needs_browser
def test_without_both_the_payloads_run_and_the_page_asks_for_what_they_name(tmp_path: Path, elsewhere: Script) -> None:
    asking = f"<img src='{elsewhere.url}/a.png'>"
    for text in ("<script>{}</script>", "<svg onload={}>", "<img src=x onerror={}>"):
        page = report([text.format(SPRUNG) + asking])
        assert has_sprung(seen_in_browser(unescaped(POLICY.sub("", page)), tmp_path))
    assert {request["path"] for request in elsewhere.requests} == {"/v1/a.png"}


@needs_browser
def test_the_reports_own_style_applies_and_no_other(tmp_path: Path) -> None:
    measured = (
        "<script>document.documentElement.dataset.look = getComputedStyle(document.querySelector('main')).color + ' ' "
    )
    measured += "+ getComputedStyle(document.body).maxWidth</script>"
    planted = report(["<b>"]).replace("<main>", "<main style='color: rgb(1, 2, 3)'>")
    # the script measures, so it alone is let through
    page = planted.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'").replace(
        "</body>", f"{measured}</body>"
    )
    dom = seen_in_browser(page, tmp_path)
    assert re.search(r'<html[^>]*data-look="rgb\((?!1, 2, 3)[^"]* 1120px"', dom), dom[:300]


def test_the_report_has_a_strict_policy_and_names_no_address_of_its_own() -> None:
    page = report(["plain"])
    policy = POLICY.search(page)
    assert policy
    assert "default-src 'none'" in policy[0]
    assert "unsafe" not in policy[0]
    assert re.findall(r"script-src ([^;]*);", policy[0]) == [f"'{script_hash()}'"]
    assert page.count("<script") == 1
    assert not re.search(r"https?://|\bsrc=|\bhref=(?!\"#)|url\(|@import|\bstyle=|\bon\w+=", page)


@pytest.mark.parametrize("text", ESCAPES)
def test_controls_and_direction_marks_are_shown_by_their_codes(text: str) -> None:
    page = report([text])
    kept = {"\n", "\t"}
    found = {c for c in page if (ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0x2028 <= ord(c) <= 0x202E) and c not in kept}
    assert found == set()
    assert "\\u{" in page
