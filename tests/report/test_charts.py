"""Charts: each number stands where it belongs, and what is unknown is said and not drawn."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given, strategies as st

from minirag.report.charts import WIDTH, differences, paired

SCORES = st.one_of(st.none(), st.floats(0, 1))


def tooltips(svg: str) -> list[str]:
    """What a mouse over each mark shows, in order."""
    return [title.text or "" for group in ET.fromstring(svg).iter("g") for title in group.iter("title")]


def rows(*values: tuple[float | None, float | None, float | None, str]) -> dict[str, dict[str, Any]]:
    names = ("difference", "low", "high", "verdict")
    return {f"arm {i}": dict(zip(names, row, strict=True)) for i, row in enumerate(values)}


DIFFERENCES = rows((0.2, 0.1, 0.3, "better"), (-0.4, -0.5, -0.3, "worse"), (None, None, None, "cannot tell"))
MANY = {f"q{i}": (i * 7 % 9) / 8 for i in range(500)}, {f"q{i}": (i * 5 % 9) / 8 for i in range(500)}
DRAWN = {
    "differences": differences("d", DIFFERENCES),
    "one question": paired("p", {"q": 0.0}, {"q": 1.0}),
    "500 questions": paired("p", *MANY),
}


@pytest.mark.parametrize("name", DRAWN)
def test_every_chart_has_a_name_and_a_description_and_no_mark_outside(name):
    root = ET.fromstring(DRAWN[name])
    assert root.attrib["role"] == "img"
    assert [child.tag for child in root][:2] == ["title", "desc"]
    assert all(child.text for child in root[:2])
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    assert width == WIDTH
    for element in root.iter():
        for key, end in (("x", width), ("x1", width), ("x2", width), ("cx", width), ("y", height), ("cy", height)):
            assert 0 <= float(element.attrib.get(key, 0)) <= end


@given(st.lists(st.tuples(SCORES, SCORES), max_size=30))
def test_paired_draws_every_scored_question_once_sorted_by_difference(values):
    first, second = ({f"q{i}": pair[side] for i, pair in enumerate(values)} for side in (0, 1))
    drawn = paired("p", first, second)
    scored = {id: (one, second[id]) for id, one in first.items() if one is not None and second[id] is not None}
    if all(one == two for one, two in scored.values()):
        assert not drawn.startswith("<svg")
        return
    about = {f"{q}: base {a:.3f}, tuned {b:.3f}, difference {b - a:+.3f}": b - a for q, (a, b) in scored.items()}
    lines = tooltips(drawn)
    assert sorted(lines) == sorted(about)
    assert [about[line] for line in lines] == sorted(about.values())


def test_paired_draws_scores_at_their_height_and_counts_what_it_does_not_draw():
    first = {"q1": 0.5, "q2": 0.5, "q3": 0.5, "q4": None}
    drawn = paired("p", first, {"q1": 1.0, "q2": 0.5, "q3": 0.25, "q4": 1.0})
    heights = [float(circle.attrib["cy"]) for g in ET.fromstring(drawn).iter("g") for circle in g.iter("circle")]
    scores = [0.5, 0.25, 0.5, 0.5, 0.5, 1.0]
    assert heights == pytest.approx([178 - 150 * score for score in scores])
    assert "1 better, 1 the same, 1 worse, 1 unscored" in drawn
    assert paired("p", {"q": None}, {"q": 1.0}) == "None of 1 questions is scored in both."


def test_differences_share_one_axis_with_zero_and_an_interval_is_around_its_mark():
    groups = list(ET.fromstring(DRAWN["differences"]).iter("g"))
    places = [float(circle.attrib["cx"]) for group in groups for circle in group.iter("circle")]
    ends = [[float(one.attrib[key]) for key in ("x1", "x2")] for group in groups for one in group.iter("line")]
    assert [sum(pair) / 2 for pair in ends] == pytest.approx(places, abs=0.01)
    lines = ET.fromstring(DRAWN["differences"]).iter("line")
    (zero,) = (float(one.attrib["x1"]) for one in lines if one.attrib["class"] == "zero")
    assert places[1] < ends[1][1] < zero < ends[0][0] < places[0]
    assert "arm 0: +0.200 [+0.100, +0.300], better" in DRAWN["differences"]
    assert differences("d", rows((0.0, 0.0, 0.0, "cannot tell"))) == "The same in every question."
    assert differences("d", rows((None, None, None, "cannot tell"))) == "Nothing was scored."
