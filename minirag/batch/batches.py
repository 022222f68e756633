"""Run a step through the Batch API: collect every missing reply, submit them as one batch, wait, repeat.

`Batches` is a gate on the service's call path: a call that the log cannot answer is collected, and its question waits.
When nothing can go on, the collected calls are submitted and their replies logged as if they had been called for; the
step then runs again, finds them in the log, and comes one reply further. A batch is on disk before it is submitted, in
a file beside the log, and that file is removed when the log has its replies: a killed run finds its batches again, and
submits no line twice.
"""

import glob
import math
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import uuid4

from minirag.batch.files import BYTES, ENDED, PATHS, Submission, portions, reply_to, request_line, results
from minirag.errors import BudgetReached, ServiceError, ServiceRefused, Unfinished, Waiting
from minirag.message_log import Exchange, MessageLog
from minirag.models import listed, send, upload
from minirag.retry import ATTEMPTS, poll
from minirag.service import TRANSFER_RATE, Gate, Service
from minirag.text import counted

T = TypeVar("T")

ENQUEUED_LIMIT = "token_limit_exceeded"
"""The code of a batch that exceeds the tokens an account may have enqueued: smaller passes may work."""


class Cap(Gate, Protocol):
    """What batches need of `costs.Budget`."""

    def reserve_batch(self, calls: Sequence[Exchange]) -> tuple[int, float]: ...


