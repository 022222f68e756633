"""Files from strangers: nothing in them is run, believed without a look, or taken for the name of another file."""

import io
import json
import os
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minirag.chunker import Chunk
from minirag.cli.main import main
from minirag.cli.rows import read_rows
from minirag.errors import InputError, StoreError
from minirag.message_log import Exchange, MessageLog
from minirag.offline import serve
from minirag.questions import read_questions
from minirag.testing import completion
from minirag.training import write_training_file
from minirag.vector_store import VectorStore


class Sprung:
    """Creates a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A saved index of two chunks."""
    chunks = [Chunk(f"p{n}-a", "a.txt", n, 0, 3, 1, text) for n, text in enumerate(["Cat", "Dog"])]
    VectorStore(chunks, np.eye(2, dtype=np.float32), "m").save(tmp_path)
    return tmp_path


# -- nothing is run ----------------------------------------------------------------------------------------


def test_a_pickle_in_place_of_the_vectors_is_refused_and_not_run(index: Path) -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([Sprung(index / "sprung")], object), allow_pickle=True)
    for data in (stream.getvalue(), pickle.dumps(Sprung(index / "sprung"))):
        (index / "vectors.npy").write_bytes(data)
        with pytest.raises(StoreError, match="build it again"):
            VectorStore.open(index)
    assert not (index / "sprung").exists()


# -- the log -----------------------------------------------------------------------------------------------


def signed(**changes: Any) -> bytes:
    """A line of the log with other values, and the checksum that belongs to them."""
    good = Exchange("draft", "chat.completions", "s", {"model": "m", "messages": []}, completion("Yes."))
    body = {**json.loads(good.to_line()), **changes}
    body.pop("crc")
    data = json.dumps(body, separators=(",", ":")).encode()[:-1]
    return data + b',"crc":"%08x"}\n' % zlib.crc32(data)


@pytest.mark.parametrize("response", [{}, {"choices": {}}, {"choices": [7]}, {"choices": [{"message": "text"}]}])
def test_a_reply_of_another_shape_has_no_text_and_trains_nothing(tmp_path: Path, response: dict[str, Any]) -> None:
    (tmp_path / "messages.jsonl").write_bytes(signed(response=response))
    with MessageLog(tmp_path / "messages.jsonl") as log:
        assert [(e.text, e.finish_reason) for e in log] == [("", None)]
        with pytest.raises(InputError, match="can be kept"):
            write_training_file(log, tmp_path / "training.jsonl")


def test_a_pipe_or_a_device_is_no_file_of_questions_or_rows(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", Path("/dev/zero")):
        with pytest.raises(InputError, match="There is no question file"):
            read_questions(path, "eval")
        with pytest.raises(InputError, match="no ordinary file"):
            read_rows(path)


# -- names of files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "C:\\evil", "evil\0"])
def test_no_name_from_data_becomes_the_name_of_a_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "deep" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    row = {"question": name, "answer": f"{name} is open.", "contexts": [name], "id": name, "arm": name}
    (inner / "rows.jsonl").write_text(json.dumps(row))
    with serve() as server:
        models = ["--base-url", server.base_url, "--judge", "offline-judge", "--metrics", "faithfulness"]
        assert main(["evaluate", "rows.jsonl", *models]) == 0
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    folder = "deep/inner/rows.jsonl-scores"
    assert files == {"deep/inner/rows.jsonl", f"{folder}/messages.jsonl", f"{folder}/scores.jsonl"}
    assert not Path("/tmp/evil").exists()
