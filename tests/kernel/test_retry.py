"""The pool: in order, lazily, nothing lost at the first exception."""

import os
import signal
import threading
import time

import pytest

from doubles import AtOnce, Script
from minirag import EmbeddingModel, MessageLog
from minirag.errors import Waiting
from minirag.retry import check_interrupted, in_order
from minirag.service import Service


def test_results_come_in_order_and_no_more_calls_run_at_once_than_there_are_workers():
    running = AtOnce()

    def call(n: int) -> int:
        with running:
            time.sleep(0.004 * (n % 3))
        return n

    assert list(in_order(call, range(50), 3)) == list(range(50))
    assert running.most == 3


def test_the_first_exception_stops_the_feeding_and_finishes_what_is_in_flight():
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


def test_after_ctrl_c_calls_in_flight_are_finished_and_the_next_ones_of_their_tasks_are_not_started():
    started, finished, all_in_flight = [], [], threading.Barrier(4)

    def calls(n: int) -> None:
        for call in range(100):
            check_interrupted()
            started.append((n, call))
            if call == 0:
                all_in_flight.wait()
                if n == 0:
                    time.sleep(0.3)  # by now the main thread waits; a signal on its way there would wake nobody
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            time.sleep(0.1 if call else 0.6)
            finished.append((n, call))

    with pytest.raises(KeyboardInterrupt):
        list(in_order(calls, range(1000), 4))
    assert {(n, 0) for n in range(4)} <= set(finished)
    assert sorted(started) == sorted(finished)
    assert len(started) < 100


def test_a_call_of_the_main_thread_ends_and_is_logged_after_ctrl_c(tmp_path):
    def reply(_: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
        return {"data": [{"index": 0, "embedding": [1.0, 2.0]}], "model": "e", "usage": {"prompt_tokens": 1}}

    with Script(reply) as script, Service(script.url, "k") as service, MessageLog(tmp_path / "l") as log:
        with pytest.raises(KeyboardInterrupt):
            EmbeddingModel("e", log=log, service=service).embed(["a"])
        assert len(log) == 1
        assert EmbeddingModel("e", log=log, service=service).embed(["a"]).tolist() == [[1.0, 2.0]]
    assert len(script.requests) == 1


def test_where_nobody_wants_more_results_no_call_is_started():
    started: list[int] = []

    def call(n: int) -> None:
        check_interrupted()
        started.append(n)
        time.sleep(0.02)

    results = in_order(call, range(1000), 4)
    next(results)
    results.close()
    most = len(started)
    time.sleep(0.2)
    assert len(started) == most < 100


def test_an_item_that_waits_stops_no_other_and_no_result_overtakes_it_but_a_failure_does():
    asked: list[int] = []

    def call(n: int) -> int:
        asked.append(n)
        if n in (3, 5):
            raise Waiting(str(n))
        if n == 8:
            raise ValueError(str(n))
        return n

    results: list[int] = []
    with pytest.raises(Waiting):
        results.extend(in_order(call, range(8), 2))  # keeps what came before the exception
    assert (results, sorted(asked)) == ([0, 1, 2], list(range(8)))
    with pytest.raises(ValueError, match="8"):
        list(in_order(call, range(3, 100), 1))
