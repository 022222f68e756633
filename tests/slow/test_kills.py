"""Kill and starve real runs of the sample report, and compare how they end with an undisturbed run.

MINIRAG_KILLS sets the number of SIGKILLs; the default is 20.
"""

import os
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from faults import Faults, fails_validation, lines_fail
from minirag import MessageLog, offline
from minirag.server import Server
from minirag.server.wire import Reply, Request
from run_files import MODELS, SAMPLE, contents

KILLS = int(os.environ.get("MINIRAG_KILLS", "20"))
WORKERS = 4
OPTIONS = ["--train-questions=14", "--eval-questions=6", "--context-window=1200", f"--workers={WORKERS}"]
PAID = {"chat.completions": "/v1/chat/completions", "embeddings": "/v1/embeddings"}
NOT_COMPARED = {"messages.jsonl", "messages.jsonl.torn", "job.json", "report.html"}
"""These hold times, or the order in which replies arrived."""


class Runs:
    """Runs against services at one address, as a real one's is; in `undisturbed` is one that nothing disturbed."""

    def __init__(self, work: Path) -> None:
        self.work, self.undisturbed, self.port = work, work / "undisturbed", 0
        started = time.monotonic()
        with self.service():
            assert self.finish(self.undisturbed)[0] == 0
        self.seconds = time.monotonic() - started

    @contextmanager
    def service(self) -> Iterator[Server]:
        """A new embedded service."""
        with Server(offline.api(), self.port) as server:
            self.port = urlsplit(server.base_url).port or 0
            yield server

    def start(self, folder: Path, *options: str) -> "subprocess.Popen[str]":
        address = ["--base-url", f"http://127.0.0.1:{self.port}/v1", "--out", str(folder)]
        command = [sys.executable, "-m", "minirag", "run", str(SAMPLE), *MODELS, *OPTIONS, *address, *options]
        streams: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env={**os.environ, "OPENAI_API_KEY": "none"}, **streams)

    def finish(self, folder: Path, file_limit: int | None = None) -> tuple[int, str]:
        """Run to the end, with no file longer than `file_limit` bytes; return the exit code and the last line."""
        process = self.start(folder)
        if file_limit is not None:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (file_limit, file_limit))
        _, talk = process.communicate()
        assert "Traceback" not in talk, talk
        return process.returncode, talk.splitlines()[-1]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


def results(folder: Path, *apart: str) -> dict[str, bytes]:
    return {name: content for name, content in contents(folder).items() if name not in {*NOT_COMPARED, *apart}}


def whole_lines(folder: Path) -> bytes:
    path = folder / "messages.jsonl"
    return path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""


def kill_after(process: "subprocess.Popen[str]", seconds: float) -> bool:
    """Send SIGKILL after so many seconds; False if the process had ended by then."""
    try:
        _, talk = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    assert process.returncode == 0, talk
    return False


def test_killed_runs_lose_no_reply_ask_for_none_again_and_end_in_the_same_results(runs: Runs) -> None:
    dice, kills = random.Random("kills"), 0
    while kills < KILLS:
        folder, kills_before, lines = runs.work / f"killed-{kills}", kills, b""
        with runs.service() as server:
            while kills < KILLS and kill_after(runs.start(folder), runs.seconds * dice.uniform(0.1, 0.8)):
                kills += 1
                assert whole_lines(folder).startswith(lines), "a finished exchange left the log"
                lines = whole_lines(folder)
            assert runs.finish(folder)[0] == 0
            sent = sum(count for (_, path), count in server.requests.items() if path in PAID.values())
        logged = [each for each in MessageLog(folder / "messages.jsonl") if each.endpoint in PAID and not each.error]
        assert len({exchange.id for exchange in logged}) == len(logged), "a finished call was sent again"
        assert sent - len(logged) <= WORKERS * (kills - kills_before), "more calls than were in flight are lost"
        assert results(folder) == results(runs.undisturbed)


def test_killed_runs_through_batches_that_break_pay_no_line_twice_and_end_in_the_same_results(runs: Runs) -> None:
    api, answered, folder = offline.api(), Counter[bytes](), runs.work / "batched"
    faulty, dice = Faults(api, [fails_validation(), lines_fail(0.05)]), random.Random("batches")

    def line(request: Request) -> Reply:
        reply = faulty(request)
        answered[request.body] += reply.status == 200
        return reply

    api.batches.answer = line
    with Server(faulty, runs.port):
        for number in range(KILLS):
            if not kill_after(runs.start(folder, "--batch", "--no-probe"), runs.seconds * dice.uniform(0.1, 0.8)):
                assert number > 0, "the run had ended before its first kill"
                break
        process = runs.start(folder, "--batch", "--no-probe")
        _, talk = process.communicate()
        assert process.returncode == 0, talk
    assert set(answered.values()) <= {0, 1}, "a line was paid twice"
    calls = [exchange for exchange in MessageLog(folder / "messages.jsonl") if exchange.endpoint in PAID]
    assert len({call.id for call in calls if not call.error}) == sum(not call.error for call in calls)
    assert all("batch" in call.tags for call in calls)
    assert results(folder, "costs.json") == results(runs.undisturbed, "costs.json")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_a_run_that_cannot_write_any_more_stops_with_one_sentence_and_resumes(runs: Runs, share: float) -> None:
    folder, log = runs.work / f"full-{share}", runs.undisturbed / "messages.jsonl"
    with runs.service():
        code, last = runs.finish(folder, file_limit=int(share * log.stat().st_size))
        assert (code, last[-1]) == (3, "."), last
        assert runs.finish(folder)[0] == 0
    assert results(folder) == results(runs.undisturbed)
