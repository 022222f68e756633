"""Row 9. `minirag finetune --status` and `--cancel`: what became of a run's job; nothing is computed or started."""

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from minirag.cli.connect import OFFLINE, connect, service_of
from minirag.cli.resume import recorded_facts
from minirag.cli.terminal import cut, show, show_json
from minirag.errors import InputError, JobError
from minirag.finetune import FineTuningJob
from minirag.job_calls import JobCalls
from minirag.message_log import MessageLog


def main(given: Mapping[str, Any]) -> int:
    """Print state, events and checkpoints of the folder's newest job, cancelled first if that is asked.

    A run that waits for the job in another process is not disturbed. Raises JobError where the log knows no job.
    """
    folder: Path = given["out"]
    with ExitStack() as stack:
        facts = recorded_facts(folder)
        if (address := facts.get("student_service")) and "student_base_url" not in given:
            raise InputError(f"This run's job is at {address}; give --student-base-url {address} again.")
        offline = facts["service"] == OFFLINE or "offline" in given
        service = service_of("student", given, stack) or connect(given, stack, folder, offline=offline)
        log = stack.enter_context(MessageLog(folder / "messages.jsonl"))
        state = JobCalls(service, log).newest()
        if state is None:
            raise JobError(f"The log of {folder} knows of no job at {service.address}.")
        job = FineTuningJob(service, state, log=log, path=folder / "job.json")
        if "cancel" in given:
            job.cancel()
        else:
            job.refresh()
        told = {"job": job.state, "events": job.events(), "checkpoints": job.checkpoints()}
        show_json(told) if given.get("json") else show("\n".join(_lines(job, told)))
    return 0


def _lines(job: FineTuningJob, told: Mapping[str, Any]) -> list[str]:
    events = [f"{_time(event.get('created_at'))}  {event.get('message')}" for event in told["events"]]
    saved = [
        f"step {point.get('step_number')}: {point.get('fine_tuned_model_checkpoint')}, "
        + ", ".join(f"{name} {value}" for name, value in (point.get("metrics") or {}).items())
        for point in told["checkpoints"]
    ]
    model = job.state.get("fine_tuned_model")
    head = f"job {job.id} {job.status}" + (f", model {model}" if model else "") + job.why_failed
    return [head, *map(cut, events), *(["checkpoints:"] if saved else []), *map(cut, saved)]


def _time(seconds: Any) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return "?"
