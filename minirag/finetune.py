"""One fine-tuning attempt at an OpenAI-protocol service: created once, found again if it exists, waited for.

Every call is logged, so a job is found again after a crash. What creates something is sent once; polls are retried.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from minirag import errors
from minirag.errors import BadReply, InputError, JobError, JobUnfinished, ServiceError, ServiceRefused
from minirag.message_log import Exchange, MessageLog, canonical, write_json
from minirag.service import Service

FINAL = {"succeeded", "failed", "cancelled"}
FIRST_WAIT, LONGEST_WAIT = 0.2, 30.0
"""Seconds between two polls, growing by half each time."""
CLOSED = (
    "{address} no longer trains models for this account (OpenAI takes no jobs from 2027-01-06, for many accounts "
    "sooner): train on {file} elsewhere, then run again with --tuned MODEL --tuned-base-url URL."
)


def read_object(call: Exchange, reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a reply of the files, jobs or batches endpoints. Raises BadReply if it is none."""
    if "id" not in reply and "data" not in reply:
        raise BadReply(f"{call.service} answered with something that is neither a file nor a job nor a batch.")
    return reply


def send(
    service: Service,
    log: MessageLog | None,
    stage: str,
    endpoint: str,
    request: Mapping[str, Any],
    *,
    tags: Mapping[str, Any] | None = None,
    repeat: int = 0,
    arguments: Mapping[str, Any] | None = None,
) -> Mapping[str, Any]:
    """Return the reply of one call. Polls are sent each time and retried; all else is sent once."""
    call = Exchange(stage, endpoint, service.name, request, repeat=repeat, tags=tags or {})
    is_poll = stage == "poll"
    exchange = service.send(call, log, read=read_object, arguments=arguments, retries=is_poll, reuse=False)
    return exchange.response or {}


def listed(
    service: Service, log: MessageLog | None, endpoint: str, request: Mapping[str, Any] | None = None, repeat: int = 0
) -> Iterator[Mapping[str, Any]]:
    """Yield the items of a list at the service, newest first; nothing if it has no such list."""
    request = {**(request or {}), "limit": 100}
    while True:
        try:
            page = send(service, log, "poll", endpoint, request, repeat=repeat)
        except ServiceError as error:
            if isinstance(error, BadReply) or error.status in {404, 405, 501}:
                return
            raise
        items = page.get("data") or []
        yield from items
        last = items[-1].get("id") if items else None
        if last is None or not page.get("has_more") or last == request.get("after"):
            return
        request = {**request, "after": last}


def retrieve(service: Service, log: MessageLog | None, id: str, repeat: int = 0) -> Mapping[str, Any]:
    """Return the state of a job."""
    return send(service, log, "poll", "fine_tuning.jobs.retrieve", {"fine_tuning_job_id": id}, repeat=repeat)


def upload(service: Service, log: MessageLog | None, name: str, data: bytes, purpose: str) -> str:
    """Return the id of a file of this name and content at the service: the one in the log, or a new one."""
    request = {"file": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "purpose": purpose}
    for exchange in log or ():
        is_upload = exchange.endpoint == "files" and exchange.error is None and exchange.service == service.name
        if is_upload and exchange.request == request:
            return str((exchange.response or {})["id"])
    arguments = {"file": (name, data), "purpose": purpose}
    return str(send(service, log, "upload", "files", request, arguments=arguments)["id"])


