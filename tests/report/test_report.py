"""The report of a run: the numbers of its files, whatever the data, in one file that loads and runs nothing."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from made_results import made
from minirag.cli.main import main
from minirag.metrics.score import Score, Scores
from minirag.report import report_html
from minirag.report.results import worst_losses
from payloads import ESCAPES, markup
from run_files import SAMPLE

SIZE = ["--train-questions", "12", "--eval-questions", "6", "--context-window", "1200", "--rounds", "2", "--control"]
METRICS = ("faithfulness", "answer_relevancy")
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')
PRICES = """[models]
"offline" = { input = 1.0, output = 4.0 }
"offline-teacher" = { input = 50.0, output = 90.0 }
"ft:offline" = { input = 2.0, output = 8.0, training = 0.2 }
"""
WHY = [f"Why {number}?" for number in range(20)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run over the sample report, with a control arm, two rounds and prices of the embedded models."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "prices.toml").write_text(PRICES)
    options = ["--prices", str(folder / "prices.toml"), "--out", str(folder / "out")]
    assert main(["run", str(SAMPLE), "--offline", *SIZE, *options]) == 0
    return folder / "out"


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text("utf-8")


def parsed(page: str) -> ET.Element:
    """What a page shows: well-formed XML, which a text that is not escaped would break."""
    return ET.fromstring(page[page.index("<main>") : page.index("</main>") + len("</main>")])


def rows_of(page: str) -> list[list[str]]:
    """The rows of all tables as lists of text."""
    return [["".join(cell.itertext()) for cell in row] for row in parsed(page).iter("tr")]


def test_every_comparison_stands_in_the_card_and_every_mean_below(page, folder):
    comparison = json.loads((folder / "comparison.json").read_text("utf-8"))
    rows = rows_of(page)
    cells = [cell for row in rows[1:3] for cell in row[1:]]
    assert len(cells) == 6
    for name, metric in comparison["metrics"].items():
        for pair in (metric, metric["tuned_against_teacher"], metric["tuned_against_control"]):
            interval = f"[{pair['low']:+.3f}, {pair['high']:+.3f}]"
            start = f"{pair['verdict']} {pair['difference']:+.3f} {interval} {pair['n']} pairs"
            assert any(cell.startswith(start) and pair["why"] in cell for cell in cells), start
        assert [name.replace("_", " "), *(f"{arm['mean']:.3f} n 6" for arm in metric["arms"].values())] in rows
    assert ["ragas score (harmonic mean)", *(f"{mean:.3f}" for mean in comparison["ragas_score"].values())] in rows


def test_every_question_has_its_mean_scores_and_every_score_its_evidence(folder, page):
    scores, rows = Scores.read(folder / "scores.jsonl"), rows_of(page)
    ids = re.findall(r'<tbody id="question-(\w+)">', page)
    assert len(ids) == 6
    for column, metric in enumerate(METRICS, 1):
        pairs = zip(scores.of("base", metric, ids), scores.of("tuned", metric, ids), strict=True)
        expected = [f"{a.value:.3f} → {b.value:.3f} ({b.value - a.value:+.3f})" for a, b in pairs]
        assert [row[column] for row in rows if len(row) == 3 and "→" in row[1]] == expected
    details = page[page.index("<h2>Questions") : page.index("<h2>Money")]
    for row in scores:
        round_name = f", round {row.round + 1}" if row.round else ""
        assert f"<p>{row.metric.replace('_', ' ')}{round_name}: {row.score.value:.3f}</p>" in details
    reasons = [item["reason"] for row in scores for item in row.score.evidence if item.get("reason")]
    assert reasons
    assert all(reason.replace("'", "&#x27;") in details for reason in reasons)


def test_the_bill_is_that_of_costs_json_and_settings_and_hashes_those_of_run_json(folder, page):
    costs, facts = (json.loads((folder / name).read_text()) for name in ("costs.json", "run.json"))
    rows = rows_of(page)
    assert page.count(costs["payback"]) == 1
    bill = [row for row in rows if len(row) == 10 and row[3].replace(",", "").isdigit()]
    assert [row[:3] for row in bill] == [[line["stage"], line["arm"], line["model"]] for line in costs["lines"]]
    assert [int(row[5].replace(",", "")) for row in bill] == [line["input_tokens"] for line in costs["lines"]]
    assert rows[rows.index(bill[-1]) + 1][-1] == f"${costs['total_usd']:.2f}"
    assert ["context window", "1200"] in rows
    assert all([f"sha256 of {name}", digest] in rows for name, digest in facts["documents"].items())
    assert all([f"{model} served as", ", ".join(names)] in rows for model, names in facts["models_served"].items())


def test_the_page_names_no_address_and_its_policy_allows_its_own_style_and_script_alone(page):
    policy = POLICY.search(page)
    assert policy
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/=]+'; script-src 'sha256-[\w+/=]+'; base-uri 'none'; "
        r"form-action 'none'",
        policy[1],
    )
    assert page.count("<script") == 1
    assert not re.search(r"\bsrc=|\bhref=(?!\"#)|url\(|@import|\bstyle=|\bon\w+=", page)


def test_text_from_outside_never_becomes_an_element():
    planted = markup("http://127.0.0.1:9")
    page = report_html(made(planted, names=planted[0], scored=False))
    plain = report_html(made(["plain"], names="plain", scored=False))
    assert {one.tag for one in parsed(page).iter()} == {one.tag for one in parsed(plain).iter()}
    assert not re.search("<(img|iframe|object|embed|link|base|form|input|svg)", page)
    assert page.count("<script") == plain.count("<script") == 1


@pytest.mark.parametrize("text", ESCAPES)
def test_controls_and_direction_marks_are_shown_by_their_codes(text):
    page = report_html(made([text], names=text, scored=False))
    assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]", page)
    assert "\\u{" in page


def test_all_unscored_shows_no_number_and_every_reason():
    page = report_html(made(WHY, scored=False))
    assert ["faithfulness", *["– n 0, 20 unscored"] * 3] in rows_of(page)
    assert "None of 20 questions is scored in both." in page
    assert "Why answers are unscored, and in no mean" in page
    assert all(f"faithfulness, base: 1 × {text}" in page for text in WHY)


@pytest.mark.parametrize("scored", [True, False])
def test_without_a_tuned_arm_the_report_says_why_and_compares_nothing(scored):
    page = report_html(made(WHY, arms=("base", "teacher"), scored=scored))
    assert "There is no tuned model to compare: no job" in page
    assert "tuned minus" not in page
    assert "Where the tuned model lost most" not in page
    columns = [f"{metric.replace('_', ' ')}, {arm}" for metric in METRICS for arm in ("base", "teacher")]
    assert ["question", *columns] in rows_of(page)


def test_an_unknown_price_is_never_shown_as_nothing():
    page = report_html(made(WHY, usd=None))
    assert "$" not in page[page.index("</style>") :]
    assert "base unknown, tuned unknown, teacher unknown" in page


def lost(points: Mapping[str, float]) -> str:
    """The worst losses where the teacher scores 1, and the tuned model so much less in faithfulness."""
    results, scores = made(WHY[:8]), Scores()
    for row in results.scores:
        loss = points.get(row.question_id, 0.0) if (row.arm, row.metric) == ("tuned", "faithfulness") else 0.0
        evidence = ({"statement": f"claim of {row.question_id}", "supported": not loss, "reason": "not said"},)
        scores.append(replace(row, score=Score(1.0 - loss, "", evidence)))
    return worst_losses(replace(results, scores=scores))


def test_the_five_largest_losses_come_first_with_the_statement_that_nothing_supports():
    part = lost({f"e{n}": n / 10 for n in range(8)})
    assert re.findall(r"#question-(e\d)", part) == ["e7", "e6", "e5", "e4", "e3"]
    assert "faithfulness -0.700, answer relevancy +0.000" in part
    assert "<bdi>claim of e7</bdi> (not said)" in part
    assert "claim of e2" not in part
    assert "It scored below the teacher in no question." in lost({})
