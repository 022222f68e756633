"""How far a run is, on stderr: what stands in a line, and that no control character leaves a terminal."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path

import pytest

from minirag.cli.progress import Progress
from minirag.cli.terminal import WIDTH
from minirag.costs import Meter, Price, Prices
from minirag.message_log import Exchange

SAMPLE = Path(__file__).parents[2] / "minirag" / "data" / "sample-report.pdf"


@dataclass
class Clock:
    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


def paid(usage: dict[str, int] | None) -> Exchange:
    return Exchange("draft", "chat.completions", "s", {"model": "m", "messages": []}, {"usage": usage})


def test_where_there_is_no_terminal_a_plain_line_every_30_s_tells_rate_money_and_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock, meter = Clock(), Meter(Prices("", {"m": Price(1.0, output=2.0)}))
    progress = Progress(meter, clock)
    for done in range(0, 61):
        progress("evaluate", done, 200)
        for _ in range(2):
            meter.after(meter.before(paid(None)), paid({"prompt_tokens": 1000, "completion_tokens": 500}))
        clock.seconds += 1
    clock.seconds += 1
    progress("finetune (running, step 3/90, loss 1.234)", 0, 0)
    clock.seconds += 75
    progress("finetune (running, step 9/90, loss 0.512)", 0, 0)
    clock.seconds += 3600
    progress("finetune (" + "queued " * 20 + ")", 0, 0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [  # 2 calls a second at 0.002 each; 140 questions to go, one a second
        "evaluate 30/200, 2.0 calls/s, $0.1200, 2:50 left",
        "evaluate 60/200, 2.0 calls/s, $0.2400, 2:20 left",
        "finetune (running, step 9/90, loss 0.512), $0.2440, 1:15",
    ]
    assert lines[3].startswith("finetune (queued ")
    assert len(lines[3]) == WIDTH


def test_progress_tells_no_money_that_is_0_or_unknown_and_starts_again_with_the_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for prices in ({}, {"m": Price(0.0, output=0.0)}):
        clock, meter = Clock(), Meter(Prices("", prices))
        progress = Progress(meter, clock)
        progress("ask", 1, 9)
        meter.after(0.0, paid({"prompt_tokens": 1000}))
        clock.seconds += 40
        progress("ask", 9, 9)
        progress("ask", 1, 9)
        clock.seconds += 40
        progress("ask", 2, 9)
        assert capsys.readouterr().err.splitlines() == ["ask 9/9, 0.0 calls/s, 0:00 left", "ask 2/9, 4:40 left"]


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
    command = [sys.executable, "-m", "minirag", "ask", str(SAMPLE), "--offline", "--out", str(tmp_path / "out")]
    written = on_a_terminal([*command, "--train-questions", "2", "--eval-questions", "2"], 80)
    progress = re.findall(r"\r\033\[K([^\r\n]*)(?=\r\033)", written)
    assert {line.split()[0] for line in progress} >= {"index", "questions", "ask"}
    assert max(map(len, progress)) < 80
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", re.sub(r"\r\033\[K|\r\n", "", written))
    assert not re.search(r"\033\[K[a-z]+ \d+/\d+[^\r\n]*\r\n", written)
