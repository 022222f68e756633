"""Apart. Fine-tuning jobs: from an uploaded file to a tuned student, through the states of the real service.

A job moves on by one state each time it is looked at (retrieved, or its events listed): validating_files, queued,
running, then succeeded or failed. No clock is involved, so a client sees every state, in a fraction of a second.
"""

import hashlib
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from minirag.offline import student
from minirag.offline.catalogue import STUDENT_MODEL, Catalogue
from minirag.server.examples import BadFile, epochs, read_examples, trained_tokens
from minirag.server.files import Files
from minirag.server.job_request import method, new_job, suffix
from minirag.server.records import Records
from minirag.server.wire import Json, Refused, optional_string, page, string

_MOST_METRICS = 100
_FINAL = ("succeeded", "failed", "cancelled")


class Jobs:
    """Fine-tuning jobs by id. `folder` keeps them; None keeps them as long as the process."""

    def __init__(self, folder: Path | None, files: Files, models: Catalogue) -> None:
        self._records = Records(folder)  # each {"id", "job", "events", "checkpoints"}, the last two oldest first
        self._files = files
        self._models = models
        self._lock = Lock()  # held while a student learns too: one at a time, and nobody trains it twice

    def create(self, body: Json) -> Json:
        """POST /v1/fine_tuning/jobs."""
        model = string(body, "model", 256)
        if model != STUDENT_MODEL:
            message = f"Model {model} is not available for fine-tuning or does not exist."
            raise Refused(400, message, code="model_not_available")
        training_file = self._file(body, "training_file") or string(body, "training_file")
        job = new_job(body, model, training_file, self._file(body, "validation_file"))
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
        return _public(self._moved(job_id))

    def events(self, job_id: str, query: Mapping[str, str]) -> Json:
        """GET /v1/fine_tuning/jobs/{job_id}/events, the newest first; moves the job on."""
        return page(self._moved(job_id)["events"][::-1], query)

    def checkpoints(self, job_id: str, query: Mapping[str, str]) -> Json:
        """GET /v1/fine_tuning/jobs/{job_id}/checkpoints: the finished model, once there is one."""
        return page(self._record(job_id)["checkpoints"], query, usual=10)

    def cancel(self, job_id: str) -> Json:
        """POST /v1/fine_tuning/jobs/{job_id}/cancel; refused if the job has ended."""
        with self._lock:
            record = self._record(job_id)
            if (status := record["job"]["status"]) in _FINAL:
                raise Refused(400, f'Cannot cancel a job {job_id} that already has status "{status}".')
            record = _logged(record, "warn", "The job was stopped due to a cancellation request")
            return _public(self._records.put(_changed(record, {"status": "cancelled"})))

    def _record(self, job_id: str) -> Json:
        if record := self._records.get(job_id):
            return record
        message = f"Could not find fine tune: {job_id}"
        raise Refused(404, message, param="fine_tune_id", code="fine_tune_not_found")

    def _moved(self, job_id: str) -> Json:
        with self._lock:
            record = self._record(job_id)
            match record["job"]["status"]:
                case "validating_files":
                    record = self._validated(record)
                case "queued":
                    record = _changed(_logged(record, "info", "Fine-tuning job started"), {"status": "running"})
                case "running":
                    record = self._trained(record)
                case _:
                    return record
            return self._records.put(record)

    def _validated(self, record: Json) -> Json:
        job = record["job"]
        try:
            examples = self._examples(job["training_file"], "training")
            if job["validation_file"]:
                self._examples(job["validation_file"], "validation")
        except BadFile as bad:
            return _failed(record, bad)
        settings = job["hyperparameters"]
        chosen = {"n_epochs": epochs(len(examples)), "batch_size": 1, "learning_rate_multiplier": 1.0}
        settings = {name: chosen[name] if value == "auto" else value for name, value in settings.items()}
        record = _logged(record, "info", "Files validated, moving job to queued state")
        return _changed(record, {"status": "queued", "hyperparameters": settings, "method": method(settings)})

    def _trained(self, record: Json) -> Json:
        job = record["job"]
        try:
            examples = self._examples(job["training_file"], "training")
        except BadFile as bad:  # it was deleted since
            return _failed(record, bad)
        turns = job["hyperparameters"]["n_epochs"]
        learned = student.learn(examples, self._models.weights(STUDENT_MODEL), epochs=turns, seed=job["seed"])
        losses = [(step, round(loss, 5)) for step, loss in learned.losses]  # further digits depend on the machine
        name = self._models.add_tuned(suffix(job["user_provided_suffix"]), record["id"], learned.weights)
        steps = losses[-1][0] if losses else 0
        for step, loss in losses[:: 1 + len(losses) // _MOST_METRICS]:
            data = {"step": step, "train_loss": loss, "total_steps": steps}
            record = _logged(record, "info", f"Step {step}/{steps}: training loss={loss:.2f}", data)
        table = "step,train_loss\n" + "".join(f"{step},{loss:.5f}\n" for step, loss in losses)
        results = self._files.add(table.encode(), "step_metrics.csv", "fine-tune-results")
        record = _logged(record, "info", f"New fine-tuned model created: {name}")
        record = _logged(record, "info", "The job has successfully completed")
        return _changed(
            record | {"checkpoints": [_checkpoint(record["id"], name, *losses[-1])] if steps else []},
            {
                "status": "succeeded",
                "fine_tuned_model": name,
                "finished_at": int(time.time()),
                "result_files": [results["id"]],
                "trained_tokens": trained_tokens(examples) * turns,
            },
        )

    def _file(self, body: Json, name: str) -> str | None:
        """The id of a file that a job may use."""
        file_id = optional_string(body, name, 256)
        if file_id is None:
            return None
        file = self._files.find(file_id)
        if file is None or file["purpose"] != "fine-tune":
            raise Refused(400, f"invalid {name}: {file_id}", param=name)
        return file_id

    def _examples(self, file_id: str, kind: str) -> list[list[Json]]:
        if self._files.find(file_id) is None:
            raise BadFile(f"invalid_{kind}_file", f"The {kind} file {file_id} was deleted.", f"{kind}_file")
        return read_examples(self._files.content(file_id), kind)


def _public(record: Json) -> Json:
    return {"id": record["id"], **record["job"]}


def _changed(record: Json, fields: Json) -> Json:
    return record | {"job": record["job"] | fields}


def _failed(record: Json, bad: BadFile) -> Json:
    error = {"code": bad.code, "message": str(bad), "param": bad.param}
    record = _logged(record, "error", str(bad))
    return _changed(record, {"status": "failed", "error": error, "finished_at": int(time.time())})


def _logged(record: Json, level: str, message: str, data: Json | None = None) -> Json:
    number = f"{record['id']}/{len(record['events'])}"
    event = {
        "object": "fine_tuning.job.event",
        "id": "ftevent-" + hashlib.sha256(number.encode()).hexdigest()[:24],
        "created_at": int(time.time()),
        "level": level,
        "message": message,
        "data": data or {},
        "type": "metrics" if data else "message",
    }
    return record | {"events": [*record["events"], event]}


def _checkpoint(job_id: str, model: str, step: int, loss: float) -> Json:
    return {
        "object": "fine_tuning.job.checkpoint",
        "id": "ftckpt_" + job_id.removeprefix("ftjob-"),
        "created_at": int(time.time()),
        "fine_tuned_model_checkpoint": model,
        "fine_tuning_job_id": job_id,
        "metrics": {"step": step, "train_loss": loss},
        "step_number": step,
    }
