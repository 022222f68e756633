"""The pool: in order, lazily, nothing lost at the first exception; and the pace that a service allows."""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from doubles import AtOnce, Script, refusal
from minirag import ChatModel, EmbeddingModel, MessageLog
from minirag.errors import TIMEOUT, ServiceError, Waiting
from minirag.retry import check_interrupted, in_order
from minirag.service import Service
from minirag.testing import completion


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
    main_thread = threading.get_ident()

    def stack_of(thread: int) -> list[str]:
        return [frame.name for frame in traceback.extract_stack(sys._current_frames()[thread])]

    def calls(n: int) -> None:
        for call in range(100):
            check_interrupted()
            started.append((n, call))
            if call == 0:
                all_in_flight.wait()
                if n == 0:
                    while "result" not in stack_of(main_thread):
                        time.sleep(0.01)
                    time.sleep(0.3)  # now it waits; a signal on its way there would wake nobody
                    signal.pthread_kill(main_thread, signal.SIGINT)
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


# -- pace --------------------------------------------------------------------------------------------------


def ask(service: Service, number: int = 0) -> str:
    return ChatModel("m", service=service).complete([], stage="draft", repeat=number).text


class Limited(Script):
    """Lets one request through every `every` seconds and answers 429 to all others, with what `headers` says."""

    def __init__(self, every: float, headers: Callable[[float], dict[str, str]]) -> None:
        super().__init__(self.answer)
        self.every, self.headers, self.free = every, headers, 0.0
        self.rejected = 0

    def answer(self, seen: dict[str, Any]) -> Any:
        with self.lock:
            now = time.monotonic()
            if now < self.free:
                self.rejected += 1
                return refusal(429, "slow", headers=self.headers(self.free - now))
            self.free = now + self.every
            return 200, self.headers(self.every), completion("{}")


@pytest.mark.parametrize("is_told", [True, False])
def test_eight_workers_keep_the_pace_of_a_slow_service_and_waste_few_requests(is_told):
    every, calls = 0.15, 24
    headers = (lambda rest: {"retry-after-ms": str(int(1000 * rest) + 1)}) if is_told else (lambda _: {})
    with Limited(every, headers) as script, Service(script.url, "key") as one:
        started = time.monotonic()
        texts = list(in_order(lambda number: ask(one, number), range(calls), 8))
        seconds = time.monotonic() - started
    assert texts == ["{}"] * calls
    assert script.rejected <= 8 + calls / 3
    assert seconds < (3 if is_told else 6) * every * calls


def test_a_rate_limit_is_waited_for_as_long_as_patience_lasts(service, clock):
    with Script(refusal(429, "slow down")) as script, pytest.raises(ServiceError, match="slow down"):
        ask(service(script))
    assert 840 < sum(clock.slept) <= 900
    assert len(script.requests) < 60
    with Script(refusal(429, "slow down", headers={"retry-after": "600"}), completion("{}")) as script:
        assert ask(service(script)) == "{}"


def test_one_limit_at_the_start_does_not_slow_a_whole_run_down(clock, retry):
    retry.succeeded()
    assert retry.again(1, ServiceError("slow down", status=429, transient=True, wait=60.0))
    for _ in range(100):
        with retry.turn():
            retry.succeeded()
    assert clock.now < 600


def test_a_limit_that_nobody_waits_for_shortens_no_later_wait(retry):
    assert not retry.again(1, ServiceError("no more today", status=429, transient=True, wait=3600.0))
    retry.succeeded()  # another model has its own limit
    assert retry.again(1, ServiceError("slow down", status=429, transient=True))


def test_a_timeout_is_tried_again_once_and_leaves_one_call_in_flight_until_calls_are_quick(clock, retry):
    slow = ServiceError("late", code=TIMEOUT, transient=True)
    assert [retry.again(attempt, slow) for attempt in (1, 2)] == [True, False]
    assert clock.slept == [0.5]

    def most_at_once(share: float) -> int:
        def call(_: int) -> None:
            with retry.turn(), at_once:
                time.sleep(0.02)
                retry.succeeded(share=share)

        at_once = AtOnce()
        list(in_order(call, range(12), 6))
        return at_once.most

    assert most_at_once(0.9) == 1  # with two in flight each would take longer than the timeout
    assert most_at_once(0.1) > 1
