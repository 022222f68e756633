"""Pages in headless Chromium, driven by Playwright and judged by axe. Tests skip if there is no browser."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SIZES = {"wide": {"width": 1280, "height": 900}, "narrow": {"width": 400, "height": 800}}


class Opened:
    """A page in the browser, with its console messages and the requests that it sends beside that for itself."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        self.messages: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.messages.append(message.text))
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(address)
        self.requests.remove(address)

    def faults(self) -> list[str]:
        """Return the violations that axe rates serious or critical: rule and elements."""
        from axe_playwright_python.sync_playwright import Axe

        violations = Axe().run(self.page).response["violations"]
        return [
            f"{each['id']}: {[node['html'][:200] for node in each['nodes'][:3]]}"
            for each in violations
            if each["impact"] in {"serious", "critical"}
        ]

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def clean(self) -> None:
        """Assert that the page is quiet, asks for nothing, is accessible, and is no wider than its window."""
        assert (self.messages, self.requests, self.faults(), self.overflow()) == ([], [], [], 0)


class Browser:
    """A running Chromium; `open` shows a page in it."""

    def __init__(self, chromium: Any, folder: Path) -> None:
        self._chromium, self._path = chromium, folder / "page.html"

    @contextmanager
    def open(self, html: str, *, size: str = "wide", scheme: str = "light") -> Iterator[Opened]:
        """Show one HTML document, from a file and in a window of its own."""
        self._path.write_text(html, "utf-8")
        with self._chromium.new_context(viewport=SIZES[size], color_scheme=scheme) as context:
            yield Opened(context.new_page(), self._path.as_uri())


@contextmanager
def started(folder: Path) -> Iterator[Browser]:
    """Start Chromium; skip the test if it or its driver is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with (
        playwright.sync_playwright() as driver,
        driver.chromium.launch(executable_path=program, args=["--no-sandbox"]) as chromium,
    ):
        yield Browser(chromium, folder)
