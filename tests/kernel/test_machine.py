"""Faults of the machine: what a run that is killed, interrupted or out of room has paid for is not lost, nor hidden."""

import argparse
import gc
import hashlib
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubles import Script
from minirag import ChatModel, EmbeddingModel, FineTuningJob, MessageLog, VectorStore, offline
from minirag.chunker import Chunk
from minirag.cli.main import main
from minirag.costs import Price, Prices, bill
from minirag.errors import LogError, Unfinished
from minirag.job_calls import JobCalls
from minirag.message_log import Exchange
from minirag.pipeline import Run
from minirag.retry import check_interrupted, in_order
from minirag.service import Service
from minirag.settings import Settings
from minirag.testing import completion

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "minirag" / "data" / "sample-report.pdf"
HELLO = [{"role": "user", "content": "hello"}]
MODELS = {role: f"offline-{role}" for role in ("teacher", "student", "judge", "embedding")}
FAULTS = runpy.run_path(str(ROOT / "scripts" / "faults"))
KILLED = """
import os, signal, sys
from minirag import ChatModel, MessageLog
from minirag.service import Service
chat = ChatModel("m", log=MessageLog(sys.argv[1]), service=Service(sys.argv[2], "k"))
chat.complete([{"role": "user", "content": "hello"}], stage="draft")
"""


def trial(name: str, work: Path, **numbers: int) -> dict[str, Any]:
    """The figures of one trial of scripts/faults."""
    figures = FAULTS["TRIALS"][name](
        FAULTS["Runs"](work), random.Random(f"tests/{name}"), argparse.Namespace(**numbers)
    )
    assert figures["ok"], figures
    return dict(figures)


# -- killed ------------------------------------------------------------------------------------------------


def killed_in_a_call(log: Path) -> None:
    """A process that asks once, and is killed while it waits for the reply."""
    arrived, done = threading.Event(), threading.Event()

    def hang(_: object) -> dict[str, Any]:
        arrived.set()
        done.wait(60)
        return {}

    with Script((200, {}, hang)) as script:
        process = subprocess.Popen([sys.executable, "-c", KILLED, log, script.url])
        assert arrived.wait(60)
        process.kill()
        process.wait()
        done.set()


def test_runs_that_are_killed_lose_nothing_and_end_in_the_same_files(tmp_path: Path) -> None:
    figures = trial("kills", tmp_path, kills=3)
    assert (figures["kills"], figures["lost"], figures["files that differ"]) == (3, 0, 0)


