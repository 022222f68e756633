"""Documents become pages, from files and from addresses, or are refused in one sentence."""

import hashlib
import time

import pytest
from hypothesis import given, strategies as st

from doubles import Script
from minirag.chunker import Page
from minirag.documents import BLOCK, load
from minirag.errors import DocumentError, InputError
from pdfs import WORDS, make_pdf


class TestText:
    def test_a_short_text_is_one_page(self, write):
        path = write("a.txt", "One.\r\nTwo.  \n")
        pages = load(path)
        assert [Page(1, str(path), "One.\nTwo.\n")] == pages
        assert {str(path): hashlib.sha256(path.read_bytes()).hexdigest()} == pages.sha256

    def test_form_feeds_are_page_breaks_and_an_empty_page_is_kept(self, write):
        pages = load(write("a.txt", "One.\f \fThree.\f"))
        assert [page.text for page in pages] == ["One.\n", "", "Three.\n"]

    def test_a_long_text_is_cut_at_headings_or_else_at_paragraphs(self, write):
        paragraphs = [f"{word} " * 150 + "end." for word in WORDS]
        assert all(page.text.endswith("end.\n") for page in load(write("a", "\n\n".join(paragraphs))))
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

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_encodings_that_say_what_they_are_give_the_same_text(self, write, encoding):
        assert load(write("a.txt", "Müller 東京".encode(encoding)))[0].text == "Müller 東京\n"


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "content", "sentence"),
        [
            ("empty.txt", b"", "is empty"),
            ("blank.txt", b" \n\n\f\n", "holds no text"),
            ("short.pdf", make_pdf("One.")[:300], "is damaged or no PDF"),
            ("words.pdf", b"Only words.", "is damaged or no PDF"),
            ("scan.pdf", make_pdf("", ""), "holds no text; if it is scanned, run OCR on it first"),
            ("windows.txt", "Größe".encode("cp1252"), "is not text in UTF-8; save it as UTF-8, or a document as PDF"),
            ("zeros", bytes(5000), "holds no text"),
            ("page", b"\n<!DOCTYPE html><p>Hello", "is HTML; save it as PDF or plain text"),
        ],
    )
    def test_a_file_of_no_use_gets_one_sentence(self, write, name, content, sentence):
        with pytest.raises(DocumentError, match=rf"{name} {sentence}.*\.$"):
            load(write(name, content), cache=False)

    @pytest.mark.parametrize(
        ("source", "sentence"),
        [
            ("no-such.pdf", r"no-such.pdf cannot be read \(No such file or directory\); check the path."),
            (".", r". cannot be read \(Is a directory\); check the path."),
            (
                "http://me:secret@127.0.0.1/a.pdf",
                "The address holds a password; download the document and give the file.",
            ),
        ],
    )
    def test_a_source_of_no_use_gets_one_sentence(self, source, sentence):
        with pytest.raises(DocumentError, match=f"^{sentence}$"):
            load(source)

    def test_a_document_given_twice_is_refused_and_same_names_in_two_folders_are_not(self, write, tmp_path):
        (tmp_path / "b").mkdir()
        one, two, copy = write("a.txt", "One."), write("b/a.txt", "Two."), write("b/copy.txt", "One.")
        assert [str(one), str(two)] == [page.source for page in load(one, two)]
        for sources in ((one, one), (one, two, copy)):
            with pytest.raises(InputError, match="are the same document; name it once"):
                load(*sources)
        with pytest.raises(InputError, match="No document was given"):
            load()


SITE = {"/a.pdf": make_pdf("From afar."), "/a.md": b"# From afar."}


def visited(request):
    path = request["path"]
    if path == "/slow":
        time.sleep(1)
    if path == "/moved":
        return 302, {"Location": "/a.md"}, b""
    return 200 if path in SITE else 404, {}, SITE.get(path, b"")


@pytest.fixture(scope="module")
def site():
    with Script(visited) as script:
        yield script.url.removesuffix("/v1")


class TestAddresses:
    @pytest.mark.parametrize(
        ("path", "text"),
        [("/a.pdf", "From afar.\n"), ("/a.md", "# From afar.\n"), ("/moved", "# From afar.\n")],
    )
    def test_an_address_is_read_as_what_it_holds_and_keeps_its_name(self, site, path, text):
        assert [Page(1, site + path, text)] == load(site + path, cache=False)

    @pytest.mark.parametrize(
        ("path", "sentence"),
        [
            ("/none", "answers 404, not a document; check the address"),
            ("/slow", r"cannot be fetched \(timed out\); download it and give the file"),
        ],
    )
    def test_an_address_of_no_use_gets_one_sentence(self, site, path, sentence, monkeypatch):
        monkeypatch.setattr("minirag.documents.TIMEOUT", 0.2 if path == "/slow" else 30)
        with pytest.raises(DocumentError, match=sentence):
            load(site + path)
