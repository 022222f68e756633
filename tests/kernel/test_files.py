"""Writing files: the old content or the new, never half, and one sentence where it cannot be done."""

from pathlib import Path
from typing import BinaryIO

import pytest

from minirag.errors import Unfinished
from minirag.message_log import write_atomically, write_jsonl


def test_bytes_and_a_writing_function_give_the_same_private_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "new" / "a", b"content")

    def write(stream: BinaryIO) -> None:
        stream.write(b"content")

    write_atomically(tmp_path / "b", write)
    assert (tmp_path / "new" / "a").read_bytes() == (tmp_path / "b").read_bytes() == b"content"
    assert oct((tmp_path / "b").stat().st_mode & 0o777) == "0o600"


def test_a_writer_that_fails_leaves_the_old_content_and_nothing_beside_it(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"old")

    def fails(stream: BinaryIO) -> None:
        stream.write(b"half of the n")
        raise OSError(28, "No space left on device")

    with pytest.raises(Unfinished, match="No space left"):
        write_atomically(tmp_path / "a", fails)
    with pytest.raises(Unfinished, match="Cannot write"):
        write_atomically(tmp_path / "a" / "b", b"x")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_lone_surrogates_are_written_as_escapes(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a", [{"text": "bad \udc80"}])
    assert (tmp_path / "a").read_text("utf-8") == '{"text": "bad \\udc80"}\n'
