"""Row 1. Work spread over any `concurrent.futures.Executor`: results in order, few parts under way, lost ones again.

>>> from concurrent.futures import ThreadPoolExecutor
>>> with ThreadPoolExecutor() as executor:
...     list(spread(executor, str.upper, ["a", "b"]))
['A', 'B']
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import TypeVar

from minirag.errors import InputError, MiniragError, Unfinished

T = TypeVar("T")
R = TypeVar("R")

IN_FLIGHT = 64
"""Parts that are under way at a time; an executor with more workers than that leaves some idle."""
TRIES = 3
"""How often a part is given that brings down its worker, or whose worker is lost."""


def spread(executor: Executor, call: Callable[[T], R], parts: Iterable[T], in_flight: int = IN_FLIGHT) -> Iterator[R]:
    """`call(part)` for each part, in order; `parts` is read no more than `in_flight` ahead.

    A MiniragError of a call is the part's own and raised. After any other failure, whose worker may be lost, the part
    is given again, three times in all. Raises Unfinished where that does not help, or the executor takes no more.
    """
    if not isinstance(executor, Executor):
        raise InputError(f"{executor!r:.80} is no executor; pass one of concurrent.futures, or of its kind.")
    running: deque[tuple[T, Future[R]]] = deque()
    try:
        for part in parts:
            running.append((part, _given(executor, call, part)))
            if len(running) >= in_flight:
                yield _result(executor, call, *running.popleft())
        while running:
            yield _result(executor, call, *running.popleft())
    finally:
        for _, future in running:
            future.cancel()


def _result(executor: Executor, call: Callable[[T], R], part: T, future: "Future[R]") -> R:
    """Waits for the result of a part, and gives the part again where it is lost."""
    tries = 1
    while True:
        try:
            return future.result()
        except MiniragError:
            raise
        except Exception as error:
            if tries == TRIES or isinstance(error, BrokenExecutor):
                raise _lost(error) from error
        future, tries = _given(executor, call, part), tries + 1


def _given(executor: Executor, call: Callable[[T], R], part: T) -> "Future[R]":
    try:
        return executor.submit(call, part)
    except Exception as error:  # broken, or shut down, or it takes no such call
        raise _lost(error) from error


def _lost(error: Exception) -> Unfinished:
    told = " ".join(f"{type(error).__name__}: {error}".split())
    return Unfinished(f"The executor failed ({told:.200}); give a new one, or none, to begin again.")
