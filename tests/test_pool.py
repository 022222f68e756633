"""The pool: in order, lazily, nothing lost at the first exception."""

import threading
import time
from collections.abc import Iterator

import pytest

from minirag.pool import in_order


def test_results_come_in_the_order_of_the_items_however_long_each_takes() -> None:
    def slow(n: int) -> int:
        time.sleep(0.02 * (n % 3))
        return n * n

    assert list(in_order(slow, range(20), 7)) == [n * n for n in range(20)]


def test_no_more_calls_run_at_once_than_there_are_workers_and_items_are_taken_lazily() -> None:
    running, most, taken, lock = 0, 0, 0, threading.Lock()

    def items() -> Iterator[int]:
        nonlocal taken
        for n in range(50):
            taken += 1
            yield n

    def call(n: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1
        return n

    results = in_order(call, items(), 3)
    assert next(results) == 0
    assert taken < 50
    assert list(results) == list(range(1, 50))
    assert most == 3


def test_the_first_exception_stops_the_feeding_and_finishes_what_is_in_flight() -> None:
    finished = []

    def call(n: int) -> int:
        if n == 2:
            raise RuntimeError("two")
        time.sleep(0.05)
        finished.append(n)
        return n

    with pytest.raises(RuntimeError, match="two"):
        list(in_order(call, range(1000), 4))
    assert {0, 1} <= set(finished)
    assert len(finished) < 20
