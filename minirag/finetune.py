"""Row 7. One fine-tuning attempt on an OpenAI-protocol service: found again if it exists, created once if not."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from minirag.errors import BadReply, InputError, JobError, ServiceError, TrainingNotAvailable
from minirag.files import write_json
from minirag.message_log import MessageLog, canonical
from minirag.models import Service

FINAL = {"succeeded", "failed", "cancelled"}
FIRST_POLL, LONGEST_POLL = 0.2, 30.0
FILE_WAITS = 20
CLOSED = (
    "{address} no longer trains models for this account (OpenAI ends fine-tuning on 2027-01-06; check the provider's "
    "page): train on {file} elsewhere, then run again with --tuned MODEL --tuned-base-url URL."
)


def check_suffix(suffix: str | None) -> None:
    """Raise InputError for a suffix that no service takes."""
    if suffix is not None and not 1 <= len(suffix) <= 64:
        raise InputError("The suffix of a tuned model has 1 to 64 characters.")


class FineTuningJob:
    """A fine-tuning job: `.id`, `.status`, `.model` once it succeeded; `.wait()` until it has ended.

    Its identity is the training file's hash, the base model and the hyperparameters: `create` with the same three
    finds the same job again, in the log or on the server, and never starts a second one.
    """

    def __init__(
        self, service: Service, state: Mapping[str, Any], *, log: MessageLog | None, path: Path | None
    ) -> None:
        self.service = service
        self.log = log
        self.path = path
        self.state: Mapping[str, Any] = {}
        self._polls = 0
        self._keep(state)

    @classmethod
    def create(
        cls,
        training_file: str | os.PathLike[str],
        *,
        base: str,
        log: MessageLog | None = None,
        service: Service | None = None,
        suffix: str | None = None,
        epochs: int | None = None,
        seed: int | None = None,
        path: Path | None = None,
    ) -> "FineTuningJob":
        """Upload the file and start a job, or find the one that exists.

        `epochs=None` lets the service choose; `suffix` (1–64 characters) goes into the tuned model's name; the
        job's last state is kept in `path`. Raises InputError for an unreadable file, TrainingNotAvailable where
        the service no longer trains, JobError where it refuses this job, ServiceError where it fails.
        """
        file = Path(training_file)
        try:
            data = file.read_bytes()
        except OSError as error:
            raise InputError(f"Cannot read the training file {file}: {error.strerror}.") from error
        check_suffix(suffix)
        service = service or Service()
        digest = hashlib.sha256(data).hexdigest()
        hyperparameters: dict[str, Any] = {} if epochs is None else {"n_epochs": epochs}
        identity = hashlib.sha256(canonical([digest, base, hyperparameters, suffix, seed]).encode()).hexdigest()[:32]
        calls = _Calls(service, log)
        state = _known(calls, identity)
        if state is None:
            uploaded = _upload(calls, file.name, data, digest)
            request = {
                "model": base,
                "training_file": uploaded,
                "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
                "metadata": {"minirag": identity, "training_file_sha256": digest},
                **({} if suffix is None else {"suffix": suffix}),
                **({} if seed is None else {"seed": seed}),
            }
            state = _start(calls, request, identity, file)
        return cls(service, state, log=log, path=path)

    @property
    def id(self) -> str:
        return str(self.state.get("id"))

    @property
    def status(self) -> str:
        """`validating_files`, `queued`, `running`, `paused`, `succeeded`, `failed`, `cancelled`, or a newer one."""
        return str(self.state.get("status"))

    @property
    def model(self) -> str:
        """The tuned model's name. Raises JobError that says what is missing as long as there is none."""
        name = self.state.get("fine_tuned_model")
        if self.status == "succeeded" and name:
            return str(name)
        if self.status == "failed":
            error = self.state.get("error") or {}
            said = error.get("message") or error.get("code") or "no reason given"
            raise JobError(f"Fine-tuning job {self.id} failed: {str(said).rstrip('.')}.")
        if self.status == "cancelled":
            raise JobError(f"Fine-tuning job {self.id} was cancelled; run again to start a new one.")
        raise JobError(f"Fine-tuning job {self.id} has no model yet (it is {self.status}); call wait() first.")

    def refresh(self) -> str:
        """Ask the service for the job's state; returns the status."""
        self._polls += 1
        self._keep(_Calls(self.service, self.log).retrieve(self.id, self._polls))
        return self.status

    def wait(
        self, *, timeout: float | None = None, progress: Callable[[str], None] = lambda _: None
    ) -> "FineTuningJob":
        """Poll until the job has ended; JobError after `timeout` seconds. `progress` hears each new status."""
        started, pause, last = time.monotonic(), FIRST_POLL, ""
        while self.status not in FINAL:
            if self.status != last:
                last = self.status
                progress(last)
            if timeout is not None and time.monotonic() - started > timeout:
                raise JobError(
                    f"Fine-tuning job {self.id} is still {self.status} after {timeout:.0f} s; wait again later."
                )
            time.sleep(pause)
            pause = min(LONGEST_POLL, pause * 1.5)
            self.refresh()
        progress(self.status)
        return self

    def cancel(self) -> str:
        """Ask the service to stop the job; returns the status."""
        calls = _Calls(self.service, self.log)
        self._keep(
            calls.make(
                "train",
                "fine_tuning.jobs.cancel",
                {"fine_tuning_job_id": self.id},
                lambda client, request: client.fine_tuning.jobs.with_raw_response.cancel(**request),
            )
        )
        return self.status

    def events(self) -> list[dict[str, Any]]:
        """What happened, oldest first: `{"created_at", "level", "message", "type", "data"}`."""
        events: list[dict[str, Any]] = []
        try:
            for event in self.service.client.fine_tuning.jobs.list_events(self.id, limit=100):
                events.append(event.model_dump(mode="json"))
        except Exception as error:
            raise self.service.failure(error) from error
        return events[::-1]

    def _keep(self, state: Mapping[str, Any]) -> None:
        self.state = state
        if self.path is not None:
            write_json(self.path, state)


