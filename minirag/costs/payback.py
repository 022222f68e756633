"""Row 7. Is it worth the money? What one question costs with each model, and when training has paid for itself."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from minirag.costs.bill import Price, Prices, price_of

PAIRS = (("tuned", "base"), ("teacher", "tuned"), ("teacher", "base"))
MINUTES_PER_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Payback:
    """When training has paid for itself: after `questions`, in `days` at the stated rate.

    Where it has not, `questions` is None and `reason` says why: it `never` will, or something is not known.
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
    """Training costs against what each question saves, all in US dollars; None: not known.

    `teacher` and `tuned` are what one question costs. A tuned model that is hosted by the minute costs
    `hosting_per_minute` whether it is asked or not, so its part in a question needs `questions_per_day`. `off` is
    the day on which the tuned model is switched off.

    >>> payback(8.0, 0.75, 0.5).questions
    32.0
    >>> payback(8.0, 0.75, 0.5, questions_per_day=1, today=date(2026, 12, 25), off=date(2027, 1, 14)).reason
    'the tuned model is off on 2027-01-14, 12 days before'
    """
    if training is None or teacher is None or tuned is None:
        return Payback(None, reason="a price is not known")
    if hosting_per_minute and not questions_per_day:
        return Payback(None, reason="hosting by the minute needs the number of questions a day")
    hosting = hosting_per_minute * MINUTES_PER_DAY / questions_per_day if questions_per_day else 0.0
    saving = teacher - tuned - hosting
    if training == teacher == tuned == hosting == 0:
        return _never("these models cost nothing")
    if saving <= 0:
        return _never("a question costs no less with the tuned model than with the teacher")
    questions = training / saving
    days = questions / questions_per_day if questions_per_day else None
    left = (off - today).days if off and today else None
    if left is not None and left <= 0:
        return _never(f"the tuned model is off since {off}")
    if left is not None and days is not None and days > left:
        return _never(f"the tuned model is off on {off}, {math.ceil(days) - left} days before")
    return Payback(questions, days, off=off)


def _never(reason: str) -> Payback:
    return Payback(None, reason=reason, never=True)


def in_words(result: Payback) -> str:
    """One sentence.

    >>> in_words(payback(8.0, 0.75, 0.5, questions_per_day=4))
    'Training has paid for itself after 32 questions, in 8 days.'
    """
    if result.questions is None:
        told = "Training never pays for itself" if result.never else "Whether training pays for itself is not known"
        return f"{told}: {result.reason}."
    days = "" if result.days is None else f", in {math.ceil(result.days):,} days"
    off = f"; the tuned model goes off on {result.off}" if result.off and result.days is None else ""
    return f"Training has paid for itself after {math.ceil(result.questions):,} questions{days}{off}."


def ratios(prices: Prices, models: Mapping[str, str]) -> dict[str, dict[str, float | None]]:
    """How many times the price of one arm's model is that of another's, for input and for output tokens.

    `models` names those of `base`, `tuned` and `teacher`. None where a price is not known, or is 0.
    """
    found = {arm: prices.of(model) for arm, model in models.items()}
    return {
        f"{dear}/{cheap}": {kind: _ratio(found[dear], found[cheap], kind) for kind in ("input", "output")}
        for dear, cheap in PAIRS
        if dear in found and cheap in found
    }


def _ratio(dear: Price, cheap: Price, kind: str) -> float | None:
    high, low = getattr(dear, kind), getattr(cheap, kind)
    return None if high is None or not low else round(high / low, 6)


def question_costs(
    prices: Prices, models: Mapping[str, str], tokens: Mapping[str, tuple[float, float, float]]
) -> dict[str, float | None]:
    """US dollars of one question by arm, for its mean new input, cached input and output tokens."""
    return {arm: price_of(tokens[arm], prices.of(model)) for arm, model in models.items() if arm in tokens}
