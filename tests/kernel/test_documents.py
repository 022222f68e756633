"""documents.py and what it is made of: cleaning.py, pdf.py and download.py."""

import asyncio
import csv
import hashlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minirag.documents import BLOCK, EmptyPage, Page, load
from minirag.download import _next, _peer
from minirag.errors import DocumentError, InputError
from minirag.pdf.cache import pdf_pages
from minirag.pdf.cleaning import clean_characters, clean_pages
from pdfs import edited_pdf, make_pdf

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "minirag" / "data" / "sample-report.pdf"
SHARED = ROOT.parent / "shared"
TEN_K = SHARED / "nvidia-10k" / "nvidia-sec-10k-2022.pdf"
WORDS = "amber birch cedar delta ember flint grove heath islet jetty knoll ledge marsh north ochre plain quarry".split()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


class TestText:
    def test_a_short_text_is_one_page(self, write):
        path = write("a.txt", "One.\r\nTwo.  \n")
        pages = load(path)
        assert [Page(1, str(path), "One.\nTwo.\n")] == pages
        assert {str(path): hashlib.sha256(b"One.\r\nTwo.  \n").hexdigest()} == pages.sha256

    def test_form_feeds_are_page_breaks_and_an_empty_page_is_named(self, write):
        path = write("a.txt", "One.\f \fThree.\f")
        pages = load(path)
        assert [page.text for page in pages] == ["One.\n", "", "Three.\n"]
        assert [EmptyPage(str(path), 2)] == pages.empty

    def test_a_long_text_is_cut_at_paragraphs(self, write):
        paragraphs = [f"{word} " * 150 + "end." for word in WORDS]
        pages = load(write("a", "\n\n".join(paragraphs)))
        assert all(page.text.endswith("end.\n") for page in pages)
        assert paragraphs == [paragraph.strip() for page in pages for paragraph in page.text.split("\n\n")]

    def test_markdown_is_cut_at_headings_rather_than_at_later_paragraphs(self, write):
        text = "".join(f"## {word}\n\n{'word ' * 200}\n\n{'word ' * 200}\n\n" for word in WORDS)
        assert all(page.text.startswith("## ") for page in load(write("a.md", text)))

    @given(st.text(alphabet=st.sampled_from("ab. \n\t\r\fé。😀\0\x07\ud800"), max_size=400), st.integers(1, 60))
    def test_pages_hold_every_character_in_order(self, tmp_path_factory, piece, times):
        path = tmp_path_factory.getbasetemp() / "any.txt"
        text = ("x" + piece) * times
        path.write_bytes(text.replace("\ud800", "").replace("\f", "\v").replace("\0", "").replace("\7", "").encode())
        pages = load(path)
        expected = [character for character in text if character not in "\ud800\0\7" and not character.isspace()]
        assert expected == [character for page in pages for character in page.text if not character.isspace()]
        assert all(page.text.endswith("\n") and len(page.text) <= BLOCK for page in pages)

    def test_a_megabyte_without_a_space_is_cut_into_full_blocks(self, write):
        pages = load(write("a.txt", "x" * 1_000_000))
        assert sum(len(page.text) - 1 for page in pages) == 1_000_000
        assert len(pages) == 334

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_encodings_that_say_what_they_are_give_the_same_text(self, write, encoding):
        assert load(write("a.txt", "Müller 東京".encode(encoding)))[0].text == "Müller 東京\n"


