"""The sentence on top of the report: one form for each verdict, from comparisons made by hand."""

from typing import Any

import pytest

from minirag.metrics.comparison import compare
from minirag.statistics.findings import answer
from minirag.statistics.power import to_json

USD = {"teacher": 0.008, "tuned": 0.001}


def comparison(
    teacher: float,
    base: float = -0.2,
    control: float | None = None,
    *,
    relevancy: tuple[float, float] = (0.0, -0.2),
    margin: float | None = None,
    spread: float = 0.1,
    n: int = 40,
) -> dict[str, Any]:
    """A `comparison.json` in which the other arms' faithfulness is so much above the tuned model's 0.5.

    `relevancy` is how far teacher and base are above it in answer relevancy.
    """

    def against(by: float) -> dict[str, Any]:
        others = [0.5 + by + (spread if i % 2 else -spread) for i in range(n)]
        return {**to_json(compare(others, [0.5] * n, margin=margin)), "p_holm": 0.01}

    faithfulness, other = against(base), against(relevancy[1])
    for arm, by in (("teacher", teacher), ("control", control)):
        if by is not None:
            faithfulness[f"tuned_against_{arm}"] = against(by)
    other["tuned_against_teacher"] = against(relevancy[0])
    return {
        "primary": {"metric": "faithfulness", "against": "base"},
        "metrics": {"faithfulness": faithfulness, "answer_relevancy": other},
    }


TUNED = "On these 40 questions the tuned model"
TIED = "faithfulness -0.010 [-0.042, +0.022]"
COST = " and costs 12 % as much"
GAIN = "it beats the untrained one in faithfulness and answer relevancy."
SOME_GAIN = "it beats the untrained one in faithfulness."
NO_GAIN = "it is not shown to beat the untrained one."
EVEN = {"base": 0.0, "relevancy": (0.0, 0.0)}


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"teacher": 0.01}, f"{TUNED} cannot be told from the teacher ({TIED}){COST}; {GAIN}"),
        ({"teacher": 0.01, "margin": 0.05}, f"{TUNED} is as good as the teacher within 0.05 ({TIED}){COST}; {GAIN}"),
        (
            {"teacher": 0.2},
            f"{TUNED} is worse than the teacher (faithfulness -0.200 [-0.232, -0.168]){COST}; {GAIN}",
        ),
        (
            {"teacher": -0.2, "relevancy": (0.2, 0.0)},
            f"{TUNED} is better than the teacher (faithfulness +0.200 [+0.168, +0.232]){COST}; it is worse than the "
            f"teacher in answer relevancy; {SOME_GAIN}",
        ),
        (
            {"teacher": 0.01, "relevancy": (0.2, 0.0)},
            f"{TUNED} is worse than the teacher (answer relevancy -0.200 [-0.232, -0.168]){COST}; cannot tell in "
            f"{TIED}; {SOME_GAIN}",
        ),
        (
            {"teacher": 0.0, "base": 0.1},
            "Do not use this tuned model: tuning made it worse than the untrained one (faithfulness -0.100 [-0.132, "
            "-0.068]).",
        ),
        (
            {"teacher": 0.0, "control": 0.1},
            "Do not tune: a better prompt does as well (tuned against it, faithfulness -0.100 [-0.132, -0.068]).",
        ),
        (
            {"teacher": 0.0, "spread": 0.4, **EVEN},
            "40 questions are too few to say whether the tuned model is as good as the teacher (faithfulness +0.000 "
            f"[-0.130, +0.130]); about 131 fresh ones would do to tell within 0.1; {NO_GAIN}",
        ),
        ({"teacher": 0.0, "n": 5, **EVEN}, f"No answer yet: too few questions: 5, and a verdict takes 6; {NO_GAIN}"),
        (
            {"teacher": 0.03, "margin": 0.05, **EVEN},
            f"{TUNED} cannot be told from the teacher (faithfulness -0.030 [-0.062, +0.002], which does not rule out "
            f"0.05){COST}; {NO_GAIN}",
        ),
    ],
)
def test_each_verdict_has_its_sentence(facts, sentence):
    assert answer(comparison(**facts), USD) == sentence


@pytest.mark.parametrize(
    ("teacher", "tuned", "words"),
    [
        (0.01, 0.00004, " and costs 0.4 % as much"),
        (0.01, 0.12, " and costs 1,200 % as much"),
        (0.0, 0.0, ", and both cost nothing here"),
        (0.0, 0.1, ", and the teacher costs nothing here"),
        (None, 0.01, ", and its cost is not known"),
    ],
)
def test_the_price_is_said_beside_the_teacher_s(teacher, tuned, words):
    assert f"]){words}; it beats" in answer(comparison(0.0), {"teacher": teacher, "tuned": tuned})


def test_a_secondary_gain_that_holm_s_correction_takes_away_is_not_claimed():
    facts = comparison(0.0)
    facts["metrics"]["answer_relevancy"]["p_holm"] = 0.06
    assert answer(facts, USD).endswith(SOME_GAIN)
