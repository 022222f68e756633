"""A person against the judge: agreement, and means and differences corrected by a sample of labelled statements."""

import math

import numpy as np
import pytest
from scipy import stats

from minirag.metrics import Score
from minirag.metrics.score import ScoredRow, Scores
from minirag.statistics.audit import agreement, audit, audit_in_words, corrected_mean, exact_interval
from minirag.statistics.labels import claims, sample

Verdicts = dict[tuple[str, str], list[bool]]


def judged(verdicts: Verdicts) -> Scores:
    """Scores whose evidence are the verdicts of each (arm, question)."""
    return Scores(
        ScoredRow(question, arm, "faithfulness", 0, Score(sum(said) / len(said), "", evidence(arm, question, said)))
        for (arm, question), said in verdicts.items()
    )


def evidence(arm: str, question: str, said: list[bool]) -> tuple[dict[str, object], ...]:
    return tuple({"statement": f"{arm} {question} {i}", "supported": yes} for i, yes in enumerate(said))


def mean(scores: Scores, arm: str) -> float:
    return float(np.mean([row.score.value for row in scores if row.arm == arm]))


def test_the_weights_of_an_arm_s_statements_make_up_its_mean() -> None:
    scores = judged(
        {("base", "q1"): [True, False], ("base", "q2"): [True, True, False, False], ("tuned", "q1"): [True]}
    )
    for arm in ("base", "tuned"):
        mine = [claim for claim in claims(scores) if claim.arm == arm]
        assert sum(c.weight * c.supported for c in mine) == pytest.approx(mean(scores, arm))
        assert sum(c.weight for c in mine) == pytest.approx(1.0)


def test_a_statement_that_two_rounds_make_is_one_claim() -> None:
    two = [
        Score(1.0, "", ({"statement": "A.", "supported": True},)),
        Score(0.0, "", ({"statement": "A.", "supported": False},)),
    ]
    scores = Scores(ScoredRow("q", "base", "faithfulness", number, score) for number, score in enumerate(two))
    (claim,) = claims(scores)
    assert (claim.supported, claim.weight) == (0.5, 1.0)


def test_a_sample_is_random_has_as_many_of_each_arm_and_begins_with_the_smaller_one() -> None:
    known = claims(judged({(arm, f"q{i}"): [True] * 3 for arm in ("base", "tuned", "teacher") for i in range(40)}))
    drawn = sample(known, 90)
    assert drawn[:30] == sample(known, 30)
    assert sample(known, 30, seed=1) != drawn[:30]
    shares = [sum(claim.arm == arm for claim in drawn) for arm in ("base", "tuned", "teacher")]
    assert shares == [30, 30, 30]


def test_a_judge_that_favours_the_tuned_model_is_found_out_and_the_corrected_interval_holds_the_truth() -> None:
    """The judge calls a quarter of the tuned model's unsupported statements supported; in truth the arms are equal."""
    covered, biased, wide = [], [], []
    for seed in range(100):
        random = np.random.default_rng(seed)
        truth, seen = {}, {}
        for arm in ("base", "tuned"):
            for i in range(60):
                true = random.random(int(random.integers(1, 6))) < 0.7
                truth[arm, f"q{i}"] = true.tolist()
                kind = random.random(len(true)) < (0.25 if arm == "tuned" else 0.0)
                seen[arm, f"q{i}"] = (true | kind).tolist()
        scores = judged(seen)
        real = {c.key: c.supported > 0.5 for c in claims(judged(truth))}
        labels = {c.key: real[c.key] for c in sample(claims(scores), 100, seed)}
        pages = {f"q{i}": i for i in range(60)}
        found = audit(scores, labels, pages, ["base"])
        assert found is not None
        difference = found.differences["base"]
        assert difference is not None
        means = [mean(judged(truth), arm) for arm in ("base", "tuned")]
        covered.append(difference.corrected.low <= 0.0 <= difference.corrected.high)
        biased.append(difference.judge.value - (means[1] - means[0]))
        wide.append((difference.corrected.error or 0.0) / (difference.person.error or 1.0))
    assert np.mean(biased) > 0.05
    assert np.mean(covered) >= 0.92
    assert np.mean(wide) < 0.7


def test_a_few_labels_that_all_agree_with_the_judge_do_not_prove_it_right() -> None:
    scores = judged({(arm, f"q{i}"): [True, True] for arm in ("base", "tuned") for i in range(30)})
    labels = {claim.key: True for claim in sample(claims(scores), 20)}
    found = audit(scores, labels, {f"q{i}": i for i in range(30)}, ["base"])
    assert found is not None
    base, difference = found.arms["base"], found.differences["base"]
    assert base is not None
    assert difference is not None
    assert base.corrected.low == pytest.approx(0.025 ** (1 / base.person.n))
    assert base.corrected.high == 1.0
    assert difference.corrected.high == pytest.approx(1 - base.corrected.low)


def test_the_exact_interval_is_clopper_and_pearson_s() -> None:
    for n, successes in ((3, 3), (10, 0), (10, 1), (25, 24), (40, 17), (5000, 4997)):
        oracle = stats.binomtest(successes, n).proportion_ci(0.95, "exact")
        assert exact_interval(successes, n) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


