"""Row 1. A bounded pool of threads that is fed lazily: results in order, at most `workers` calls in flight.

>>> list(in_order(str.upper, ["a", "b"], workers=2))
['A', 'B']
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

GRACE = 10.0
"""Seconds that calls in flight get after Ctrl-C."""

_here = threading.local()


def check_interrupted() -> None:
    """Raise KeyboardInterrupt in a thread of a pool that was interrupted: what is about to start is not to start."""
    interrupted: threading.Event | None = getattr(_here, "interrupted", None)
    if interrupted is not None and interrupted.is_set():
        raise KeyboardInterrupt


def in_order(call: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """`call(item)` for each item, in the items' order, in at most `workers` threads.

    The first exception stops the feeding: calls in flight are finished, so that what they paid for is kept, and
    then it is raised. After Ctrl-C, or where nobody wants more results, they get ten seconds and start nothing new
    (`check_interrupted`), neither here nor in pools that their calls have begun; a second Ctrl-C ends the wait.
    """
    outer: threading.Event | None = getattr(_here, "interrupted", None)
    free = threading.Semaphore(workers)
    stopped, interrupted = threading.Event(), threading.Event()

    def work(item: T) -> R:
        _here.interrupted = outer or interrupted
        try:
            return call(item)
        except BaseException:
            stopped.set()
            raise
        finally:
            free.release()

    pool = ThreadPoolExecutor(workers)
    running: deque[Future[R]] = deque()
    patient = True
    try:
        for item in items:
            free.acquire()
            if stopped.is_set():
                break
            running.append(pool.submit(work, item))
            while running and running[0].done():
                yield running.popleft().result()
        while running:
            result = running[0].result()  # not taken out before: an interruption waits for those that are in
            running.popleft()
            yield result
    except (KeyboardInterrupt, GeneratorExit):
        interrupted.set()
        patient = False
        wait(running, timeout=GRACE)
        raise
    finally:
        stopped.set()
        pool.shutdown(wait=patient, cancel_futures=not patient)
