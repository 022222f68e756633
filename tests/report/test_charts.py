"""Charts: each number stands where it belongs, and what is not known is told and not drawn."""

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gallery import charts, pairs, rounds
from minirag.report.charts.break_even import Costs, break_even
from minirag.report.charts.distributions import Arm, distributions
from minirag.report.charts.drawing import WIDTH, ticks
from minirag.report.charts.intervals import Interval, intervals
from minirag.report.charts.judge_rounds import judge_rounds
from minirag.report.charts.paired import Pair, paired
from minirag.report.charts.retrieval import retrieval
from minirag.report.charts.stage_costs import stage_costs
from minirag.report.charts.training_job import job_timeline, loss_curve

DRAWN = charts()
scores = st.one_of(st.none(), st.floats(0, 1))


def groups(svg: str, key: str) -> Iterator[ET.Element]:
    """The marks that carry this number."""
    return (element for element in ET.fromstring(svg).iter("g") if f"data-{key}" in element.attrib)


def written(svg: str) -> list[str]:
    """All text that is seen."""
    return [element.text or "" for element in ET.fromstring(svg).iter("text")]


def numbers(element: ET.Element, *keys: str) -> list[float]:
    return [float(element.attrib[key]) for key in keys]


@pytest.mark.parametrize("name", DRAWN)
def test_every_chart_is_a_picture_with_a_name_and_a_description_and_no_mark_outside(name: str) -> None:
    root = ET.fromstring(DRAWN[name])
    assert root.attrib["role"] == "img"
    assert [child.tag for child in root][:2] == ["title", "desc"]
    assert all(child.text for child in root[:2])
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    assert width == WIDTH
    for element in root.iter():
        for key, end in (("x", width), ("x1", width), ("x2", width), ("cx", width), ("y", height), ("cy", height)):
            if key in element.attrib:
                assert 0 <= float(element.attrib[key]) <= end, (name, element.attrib)
        if element.tag == "rect":
            x, y, wide, tall = numbers(element, "x", "y", "width", "height")
            assert (0 < wide <= width - x, 0 < tall <= height - y) == (True, True)


def test_names_from_outside_are_text_and_never_markup() -> None:
    hostile = '<script>alert(1)</script>"&\u202e\x00'
    drawn = [
        paired(hostile, [Pair(hostile, 0.1, 0.2)]),
        stage_costs(hostile, [(hostile, 1.0)], 1.0),
        job_timeline(hostile, [(hostile, 0.0)], 1.0),
        intervals(hostile, [Interval(hostile, 0.1, verdict=hostile)]),
        judge_rounds(hostile, [(hostile, [0.1, 0.2])]),
        distributions(hostile, [Arm(hostile, [0.1], 0.1)]),
        break_even(hostile, Costs(1.0, 0.1, 0.01), last=5, off=hostile, why=hostile),
    ]
    for svg in drawn:
        assert "script" not in {element.tag for element in ET.fromstring(svg).iter()}
        assert not re.search("[\u202e\x00]", svg)


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_are_few_even_round_and_inside(low: float, width: float, most: int) -> None:
    high = low + width
    found = ticks(low, high, most)
    assert len(found) <= most
    slack = 1e-6 * (abs(low) + width)
    assert all(low - slack <= tick <= high + slack for tick in found)
    steps = [b - a for a, b in pairwise(found)]
    for step in steps:
        assert step == pytest.approx(steps[0], rel=1e-3)
        assert f"{step:.0e}"[0] in "125"


@given(st.lists(st.tuples(scores, scores), max_size=30))
def test_paired_holds_every_scored_question_once_sorted_by_difference(values: list[tuple]) -> None:
    given_pairs = [Pair(f"q{number}", *both) for number, both in enumerate(values)]
    drawn = [
        (group.attrib["data-question"], *numbers(group, "data-first", "data-second"))
        for group in groups(paired("p", given_pairs), "question")
    ]
    assert sorted(drawn) == sorted(pair for pair in given_pairs if None not in pair)
    differences = [second - first for _, first, second in drawn]
    assert differences == sorted(differences)


