"""Row 3. Answers from a log and from nowhere else: a request that it does not hold is an error, and is never sent."""

import difflib
import json
import os
import threading
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from minirag import errors
from minirag.errors import NotRecorded, ServiceError
from minirag.message_log import Exchange, MessageLog

LINES_SHOWN = 40
"""Lines of a difference that an error shows."""
_FAILURES = {cls.__name__: cls for cls in (ServiceError, errors.BadReply, errors.ServiceRefused, errors.ServiceDown)}


class Replay:
    """Stands for the service named `service` and replays what `log` (a MessageLog or its path) holds of it.

    A request that is asked again gets the next reply recorded for it, and the last one for ever. What was only ever
    refused is refused again, in the recorded words. A job is in the last state that the log holds. Without `service`
    it stands for the one that the log names first for `model`. Safe to use from many threads.
    """

    def __init__(self, log: MessageLog | str | os.PathLike[str], service: str | None = None, model: str = "") -> None:
        self.log = log if isinstance(log, MessageLog) else MessageLog(log)
        named = (e.service for e in self.log if model in {"", e.model})
        self.service = service or next(named, "a service that the log does not hold")
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reply(self, call: Exchange) -> Exchange:
        """The recorded exchange, a failed one where there is no other. Raises NotRecorded."""
        recorded = [exchange for exchange in self.log.all_of(call.id) if not _is_emptied(exchange)]
        is_look = call.endpoint == "fine_tuning.jobs.retrieve"
        if is_look and (state := self._states.get(call.request["fine_tuning_job_id"])):
            return state
        recorded = recorded or self._failures.get(call.id, [])
        if not recorded:
            raise NotRecorded(self._why(call.stage, call.endpoint, call.request))
        with self._lock:
            number = self._asked[call.id]
            self._asked[call.id] += 1
        return recorded[min(number, len(recorded) - 1)]

    @cached_property
    def _failures(self) -> dict[str, list[Exchange]]:
        """The failed calls of each identity, oldest first."""
        found: dict[str, list[Exchange]] = {}
        for exchange in self.log.failures():
            if not exchange.interrupted:
                found.setdefault(exchange.id, []).append(exchange)
        return found

    @cached_property
    def _states(self) -> dict[str, Exchange]:
        """The last look at each job."""
        looks = (e for e in self.log if e.endpoint == "fine_tuning.jobs.retrieve" and e.error is None)
        return {exchange.request["fine_tuning_job_id"]: exchange for exchange in looks}

    def _why(self, stage: str, endpoint: str, request: Mapping[str, Any]) -> str:
        """What is missing, and how it differs from the nearest request of its stage."""
        said = f"{self.log.path} holds no reply of {self.service} to this {stage} request, and nothing is sent"
        if endpoint == "embeddings" and any(
            e.request == request for e in self.log if e.endpoint == endpoint and _is_emptied(e)
        ):
            return f"{said}: the vectors of an index are not in the log but in vectors.npy; open that index instead."
        wanted = _lines(request)
        others = (_lines(e.request) for e in self.log if e.stage == stage and e.service == self.service)
        nearest = max(others, key=lambda lines: _likeness(wanted, lines), default=None)
        if nearest is None:
            return f"{said}; it holds no {stage} request at all."
        shown = list(difflib.unified_diff(nearest, wanted, "recorded", "asked", lineterm="", n=1))[:LINES_SHOWN]
        return "\n".join([f"{said}; the nearest that it holds differs so:", *shown])


def failure_of(exchange: Exchange) -> ServiceError | None:
    """The error that a recorded exchange ended in; it is not tried again."""
    if exchange.error is None:
        return None
    told = exchange.error
    kind = _FAILURES.get(str(told.get("type")), ServiceError)
    return kind(str(told.get("message")), status=told.get("status"), code=told.get("code"), param=told.get("param"))


def _is_emptied(exchange: Exchange) -> bool:
    """Whether the vectors of an embedding reply were left out of the log."""
    return exchange.endpoint == "embeddings" and not (exchange.response or {}).get("data")


def _lines(request: Mapping[str, Any]) -> list[str]:
    """A request as lines to compare: its text as it reads, everything else as JSON."""
    text = json.dumps(request, ensure_ascii=False, indent=1, sort_keys=True)
    return [line for part in text.splitlines() for line in part.replace("\\n", "\n").split("\n")]


def _likeness(wanted: list[str], other: list[str]) -> float:
    """Share of the lines that both have: enough to find the nearest of thousands."""
    common = sum((Counter(wanted) & Counter(other)).values())
    return 2 * common / (len(wanted) + len(other))
