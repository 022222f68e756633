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
from minirag.message_log import MessageLog
from minirag.service import Service


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
        state = _newest_state(MessageLog(folder / "messages.jsonl"), service)
        if state is None:
            raise JobError(f"The log of {folder} knows of no job at {service.address}.")
        job = FineTuningJob(service, state, path=folder / "job.json")  # no log: a waiting run may be writing to it
        if "cancel" in given:
            job.cancel()
        else:
            job.refresh()
        told: dict[str, Any] = {"job": job.state}
        told |= {kind: list(job.pages(kind))[::-1] for kind in ("events", "checkpoints")}
        show_json(told) if given.get("json") else show("\n".join(_lines(job, told)))
    return 0


def _newest_state(log: MessageLog, service: Service) -> Mapping[str, Any] | None:
    """Return the last state in the log of the job at this service that was created or polled last."""
    state = None
    for exchange in log:
        is_job = exchange.endpoint.startswith("fine_tuning.jobs") and exchange.service == service.name
        if is_job and exchange.error is None and "status" in (exchange.response or {}):
            state = exchange.response
    return state


def _lines(job: FineTuningJob, told: Mapping[str, Any]) -> list[str]:
    events = [f"{_time(event.get('created_at'))}  {event.get('message')}" for event in told["events"]]
    saved = [
        f"step {point.get('step_number')}: {point.get('fine_tuned_model_checkpoint')}, "
        + ", ".join(f"{name} {value}" for name, value in (point.get("metrics") or {}).items())
        for point in told["checkpoints"]
    ]
    model = job.state.get("fine_tuned_model")
    head = f"job {job.id} {job.status}" + (f", model {model}" if model else "") + job.failure
    return [head, *map(cut, events), *(["checkpoints:"] if saved else []), *map(cut, saved)]


def _time(seconds: Any) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return "?"
