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

from minirag.cli import terminal
from minirag.cli.terminal import WIDTH, Progress

SAMPLE = Path(__file__).parents[2] / "minirag" / "data" / "sample-report.pdf"


def test_where_there_is_no_terminal_progress_is_a_plain_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = Progress()
    for done in range(10):
        progress("evaluate", done, 10)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(terminal, "PROGRESS_INTERVAL", 0.0)
    progress("ask", 1, 9)
    progress("finetune (" + "running " * 20 + ")", 0, 0)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "ask 1/9"
    assert second.startswith("finetune (running ")
    assert len(second) == WIDTH


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
    assert {line.split()[0] for line in progress} >= {"questions", "ask"}
    assert max(map(len, progress)) < 80
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", re.sub(r"\r\033\[K|\r\n", "", written))
    assert not re.search(r"\033\[K[a-z]+ \d+/\d+[^\r\n]*\r\n", written)
