"""A run through batches that fail in every way, killed in every state, ends as a direct run does."""

import json
import signal
import subprocess
from collections import Counter
from pathlib import Path

from faults import Faults, fails_validation, lines_fail
from minirag import MessageLog, offline
from minirag.server import Server
from minirag.server.wire import Reply, Request
from run_files import contents, port_of, start

OPTIONS = ["--train-questions=12", "--eval-questions=12", "--workers=1", "--no-probe"]
PRICES = """
[models."offline"]
input = 2.0
output = 8.0
batch = 0.5
[models."ft:offline"]
training = 0.0
input = 3.0
output = 12.0
batch = 0.5
"""
MOMENTS = ("upload", "validating", "in_progress", "completed", "failed", "output file", "error file")
"""Where the client is killed: its request has had its effect, and the reply never arrives. At `validating` the batch is
being created."""
NOT_COMPARED = {"messages.jsonl", "job.json", "costs.json", "report.html"}
"""These hold times, batches, the service's clock, or prices."""


class Killing:
    """A service that breaks batches by rule, counts the lines that it answers, and kills its client at each moment."""

    def __init__(self) -> None:
        api = offline.api()
        self.faulty = Faults(api, [fails_validation(), lines_fail(0.05)])
        api.batches.answer = self._answer_line
        self.failed, self.answered = 0, Counter[bytes]()
        self.moments = list(MOMENTS)
        self.client: subprocess.Popen[str] | None = None

    def _answer_line(self, request: Request) -> Reply:
        reply = self.faulty(request)
        self.failed += reply.status != 200
        self.answered[request.body] += reply.status == 200
        return reply

    def __call__(self, request: Request) -> Reply:
        reply = self.faulty(request)
        moment = self._moment(request, reply)
        if moment in self.moments and self.client is not None and self.client.poll() is None:
            self.moments.remove(moment)
            self.client.send_signal(signal.SIGKILL)
            self.client.wait()
        return reply

    def _moment(self, request: Request, reply: Reply) -> str:
        """Return what was asked for, in the words of `MOMENTS`; empty for everything else."""
        match request.method, request.path.split("/")[2:]:
            case "POST", ["files"] if b"\r\n\r\nbatch\r\n" in request.body:
                return "upload"
            case ("POST", ["batches"]) | ("GET", ["batches", _]):
                return str(json.loads(reply.body)["status"])
            case "GET", ["files", _, "content"]:
                return "output file" if b'"status_code": 200' in reply.body else "error file"
        return ""


def usd(folder: Path) -> float:
    return float(json.loads((folder / "costs.json").read_text("utf-8"))["total_usd"])


def test_broken_batches_and_kills_in_every_state_cost_no_line_twice_and_change_no_result(tmp_path: Path) -> None:
    direct, batched, prices = tmp_path / "direct", tmp_path / "batched", tmp_path / "prices.toml"
    prices.write_text(PRICES, "utf-8")
    options = [*OPTIONS, f"--prices={prices}"]
    with offline.serve() as server:
        url = server.base_url
        process = start(url, direct, *options)
        _, talk = process.communicate()
        assert process.returncode == 0, talk
    killing = Killing()
    with Server(killing, port_of(url)):
        while process.returncode != 0 or not batched.exists():
            process = killing.client = start(url, batched, *options, "--batch")
            _, talk = process.communicate()
            assert process.returncode in {0, -signal.SIGKILL}, talk
    assert killing.moments == []
    assert killing.failed > 0
    assert set(killing.answered.values()) <= {0, 1}, "a line was paid twice"
    calls = [e for e in MessageLog(batched / "messages.jsonl") if e.endpoint in {"chat.completions", "embeddings"}]
    answered = [exchange for exchange in calls if exchange.error is None]
    assert len(answered) == len({exchange.id for exchange in answered})
    assert all("batch" in exchange.tags for exchange in calls)
    one, other = contents(direct), contents(batched)
    assert [name for name in sorted({*one, *other} - NOT_COMPARED) if one.get(name) != other.get(name)] == []
    assert abs(usd(batched) / usd(direct) - 0.5) < 1e-6
