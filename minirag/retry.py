"""Row 1. When to try a failed call again, how long to wait, and when to stop: the only retry layer there is.

The waits are shared by all threads that use one `Retry`: where a service says "come back in 20 s", nobody
asks before; and where it fails again and again, nobody goes on asking.
"""

import email.utils
import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from minirag.errors import BadReply, ServiceDown, ServiceError

ATTEMPTS = 4
FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
LONGEST_RETRY_AFTER = 120.0
CALLS_GIVEN_UP = 5
REST = 30.0
"""Seconds for which no call is sent after so many were given up in a row."""


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that the service asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date.

    >>> retry_after({"retry-after": "7"}), retry_after({"retry-after-ms": "250"}), retry_after({})
    (7.0, 0.25, None)
    """
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after", "")
        if not value:
            return None
        if value.replace(".", "", 1).isdigit():
            return float(value)
        date = email.utils.parsedate_to_datetime(value).timestamp()
        return max(0.0, date - (time.time() if now is None else now))
    except (ValueError, OverflowError):
        return None


@dataclass
class Retry:
    """Exponential waits with jitter, at most `attempts` tries a call, and one pause for all threads.

    After `calls_given_up` calls in a row that came to nothing, no thread sends anything for half a minute; one more
    that is given up after that begins the next half. `sleep`, `clock` and `jitter` are arguments so that a test
    passes its own.
    """

    attempts: int = ATTEMPTS
    calls_given_up: int = CALLS_GIVEN_UP
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random
    _paused_until: float = -math.inf
    _resting_until: float = -math.inf
    _given_up: int = 0
    _reason: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def wait_turn(self) -> None:
        """Return once no pause is running. Raises ServiceDown where too many calls in a row came to nothing."""
        while True:
            if self.clock() < self._resting_until:
                raise ServiceDown(self._reason)
            if (rest := self._paused_until - self.clock()) <= 0:
                return
            self.sleep(rest)

    def pause(self, seconds: float) -> None:
        """Let no thread send before so many seconds are over."""
        with self._lock:
            self._paused_until = max(self._paused_until, self.clock() + seconds)

    def after_failure(self, attempt: int, asked: float | None) -> bool:
        """Wait before the next try, or return False where there is to be none.

        `attempt` counts from 1; `asked` is what the service asked for, obeyed up to two minutes.
        """
        if attempt >= self.attempts or (asked is not None and asked > LONGEST_RETRY_AFTER):
            return False
        if asked is not None:
            self.pause(asked)
        else:
            self.sleep(min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)) * (0.5 + self.jitter()))
        return True

    def again(self, attempt: int, failure: ServiceError) -> bool:
        """Like `after_failure`, for a failure of any kind; a call that is given up counts against the service.

        A refusal does not count: it says something about the request, and a service that says so works.
        """
        if failure.transient and self.after_failure(attempt, failure.wait):
            return True
        if failure.transient or isinstance(failure, BadReply):
            with self._lock:
                self._given_up += 1
                if self._given_up >= self.calls_given_up:
                    self._resting_until = self.clock() + REST
                    said = str(failure).rstrip(".")
                    self._reason = f"{self._given_up} calls in a row failed, the last one so: {said}; run again later."
        return False

    def succeeded(self) -> None:
        """A call was answered: earlier failures no longer count."""
        with self._lock:
            self._given_up = 0
