"""A person against the judge: agreement, and means corrected by a sample of labelled statements."""

import numpy as np
import pytest
from scipy import stats

from minirag.message_log import write_jsonl
from minirag.metrics import Score
from minirag.metrics.score import ScoredRow, Scores
from minirag.statistics.labels import (
    audit,
    audit_in_words,
    claims,
    corrected,
    exact_interval,
    read_labels,
    sample,
    write_labels,
)

Verdicts = dict[tuple[str, str], list[bool]]
PAGES = {f"q{i}": i for i in range(60)}


def judged(verdicts: Verdicts) -> Scores:
    """Scores whose evidence are the verdicts of each (arm, question)."""
    scores = Scores()
    for (arm, question), said in verdicts.items():
        evidence = tuple({"statement": f"{arm} {question} {i}", "supported": yes} for i, yes in enumerate(said))
        scores.append(ScoredRow(question, arm, "faithfulness", 0, Score(sum(said) / len(said), "", evidence)))
    return scores


def test_the_weights_of_an_arm_s_statements_make_up_its_mean():
    scores = judged({("base", "q1"): [True, False], ("base", "q2"): [True, True, False], ("tuned", "q1"): [True]})
    for arm in ("base", "tuned"):
        mine = [claim for claim in claims(scores) if claim.arm == arm]
        mean = np.mean([row.score.value for row in scores if row.arm == arm])
        assert sum(c.weight * c.supported for c in mine) == pytest.approx(mean)
        assert sum(c.weight for c in mine) == pytest.approx(1.0)


def test_a_statement_that_two_rounds_make_is_one_claim():
    scores = Scores(
        ScoredRow(
            "q", "base", "faithfulness", number, Score(float(said), "", ({"statement": "A.", "supported": said},))
        )
        for number, said in enumerate([True, False])
    )
    (claim,) = claims(scores)
    assert (claim.supported, claim.weight) == (0.5, 1.0)


def test_a_statement_with_a_line_end_of_unicode_stays_on_its_line(tmp_path):
    label = ("q1", "base", "One\u2028two\x85three.")
    write_labels(tmp_path, {label: True})
    assert read_labels(tmp_path) == {label: True}
    scores = Scores([ScoredRow("q1", "base", "faithfulness", 0, Score(1.0, "", ({"statement": label[2]},)))])
    write_jsonl(tmp_path / "scores.jsonl", (row.to_json() for row in scores))
    assert Scores.read(tmp_path / "scores.jsonl") == scores


def test_a_sample_is_random_has_as_many_of_each_arm_and_begins_with_the_smaller_one():
    known = claims(judged({(arm, f"q{i}"): [True] * 3 for arm in ("base", "tuned", "teacher") for i in range(40)}))
    drawn = sample(known, 90)
    assert drawn[:30] == sample(known, 30)
    assert sample(known, 30, seed=1) != drawn[:30]
    assert [sum(claim.arm == arm for claim in drawn) for arm in ("base", "tuned", "teacher")] == [30, 30, 30]


def test_labels_that_are_all_equal_prove_no_perfect_arm_and_nine_correct_nothing():
    """The judge errs now and then, the person says yes throughout."""
    said = [[True, False], *[[True, True]] * 29]
    scores = judged({(arm, f"q{i}"): said[i] for arm in ("base", "tuned") for i in range(30)})
    mine = {arm: [claim.key for claim in claims(scores) if claim.arm == arm] for arm in ("base", "tuned")}
    result = audit(scores, dict.fromkeys([*mine["base"][:12], *mine["tuned"][:9]], True), PAGES)
    base = result["arms"]["base"]
    assert (base["low"], base["high"]) == (pytest.approx(0.025 ** (1 / 12)), 1.0)
    assert audit_in_words(result) == [
        "judge against person on 21 statements: both say yes to 19 and no to 0; too kind 0 times, too strict 2 times",
        "faithfulness of base, corrected by 12 labels: 1.000 [0.735, 1.000] (the judge alone 0.983)",
        "faithfulness of tuned: fewer than 10 labels, which correct nothing",
    ]
    assert audit(scores, dict.fromkeys(mine["base"][:9], True), PAGES) is None


def test_labels_of_one_page_say_nothing_of_the_others():
    scores = judged({("base", f"q{i}"): [True, i % 2 == 0] for i in range(30)})
    labels = {claim.key: claim.supported > 0.5 for claim in claims(scores)[:24]}
    base = corrected(claims(scores), labels, {f"q{i}": i >= 12 for i in range(30)})
    assert (base["low"], base["high"]) == (0.0, 1.0)


def test_the_exact_interval_is_clopper_and_pearson_s():
    for n, successes in ((3, 3), (10, 0), (10, 1), (25, 24), (40, 17), (5000, 4997)):
        oracle = stats.binomtest(successes, n).proportion_ci(0.95, "exact")
        assert exact_interval(successes, n) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


def test_the_corrected_mean_is_the_difference_estimate_of_double_sampling():
    """A judge who is too kind; a person has judged the first 100 of 400 statements, each of an answer of its own."""
    random = np.random.default_rng(0)
    person = random.random(400) < 0.6
    judge = person | (random.random(400) < 0.3)
    known = claims(judged({("base", f"q{i}"): [bool(said)] for i, said in enumerate(judge)}))
    labels = {claim.key: bool(said) for claim, said in zip(known[:100], person, strict=False)}
    result = corrected(known, labels, {f"q{i}": i for i in range(400)})
    gap = person[:100].astype(float) - judge[:100]
    assert result["value"] == pytest.approx(judge.mean() + gap.mean())
    error = np.sqrt(gap.var(ddof=1) / 100 + judge.var(ddof=1) / 400)
    assert result["high"] - result["value"] == pytest.approx(stats.t.ppf(0.975, 99) * error)