class FineTuningJob:
    """A fine-tuning job: `.id`, `.status`, `.model` once it succeeded; `.wait()` until it has ended.

    Its identity is the hash of training and validation file, base model, hyperparameters, suffix and seed: `create`
    with the same ones finds the same job again, in the log or at the service, and never starts a second one.
    """

    def __init__(
        self, service: Service, state: Mapping[str, Any], *, log: MessageLog | None = None, path: Path | None = None
    ) -> None:
        self._service, self._log, self._path = service, log, path
        self._polls = 0
        self._update(state)

    @classmethod
    def create(
        cls,
        training_file: str | os.PathLike[str],
        *,
        base: str,
        log: MessageLog | None = None,
        service: Service | None = None,
        validation_file: str | os.PathLike[str] | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        suffix: str | None = None,
        seed: int | None = None,
        path: Path | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> Self:
        """Upload the files and start a job, or find the one that exists.

        `hyperparameters` are named as the API does: `{"n_epochs": 3}`. `suffix` (1–64 characters) goes into the tuned
        model's name; the job's last state is written to `path`. `before` is called when a job is about to be started,
        and may raise. Raises InputError for an unreadable file, TrainingNotAvailable if the service no longer trains,
        JobUnfinished if it cannot now, JobError if it refuses this job, ServiceError if it fails.
        """
        service = service or Service()
        paths = [Path(file) for file in (training_file, validation_file) if file is not None]
        try:
            files = [file.read_bytes() for file in paths]
        except OSError as error:
            raise InputError(f"Cannot read the training file {error.filename}: {error.strerror}.") from error
        digests = [hashlib.sha256(data).hexdigest() for data in files]
        chosen = dict(hyperparameters or {})
        identity = hashlib.sha256(canonical([*digests, base, chosen, suffix, seed]).encode()).hexdigest()[:32]
        state = _existing(service, log, identity)
        if state is None:
            before()
            names = (f"{p.stem}-{digest[:16]}{p.suffix}" for p, digest in zip(paths, digests, strict=True))
            ids = [upload(service, log, name, data, "fine-tune") for name, data in zip(names, files, strict=True)]
            request: dict[str, Any] = {
                "model": base,
                "training_file": ids[0],
                "method": {"type": "supervised", "supervised": {"hyperparameters": chosen}},
                "metadata": {"minirag": identity, "training_file_sha256": digests[0]},
            }
            options = {"validation_file": ids[1] if len(ids) > 1 else None, "suffix": suffix, "seed": seed}
            request |= {name: value for name, value in options.items() if value is not None}
            state = _start(service, log, request, identity, paths[0])
        return cls(service, state, log=log, path=path)

    def cancel(self) -> str:
        """Ask the service to stop the job; return the status. Raises JobError if it has ended already."""
        try:
            request = {"fine_tuning_job_id": self.id}
            self._update(send(self._service, self._log, "train", "fine_tuning.jobs.cancel", request))
        except ServiceError as error:
            raise JobError(f"Fine-tuning job {self.id} cannot be cancelled: {error}") from error
        return self.status

    @property
    def id(self) -> str:
        return str(self.state.get("id"))

    @property
    def status(self) -> str:
        """`validating_files`, `queued`, `running`, `paused`, `succeeded`, `failed`, `cancelled`, or a newer one."""
        return str(self.state.get("status"))

    @property
    def failure(self) -> str:
        """`: reason` of a job that failed; empty for any other."""
        if self.status != "failed":
            return ""
        error = self.state.get("error") or {}  # an object, an empty one, or null
        reason = str(error.get("message") or error.get("code") or "the service gives no reason").rstrip(".")
        remedy = "; ask for more --train-questions" if error.get("code") == "invalid_n_examples" else ""
        return f": {reason}{remedy}"

    @property
    def model(self) -> str:
        """The tuned model's name. Raises JobError that says what is missing as long as there is none."""
        name = self.state.get("fine_tuned_model")
        if self.status == "succeeded" and name:
            return str(name)
        if self.status == "failed":
            raise JobError(f"Fine-tuning job {self.id} failed{self.failure}.")
        if self.status == "cancelled":
            raise JobError(f"Fine-tuning job {self.id} was cancelled; run again to start a new one.")
        raise JobUnfinished(f"Fine-tuning job {self.id} has no model yet (it is {self.status}); wait for it.")

    def refresh(self) -> str:
        """Ask the service for the job's state; return the status."""
        self._polls += 1
        self._update(retrieve(self._service, self._log, self.id, self._polls))
        return self.status

    def wait(
        self,
        *,
        timeout: float | None = None,
        progress: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Self:
        """Poll until the job has ended; `progress` hears each change. Raises JobUnfinished after `timeout` seconds.

        A paused job and unknown states are waited for like any other: somebody may resume the job.
        """
        waited, pause, last = 0.0, FIRST_WAIT, ""
        while self.status not in FINAL:
            if (now := self._progress()) != last:
                progress(now)
            last = now
            if timeout is not None and waited >= timeout:
                state = f"is still {self.status} after {timeout:.0f} s"
                raise JobUnfinished(f"Fine-tuning job {self.id} {state}; run again to wait on.")
            sleep(pause)
            waited += pause
            pause = min(LONGEST_WAIT, pause * 1.5)
            self.refresh()
        progress(self.status)
        if self._polls:  # the log keeps the events of a job that was waited for: the report draws its losses
            list(self.pages("events", self._polls))
        return self

    def _progress(self) -> str:
        """Return the status, and while the job runs, step and loss of the newest event that has them."""
        for event in self.pages("events", self._polls) if self.status == "running" else ():
            data = event.get("data") or {}
            if "step" in data:
                steps = f"/{data['total_steps']}" if data.get("total_steps") else ""
                loss = f", loss {data['train_loss']:.3f}" if data.get("train_loss") is not None else ""
                return f"{self.status}, step {data['step']}{steps}{loss}"
        return self.status

    def pages(self, kind: str, repeat: int = 0) -> Iterator[Mapping[str, Any]]:
        """Yield the job's "events" or "checkpoints", newest first."""
        request = {"fine_tuning_job_id": self.id}
        return listed(self._service, self._log, f"fine_tuning.jobs.{kind}", request, repeat)

    def _update(self, state: Mapping[str, Any]) -> None:
        self.state: Mapping[str, Any] = state
        if self._path is not None:
            write_json(self._path, state)


def _existing(service: Service, log: MessageLog | None, identity: str) -> Mapping[str, Any] | None:
    """Return the job of this identity, unless it failed or was cancelled.

    It is looked for in the log, then at the service: the reply to its creation may have been lost.
    """
    state: Mapping[str, Any] | None = None
    for exchange in log or ():
        if exchange.endpoint.startswith("fine_tuning") and exchange.error is None and exchange.service == service.name:
            reply = exchange.response or {}
            if exchange.tags.get("identity") == identity or (state is not None and reply.get("id") == state["id"]):
                state = reply
    if state is None or state.get("status") in {"failed", "cancelled"}:
        return _at_service(service, log, identity)
    return state if state.get("status") == "succeeded" else retrieve(service, log, str(state["id"]))


def _at_service(service: Service, log: MessageLog | None, identity: str) -> Mapping[str, Any] | None:
    """Return the job of this identity that the service lists, retrieved by its id so that the log can bill it."""
    for job in listed(service, log, "fine_tuning.jobs.list"):
        is_same = (job.get("metadata") or {}).get("minirag") == identity
        if is_same and job.get("status") not in {"failed", "cancelled"}:
            return retrieve(service, log, str(job.get("id")))
    return None


def _start(
    service: Service, log: MessageLog | None, request: Mapping[str, Any], identity: str, file: Path
) -> Mapping[str, Any]:
    """Create the job once. Only a file that is not ready is waited for; after a lost reply the job is looked for."""
    for attempt in range(20):  # about seven minutes
        try:
            return send(service, log, "train", "fine_tuning.jobs", request, tags={"identity": identity}, repeat=attempt)
        except ServiceError as error:
            if error.status != 400 or "not ready" not in str(error):
                outcome = _outcome(error, service.address, str(request["model"]), file)
                if outcome is error and error.transient and (state := _at_service(service, log, identity)) is not None:
                    return state  # only the reply was lost
                raise outcome from error
            service.retry.sleep(min(LONGEST_WAIT, FIRST_WAIT * 2**attempt))
    raise JobUnfinished(f"{service.address} is still processing {file.name}; run again later.")


def _outcome(error: ServiceError, address: str, base: str, file: Path) -> Exception:
    """Return what a refusal to create a job means for the user."""
    words = str(error).rstrip(".")
    if error.code == "training_not_available":
        return errors.TrainingNotAvailable(CLOSED.format(address=address, file=file.name))
    if error.status == 429 and not isinstance(error, ServiceRefused):
        return JobUnfinished(f"No further job can start now, wait for another to end or cancel it: {words}.")
    if error.code in {"model_not_available", "model_not_found"} or error.status == 404:
        return JobError(f"{base} cannot be tuned at {address}, name another --student: {words}.")
    if error.status in {400, 422}:
        return JobError(f"The service refuses this job: {words}.")
    return error
