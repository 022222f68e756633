"""Row 1. A hard limit on the time of one call: a reply that trickles in, byte by byte, outlives every other timeout.

>>> within(5.0, lambda: "answer")
'answer'
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class DeadlinePassed(Exception):
    """The call has not ended in time; what it still may return is thrown away."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """What `call` returns or raises, if it ends within `seconds`. Raises DeadlinePassed.

    It runs in a thread of its own, because nothing else ends the wait for a socket whatever the other side sends. A
    call that is late is left behind in that thread, which keeps no process alive.
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
        if outcome.done():  # the call's own
            raise
        raise DeadlinePassed from None