class TestCleaning:
    def test_characters_that_services_refuse_go_and_are_counted(self):
        text, removed = clean_characters("a\0b\ud800c\x07d\r\ne\vf \u2003\n\ud83d\ude00\n\n")
        assert text == "abcd\ne\nf\n😀\n"
        assert Counter({"NUL": 1, "lone surrogate": 1, "control character": 1}) == removed

    def test_headers_footers_and_page_numbers_go_at_the_edges_only(self):
        bodies = [f"{word.title()} begins.\n{number}\n42\nIt ends with {word}." for number, word in enumerate(WORDS, 1)]
        pages = [f"Acme\n\n{body}\nForm 10-K\nPage {n} of 17" for n, body in enumerate(bodies, 1)]
        expected = (
            [body + "\n" for body in bodies],
            Counter({"running header": 17, "running footer": 17, "page number": 17}),
        )
        assert expected == clean_pages(pages)

    def test_a_number_that_moves_with_the_pages_is_no_hindrance_to_a_header(self):
        pages = [f"Acme | {n + 1} | Report\n{word} {word}" for n, word in enumerate(WORDS)]
        assert [f"{word} {word}\n" for word in WORDS] == clean_pages(pages)[0]

    def test_page_numbers_may_start_anew_be_roman_and_skip_a_page(self):
        numbers = ["i", "ii", "iii", "iv", "- 1 -", "- 2 -", "", "- 4 -", "1.", "2.", "3."]
        pages = [f"{word} {word}\n{number}".strip() for word, number in zip(WORDS, numbers, strict=False)]
        texts, removed = clean_pages(pages)
        assert [f"{word} {word}\n" for word in WORDS[: len(numbers)]] == texts
        assert Counter({"page number": 10}) == removed

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
    def test_text_that_only_looks_like_furniture_stays(self, edge):
        pages = [f"{word} starts.\n{edge(n)}\n" for n, word in enumerate(WORDS)]
        assert (pages, Counter()) == clean_pages(pages)

    def test_a_line_on_four_pages_or_on_a_quarter_of_them_stays(self):
        few = [f"Acme\n{word}\n" for word in WORDS[:4]]
        assert (few, Counter()) == clean_pages(few)
        quarter = [f"{'Acme' if n % 4 == 0 else n * 7}\nLine {n * 13}.\n" for n in range(40)]
        assert (quarter, Counter()) == clean_pages(quarter)

    def test_pages_that_repeat_as_a_whole_stay(self):
        for page in ("One line.\n", "".join(f"Line {word}.\n" for word in WORDS)):
            assert ([page] * 9, Counter()) == clean_pages([page] * 9)

    def test_turkish_letters_are_no_roman_numbers(self):
        pages = [f"{word} {word}\n{letter}\n" for word, letter in zip(WORDS, "ıİıİıİxi", strict=False)]
        assert (pages, Counter()) == clean_pages(pages)

    def test_a_line_of_a_million_spaces_is_cleaned_as_fast_as_one_of_letters(self):
        def seconds(line: str) -> float:
            started = time.process_time()
            clean_characters(line)
            return time.process_time() - started

        assert seconds("x" + " " * 10**6 + "x") < 20 * seconds("x" * 10**6) + 1

    @given(st.lists(st.text(alphabet=st.sampled_from("ab 12ivİı\n\f\r\0\ud800"), max_size=30), max_size=12))
    def test_cleaning_keeps_the_number_of_pages_and_makes_them_fit_to_send(self, pages):
        texts, _ = clean_pages(pages)
        assert len(pages) == len(texts)
        for text in texts:
            assert text == "" or (text.endswith("\n") and text.strip())
            assert text == text.encode().decode()
            assert not set("\0\r\f") & set(text)


