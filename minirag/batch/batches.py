"""Run a step through the Batch API: collect every missing reply, submit them as one batch, wait, repeat.

`Batches` is a gate on the service's call path: a call that the log cannot answer is collected, and its question waits.
When nothing can go on, the collected calls are submitted and their replies logged as if they had been called for; the
step then runs again, finds them in the log, and comes one reply further. A batch is on disk before it is submitted, in
a file beside the log, and that file is removed when the log has its replies: a killed run finds its batches again, and
submits no line twice.
"""

import glob
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import uuid4

from minirag.batch.files import BYTES, ENDED, PATHS, Submission, portions, reply_of, request_line, results, unix_time
from minirag.embeddings import read_embeddings
from minirag.errors import BadReply, BudgetReached, ServiceError, ServiceRefused, Unfinished, Waiting
from minirag.finetune import FIRST_POLL, LONGEST_POLL, listed, send, upload
from minirag.message_log import Exchange, MessageLog
from minirag.models import dialect_of, read_completion
from minirag.retry import ATTEMPTS, outlast
from minirag.service import TRANSFER_RATE, Service
from minirag.text import counted

T = TypeVar("T")

MOST_COLLECTED = 100_000
"""Calls held in memory at once; further ones are left to the next pass."""
ENQUEUED_LIMIT = "token_limit_exceeded"
"""The code of a batch that exceeds the tokens an account may have enqueued: smaller passes may work."""
DAY = 86_400
READERS = {"chat.completions": read_completion, "embeddings": read_embeddings}
"""How the reply of each endpoint is checked before it is logged as a success."""


class Cap(Protocol):
    """What batches need of `costs.Budget`."""

    def reserve_batch(self, calls: Sequence[Exchange]) -> tuple[int, float]: ...

    def after(self, amount: float, *exchanges: Exchange | None) -> None: ...


