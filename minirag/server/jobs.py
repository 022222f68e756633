"""Fine-tuning jobs: from an uploaded file to a tuned model, through the states of the real service.

A job moves on by one state each time it is looked at (retrieved, or its events listed): validating_files, queued,
running, then succeeded or failed. No clock is involved, so a client sees every state. An engine trains in a thread; a
look waits a while for it, so that a job that takes seconds ends at the first look at it running. Of an engine whose
trainings take hours, jobs move on by themselves, one training after the other, and a look does not wait.
"""

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from minirag.prompts import text_of
from minirag.server.engine import Engine, Trained, Training, TrainingStopped
from minirag.server.files import Files, Records, digest
from minirag.server.wire import Json, Refused, invalid, number, optional, page, parsed, required

PATIENCE = 30.0
"""How long a look at a running job waits for its end, in seconds."""
FEWEST_EXAMPLES = 10
BACKGROUND_PAUSE = 0.2
"""Seconds between two looks of the server itself at its jobs."""
MOST_METRICS = 100
"""Losses that are shown as events, evenly spread."""
LOSSES = {"train_loss": "training", "valid_loss": "validation"}
FINAL = ("succeeded", "failed", "cancelled")


class Jobs:
    """Fine-tuning jobs by id. `folder` keeps them; None keeps them as long as the process.

    `in_background`: jobs move on by themselves, those of an earlier process too.
    """

    def __init__(self, folder: Path | None, files: Files, engine: Engine, in_background: bool = False) -> None:
        self._records = Records(folder)  # each {"id", "job", "events", "checkpoints"}, the last two oldest first
        self._files = files
        self._engine = engine
        self._lock = Lock()  # held while a record is changed
        self._threads: dict[str, Thread] = {}
        self._turn = Lock()  # held while a job trains: one at a time
        self._in_background = in_background
        if in_background:
            Thread(target=self._work, daemon=True).start()

    def create(self, body: Json) -> Json:
        """POST /v1/fine_tuning/jobs."""
        model = required(body, "model")
        if not any(offered.name == model and offered.is_trainable for offered in self._engine.models()):
            message = f"Model {model} is not available for fine-tuning or does not exist."
            raise Refused(400, message, param="model", code="model_not_available")
        job = _new(body, model)
        for name in ("training_file", "validation_file"):
            if job[name] and not self._files.has(job[name], "fine-tune"):
                raise Refused(400, f"invalid {name}: {job[name]}", param=name)
        key = json.dumps(job | {"created_at": 0}, sort_keys=True).encode()
        record = self._records.add("ftjob-", key, {"job": job, "events": [], "checkpoints": []})
        record = _logged(record, "info", f"Created fine-tuning job: {record['id']}")
        record = _logged(record, "info", f"Validating training file: {job['training_file']}")
        return _public(self._records.put(record))

    def all(self, query: Mapping[str, str]) -> Json:
        """GET /v1/fine_tuning/jobs, the newest first; `metadata[key]=value` filters."""
        wanted = {name[9:-1]: value for name, value in query.items() if re.fullmatch(r"metadata\[.+\]", name)}
        jobs = [_public(record) for record in self._records.newest_first()]
        return page([job for job in jobs if wanted.items() <= (job["metadata"] or {}).items()], query)

    def get(self, job_id: str) -> Json:
        """GET /v1/fine_tuning/jobs/{job_id}; moves the job on."""
        return _public(self._looked_at(job_id))

    def events(self, job_id: str, query: Mapping[str, str]) -> Json:
        """GET /v1/fine_tuning/jobs/{job_id}/events, the newest first; moves the job on."""
        return page(self._looked_at(job_id)["events"][::-1], query)

    def checkpoints(self, job_id: str, query: Mapping[str, str]) -> Json:
        """GET /v1/fine_tuning/jobs/{job_id}/checkpoints, the newest first."""
        return page(self._record(job_id)["checkpoints"][::-1], query)

    def cancel(self, job_id: str) -> Json:
        """POST /v1/fine_tuning/jobs/{job_id}/cancel; refused if the job has ended."""
        with self._lock:
            record = self._record(job_id)
            if (status := record["job"]["status"]) in FINAL:
                raise Refused(400, f'Cannot cancel a job {job_id} that already has status "{status}".')
            record = _logged(record, "warn", "The job was stopped due to a cancellation request")
            return _public(self._records.put(_changed(record, status="cancelled")))

    def _record(self, job_id: str) -> Json:
        if record := self._records.get(job_id):
            return record
        message = f"Could not find fine tune: {job_id}"
        raise Refused(404, message, param="fine_tune_id", code="fine_tune_not_found")

    def _looked_at(self, job_id: str) -> Json:
        """Return the record of a job after its next step."""
        if not self._in_background:
            self._move_on(job_id)
            if thread := self._threads.get(job_id):
                thread.join(PATIENCE)
        return self._record(job_id)

    def _work(self) -> None:
        """Move all jobs on, for ever; only the oldest that is queued starts, once no other is running."""
        while True:
            jobs = [record["job"] | {"id": record["id"]} for record in reversed(self._records.newest_first())]
            first = next((job["id"] for job in jobs if job["status"] in ("queued", "running")), None)
            for job in jobs:
                if job["status"] == "validating_files" or job["id"] == first:
                    self._move_on(job["id"])
            time.sleep(BACKGROUND_PAUSE)

    def _move_on(self, job_id: str) -> None:
        """Take the next step of a job, if there is one now."""
        with self._lock:
            record = self._record(job_id)
            match record["job"]["status"]:
                case "validating_files":
                    self._records.put(self._validated(record))
                case "queued":
                    record = _logged(record, "info", "Fine-tuning job started")
                    self._records.put(_changed(record, status="running"))
                case "running" if job_id not in self._threads:
                    self._threads[job_id] = Thread(target=self._train, args=(record,), daemon=True)
                    self._threads[job_id].start()

    def _validated(self, record: Json) -> Json:
        job = record["job"]
        try:
            examples = self._examples(job["training_file"], "training")
            self._examples(job["validation_file"], "validation")
        except Refused as refused:
            return _failed(record, refused)
        defaults = self._engine.defaults(len(examples))
        settings = {k: defaults[k] if value == "auto" else value for k, value in job["hyperparameters"].items()}
        record = _logged(record, "info", "Files validated, moving job to queued state")
        return _changed(record, status="queued", hyperparameters=settings, method=_method(settings))

    def _train(self, record: Json) -> None:
        """Train the model of a running job, in a thread of its own, and keep what comes of it."""
        job_id, job = record["id"], record["job"]
        steps = 0

        def report(step: int, total: int, loss: float | None, details: Json | None = None) -> None:
            nonlocal steps
            fields = {"step": step, "train_loss": loss, "total_steps": total, **(details or {})}
            # further digits depend on the machine
            data: Json = {k: round(v, 5) if isinstance(v, float) else v for k, v in fields.items() if v is not None}
            losses = [f"{kind} loss={data[name]:.2f}" for name, kind in LOSSES.items() if name in data]
            message = data.pop("message", f"Step {step}/{total}: {', '.join(losses)}")
            with self._lock:
                record = self._record(job_id)
                if record["job"]["status"] != "running":
                    raise TrainingStopped
                if "checkpoint" in data:
                    record = _with_checkpoint(record, data.pop("checkpoint"), data)
                if "seconds_left" in data:
                    record = _changed(record, estimated_finish=int(time.time() + data["seconds_left"]))
                if loss is None or "valid_loss" in data or steps % (1 + total // MOST_METRICS) == 0:
                    record = _logged(record, "info", message, data)
                self._records.put(record)
            steps += loss is not None

        try:
            with self._turn:
                examples = self._examples(job["training_file"], "training")
                validation = self._examples(job["validation_file"], "validation")
                suffix = re.sub(r"[^a-z0-9]+", "-", (job["user_provided_suffix"] or "").lower()).strip("-")
                settings, seed = job["hyperparameters"], job["seed"]
                training = Training(job_id, job["model"], suffix, examples, validation, settings, seed)
                trained = self._engine.train(training, report)
            with self._lock:
                record = self._record(job_id)
                if record["job"]["status"] == "running":  # else it was cancelled after its last step
                    self._records.put(_succeeded(record, trained))
        except TrainingStopped:
            return
        except Exception as error:
            failure = error if isinstance(error, Refused) else Refused(500, f"Training failed: {error!r}")
            with self._lock:
                self._records.put(_failed(self._record(job_id), failure))

    def _examples(self, file_id: str | None, kind: str) -> list[list[Json]]:
        return [] if file_id is None else examples_of(self._files.content(file_id), kind)


def examples_of(content: bytes, kind: str, fewest: int = FEWEST_EXAMPLES) -> list[list[Json]]:
    """Return the messages of each example of a file of this kind, "training" or "validation".

    Raises Refused, with the error of the failed job, if an example is bad or a training file has too few.
    """
    examples = []
    for place, line in enumerate(content.splitlines(), 1):
        example = parsed(line)
        messages: Any = example.get("messages") if isinstance(example, dict) else None
        if not _is_chat(messages):
            message = f"Line {place} of the {kind} file is not a chat that ends with the assistant's reply."
            raise Refused(400, message, param=f"{kind}_file", code=f"invalid_{kind}_file")
        examples.append(messages)
    if kind == "training" and len(examples) < fewest:
        message = f"Training file has {len(examples)} example(s), but must have at least {fewest}."
        raise Refused(400, message, param="training_file", code="invalid_n_examples")
    return examples


def _is_chat(messages: Any) -> bool:
    """Return whether these are messages with roles, the last one the assistant's, with a text."""
    if not isinstance(messages, list) or not all(isinstance(m, dict) and "role" in m for m in messages):
        return False
    return bool(messages) and messages[-1]["role"] == "assistant" and text_of(messages[-1]) != ""


def _new(body: Json, model: str) -> Json:
    """Return a job as it is first shown, without its id."""
    settings = _hyperparameters(body)
    return {
        "object": "fine_tuning.job",
        "model": model,
        "created_at": int(time.time()),
        "finished_at": None,
        "fine_tuned_model": None,
        "organization_id": "org-minirag",
        "result_files": [],
        "status": "validating_files",
        "training_file": required(body, "training_file"),
        "validation_file": optional(body, "validation_file"),
        "hyperparameters": settings,
        "trained_tokens": None,
        "error": None,
        "user_provided_suffix": optional(body, "suffix"),
        "seed": number(body, "seed", 0, 2**31 - 1) or 0,
        "estimated_finish": None,
        "integrations": [],
        "metadata": optional(body, "metadata", dict),
        "method": _method(settings),
    }


def _method(settings: Json) -> Json:
    """Return the newer of the two places where a job shows its hyperparameters."""
    return {"type": "supervised", "supervised": {"hyperparameters": settings}}


def _hyperparameters(body: Json) -> Json:
    """Return all three settings, "auto" where the client leaves the choice to us."""
    method = optional(body, "method", dict) or {}
    if method.get("type", "supervised") != "supervised":
        raise invalid("method", "the type 'supervised'")
    settings = optional(optional(method, "supervised", dict) or {}, "hyperparameters", dict) or {}
    chosen = {name: value for name, value in settings.items() if value != "auto"}
    return {
        "n_epochs": number(chosen, "n_epochs", 1, 50) or "auto",
        "batch_size": number(chosen, "batch_size", 1, 256) or "auto",
        "learning_rate_multiplier": number(chosen, "learning_rate_multiplier", 1e-6, 1e6, int | float) or "auto",
    }


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


def _succeeded(record: Json, trained: Trained) -> Json:
    record = _logged(record, "info", f"New fine-tuned model created: {trained.model}")
    record = _logged(record, "info", "The job has successfully completed")
    return _changed(
        record,
        status="succeeded",
        fine_tuned_model=trained.model,
        finished_at=int(time.time()),
        estimated_finish=None,
        trained_tokens=trained.tokens,
    )


def _failed(record: Json, refused: Refused) -> Json:
    error = {"code": refused.code, "message": str(refused), "param": refused.param}
    record = _logged(record, "error", str(refused))
    return _changed(record, status="failed", error=error, finished_at=int(time.time()))


def _logged(record: Json, level: str, message: str, data: Json | None = None) -> Json:
    """Return the record with one more event."""
    place = f"{record['id']}/{len(record['events'])}"
    event = {
        "object": "fine_tuning.job.event",
        "id": "ftevent-" + digest(place.encode()),
        "created_at": int(time.time()),
        "level": level,
        "message": message,
        "data": data or {},
        "type": "metrics" if data else "message",
    }
    return record | {"events": [*record["events"], event]}