class TestPdf:
    def test_each_page_is_a_page_and_its_furniture_is_gone(self, write):
        path = write("a.pdf", make_pdf(*(f"Acme plc\n{word} {word}\n{n}" for n, word in enumerate(WORDS, 1))))
        pages = load(path, cache=None, workers=1)
        assert [Page(n, str(path), f"{word} {word}\n") for n, word in enumerate(WORDS, 1)] == pages
        assert Counter({"running header": 17, "page number": 17}) == pages.removed

    def test_a_blank_page_is_named_and_the_rest_goes_on(self, write):
        path = write("a.pdf", make_pdf("One.", "", "Three."))
        pages = load(path, cache=None)
        assert [page.text for page in pages] == ["One.\n", "", "Three.\n"]
        assert [EmptyPage(str(path), 2)] == pages.empty

    def test_a_broken_page_is_named_with_its_fault_and_not_cached(self, write, tmp_path):
        from pypdf.generic import NameObject

        def spoil(writer):
            stream = writer.pages[1]["/Contents"].get_object()
            stream[NameObject("/Filter")] = NameObject("/NoSuchFilter")

        path = write("a.pdf", edited_pdf(spoil, "One.", "Two.", "Three."))
        pages = load(path, cache=tmp_path / "cache")
        assert [page.text for page in pages] == ["One.\n", "", "Three.\n"]
        assert [page.number for page in pages.empty] == [2]
        assert "NoSuchFilter" in (pages.empty[0].error or "")
        assert not (tmp_path / "cache").exists()

    def test_an_empty_password_opens_and_any_other_is_asked_to_go(self, write):
        opens = write("a.pdf", edited_pdf(lambda w: w.encrypt("", "owner", algorithm="AES-256"), "Secret."))
        assert load(opens, cache=None)[0].text == "Secret.\n"
        locked = write("b.pdf", edited_pdf(lambda w: w.encrypt("user", "owner", algorithm="AES-256"), "Secret."))
        with pytest.raises(DocumentError, match=r"b\.pdf is encrypted; save a copy that needs no password"):
            load(locked, cache=None)

    @pytest.mark.parametrize("how", ["file", "-c", "stdin"])
    def test_a_script_without_a_main_guard_runs_once(self, write, tmp_path, how):
        pdf = write("a.pdf", make_pdf(*WORDS))
        code = (
            "import logging, minirag.documents as d\n"
            f"print(len(d.load({str(pdf)!r}, workers=2, cache={str(tmp_path / 'cache')!r})))\n"
        )
        script = {"file": [str(write("script.py", code))], "-c": ["-c", code], "stdin": ["-"]}[how]
        ran = subprocess.run([sys.executable, *script], input=code, capture_output=True, text=True, check=False)
        assert (ran.stdout, ran.stderr, ran.returncode) == ("17\n", "", 0)

    def test_pypdf_says_nothing_on_the_terminal(self, write):
        pdf = write("a.pdf", b"junk\n" + make_pdf("One."))
        code = f"from minirag.documents import load\nprint(load({str(pdf)!r}, cache=None)[0].text)"
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (ran.stdout, ran.stderr) == ("One.\n\n", "")

    def test_zero_workers_are_refused(self, write):
        with pytest.raises(InputError, match="workers"):
            load(write("a.pdf", make_pdf("One.")), workers=0, cache=None)


