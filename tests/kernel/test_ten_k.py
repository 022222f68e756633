"""The case that started this project: the article's 169-page filing, with its questions and with generated ones."""

import json
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
    options = ["--offline", *files, "--context-window", "2048", "--top-k", "2"]
    assert main(["run", str(PDF), *options, "--out", str(out)]) == 0
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
