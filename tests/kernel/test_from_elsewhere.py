"""Coming from ragas and LlamaIndex: their files are read, and every call that stands for theirs in the README runs."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import minirag
from minirag import offline
from minirag.cli.main import main
from minirag.cli.rows import read_rows
from minirag.metrics.evaluation import Row
from run_files import SAMPLE, rows

PACKAGE = Path(minirag.__file__).parent
README = (PACKAGE / "metrics" / "README.md").read_text("utf-8")
TABLES = README[README.index("## From ragas") :]
CODE = re.findall(r"^```python\n(.*?)^```", TABLES, re.MULTILINE | re.DOTALL)
STAND_INS = {
    "gpt-4.1-mini": offline.STUDENT_MODEL,
    "gpt-4.1": offline.TEACHER_MODEL,
    "text-embedding-3-small": offline.EMBEDDING_MODEL,
}
TEXTS = ["It opened in 1987.", 'She said "yes", [sic].']
NAMES = {
    "0.0": ("question", "answer", "contexts", "ground_truths"),
    "0.1": ("question", "answer", "contexts", "ground_truth"),
    "0.2": ("user_input", "response", "retrieved_contexts", "reference"),
}


def dataset(version: str) -> dict[str, Any]:
    """Return a row of a dataset as that version of ragas takes it."""
    reference = TEXTS if version == "0.0" else "\n".join(TEXTS)
    return dict(zip(NAMES[version], ("When?", "In 1987.", TEXTS, reference), strict=True))


@pytest.mark.parametrize("version", NAMES)
def test_a_dataset_of_each_version_of_ragas_gives_the_same_row(version, tmp_path):
    row = dataset(version)
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, row.keys())
        table.writeheader()
        table.writerow(row)
    expected = Row("When?", "In 1987.", tuple(TEXTS), "\n".join(TEXTS), "1")
    assert read_rows(tmp_path / "rows.jsonl") == read_rows(tmp_path / "rows.csv") == [expected]


def test_the_article_s_events_are_read_and_28_percent_are_refusals(shared, tmp_path, monkeypatch, capsys):
    shutil.copy(shared / "nvidia-10k" / "finetuning_events.jsonl", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["check", "finetuning_events.jsonl", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["examples"], result["errors"]) == (65, 0)

    names: dict[str, Any] = {}
    exec(CODE[0], names)
    reasons = Counter(example.dropped for _, example in names["examples"] if example.dropped)
    assert reasons == {"refusal": 18, "paraphrase": 14, "loses facts": 2}
    assert main(["check", "events-worth-training.jsonl", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["examples"] == 31


def test_each_call_that_stands_for_theirs_runs(finished_run, tmp_path):
    ours = [row.split(" | ")[1] for row in TABLES.splitlines() if row.count(" | ") == 2]
    calls = [call for cell in ours for call in re.findall(r"`([^`]*minirag\.[^`]*)`", cell)]
    assert len(calls) >= 10
    assert [call for call in calls if call not in CODE[1]] == []

    texts = [row["text"] for row in rows(finished_run / "questions.jsonl") if row["split"] == "train"]
    (tmp_path / "questions.txt").write_text("\n".join(texts), "utf-8")
    shutil.copy(SAMPLE, tmp_path / "report.pdf")
    code = "from pathlib import Path\n" + CODE[1] + "print(len(scores), sum(s.failed for s in scores), tuned.model)"
    for name, stand_in in STAND_INS.items():
        code = code.replace(name, stand_in)
    with offline.serve() as server:
        environment = {**os.environ, "OPENAI_BASE_URL": server.base_url, "PYTHONPATH": str(PACKAGE.parent)}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{2 * len(texts)} 0 ft:")