class _Calls:
    """Calls to the files and jobs endpoints: sent once, logged like any other exchange."""

    def __init__(self, service: Service, log: MessageLog | None) -> None:
        self.service = service
        self.log = log

    def make(
        self,
        stage: str,
        endpoint: str,
        request: Mapping[str, Any],
        send: Callable[[Any, Mapping[str, Any]], Any],
        *,
        tags: Mapping[str, Any] | None = None,
        repeat: int = 0,
    ) -> dict[str, Any]:
        """The raw reply; polls are tried again, everything that creates something is sent once."""
        attempt = 0
        while True:
            attempt += 1
            exchange, failure = self.service.attempt(
                stage,
                endpoint,
                request,
                lambda client: send(client, request),
                self._check,
                tags=tags or {},
                repeat=repeat,
            )
            if self.log is not None:
                self.log.append(exchange)
            if failure is None:
                return dict(exchange.response or {})
            if stage != "poll" or not failure.transient or not self.service.retry.after_failure(attempt, failure.wait):
                raise failure

    def retrieve(self, id: str, repeat: int = 0) -> dict[str, Any]:
        """The job's state now."""
        return self.make(
            "poll",
            "fine_tuning.jobs.retrieve",
            {"fine_tuning_job_id": id},
            lambda client, request: client.fine_tuning.jobs.with_raw_response.retrieve(**request),
            repeat=repeat,
        )

    def _check(self, reply: Mapping[str, Any]) -> None:
        if "id" not in reply and "data" not in reply:
            raise BadReply(f"{self.service.address} answered with something that is neither a file nor a job.")


def _known(calls: _Calls, identity: str) -> Mapping[str, Any] | None:
    """The job of that identity, unless it failed or was cancelled: from the log, or from the server.

    The server is asked because its reply to `create` may have been lost.
    """
    if (state := _logged(calls, identity)) is not None:
        if state["status"] == "succeeded":
            return state
        if state["status"] not in FINAL:
            return calls.retrieve(state["id"])
    return next((job for job in _listed(calls) if _is_alive(job, identity)), None)


def _is_alive(job: Mapping[str, Any], identity: str) -> bool:
    return (job.get("metadata") or {}).get("minirag") == identity and job.get("status") not in {"failed", "cancelled"}


def _listed(calls: _Calls) -> Iterator[dict[str, Any]]:
    """The jobs of the account, newest first, page by page; none where the service cannot list them."""
    request: dict[str, Any] = {"limit": 100}
    while True:
        try:
            page = calls.make(
                "poll",
                "fine_tuning.jobs.list",
                request,
                lambda client, sent: client.fine_tuning.jobs.with_raw_response.list(**sent),
            )
        except ServiceError as error:
            if isinstance(error, BadReply) or error.status in {404, 405, 501}:
                return  # it may still train: creating says so if it cannot
            raise
        jobs = page.get("data") or []
        yield from jobs
        if not (jobs and page.get("has_more")):
            return
        request = {"limit": 100, "after": jobs[-1]["id"]}


def _logged(calls: _Calls, identity: str) -> Mapping[str, Any] | None:
    """The last state that the log holds of the newest job of that identity at this service."""
    state: Mapping[str, Any] | None = None
    for exchange in calls.log or ():
        reply = exchange.response if exchange.error is None and exchange.service == calls.service.name else None
        if reply is None or exchange.stage not in {"train", "poll"}:
            continue
        if exchange.tags.get("identity") == identity or (state is not None and reply.get("id") == state["id"]):
            state = reply
    return state


def _upload(calls: _Calls, name: str, data: bytes, digest: str) -> str:
    for exchange in calls.log or ():
        here = exchange.service == calls.service.name and exchange.error is None
        if here and exchange.stage == "upload" and exchange.request.get("sha256") == digest:
            return str((exchange.response or {})["id"])
    request = {"file": name, "bytes": len(data), "sha256": digest, "purpose": "fine-tune"}
    reply = calls.make(
        "upload",
        "files",
        request,
        lambda client, _: client.files.with_raw_response.create(file=(name, data), purpose="fine-tune"),
    )
    return str(reply["id"])


def _start(calls: _Calls, request: Mapping[str, Any], identity: str, file: Path) -> Mapping[str, Any]:
    """Create the job; only a file that is not ready yet is waited for, with a limit."""
    for attempt in range(FILE_WAITS):
        try:
            return calls.make(
                "train",
                "fine_tuning.jobs",
                request,
                lambda client, sent: client.fine_tuning.jobs.with_raw_response.create(**sent),
                tags={"identity": identity},
                repeat=attempt,
            )
        except ServiceError as error:
            if error.status == 400 and "not ready" in str(error):
                time.sleep(min(LONGEST_POLL, FIRST_POLL * 2**attempt))
            elif error.code == "training_not_available":
                raise TrainingNotAvailable(CLOSED.format(address=calls.service.address, file=file)) from error
            elif error.status in {400, 404, 422, 429}:
                raise JobError(f"The service refuses this job: {error}") from error
            else:
                raise
    raise JobError(f"The service is still processing {file.name}; run again later.")
