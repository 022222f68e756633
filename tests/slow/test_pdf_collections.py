"""Real PDFs: the 10-K, and a collection of 115 files that other projects test with."""

import csv
import re
from collections import Counter
from pathlib import Path

import pypdf
import pytest

from minirag.documents import load
from minirag.errors import DocumentError
from minirag.pdf import read_pdf

SHARED = Path(__file__).parents[3] / "shared"
TEN_K = SHARED / "nvidia-10k" / "nvidia-sec-10k-2022.pdf"


@pytest.mark.skipif(not TEN_K.exists(), reason="needs ../shared/nvidia-10k")
def test_the_10_k_has_169_pages_without_its_furniture(tmp_path):
    data = TEN_K.read_bytes()
    raw = read_pdf(data, "10-K", workers=2, cache=tmp_path)
    reader = pypdf.PdfReader(TEN_K)
    assert all(raw[index].text == reader.pages[index].extract_text() for index in range(0, 169, 24))
    assert [page.error for page in raw] == [None] * 169
    pages = load(TEN_K, cache=tmp_path)
    assert (len(pages), pages.empty) == (169, [])
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
    actual, sentences = [], []
    for row in rows:
        path = SHARED / "pdf" / row["path"]
        try:
            pages = load(path, workers=1, cache=None)
            actual.append(f"{len(pages)} pages")
        except DocumentError as error:
            sentences.append(str(error))
            actual.append(str(error).removeprefix(f"{path} ").split(";")[0])
    assert list(map(expected_of, rows)) == actual
    assert all(re.fullmatch(r"[^\n]+; [^\n]+\.", sentence) for sentence in sentences)
    assert len(rows) == 115
    assert capfd.readouterr() == ("", "")
