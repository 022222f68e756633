"""Row 9. `minirag finetune --status` and `--cancel`: what became of a run's job, without starting one."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from minirag.finetune import FineTuningJob
from minirag.pipeline import Run
from minirag.terminal import cut


def main(given: Mapping[str, Any], run: Run) -> int:
    """Print the job's state, events and checkpoints, cancelled first if that is asked. Raises JobError for none."""
    job = run.job(start=False)
    if "cancel" in given:
        job.cancel()
    told = {"job": job.state, "events": job.events(), "checkpoints": job.checkpoints()}
    print(json.dumps(told, ensure_ascii=False) if given.get("json") else "\n".join(_lines(job, told)))
    return 0


def _lines(job: FineTuningJob, told: Mapping[str, Any]) -> list[str]:
    events = [f"{_time(event.get('created_at'))}  {event.get('message')}" for event in told["events"]]
    saved = [
        f"step {point.get('step_number')}: {point.get('fine_tuned_model_checkpoint')}, "
        + ", ".join(f"{name} {value}" for name, value in (point.get("metrics") or {}).items())
        for point in told["checkpoints"]
    ]
    model = job.state.get("fine_tuned_model")
    head = f"job {job.id} {job.status}" + (f", model {model}" if model else "")
    return [head, *map(cut, events), *(["checkpoints:"] if saved else []), *map(cut, saved)]


def _time(seconds: Any) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if isinstance(seconds, int) else "?"
