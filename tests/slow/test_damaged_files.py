"""A log, an index or a training file that somebody damaged is read, or refused with one sentence."""

import contextlib
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from minirag import VectorStore
from minirag.cli.main import main
from minirag.errors import MiniragError

DATA = Path(__file__).parents[1] / "data" / "run-0.1.0.tar.xz"
PIECES = [b"", b"\0", b"\n", b"{", b"null", b"-1", b"1e999", b'"', b"\xff\xfe", b"\xed\xa0\x80", b"{}\n"]


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
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    work = tmp_path_factory.mktemp("run")
    with tarfile.open(DATA) as archive:
        archive.extractall(work, filter="data")
    return work / "small"


DAMAGE = st.tuples(st.floats(0, 1), st.one_of(st.integers(0, 8), st.integers(0, 100_000)), st.sampled_from(PIECES))
"""Where a file is damaged, as a share of its length; how many bytes are lost there; what stands in their place."""


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=300, deadline=None)
@given(DAMAGE)
def test_a_damaged_file_is_read_or_refused_with_one_sentence(
    folder: Path, name: str, damage: tuple[float, int, bytes]
) -> None:
    path = folder / name
    whole, refusal = path.read_bytes(), "."
    place, lost, piece = damage
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
