"""Faults of the machine: what a run that is killed, interrupted or out of room has paid for is not lost, nor hidden."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from doubles import Script
from minirag import EmbeddingModel, MessageLog, VectorStore, offline
from minirag.chunker import Chunk
from minirag.cli.main import main
from minirag.errors import LogError, Unfinished
from minirag.message_log import Exchange
from minirag.retry import check_interrupted, in_order
from minirag.service import Service
from minirag.testing import completion

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "minirag" / "data" / "sample-report.pdf"
HELLO = [{"role": "user", "content": "hello"}]
MODELS = {role: f"offline-{role}" for role in ("teacher", "student", "judge", "embedding")}


def exchange(text: str) -> Exchange:
    """An answered call."""
    request = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return Exchange("draft", "chat.completions", "s", request, completion(text), started="2026-11-22T05:23:20Z")


class Interrupts:
    """A gate that stops the process after so many calls."""

    def __init__(self, calls: int) -> None:
        self.calls = calls

    def before(self, call: Exchange) -> float:
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        return 0.0

    def after(self, amount: float, exchange: Exchange | None) -> None: ...


def test_the_vectors_of_an_index_that_was_interrupted_are_not_paid_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minirag.models.INPUTS_PER_CALL", 2)
    chunks = [Chunk(f"c{n}", "a.txt", 1, n, n + 1, 1, f"word{n} tram") for n in range(10)]
    with offline.serve() as server, Service(server.base_url, "k") as service:
        for calls in (2, 1, 9):
            service.gates[:] = [Interrupts(calls)]
            with MessageLog(tmp_path / "log.jsonl") as log, suppress(KeyboardInterrupt):
                embed = EmbeddingModel("offline-embedding", workers=1, log=log, service=service)
                store = VectorStore.build(chunks, embed)
        assert server.requests["POST", "/v1/embeddings"] == 5
        undisturbed = VectorStore.build(chunks, EmbeddingModel("offline-embedding", service=service))
    assert np.array_equal(store.vectors, undisturbed.vectors)
    assert len({exchange.id for exchange in MessageLog(log.path)}) == len(MessageLog(log.path)) == 5


# -- damaged, full, long -----------------------------------------------------------------------------------


def test_a_thousand_flipped_bits_are_never_believed(tmp_path: Path) -> None:
    path, dice = tmp_path / "log.jsonl", random.Random(1)
    lines = [exchange(str(n)).to_line() for n in range(8)]
    data = b"".join(lines)
    named = set_aside = 0
    for _ in range(1000):
        position = dice.randrange(len(data))
        flipped = bytearray(data)
        flipped[position] ^= 1 << dice.randrange(8)
        path.write_bytes(flipped)
        try:
            set_aside += len(MessageLog(path)) == len(lines) - 1
        except LogError as error:
            named += f" line {data.count(10, 0, position) + 1} " in str(error)
    assert named + set_aside == 1000
    assert set_aside < 10


def test_a_write_that_stops_after_any_number_of_bytes_leaves_a_log_that_takes_the_next_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (exchange(text) for text in ("one", "two"))
    room = 0

    class Full:
        """A file on a disk with room for so many more bytes."""

        def __init__(self, file: Any) -> None:
            self.file = file

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def write(self, data: memoryview) -> int:
            nonlocal room
            if room == 0:
                raise OSError(28, "No space left on device")
            written: int = self.file.write(data[:room])
            room -= written
            return written

    for number in range(0, len(second.to_line()), 7):
        path = tmp_path / f"{number}.jsonl"
        with MessageLog(path, sync=False) as log:
            log.append(first)
            room = number
            with monkeypatch.context() as patch:
                patch.setattr(log, "_file", Full(log._file))
                with pytest.raises(Unfinished):
                    log.append(second)
            assert list(MessageLog(path)) == [first]
            log.append(second)
        assert list(MessageLog(path)) == [first, second]


def test_a_long_log_takes_a_small_part_of_its_size_in_memory(tmp_path: Path) -> None:
    with (tmp_path / "log.jsonl").open("wb") as file:
        for number in range(2000):
            file.write(exchange(f"{number} {'word ' * 1000}").to_line())
    tracemalloc.start()
    log = MessageLog(tmp_path / "log.jsonl")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(log) == 2000
    assert peak < 0.1 * (tmp_path / "log.jsonl").stat().st_size


# -- two processes, and signals ----------------------------------------------------------------------------


HOLDS = """
import sys
from minirag import MessageLog
log = MessageLog(sys.argv[1])
log.lock()
print("here", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_and_the_lock_of_a_killed_one_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    command = [sys.executable, "-c", HOLDS, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "here\n"
        with pytest.raises(LogError, match="Another process is working in"):
            MessageLog(path).lock()
        first.kill()
        first.wait()
        with MessageLog(path) as log:
            log.lock()


def test_ctrl_c_reaches_the_pools_that_calls_have_begun() -> None:
    asked: list[str] = []
    inside = threading.Event()

    def inner(_: int) -> None:
        inside.set()
        for _ in range(200):
            check_interrupted()
            threading.Event().wait(0.01)
        asked.append("went on")

    def interrupts() -> Iterator[int]:
        yield 1
        assert inside.wait(10)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(in_order(lambda _: list(in_order(inner, [1], 1)), interrupts(), 2))
    assert asked == []


def test_a_call_of_the_main_thread_ends_and_is_logged_after_ctrl_c(tmp_path: Path) -> None:
    def reply(_: object) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(0.3)
        return {"data": [{"index": 0, "embedding": [1.0, 2.0]}], "model": "e", "usage": {"prompt_tokens": 1}}

    with Script((200, {}, reply)) as script, Service(script.url, "k") as service, MessageLog(tmp_path / "l") as log:
        with pytest.raises(KeyboardInterrupt):
            EmbeddingModel("e", log=log, service=service).embed(["a"])
        assert len(log) == 1
        assert EmbeddingModel("e", log=log, service=service).embed(["a"]).tolist() == [[1.0, 2.0]]
    assert len(script.requests) == 1


# -- another run in the same folder ------------------------------------------------------------------------


def questions(*more: str) -> list[str]:
    return ["questions", *more, "--offline", "--train-questions", "2", "--eval-questions", "2"]


def test_what_changed_since_the_last_run_is_said_and_its_results_do_not_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document, out = tmp_path / "notes.txt", tmp_path / "out"
    document.write_bytes((ROOT / "minirag" / "data" / "sample-report.md").read_bytes())

    def said(*arguments: str) -> list[str]:
        capsys.readouterr()
        assert main([*questions(*arguments), "--out", str(out)]) == 0
        return [line for line in capsys.readouterr().err.splitlines() if line.startswith("since the last run")]

    assert said(str(document)) == []
    (out / "comparison.json").write_text("{}")
    assert said(str(document)) == said() == []
    assert (out / "comparison.json").exists()
    assert said("--top-k", "3") == ["since the last run: top_k 2 → 3"]
    assert not (out / "comparison.json").exists()
    sent = len(MessageLog(out / "messages.jsonl"))
    document.write_text(document.read_text("utf-8") + "\nOne sentence more.\n")
    assert said() == ["since the last run: document notes.txt changed"]
    facts = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps({**facts, "prompt_texts": "0"}))
    assert said() == ["since the last run: the prompts changed"]
    log = list(MessageLog(out / "messages.jsonl"))
    redone = [e for e in log[sent:] if e.stage == "embed" and e.tags == {"for": "index"}]
    assert len(redone) == 1
    assert len({e.id for e in log}) == len(log)


def test_a_run_that_was_begun_with_a_relative_path_is_resumed_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").write_text("The city runs the trams. The state runs the trains.\fNobody runs the boats.")
    monkeypatch.chdir(tmp_path)
    index = ["index", "notes.txt", "--offline", "--train-questions", "1", "--eval-questions", "1"]
    assert main([*index, "--out", "out"]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["index", "--out", "../out"]) == 0
