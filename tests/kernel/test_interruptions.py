"""Faults of the machine: what a run that is killed, interrupted or out of room has paid for is not lost, nor hidden."""

import os
import random
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from doubles import Script
from minirag import EmbeddingModel, MessageLog, VectorStore, offline
from minirag.chunker import Chunk
from minirag.cli.main import main
from minirag.errors import LogError
from minirag.message_log import Exchange
from minirag.service import Service
from minirag.testing import completion

SAMPLE = Path(__file__).parents[2] / "minirag" / "data" / "sample-report.md"


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


def test_the_vectors_of_an_index_that_was_interrupted_are_not_paid_for_again(tmp_path, monkeypatch):
    monkeypatch.setattr("minirag.embeddings.INPUTS_PER_CALL", 2)
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


# -- damage ------------------------------------------------------------------------------------------------


def test_three_hundred_flipped_bits_are_never_believed(tmp_path):
    path, dice = tmp_path / "log.jsonl", random.Random(1)
    lines = [exchange(str(n)).to_line() for n in range(8)]
    data = b"".join(lines)
    named = set_aside = 0
    for _ in range(300):
        position = dice.randrange(len(data))
        flipped = bytearray(data)
        flipped[position] ^= 1 << dice.randrange(8)
        path.write_bytes(flipped)
        try:
            set_aside += len(MessageLog(path)) == len(lines) - 1
        except LogError as error:
            named += f" line {data.count(10, 0, position) + 1} " in str(error)
    assert named + set_aside == 300
    assert set_aside < 5


# -- signals -----------------------------------------------------------------------------------------------


def test_a_call_of_the_main_thread_ends_and_is_logged_after_ctrl_c(tmp_path):
    def reply(_: object) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(0.3)
        return {"data": [{"index": 0, "embedding": [1.0, 2.0]}], "model": "e", "usage": {"prompt_tokens": 1}}

    with Script(reply) as script, Service(script.url, "k") as service, MessageLog(tmp_path / "l") as log:
        with pytest.raises(KeyboardInterrupt):
            EmbeddingModel("e", log=log, service=service).embed(["a"])
        assert len(log) == 1
        assert EmbeddingModel("e", log=log, service=service).embed(["a"]).tolist() == [[1.0, 2.0]]
    assert len(script.requests) == 1


# -- another run in the same folder ------------------------------------------------------------------------


def test_what_changed_since_the_last_run_is_said_and_its_results_do_not_stay(tmp_path, monkeypatch, capsys):
    document, out = tmp_path / "notes.txt", tmp_path / "out"
    document.write_bytes(SAMPLE.read_bytes())

    def said(*arguments: str) -> list[str]:
        capsys.readouterr()
        assert main(["index", *arguments, "--offline", "--out", str(out)]) == 0
        return [line for line in capsys.readouterr().err.splitlines() if line.startswith("changed since")]

    monkeypatch.chdir(tmp_path)
    assert said("notes.txt") == []
    monkeypatch.chdir(out)  # a run that was begun with a relative path is resumed from any folder
    (out / "comparison.json").write_text("{}")
    assert said() == []
    assert (out / "comparison.json").exists()
    assert said("--top-k", "3") == ["changed since the last run: top_k"]
    assert not (out / "comparison.json").exists()
    sent = len(MessageLog(out / "messages.jsonl"))
    document.write_text(document.read_text("utf-8") + "\nOne sentence more.\n")
    assert said() == ["changed since the last run: notes.txt"]
    log = list(MessageLog(out / "messages.jsonl"))
    redone = [e for e in log[sent:] if e.stage == "embed" and e.tags == {"for": "index"}]
    assert len(redone) == 1
    assert len({e.id for e in log}) == len(log)
