"""What must not change while the code does: log lines, request bodies, chunks, scores and verdicts of version 0.1.0.

`data/run-0.1.0.tar.xz` holds a run folder that version 0.1.0 made with the embedded models, and its document.
`data/goldens.json` holds log lines and ids that version 0.1.0 computed; what the sample run finds was computed anew
for version 0.3.0, which has a longer sample report and a better question writer.
"""

import hashlib
import json
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import pytest

import minirag
from minirag.cli.main import main
from minirag.documents import Page
from minirag.message_log import Exchange, exchange_id
from run_files import rows

DATA = Path(minirag.__file__).parent / "data"
HERE = Path(__file__).parents[1] / "data"
GOLDENS = json.loads((HERE / "goldens.json").read_text("utf-8"))
MIXED = (
    "Revenue rose by 9.7 per cent. 営業利益は前年比で増加した。売上高は百二十億円である。Ein Satz mit Umlauten: öäüß! "
    "👩‍👩‍👧 and 🇩🇪 stand for families and flags. "
    + "x" * 700
    + " "
    + "word " * 400
    + "\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
)
MESSAGES = [{"role": "user", "content": "é 営 👩"}]
FAILED = {"type": "ServiceError", "status": 500, "code": None, "param": None, "message": "x"}
VECTOR = {"data": [{"index": 0, "embedding": "AACAPw=="}]}
COMPLETION = {"id": "c", "choices": []}
WHEN = "2026-11-22T05:23:20Z"
EMBEDDED = {"model": "e", "input": ["a"], "encoding_format": "base64"}
CHAT = {"model": "m", "messages": [], "temperature": 0.0}
FIGURES = ("difference", "low", "high")
EXCHANGES = [
    Exchange("draft", "chat.completions", "offline", {"model": "m", "messages": MESSAGES}, COMPLETION, None, 0,
             {"question": "q1"}, WHEN, 1.84),
    Exchange("verdicts", "chat.completions", "https://host/v1", CHAT, None, FAILED, 3, {}, WHEN, 0.1),
    Exchange("embed", "embeddings", "offline", EMBEDDED, VECTOR, None, 0, {}, WHEN, 0.0),
]  # fmt: skip


def digest(values) -> str:
    return hashlib.sha256(json.dumps(values, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:16]


def log_lines() -> list[str]:
    return [exchange.to_line().decode() for exchange in EXCHANGES]


def chunk_spans() -> dict[str, str]:
    names = "sample-report.md", "sample-report.pdf"
    texts = {name: [Page(p.number, name, p.text) for p in minirag.load(str(DATA / name))] for name in names}
    texts["mixed"] = [Page(1, "mixed", MIXED)]
    return {
        f"{name} {size}/{overlap}": digest(
            [
                [chunk.id, chunk.start, chunk.end, chunk.tokens]
                for chunk in minirag.chunk(text, size=size, overlap=overlap)
            ]
        )
        for name, text in texts.items()
        for size, overlap in ((64, 16), (512, 64))
    }


def outcome(folder: Path) -> dict:
    """What a run found, as far as it must not change."""
    comparison = json.loads((folder / "comparison.json").read_text("utf-8"))
    scored = [[r["question_id"], r["arm"], r["metric"], r["round"], r["value"]] for r in rows(folder / "scores.jsonl")]
    fields = ("question_id", "arm", "text", "contexts", "drafts")
    answered = [[row[name] for name in fields] for row in rows(folder / "answers.jsonl")]
    exchanges = rows(folder / "messages.jsonl")
    return {
        "questions": digest(rows(folder / "questions.jsonl")),
        "training file": hashlib.sha256((folder / "training.jsonl").read_bytes()).hexdigest()[:16],
        "answers": digest(answered),
        "scores": digest(scored),
        "scores by metric and arm": {
            " ".join(key): [count, round(sum(s[4] or 0 for s in scored if (s[2], s[1]) == key), 6)]
            for key, count in sorted(Counter((s[2], s[1]) for s in scored).items())
        },
        "verdicts": {
            metric: {
                pair: {
                    # version 0.1.0 gave verdicts from fewer than six pages
                    "verdict": value["verdict"] if value["n_clusters"] >= 6 else "cannot tell",
                    "n": value["n"],
                    **{name: None if value[name] is None else round(value[name], 12) for name in FIGURES},
                }
                for pair, value in compared.items()
                if isinstance(value, dict) and "verdict" in value
            }
            for metric, compared in comparison["metrics"].items()
            for compared in [{"tuned_against_base": compared, **compared}]
        },
        "requests by stage": {
            stage: [len(ids), digest(sorted(ids))]
            for stage in ("embed", "question", "draft", "refine", "statements", "verdicts", "reverse", "context")
            if (ids := {e["id"] for e in exchanges if e["stage"] == stage})
        },
    }


@pytest.fixture
def old_run(tmp_path, monkeypatch):
    """The run folder of version 0.1.0, beside its document, whose address is the same in every folder."""
    monkeypatch.chdir(tmp_path)
    with tarfile.open(HERE / "run-0.1.0.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "small"


def test_a_log_line_has_the_same_bytes_and_the_same_id():
    assert log_lines() == GOLDENS["log lines"]
    assert exchange_id("offline", "chat.completions", {"model": "m", "b": [1.5, "ü"]}, 2) == GOLDENS["exchange id"]


def test_chunks_have_the_same_ids_borders_and_counts():
    assert chunk_spans() == GOLDENS["chunks"]


def test_a_run_folder_of_the_last_version_resumes_without_a_call_and_finds_the_same(old_run):
    before, log = outcome(old_run), (old_run / "messages.jsonl").read_bytes()
    assert main(["run", "--offline", "--out", str(old_run)]) == 0
    assert (old_run / "messages.jsonl").read_bytes() == log
    assert outcome(old_run) == before


def test_a_run_with_an_option_that_is_gone_starts_no_second_job_unasked(old_run, capsys):
    facts = json.loads((old_run / "run.json").read_text())
    (old_run / "run.json").write_text(json.dumps({**facts, "settings": {**facts["settings"], "validation_share": 0.2}}))
    assert main(["run", "--offline", "--out", str(old_run)]) == 2
    assert "--validation-share, which this version does not have" in capsys.readouterr().err


def test_a_new_run_of_the_sample_asks_and_finds_what_the_last_version_did(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(DATA / "sample-report.pdf", tmp_path)
    size = ["--train-questions", "24", "--eval-questions", "24", "--context-window", "1024"]
    assert main(["run", "/proc/self/cwd/sample-report.pdf", "--offline", *size, "--out", "out"]) == 0
    assert outcome(tmp_path / "out") == GOLDENS["sample run"]
