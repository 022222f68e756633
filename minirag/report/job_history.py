"""Row 7. How a fine-tuning job went, from the log alone: when each of its states was first seen, and its losses."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from minirag.finetune import FINAL
from minirag.message_log import Exchange


@dataclass(frozen=True, slots=True)
class JobHistory:
    """A job's states with the time each was first seen, when it ended or was last seen, and its losses by step.

    Times are seconds since 1970. Losses are those of all events that the log holds.
    """

    states: Sequence[tuple[str, float]]
    end: float
    training: Sequence[tuple[int, float]]
    validation: Sequence[tuple[int, float]]


def job_history(log: Iterable[Exchange], job: str) -> JobHistory:
    """The history of the job with that id; states as this machine saw them, or else as the service dates them."""
    seen: list[tuple[str, float]] = []
    last: Mapping[str, Any] = {}
    losses: dict[str, dict[int, float]] = {"train_loss": {}, "valid_loss": {}}
    for exchange in log:
        reply = exchange.response or {}
        if exchange.stage not in {"train", "poll"} or exchange.error is not None:
            continue
        if reply.get("id") == job:
            seen.append((str(reply.get("status")), datetime.fromisoformat(exchange.started).timestamp()))
            last = reply
        elif exchange.request.get("fine_tuning_job_id") == job:
            _add_losses(losses, reply.get("data"))
    states, end = _states(seen, last)
    return JobHistory(states, end, *(sorted(losses[name].items()) for name in ("train_loss", "valid_loss")))


def _states(seen: Sequence[tuple[str, float]], last: Mapping[str, Any]) -> tuple[list[tuple[str, float]], float]:
    first: dict[str, float] = {}
    for status, at in seen:
        first.setdefault(status, at)
    states = [(status, at) for status, at in first.items() if status not in FINAL]
    ends = [at for status, at in first.items() if status in FINAL] or [at for _, at in seen[-1:]]
    if states or not seen:
        return states, ends[0] if ends else 0.0
    created, finished = last.get("created_at"), last.get("finished_at")  # the job was there before this run looked
    if not isinstance(created, int | float) or not isinstance(finished, int | float):
        return [], ends[0]
    return [("all of it", float(created))], float(finished)


def _add_losses(losses: Mapping[str, dict[int, float]], events: Any) -> None:
    for event in events if isinstance(events, list) else ():
        data = event.get("data") if isinstance(event, Mapping) else None
        step = data.get("step") if isinstance(data, Mapping) else None
        if isinstance(data, Mapping) and isinstance(step, int):
            for name, known in losses.items():
                if isinstance(loss := data.get(name), int | float):
                    known[step] = float(loss)
