"""Row 7. How many questions show a difference of which size: looked at before the money is spent, and after."""

import math
from bisect import bisect_left

from minirag.errors import InputError
from minirag.statistics.clustered import LEVEL
from minirag.statistics.student_t import t_quantile

POWER = 0.8
"""How many of all evaluations should show a difference that is there."""


def detectable(error: float, degrees: float) -> float:
    """The smallest true difference that four of five evaluations show, for a standard error and its degrees of freedom.

    (t of the interval + t of the power) × standard error (Bloom 1995).

    >>> round(detectable(0.03, 39), 3)
    0.086
    """
    return (t_quantile((1 + LEVEL) / 2, degrees) + t_quantile(POWER, degrees)) * error


def n_needed(difference: float, error: float, degrees: float, n: int) -> int | None:
    """Questions for which `difference` would be the smallest detectable one, if spread and clusters stay as they are.

    `error` and `degrees` are those of the `n` questions at hand. None where the difference is 0: no number shows it.

    >>> n_needed(0.05, 0.03, 35, 36)
    104
    """
    size = abs(difference)
    if size < 1e-9:
        return None

    def wanted(degrees_then: float) -> float:
        return n * (detectable(error, degrees_then) / size) ** 2

    def degrees_of(questions: int) -> float:
        return max(1.0, (degrees + 1) * questions / n - 1)

    fewest = max(2, math.floor(wanted(math.inf)))
    candidates = range(fewest, max(2, math.ceil(wanted(degrees_of(fewest)))))
    return fewest + bisect_left(candidates, True, key=lambda questions: wanted(degrees_of(questions)) <= questions)


def plan_detectable(questions: int, per_page: float, *, spread: float, correlation: float) -> float | None:
    """The smallest difference that so many questions can show, before anything is judged.

    `spread` is the assumed standard deviation of a question's paired difference and `correlation` that of two
    differences on one page, 0 to 1 (Kish's design effect 1 + (per_page − 1) × correlation). None with fewer than
    two pages; InputError for values that cannot be.

    >>> round(plan_detectable(40, 5, spread=0.25, correlation=0.3), 3)
    0.191
    >>> round(plan_detectable(40, 1, spread=0.25, correlation=0.3), 3)
    0.114
    """
    if questions < 1 or per_page < 1 or spread < 0 or not 0 <= correlation <= 1:
        raise InputError(
            f"Cannot plan for {questions} questions, {per_page} a page, spread {spread} and correlation {correlation}; "
            "give at least one of each, and a correlation between 0 and 1."
        )
    pages = questions / per_page
    if pages < 2:
        return None
    return detectable(spread * math.sqrt((1 + (per_page - 1) * correlation) / questions), pages - 1)