def test_a_call_that_was_in_flight_when_its_process_was_killed_is_in_the_log_but_in_no_bill(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    killed_in_a_call(path)
    assert [f.suffix for f in tmp_path.iterdir() if f != path] == [".sent"]
    with Script(completion("hi")) as script, Service(script.url, "k") as service, MessageLog(path) as log:
        assert ChatModel("m", log=log, service=service).complete(HELLO, stage="draft").text == "hi"
    lost, answered = MessageLog(path)
    assert (lost.interrupted, answered.interrupted, MessageLog(path).interrupted()) == (True, False, 1)
    assert lost.request == answered.request
    assert [f.name for f in tmp_path.iterdir()] == ["log.jsonl"]


def test_a_call_in_flight_of_a_process_that_lives_is_left_alone(tmp_path: Path) -> None:
    one, two = MessageLog(tmp_path / "log.jsonl"), MessageLog(tmp_path / "log.jsonl")
    exchange = Exchange(
        "draft", "chat.completions", "s", {"model": "m"}, completion("hi"), started="2026-11-22T05:23:20Z"
    )
    with one.sending(exchange):
        two.recover()
        assert len(two) == 0
        one.append(exchange)
    assert list(MessageLog(one.path)) == [exchange]
    one.close()


def test_a_process_killed_between_the_log_and_the_note_has_lost_nothing(tmp_path: Path) -> None:
    exchange = Exchange(
        "draft", "chat.completions", "s", {"model": "m"}, completion("hi"), started="2026-11-22T05:23:20Z"
    )
    with MessageLog(tmp_path / "log.jsonl") as log:
        with log.sending(exchange):
            note = next(tmp_path.glob("*.sent"))
            line = note.read_bytes()
        log.append(exchange)
        note.write_bytes(line)
    with MessageLog(log.path) as again:
        again.recover()
        assert (list(again), list(tmp_path.glob("*.sent"))) == ([exchange], [])


def test_an_upload_whose_reply_was_lost_is_found_at_the_service_and_not_repeated(tmp_path: Path) -> None:
    line = '{"messages":[{"role":"user","content":"%d?"},{"role":"assistant","content":"%d trams."}]}\n'
    file, path = tmp_path / "training.jsonl", tmp_path / "log.jsonl"
    file.write_text("".join(line % (n, n) for n in range(12)))
    with offline.serve() as server, Service(server.base_url, "k") as service:
        with MessageLog(path) as log:
            upload = JobCalls(service, log).upload(
                file, file.read_bytes(), hashlib.sha256(file.read_bytes()).hexdigest()
            )
        done = next(iter(MessageLog(path)))
        path.unlink()
        with MessageLog(path) as log, pytest.raises(KeyboardInterrupt), log.sending(replace(done, response=None)):
            raise KeyboardInterrupt  # as if the process had ended before the reply was logged
        with MessageLog(path) as log:
            job = FineTuningJob.create(file, base="offline-student", log=log, service=service)
        assert job.state["training_file"] == upload
        assert server.requests["POST", "/v1/files"] == 1


class Dies(EmbeddingModel):
    """An embedding model whose process ends after so many calls."""

    def __init__(self, calls: int, **more: Any) -> None:
        super().__init__("offline-embedding", **more)
        self.calls = calls

    def embed(self, texts: Any, **more: Any) -> Any:
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        return super().embed(texts, **more)


def test_the_vectors_of_an_index_that_was_interrupted_are_not_paid_for_again(tmp_path: Path) -> None:
    chunks = [Chunk(f"c{n}", "a.txt", 1, n, n + 1, 1, f"word{n} tram") for n in range(10)]
    with offline.serve() as server, Service(server.base_url, "k") as service:
        for calls in (2, 1, 9):
            with MessageLog(tmp_path / "log.jsonl") as log:
                try:
                    store = VectorStore.build(chunks, Dies(calls, log=log, service=service), batch=2)
                except KeyboardInterrupt:
                    continue
        assert server.requests["POST", "/v1/embeddings"] == 5
        with MessageLog(tmp_path / "other.jsonl") as other:
            undisturbed = VectorStore.build(
                chunks, EmbeddingModel("offline-embedding", log=other, service=service), batch=2
            )
    assert np.array_equal(store.vectors, undisturbed.vectors)
    assert [e.id for e in MessageLog(log.path)] == [e.id for e in MessageLog(other.path)]
    assert all((e.response or {})["data"] == [] for e in MessageLog(log.path))
    log.forget_aside()
    assert not list(tmp_path.glob("log.jsonl.*"))


@given(st.lists(st.integers(0, 10**7), min_size=2, max_size=30), st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_the_bill_does_not_depend_on_the_order_of_arrival(tokens: list[int], dice: random.Random) -> None:
    prices = Prices("", {"m": Price(input=0.1, cached=0.007, output=0.3)})

    def told(order: list[int]) -> list[dict[str, Any]]:
        replies = [completion("", prompt_tokens=n, completion_tokens=n // 3) for n in order]
        log = [Exchange("draft", "chat.completions", "s", {"model": "m"}, reply) for reply in replies]
        return [vars(line) for line in bill(log, prices)]

    other = list(tokens)
    dice.shuffle(other)
    assert told(tokens) == told(other)
    exact = sum(n * 0.1 + n // 3 * 0.3 for n in tokens) / 1e6
    assert told(tokens)[0]["usd"] == pytest.approx(exact, abs=1e-10)


# -- damaged, full, long -----------------------------------------------------------------------------------


def test_a_thousand_flipped_bits_are_never_believed(tmp_path: Path) -> None:
    path, dice = tmp_path / "log.jsonl", random.Random(1)
    lines = [FAULTS["exchange"](str(n)).to_line() for n in range(8)]
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


def test_a_disk_that_is_full_stops_a_run_that_goes_on_once_there_is_room(tmp_path: Path) -> None:
    figures = trial("full", tmp_path, sizes=1)
    if "skipped" in figures:
        pytest.skip(figures["skipped"])
    assert (figures["stopped"], figures["broken"]) == (1, 0)


@pytest.mark.parametrize("calls_before", [0, 2])
def test_where_not_even_a_call_can_be_noted_nothing_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls_before: int
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with Script(completion("hi")) as script, Service(script.url, "k") as service:
        log = MessageLog(tmp_path / "log.jsonl")
        for number in range(calls_before):
            ChatModel("m", log=log, service=service).complete(HELLO, stage="draft", repeat=1 + number)
        monkeypatch.setattr("os.write", full)
        with pytest.raises(Unfinished, match="No space left"):
            ChatModel("m", log=log, service=service).complete(HELLO, stage="draft")
        monkeypatch.undo()
        assert len(script.requests) == calls_before
        assert ChatModel("m", log=log, service=service).complete(HELLO, stage="draft").text == "hi"
        log.close()
    assert [f.name for f in tmp_path.iterdir()] == ["log.jsonl"]


def test_what_was_torn_off_the_log_beside_goes_with_it(tmp_path: Path) -> None:
    log = MessageLog(tmp_path / "log.jsonl")
    log.aside.append(FAULTS["exchange"]("one"))
    with (tmp_path / "log.jsonl.vectors").open("ab") as file:
        file.write(b'{"half of a li')
    log.aside.append(FAULTS["exchange"]("two"))
    assert (tmp_path / "log.jsonl.vectors.torn").exists()
    log.forget_aside()
    assert list(tmp_path.iterdir()) == []


def test_a_note_is_empty_between_calls_and_gone_with_the_log(tmp_path: Path) -> None:
    def notes() -> list[int]:
        return [path.stat().st_size for path in tmp_path.glob("*.sent")]

    seen = []

    def reply(_: Any) -> dict[str, Any]:
        seen.append(notes())
        return completion("hi")

    with Script((200, {}, reply)) as script, Service(script.url, "k") as service:
        with MessageLog(tmp_path / "log.jsonl") as log:
            for number in range(3):
                ChatModel("m", log=log, service=service).complete(HELLO, stage="draft", repeat=number)
                assert notes() == [0]
        assert notes() == []
        log = MessageLog(tmp_path / "log.jsonl")  # nobody closes this one
        ChatModel("m", log=log, service=service).complete(HELLO, stage="draft", repeat=3)
        del log
        gc.collect()
    assert [len(sizes) for sizes in seen] == [1, 1, 1, 1]
    assert all(size > 0 for sizes in seen for size in sizes)
    assert notes() == []


def test_a_write_that_stops_after_any_number_of_bytes_leaves_a_log_that_takes_the_next_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (FAULTS["exchange"](text) for text in ("one", "two"))
    write, room = os.write, 0

    def short(file: int, data: memoryview) -> int:
        nonlocal room
        if room == 0:
            raise OSError(28, "No space left on device")
        written = write(file, data[:room])
        room -= written
        return written

    for number in range(0, len(second.to_line()), 7):
        path = tmp_path / f"{number}.jsonl"
        with MessageLog(path, sync=False) as log:
            log.append(first)
            room = number
            with monkeypatch.context() as patch:
                patch.setattr("os.write", short)
                with pytest.raises(Unfinished):
                    log.append(second)
            assert list(MessageLog(path)) == [first]
            log.append(second)
        assert list(MessageLog(path)) == [first, second]


def test_what_a_killed_process_has_half_written_is_removed_by_the_next_run(tmp_path: Path) -> None:
    (tmp_path / ".scores.jsonl.4711.tmp").write_text("half of")
    with run(tmp_path):
        assert [f.name for f in tmp_path.iterdir()] == [".lock"]


def test_a_long_log_takes_a_small_part_of_its_size_in_memory(tmp_path: Path) -> None:
    with (tmp_path / "log.jsonl").open("wb") as file:
        for number in range(2000):
            file.write(FAULTS["exchange"](f"{number} {'word ' * 1000}").to_line())
    tracemalloc.start()
    log = MessageLog(tmp_path / "log.jsonl")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(log) == 2000
    assert peak < 0.1 * (tmp_path / "log.jsonl").stat().st_size


# -- two processes, and signals ----------------------------------------------------------------------------


def run(folder: Path) -> Run:
    """A run that connects to nothing."""
    return Run(folder, Settings((str(SAMPLE),), **MODELS), lambda: Service("http://127.0.0.1:1/v1"))


HOLDS = """
import sys
from pathlib import Path
from minirag.pipeline import Run
from minirag.settings import Settings
with Run(Path(sys.argv[1]), Settings(("a.txt",), "t", "s", "j", "e"), lambda: None):
    print("here", flush=True)
    sys.stdin.read()
"""


def test_the_second_process_names_the_first_and_the_lock_of_a_killed_one_is_no_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDS, tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "here\n"
        with pytest.raises(LogError, match=f"Process {first.pid} is working in"), run(tmp_path):
            pass
        first.kill()
        first.wait()
        with run(tmp_path):
            assert (tmp_path / ".lock").read_text() == str(os.getpid())


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
    (out / "run.json").write_text(json.dumps({**facts, "prompts": "0"}))
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
