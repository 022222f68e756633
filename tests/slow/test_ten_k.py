"""The case that started this project: the article's 169-page filing with its 40 + 40 questions."""

import json
from collections import Counter
from pathlib import Path

from minirag import MessageLog
from minirag.cli.main import main
from minirag.text import for_model
from run_files import rows


def test_all_questions_are_asked_within_the_window_refined_where_needed_and_judged_in_three_arms(
    shared: Path, tmp_path: Path
) -> None:
    folder = shared / "nvidia-10k"
    questions = [f"--{split}-questions={folder / split}_questions.txt" for split in ("train", "eval")]
    options = ["--offline", *questions, "--context-window", "2048", "--top-k", "2", "--out", str(tmp_path)]
    assert main(["run", str(folder / "nvidia-sec-10k-2022.pdf"), *options]) == 0

    asked = rows(tmp_path / "questions.jsonl")
    assert Counter(question["split"] for question in asked) == {"train": 40, "eval": 40}
    assert all("page guessed" in question["flags"] and question["page"] for question in asked)
    assert sum(len(question["flags"]) > 1 for question in asked) <= 12

    chats = [e for e in MessageLog(tmp_path / "messages.jsonl") if e.endpoint == "chat.completions"]
    stages = Counter(exchange.stage for exchange in chats)
    assert stages["draft"] == 40 + 3 * 40
    assert stages["refine"] > 20
    prompts = [for_model(e.model).count_messages(e.request["messages"]) for e in chats]
    sizes = [prompt + e.request["max_tokens"] for prompt, e in zip(prompts, chats, strict=True)]
    assert 1900 < max(sizes) <= 2048

    report = json.loads((tmp_path / "training_report.json").read_text("utf-8"))
    assert len(rows(tmp_path / "training.jsonl")) == report["kept"] >= 30
    assert report["kept"] + sum(report["dropped"].values()) == len(report["examples"]) > 50
    scores = rows(tmp_path / "scores.jsonl")
    assert Counter(score["arm"] for score in scores) == {"base": 80, "tuned": 80, "teacher": 80}
    assert sum(score["value"] is None for score in scores) <= 4
