"""Row 1. When to try a failed call again, and how long to wait: the only retry layer there is.

The waits are shared by all threads that use one `Retry`: where a service says "come back in 20 s", nobody
asks before.
"""

import email.utils
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

ATTEMPTS = 4
FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
LONGEST_RETRY_AFTER = 120.0


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
    except ValueError:
        return None


@dataclass
class Retry:
    """Exponential waits with jitter, at most `attempts` tries, and one pause for all threads.

    `sleep`, `clock` and `jitter` are arguments so that a test passes its own.
    """

    attempts: int = ATTEMPTS
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random
    _paused_until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def wait_turn(self) -> None:
        """Return once no pause asked for by the service is running."""
        while (rest := self._paused_until - self.clock()) > 0:
            self.sleep(rest)

    def after_failure(self, attempt: int, asked: float | None) -> bool:
        """Wait before the next try, or return False where there is to be none.

        `attempt` counts from 1; `asked` is what the service asked for, obeyed up to two minutes.
        """
        if attempt >= self.attempts or (asked is not None and asked > LONGEST_RETRY_AFTER):
            return False
        if asked is not None:
            with self._lock:
                self._paused_until = max(self._paused_until, self.clock() + asked)
            return True
        self.sleep(min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)) * (0.5 + self.jitter()))
        return True
