"""Fine-tuning jobs: from an uploaded file to a tuned model.

A job is done when it is retrieved: the first reply shows it running, the second one its end, so nothing depends on a
clock. Of an engine whose trainings take hours, jobs are done in the background, one after the other.
"""

import json
import re
import time
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from minirag.prompts import text_of
from minirag.server.engine import Engine, Training, TrainingStopped
from minirag.server.files import Files, Records, digest
from minirag.server.wire import Json, Refused, Request, invalid, number, optional, page, parsed, required

FEWEST_EXAMPLES = 10
MOST_LOSSES = 100
"""Steps whose losses are shown as events, evenly spread."""
LOSSES = {"train_loss": "training", "valid_loss": "validation"}
FINAL = ("succeeded", "failed", "cancelled")


class Jobs:
    """Fine-tuning jobs by id. `folder` keeps them; None keeps them as long as the process.

    `in_background`: jobs are done without being retrieved, those of an earlier process too.
    """

    def __init__(self, folder: Path | None, files: Files, engine: Engine, in_background: bool = False) -> None:
        self._records = Records(folder)  # each {"id", "job", "events", "checkpoints"}, the last two oldest first
        self._files = files
        self._engine = engine
        self._lock = Lock()  # held while a record is changed
        self._turn = Lock()  # held while a job trains: one at a time
        self._in_background = in_background
        self._queue: SimpleQueue[str] = SimpleQueue()
        if in_background:
            for record in reversed(self._records.newest_first()):
                self._queue.put(record["id"])
            Thread(target=self._work, daemon=True).start()

    def create(self, request: Request) -> Json:
        body = request.json
        model, training_file = required(body, "model"), required(body, "training_file")
        if not any(offered.name == model and offered.is_trainable for offered in self._engine.models()):
            message = f"Model {model} is not available for fine-tuning or does not exist."
            raise Refused(400, message, param="model", code="model_not_available")
        self._files.check(training_file, "fine-tune", "training_file")
        if validation_file := optional(body, "validation_file"):
            self._files.check(validation_file, "fine-tune", "validation_file")
        job = {
            "object": "fine_tuning.job",
            "model": model,
            "created_at": int(time.time()),
            "finished_at": None,
            "fine_tuned_model": None,
            "organization_id": "org-minirag",
            "result_files": [],
            "status": "validating_files",
            "training_file": training_file,
            "validation_file": validation_file,
            **_settings(_hyperparameters(body)),
            "trained_tokens": None,
            "error": None,
            "user_provided_suffix": optional(body, "suffix"),
            "seed": number(body, "seed", 0, 2**31 - 1) or 0,
            "metadata": optional(body, "metadata", dict),
            "estimated_finish": None,
            "integrations": [],
        }
        key = json.dumps(job | {"created_at": 0}, sort_keys=True).encode()
        record = self._records.add("ftjob-", key, {"job": job, "events": [], "checkpoints": []})
        record = _logged(record, f"Created fine-tuning job: {record['id']}")
        try:
            self._examples(job)
            record = _changed(record, status="queued")
        except Refused as refused:
            record = _failed(record, refused)
        self._records.put(record)
        if self._in_background:
            self._queue.put(record["id"])
        return _public(record)

    def all(self, request: Request) -> Json:
        return page([_public(record) for record in self._records.newest_first()], request.query)

    def get(self, request: Request, job_id: str) -> Json:
        if not self._in_background:
            with self._lock:
                record = self._record(job_id)
                if record["job"]["status"] == "queued":
                    return _public(self._records.put(_changed(record, status="running")))
            self._do(job_id)
        return _public(self._record(job_id))

    def events(self, request: Request, job_id: str) -> Json:
        return page(self._record(job_id)["events"][::-1], request.query)

    def checkpoints(self, request: Request, job_id: str) -> Json:
        return page(self._record(job_id)["checkpoints"][::-1], request.query)

    def cancel(self, request: Request, job_id: str) -> Json:
        with self._lock:
            record = self._record(job_id)
            if (status := record["job"]["status"]) in FINAL:
                raise Refused(400, f'Cannot cancel a job {job_id} that already has status "{status}".')
            record = _logged(record, "The job was stopped due to a cancellation request", level="warn")
            return _public(self._records.put(_changed(record, status="cancelled")))

    def _record(self, job_id: str) -> Json:
        return self._records.require(job_id, "fine-tuning job")

    def _work(self) -> None:
        while True:
            self._do(self._queue.get())

    def _do(self, job_id: str) -> None:
        """Train the model of a job that has not ended, and keep what comes of it."""

        def report(step: int, total: int, loss: float | None, details: Json | None = None) -> None:
            fields = {"step": step, "train_loss": loss, "total_steps": total, **(details or {})}
            # further digits depend on the machine
            data: Json = {k: round(v, 5) if isinstance(v, float) else v for k, v in fields.items() if v is not None}
            losses = [f"{kind} loss={data[name]:.2f}" for name, kind in LOSSES.items() if name in data]
            message = data.pop("message", f"Step {step}/{total}: {', '.join(losses)}")
            checkpoint = data.pop("checkpoint", None)
            with self._lock:
                record = self._running(job_id)
                if checkpoint:
                    record = _with_checkpoint(record, checkpoint, data)
                if loss is None or checkpoint or step % (1 + total // MOST_LOSSES) == 0:
                    record = _logged(record, message, data)
                self._records.put(record)

        with self._turn:
            try:
                training = self._started(job_id)
                trained = self._engine.train(training, report)
                with self._lock:
                    record = _logged(self._running(job_id), f"New fine-tuned model created: {trained.model}")
                    record = _logged(record, "The job has successfully completed")
                    fields = {"fine_tuned_model": trained.model, "trained_tokens": trained.tokens}
                    self._records.put(_changed(record, status="succeeded", finished_at=int(time.time()), **fields))
            except TrainingStopped:
                return
            except Exception as error:
                failure = error if isinstance(error, Refused) else Refused(500, f"Training failed: {error!r}")
                with self._lock:
                    record = self._record(job_id)
                    if record["job"]["status"] not in FINAL:  # it may have been cancelled meanwhile
                        self._records.put(_failed(record, failure))

    def _started(self, job_id: str) -> Training:
        """Mark a job as running and return what it trains. Raises TrainingStopped if it has ended."""
        with self._lock:
            record = self._record(job_id)
            job = record["job"]
            if job["status"] in FINAL:
                raise TrainingStopped
            training, validation = self._examples(job)
            defaults = self._engine.defaults(len(training))
            settings = {k: defaults[k] if value == "auto" else value for k, value in job["hyperparameters"].items()}
            record = _logged(record, "Fine-tuning job started")
            self._records.put(_changed(record, status="running", **_settings(settings)))
        suffix = re.sub(r"[^a-z0-9]+", "-", (job["user_provided_suffix"] or "").lower()).strip("-")
        return Training(job_id, job["model"], suffix, training, validation, settings, job["seed"])

    def _running(self, job_id: str) -> Json:
        """Return the record of a job that trains. Raises TrainingStopped if it was cancelled."""
        record = self._record(job_id)
        if record["job"]["status"] != "running":
            raise TrainingStopped
        return record

    def _examples(self, job: Json) -> tuple[list[list[Json]], list[list[Json]]]:
        """Return the training examples of a job, and those for validation."""
        validation_file = job["validation_file"]
        training = examples_of(self._files.content(job["training_file"]), "training")
        return training, examples_of(self._files.content(validation_file), "validation") if validation_file else []


def examples_of(content: bytes, kind: str, fewest: int = FEWEST_EXAMPLES) -> list[list[Json]]:
    """Return the messages of each example of a file of this kind, "training" or "validation".

    Raises Refused, with the error of the failed job, if an example is bad or a training file has too few.
    """
    examples = []
    for place, line in enumerate(content.splitlines(), 1):
        example = parsed(line)
        messages: Any = example.get("messages") if isinstance(example, dict) else None
        is_chat = isinstance(messages, list) and all(isinstance(m, dict) and "role" in m for m in messages)
        if not (is_chat and messages and messages[-1]["role"] == "assistant" and text_of(messages[-1])):
            message = f"Line {place} of the {kind} file is not a chat that ends with the assistant's reply."
            raise Refused(400, message, param=f"{kind}_file", code=f"invalid_{kind}_file")
        examples.append(messages)
    if kind == "training" and len(examples) < fewest:
        message = f"Training file has {len(examples)} example(s), but must have at least {fewest}."
        raise Refused(400, message, param="training_file", code="invalid_n_examples")
    return examples


def _hyperparameters(body: Json) -> Json:
    """Return all three settings, "auto" where the client leaves the choice to us."""
    method = optional(body, "method", dict) or {}
    if method.get("type", "supervised") != "supervised":
        raise invalid("method", "the type 'supervised'")
    settings = optional(optional(method, "supervised", dict) or {}, "hyperparameters", dict) or {}
    chosen = {name: value for name, value in settings.items() if value != "auto"}
    return {
        "n_epochs": number(chosen, "n_epochs", 1) or "auto",
        "batch_size": number(chosen, "batch_size", 1) or "auto",
        "learning_rate_multiplier": number(chosen, "learning_rate_multiplier", 1e-6, kind=int | float) or "auto",
    }


def _settings(hyperparameters: Json) -> Json:
    """Return the two fields of a job that show its hyperparameters."""
    method = {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}}
    return {"hyperparameters": hyperparameters, "method": method}


