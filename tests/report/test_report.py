"""The report of a run: the numbers of its files and no others, whatever the data, on every screen."""

import csv
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from browser import SCHEMES, SIZES, Browser
from gallery import ARABIC, CHINESE, LONG, UNBROKEN
from made_results import made
from minirag.cli.main import main
from minirag.evaluation import Scores
from minirag.report import html
from minirag.report.results import Results

ROOT = Path(__file__).parents[2]
SAMPLE = str(ROOT / "minirag" / "data" / "sample-report.pdf")
TEN_K = ROOT.parent / "shared" / "nvidia-10k"
SIZE = ["--train-questions", "12", "--eval-questions", "6", "--context-window", "1200", "--rounds", "2", "--control"]
LIMIT = 1_500_000


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the embedded models would cost if they cost something."""
    path = tmp_path_factory.mktemp("prices") / "prices.toml"
    path.write_text(
        '[models."offline"]\ninput = 1.0\noutput = 4.0\n[models."offline-teacher"]\ninput = 50.0\noutput = 90.0\n'
        '[models."ft:offline"]\ninput = 2.0\noutput = 8.0\ntraining = 0.2\n'
    )
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, prices: Path) -> Path:
    """A finished run over the sample report, with a control arm, two rounds and prices."""
    out = tmp_path_factory.mktemp("run") / "out"
    assert main(["run", SAMPLE, "--offline", *SIZE, "--prices", str(prices), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def ten_k(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of 200 questions about the article's filing."""
    if not TEN_K.is_dir():
        pytest.skip("the 10-K is not beside the project")
    out = tmp_path_factory.mktemp("filing")
    document = str(TEN_K / "nvidia-sec-10k-2022.pdf")
    assert main(["run", document, "--offline", "--eval-questions", "200", "--out", str(out)]) == 0
    return (out / "report.html").read_text("utf-8")


