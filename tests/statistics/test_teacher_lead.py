"""The share of the teacher's lead that was closed."""

from dataclasses import asdict

import numpy as np
import pytest

from minirag.metrics.comparison import clustered_mean
from minirag.statistics.teacher_lead import lead_closed, lead_in_words

PAGES = [i // 4 for i in range(40)]


def arms(lead: float, share: float = 0.6, seed: int = 0) -> tuple[list[float], list[float], list[float]]:
    random = np.random.default_rng(seed)
    base, tuned, teacher = random.uniform(-0.2, 0.2, (3, 40)) + np.array([[0.5], [0.5 + share * lead], [0.5 + lead]])
    return list(base), list(tuned), list(teacher)


def test_the_interval_s_ends_are_the_shares_that_the_t_test_just_does_not_refuse() -> None:
    base, tuned, teacher = map(np.array, arms(0.3))
    closed = lead_closed(list(base), list(tuned), list(teacher), clusters=PAGES)
    for end in (closed.low, closed.high):
        assert clustered_mean((tuned - base) - end * (teacher - base), PAGES).p_value == pytest.approx(0.05, abs=1e-9)
    assert closed.share == pytest.approx((tuned - base).mean() / (teacher - base).mean())
    assert closed.low < closed.share < closed.high


def test_a_student_like_its_teacher_closed_it_all_and_one_like_the_base_nothing() -> None:
    base, _, teacher = arms(0.3)
    for tuned, share in ((teacher, 1.0), (base, 0.0)):
        closed = lead_closed(base, tuned, teacher, clusters=PAGES)
        assert (closed.share, closed.low, closed.high) == pytest.approx((share, share, share), abs=1e-7)


@pytest.mark.parametrize(
    ("lead", "why"),
    [(0.0, "the teacher's lead is within noise"), (-0.3, "the teacher is worse than the base model")],
)
def test_without_a_lead_there_is_no_share(lead: float, why: str) -> None:
    closed = lead_closed(*arms(lead), clusters=PAGES)
    assert (closed.share, closed.low, closed.high, closed.why) == (None, None, None, why)
    assert lead_in_words(asdict(closed)) == f"share of the teacher's lead closed: undefined ({why})"


def test_only_questions_scored_in_all_three_arms_count() -> None:
    base, tuned, teacher = arms(0.3)
    some = [None, *tuned[1:39], None]
    closed = lead_closed(base, some, teacher, clusters=range(40))
    gains, leads = (np.subtract(one[1:39], base[1:39]).mean() for one in (tuned, teacher))
    assert (closed.n, closed.share) == (38, pytest.approx(gains / leads))
    assert lead_in_words(asdict(closed)).endswith("closed, over 38 questions")


def test_too_many_unscored_answers_or_too_few_questions_give_no_share() -> None:
    base, tuned, teacher = arms(0.3)
    assert lead_closed(base, [*[None] * 15, *tuned[15:]], teacher, clusters=PAGES).why == (
        "15 of 40 questions lack a score of base, tuned or teacher"
    )
    assert lead_closed([0.5], [0.5], [0.6], clusters="p").why == "too few questions: 1, and a verdict takes 6"
