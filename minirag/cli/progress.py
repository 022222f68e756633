"""How far a step is, on stderr: done of total, calls a second, money so far, time left or time passed."""

import sys
import time
from collections.abc import Callable
from datetime import timedelta

from minirag.cli.terminal import cut
from minirag.costs import Meter
from minirag.text import dollars

INTERVAL = 30.0
"""Seconds between two lines if stderr is not a terminal."""


class Progress:
    """Prints how far a step is: on a terminal one line that is rewritten, elsewhere a line every half minute.

    Call it with the step's name, how many items are done, and how many there are (0 if that is not known). What stands
    in parentheses behind the name is its state. `meter` counts the calls, `clock` gives seconds.
    """

    def __init__(self, meter: Meter, clock: Callable[[], float] = time.monotonic) -> None:
        self._meter, self._clock = meter, clock
        self._step = ("", 0)
        self._start = (0.0, 0, 0)
        self._done = 0
        self._printed = 0.0

    def __call__(self, step: str, done: int, total: int) -> None:
        now, calls = self._clock(), self._meter.line.calls
        name = (step.partition(" (")[0], total)
        if name != self._step or done < self._done:  # a step may be taken twice: the train questions, the eval ones
            self._step, self._printed, self._start = name, now, (now, done, calls)
        self._done = done
        start, first_done, first_calls = self._start
        seconds = now - start
        parts = [f"{step} {done:,}/{total:,}" if total else step]
        if seconds >= 1:
            if calls > first_calls:
                parts.append(f"{(calls - first_calls) / seconds:.1f} calls/s")
            if self._meter.line.usd:
                parts.append(dollars(self._meter.line.usd))
            if done > first_done:
                rest = seconds * (total - done) / (done - first_done)
                parts.append(f"{timedelta(seconds=round(rest))} left")
            else:
                parts.append(str(timedelta(seconds=round(seconds))))
        line = cut(", ".join(parts))
        if sys.stderr.isatty():
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
        elif now - self._printed >= INTERVAL:
            self._printed = now
            print(line, file=sys.stderr, flush=True)
