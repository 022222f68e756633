"""Kill, stop, starve and double real runs of the sample report, and compare how they end with an undisturbed run.

MINIRAG_KILLS sets the number of SIGKILLs; the default is 20.
"""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import minirag
from minirag import Exchange, MessageLog, offline
from minirag.server import Server
from minirag.server.wire import Reply, Request

KILLS = int(os.environ.get("MINIRAG_KILLS", "20"))
SAMPLE = Path(minirag.__file__).parent / "data" / "sample-report.pdf"
MODELS = [word for role in ("teacher", "student", "judge", "embedding") for word in (f"--{role}", f"offline-{role}")]
SIZE = ["--train-questions", "14", "--eval-questions", "6", "--context-window", "1200"]
WORKERS = 4
PAID = {"chat.completions": "/v1/chat/completions", "embeddings": "/v1/embeddings"}
NOT_COMPARED = {"messages.jsonl", "messages.jsonl.torn", ".lock", "job.json", "report.html"}
"""These hold times, or the order in which replies arrived."""


class Runs:
    """Starts runs against a service whose address is always the same, as a real one's is."""

    def __init__(self, work: Path) -> None:
        self.work, self.undisturbed = work, work / "undisturbed"
        self.port = self.services = 0
        self.seconds = 0.0
        self.processes: list[subprocess.Popen[str]] = []

    @contextmanager
    def service(self, answers: int | None = None) -> Iterator[Server]:
        """A new embedded service; after `answers` chat replies each call hangs."""
        self.services += 1
        embedded = offline.api(self.work / f"service-{self.services}")
        chats = 0

        def reply(request: Request) -> Reply:
            nonlocal chats
            chats += request.path.endswith("/chat/completions")
            if answers is not None and chats > answers:
                time.sleep(60)
            return embedded(request)

        with Server(reply, self.port) as server:
            self.port = int(server.base_url.split(":")[2].split("/")[0])
            yield server

    def start(self, folder: Path, file_limit: int | None = None) -> "subprocess.Popen[str]":
        """Start `minirag run`; no file that it writes may become longer than `file_limit` bytes."""
        address = ["--base-url", f"http://127.0.0.1:{self.port}/v1", "--workers", str(WORKERS)]
        command = [sys.executable, "-m", "minirag", "run", str(SAMPLE), *MODELS, *address, *SIZE, "--out", str(folder)]
        environment = {**os.environ, "OPENAI_API_KEY": "none"}
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        if file_limit is not None:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (file_limit, file_limit))
        return process

    def finish(self, folder: Path, file_limit: int | None = None) -> tuple[int, str]:
        """Run to the end; return the exit code and the last line on stderr."""
        process = self.start(folder, file_limit)
        _, talk = process.communicate()
        assert "Traceback" not in talk, talk
        return process.returncode, talk.splitlines()[-1]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Runs in a folder that holds an undisturbed one already."""
    runs = Runs(tmp_path_factory.mktemp("runs"))
    started = time.monotonic()
    with runs.service():
        assert runs.finish(runs.undisturbed)[0] == 0
    runs.seconds = time.monotonic() - started
    yield runs
    for process in runs.processes:
        if process.poll() is None:  # its test failed half way
            process.kill()
            process.communicate()


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in NOT_COMPARED}


def whole_lines(folder: Path) -> bytes:
    path = folder / "messages.jsonl"
    return path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""


def finished(folder: Path) -> list[Exchange]:
    """The paid calls of a run that were answered."""
    return [each for each in MessageLog(folder / "messages.jsonl") if each.endpoint in PAID and not each.error]


def requests(server: Server) -> int:
    """How many paid calls the service has been sent."""
    return sum(count for (_, path), count in server.requests.items() if path in PAID.values())


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


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
            sent = requests(server)
        logged = finished(folder)
        assert len({exchange.id for exchange in logged}) == len(logged), "a finished call was sent again"
        assert sent - len(logged) <= WORKERS * (kills - kills_before), "more calls than were in flight are lost"
        assert results(folder) == results(runs.undisturbed)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_a_run_that_cannot_write_any_more_stops_with_one_sentence_and_resumes(runs: Runs, share: float) -> None:
    folder, log = runs.work / f"full-{share}", runs.undisturbed / "messages.jsonl"
    with runs.service():
        code, last = runs.finish(folder, file_limit=int(share * log.stat().st_size))
        assert (code, last[-1]) == (3, "."), last
        assert runs.finish(folder)[0] == 0
    assert results(folder) == results(runs.undisturbed)


@pytest.mark.parametrize(
    ("signals", "code", "seconds"),
    [([signal.SIGINT], 130, 12), ([signal.SIGTERM], 143, 12), ([signal.SIGINT] * 2, 130, 4)],
    ids=["Ctrl-C", "SIGTERM", "Ctrl-C twice"],
)
def test_a_signal_begins_no_further_call_and_ends_the_run_in_time(
    runs: Runs, signals: list[signal.Signals], code: int, seconds: float
) -> None:
    with runs.service(answers=60) as server:
        process = runs.start(runs.work / f"stopped-{code}-{len(signals)}")
        wait_for(lambda: server.requests["POST", PAID["chat.completions"]] >= 60 + WORKERS)
        started = time.monotonic()
        for number, one in enumerate(signals):
            time.sleep(number)
            process.send_signal(one)
        process.communicate()
        assert (process.returncode, time.monotonic() - started < seconds) == (code, True)
        assert server.requests["POST", PAID["chat.completions"]] == 60 + WORKERS
