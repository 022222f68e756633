"""Row 1. A bounded pool of threads that is fed lazily: results in order, at most `workers` calls in flight.

>>> list(in_order(str.upper, ["a", "b"], workers=2))
['A', 'B']
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from minirag.errors import Waiting

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
    then it is raised. Waiting stops nothing: it is raised when all items have had their turn, and the results
    behind it are dropped. After Ctrl-C, or where nobody wants more results, calls in flight get ten seconds and start
    nothing new (`check_interrupted`), neither here nor in pools that they have begun; a second Ctrl-C ends the wait.
    """
    outer: threading.Event | None = getattr(_here, "interrupted", None)
    free = threading.Semaphore(workers)
    stopped, interrupted = threading.Event(), threading.Event()

    def work(item: T) -> R:
        _here.interrupted = outer or interrupted
        try:
            return call(item)
        except Waiting:
            raise
        except BaseException:
            stopped.set()
            raise
        finally:
            free.release()

    pool = ThreadPoolExecutor(workers)
    running: deque[Future[R]] = deque()
    waiting: Waiting | None = None

    def results(*, all_of_them: bool) -> Iterator[R]:
        """The results at the front that are there, or all as they come; none behind one that has to be waited for."""
        nonlocal waiting
        while running and (all_of_them or running[0].done()):
            try:
                result = running[0].result()  # not taken out before: an interruption waits for those that are in
            except Waiting as error:
                waiting = error
            running.popleft()
            if waiting is None:
                yield result

    patient = True
    try:
        for item in items:
            free.acquire()
            if stopped.is_set():
                break
            running.append(pool.submit(work, item))
            yield from results(all_of_them=False)
        yield from results(all_of_them=True)
        if waiting is not None:
            raise waiting
    except (KeyboardInterrupt, GeneratorExit):
        interrupted.set()
        patient = False
        wait(running, timeout=GRACE)
        raise
    finally:
        stopped.set()
        pool.shutdown(wait=patient, cancel_futures=not patient)