class TestCache:
    def test_the_second_time_the_text_comes_from_the_cache(self, write, tmp_path):
        path, cache = write("a.pdf", make_pdf("One.", "Two.")), tmp_path / "new" / "cache"
        first = load(path, cache=cache)
        (kept,) = cache.iterdir()
        assert (cache.stat().st_mode & 0o777, kept.stat().st_mode & 0o777) == (0o700, 0o600)
        body = kept.read_bytes().partition(b"\n")[2].replace(b"One", b"Uno")
        kept.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
        assert [page.text for page in first] == ["One.\n", "Two.\n"]
        assert [page.text for page in load(path, cache=cache)] == ["Uno.\n", "Two.\n"]

    def test_a_damaged_or_torn_cache_is_read_anew(self, write, tmp_path):
        path, cache = write("a.pdf", make_pdf("One.")), tmp_path / "cache"
        expected = load(path, cache=cache)
        (kept,) = cache.iterdir()
        whole = kept.read_bytes()
        for damaged in (whole[:-1], whole.replace(b"One", b"Two"), b"", b"[]", b"\xff" * 99):
            kept.write_bytes(damaged)
            assert expected == load(path, cache=cache)
            assert whole == kept.read_bytes()

    def test_a_cache_that_cannot_be_written_is_done_without(self, write):
        path, file = write("a.pdf", make_pdf("One.")), write("cache", "a file, not a folder")
        assert load(path, cache=file)[0].text == "One.\n"

    def test_the_default_is_the_folder_of_the_xdg_rules(self, write, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        load(write("a.pdf", make_pdf("One.")))
        assert len(list((tmp_path / "xdg" / "minirag").iterdir())) == 1
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        load(write("b.pdf", make_pdf("Two.")))
        assert len(list((tmp_path / "home" / ".cache" / "minirag").iterdir())) == 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "content", "sentence"),
        [
            ("empty.pdf", b"", "is empty"),
            ("empty.txt", b"", "is empty"),
            ("blank.txt", b" \n\n\f\n", "holds no text; check that it is the right file"),
            ("short.pdf", make_pdf("One.")[:300], "is damaged or no PDF"),
            ("words.pdf", b"Only words.", "is damaged or no PDF"),
            ("scan.pdf", make_pdf("", ""), "holds no text; if it is scanned, run OCR on it first"),
            ("latin.txt", "Größe".encode("latin-1"), r"is not utf-8 text \(byte 3 does not fit\); save it as UTF-8"),
            ("junk.bin", bytes(range(256)) * 20, "is no PDF, plain text or Markdown"),
            ("zeros", bytes(5000), "is no PDF, plain text or Markdown"),
            ("page.html", b"<p>Hello", "is HTML; save it as PDF or plain text"),
            ("page", b"\n<!DOCTYPE html><p>Hello", "is HTML"),
            ("pages.txt", b"x\f" * 20_001, "has more than 20,000 pages; split it"),
        ],
    )
    def test_a_file_of_no_use_gets_one_sentence(self, write, name, content, sentence):
        with pytest.raises(DocumentError, match=rf"{name} {sentence}.*\.$"):
            load(write(name, content), cache=None)

    @pytest.mark.parametrize(
        ("source", "sentence"),
        [
            ("no-such.pdf", "no-such.pdf does not exist; check the path."),
            ("", "A document's name is empty; give a path or an address."),
            (".", ". is a folder; name the files in it."),
            ("/dev/zero", "/dev/zero is no ordinary file; save what it gives in a file and name that."),
            ("a\0b", "'a\\x00b' cannot be opened (embedded null byte); check the path."),
            ("file:///etc/hosts", "file:///etc/hosts leads to a file address; only http and https are read."),
            ("ftp://host/a.pdf", "ftp://host/a.pdf leads to a ftp address; only http and https are read."),
            ("http:///a.pdf", "http:///a.pdf names no host; check the address."),
        ],
    )
    def test_a_source_of_no_use_gets_one_sentence(self, source, sentence):
        with pytest.raises(DocumentError) as caught:
            load(source, cache=None)
        assert sentence == str(caught.value)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_file_that_may_not_be_read_gets_one_sentence(self, write):
        path = write("a.txt", "One.")
        path.chmod(0)
        with pytest.raises(DocumentError, match="may not be read by you; change its permissions"):
            load(path)

    def test_a_file_beyond_the_limit_is_not_read(self, write):
        path = write("a.txt", "12345")
        assert load(path, max_bytes=5)[0].text == "12345\n"
        with pytest.raises(DocumentError, match=r"is larger than 3\.8147e-06 MiB; split it"):
            load(path, max_bytes=4)

    def test_a_pipe_is_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(DocumentError, match="is no ordinary file"):
            load(tmp_path / "pipe")

    def test_a_document_given_twice_is_refused_and_same_names_in_two_folders_are_not(self, write, tmp_path):
        (tmp_path / "b").mkdir()
        one, two, copy = write("a.txt", "One."), write("b/a.txt", "Two."), write("b/copy.txt", "One.")
        assert [str(one), str(two)] == [page.source for page in load([one, two])]
        for sources in ((one, one), (one, two, copy)):
            with pytest.raises(InputError, match="are the same document; name it once"):
                load(*sources)

    def test_no_document_is_refused(self):
        for nothing in ([], [[]]):
            with pytest.raises(InputError, match="No document was given"):
                load(*nothing)


