"""How far a run is, on stderr: what stands in a line, and that no control character leaves a terminal."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from doubles import answered
from minirag import MessageLog
from minirag.cli.terminal import EVERY, WIDTH, Progress
from minirag.costs.bill import Price, Prices
from minirag.costs.tally import Tally
from minirag.message_log import Exchange

SAMPLE = Path(__file__).parents[2] / "minirag" / "data" / "sample-report.pdf"
PRICES = Prices("", {"big": Price(1_000_000.0, None, 0.0)})


class Clock:
    """Seconds as a test sets them."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def logged(log: MessageLog, number: int, *, failed: bool = False) -> None:
    sent = answered(f"q{number}", "Yes.")
    error = {"type": "server_error", "message": "busy"} if failed else None
    log.append(Exchange(sent.stage, sent.endpoint, "s", sent.request, None if failed else sent.response, error))


def test_a_line_on_a_terminal_tells_step_count_failures_money_and_time_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, log = Clock(), MessageLog(tmp_path / "messages.jsonl")
    logged(log, 0)
    progress = Progress(clock, lambda: True)
    progress.tally = Tally(log, PRICES)
    progress("ask", 0, 72)
    assert capsys.readouterr().err == "\r\033[Kask 0/72"
    logged(log, 1)
    logged(log, 2, failed=True)
    clock.now = 10.0
    progress("ask", 12, 72)
    tokens = next(iter(log)).usage["prompt_tokens"]
    assert capsys.readouterr().err == f"\r\033[Kask 12/72, 1 failed, ${tokens:.2f}, about 50 s left"


def test_elsewhere_it_is_a_plain_line_every_half_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = Progress(clock, lambda: False)
    for done in range(101):
        clock.now = float(done)
        progress("evaluate", done, 100)
    lines = capsys.readouterr().err.split("\n")
    assert lines == [
        f"evaluate {n}/100, about {t} left" for n, t in ((30, "1 min 10 s"), (60, "40 s"), (90, "10 s"))
    ] + [""]


def test_another_step_starts_its_own_time(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = Progress(clock, lambda: False)
    progress("ask", 1, 2)
    clock.now = 2 * EVERY
    progress("evaluate", 1, 9)
    assert capsys.readouterr().err == ""


def test_no_line_is_wider_than_a_terminal_of_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    Progress(on_terminal=lambda: True)("finetune (" + "running " * 20 + ")", 0, 0)
    assert len(capsys.readouterr().err.removeprefix("\r\033[K")) <= WIDTH


def test_a_tally_counts_each_call_once_and_an_unknown_price_makes_it_unknown(tmp_path: Path) -> None:
    log = MessageLog(tmp_path / "messages.jsonl")
    logged(log, 0)
    tally, unknown = Tally(log, PRICES), Tally(log, Prices("", {}))
    assert tally.look() == (0.0, 0)
    logged(log, 1)
    first = tally.look()
    assert first == tally.look() != (0.0, 0)
    assert unknown.look() == (None, 0)


def test_a_run_that_is_piped_writes_no_control_character(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "minirag", "index", str(SAMPLE), "--offline", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, check=True)
    assert {byte for byte in done.stdout + done.stderr if byte < 32} == {10}


def on_a_terminal(command: list[str], columns: int) -> str:
    """All that a command writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        written = b""
        try:
            while read := os.read(ours, 65536):
                written += read
        except OSError:
            pass  # Linux says so when the last writer has closed its end
    os.close(ours)
    assert process.returncode == 0, written
    return written.decode()


def test_on_a_terminal_of_80_columns_no_progress_line_wraps_and_the_last_one_is_wiped_out(tmp_path: Path) -> None:
    size = ["--train-questions", "12", "--eval-questions", "10"]
    command = [sys.executable, "-m", "minirag", "collect", str(SAMPLE), "--offline", "--out", str(tmp_path / "out")]
    written = on_a_terminal([*command, *size], 80)
    progress = re.findall(r"\r\033\[K([^\r\n]*)(?=\r\033)", written)
    assert {line.split()[0] for line in progress} >= {"questions", "ask"}
    assert max(map(len, progress)) < 80
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", re.sub(r"\r\033\[K|\r\n", "", written))
    assert not re.search(r"\033\[K[a-z]+ \d+/\d+[^\r\n]*\r\n", written)
