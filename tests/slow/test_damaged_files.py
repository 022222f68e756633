"""Files that somebody damaged are read or refused with one sentence: documents, and those of a run's folder."""

import contextlib
import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from minirag import VectorStore, load
from minirag.cli.main import main
from minirag.errors import MiniragError
from run_files import SAMPLE, SAMPLE_TEXT

OLD_RUN = Path(__file__).parents[1] / "data" / "run-0.1.0.tar.xz"
PIECES = [b"", b"\0", b"\n", b"\f", b"{", b"null", b"-1", b"1e999", b'"', b"\xff\xfe", b"\xed\xa0\x80", b"{}\n", b"<<"]


def read_index(folder: Path) -> None:
    store = VectorStore.open(folder)
    store.search(np.ones(store.vectors.shape[1]), 2)


def run_command(*arguments: str) -> None:
    """Run a command; raise what it says if it refuses."""
    with contextlib.redirect_stderr(io.StringIO()) as talk, contextlib.redirect_stdout(io.StringIO()):
        code = main(arguments)
    assert code in {0, 2, 3}, talk.getvalue()
    if code and (lines := talk.getvalue().splitlines()):
        raise MiniragError(lines[-1])


def read_document(path: Path) -> None:
    for page in load(path, cache=False):
        assert page.text == "" or (page.text.endswith("\n") and page.text.strip())
        assert not set(page.text) & set("\0\r\f")
        assert page.text == page.text.encode("utf-8", "replace").decode()
        assert page.error is None or page.error.isprintable()


READERS: dict[str, Callable[[Path], None]] = {
    "messages.jsonl": lambda folder: run_command("costs", str(folder)),
    "training.jsonl": lambda folder: run_command("check", str(folder / "training.jsonl")),
    **dict.fromkeys(["chunks.jsonl", "vectors.npy", "index.json"], read_index),
    SAMPLE.name: lambda folder: read_document(folder / SAMPLE.name),
    SAMPLE_TEXT.name: lambda folder: read_document(folder / SAMPLE_TEXT.name),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run and its documents."""
    work = tmp_path_factory.mktemp("run")
    with tarfile.open(OLD_RUN) as archive:
        archive.extractall(work, filter="data")
    for document in (SAMPLE, SAMPLE_TEXT):
        shutil.copy(document, work / "small")
    return work / "small"


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=300, deadline=None)
@given(
    place=st.floats(0, 1),
    lost=st.one_of(st.integers(0, 8), st.integers(0, 100_000)),
    piece=st.builds(bytes.__mul__, st.sampled_from(PIECES), st.sampled_from([1, 1, 1, 2, 50, 3000])),
)
def test_a_damaged_file_is_read_or_refused_with_one_sentence(
    folder: Path, name: str, place: float, lost: int, piece: bytes
) -> None:
    path = folder / name
    whole, refusal = path.read_bytes(), "."
    start = int(place * len(whole))
    try:
        path.write_bytes(whole[:start] + piece + whole[start + lost :])
        READERS[name](folder)
    except MiniragError as error:
        refusal = str(error)
    finally:
        path.write_bytes(whole)
    assert refusal.isprintable()
    assert refusal.endswith(".")
