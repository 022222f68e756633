"""`minirag finetune --status` and `--cancel`: the state of a run's job; nothing is computed or started."""

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from minirag.cli.connect import OFFLINE, connect
from minirag.cli.settings import recorded_facts
from minirag.cli.terminal import cut, show, show_json
from minirag.errors import InputError, JobError, LogError
from minirag.finetune import FineTuningJob
from minirag.message_log import MessageLog


def main(options: Mapping[str, Any]) -> int:
    """Print state, events and checkpoints of the newest job in the folder's log, after cancelling it with `--cancel`.

    Another process may be waiting for the job meanwhile. Raises JobError if the log knows no job.
    """
    folder: Path = options["out"]
    with ExitStack() as stack:
        facts = recorded_facts(folder)
        if (address := facts.get("student_service")) and "student_base_url" not in options:
            raise InputError(f"This run's job is at {address}; give --student-base-url {address} again.")
        offline = facts["service"] == OFFLINE or "offline" in options
        main, own = connect(options, stack, folder, offline=offline, roles=("student",))
        service = own.get("student", main)
        log = stack.enter_context(MessageLog(folder / "messages.jsonl"))
        # the last state in the log of the job at this service that was created or polled last
        states = [
            exchange.response
            for exchange in log
            if exchange.endpoint.startswith("fine_tuning.jobs") and exchange.service == service.name
            if exchange.error is None and "status" in (exchange.response or {})
        ]
        if not states:
            raise JobError(f"The log of {folder} knows of no job at {service.address}.")
        is_free = True
        try:
            log.lock()
        except LogError:  # a run that waits for the job is writing to the log
            is_free = False
        job = FineTuningJob(service, states[-1] or {}, log=log if is_free else None, path=folder / "job.json")
        if "cancel" in options:
            job.cancel()
        else:
            job.refresh()
        events, checkpoints = (list(job.pages(kind))[::-1] for kind in ("events", "checkpoints"))
        if options.get("json"):
            show_json({"job": job.state, "events": events, "checkpoints": checkpoints})
        else:
            show("\n".join(_lines(job, events, checkpoints)))
    return 0


def _lines(job: FineTuningJob, events: list[Any], checkpoints: list[Any]) -> list[str]:
    model = job.state.get("fine_tuned_model")
    lines = [f"job {job.id} {job.status}" + (f", model {model}" if model else "") + job.failure]
    lines += [cut(f"{_time(event.get('created_at'))}  {event.get('message')}") for event in events]
    if checkpoints:
        lines.append("checkpoints:")
    for point in checkpoints:
        metrics = ", ".join(f"{name} {value}" for name, value in (point.get("metrics") or {}).items())
        lines.append(cut(f"step {point.get('step_number')}: {point.get('fine_tuned_model_checkpoint')}, {metrics}"))
    return lines


def _time(seconds: Any) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return "?"
