"""Row 7. Model calls through the Batch API: half the price and a quota of its own, for replies within a day.

Each pass of a step (`passes`) is sent as batches, one file for each endpoint and model; their replies enter the log as
if they had been called for. A batch that was submitted is on disk before, one file beside the log that holds the lines
which the log is to get; it is removed when the log has them. So a run that dies at any moment finds its batches again,
by the name in that file, in the log or on the server, and submits no line twice.
"""

import fcntl
import glob
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from minirag.batch.files import BYTES, PATHS, Result, portions, request_line, results
from minirag.batch.passes import Noted, Passes
from minirag.batch.submission import ENDED, Submission, reason
from minirag.errors import BadReply, BudgetReached, LogError, ServiceError, ServiceRefused, Unfinished
from minirag.job_calls import FIRST_WAIT, LONGEST_WAIT, JobCalls
from minirag.message_log import MessageLog
from minirag.models import model_of
from minirag.service import Service, described

T = TypeVar("T")

ENQUEUED = "token_limit_exceeded"
"""Why a batch is refused where more tokens would wait than the account may have waiting: smaller passes may do."""
DAY = 86_400


class Batches:
    """The batches of one log at `service`; `run` takes a step through them.

    `say` hears what is submitted and what is odd, `progress` (step, done, total). `passes` counts.
    """

    def __init__(
        self,
        service: Service,
        log: MessageLog,
        *,
        say: Callable[[str], None] = lambda _: None,
        progress: Callable[[str, int, int], None] = lambda *_: None,
    ) -> None:
        self.passes = Passes(self._settle)
        self._service = service
        self._log = log
        self._calls = JobCalls(service, log)
        self._say = say
        self._progress = progress

    def run(self, step: Callable[[], T], *, batched: bool = True) -> T:
        """What `step` returns; its model calls go into batches if they are to be `batched`, and directly if not.

        Batches that an earlier run has left are collected first, in either case: they are paid for. Raises Unfinished
        where somebody cancelled a batch, BudgetReached where not even one more request fits, and LogError where another
        process is at the batches of this log.
        """
        if not batched and not self._left:
            return step()
        before = self.passes.count
        with _alone(self._log.path.parent):
            self._collect_left()
            self._service.queue = self.passes if batched else None
            try:
                result = self.passes.run(step)
            finally:
                self._service.queue = None
        if took := self.passes.count - before:
            self._say(f"batch: all replies are there after {took} pass{'' if took == 1 else 'es'}")
        return result

    # -- submitting ----------------------------------------------------------------------------------------

    def _settle(self, noted: Sequence[Noted]) -> dict[str, ServiceError]:
        """Submit what was noted, as far as the money goes, and log what comes of it; the failures by exchange id."""
        submitted: list[Submission] = []
        for portion in portions(noted):
            try:
                submitted.append(self._submitted(portion))
            except BudgetReached:
                if not submitted:
                    raise
                break  # what the others turn out to cost may leave room
        failures = self._collected(submitted)
        if any(batch.wrong and batch.wrong[0].get("code") == ENQUEUED for batch in submitted):
            self.passes.most = max(1, len(noted) // 2)
        return failures

    def _submitted(self, portion: Sequence[Noted]) -> Submission:
        meter, held = self._service.meter, 0.0
        if meter is not None:
            count, held = meter.reserve_batch([each.exchange for each in portion])
            portion = portion[:count]
        batch = Submission(uuid4().hex, portion[0].keep, [each.exchange for each in portion], held=held)
        batch.save(self._path(batch.name))
        data = b"".join(map(request_line, batch.calls))
        digest = hashlib.sha256(data).hexdigest()
        first = batch.calls[0]
        try:
            file_id = self._calls.put(f"batch-{batch.name}.jsonl", data, digest, "batch")
            request = {
                "input_file_id": file_id,
                "endpoint": PATHS[first.endpoint],
                "completion_window": "24h",
                "metadata": {"minirag": batch.name, "input_sha256": digest},
            }
            batch.state = self._created(request, batch.name)
        except ServiceError as error:
            if error.status in {404, 405, 501}:
                said = str(error).rstrip(".")
                raise ServiceRefused(f"{self._service.address} takes no batches, leave out --batch: {said}.") from error
            raise
        self._say(f"batch: {batch.size} to {first.model} in {batch.id}")
        return batch

    def _created(self, request: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        """The new batch; where the reply was lost, the one that was created all the same."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._calls.send(
                    "batch",
                    "batches",
                    request,
                    lambda client, sent: client.batches.with_raw_response.create(**sent),
                    repeat=attempt - 1,
                )
            except ServiceError as error:
                if not error.transient:
                    raise
                if (state := self._on_server(name, time.time())) is not None:
                    return state
                # a service that did not answer may still create it
                if error.status is None or not self._service.retry.after_failure(attempt, error.wait):
                    raise

    # -- finding again -------------------------------------------------------------------------------------

    def _path(self, name: str) -> Path:
        return self._log.path.with_name(f"{self._log.path.name}.{name}.batch")

    @property
    def _left(self) -> list[Path]:
        """The files of batches that a run has left."""
        return sorted(self._log.path.parent.glob(f"{glob.escape(self._log.path.name)}.*.batch"))

    def _collect_left(self) -> None:
        """Log what the batches of a run that has died came to; those that were not submitted are forgotten."""
        found = []
        for path in self._left:
            batch = Submission.load(path)
            if (address := batch.calls[0].service) != self._service.name:
                self._say(f"batch: {batch.size} of an earlier run are collected when {address} is used again")
                continue
            state = self._in_log(batch.name) or self._on_server(batch.name, path.stat().st_mtime)
            if state is None:
                path.unlink()
                continue
            batch.state = state
            self._say(f"batch: {batch.size} of an earlier run in {batch.id}")
            batch.logged = {exchange.id for exchange in self._log if exchange.tags.get("batch") == batch.id}
            found.append(batch)
        self._collected(found)

    def _in_log(self, name: str) -> Mapping[str, Any] | None:
        """The batch of that name as it was when it was created, if the log knows it."""
        for exchange in self._log:
            created = exchange.endpoint == "batches" and exchange.error is None
            if created and exchange.request.get("metadata", {}).get("minirag") == name:
                return exchange.response
        return None

    def _on_server(self, name: str, since: float) -> Mapping[str, Any] | None:
        """The batch of that name, if the server lists it among those of the day before `since` and later."""
        for state in self._calls.listed("batches.list", {}, lambda client: client.batches):
            if (state.get("metadata") or {}).get("minirag") == name:
                return state
            if int(state.get("created_at") or 0) < since - DAY:
                break
        return None

    # -- collecting ----------------------------------------------------------------------------------------

    def _collected(self, batches: Sequence[Submission]) -> dict[str, ServiceError]:
        """Wait for batches and log what came of their requests; the failures by exchange id."""
        failures: dict[str, ServiceError] = {}
        for batch in batches:
            self._wait(batch)
            failures |= self._logged(batch)
            self._path(batch.name).unlink()
        if cancelled := [batch.id for batch in batches if batch.status == "cancelled"]:
            raise Unfinished(
                f"Batch {cancelled[0]} was cancelled; what it had done is kept, run again to submit the rest."
            )
        return failures

    def _wait(self, batch: Submission) -> None:
        """Poll until a batch has ended; states that are not known are waited for like any other."""
        pause, polls = FIRST_WAIT, 0
        while batch.status not in ENDED:
            self._progress(f"batch ({batch.status})", batch.done, len(batch.calls))
            self._service.retry.sleep(pause)
            pause, polls = min(LONGEST_WAIT, pause * 1.5), polls + 1
            batch.state = self._calls.send(
                "poll",
                "batches.retrieve",
                {"batch_id": batch.id},
                lambda client, sent: client.batches.with_raw_response.retrieve(**sent),
                repeat=polls,
            )

    def _logged(self, batch: Submission) -> dict[str, ServiceError]:
        """Log what became of each request; the failures by exchange id."""
        found = self._results(batch)
        failures: dict[str, ServiceError] = {}
        exchanges = []
        model = model_of(batch.calls[0], self._log, self._service)
        for number, call in enumerate(batch.calls, 1):
            if call.id in batch.logged:
                continue
            failure = self._failure(found[call.id], call.model) if call.id in found else batch.lost(number)
            exchange = replace(
                call,
                response=found[call.id].body if failure is None else None,
                error=None if failure is None else described(failure),
                tags={**call.tags, "batch": batch.id},
                **batch.times,
            )
            if (failure := model.take(exchange, batch.keep) or failure) is not None:
                failures[call.id] = failure
            exchanges.append(exchange)
        if self._service.meter is not None:
            self._service.meter.settle(batch.held, *exchanges)
        if failures:
            self._say(f"batch: {len(failures):,} of {batch.size} in {batch.id} ({batch.status}) failed")
        return failures

    def _results(self, batch: Submission) -> dict[str, Result]:
        """What both files of a batch say, by exchange id; what they say of nothing, or say twice, is told."""
        known = {call.id for call in batch.calls}
        found: dict[str, Result] = {}
        odd = {"cannot be read": 0, "have an unknown custom_id": 0, "have the custom_id of another": 0}
        for name in ("output_file_id", "error_file_id"):
            lines, unreadable = results(self._content(batch, name))
            odd["cannot be read"] += unreadable
            for line in lines:
                odd["have an unknown custom_id"] += line.custom_id not in known
                odd["have the custom_id of another"] += line.custom_id in found
                found.setdefault(line.custom_id, line)
        for what, count in odd.items():
            if count:
                self._say(f"warning: {count:,} lines in the results of {batch.id} {what}")
        return found

    def _content(self, batch: Submission, name: str) -> bytes:
        """The content of one of a batch's files; nothing where there is none, or none any more, which is told."""
        if not batch.state.get(name):
            return b""
        try:
            return self._service.download(str(batch.state[name]), BYTES)
        except ServiceError as error:
            if error.status != 404:
                raise
            self._say(f"warning: the {name.removesuffix('_id').replace('_', ' ')} of {batch.id} is gone")
            return b""

    def _failure(self, result: Result, model: str) -> ServiceError | None:
        """Why a request was not answered; None where it was."""
        if result.status is None:
            told = reason(result.error or {})
            return ServiceError(f"The batch did not send this request: {told}.", transient=True)
        if result.status != 200:
            error = result.body.get("error") if isinstance(result.body, dict) else result.body
            return self._service.refusal(result.status, error, {}, model)
        if not isinstance(result.body, dict):
            return BadReply(f"{self._service.address} answered 200 with something that is no object.", transient=True)
        return None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes from the batches of a log in this folder; LogError where one is at them."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            told = f"Another process waits for batches in {folder}; wait for it, or choose another --out."
            raise LogError(told) from None
        yield
    finally:
        os.close(lock)
