"""Pages of a PDF: what pypdf gives, what a page may cost, what the cache keeps; no process is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pypdf
import pytest
from pypdf.generic import NameObject, NullObject

from minirag.documents import Page, load
from minirag.errors import DocumentError
from minirag.pdf import read_pdf
from pdfs import drawn_pdf, edited_pdf, form_pdf, make_pdf

SLOW = b"BT /F1 9 Tf " + b"(x) Tj 1 0 Td " * 1_000_000 + b"ET"
"""A page of 15 MB in 29 KB, for which pypdf computes for seconds."""

WIDE = b"BT /F1 9 Tf (" + b"x" * 60_000_000 + b") Tj ET"
"""One of 60 MB in 60 KB, which takes a multiple of that in memory."""


def texts(pages: list[Page]) -> list[str]:
    return [page.text.strip() for page in pages]


def children_of(parent: int) -> set[int]:
    """The processes whose parent is `parent`, dead ones that nobody has waited for included."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(after_name[1]) == parent:
            found.add(int(stat.parent.name))
    return found


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see processes")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of the cache, which is not there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg" / "minirag"


class TestPages:
    def test_children_give_what_pypdf_gives_in_order(self, tmp_path, monkeypatch):
        monkeypatch.setattr("minirag.pdf.reader.BYTES_PER_CHILD", 1000)
        data = make_pdf(*(f"Page {number}." for number in range(34)))
        (tmp_path / "a.pdf").write_bytes(data)
        reader = pypdf.PdfReader(tmp_path / "a.pdf")
        expected = [Page(number, "a.pdf", page.extract_text()) for number, page in enumerate(reader.pages, 1)]
        assert expected == read_pdf(data, "a.pdf", workers=3)

    def test_what_was_filled_into_a_form_is_read_and_what_was_left_empty_is_not(self):
        values = ["Name of the mill: Old Grove", "year: 1904", "grain: rye", "Open on Sundays: Yes"]
        [page] = read_pdf(form_pdf("Please answer."), "form.pdf")
        assert page.text.splitlines() == ["Please answer.", *values]

        def break_form(writer: pypdf.PdfWriter) -> None:
            form = pypdf.PdfReader(BytesIO(form_pdf("Please answer.")))
            writer.append(form)
            writer.pages[1]["/Annots"][0].get_object()[NameObject("/V")] = NullObject()
            writer.pages[1]["/Annots"][1].get_object()[NameObject("/Parent")] = NullObject()
            writer.pages[1]["/Annots"][2] = NullObject()

        assert "Please answer." in read_pdf(edited_pdf(break_form, "First."), "form.pdf")[1].text

    def test_a_broken_page_is_named_with_its_fault_and_not_cached(self, write, cache):
        def spoil(writer):
            stream = writer.pages[1]["/Contents"].get_object()
            stream[NameObject("/Filter")] = NameObject("/No\x1b[31m\n\u202eFilter")

        path = write("a.pdf", edited_pdf(spoil, "One.", "Two.", "Three."))
        pages = load(path)
        assert [page.text for page in pages] == ["One.\n", "", "Three.\n"]
        assert [page.number for page in pages if not page.text] == [2]
        assert pages[1].error
        assert pages[1].error.isprintable()
        assert not cache.exists()

    def test_an_empty_password_opens_and_any_other_is_asked_to_go(self, write):
        opens = write("a.pdf", edited_pdf(lambda w: w.encrypt("", "owner", algorithm="AES-256"), "Secret."))
        assert load(opens, cache=False)[0].text == "Secret.\n"
        locked = write("b.pdf", edited_pdf(lambda w: w.encrypt("user", "owner", algorithm="AES-256"), "Secret."))
        with pytest.raises(DocumentError, match=r"b\.pdf is encrypted; save a copy that needs no password"):
            load(locked, cache=False)


def test_the_text_comes_from_the_cache_unless_that_is_damaged(write, cache):
    path = write("a.pdf", make_pdf("One.", "Two."))
    expected = load(path)
    (kept,) = cache.iterdir()
    assert cache.stat().st_mode & 0o777 == 0o700
    whole = kept.read_bytes()
    kept.write_bytes(whole.replace(b"One", b"Uno"))
    assert [page.text for page in load(path)] == ["Uno.\n", "Two.\n"]
    for damaged in (whole[:-1], b"", b"\xff" * 99):
        kept.write_bytes(damaged)
        assert expected == load(path)
        assert whole == kept.read_bytes()


class TestLimits:
    def test_a_page_that_computes_too_long_is_named_and_the_rest_goes_on(self):
        assert len(drawn_pdf(SLOW)) < 60_000
        pages = read_pdf(drawn_pdf(None, SLOW, None), "a.pdf", page_seconds=0.5)
        assert texts(pages) == ["Fine.", "", "Fine."]
        assert [page.error for page in pages] == [None, "it takes more than 0.5 seconds", None]

    def test_a_page_that_takes_too_much_memory_is_named_and_the_rest_goes_on(self):
        pages = read_pdf(drawn_pdf(None, WIDE, None), "a.pdf", page_memory=2**28)
        assert [page.error for page in pages] == [None, "it takes more than 256 MiB of memory", None]
        assert texts(pages) == ["Fine.", "", "Fine."]

    def test_a_file_that_takes_too_long_to_open_gets_one_sentence(self):
        data = b"%PDF-1.4\n" + b"1 0 obj << >> endobj\n" * 400_000
        with pytest.raises(
            DocumentError, match=r"a\.pdf cannot be opened \(it takes more than 0\.3 seconds\); open it"
        ):
            read_pdf(data, "a.pdf", page_seconds=0.1)


@needs_proc
class TestProcesses:
    @pytest.fixture
    def reading(self, tmp_path):
        """A script that reads two slow pages in two children, which both have begun."""
        path = tmp_path / "a.pdf"
        path.write_bytes(drawn_pdf(*[SLOW] * 2, *[None] * 20))
        code = (
            "import pathlib, minirag.pdf.reader as reader\n"
            "reader.BYTES_PER_CHILD = 1000\n"
            f"pages = reader.read_pdf(pathlib.Path({str(path)!r}).read_bytes(), 'a.pdf', workers=2, page_seconds=1)\n"
            "print(len(pages), *sorted(page.error for page in pages if page.error), sep='\\n')"
        )
        script = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        opened = lambda child: Path(f"/proc/{child}/fd/1").stat().st_size > 0  # noqa: E731
        wait_for(lambda: len([child for child in children_of(script.pid) if opened(child)]) == 2)
        yield script
        script.kill()
        script.wait()
        script.stdout.close()
        script.stderr.close()

    def test_ctrl_c_ends_them_and_is_passed_on_at_once(self, reading):
        children = children_of(reading.pid)
        os.killpg(reading.pid, signal.SIGINT)
        _, said = reading.communicate()
        assert said.endswith(b"KeyboardInterrupt\n")
        assert not any(Path(f"/proc/{child}").exists() for child in children)

    def test_one_that_is_killed_costs_its_page(self, reading):
        """As the kernel does when the machine has no memory left; the other page breaks its limit, the rest is read."""
        os.kill(min(children_of(reading.pid)), signal.SIGKILL)
        said, wrong = reading.communicate()
        errors = [b"it takes more than 1 seconds", b"its reader ended with status -9"]
        assert (said.splitlines(), wrong) == ([b"22", *errors], b"")
