"""Row 6. When OpenAI switches models off, as announced by November 2026; check the provider's page.

The dates hold at OpenAI alone: other services go on with models of the same name.

>>> shutdown("ft:gpt-4.1-mini-2025-04-14:acme::9xyz"), shutdown("gpt-6-luna")
(datetime.date(2027, 1, 14), None)
"""

import re
from collections.abc import Iterable
from datetime import date

TRAINING_ENDS = date(2027, 1, 6)
"""From this day nobody can create a fine-tuning job; some organisations cannot since May or July 2026."""

_OFF = {
    date(2026, 10, 23): ("gpt-3.5-turbo", "gpt-4", "gpt-4-turbo", "gpt-4.1-nano"),
    date(2027, 1, 14): ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini"),
}
_NAME = re.compile(r"(?:ft:)?(?P<family>[^:]+?)(?:-\d{4}-\d{2}-\d{2}|-\d{4})?(?::|$)")


def shutdown(model: str) -> date | None:
    """The day on which a model, or every model tuned on it, is switched off at OpenAI; None if none is announced."""
    match = _NAME.match(model)
    family = match["family"] if match else model
    return next((day for day, families in _OFF.items() if family in families), None)


def warnings(models: Iterable[str], today: date, *, trains: bool) -> list[str]:
    """One sentence for each of `models` that is off or goes off, and one for training that ends."""
    days = {model: day for model in dict.fromkeys(models) if (day := shutdown(model)) is not None}
    told = [
        f"{model} is off since {day}." if day <= today else f"{model} goes off on {day}, in {(day - today).days} days."
        for model, day in days.items()
    ]
    if trains and today >= TRAINING_ENDS:
        told.append(f"OpenAI trains no models since {TRAINING_ENDS}.")
    elif trains:
        told.append(
            f"OpenAI takes no new fine-tuning jobs from {TRAINING_ENDS}, in {(TRAINING_ENDS - today).days} days."
        )
    return told
