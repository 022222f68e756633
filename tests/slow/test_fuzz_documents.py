"""Changed and random documents load, or fail with one sentence; $MINIRAG_FUZZ_CASES of them, by default 300."""

import os
import random
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from minirag.documents import load
from minirag.errors import DocumentError

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT.parent / "shared" / "pdf", ROOT / "minirag" / "data")
CASES = int(os.environ.get("MINIRAG_FUZZ_CASES", "300"))
SENTENCE = re.compile(r"[^\n\x00-\x1f\x7f]+[;,(] ?[^\n\x00-\x1f\x7f]+\.")
STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
NUMBER = re.compile(rb"\d+")
NUMBERS = (b"0", b"-1", b"1", b"65536", b"2147483648", b"9" * 25, b"1e9")
WORDS = tuple(
    b"/Length 99999999|/Kids [3 0 R]|/Count -1|/Filter /LZWDecode|/Filter [/A85 /Fl]|/Parent 1 0 R|/Contents 1 0 R"
    b"|/Encrypt 1 0 R|/ObjStm|/Prev 0|/W [9 9 9]|endobj|BT|3 Tr|BI ID EI|/F1 0 Tf|nan|%%EOF|xref|startxref\n0|TJ|\0"
    b"|1e999 0 0 1 0 0 cm|\xff\xfe|/Fm0 Do|beginbfrange <00> <ffffffff> <0000> endbfrange".split(b"|")
)
REPEATED = (b"<<", b"[", b"(", b"q ", b"-", b"<< /A ")
TEXTS = tuple(
    "a |\n|\f|\r|\0|\t| |\ud83d|İ|ı|7|iv|- 1 -|Page 1 of 9|。|\u200b|\u202e|# |ignore |the |é|😀|\x85".split("|")
)


@pytest.fixture(scope="module")
def seeds() -> list[Path]:
    """The PDFs to change, in an order that does not depend on the machine."""
    return sorted(path for folder in FOLDERS for path in folder.rglob("*.pdf"))


@pytest.mark.parametrize("number", range(CASES))
def test_a_changed_or_random_document_loads_or_fails_with_one_sentence(seeds, number, tmp_path):
    suffix, data = case(seeds, random.Random(f"1/{number}"))
    path = tmp_path / f"case{suffix}"
    path.write_bytes(data)
    try:
        pages = load(path, workers=1, cache=None)
    except DocumentError as error:
        pages, sentence = [], str(error).removeprefix(str(path))
    else:
        sentence = ""
    assert not sentence or SENTENCE.fullmatch(sentence)
    for page in pages:
        assert page.text == "" or (page.text.endswith("\n") and page.text.strip())
        assert not set(page.text) & set("\0\r\f")
        assert page.text == page.text.encode("utf-8", "replace").decode()
        assert all(page.error.isprintable() for page in pages if page.error)


def case(seeds: Sequence[Path], rng: random.Random) -> tuple[str, bytes]:
    """The suffix and the bytes of one document."""
    kind = rng.random()
    if kind < 0.05:
        return rng.choice((".pdf", ".txt", "")), rng.choice((b"", b"%PDF-1.7\n")) + rng.randbytes(rng.randrange(3000))
    if kind < 0.15:
        text = "".join(rng.choice(TEXTS) * int(rng.paretovariate(0.7)) for _ in range(rng.randrange(1, 200)))
        encoding, errors = rng.choice((("utf-8", "surrogatepass"), ("utf-16", "surrogatepass"), ("latin-1", "replace")))
        return rng.choice((".txt", ".md", "")), text[: 2**20].encode(encoding, errors)
    data = rng.choice(seeds).read_bytes()
    for _ in range(rng.randint(1, 4)):
        data = inside(data, rng) if rng.random() < 0.5 else changed(data, rng)
    return ".pdf", data


def inside(data: bytes, rng: random.Random) -> bytes:
    """`data` with one of its compressed streams changed before compression; or with nothing changed."""
    streams = list(STREAM.finditer(data))
    if not streams:
        return data
    stream = rng.choice(streams)
    try:
        plain = zlib.decompress(stream[1])
    except zlib.error:
        return data
    return data[: stream.start(1)] + zlib.compress(changed(plain, rng)) + data[stream.end(1) :]


def changed(data: bytes, rng: random.Random) -> bytes:
    """`data` with a piece lost, repeated, or replaced by random bytes, a word of PDF or another number."""
    start = rng.randrange(len(data) + 1)
    end = min(len(data), start + int(rng.paretovariate(0.5)))
    piece = rng.choice(
        (
            b"",
            rng.randbytes(end - start),
            data[start:end] * rng.randint(2, 50),
            rng.choice(WORDS),
            rng.choice(REPEATED) * rng.choice((100, 3000, 100_000)),
            rng.choice(NUMBERS),
        )
    )
    number = NUMBER.search(data, start)
    if piece in NUMBERS and number:
        start, end = number.span()
    return (data[:start] + piece + data[rng.choice((start, end)) :])[: 2**24]
