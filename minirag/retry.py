"""When to call again, how long to wait, and how many calls run at once: retries, one deadline a call, a thread pool."""

import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TypeVar

from minirag.errors import BadReply, ServiceDown, ServiceError, Waiting

T = TypeVar("T")
R = TypeVar("R")

ATTEMPTS = 4
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before the second attempt, doubled before each further one up to the second number."""
LONGEST_RETRY_AFTER = 120.0
"""Seconds that a service may ask to wait; a call that would have to wait longer fails."""
BREAKER_FAILURES, BREAKER_SECONDS = 5, 30.0
"""So many failed calls in a row open the circuit breaker, for so long."""
GRACE = 10.0
"""Seconds that calls in flight get after Ctrl-C."""


@dataclass
class Retry:
    """The retries of one service, shared by all threads: exponential waits with jitter, and a circuit breaker.

    Where the service says "come back in 20 s", no thread asks before. Five consecutive failed calls open the breaker
    for 30 s; the next failure reopens it. Tests pass their own `sleep`, `clock` and `jitter`.
    """

    attempts: int = ATTEMPTS
    breaker_failures: int = BREAKER_FAILURES
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random
    _paused_until: float = -math.inf
    _open_until: float = -math.inf
    _failures: int = 0
    _reason: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def wait_turn(self) -> None:
        """Return once no pause is running. Raises ServiceDown while the circuit breaker is open."""
        while True:
            if self.clock() < self._open_until:
                raise ServiceDown(self._reason)
            if (rest := self._paused_until - self.clock()) <= 0:
                return
            self.sleep(rest)

    def pause(self, seconds: float) -> None:
        """Let no thread send for so many seconds."""
        with self._lock:
            self._paused_until = max(self._paused_until, self.clock() + seconds)

    def again(self, attempt: int, failure: ServiceError) -> bool:
        """Wait before the next attempt (this one was number `attempt`, from 1), or return False if there is none.

        A call that fails for good counts for the breaker. A refusal does not: a service that refuses works.
        """
        longest = failure.wait is not None and failure.wait > LONGEST_RETRY_AFTER
        if failure.transient and attempt < self.attempts and not longest:
            if failure.wait is not None:
                self.pause(failure.wait)
            else:
                self.sleep(min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)) * (0.5 + self.jitter()))
            return True
        if failure.transient or isinstance(failure, BadReply):
            with self._lock:
                self._failures += 1
                if self._failures >= self.breaker_failures:
                    self._open_until = self.clock() + BREAKER_SECONDS
                    last = str(failure).rstrip(".")
                    self._reason = (
                        f"{self._failures} calls in a row failed, the last one with: {last}; run again later."
                    )
        return False

    def succeeded(self) -> None:
        """Reset the count of consecutive failures."""
        with self._lock:
            self._failures = 0


class DeadlinePassed(Exception):
    """A call did not end in time; what it still returns is thrown away."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns if it ends within `seconds`. Raises DeadlinePassed.

    It runs in a thread of its own: a reply that trickles in, byte by byte, outlives every socket timeout. A late call
    is left behind in that thread, which keeps no process alive.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="call with a deadline", daemon=True).start()
    try:
        return outcome.result(seconds)
    except TimeoutError:
        if outcome.done():  # the call itself raised it
            raise
        raise DeadlinePassed from None


_thread = threading.local()


def check_interrupted() -> None:
    """Raise KeyboardInterrupt in a thread of a pool that Ctrl-C has stopped: nothing new may start."""
    interrupted: threading.Event | None = getattr(_thread, "interrupted", None)
    if interrupted is not None and interrupted.is_set():
        raise KeyboardInterrupt


def in_order(call: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Yield `call(item)` for each item, in the items' order, computed by at most `workers` threads.

    After the first exception no item is started; it is raised once the calls in flight have ended, so that what they
    paid for is kept. `Waiting` (batch mode) is raised only after all items ran; results after it are discarded. After
    Ctrl-C, or when the caller stops iterating, calls in flight get ten seconds and start nothing new, here and in
    pools that they have begun themselves.

    >>> list(in_order(str.upper, ["a", "b"], workers=2))
    ['A', 'B']
    """
    outer: threading.Event | None = getattr(_thread, "interrupted", None)
    failed, interrupted = threading.Event(), threading.Event()

    def work(item: T) -> R:
        _thread.interrupted = outer or interrupted
        if failed.is_set():
            raise CancelledError
        try:
            return call(item)
        except Waiting:
            raise
        except BaseException:
            failed.set()
            raise

    pool = ThreadPoolExecutor(workers)
    futures: list[Future[R]] = []
    waiting: Waiting | None = None
    try:
        futures += (pool.submit(work, item) for item in items)
        for future in futures:
            try:
                result = future.result()
            except Waiting as error:
                waiting = waiting or error
            except CancelledError:  # an item behind this one has failed
                continue
            else:
                if waiting is None:
                    yield result
        if waiting is not None:
            raise waiting
    except (KeyboardInterrupt, GeneratorExit):
        interrupted.set()
        pool.shutdown(wait=False, cancel_futures=True)
        wait([future for future in futures if not future.cancelled()], timeout=GRACE)  # a cancelled one never ends
        raise
    finally:
        pool.shutdown(wait=not interrupted.is_set(), cancel_futures=True)
