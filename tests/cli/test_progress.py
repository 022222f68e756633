"""How far a run is, on stderr: what stands in a line, and that no control character leaves a terminal."""

import re
import sys

import pytest

from doubles import Clock
from minirag.cli.progress import Progress
from minirag.cli.terminal import WIDTH, say
from minirag.costs import Price, Prices
from minirag.message_log import Exchange


def paid(usage: dict[str, int] | None) -> Exchange:
    return Exchange("draft", "chat.completions", "s", {"model": "m", "messages": []}, {"usage": usage})


def test_where_there_is_no_terminal_a_plain_line_every_30_s_tells_rate_money_and_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    progress = Progress(Prices("", {"m": Price(1.0, output=2.0)}), lambda: clock.now)
    for done in range(0, 61):
        progress("evaluate", done, 200)
        for _ in range(2):
            progress.after(progress.before(paid(None)), paid({"prompt_tokens": 1000, "completion_tokens": 500}))
        clock.sleep(1)
    for state, seconds in (("running, step 3/90, loss 1.234", 75), ("running, step 9/90, loss 0.512", 3600)):
        progress(f"finetune ({state})", 0, 0)
        clock.sleep(seconds)
    progress("finetune (" + "queued " * 20 + ")", 0, 0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [  # 2 calls a second at 0.002 each; 140 questions to go, one a second
        "evaluate 30/200, 2.0 calls/s, $0.1200, 0:02:50 left",
        "evaluate 60/200, 2.0 calls/s, $0.2400, 0:02:20 left",
        "finetune (running, step 9/90, loss 0.512), $0.2440, 0:01:15",
    ]
    assert lines[3].startswith("finetune (queued ")
    assert len(lines[3]) == WIDTH


def test_progress_tells_no_money_that_is_unknown_and_starts_again_with_the_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    progress = Progress(Prices("", {}), lambda: clock.now)
    progress("ask", 1, 9)
    progress.after(0.0, paid({"prompt_tokens": 1000}))
    for seconds, done in ((40, 9), (0, 1), (40, 2)):
        clock.sleep(seconds)
        progress("ask", done, 9)
    assert capsys.readouterr().err.splitlines() == ["ask 9/9, 0.0 calls/s, 0:00:00 left", "ask 2/9, 0:04:40 left"]


def test_on_a_terminal_one_line_is_rewritten_and_wiped_out_by_the_next_message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    progress = Progress(Prices("", {}), lambda: clock.now)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for done in range(3):
        progress("index of a long name " * 5, done, 2)
        clock.sleep(1)
    say("index: 2 chunks")
    *lines, last = capsys.readouterr().err.split("\r\033[K")[1:]
    assert [len(line) for line in lines] == [WIDTH] * 3
    assert last == "index: 2 chunks\n"
    assert not re.search(r"[\x00-\x1f\x7f]", "".join(lines))
