"""Where a difference comes from: split by label, and by length."""

import numpy as np
import pytest
from scipy import stats

from minirag.comparison import compare
from minirag.errors import InputError
from minirag.statistics.attribution import by_label, in_words, label_contrast, length_effect
from minirag.statistics.regression import clustered_line


def test_each_label_gets_the_comparison_of_its_questions() -> None:
    random = np.random.default_rng(1)
    base, tuned, pages = list(random.random(30)), list(random.random(30)), [i // 3 for i in range(30)]
    refined = [i % 2 == 0 for i in range(30)]
    split = by_label(base, tuned, refined, clusters=pages)
    assert list(split) == [True, False]
    assert split[True] == compare(base[::2], tuned[::2], clusters=pages[::2])
    total = sum(result.n * result.difference for result in split.values()) / 30
    assert total == pytest.approx(compare(base, tuned).difference)


def test_the_contrast_of_two_labels_is_welch_s_difference_where_each_question_is_its_own_cluster() -> None:
    random = np.random.default_rng(2)
    tuned = random.normal(0, 1, 24)
    labels = ["a"] * 9 + ["b"] * 15
    contrast = label_contrast([0.0] * 24, list(tuned), labels, "a")
    welch = stats.ttest_ind(tuned[:9], tuned[9:], equal_var=False)
    assert contrast.value == pytest.approx(tuned[:9].mean() - tuned[9:].mean())
    assert contrast.value / contrast.error == pytest.approx(welch.statistic, abs=1e-9)


def test_unscored_questions_do_not_enter() -> None:
    scores = [0.5, 0.5, 0.5, None, 0.5, 0.5], [0.6, 0.5, 0.7, 0.9, 0.4, 0.5]
    with_gap = label_contrast(*scores, list("aababb"), "a")
    without = label_contrast([0.5] * 5, [0.6, 0.5, 0.7, 0.4, 0.5], list("aabbb"), "a")
    assert with_gap == without


def test_the_parts_of_a_length_effect_add_up_and_equal_length_has_none() -> None:
    random = np.random.default_rng(3)
    lengths = random.integers(20, 200, (2, 40))
    base, tuned = random.random((2, 40))
    effect = length_effect(list(base), list(tuned), list(lengths[0]), list(lengths[1]))
    assert effect.difference.value == pytest.approx(effect.with_length.value + effect.at_equal_length.value)
    assert effect.doublings == pytest.approx(np.mean(np.log2(lengths[1]) - np.log2(lengths[0])))
    swapped = length_effect(list(tuned), list(base), list(lengths[1]), list(lengths[0]))
    assert swapped.at_equal_length.value == pytest.approx(-effect.at_equal_length.value)


def test_an_arm_that_is_better_only_by_being_shorter_is_seen_through() -> None:
    lengths = [10, 20, 40, 80, 160, 320, 15, 30]
    tuned = [0.51 + 0.1 * np.log2(320 / length) for length in lengths]
    effect = length_effect([0.5] * 8, tuned, [320] * 8, lengths)
    assert effect.mostly_length
    assert effect.slope.value == pytest.approx(-0.1)
    assert in_words(effect) == (
        "of +0.295, +0.285 goes with length (answers 0.14 times as long); at equal length +0.010 [+0.010, +0.010]"
    )


def test_answers_all_changed_alike_cannot_be_split_by_length() -> None:
    assert length_effect([0.5] * 4, [0.6, 0.7, 0.5, 0.6], [80] * 4, [40] * 4) is None


def test_an_empty_answer_has_a_length_too() -> None:
    assert length_effect([0.5] * 4, [0.6, 0.7, 0.5, 0.6], [80] * 4, [0, 40, 80, 60]) is not None


def test_labels_and_lengths_must_be_one_a_question() -> None:
    with pytest.raises(InputError, match="2 questions by 1 labels"):
        by_label([0.1, 0.2], [0.1, 0.2], ["a"])
    with pytest.raises(InputError, match="pair 1 scores with 2"):
        length_effect([0.1, 0.2], [0.1, 0.2], [1], [1, 2])


def test_a_label_that_one_page_alone_has_is_not_contrasted() -> None:
    pages = ["p1", "p1", "p2", "p2", "p3", "p3"]
    labels = ["not retrieved"] * 2 + ["retrieved"] * 4
    assert label_contrast([0.5] * 6, [0.9, 0.8, 0.6, 0.5, 0.4, 0.5], labels, "retrieved", clusters=pages) is None


def test_a_line_that_one_page_decides_has_no_interval_there() -> None:
    x, y = np.array([0.0, 0.0, 1.0, 1.0, 1.0]), np.array([0.0, 0.0, 0.2, 0.4, 0.3])
    line = clustered_line(x, y, ["p1", "p1", "p2", "p3", "p4"])
    assert line is not None
    assert (line[0].value, line[0].low) == (pytest.approx(0.0, abs=1e-12), None)