@pytest.mark.parametrize("n", [1, 40, 500])
def test_paired_draws_both_scores_at_their_height_and_the_difference_below(n: int) -> None:
    svg = paired("p", pairs(n))
    places, bars = {}, {}
    for group in groups(svg, "question"):
        first, second = numbers(group, "data-first", "data-second")
        for score, circle in zip((first, second), group.iter("circle"), strict=True):
            places.setdefault(score, set()).add(circle.attrib["cy"])
        if first != second:
            (rect,) = group.iter("rect")
            bars[second - first] = float(rect.attrib["height"])
    assert all(len(heights) == 1 for heights in places.values())
    heights = {score: float(heights.pop()) for score, heights in places.items()}
    slopes = [(heights[a] - heights[b]) / (b - a) for a, b in pairwise(sorted(heights))]
    assert slopes == pytest.approx([slopes[0]] * len(slopes), rel=1e-3)
    units = [tall / abs(difference) for difference, tall in bars.items()]
    assert units == pytest.approx([units[0]] * len(units), rel=0.01)


def test_paired_counts_what_it_does_not_draw() -> None:
    svg = paired("p", [Pair("q1", 0.5, 1.0), Pair("q2", 0.5, 0.5), Pair("q3", 0.5, 0.25), Pair("q4", None, 1.0)])
    assert "1 better, 1 the same, 1 worse, 1 not scored" in written(svg)
    assert written(paired("p", [Pair("q", None, 1.0)] * 3)) == ["None of 3 questions was scored in both."]
    assert written(paired("p", [])) == ["There is no question."]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_distributions_count_every_score_once_and_in_its_part(values: list[float]) -> None:
    svg = distributions("d", [Arm("base", [*values, None], 0.5)])
    counts = {float(bar.attrib["data-low"]): int(bar.attrib["data-count"]) for bar in groups(svg, "count")}
    assert sum(counts.values()) == len(values)
    for low, count in counts.items():
        inside = [v for v in values if low - 1e-9 <= v < low + 0.05 - 1e-9 or (low == 0.95 and v >= 0.95)]
        assert count == len(inside)
    assert f"base: mean 0.500, n {len(values)}, 1 not scored" in written(svg)


def test_distributions_show_the_mean_they_are_given_and_its_interval() -> None:
    svg = distributions("d", [Arm("tuned", [0.2, 0.4], 0.3, -0.1, 0.7), Arm("teacher", [None], None)])
    (mean,) = groups(svg, "mean")
    assert numbers(mean, "data-mean", "data-mean-low", "data-mean-high") == [0.3, -0.1, 0.7]
    assert "teacher: no mean, n 0, 1 not scored" in written(svg)


def test_costs_are_as_long_as_they_are_large_and_an_unknown_price_has_no_bar() -> None:
    svg = stage_costs("c", [("draft", 1.0), ("refine", None), ("train", 4.0), ("embed", 0.0)], None)
    rows = {group.attrib["data-stage"]: group for group in groups(svg, "stage")}
    wide = {name: [float(rect.attrib["width"]) for rect in row.iter("rect")] for name, row in rows.items()}
    assert wide["train"][0] == pytest.approx(4 * wide["draft"][0], rel=1e-3)
    assert (wide["refine"], wide["embed"]) == ([], [])
    assert {name: row.attrib["data-usd"] for name, row in rows.items()} == {
        "draft": "1.0",
        "refine": "unknown",
        "train": "4.0",
        "embed": "0.0",
    }
    assert [text for text in written(svg) if "unknown" in text] == ["unknown", "total unknown"]


def test_the_curves_of_cost_meet_where_payback_says() -> None:
    svg = break_even("b", Costs(8.0, 0.75, 0.5), questions=32.0)
    lines = {}
    for group in groups(svg, "each"):
        (path,) = group.iter("polyline")
        lines[group.attrib["data-arm"]] = [tuple(map(float, p.split(","))) for p in path.attrib["points"].split()]
    (meeting,) = groups(svg, "questions")
    (dot,) = meeting.iter("circle")
    x, y = numbers(dot, "cx", "cy")
    for (x1, y1), (x2, y2) in lines.values():
        assert y1 + (y2 - y1) * (x - x1) / (x2 - x1) == pytest.approx(y, abs=0.05)


