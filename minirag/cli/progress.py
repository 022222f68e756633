"""How far a step is, on stderr: done of total, calls a second, money so far, time left or time passed."""

import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from minirag.cli.terminal import cut
from minirag.costs import Line, Prices
from minirag.costs.budget import ENDPOINTS
from minirag.message_log import Exchange
from minirag.text import dollars

INTERVAL = 30.0
"""Seconds between two lines if stderr is not a terminal."""


class Progress:
    """Prints how far a step is: on a terminal one line that is rewritten, elsewhere a line every half minute.

    Call it with the step's name, how many items are done, and how many there are (0 if that is not known). What stands
    in parentheses behind the name is its state. As a gate of `Service` it counts the calls that return, and their money
    if all prices are known; `clock` gives seconds.
    """

    def __init__(self, prices: Prices, clock: Callable[[], float] = time.monotonic) -> None:
        self._prices, self._clock = prices, clock
        self._line, self._lock = Line("", "", ""), threading.Lock()
        self._step = ("", 0)
        self._start = (0.0, 0, 0)
        self._done = 0
        self._printed = 0.0

    def before(self, call: Exchange) -> float:
        return 0.0

    def after(self, amount: float, exchange: Exchange | None) -> None:
        if exchange is not None and exchange.endpoint in ENDPOINTS:
            with self._lock:
                self._line.add(exchange, self._prices)

    def __call__(self, step: str, done: int, total: int) -> None:
        now, calls = self._clock(), self._line.calls
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
            if self._line.usd:
                parts.append(dollars(self._line.usd))
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
