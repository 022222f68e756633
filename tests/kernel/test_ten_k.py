"""The case that started this project: the article's 169-page filing, with its questions and with generated ones."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from minirag import MessageLog
from minirag.cli.main import main
from minirag.text import for_model

SHARED = Path(__file__).parents[3] / "shared" / "nvidia-10k"
PDF = SHARED / "nvidia-sec-10k-2022.pdf"

pytestmark = pytest.mark.skipif(not PDF.exists(), reason="the 10-K is not beside the project")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def article(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with the article's 40 + 40 questions, a window of 2048 and two chunks."""
    out = tmp_path_factory.mktemp("article")
    files = [w for s in ("train", "eval") for w in (f"--{s}-questions", str(SHARED / f"{s}_questions.txt"))]
    assert (
        main(["run", str(PDF), "--offline", *files, "--context-window", "2048", "--top-k", "2", "--out", str(out)]) == 0
    )
    return out


def test_all_questions_are_asked_refined_where_needed_and_judged_in_three_arms(article: Path) -> None:
    questions = rows(article / "questions.jsonl")
    assert Counter(q["split"] for q in questions) == {"train": 40, "eval": 40}
    assert all("page guessed" in q["flags"] and q["page"] for q in questions)
    assert sum(len(q["flags"]) > 1 for q in questions) <= 12
    stages = Counter(e.stage for e in MessageLog(article / "messages.jsonl"))
    assert stages["draft"] == 40 + 3 * 40
    assert stages["refine"] > 20
    report = json.loads((article / "training_report.json").read_text("utf-8"))
    assert len(rows(article / "training.jsonl")) == report["kept"] >= 30
    assert report["kept"] + sum(report["dropped"].values()) == len(report["examples"]) > 50
    scores = rows(article / "scores.jsonl")
    assert Counter(s["arm"] for s in scores) == {"base": 80, "tuned": 80, "teacher": 80}
    assert sum(s["value"] is None for s in scores) <= 4


def test_every_chat_request_keeps_to_2048_tokens_with_its_reserved_reply(article: Path) -> None:
    sizes = [
        for_model(e.model).count_messages(e.request["messages"]) + e.request["max_tokens"]
        for e in MessageLog(article / "messages.jsonl")
        if e.endpoint == "chat.completions"
    ]
    assert max(sizes) <= 2048
    assert max(sizes) > 1900


def test_a_second_run_makes_no_request_and_changes_no_result(article: Path) -> None:
    before = {p.name: p.read_bytes() for p in article.iterdir() if p.is_file() and p.name != ".lock"}
    assert main(["run", "--out", str(article)]) == 0
    assert {p.name: p.read_bytes() for p in article.iterdir() if p.is_file() and p.name != ".lock"} == before


def test_the_comparison_is_the_same_where_a_database_keeps_the_vectors(
    article: Path, tmp_path: Path, postgres: str
) -> None:
    for name in ("messages.jsonl", "run.json"):  # what was asked and answered: only the vectors are to be made anew
        shutil.copy(article / name, tmp_path)
    facts = json.loads((article / "run.json").read_text("utf-8"))
    (tmp_path / "run.json").write_text(json.dumps({**facts, "store": "postgresql"}))
    assert main(["compare", "--out", str(tmp_path), "--store", postgres]) == 0
    assert (tmp_path / "comparison.json").read_bytes() == (article / "comparison.json").read_bytes()
    assert not (tmp_path / "vectors.npy").exists()


def test_generated_questions_cover_the_filing_and_no_eval_page_is_trained_on(tmp_path: Path) -> None:
    assert main(["collect", str(PDF), "--offline", "--out", str(tmp_path)]) == 0
    questions = rows(tmp_path / "questions.jsonl")
    assert Counter(q["split"] for q in questions) == {"train": 40, "eval": 40}
    pages = {split: {q["page"] for q in questions if q["split"] == split} for split in ("train", "eval")}
    assert len(pages["train"] | pages["eval"]) >= 60
    assert not pages["train"] & pages["eval"]
    prompts = [row["messages"][1]["content"] for row in rows(tmp_path / "training.jsonl")]
    assert len(prompts) >= 30
    assert not any(f'page="{page}"' in prompt for prompt in prompts for page in pages["eval"])


def test_the_plan_of_the_filing_is_within_a_fifth_of_what_the_run_used(
    article: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text(
        '[models."offline"]\ninput = 1.0\noutput = 4.0\n'
        '[models."ft:offline"]\ninput = 2.0\noutput = 8.0\ntraining = 0.2\n'
    )
    assert main(["plan", "--out", str(article), "--prices", str(prices), "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)["bills"]["usual"]
    assert main(["costs", str(article), "--prices", str(prices), "--json"]) == 0
    used = json.loads(capsys.readouterr().out)["lines"]
    for name in ("calls", "input_tokens", "output_tokens", "training_tokens", "usd"):
        planned, real = (sum(line[name] for line in lines) for lines in (expected, used))
        assert planned == pytest.approx(real, rel=0.2), name