def test_the_tuned_model_s_line_ends_on_the_day_it_is_switched_off() -> None:
    svg = break_even("b", Costs(8.0, 0.75, 0.5), questions=32.0, last=40, off="2027-01-14")
    ends = {group.attrib["data-arm"]: float(group.attrib["data-ends"]) for group in groups(svg, "each")}
    assert ends == {"teacher": 64, "tuned": 40}
    assert "off 2027-01-14" in written(svg)


def test_hosting_is_part_of_a_question_s_price() -> None:
    svg = break_even("b", Costs(8.0, 0.75, 0.25, 0.25), questions=32.0)
    assert {group.attrib["data-arm"]: float(group.attrib["data-each"]) for group in groups(svg, "each")} == {
        "teacher": 0.75,
        "tuned": 0.5,
    }


@pytest.mark.parametrize("unknown", range(4))
def test_no_curve_is_drawn_from_a_price_that_is_not_known(unknown: int) -> None:
    prices = [8.0, 0.75, 0.5, 0.1]
    prices[unknown] = None
    assert written(break_even("b", Costs(*prices))) == ["A price is not known."]


def test_retrieval_counts_ranks_and_adds_them_up() -> None:
    svg = retrieval("r", [1, 1, 2, None, 3], 3)
    assert [(g.attrib["data-rank"], g.attrib["data-count"]) for g in groups(svg, "rank")] == [
        ("1", "2"),
        ("2", "1"),
        ("3", "1"),
        ("none", "1"),
    ]
    assert [text for text in written(svg) if "%" in text] == [
        "2 (40.0 % so far)",
        "1 (60.0 % so far)",
        "1 (80.0 % so far)",
    ]


def test_a_job_s_states_follow_each_other_without_gap_to_its_end() -> None:
    svg = job_timeline("j", [("queued", 100.0), ("running", 160.0)], 7360.0)
    assert [(g.attrib["data-state"], *numbers(g, "data-start", "data-end")) for g in groups(svg, "state")] == [
        ("queued", 100.0, 160.0),
        ("running", 160.0, 7360.0),
    ]
    assert [text for text in written(svg) if text[0].isdigit()] == ["1 min", "2 h"]


def test_a_loss_curve_has_every_point_in_the_order_of_steps() -> None:
    svg = loss_curve("l", [(2, 1.0), (1, 2.0)], [(2, 1.5)])
    points = [(g.attrib["data-series"], *numbers(g, "data-step", "data-loss")) for g in groups(svg, "step")]
    assert points == [("training", 1, 2.0), ("training", 2, 1.0), ("validation", 2, 1.5)]


def test_judge_rounds_stand_from_the_steadiest_question_to_the_moodiest() -> None:
    given_rounds = rounds(40)
    drawn = [
        (g.attrib["data-question"], list(map(float, g.attrib["data-rounds"].split())))
        for g in groups(judge_rounds("r", given_rounds), "question")
    ]
    known = {name: [score for score in each if score is not None] for name, each in given_rounds}
    assert dict(drawn) == {name: each for name, each in known.items() if len(each) > 1}
    spans = [max(each) - min(each) for _, each in drawn]
    assert spans == sorted(spans)


def test_intervals_share_one_axis_with_nought_in_it() -> None:
    rows = [Interval("round 1", 0.2, 0.1, 0.3), Interval("round 2", 0.4, 0.3, 0.5), Interval("round 3", None)]
    svg = intervals("i", rows)
    assert "0" in written(svg)
    places = [float(c.attrib["cx"]) for g in groups(svg, "difference") for c in g.iter("circle")]
    ends = [numbers(one, "x1", "x2") for g in groups(svg, "low") for one in g.iter("line")]
    assert [math.fsum(pair) / 2 for pair in ends] == pytest.approx(places, abs=0.01)
    assert ends[0][1] == ends[1][0]
