"""Row 1. A bounded pool of threads that is fed lazily: results in order, at most `workers` calls in flight.

>>> list(in_order(str.upper, ["a", "b"], workers=2))
['A', 'B']
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(call: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """`call(item)` for each item, in the items' order, in at most `workers` threads.

    No item is taken from `items` before there is a thread for it. The first exception stops the feeding: calls
    in flight are finished, so that what they paid for is kept, and then it is raised.
    """
    free = threading.Semaphore(workers)
    stopped = threading.Event()

    def work(item: T) -> R:
        try:
            return call(item)
        except BaseException:
            stopped.set()
            raise
        finally:
            free.release()

    with ThreadPoolExecutor(workers) as pool:
        running: deque[Future[R]] = deque()
        for item in items:
            free.acquire()
            if stopped.is_set():
                break
            running.append(pool.submit(work, item))
            while running and running[0].done():
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
