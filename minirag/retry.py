"""When to call again, how long to wait, and how many calls run at once: retries, one deadline a call, a thread pool."""

import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from minirag.errors import TIMEOUT, ServiceError, Waiting

T = TypeVar("T")
R = TypeVar("R")

ATTEMPTS = 4
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before the second attempt, doubled before each further one up to the second number."""
PATIENCE = 900.0
"""Seconds that a service may answer nothing but "too many requests"."""
WINDOW, LONGEST_INTERVAL = 60.0, 10.0
"""Seconds between two rate limits that tell the pace, which is kept as long, and the most between two calls then."""
FIRST_POLL, LONGEST_POLL = 0.2, 30.0
"""Seconds between two polls of a job or a batch, growing by half each time."""
LONGEST_OUTAGE = 2 * 3600.0
"""Seconds for which polls may fail before they end."""
GRACE = 10.0
"""Seconds that calls in flight get after Ctrl-C."""


@dataclass
class Retry:
    """The retries and the pace of one service, shared by all threads.

    A call that fails is sent again after an exponential wait with jitter, up to four times, a timeout once. Rate limits
    (429) are waited for as long as another call succeeds within `patience` seconds. They halve the number of calls in
    flight, which grows again by one a round of successes (AIMD), and space calls at the pace that the service has
    allowed since the last limit; a timeout leaves one call in flight. Where the service says "come back in 20 s", no
    thread asks before. Tests pass their own `sleep`, `clock` and `jitter`.
    """

    patience: float = PATIENCE
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random
    _next: float = -math.inf  # no call is sent before
    _interval: float = 0.0  # seconds between two calls
    _most: float = math.inf  # calls in flight
    _in_flight: int = 0
    _limited_since: float | None = None  # the first limit after the last success
    _limited_until: float = -math.inf
    _allowed: int = 0  # calls that have succeeded since the last limit
    _changed: threading.Condition = field(default_factory=threading.Condition, repr=False)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold a place among the calls in flight, once there is one and no pause is running."""
        with self._changed:
            while self._in_flight + 1 > self._most:
                self._changed.wait(1.0)
                check_interrupted()
            self._in_flight += 1
        try:
            while (rest := self._rest()) > 0.0:
                self.sleep(rest)
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def _rest(self) -> float:
        """Return the seconds until a call may be sent; 0 gives this moment to the caller."""
        check_interrupted()
        with self._changed:
            now = self.clock()
            if now < self._next:
                return self._next - now
            self._next = now + (self._interval if now - self._limited_until < WINDOW else 0.0)
            return 0.0

    def again(self, attempt: int, failure: ServiceError) -> bool:
        """Wait before the next attempt (this one was number `attempt`, from 1), or return False if there is none."""
        if failure.status == 429 and failure.transient:
            return self._slow_down(failure.wait)
        is_timeout, wait = failure.code == TIMEOUT, failure.wait
        with self._changed:
            if is_timeout:
                self._most = 1
            if not failure.transient or attempt >= (2 if is_timeout else ATTEMPTS) or (wait or 0.0) > self.patience:
                return False
            if wait is not None:
                self._next = max(self._next, self.clock() + wait)
                return True
        self.sleep(min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)) * (0.5 + self.jitter()))
        return True

    def _slow_down(self, wait: float | None) -> bool:
        """Slow down after a 429, or return False if nothing has succeeded for as long as one has patience."""
        with self._changed:
            now = self.clock()
            since = now if self._limited_since is None else self._limited_since
            is_new = now >= self._limited_until  # not of the same burst as a 429 that is being waited for
            if wait is None:
                wait = min(LONGEST_WAIT, max(FIRST_WAIT, now - since)) * (0.5 + self.jitter()) if is_new else 0.0
            self._limited_since = since
            if now + wait - since > self.patience:
                return False
            if is_new and self._allowed and now - self._limited_until < WINDOW:
                self._interval = min(LONGEST_INTERVAL, 1.02 * (now + wait - self._limited_until) / self._allowed)
            self._allowed = 0
            self._limited_until = max(self._limited_until, now + wait)
            self._most = max(1, (self._in_flight + 1) // 2)
            self._next = max(self._next, now + wait)
            return True

    def succeeded(self, share: float = 0.0) -> None:
        """Go on faster after a success, whose reply took this share of the timeout."""
        with self._changed:
            self._limited_since = None
            self._allowed += 1
            if share < 0.5:  # with one more in flight it may take twice as long
                self._most += 1 / self._most
                self._changed.notify_all()


def poll(is_over: Callable[[], bool], sleep: Callable[[float], None]) -> None:
    """Ask until something at a service is over, after growing pauses. An outage of two hours is waited for."""
    pause, outage = FIRST_POLL, 0.0
    while True:
        sleep(pause)
        try:
            if is_over():
                return
            outage = 0.0
        except ServiceError as error:
            if not error.transient or outage >= LONGEST_OUTAGE:
                raise
            outage += pause
        pause = min(LONGEST_POLL, 1.5 * pause)


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns if it ends within `seconds`. Raises TimeoutError.

    It runs in a thread of its own: a reply that trickles in, byte by byte, outlives every socket timeout. A late call
    is left behind in that thread, which keeps no process alive, and what it returns is thrown away.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="call with a deadline", daemon=True).start()
    return outcome.result(seconds)


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
