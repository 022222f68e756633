"""Files that somebody damaged, and documents of anything at all, are read or refused with one sentence.

MINIRAG_FUZZ_CASES is the number of changed PDFs and of odd texts; the default is 300.
"""

import contextlib
import io
import os
import re
import tarfile
import zlib
from collections.abc import Callable
from operator import mul
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from minirag import VectorStore, load
from minirag.cli.main import main
from minirag.documents import Pages
from minirag.errors import DocumentError, MiniragError
from run_files import DATA

OLD_RUN = Path(__file__).parents[1] / "data" / "run-0.1.0.tar.xz"
SHARED = Path(__file__).parents[3] / "shared" / "pdf"
PDFS = sorted(path for folder in (SHARED, DATA) for path in folder.rglob("*.pdf"))
CASES = int(os.environ.get("MINIRAG_FUZZ_CASES", "300"))
SENTENCE = re.compile(r"[^\n\x00-\x1f\x7f]+[;,(] ?[^\n\x00-\x1f\x7f]+\.")
STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
PIECES = [b"", b"\0", b"\n", b"{", b"null", b"-1", b"1e999", b'"', b"\xff\xfe", b"\xed\xa0\x80", b"{}\n"]
PDF_PIECES = (
    b"/Length 99999999|/Kids [3 0 R]|/Count -1|/Filter /LZWDecode|/Filter [/A85 /Fl]|/Parent 1 0 R|/Contents 1 0 R"
    b"|/Encrypt 1 0 R|/ObjStm|/Prev 0|/W [9 9 9]|endobj|BT|3 Tr|BI ID EI|/F1 0 Tf|nan|%%EOF|xref|startxref\n0|TJ|\0"
    b"|1e999 0 0 1 0 0 cm|\xff\xfe|/Fm0 Do|beginbfrange <00> <ffffffff> <0000> endbfrange|<<|[|(|q |-|<< /A |65536"
).split(b"|")
TEXTS = "a |\n|\f|\r|\0|\t| |\ud83d|İ|ı|7|iv|- 1 -|Page 1 of 9|。|\u200b|\u202e|# |ignore |the |é|😀|\x85".split("|")

times = st.sampled_from([1, 1, 1, 2, 50, 3000, 100_000])
lost_bytes = st.one_of(st.integers(0, 8), st.integers(0, 100_000))
Damage = tuple[float, int, bytes]
"""Where a file is damaged, as a share of its length; how many bytes are lost there; what stands in their place."""


def damages(pieces: st.SearchStrategy[bytes]) -> st.SearchStrategy[Damage]:
    return st.tuples(st.floats(0, 1), lost_bytes, pieces)


def damaged(data: bytes, damage: Damage) -> bytes:
    place, lost, piece = damage
    start = int(place * len(data))
    return data[:start] + piece + data[start + lost :]


def damaged_inside(data: bytes, number: int, damage: Damage) -> bytes:
    """A PDF with one of its compressed streams damaged before compression, if it has one."""
    streams = list(STREAM.finditer(data))
    with contextlib.suppress(zlib.error, ZeroDivisionError):
        stream = streams[number % len(streams)]
        plain = damaged(zlib.decompress(stream[1]), damage)
        return data[: stream.start(1)] + zlib.compress(plain) + data[stream.end(1) :]
    return data


# -- run folders -------------------------------------------------------------------------------------------


def read_index(folder: Path) -> None:
    store = VectorStore.open(folder)
    store.search(np.ones(store.dimensions), 2)


def run_command(*arguments: str) -> None:
    """Run a command; raise what it says if it refuses."""
    with contextlib.redirect_stderr(io.StringIO()) as talk, contextlib.redirect_stdout(io.StringIO()):
        code = main(arguments)
    assert code in {0, 2, 3}, talk.getvalue()
    if code and (lines := talk.getvalue().splitlines()):
        raise MiniragError(lines[-1])


READERS: dict[str, Callable[[Path], None]] = {
    "messages.jsonl": lambda folder: run_command("costs", str(folder)),
    "training.jsonl": lambda folder: run_command("check", str(folder / "training.jsonl")),
    **dict.fromkeys(["chunks.jsonl", "vectors.npy", "index.json"], read_index),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("run")
    with tarfile.open(OLD_RUN) as archive:
        archive.extractall(work, filter="data")
    return work / "small"


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=300, deadline=None)
@given(damages(st.sampled_from(PIECES)))
def test_a_damaged_file_is_read_or_refused_with_one_sentence(folder: Path, name: str, damage: Damage) -> None:
    path = folder / name
    whole, refusal = path.read_bytes(), "."
    try:
        path.write_bytes(damaged(whole, damage))
        READERS[name](folder)
    except MiniragError as error:
        refusal = str(error)
    finally:
        path.write_bytes(whole)
    assert refusal.isprintable()
    assert refusal.endswith(".")


# -- documents ---------------------------------------------------------------------------------------------


def loads_or_fails_with_one_sentence(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    refusal, pages = "", Pages()
    try:
        pages = load(path, cache=False)
    except DocumentError as error:
        refusal = str(error).removeprefix(str(path))
    assert not refusal or SENTENCE.fullmatch(refusal)
    for page in pages:
        assert page.text == "" or (page.text.endswith("\n") and page.text.strip())
        assert not set(page.text) & set("\0\r\f")
        assert page.text == page.text.encode("utf-8", "replace").decode()
        assert page.error is None or page.error.isprintable()


@settings(max_examples=CASES, deadline=None)
@given(
    st.sampled_from(PDFS),
    st.lists(st.tuples(st.integers(-1, 99), damages(st.builds(mul, st.sampled_from(PDF_PIECES), times))), max_size=4),
)
def test_a_changed_pdf_loads_or_fails_with_one_sentence(folder, pdf, changes):
    data = pdf.read_bytes()
    for stream, damage in changes:
        data = damaged(data, damage) if stream < 0 else damaged_inside(data, stream, damage)
    loads_or_fails_with_one_sentence(folder / "case.pdf", data)


@settings(max_examples=CASES, deadline=None)
@given(
    st.lists(st.builds(mul, st.sampled_from(TEXTS), times), max_size=20).map("".join),
    st.sampled_from([("utf-8", "surrogatepass"), ("utf-16", "surrogatepass"), ("latin-1", "replace")]),
    st.sampled_from([".txt", ".md", "", ".pdf"]),
)
def test_an_odd_text_loads_or_fails_with_one_sentence(folder, text, encoding, suffix):
    loads_or_fails_with_one_sentence(folder / f"case{suffix}", text[: 2**20].encode(*encoding))