class Walk(HTMLParser):
    """Every element's name, attributes and own text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[list[str]] = []
        self.feed(page)

    def handle_starttag(self, name: str, given: list[tuple[str, str | None]]) -> None:
        content: list[str] = []
        self.found.append((name, {key: value or "" for key, value in given}, content))
        if name not in {"meta", "input"}:
            self._open.append(content)

    def handle_endtag(self, _: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for content in self._open[-1:]:
            content.append(data)

    def with_data(self, *names: str) -> Iterator[tuple[dict[str, str], str]]:
        """Attributes and text of the elements that have all of these `data-` attributes, in order."""
        for _, given, content in self.found:
            if all(f"data-{name}" in given for name in names):
                yield given, "".join(content)


def looked_up(folder: Path, place: str) -> Any:
    """The value at `file#/a/0`, found as a reader would."""
    name, pointer = place.split("#")
    value: Any = rows(folder / name) if name.endswith("l") else json.loads((folder / name).read_bytes())
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def shown(told: str) -> float:
    return float(told.replace("$", "").replace(",", ""))


# -- the numbers -------------------------------------------------------------------------------------------


def test_every_number_with_a_place_is_the_one_that_stands_there(folder: Path, page: str) -> None:
    places = list(Walk(page).with_data("at"))
    assert len(places) > 150
    for given, told in places:
        value = looked_up(folder, given["data-at"])
        if "value" not in given:
            assert told == value
        elif value is None:
            assert (given["value"], told in {"–", "unknown"}) == ("", True)
        else:
            assert float(given["value"]) == value
            assert told == "<0.001" or abs(shown(told) - value) <= max(0.0005, abs(value) / 100)


def test_all_scores_and_means_differences_intervals_and_sums_are_in_the_report(folder: Path, page: str) -> None:
    places = {given["data-at"] for given, _ in Walk(page).with_data("at")}
    assert {f"scores.jsonl#/{line}/value" for line in range(len(rows(folder / "scores.jsonl")))} <= places
    comparison = json.loads((folder / "comparison.json").read_text())
    for metric, found in comparison["metrics"].items():
        start = f"comparison.json#/metrics/{metric}"
        assert {f"{start}/arms/{arm}/mean" for arm in found["arms"]} <= places
        for pair in ("", "/tuned_against_teacher", "/tuned_against_control"):
            assert {f"{start}{pair}/{name}" for name in ("difference", "low", "high", "n", "verdict")} <= places
    lines = json.loads((folder / "costs.json").read_text())["lines"]
    assert {f"costs.json#/lines/{line}/usd" for line in range(len(lines))} | {"costs.json#/total_usd"} <= places


def test_the_table_and_the_charts_hold_the_mean_scores_of_both_rounds(folder: Path, page: str) -> None:
    scores, walk = Scores.read(folder / "scores.jsonl"), Walk(page)
    ids = [row["id"] for row in rows(folder / "questions.jsonl") if row["split"] == "eval"]
    values = {
        (arm, metric): dict(zip(ids, scores.values(arm, metric, ids), strict=True))
        for arm in ("base", "control", "tuned", "teacher")
        for metric in ("faithfulness", "answer_relevancy")
    }
    sticks = [
        (given["data-question"], float(given["data-first"]), float(given["data-second"]))
        for given, _ in walk.with_data("question", "first")
    ]
    expected = [
        (id, value, values["tuned", metric][id])
        for metric in ("faithfulness", "answer_relevancy")
        for arm in ("base", "teacher")
        for id, value in values[arm, metric].items()
    ]
    assert sorted(sticks) == sorted(expected)
    cells: dict[str, list[str]] = {}
    for name, given, content in walk.found:
        if given.get("id", "").startswith("question-"):
            cells[given["id"].removeprefix("question-")] = told = []
        elif name == "td" and "data-column" in given:
            told.append("".join(content))
    assert sorted(cells) == sorted(ids)
    for id, (faithful, gained, relevant, more, _) in cells.items():
        pairs = [
            [values[arm, metric][id] for arm in ("base", "tuned")] for metric in ("faithfulness", "answer_relevancy")
        ]
        assert [faithful, relevant] == [f"{first:.3f} → {second:.3f}" for first, second in pairs]
        assert [gained, more] == [f"{second - first:+.3f}" for first, second in pairs]


def test_the_stages_sum_up_to_the_bill_and_the_answers_to_what_one_costs(folder: Path, page: str) -> None:
    costs, walk = json.loads((folder / "costs.json").read_text()), Walk(page)
    stages = {given["data-stage"]: float(given["data-usd"]) for given, _ in walk.with_data("stage", "usd")}
    assert sum(stages.values()) == pytest.approx(costs["total_usd"])
    assert stages["verdicts"] == pytest.approx(
        sum(line["usd"] for line in costs["lines"] if line["stage"] == "verdicts")
    )
    meeting = [float(given["data-questions"]) for given, _ in walk.with_data("questions")]
    assert meeting == [costs["break_even_questions"]]
    told = re.findall(r"<h3>teacher <small>\d calls?, \$([\d.]+)", page)
    assert sum(map(float, told)) / len(told) == pytest.approx(costs["usd_per_question"]["teacher"], rel=0.01)


def test_a_second_report_is_the_same_byte_for_byte_and_follows_from_the_log(
    folder: Path, prices: Path, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "--prices", str(prices), "--out", str(folder)]) == 0
    assert (folder / "report.html").read_text("utf-8") == page
    capsys.readouterr()
    assert main(["verify", str(folder), "--prices", str(prices), "--json"]) == 0
    assert "report.html" in json.loads(capsys.readouterr().out)["same"]


def test_the_tables_are_written_where_they_are_asked_for_and_hold_the_scores(
    folder: Path, prices: Path, page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shutil.copytree(folder, tmp_path / "out")
    options = ["--prices", str(prices), "--out", str(out)]
    assert main(["report", *options, "--format", "csv"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"table: {out / 'scores.csv'}"
    with (out / "scores.csv").open(newline="") as file:
        written = [(row["question_id"], row["arm"], float(row["value"])) for row in csv.DictReader(file)]
    assert written == [(row["question_id"], row["arm"], row["value"]) for row in rows(folder / "scores.jsonl")]
    assert main(["report", *options, "--format", "md"]) == 0
    assert "## Comparison" in (out / "report.md").read_text("utf-8")
    assert (out / "report.html").read_text("utf-8") == page


# -- what people see ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", SIZES)
def test_the_report_of_the_sample_is_quiet_alone_accessible_and_fits(
    page: str, browser: Browser, size: str, scheme: str
) -> None:
    _is_fit(page, browser, size, scheme)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", SIZES)
def test_so_is_that_of_200_questions_about_the_filing_and_within_the_limit(
    ten_k: str, browser: Browser, size: str, scheme: str
) -> None:
    assert len(ten_k.encode()) < LIMIT
    _is_fit(ten_k, browser, size, scheme)


def _is_fit(page: str, browser: Browser, size: str, scheme: str) -> None:
    with browser.open(page, size=size, scheme=scheme) as opened:
        opened.clean()
        for picture in opened.page.locator("svg").all():
            assert picture.bounding_box()["width"] >= 300
        opened.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        assert opened.overflow() == 0


def test_search_and_filter_find_questions(page: str, browser: Browser) -> None:
    with browser.open(page) as opened:
        search, shown = opened.page.get_by_label("Search"), opened.page.locator(".questions tbody:visible")
        search.fill("e003")
        assert shown.count() == 1
        opened.page.get_by_role("button", name="Reset").click()
        choice = opened.page.get_by_label("Show")
        for option in choice.locator("option").all():
            choice.select_option(option.get_attribute("value"))
            assert f"({shown.count()})" in option.text_content()


def test_without_javascript_everything_is_there(page: str, browser: Browser) -> None:
    with browser.open(page, script=False) as opened:
        assert opened.page.locator(".questions tbody:visible").count() == 6
        opened.page.locator(".questions summary").first.click()
        first = opened.page.locator(".questions details").first
        assert first.locator("blockquote:visible").count() == 4
        first.locator("a").first.click()
        target = first.locator("a").first.get_attribute("href").removeprefix("#")
        assert opened.page.locator(f"[id='{target}']").is_visible()
        assert opened.asked == []


def test_the_parts_stand_in_reading_order(page: str) -> None:
    assert re.findall("<h2>(.*?)</h2>", page) == [
        "The tuned model against the teacher",
        "The tuned model against the untrained model",
        "The tuned model against the untrained model with a better prompt",
        *("Every question", "How the scores spread", "Questions", "Money", "Retrieval", "Training"),
        *("The judge&#x27;s noise", "Reasons for caution", "Passages", "About this run"),
    ]


# -- any data ----------------------------------------------------------------------------------------------

MANY = [f"By how much did fares rise in year {number}?" for number in range(500)]
ODD = [LONG[:600], LONG[:5000], CHINESE, ARABIC, UNBROKEN, "", "<b>&amp;</b>"]
CASES: Mapping[str, Results] = {
    "one question": made(MANY[:1]),
    "200 questions": made(MANY[:200]),
    "500 questions": made(MANY),
    "odd texts": made(ODD),
    "all unscored": made(MANY[:20], scored=False),
    "no tuned arm": made(MANY[:20], arms=("base", "teacher")),
    "all unscored and no tuned arm": made(MANY[:3], arms=("base", "teacher"), scored=False),
    "unknown prices": made(MANY[:20], usd=None),
    "three rounds": made(MANY[:20], rounds=3),
}


@pytest.mark.parametrize("case", CASES)
def test_any_data_makes_a_readable_page(case: str, browser: Browser) -> None:
    results = CASES[case]
    with browser.open(html(results), size="narrow") as opened:
        opened.clean()
        assert opened.page.locator(".questions tbody:visible").count() == len(results.questions)


def test_a_run_without_questions_says_so() -> None:
    told = html(made([]))
    assert "There is no question." in told
    assert "<script" not in told


def test_where_there_is_no_room_passages_are_cut_and_what_is_left_out_is_said() -> None:
    told = html(made([f"{text} {LONG[:4000]}" for text in MANY[:200]]))
    left_out = [int(n.replace(",", "")) for n in re.findall(r"… and ([\d,]+) characters: chunks.jsonl", told)]
    assert len(left_out) == 200
    passages = re.findall(r'<blockquote id="passage-[^>]*>(.*?)</blockquote>', told)
    assert {len(shown) + more for shown, more in zip(passages, left_out, strict=True)} <= {
        len(f"{text} {LONG[:4000]}") for text in MANY[:200]
    }


def test_all_unscored_shows_no_number_and_every_reason() -> None:
    told = html(CASES["all unscored"])
    assert {text for given, text in Walk(told).with_data("at") if given["data-at"].endswith("/mean")} == {"–"}
    assert "None of 20 questions was scored in both." in told
    assert "Not scored, and in no mean" in told


def test_without_a_tuned_arm_the_report_says_why_and_compares_nothing() -> None:
    told = html(CASES["no tuned arm"])
    assert "There is no tuned model to compare: no job" in told
    assert "All comparisons" not in told
    assert "No job was started." in told


def test_an_unknown_price_is_never_shown_as_nothing() -> None:
    told = html(CASES["unknown prices"])
    assert "$" not in re.sub(r"<style>.*?</style>|<script>.*?</script>", "", told, flags=re.DOTALL)
    assert {text for given, text in Walk(told).with_data("at") if given["data-at"].endswith("usd")} == {"unknown"}


def test_answers_that_end_at_the_limit_of_a_reply_are_marked() -> None:
    assert html(made(["Why?"], finish="length")).count(", cut off at the reply&#x27;s limit") == 3
    assert "cut off" not in html(made(["Why?"]))
