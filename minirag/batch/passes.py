"""Row 4. A step in passes: it asks for all that it can ask for, then waits for those replies at once, and again.

`Passes` stands between a model and its service. What the log does not hold is noted, and the question that needs it
waits (`Waiting`); when nothing can go on, `settle` has the log hold the replies, and the step begins anew. It finds in
the log what it found before, so each pass goes one reply further.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn, TypeVar

from minirag.errors import ServiceError, Waiting
from minirag.message_log import Exchange
from minirag.retry import ATTEMPTS

T = TypeVar("T")

MOST_NOTED = 100_000
"""Requests held in memory at once; those beyond wait for the pass after."""


class Noted(NamedTuple):
    """A request without its reply yet, and whether the log is to keep the vectors of that."""

    exchange: Exchange
    keep: bool


class Passes:
    """Runs steps in passes; `count` says how many it took, and no pass asks for more than `most` replies.

    `settle` is given what was noted, has the log hold the replies, and returns the failures by exchange id. What
    failed is asked for again where that may help, four times in all. Safe to use from many threads.
    """

    def __init__(self, settle: Callable[[Sequence[Noted]], Mapping[str, ServiceError]]) -> None:
        self.count = 0
        self.most = MOST_NOTED
        self._settle = settle
        self._noted: dict[str, Noted] = {}
        self._failed: dict[str, tuple[int, ServiceError]] = {}
        self._lock = threading.Lock()

    def wait_for(self, exchange: Exchange, keep: bool) -> NoReturn:
        """Note a request and raise Waiting; or raise the ServiceError that was its last reply."""
        with self._lock:
            attempts, failure = self._failed.get(exchange.id, (0, None))
            if failure is not None and (attempts >= ATTEMPTS or not _may_pass(failure)):
                raise failure
            if len(self._noted) < self.most:
                self._noted.setdefault(exchange.id, Noted(exchange, keep))
        raise Waiting(f"A {exchange.stage} request waits for its batch; run again with --batch.")

    def run(self, step: Callable[[], T]) -> T:
        """What `step` returns once nothing that it needs is missing."""
        while True:
            try:
                return step()
            except Waiting:
                noted, self._noted = list(self._noted.values()), {}
            self.count += 1
            for id, failure in self._settle(noted).items():
                self._failed[id] = (self._failed.get(id, (0, None))[0] + 1, failure)


def _may_pass(failure: ServiceError) -> bool:
    """Whether asking again may help; 404 is what a model says that was tuned a moment ago."""
    return failure.transient or failure.status == 404
