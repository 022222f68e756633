"""One fine-tuning attempt at an OpenAI-protocol service: created once, found again if it exists, waited for.

Every call is logged, so a job is found again after a crash, and a wait outlives an outage of the service. Services
differ in their words for a job's states, and in what they keep of a request and serve of what they trained.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Self

from minirag.errors import BadReply, InputError, JobError, JobUnfinished, ServiceError, TrainingNotAvailable
from minirag.message_log import MessageLog, canonical, write_json
from minirag.models import listed, send, upload
from minirag.retry import FIRST_POLL, LONGEST_POLL, poll
from minirag.service import Service

WITHOUT_MODEL = {"failed", "cancelled"}
FINAL = {"succeeded", *WITHOUT_MODEL}
CLOSED = "no longer trains models for this account (OpenAI takes no jobs from 2027-01-06, for many accounts sooner)"
Json = Mapping[str, Any]
_UNKNOWN_MODEL = {"model_not_available", "model_not_found"}
_ENDS = {
    "succeeded": "succeeded|success|completed?|finished|done",
    "failed": "failed|failure|error|expired|rejected",
    "cancelled": "cancell?ed|stopped|aborted",
}


def state_of(job: Mapping[str, Any]) -> str:
    """Return the state of a job in OpenAI's words, however the service calls its end.

    >>> [state_of({"status": word}) for word in ("SUCCESS", "FAILED_VALIDATION", "QUEUED")]
    ['succeeded', 'failed', 'queued']
    """
    state = str(job.get("status")).lower()
    return next((end for end, words in _ENDS.items() if re.search(f"(^|_)({words})(_|$)", state)), state)


class FineTuningJob:
    """A fine-tuning job: `.id`, `.status`, `.model` once it succeeded; `.wait()` until it has ended.

    Its identity is the hash of training file, base model, hyperparameters, suffix, seed and further options: `create`
    with the same ones finds the same job again, in the log or at the service, and never starts a second one.
    """

    def __init__(
        self, service: Service, state: Json, *, log: MessageLog | None = None, path: Path | None = None
    ) -> None:
        self._service, self._log, self._path = service, log, path
        self._update(state)

    @classmethod
    def create(
        cls,
        training_file: str | os.PathLike[str],
        *,
        base: str,
        log: MessageLog | None = None,
        service: Service | None = None,
        hyperparameters: Json | None = None,
        options: Json | None = None,
        suffix: str | None = None,
        seed: int | None = None,
        path: Path | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> Self:
        """Upload the file and start a job, or find the one that exists, in its last known state.

        `hyperparameters` are named as the API does: `{"n_epochs": 3}`; `options` are further fields of the request.
        `suffix` (1–64 characters) goes into the tuned model's name; the job's last state is written to `path`.
        `before` is called when a job is about to be started, and may raise. Raises InputError for an unreadable file,
        TrainingNotAvailable if the service does not train, JobUnfinished if it cannot now, JobError if it refuses this.
        """
        service, chosen, options, file = service or Service(), hyperparameters or {}, options or {}, Path(training_file)
        try:
            data = file.read_bytes()
        except OSError as error:
            raise InputError(f"Cannot read the training file {file}: {error.strerror}.") from error
        digest = hashlib.sha256(data).hexdigest()
        name = f"{file.stem}-{digest[:16]}{file.suffix}"
        parts = [digest, base, chosen, suffix, seed, *([options] if options else [])]
        identity = hashlib.sha256(canonical(parts).encode()).hexdigest()[:32]
        request: dict[str, Any] = {
            "model": base,
            "training_file": name,  # its id comes with the upload
            "method": {"type": "supervised", "supervised": {"hyperparameters": chosen}},
            "metadata": {"minirag": identity, "training_file_sha256": digest},
            "suffix": suffix,
            "seed": seed,
        }
        request = {name: value for name, value in request.items() if value is not None}
        is_uploaded = False
        try:
            state = _in_log(service, log, identity) or _at_service(service, log, request, chosen)
            if state is None:
                before()
                request["training_file"] = upload(service, log, name, data, "fine-tune")
                is_uploaded = True
                state = _start(service, log, request, chosen, options)
        except ServiceError as error:
            raise _outcome(error, service.address, base, file, is_uploaded=is_uploaded) from error
        return cls(service, state, log=log, path=path)

    def cancel(self) -> str:
        """Ask the service to stop the job; return the status. Raises JobError if it has ended already."""
        try:
            return self._ask("train", "cancel")
        except ServiceError as error:
            raise JobError(f"Fine-tuning job {self.id} cannot be cancelled: {error}") from error

    @property
    def id(self) -> str:
        return str(self.state.get("id"))

    @property
    def status(self) -> str:
        """`validating_files`, `queued`, `running`, `paused`, `succeeded`, `failed`, `cancelled`, or a newer one."""
        return state_of(self.state)

    @property
    def failure(self) -> str:
        """`: reason` of a job that failed; empty for any other."""
        if self.status != "failed":
            return ""
        error = self.state.get("error")  # an object, an empty one, a text, or null
        fields = error if isinstance(error, Mapping) else {"message": error}
        return f": {fields.get('message') or fields.get('code') or 'the service gives no reason'}".rstrip(".")

    @property
    def model(self) -> str:
        """The tuned model's name. Raises JobError that says what is missing as long as there is none."""
        if self.status == "failed":
            raise JobError(f"Fine-tuning job {self.id} failed{self.failure}.")
        if self.status == "cancelled":
            raise JobError(f"Fine-tuning job {self.id} was cancelled; run again to start a new one.")
        if self.status != "succeeded":
            raise JobUnfinished(f"Fine-tuning job {self.id} has no model yet (it is {self.status}); wait for it.")
        if name := self.state.get("fine_tuned_model"):
            return str(name)
        text = f"Fine-tuning job {self.id} is trained, but {self._service.address} does not serve its model by itself"
        remedy = "deploy its last checkpoint (`finetune --status` names it, `--download` fetches its files)"
        raise TrainingNotAvailable(f"{text}: {remedy}, then run again with --tuned NAME.")

    def refresh(self) -> str:
        """Ask the service for the job's state; return the status."""
        return self._ask("poll", "retrieve")

    def _ask(self, stage: str, what: str) -> str:
        request = {"fine_tuning_job_id": self.id}
        self._update(send(self._service, self._log, stage, f"fine_tuning.jobs.{what}", request))
        return self.status

    def wait(
        self, *, progress: Callable[[str], None] = lambda _: None, sleep: Callable[[float], None] = time.sleep
    ) -> Self:
        """Poll until the job has ended; `progress` hears each state.

        Paused jobs and unknown states are waited for, and so is, for two hours, a service that is out of reach; after
        that JobUnfinished is raised.
        """

        def is_over() -> bool:
            progress(self.status)
            return self.refresh() in FINAL

        try:
            if self.status not in FINAL:
                poll(is_over, sleep)
        except ServiceError as error:
            text = f"What became of fine-tuning job {self.id} is not known: {str(error).rstrip('.')}"
            raise JobUnfinished(f"{text}; run again to wait on.") from error
        progress(self.status)
        return self

    def pages(self, method: str) -> Iterator[Json]:
        """Yield what the job's "list_events" or "checkpoints.list" returns, newest first."""
        return listed(self._service, self._log, f"fine_tuning.jobs.{method}", {"fine_tuning_job_id": self.id})

    def _update(self, state: Json) -> None:
        self.state: Json = state
        if self._path is not None:
            write_json(self._path, state)