class Handler(BaseHTTPRequestHandler):
    """A site of a few paths; `/again` redirects to itself, `/slow` sends a byte of its header at a time."""

    def do_GET(self) -> None:
        kinds = {
            "/a.pdf": ("application/octet-stream", make_pdf("From afar.")),
            "/paper": ("application/pdf", make_pdf("From afar.")),
            "/a.md": ("text/plain; charset=utf-8", b"# From afar."),
            "/latin": ("text/plain; charset=iso-8859-1", "Größe".encode("latin-1")),
            "/odd": ("text/plain; charset=klingon", b"nuqneH"),
            "/puny": ("text/plain; charset=punycode", b"Grsse-3lb"),
            "/headers": ("text/plain", "\n".join(self.headers.keys()).lower().encode()),
            "/page": ("text/html; charset=utf-8", b"<p>Hello"),
            "/big": ("text/plain", b"x" * 300_000),
        }
        moves = {"/moved": "/a.md", "/again": "/again", "/file": "file:///etc/hosts"}
        if self.path.startswith("/to?"):
            moves[self.path] = self.path.removeprefix("/to?")
        if self.path in kinds:
            media_type, body = kinds[self.path]
            self.send_response(200)
            self.send_header("Content-Type", media_type)
            self.end_headers()
            self.wfile.write(body)
        elif self.path in moves:
            self.send_response(302)
            self.send_header("Location", moves[self.path])
            self.end_headers()
        elif self.path == "/slow":
            for byte in b"HTTP/1.0 200 OK" * 3:
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class TestAddresses:
    @pytest.mark.parametrize(
        ("path", "text"),
        [
            ("/a.pdf", "From afar.\n"),
            ("/paper", "From afar.\n"),
            ("/a.md", "# From afar.\n"),
            ("/moved", "# From afar.\n"),
            ("/latin", "Größe\n"),
        ],
    )
    def test_an_address_is_read_as_what_it_holds_and_keeps_its_name(self, site, path, text):
        assert [Page(1, site + path, text)] == load(site + path, cache=None)

    @pytest.mark.parametrize(
        ("path", "sentence"),
        [
            ("/none", "answers 404, not a document; check the address"),
            ("/again", "redirects more than 5 times"),
            ("/file", "leads to a file address"),
            ("/page", "is HTML; save it as PDF or plain text"),
            ("/odd", "has the unknown encoding klingon; save it as UTF-8"),
            ("/puny", "has the unknown encoding 'punycode'; save it as UTF-8"),
            ("/big", r"is larger than 0\.25 MiB; download it yourself"),
            ("/slow", r"did not arrive within 0\.6 seconds"),
        ],
    )
    def test_an_address_of_no_use_gets_one_sentence(self, site, path, sentence):
        with pytest.raises(DocumentError, match=sentence):
            load(site + path, timeout=0.6 if path == "/slow" else 30, max_bytes=2**18)

    def test_a_redirect_to_another_origin_is_told_nothing_but_the_address(self, site):
        elsewhere = site.replace("127.0.0.1", "localhost") + "/headers"
        told = set(load(f"{site}/to?{elsewhere}")[0].text.split())
        assert told == {"host", "accept", "accept-encoding", "connection", "user-agent"}

    @pytest.mark.parametrize("private", ["localhost", "::1"])
    def test_a_redirect_from_a_public_address_does_not_lead_inside(self, site, monkeypatch, private):
        """With this machine's number taken for a public one, there being no other in a test."""
        monkeypatch.setattr("minirag.download.is_private", lambda host: host == private)
        inside = f"{site.replace('127.0.0.1', private if private == 'localhost' else '[::1]')}/a.md"
        with pytest.raises(DocumentError, match=rf"redirects into a private network \({private}\); give that address"):
            load(f"{site}/to?{inside}")
        assert load(f"{site}/to?{site}/a.md")[0].text == "# From afar.\n"

    def test_a_public_name_that_stands_for_a_private_number_is_found_out_before_it_is_read(self, site, monkeypatch):
        numbers = iter(["93.184.215.14", "10.0.0.8"])
        monkeypatch.setattr("minirag.download.is_private", lambda host: host == "10.0.0.8")
        monkeypatch.setattr("minirag.download._peer", lambda _: next(numbers))
        with pytest.raises(DocumentError, match="redirects into a private network"):
            load(f"{site}/to?{site}/a.md")

    def test_the_number_of_who_answers_is_known(self, site):
        import httpx

        with httpx.Client(trust_env=False) as client, client.stream("GET", f"{site}/a.md") as response:
            assert _peer(response) == "127.0.0.1"

    def test_a_redirect_from_https_to_http_is_refused(self):
        import httpx

        with pytest.raises(DocumentError, match="redirects from https to http"):
            _next(httpx.URL("https://a.example/x"), "http://a.example/x", "https://a.example/x")

    def test_nobody_listening_gets_one_sentence(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            with pytest.raises(DocumentError, match=r"cannot be fetched \(.+\); check the address and the network\.$"):
                load(f"http://127.0.0.1:{unused.getsockname()[1]}/a.pdf")

    def test_a_password_in_an_address_is_refused_and_not_repeated(self):
        with pytest.raises(DocumentError) as caught:
            load("http://me:secret@127.0.0.1/a.pdf")
        assert "secret" not in str(caught.value)

    def test_it_works_where_an_event_loop_is_running_already(self, site):
        async def notebook() -> str:
            return load(site + "/a.md")[0].text

        assert asyncio.run(notebook()) == "# From afar.\n"


class TestSample:
    def test_the_shipped_report_is_what_the_script_makes(self, tmp_path):
        made = tmp_path / "made.pdf"
        subprocess.run([sys.executable, ROOT / "scripts" / "make_sample", made], check=True)
        again = tmp_path / "again.pdf"
        subprocess.run([sys.executable, ROOT / "scripts" / "make_sample", again], check=True)
        assert made.read_bytes() == again.read_bytes()
        assert [p.text for p in load(made, cache=None)] == [p.text for p in load(SAMPLE, cache=None)]

    def test_it_has_about_ten_full_pages_and_its_furniture_is_removed(self):
        pages = load(SAMPLE, cache=None)
        assert (len(pages), pages.empty) == (11, [])
        assert Counter({"running header": 11, "page number": 11}) == pages.removed
        assert all(250 < len(page.text.split()) < 550 for page in pages)
        assert SAMPLE.stat().st_size < 60_000

    def test_its_income_statement_adds_up(self):
        row = re.compile(r"^(\D+) (\d+\.\d) (\d+\.\d)$", re.MULTILINE)
        rows = {name: years for name, *years in row.findall(load(SAMPLE, cache=None)[8].text)}
        for year in (0, 1):
            value = {name: round(10 * float(years[year])) for name, years in rows.items()}
            revenue = value["Sensors"] + value["Network Software"] + value["Field Services"]
            gross = revenue - value["Cost of sales"]
            costs = value["Research and development"] + value["Selling and distribution"] + value["Administration"]
            before_tax = gross - costs - value["Net finance cost"]
            totals = ("Revenue", "Gross profit", "Operating profit", "Profit before tax", "Profit for the year")
            after_tax = before_tax - value["Income tax"]
            assert [revenue, gross, gross - costs, before_tax, after_tax] == [value[name] for name in totals]


@pytest.mark.skipif(not TEN_K.exists(), reason="needs ../shared/nvidia-10k")
def test_the_10_k_has_169_pages_without_its_furniture_and_nothing_suspicious(tmp_path):
    import pypdf

    data = TEN_K.read_bytes()
    raw = pdf_pages(data, "10-K", workers=2, cache=tmp_path)
    reader = pypdf.PdfReader(TEN_K)
    assert all(raw[index].text == reader.pages[index].extract_text() for index in range(0, 169, 24))
    assert [(number, None) for number in range(1, 170)] == [(page.number, page.error) for page in raw]
    pages = load(TEN_K, cache=tmp_path)
    assert (len(pages), pages.empty, pages.suspicious) == (169, [], [])
    assert sum(page.text.startswith("Table of Contents\n") for page in raw) == 86
    assert Counter({"page number": 133, "running header": 86}) == pages.removed
    assert not any("Table of Contents" in page.text for page in pages)


def expected_of(row: dict[str, str]) -> str:
    """What the collection's own index says about a file."""
    if row["error"]:
        return "is empty" if "EmptyFileError" in row["error"] else "is damaged or no PDF"
    if row["encrypted"] == "True" and row["opens_with_empty_password"] == "False":
        return "is encrypted"
    return "holds no text" if row["text_chars_first5"] == "0" else f"{row['pages']} pages"


@pytest.mark.skipif(not SHARED.joinpath("pdf").exists(), reason="needs ../shared/pdf")
def test_every_pdf_of_the_collection_loads_or_gets_one_sentence_as_its_index_says(capfd):
    with (SHARED / "pdf" / "INDEX.csv").open(newline="") as index:
        rows = list(csv.DictReader(index))
    actual, sentences, suspicious = [], [], []
    for row in rows:
        path = SHARED / "pdf" / row["path"]
        try:
            pages = load(path, workers=1, cache=None)
            suspicious += pages.suspicious
            actual.append(f"{len(pages)} pages")
        except DocumentError as error:
            sentences.append(str(error))
            actual.append(str(error).removeprefix(f"{path} ").split(";")[0])
    assert list(map(expected_of, rows)) == actual
    assert all(re.fullmatch(r"[^\n]+; [^\n]+\.", sentence) for sentence in sentences)
    assert (len(rows), suspicious) == (115, [])
    assert capfd.readouterr() == ("", "")