class Batches:
    """The batches of one log at `service`; `run` takes a step through them, `passes` counts how often it ran.

    `say` hears what is submitted and what is odd, `progress` (step, done, total); `cap` limits what it may cost.
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
        self.passes = 0
        self._service = service
        self._log = log
        self._cap = cap
        self._say = say
        self._progress = progress
        self._most = MOST_COLLECTED
        self._collected: dict[str, Exchange] = {}
        self._failures: dict[str, tuple[int, ServiceError]] = {}
        self._lock = threading.Lock()

    def run(self, step: Callable[[], T], *, batched: bool = True) -> T:
        """Return what `step` returns; its model calls go into batches, or directly to the service if not `batched`.

        Batches that an earlier run has left are fetched first in either case: they are paid for. Raises Unfinished if
        somebody cancelled a batch, BudgetReached if not even one more request fits, LogError if another process works
        with this log.
        """
        pattern = f"{glob.escape(self._log.path.name)}.*.batch"
        left = sorted(self._log.path.parent.glob(pattern))
        if left:
            self._log.lock()
            self._fetch(self._find_again(left))
        if not batched:
            return step()
        self._log.lock()
        before = self.passes
        self._service.gates.insert(0, self)
        try:
            while True:
                with suppress(Waiting):
                    result = step()
                    if passes := self.passes - before:
                        self._say(f"batch: all replies are there after {passes} pass{'' if passes == 1 else 'es'}")
                    return result
                self.passes += 1
                calls, self._collected = list(self._collected.values()), {}
                for id, failure in self._settle(calls).items():
                    self._failures[id] = (self._failures.get(id, (0, failure))[0] + 1, failure)
        finally:
            self._service.gates.remove(self)

    def before(self, call: Exchange) -> float:
        """Collect a model call and raise Waiting; or raise the ServiceError that its last attempts ended with."""
        if call.endpoint not in PATHS:
            return 0.0
        with self._lock:
            attempts, failure = self._failures.get(call.id, (0, None))
            # a model that was tuned a moment ago answers 404
            if failure is not None and (attempts >= ATTEMPTS or not (failure.transient or failure.status == 404)):
                raise failure
            if len(self._collected) < self._most:
                self._collected.setdefault(call.id, call)
        raise Waiting(f"A {call.stage} request waits for its batch; run again with --batch.")

    def after(self, amount: float, exchange: Exchange | None) -> None:
        """Do nothing: what passes this gate is no model call."""

    def _settle(self, calls: Sequence[Exchange]) -> dict[str, ServiceError]:
        """Submit calls as far as the money goes and log what becomes of them; return the failures by exchange id."""
        submitted: list[Submission] = []
        for portion in portions(calls):
            try:
                submitted.append(self._submit(portion))
            except BudgetReached:
                if not submitted:
                    raise
                break  # what the others turn out to cost may leave room
        failures = self._fetch(submitted)
        if any(batch.errors and batch.errors[0].get("code") == ENQUEUED_LIMIT for batch in submitted):
            self._most = max(1, len(calls) // 2)
        return failures

    def _submit(self, portion: list[Exchange]) -> Submission:
        held = 0.0
        if self._cap is not None:
            number, held = self._cap.reserve_batch(portion)
            portion = portion[:number]
        batch = Submission(uuid4().hex, portion, held=held)
        batch.save(self._path(batch.name))
        first = portion[0]
        try:
            data = b"".join(map(request_line, portion))
            file_id = upload(self._service, self._log, f"batch-{batch.name}.jsonl", data, "batch")
            request = {
                "input_file_id": file_id,
                "endpoint": PATHS[first.endpoint],
                "completion_window": "24h",
                "metadata": {"minirag": batch.name},
            }
            batch.state = self._create(request, batch.name)
        except ServiceError as error:
            if error.status not in {404, 405, 501}:
                raise
            text = f"{self._service.address} takes no batches, leave out --batch: {str(error).rstrip('.')}."
            raise ServiceRefused(text) from error
        self._say(f"batch: {batch} to {first.model}")
        return batch

    def _create(self, request: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        """Return the new batch; after a lost reply, the one that was created all the same."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return send(self._service, self._log, "batch", "batches", request, repeat=attempt - 1)
            except ServiceError as error:
                if not error.transient:
                    raise
                if (state := self._at_service(name, time.time())) is not None:
                    return state
                # a service that did not answer may still create it
                if error.status is None or not self._service.retry.again(attempt, error):
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
            state = created.get(batch.name) or self._at_service(batch.name, path.stat().st_mtime)
            if state is None:
                path.unlink()
                continue
            batch.state = state
            batch.logged = {exchange.id for exchange in self._log if exchange.tags.get("batch") == batch.id}
            self._say(f"batch: {batch}, of an earlier run")
            batches.append(batch)
        return batches

    def _at_service(self, name: str, since: float) -> Mapping[str, Any] | None:
        """Return the batch of that name, if the service lists it among those of the day before `since` and later."""
        for state in listed(self._service, self._log, "batches.list"):
            metadata, created = state.get("metadata"), unix_time(state.get("created_at"))
            if isinstance(metadata, Mapping) and metadata.get("minirag") == name:
                return state
            if 0 < created < since - DAY:
                break
        return None

    def _fetch(self, batches: Sequence[Submission]) -> dict[str, ServiceError]:
        """Wait for batches and log what became of their requests; return the failures by exchange id."""
        failures: dict[str, ServiceError] = {}
        for batch in batches:
            pause, poll = FIRST_POLL, 0
            while batch.status not in ENDED:
                poll += 1
                counts = batch.state.get("request_counts")
                numbers = [counts.get(name) for name in ("completed", "failed")] if isinstance(counts, Mapping) else []
                done = sum(number for number in numbers if isinstance(number, int))
                self._progress(f"batch ({batch.status})", done, len(batch.calls))
                self._service.retry.sleep(pause)
                pause = min(LONGEST_POLL, pause * 1.5)
                look = partial(send, self._service, self._log, "poll", "batches.retrieve", {"batch_id": batch.id})
                batch.state = outlast(partial(look, repeat=poll), self._service.retry.sleep)
            failures |= self._log_results(batch)
            self._path(batch.name).unlink()
        if cancelled := [batch.id for batch in batches if batch.status == "cancelled"]:
            text = f"Batch {cancelled[0]} was cancelled; what it had done is kept, run again to submit the rest."
            raise Unfinished(text)
        return failures

    def _log_results(self, batch: Submission) -> dict[str, ServiceError]:
        """Log what became of each request, as if it had been called; return the failures by exchange id."""
        lines = results(self._content(batch, "output_file_id") + b"\n" + self._content(batch, "error_file_id"))
        failures: dict[str, ServiceError] = {}
        exchanges = []
        for number, call in enumerate(batch.calls, 1):
            if call.id in batch.logged:
                continue
            response: Any = None
            failure: ServiceError | None = batch.missing(number)
            if call.id in lines:
                response, failure = reply_of(lines[call.id], self._service.address, call.model)
            if failure is None:
                try:
                    response = READERS[call.endpoint](call, response)
                except BadReply as error:
                    failure = error
            exchange = replace(
                call,
                response=response,
                error=None if failure is None else failure.to_json(),
                tags={**call.tags, "batch": batch.id},
                **batch.times,
            )
            self._log.append(exchange)
            exchanges.append(exchange)
            if failure is not None:
                failures[call.id] = failure
            else:
                dialect_of(call.model, self._service, self._log).stages.add(call.stage)
        for exchange in exchanges:
            if exchange.id in failures:
                dialect_of(exchange.model, self._service, self._log).learn(exchange)
        if self._cap is not None:
            self._cap.after(batch.held, *exchanges)
        others = [gate for gate in self._service.gates if gate not in (self, self._cap)]
        for gate, exchange in product(others, exchanges):
            gate.after(0.0, exchange)
        if failures:
            self._say(f"batch: {len(failures):,} of {batch} ({batch.status}) failed")
        return failures

    def _content(self, batch: Submission, name: str) -> bytes:
        """Return the content of a batch's output or error file; nothing if there is none (any more)."""
        if not batch.state.get(name):
            return b""
        request, seconds = {"file_id": str(batch.state[name])}, self._service.timeout + BYTES / TRANSFER_RATE
        try:
            download = partial(self._service.raw, "files.content", request, seconds)
            return bytes(outlast(download, self._service.retry.sleep).content)
        except ServiceError as error:
            if error.status == 404:
                self._say(f"warning: the {name.removesuffix('_id').replace('_', ' ')} of {batch.id} is gone")
                return b""
            raise