def refuse_second_job(path: Path) -> None:
    """Raise InputError if `path` holds the state of a job that has a model or may get one: a second one costs again."""
    with suppress(OSError, ValueError, AttributeError):
        job = json.loads(path.read_bytes())
        if state_of(job) not in WITHOUT_MODEL:
            keep = f"keep its model with --tuned {job.get('fine_tuned_model') or 'MODEL'}, take another folder"
            text = f"{path} is of a job on other examples or settings, and a second one would cost again"
            raise InputError(f"{text}: {keep}, or delete that file to train anew.")


def _in_log(service: Service, log: MessageLog | None, identity: str) -> Json | None:
    """Return the newest state in the log of the job of this identity, unless it failed or was cancelled."""
    state: Json | None = None
    for exchange in log or ():
        if exchange.endpoint.startswith("fine_tuning") and exchange.error is None and exchange.service == service.name:
            reply = exchange.response or {}
            if exchange.tags.get("identity") == identity or (state is not None and reply.get("id") == state["id"]):
                state = reply
    return None if state is None or state_of(state) in WITHOUT_MODEL else state


def _at_service(service: Service, log: MessageLog | None, request: Json, chosen: Json) -> Json | None:
    """Return the job of this request that the service lists, retrieved by its id so that the log can bill it.

    Where the service keeps no metadata, its training file has our name, with its hash, and its settings are the same.
    """

    @cache
    def files() -> list[Any]:
        uploaded = listed(service, log, "files.list", is_optional=True)
        return [file.get("id") for file in uploaded if file.get("filename") == request["training_file"]]

    for job in listed(service, log, "fine_tuning.jobs.list", is_optional=True):
        metadata, settings = job.get("metadata"), job.get("hyperparameters")
        if isinstance(metadata, Mapping) and metadata:
            is_same = metadata.get("minirag") == request["metadata"]["minirag"]
        else:
            settings = settings if isinstance(settings, Mapping) else {}
            is_same = all(settings.get(name, value) == value for name, value in chosen.items())
            is_same = is_same and job.get("model") == request["model"] and job.get("training_file") in files()
        if is_same and state_of(job) not in WITHOUT_MODEL:
            identity = {"fine_tuning_job_id": str(job.get("id"))}
            return send(service, log, "poll", "fine_tuning.jobs.retrieve", identity)
    return None


