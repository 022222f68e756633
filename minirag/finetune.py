"""Row 7. One fine-tuning attempt on an OpenAI-protocol service: found again if it exists, created once if not."""

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from minirag.errors import InputError, JobError, JobUnfinished, ServiceError
from minirag.files import write_json
from minirag.job_calls import FIRST_WAIT, LONGEST_WAIT, JobCalls
from minirag.message_log import MessageLog, canonical
from minirag.service import Service

FINAL = {"succeeded", "failed", "cancelled"}


def check_suffix(suffix: str | None) -> None:
    """Raise InputError for a suffix that no service takes."""
    if suffix is not None and not 1 <= len(suffix) <= 64:
        raise InputError("The suffix of a tuned model has 1 to 64 characters.")


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """How to train; None leaves a value to the service. Epochs 1 to 50, batch size 1 to 256, multiplier above 0."""

    epochs: int | None = None
    batch_size: int | None = None
    learning_rate_multiplier: float | None = None

    def __post_init__(self) -> None:
        for name, low, high in (("epochs", 1, 50), ("batch_size", 1, 256), ("learning_rate_multiplier", 1e-9, 1e9)):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise InputError(f"--{name.replace('_', '-')} is {value}; it must be from {low:g} to {high:g}.")

    def to_json(self) -> dict[str, Any]:
        """Those that are set, as the API names them."""
        named = {
            "n_epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate_multiplier": self.learning_rate_multiplier,
        }
        return {name: value for name, value in named.items() if value is not None}


class Progress(NamedTuple):
    """Where a job stands: its status, and step, steps in all and training loss where its events say them."""

    status: str
    step: int | None = None
    steps: int | None = None
    loss: float | None = None

    def __str__(self) -> str:
        step = f", step {self.step}{f'/{self.steps}' if self.steps else ''}" if self.step else ""
        return f"{self.status}{step}{f', loss {self.loss:.3f}' if self.loss is not None else ''}"