class Batches:
    """The batches of one log at `service`; `run` takes a step through them.

    `say` hears what is submitted and what is odd, `progress` (step, done, total); `cap`, one of the service's gates,
    limits what it may cost.
    """

    def __init__(
        self,
        service: Service,
        log: MessageLog,
        *,
        cap: Cap | None = None,
        say: Callable[[str], None] = lambda _: None,
        progress: Callable[[str, int, int], None] = lambda *_: None,
    ) -> None:
        self._service = service
        self._log = log
        self._cap = cap
        self._say = say
        self._progress = progress
        self._most = math.inf  # calls to collect in one pass
        self._collected: dict[str, Exchange] = {}
        self._failures: dict[str, list[ServiceError]] = defaultdict(list)  # by the id of the exchange
        self._lock = threading.Lock()

    def run(self, step: Callable[[], T], *, batched: bool = True) -> T:
        """Return what `step` returns; its model calls go into batches, or directly to the service if not `batched`.

        Batches that an earlier run has left are fetched first in either case: they are paid for. Raises Unfinished if
        somebody cancelled a batch, BudgetReached if not even one more request fits, LogError if another process works
        with this log.
        """
        pattern = f"{glob.escape(self._log.path.name)}.*.batch"
        if left := sorted(self._log.path.parent.glob(pattern)):
            self._log.lock()
            self._fetch(self._find_again(left))
        if not batched:
            return step()
        self._log.lock()
        self._service.gates.insert(0, self)
        try:
            while True:
                with suppress(Waiting):
                    return step()
                self._settle()
        finally:
            self._service.gates.remove(self)

    def before(self, call: Exchange) -> float:
        """Collect a model call and raise Waiting; or raise the ServiceError that its last attempts ended with."""
        if call.endpoint not in PATHS:
            return 0.0
        with self._lock:
            if failures := self._failures.get(call.id):
                last = failures[-1]
                is_passing = last.transient or last.status == 404  # as of a model that was tuned a moment ago
                if len(failures) >= ATTEMPTS or not is_passing:
                    raise last
            if len(self._collected) < self._most:
                self._collected.setdefault(call.id, call)
        raise Waiting(f"A {call.stage} request waits for its batch; run again with --batch.")

    def after(self, amount: float, exchange: Exchange | None) -> None:
        """Do nothing: what passes this gate is no model call."""

    def _settle(self) -> None:
        """Submit the collected calls as far as the money goes, and log what becomes of them."""
        calls, self._collected = list(self._collected.values()), {}
        submitted: list[Submission] = []
        for portion in portions(calls):
            try:
                submitted.append(self._submit(portion))
            except BudgetReached:
                if not submitted:
                    raise
                break  # what the others turn out to cost may leave room
        self._fetch(submitted)
        if any(batch.errors and batch.errors[0].get("code") == ENQUEUED_LIMIT for batch in submitted):
            self._most = max(1, len(calls) // 2)

    def _submit(self, portion: list[Exchange]) -> Submission:
        held = 0.0
        if self._cap is not None:
            number, held = self._cap.reserve_batch(portion)
            portion = portion[:number]
        batch = Submission(uuid4().hex, portion, held=held)
        batch.save(self._path(batch.name))
        data = b"".join(map(request_line, portion))
        try:
            file_id = upload(self._service, self._log, f"batch-{batch.name}.jsonl", data, "batch")
            request = {
                "input_file_id": file_id,
                "endpoint": PATHS[portion[0].endpoint],
                "completion_window": "24h",
                "metadata": {"minirag": batch.name},
            }
            batch.state = self._create(request, batch.name)
        except ServiceError as error:
            if error.status not in {404, 405, 501}:
                raise
            text = f"{self._service.address} takes no batches, leave out --batch: {str(error).rstrip('.')}."
            raise ServiceRefused(text) from error
        self._say(f"batch: {batch} to {portion[0].model}")
        return batch

    def _create(self, request: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        """Return the new batch; after a lost reply, the one that was created all the same."""
        attempt = 0
        while True:
            try:
                return send(self._service, self._log, "batch", "batches", request, repeat=attempt)
            except ServiceError as error:
                attempt += 1
                if error.transient and (state := self._at_service(name)) is not None:
                    return state
                # a service that did not answer may still create it
                if not error.transient or error.status is None or not self._service.retry.again(attempt, error):
                    raise

    def _path(self, name: str) -> Path:
        return self._log.path.with_name(f"{self._log.path.name}.{name}.batch")

    def _find_again(self, paths: Sequence[Path]) -> list[Submission]:
        """Return the batches of an earlier run; files of those that were never submitted are removed."""
        created = {
            exchange.request["metadata"]["minirag"]: exchange.response
            for exchange in self._log
            if exchange.endpoint == "batches" and exchange.error is None
        }
        batches = []
        for path in paths:
            batch = Submission.load(path)
            if (address := batch.calls[0].service) != self._service.name:
                requests = counted(len(batch.calls), "request")
                self._say(f"batch: {requests} of an earlier run are collected when {address} is used again")
                continue
            state = created.get(batch.name) or self._at_service(batch.name)
            if state is None:
                path.unlink()
                continue
            batch.state = state
            self._say(f"batch: {batch}, of an earlier run")
            batches.append(batch)
        return batches

    def _at_service(self, name: str) -> Mapping[str, Any] | None:
        """Return the batch of that name, if the service lists it."""
        for state in listed(self._service, self._log, "batches.list"):
            metadata = state.get("metadata")
            if isinstance(metadata, Mapping) and metadata.get("minirag") == name:
                return state
        return None

    def _fetch(self, batches: Sequence[Submission]) -> None:
        """Wait for batches and log what became of their requests."""
        for batch in batches:
            if batch.status not in ENDED:
                poll(partial(self._is_over, batch), self._service.retry.sleep)
            self._log_results(batch)
            self._path(batch.name).unlink()
        if cancelled := [batch.id for batch in batches if batch.status == "cancelled"]:
            text = f"Batch {cancelled[0]} was cancelled; what it had done is kept, run again to submit the rest."
            raise Unfinished(text)

    def _is_over(self, batch: Submission) -> bool:
        self._progress(f"batch ({batch.status})", batch.done, len(batch.calls))
        batch.state = send(self._service, self._log, "poll", "batches.retrieve", {"batch_id": batch.id})
        return batch.status in ENDED

    def _log_results(self, batch: Submission) -> None:
        """Log what became of each request, as if it had been called directly."""
        lines = results(self._content(batch, "output_file_id") + b"\n" + self._content(batch, "error_file_id"))
        logged = {exchange.id for exchange in self._log if exchange.tags.get("batch") == batch.id}
        failed, now = [], datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for number, call in enumerate(batch.calls, 1):
            if call.id in logged:  # by a run that was killed
                continue
            response: Any = None
            failure: ServiceError | None = batch.missing(number)
            if call.id in lines:
                response, failure = reply_to(call, lines[call.id], self._service.address)
            error, tags = failure.to_json() if failure else None, {**call.tags, "batch": batch.id}
            exchange = replace(call, response=response, error=error, tags=tags, started=now)
            self._log.append(exchange)
            for gate in self._service.gates:
                gate.after(0.0, exchange)
            if failure is None:
                self._service.dialect(call.model, self._log).stages.add(call.stage)
            else:
                self._failures[call.id].append(failure)
                failed.append(exchange)
        for exchange in failed:  # once it is known which stages the model has answered
            self._service.dialect(exchange.model, self._log).learn(exchange)
        if self._cap is not None:
            self._cap.after(batch.held, None)
        if failed:
            self._say(f"batch: {len(failed):,} of {batch} ({batch.status}) failed")

    def _content(self, batch: Submission, name: str) -> bytes:
        """Return the content of a batch's output or error file; nothing if there is none (any more)."""
        if not batch.state.get(name):
            return b""
        request, seconds = {"file_id": str(batch.state[name])}, self._service.timeout + BYTES / TRANSFER_RATE
        for attempt in count(1):
            try:
                with self._service.retry.turn():
                    return bytes(self._service.raw("files.content", request, seconds=seconds).content)
            except ServiceError as error:
                if error.status == 404:
                    self._say(f"warning: the {name.removesuffix('_id').replace('_', ' ')} of {batch.id} is gone")
                    break
                if not self._service.retry.again(attempt, error):
                    raise
        return b""
