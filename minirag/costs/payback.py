"""What an answer costs by arm, and when training has paid for itself: here, and at the prices of hosted models."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from minirag.costs.billing import DIGITS, Line, bill, total
from minirag.costs.prices import Prices, load_prices, training_cost
from minirag.message_log import Exchange

Calls = Mapping[str, Sequence[Sequence[Exchange]]]
"""The calls behind each answer to the eval questions, by arm."""


class Trio(NamedTuple):
    """A teacher, a student and the student tuned, at the prices of today's table or of an older one."""

    teacher: str
    student: str
    table: str | None = None


TRIOS = (Trio("gpt-6.1-sol", "gpt-4.1-mini"), Trio("gpt-4", "gpt-3.5-turbo", "2023-08"))
"""Whose prices free models are compared with: today's, and those of the article that minirag answers."""


def run_costs(log: Iterable[Exchange], prices: Prices, calls: Calls, trained: tuple[str, int] | None) -> dict[str, Any]:
    """Return what `costs.json` holds: the bill, the mean cost of an answer by arm, and when training has paid off.

    `trained` is the base model that was trained here and the expected number of its training tokens; the service's own
    number counts, if it tells. If all of it costs nothing here, or nobody knows what, `elsewhere` has the same tokens
    at the prices of `TRIOS`.
    """
    lines = bill(log, prices)
    if trained is not None:
        jobs = [line for line in lines if line.stage == "train" and line.model.startswith(trained[0])]
        trained = (jobs[0].model, jobs[0].training_tokens) if jobs else trained
    costs = _costs(calls, prices, trained, {})
    elsewhere = []
    if not any((*costs["usd_per_question"].values(), costs["training_usd"])):
        elsewhere = [_elsewhere(trio, calls, trained) for trio in TRIOS]
        costs["payback"] += _in_words(elsewhere)
    saved = round(math.fsum(line.saved_usd for line in lines), DIGITS)
    return {
        "prices_of": prices.date,
        "lines": [vars(line) for line in lines],
        "total_usd": total(lines),
        "cache_saved_usd": saved,
        **costs,
        "elsewhere": elsewhere,
    }


def payback(training: float | None, teacher: float | None, tuned: float | None) -> tuple[float | str | None, str]:
    """Return after how many questions training has paid for itself ("never", or None: not known), and a sentence.

    `training` is its cost, `teacher` and `tuned` the cost of one question, in US dollars; None: not known.

    >>> payback(8.0, 0.75, 0.5)
    (32.0, 'Training has paid for itself after 32 questions.')
    """
    if training is None or teacher is None or tuned is None:
        return None, "Whether training pays for itself is not known: a price is not known."
    if training == teacher == tuned == 0:
        return "never", "These models cost nothing here."
    if teacher <= tuned:
        reason = "a question costs no less with the tuned model than with the teacher"
        return "never", f"Training never pays for itself: {reason}."
    questions = training / (teacher - tuned)
    return questions, f"Training has paid for itself after {math.ceil(questions):,} questions."


def _costs(calls: Calls, prices: Prices, trained: tuple[str, int] | None, models: Mapping[str, str]) -> dict[str, Any]:
    """Return cost per answer, of training, and break-even; `models` names other models than those called, by arm."""
    per_answer: dict[str, float | None] = {}
    for arm, answers in calls.items():
        line = Line("", arm, "")
        for exchange in (exchange for answer in answers for exchange in answer):
            request = {**exchange.request, "model": models.get(arm, exchange.model)}
            # not every model is sold in batches
            line.add(replace(exchange, request=request, tags={}) if models else exchange, prices)
        per_answer[arm] = None if line.usd is None or not answers else line.usd / len(answers)
    training_usd = None if trained is None else training_cost(prices, *trained)
    questions, sentence = payback(training_usd, per_answer.get("teacher"), per_answer.get("tuned"))
    return {
        "usd_per_question": per_answer,
        "training_usd": training_usd,
        "break_even_questions": questions,
        "payback": sentence,
    }


def _elsewhere(trio: Trio, calls: Calls, trained: tuple[str, int] | None) -> dict[str, Any]:
    """Return the costs of the same tokens with the models of a trio, and how its prices compare, in words."""
    prices, tuned = load_prices(trio.table), f"ft:{trio.student}"
    models = {"teacher": trio.teacher, "tuned": tuned, "base": trio.student, "control": trio.student}
    shutdown = load_prices().of(tuned).shutdown
    tuned_base, teacher_tuned = _ratio(prices, tuned, trio.student), _ratio(prices, trio.teacher, tuned)
    teacher_base = _ratio(prices, trio.teacher, trio.student)
    return {
        "teacher": trio.teacher,
        "student": trio.student,
        "prices_of": prices.date,
        "in_words": [
            f"{trio.teacher}, {trio.student} ({prices.date}; tuned until {shutdown}), in / out:",
            f"tuned {tuned_base} × untrained; teacher {teacher_tuned} × tuned, {teacher_base} × untrained.",
        ],
        **_costs(calls, prices, None if trained is None else (trio.student, trained[1]), models),
    }


def _ratio(prices: Prices, dear: str, cheap: str) -> str:
    """Return how many times as much as another a model costs: for input and output, or once if both are the same."""
    one, other = prices.of(dear), prices.of(cheap)
    pairs = ((one.input, other.input), (one.output, other.output))
    return " / ".join(dict.fromkeys(f"{a / b:.4g}" for a, b in pairs if a and b))


def _in_words(elsewhere: Sequence[Mapping[str, Any]]) -> str:
    """Return when training would have paid for itself elsewhere, as a sentence to follow another; or nothing."""
    parts = []
    for trio in elsewhere:
        questions = trio["break_even_questions"]
        if questions is not None:
            when = "never" if questions == "never" else f"after {math.ceil(questions):,} questions"
            parts.append(f"{when} at the prices of {trio['teacher']} and {trio['student']} of {trio['prices_of']}")
    return f" Training would have paid for itself {', and '.join(parts)}." if parts else ""