def test_labels_that_are_all_equal_prove_no_perfect_arm_and_nine_correct_nothing() -> None:
    """The judge errs now and then, the person says yes throughout."""
    said = [[True, False], *[[True, True]] * 29]
    scores = judged({(arm, f"q{i}"): said[i] for arm in ("base", "tuned") for i in range(30)})
    mine = {arm: [claim.key for claim in claims(scores) if claim.arm == arm] for arm in ("base", "tuned")}
    labels = dict.fromkeys([*mine["base"][:12], *mine["tuned"][:9]], True)
    found = audit(scores, labels, {f"q{i}": i for i in range(30)}, ["base"])
    assert (found.arms["base"].corrected.low, found.arms["base"].corrected.high) == (
        pytest.approx(0.025 ** (1 / 12)),
        1.0,
    )
    assert (found.arms["tuned"], found.differences["base"]) == (None, None)
    assert "faithfulness of tuned: fewer than 10 labels, which correct nothing" in audit_in_words(found)


# -- accuracy and kappa -----------------------------------------------------------------------------------


def table(both: int, judge_only: int, person_only: int, neither: int) -> tuple[list[bool], list[bool]]:
    judge = [True] * (both + judge_only) + [False] * (person_only + neither)
    person = [True] * both + [False] * judge_only + [True] * person_only + [False] * neither
    return judge, person


def test_kappa_is_that_of_the_textbook_table() -> None:
    result = agreement(*table(20, 5, 10, 15))  # accuracy 0.7, chance 0.5
    assert (result.n, result.agreed) == (50, 35)
    assert result.kappa.value == pytest.approx(0.4)
    assert (result.too_kind, result.too_strict) == (5, 10)


def test_kappa_s_error_is_that_of_fleiss_cohen_and_everitt() -> None:
    n, shares = 50, [[0.4, 0.1], [0.2, 0.3]]
    rows, columns = [0.5, 0.5], [0.6, 0.4]
    agreed, chance = 0.7, 0.5
    kappa = (agreed - chance) / (1 - chance)
    first = sum(shares[i][i] * (1 - (rows[i] + columns[i]) * (1 - kappa)) ** 2 for i in (0, 1))
    second = (1 - kappa) ** 2 * sum(
        shares[i][j] * (columns[i] + rows[j]) ** 2 for i in (0, 1) for j in (0, 1) if i != j
    )
    variance = (first + second - (kappa - chance * (1 - kappa)) ** 2) / (n * (1 - chance) ** 2)
    found = agreement(*table(20, 5, 10, 15)).kappa
    assert found.error == pytest.approx(math.sqrt(variance * n / (n - 1)), abs=1e-9)


def test_agreement_throughout_still_has_an_interval() -> None:
    result = agreement([True] * 30 + [False] * 20, [True] * 30 + [False] * 20)
    assert (result.kappa.value, result.kappa.high) == (1.0, 1.0)
    assert result.kappa.low == pytest.approx(1 - (1 - 0.025 ** (1 / 50)) / 0.48)  # chance alone agrees on 0.52


def test_statements_of_one_answer_are_no_independent_witnesses() -> None:
    judge, person = table(20, 10, 0, 20)
    alone = agreement(judge, person)
    together = agreement(judge, person, [i // 5 for i in range(50)])
    assert together.kappa.high - together.kappa.low > alone.kappa.high - alone.kappa.low


def test_one_label_throughout_has_no_kappa_and_one_cluster_no_interval() -> None:
    assert agreement([True] * 5, [True] * 5).kappa is None
    single = agreement([True, False, True], [True, False, False], "aaa")
    assert single.kappa.low is None


# -- a mean corrected by labels of some -------------------------------------------------------------------


def means(n: int = 400, labelled: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Return the judge's scores, 0.1 too kind, and a person's of the first `labelled`."""
    random = np.random.default_rng(0)
    person = random.normal(0.6, 0.2, n)
    judge = 0.1 + person + random.normal(0, 0.1, n)
    return judge, np.where(np.arange(n) < labelled, person, np.nan)


def test_the_corrected_mean_is_the_regression_estimate_of_double_sampling() -> None:
    judge, person = means()
    line = stats.linregress(judge[:100], person[:100])
    result = corrected_mean(judge, person, range(400))
    assert result.corrected.value == pytest.approx(line.intercept + line.slope * np.mean(judge))
    residual = np.sum((person[:100] - line.intercept - line.slope * judge[:100]) ** 2) / 99
    cochran = residual / 100 + line.slope**2 * np.var(judge, ddof=1) / 400
    assert result.corrected.error == pytest.approx(np.sqrt(cochran), rel=0.03)


def test_fewer_than_two_labels_correct_nothing_and_labels_of_one_page_give_no_interval() -> None:
    judge, person = means(40, 1)
    assert corrected_mean(judge, person, range(40)) is None
    one_page = corrected_mean(*means(40, 20), ["p1"] * 20 + ["p2"] * 20)
    assert (one_page.corrected.low, one_page.person.low) == (None, None)
