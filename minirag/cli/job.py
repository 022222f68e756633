"""`minirag finetune --status`, `--cancel`, `--download`: a run's job and its files; nothing is computed or started."""

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from minirag.cli.connect import connect
from minirag.cli.settings import facts_of
from minirag.cli.terminal import cut, show, show_json
from minirag.errors import InputError, JobError, LogError
from minirag.finetune import FineTuningJob
from minirag.message_log import MessageLog, write_atomically
from minirag.models import send
from minirag.service import Service

SHOWN = 10
"""Events that are printed, the last ones; `--json` gives all."""


def main(options: Mapping[str, Any]) -> int:
    """Print state, events and checkpoints of the job in `job.json`, after cancelling it with `--cancel`.

    `--download` writes the job's result files into the folder. Another process may be waiting for the job meanwhile.
    Raises JobError if there is no job, or it has no files.
    """
    folder: Path = options["out"]
    path, facts = folder / "job.json", facts_of(folder)
    if (address := facts.get("student_service")) and "student_base_url" not in options:
        raise InputError(f"This run's job is at {address}; give --student-base-url {address} again.")
    try:
        state = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise JobError(f"{folder} holds no fine-tuning job ({error}).") from error
    with ExitStack() as stack:
        main, own = connect(options, stack, folder, ("student",))
        service = own.get("student", main)
        log = stack.enter_context(MessageLog(folder / "messages.jsonl"))
        try:
            log.lock()
            job = FineTuningJob(service, state, log=log, path=path)
        except LogError:  # a run that waits for the job is writing to the log
            job = FineTuningJob(service, state, path=path)
        job.cancel() if "cancel" in options else job.refresh()
        events, checkpoints = (list(job.pages(name))[::-1] for name in ("list_events", "checkpoints.list"))
        files = _download(service, job, checkpoints, folder / "results") if "download" in options else []
    if options.get("json"):
        show_json({"job": job.state, "events": events, "checkpoints": checkpoints, "files": files})
        return 0
    model = job.state.get("fine_tuned_model")
    show(f"job {job.id} {job.status}" + (f", model {model}" if model else "") + job.failure)
    lines = [f"  {event.get('message')}" for event in events[-SHOWN:]]
    lines += [f"checkpoint {p.get('step_number')}: {p.get('fine_tuned_model_checkpoint')}" for p in checkpoints]
    show("\n".join([*map(cut, lines), *(f"file: {file}" for file in files)]))
    return 0


def _download(service: Service, job: FineTuningJob, checkpoints: list[Any], folder: Path) -> list[str]:
    """Write the result files of a job, and of its last checkpoint, into a folder; return their paths."""
    ids = dict.fromkeys(id for owner in (job.state, *checkpoints[-1:]) for id in owner.get("result_files") or ())
    if not ids:
        raise JobError(f"Fine-tuning job {job.id} ({job.status}) has no result files at {service.address}.")
    paths = []
    for id in ids:
        facts = send(service, None, "poll", "files.retrieve", {"file_id": id})
        name = re.sub(r"[^\w.-]", "_", f"{facts.get('filename') or id}").lstrip(".")  # no path of another's choice
        path = folder / (name or "result")
        write_atomically(path, service.raw("files.content", {"file_id": id}).content)
        paths.append(str(path))
    return paths
