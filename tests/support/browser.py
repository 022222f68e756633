"""Pages in headless Chromium: Debian's, driven by Playwright, judged by axe. Tests skip where there is no browser."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SIZES = {"wide": (1280, 900), "narrow": (400, 800)}
SCHEMES = ("light", "dark")
ALLOWED = {"minor", "moderate", None}
"""Impacts of an axe finding that do not fail a test."""


@dataclass
class Opened:
    """A page as it stands in the browser, with everything that it said and asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """What axe finds serious or critical: rule, impact and the elements."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [
            f"{each['id']} ({each['impact']}): {[node['html'][:200] for node in each['nodes'][:3]]}"
            for each in found
            if each["impact"] not in ALLOWED
        ]

    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def outside(self) -> list[str]:
        """Texts of charts that leave their picture by more than a pixel."""
        return list(
            self.page.evaluate(
                """[...document.querySelectorAll("svg text")].filter(text => {
                  const [inner, outer] = [text.getBoundingClientRect(), text.closest("svg").getBoundingClientRect()];
                  return inner.left < outer.left - 1 || inner.right > outer.right + 1
                    || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
                }).map(text => text.textContent)"""
            )
        )

    def clean(self) -> None:
        """Assert what every page has to be: quiet, alone, for everybody, and no wider than its window."""
        assert self.said == []
        assert self.asked == []
        assert self.faults() == []
        assert self.overflow() == 0
        assert self.outside() == []


@dataclass
class Browser:
    """A running Chromium; `open` shows a page in it."""

    chromium: Any
    folder: Path

    @contextmanager
    def open(self, html: str, *, size: str = "wide", scheme: str = "light", script: bool = True) -> Iterator[Opened]:
        """One HTML document from a file of its own, in a window of its own; `script=False` turns JavaScript off."""
        path = self.folder / "page.html"
        path.write_text(html, "utf-8")
        width, height = SIZES[size]
        context = self.chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, java_script_enabled=script
        )
        try:
            yield _opened(context.new_page(), path.as_uri())
        finally:
            context.close()


def _opened(page: Any, address: str) -> Opened:
    """The page, loaded, with ears open from the start."""
    opened = Opened(page)
    page.on("console", lambda message: opened.said.append(message.text))
    page.on("pageerror", lambda error: opened.said.append(str(error)))
    page.on("request", lambda request: opened.asked.append(request.url))
    page.goto(address)
    opened.asked.remove(address)
    return opened


@contextmanager
def started(folder: Path) -> Iterator[Browser]:
    """Chromium as long as it is needed; skips the test where it or its driver is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield Browser(chromium, folder)
        chromium.close()
