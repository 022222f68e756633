"""A person against the judge: agreement, and means and differences corrected by a sample of labelled statements."""

from pathlib import Path

import numpy as np
import pytest

from minirag.evaluation import ScoredRow, Scores
from minirag.metrics import Score
from minirag.statistics.agreement import agreement
from minirag.statistics.audit import audit
from minirag.statistics.labels import claims, read_labels, sample, write_labels

Verdicts = dict[tuple[str, str], list[bool]]


def judged(verdicts: Verdicts) -> Scores:
    """Scores whose evidence are the verdicts of each (arm, question)."""
    return Scores(
        ScoredRow(question, arm, "faithfulness", 0, Score(sum(said) / len(said), "", evidence(arm, question, said)))
        for (arm, question), said in verdicts.items()
    )


def evidence(arm: str, question: str, said: list[bool]) -> tuple[dict[str, object], ...]:
    return tuple({"statement": f"{arm} {question} {i}", "supported": yes} for i, yes in enumerate(said))


def test_the_weights_of_an_arm_s_statements_make_up_its_mean() -> None:
    scores = judged(
        {("base", "q1"): [True, False], ("base", "q2"): [True, True, False, False], ("tuned", "q1"): [True]}
    )
    for arm in ("base", "tuned"):
        mine = [claim for claim in claims(scores) if claim.arm == arm]
        assert sum(c.weight * c.supported for c in mine) == pytest.approx(scores.mean(arm, "faithfulness")[0])
        assert sum(c.weight for c in mine) == pytest.approx(1.0)


def test_a_statement_that_two_rounds_make_is_one_claim() -> None:
    two = [
        Score(1.0, "", ({"statement": "A.", "supported": True},)),
        Score(0.0, "", ({"statement": "A.", "supported": False},)),
    ]
    scores = Scores(ScoredRow("q", "base", "faithfulness", number, score) for number, score in enumerate(two))
    (claim,) = claims(scores)
    assert (claim.supported, claim.weight) == (0.5, 1.0)


def test_a_sample_is_random_over_the_arms_and_begins_with_the_smaller_one() -> None:
    known = claims(judged({(arm, f"q{i}"): [True] * 3 for arm in ("base", "tuned", "teacher") for i in range(40)}))
    drawn = sample(known, 90)
    assert drawn[:30] == sample(known, 30)
    assert sample(known, 30, seed=1) != drawn[:30]
    shares = [sum(claim.arm == arm for claim in drawn) for arm in ("base", "tuned", "teacher")]
    assert min(shares) > 15


def test_labels_survive_the_folder_and_skipped_ones_say_nothing(tmp_path: Path) -> None:
    labels = {("q1", "base", "A “quoted” statement."): True, ("q1", "tuned", "B."): None}
    write_labels(tmp_path, labels)
    assert read_labels(tmp_path) == labels
    assert audit(judged({("base", "q1"): [True]}), labels, {"q1": 1}) is None


def test_agreement_is_that_of_the_labelled_statements() -> None:
    random = np.random.default_rng(3)
    verdicts = {(arm, f"q{i}"): (random.random(3) < 0.7).tolist() for arm in ("base", "tuned") for i in range(20)}
    scores = judged(verdicts)
    person = {c.key: bool(random.random() < 0.8) == (c.supported > 0.5) for c in sample(claims(scores), 50)}
    found = audit(scores, person, {f"q{i}": i for i in range(20)})
    labelled = [c for c in claims(scores) if c.key in person]
    pages = [c.question_id for c in labelled]
    oracle = agreement([c.supported > 0.5 for c in labelled], [person[c.key] for c in labelled], clusters=pages)
    assert found is not None
    assert found.agreement == oracle


def test_a_judge_that_favours_the_tuned_model_is_found_out_and_the_corrected_interval_holds_the_truth() -> None:
    """The judge calls a quarter of the tuned model's unsupported statements supported; in truth the arms are equal."""
    covered, biased, wide = [], [], []
    for seed in range(200):
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
        means = [judged(truth).mean(arm, "faithfulness")[0] or 0.0 for arm in ("base", "tuned")]
        covered.append(difference.corrected.holds(0.0))
        biased.append(difference.judge.value - (means[1] - means[0]))
        wide.append((difference.corrected.error or 0.0) / (difference.person.error or 1.0))
    assert np.mean(biased) > 0.05
    assert 0.92 <= np.mean(covered) <= 0.99
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
    assert difference.corrected.high == pytest.approx(2 * (1 - 0.025 ** (1 / 20)))
