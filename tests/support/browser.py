"""Pages in headless Chromium, driven by Playwright and judged by axe. Tests skip if there is no browser."""

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
"""Impacts of an axe violation that do not fail a test."""


@dataclass
class Opened:
    """A page in the browser, with its console messages and its requests."""

    page: Any
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """Return the violations that axe rates serious or critical: rule, impact and elements."""
        from axe_playwright_python.sync_playwright import Axe

        violations = Axe().run(self.page).response["violations"]
        return [
            f"{each['id']} ({each['impact']}): {[node['html'][:200] for node in each['nodes'][:3]]}"
            for each in violations
            if each["impact"] not in ALLOWED
        ]

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def clean(self) -> None:
        """Assert that the page is quiet, asks for nothing, is accessible, and is no wider than its window."""
        assert self.messages == []
        assert self.requests == []
        assert self.faults() == []
        assert self.overflow() == 0


@dataclass
class Browser:
    """A running Chromium; `open` shows a page in it."""

    chromium: Any
    folder: Path

    @contextmanager
    def open(self, html: str, *, size: str = "wide", scheme: str = "light") -> Iterator[Opened]:
        """Show one HTML document, from a file and in a window of its own."""
        path = self.folder / "page.html"
        path.write_text(html, "utf-8")
        width, height = SIZES[size]
        context = self.chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        try:
            yield _opened(context.new_page(), path.as_uri())
        finally:
            context.close()


def _opened(page: Any, address: str) -> Opened:
    """Load the page, listening from the start."""
    opened = Opened(page)
    page.on("console", lambda message: opened.messages.append(message.text))
    page.on("pageerror", lambda error: opened.messages.append(str(error)))
    page.on("request", lambda request: opened.requests.append(request.url))
    page.goto(address)
    opened.requests.remove(address)
    return opened


@contextmanager
def started(folder: Path) -> Iterator[Browser]:
    """Start Chromium; skip the test if it or its driver is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield Browser(chromium, folder)
        chromium.close()