def _public(record: Json) -> Json:
    return {"id": record["id"], **record["job"]}


def _changed(record: Json, **fields: Any) -> Json:
    return record | {"job": record["job"] | fields}


def _with_checkpoint(record: Json, model: str, metrics: Json) -> Json:
    """Return the record with one more checkpoint, a model of this name; a training that is resumed may repeat one."""
    step = metrics["step"]
    checkpoint = {
        "object": "fine_tuning.job.checkpoint",
        "id": f"ftckpt_{record['id'].removeprefix('ftjob-')}-{step}",
        "created_at": int(time.time()),
        "fine_tuned_model_checkpoint": model,
        "fine_tuning_job_id": record["id"],
        "metrics": {name: value for name, value in metrics.items() if name in {"step", *LOSSES}},
        "step_number": step,
    }
    return record | {"checkpoints": [c for c in record["checkpoints"] if c["step_number"] != step] + [checkpoint]}


def _failed(record: Json, refused: Refused) -> Json:
    error = {"code": refused.code, "message": str(refused), "param": refused.param}
    record = _logged(record, str(refused), level="error")
    return _changed(record, status="failed", error=error, finished_at=int(time.time()))


def _logged(record: Json, message: str, data: Json | None = None, level: str = "info") -> Json:
    """Return the record with one more event."""
    event = {
        "object": "fine_tuning.job.event",
        "id": "ftevent-" + digest(f"{record['id']}/{len(record['events'])}".encode()),
        "created_at": int(time.time()),
        "level": level,
        "message": message,
        "data": data or {},
        "type": "metrics" if data else "message",
    }
    return record | {"events": [*record["events"], event]}