class FineTuningJob:
    """A fine-tuning job: `.id`, `.status`, `.model` once it succeeded; `.wait()` until it has ended.

    Its identity is the hash of training and validation file, the base model, the hyperparameters, suffix and seed:
    `create` with the same finds the same job again, in the log or on the server, and never starts a second one.
    """

    def __init__(
        self, service: Service, state: Mapping[str, Any], *, log: MessageLog | None, path: Path | None
    ) -> None:
        self.state: Mapping[str, Any] = {}
        self.path = path
        self._calls = JobCalls(service, log)
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
        validation_file: str | os.PathLike[str] | None = None,
        hyperparameters: Hyperparameters | None = None,
        suffix: str | None = None,
        seed: int | None = None,
        wandb_project: str | None = None,
        path: Path | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> Self:
        """Upload the files and start a job, or find the one that exists.

        `suffix` (1–64 characters) goes into the tuned model's name; `wandb_project` reports to Weights & Biases; the
        job's last state is kept in `path`. `before` is called when a job is about to be started, and may raise. Raises
        InputError for an unreadable file, TrainingNotAvailable where the service no longer trains, JobUnfinished where
        it cannot now, JobError where it refuses this job, ServiceError where it fails.
        """
        check_suffix(suffix)
        service = service or Service()
        calls = JobCalls(service, log)
        chosen = (hyperparameters or Hyperparameters()).to_json()
        files = [_File.read(Path(f)) for f in (training_file, validation_file) if f is not None]
        content = [*(file.digest for file in files), base, chosen, suffix, seed]
        identity = hashlib.sha256(canonical(content).encode()).hexdigest()[:32]
        state = _known(calls, identity)
        if state is None:
            before()
            uploaded = [calls.upload(file.path, file.data, file.digest) for file in files]
            request = {
                "model": base,
                "training_file": uploaded[0],
                "method": {"type": "supervised", "supervised": {"hyperparameters": chosen}},
                "metadata": {"minirag": identity, "training_file_sha256": files[0].digest},
                **({"validation_file": uploaded[1]} if len(uploaded) > 1 else {}),
                **({} if suffix is None else {"suffix": suffix}),
                **({} if seed is None else {"seed": seed}),
                **({} if wandb_project is None else {"integrations": [_wandb(wandb_project)]}),
            }
            state = _created(calls, request, identity, files[0].path)
        return cls(service, state, log=log, path=path)

    @property
    def id(self) -> str:
        return str(self.state.get("id"))

    @property
    def status(self) -> str:
        """`validating_files`, `queued`, `running`, `paused`, `succeeded`, `failed`, `cancelled`, or a newer one."""
        return str(self.state.get("status"))

    @property
    def is_final(self) -> bool:
        """Whether the job has ended, with a model or without."""
        return self.status in FINAL

    @property
    def why_failed(self) -> str:
        """`: reason` of a job that failed; empty for any other."""
        return f": {_why(self.state.get('error'))}" if self.status == "failed" else ""

    @property
    def model(self) -> str:
        """The tuned model's name. Raises JobError that says what is missing as long as there is none."""
        name = self.state.get("fine_tuned_model")
        if self.status == "succeeded" and name:
            return str(name)
        if self.status == "failed":
            raise JobError(f"Fine-tuning job {self.id} failed{self.why_failed}.")
        if self.status == "cancelled":
            raise JobError(f"Fine-tuning job {self.id} was cancelled; run again to start a new one.")
        raise JobUnfinished(f"Fine-tuning job {self.id} has no model yet (it is {self.status}); wait for it.")

    def refresh(self) -> str:
        """Ask the service for the job's state; returns the status."""
        self._polls += 1
        self._keep(self._calls.retrieve(self.id, self._polls))
        return self.status

    def wait(
        self,
        *,
        timeout: float | None = None,
        progress: Callable[[Progress], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Self:
        """Poll until the job has ended; JobUnfinished after `timeout` seconds of waiting. `progress` hears news.

        A paused job and states that are not known are waited for like any other: somebody may let it go on.
        """
        waited, pause, last = 0.0, FIRST_WAIT, Progress("")
        while self.status not in FINAL:
            now = self._progress()
            if now != last:
                progress(now)
            last = now
            if timeout is not None and waited >= timeout:
                raise JobUnfinished(
                    f"Fine-tuning job {self.id} is still {self.status} after {timeout:.0f} s; run again to wait on."
                )
            sleep(pause)
            waited += pause
            pause = min(LONGEST_WAIT, pause * 1.5)
            self.refresh()
        progress(Progress(self.status))
        self._calls.look_back(self.id)
        return self

    def _progress(self) -> Progress:
        """Status, and step and loss from the newest event that has them; while it runs, no sooner."""
        if self.status != "running":
            return Progress(self.status)
        for event in self._calls.events(self.id, self._polls):
            data = event.get("data") or {}
            if isinstance(data, Mapping) and "step" in data:
                loss = data.get("train_loss")
                return Progress(
                    self.status,
                    data["step"],
                    data.get("total_steps"),
                    float(loss) if isinstance(loss, int | float) else None,
                )
        return Progress(self.status)

    def cancel(self) -> str:
        """Ask the service to stop the job; returns the status. Raises JobError where it has ended already."""
        try:
            self._keep(self._calls.cancel(self.id))
        except ServiceError as error:
            if error.status != 400:
                raise
            raise JobError(f"Fine-tuning job {self.id} cannot be cancelled: {error}") from error
        return self.status

    def events(self) -> list[dict[str, Any]]:
        """What happened, oldest first: `{"created_at", "level", "message", "type", "data"}`."""
        return list(self._calls.events(self.id, self._polls))[::-1]

    def checkpoints(self) -> list[dict[str, Any]]:
        """The models saved on the way, oldest first: `{"fine_tuned_model_checkpoint", "step_number", "metrics"}`."""
        return list(self._calls.checkpoints(self.id))[::-1]

    def _keep(self, state: Mapping[str, Any]) -> None:
        self.state = state
        if self.path is not None:
            write_json(self.path, state)


class _File(NamedTuple):
    path: Path
    data: bytes
    digest: str

    @classmethod
    def read(cls, path: Path) -> "_File":
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"Cannot read the training file {path}: {error.strerror}.") from error
        return cls(path, data, hashlib.sha256(data).hexdigest())


def _wandb(project: str) -> dict[str, Any]:
    return {"type": "wandb", "wandb": {"project": project}}


def _why(error: Any) -> str:
    """Why a job failed, as far as its `error` says: an object, an empty one, or null."""
    found = error if isinstance(error, Mapping) else {}
    said = str(found.get("message") or found.get("code") or "the service gives no reason").rstrip(".")
    if found.get("code") == "invalid_n_examples":
        return f"{said}; ask for more --train-questions"
    return said


def _created(calls: JobCalls, request: Mapping[str, Any], identity: str, file: Path) -> Mapping[str, Any]:
    """The new job; where the reply to its creation was lost, the job that was created all the same."""
    try:
        return calls.create(request, identity, file)
    except ServiceError as error:
        if error.transient and (state := _on_server(calls, identity)) is not None:
            return state
        raise


def _known(calls: JobCalls, identity: str) -> Mapping[str, Any] | None:
    """The job of that identity, unless it failed or was cancelled: from the log, or from the server.

    The server is asked because its reply to `create` may have been lost.
    """
    if (state := calls.logged(identity)) is not None:
        if state.get("status") == "succeeded":
            return state
        if state.get("status") not in FINAL:
            return calls.retrieve(state["id"])
    return _on_server(calls, identity)


def _on_server(calls: JobCalls, identity: str) -> Mapping[str, Any] | None:
    """The job of that identity that the service lists, asked for by itself: the log bills what it trained from that."""
    found = next((job for job in calls.jobs() if _is_alive(job, identity)), None)
    return None if found is None else calls.retrieve(str(found.get("id")))


def _is_alive(job: Mapping[str, Any], identity: str) -> bool:
    return (job.get("metadata") or {}).get("minirag") == identity and job.get("status") not in {"failed", "cancelled"}