def _start(service: Service, log: MessageLog | None, request: Json, chosen: Json, options: Json) -> Json:
    """Create the job once: a refused request is made plainer, and after a lost reply the job is looked for."""
    tags = {"identity": request["metadata"]["minirag"]}
    sent, pause = dict(request), FIRST_POLL
    for attempt in range(20):  # about seven minutes for a file that is not ready
        try:
            return send(service, log, "train", "fine_tuning.jobs", {**sent, **options}, tags=tags, repeat=attempt)
        except ServiceError as error:
            words, extras = f"{error.param} {error}", [name for name in ("method", "metadata", "seed") if name in sent]
            if error.status == 400 and "not ready" in words:
                service.retry.sleep(min(LONGEST_POLL, pause))
                pause *= 2
            elif error.status in {400, 422} and error.code not in _UNKNOWN_MODEL and extras:
                # without what the refusal names, or else without all that only some services know
                for name in [name for name in extras if name in words] or extras:
                    del sent[name]
                if "method" not in sent and chosen:
                    sent["hyperparameters"] = chosen
            elif error.transient and (state := _at_service(service, log, request, chosen)) is not None:
                return state  # only the reply was lost
            else:
                raise
    raise JobUnfinished(f"{service.address} is still processing the training file; run again later.")


def _outcome(error: ServiceError, address: str, base: str, file: Path, *, is_uploaded: bool) -> JobError:
    """Return what a refusal to find or create a job means for the user."""
    words = str(error).rstrip(".")
    if error.transient and not isinstance(error, BadReply):
        return JobUnfinished(f"No job can start at {address} now, run again later: {words}.")
    if error.code in _UNKNOWN_MODEL:
        return JobError(f"{base} cannot be tuned at {address}, name another --student: {words}.")
    if error.status in {402, 429} or (error.status in {400, 422} and is_uploaded):
        return JobError(f"The service refuses this job: {words}.")
    reason = CLOSED if error.code == "training_not_available" else f"does not train models for this account ({words})"
    remedy = f"train on {file.name} elsewhere, then run again with --tuned MODEL --tuned-base-url URL"
    return TrainingNotAvailable(f"{address} {reason}: {remedy}.")
