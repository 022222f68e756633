"""When training has paid for itself, and how many times the price of one model is that of another."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from minirag.costs.prices import Prices

PAIRS = (("tuned", "base"), ("teacher", "tuned"), ("teacher", "base"))
MINUTES_PER_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Payback:
    """Training has paid for itself after `questions`, which takes `days` at the stated rate.

    If it has not, `questions` is None and `reason` says why: it `never` will, or something is not known.
    """

    questions: float | None
    days: float | None = None
    reason: str = ""
    never: bool = False
    off: date | None = None


def payback(
    training: float | None,
    teacher: float | None,
    tuned: float | None,
    *,
    hosting_per_minute: float = 0.0,
    questions_per_day: float | None = None,
    today: date | None = None,
    off: date | None = None,
) -> Payback:
    """Divide the cost of training by what each question saves, all in US dollars; None: not known.

    `teacher` and `tuned` are the cost of one question. A tuned model that is hosted by the minute costs
    `hosting_per_minute` whether it is used or not, so its share of a question needs `questions_per_day`. `off` is the
    day on which the tuned model is switched off.

    >>> payback(8.0, 0.75, 0.5).questions
    32.0
    >>> payback(8.0, 0.75, 0.5, questions_per_day=1, today=date(2026, 12, 25), off=date(2027, 1, 14)).reason
    'the tuned model is switched off on 2027-01-14, 12 days before'
    """
    if training is None or teacher is None or tuned is None:
        return Payback(None, reason="a price is not known")
    if hosting_per_minute and not questions_per_day:
        return Payback(None, reason="hosting by the minute needs the number of questions a day")
    hosting = hosting_per_minute * MINUTES_PER_DAY / questions_per_day if questions_per_day else 0.0
    saving = teacher - tuned - hosting
    if training == teacher == tuned == hosting == 0:
        return Payback(None, reason="these models cost nothing", never=True)
    if saving <= 0:
        reason = "a question costs no less with the tuned model than with the teacher"
        return Payback(None, reason=reason, never=True)
    questions = training / saving
    days = questions / questions_per_day if questions_per_day else None
    if off is not None and today is not None:
        left = (off - today).days
        if left <= 0:
            return Payback(None, reason=f"the tuned model was switched off on {off}", never=True)
        if days is not None and days > left:
            short = math.ceil(days) - left
            reason = f"the tuned model is switched off on {off}, {short} day{'' if short == 1 else 's'} before"
            return Payback(None, reason=reason, never=True)
    return Payback(questions, days, off=off)


def in_words(result: Payback) -> str:
    """Return the result as one sentence.

    >>> in_words(payback(8.0, 0.75, 0.5, questions_per_day=4))
    'Training has paid for itself after 32 questions, in 8 days.'
    """
    if result.questions is None:
        verdict = "Training never pays for itself" if result.never else "Whether training pays for itself is not known"
        return f"{verdict}: {result.reason}."
    days = "" if result.days is None else f", in {math.ceil(result.days):,} days"
    off = f"; the tuned model is switched off on {result.off}" if result.off and result.days is None else ""
    return f"Training has paid for itself after {math.ceil(result.questions):,} questions{days}{off}."


def price_ratios(prices: Prices, models: Mapping[str, str]) -> dict[str, dict[str, float | None]]:
    """Return how many times the price of one arm's model is that of another's, for input and output tokens.

    `models` names those of `base`, `tuned` and `teacher`. None if a price is unknown or 0.

    >>> from minirag.costs.prices import Price
    >>> prices = Prices("", {"small": Price(0.5, output=2.0), "large": Price(10.0, output=30.0)})
    >>> price_ratios(prices, {"base": "small", "teacher": "large"})
    {'teacher/base': {'input': 20.0, 'output': 15.0}}
    """
    ratios: dict[str, dict[str, float | None]] = {}
    for dear, cheap in PAIRS:
        if dear in models and cheap in models:
            high, low = prices.of(models[dear]), prices.of(models[cheap])
            ratios[f"{dear}/{cheap}"] = {
                "input": _ratio(high.input, low.input),
                "output": _ratio(high.output, low.output),
            }
    return ratios


def _ratio(high: float | None, low: float | None) -> float | None:
    return None if high is None or not low else round(high / low, 6)
