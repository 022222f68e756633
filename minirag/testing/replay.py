"""Answers from a log and from nowhere else: a request that it does not hold is an error, and is never sent."""

import difflib
import json
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

from minirag.dialect import ModelDialect
from minirag.errors import NotRecorded, ServiceError
from minirag.exchange import Exchange
from minirag.message_log import MessageLog
from minirag.service import Reader, Service

LINES_SHOWN = 40
"""Lines of a difference that an error shows."""


class Replay(Service):
    """A service that answers from `log` (a MessageLog or its path) what was recorded of the service called `name`.

    What was only ever refused is refused again, in the recorded words. A job is in the last state that the log holds.
    Without `name` it stands for the first service that the log names for `model`.

    >>> chat = ChatModel("gpt-4o", service=Replay("messages.jsonl"))  # doctest: +SKIP
    """

    def __init__(self, log: MessageLog | str | os.PathLike[str], name: str | None = None, model: str = "") -> None:
        self.log = log if isinstance(log, MessageLog) else MessageLog(log)
        services = (e.service for e in self.log if model in {"", e.model})
        name = name or next(services, "a service that the log does not hold")
        address = name if name.startswith("http") else "http://127.0.0.1/v1"  # nothing is sent to it
        super().__init__(address, "none", name=name, insecure_http=True)
        self._failed: dict[str, Exchange] = {exchange.id: exchange for exchange in self.log.failures()}
        self._jobs: dict[str, Exchange] = {}
        for exchange in self.log:
            if exchange.endpoint == "fine_tuning.jobs.retrieve" and exchange.error is None:
                self._jobs[exchange.request["fine_tuning_job_id"]] = exchange

    def send(
        self,
        call: Exchange,
        log: MessageLog | None = None,
        *,
        dialect: ModelDialect | None = None,
        read: Reader | None = None,
        arguments: Mapping[str, Any] | None = None,
        reuse: bool = True,
        retries: bool = True,
    ) -> Exchange:
        """Return the recorded exchange of a call. Raises NotRecorded, or the recorded failure."""
        sent, ids = call, [call.id]
        if dialect is not None:
            if not dialect.failed:
                dialect.recall(self.log, self.name)
            sent, ids = dialect.adapt(call), dialect.variants(call)
        recorded = next((exchange for exchange in map(self.log.find, ids) if exchange), self._failed.get(sent.id))
        if sent.endpoint == "fine_tuning.jobs.retrieve":
            recorded = self._jobs.get(sent.request["fine_tuning_job_id"], recorded)
        if recorded is None:
            raise NotRecorded(self._explain(sent))
        if recorded.error is not None:
            raise ServiceError.from_json(recorded.error)
        if sent.endpoint == "embeddings" and not (recorded.response or {}).get("data"):
            text = f"{self.log.path} was written by minirag 0.1, which kept no vectors of an index"
            raise NotRecorded(f"{text}; open that index (vectors.npy) instead.")
        return recorded

    def _explain(self, call: Exchange) -> str:
        """Return what is missing, and how it differs from the nearest recorded request of its stage."""

        def lines_of(exchange: Exchange) -> list[str]:
            """Return a request as lines to compare: its text as it reads, everything else as JSON."""
            text = json.dumps(exchange.request, ensure_ascii=False, indent=1, sort_keys=True)
            return text.replace("\\n", "\n").split("\n")

        head = f"{self.log.path} holds no reply of {self.name} to this {call.stage} request, and nothing is sent"
        wanted = lines_of(call)
        others = (lines_of(e) for e in self.log if e.stage == call.stage and e.service == self.name)
        nearest = max(others, key=lambda lines: sum((Counter(wanted) & Counter(lines)).values()), default=None)
        if nearest is None:
            return f"{head}; it holds no {call.stage} request at all."
        diff = list(difflib.unified_diff(nearest, wanted, "recorded", "asked", lineterm="", n=1))[:LINES_SHOWN]
        return "\n".join([f"{head}; the nearest that it holds differs so:", *diff])
