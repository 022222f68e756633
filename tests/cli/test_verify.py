"""`minirag verify`: a run that is as its log says passes, and every byte that is not is named."""

import io
import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import job_faults
from faults import serve
from minirag import MessageLog
from minirag.cli.main import main

SAMPLE = Path(__file__).parents[2] / "minirag" / "data" / "sample-report.pdf"
SIZE = ["--train-questions", "12", "--eval-questions", "3", "--context-window", "1200"]
pytestmark = pytest.mark.block_network(allowed_hosts=["127.0.0.1"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, with its document beside it."""
    work = tmp_path_factory.mktemp("verify")
    shutil.copy(SAMPLE, work / "report.pdf")
    assert main(["run", str(work / "report.pdf"), "--offline", *SIZE, "--out", str(work / "out")]) == 0
    return work / "out"


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "out"))


def verified(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """The exit code, and what was said in JSON."""
    capsys.readouterr()
    code = main(["verify", str(folder), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_finished_run_follows_from_its_log_and_no_file_is_changed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    code, told = verified(folder, capsys)
    assert (code, told["found"], told["skipped"]) == (0, [], {})
    assert set(told["same"]) == {
        *("answers.jsonl", "chunks.jsonl", "comparison.json", "costs.json", "job.json", "questions.jsonl"),
        *("report.html", "run.json", "scores.jsonl", "training.jsonl", "training_report.json"),
    }
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    assert main(["verify", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Everything follows from the log."


def value_of_a_score(text: str) -> str:
    lines = text.splitlines(keepends=True)
    lines[1] = json.dumps({**json.loads(lines[1]), "value": 0.125}, ensure_ascii=False) + "\n"
    return "".join(lines)


def mean(text: str) -> str:
    facts = json.loads(text)
    facts["metrics"]["faithfulness"]["arms"]["base"]["mean"] = 2.0
    return json.dumps(facts, ensure_ascii=False, indent=2) + "\n"


CHANGES: list[tuple[str, Callable[[str], str], str]] = [
    ("scores.jsonl", value_of_a_score, "scores.jsonl line 2, value: 0.125 before, "),
    ("comparison.json", mean, "comparison.json, metrics.faithfulness.arms.base.mean: 2.0 before, "),
    ("costs.json", lambda text: text.replace('"calls": ', '"calls": 1', 1), "costs.json, lines[0].calls: "),
    ("training.jsonl", lambda text: text.partition("\n")[2], "training.jsonl line 1, messages"),
    ("report.html", lambda text: text.replace("<h2>Money", "<h2>money"), "report.html line "),
    ("job.json", lambda text: text.replace('"succeeded"', '"failed"'), "job.json, status: "),
    ("questions.jsonl", lambda text: text.replace("?", "!", 1), "questions.jsonl line 1, text: "),
    ("answers.jsonl", lambda text: text.replace('"drafts": ', '"drafts": 1', 1), "answers.jsonl line 1, drafts: "),
    ("training_report.json", lambda text: text.replace('"kept": ', '"kept": 9', 1), "training_report.json, kept: "),
    ("run.json", lambda text: text.replace('"removed_lines"', '"removed"'), "run.json, pages.removed: "),
]


def test_every_change_to_a_file_is_named_and_no_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, change, _ in CHANGES:
        (folder / name).write_text(change((folder / name).read_text("utf-8")), "utf-8")
    code, told = verified(folder, capsys)
    assert (code, told["same"]) == (2, ["chunks.jsonl"])
    for name, _, place in CHANGES:
        found = [line for line in told["found"] if line.startswith(name)]
        assert found[0].startswith(place)
    assert [f for f in told["found"] if f.startswith("scores")] == [f for f in told["found"] if "line 2, value" in f]


def test_a_changed_reply_with_a_right_checksum_shows_in_what_follows_from_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody who improves an answer in the log has to forge everything else as well."""
    path = folder / "messages.jsonl"
    lines = path.read_bytes().splitlines()
    number = next(n for n, line in enumerate(lines) if b'"stage":"verdicts"' in line and b"true" in line)
    body = lines[number][: -len(',"crc":"00000000"}')].replace(b'\\"supported\\": true', b'\\"supported\\": false')
    assert body != lines[number][: len(body)]
    lines[number] = body + b',"crc":"%08x"}' % zlib.crc32(body)
    path.write_bytes(b"\n".join(lines) + b"\n")
    code, told = verified(folder, capsys)
    assert code == 2
    assert any(found.startswith("scores.jsonl line ") for found in told["found"])
    assert any(found.startswith("comparison.json, ") for found in told["found"])


def test_a_changed_request_is_named_by_its_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "messages.jsonl"
    lines = path.read_bytes().splitlines()
    body = lines[-1][: -len(',"crc":"00000000"}')].replace(b'"request":{"model":"', b'"request":{"model":"x')
    lines[-1] = body + b',"crc":"%08x"}' % zlib.crc32(body)
    path.write_bytes(b"\n".join(lines) + b"\n")
    code, told = verified(folder, capsys)
    assert code == 2
    assert told["found"][0] == f"messages.jsonl line {len(lines)}, id: does not follow from the line's request"


def test_a_reply_that_is_missing_is_an_error_with_the_nearest_request(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "messages.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if not (b'"stage":"draft"' in line and b'"split":"eval"' in line)]
    path.write_bytes(b"".join(kept))
    code, told = verified(folder, capsys)
    assert code == 2
    assert told["found"][0].startswith("answers cannot be repeated: ")
    assert "the nearest that it holds differs so:\n--- recorded\n+++ asked" in told["found"][0]


def test_without_the_document_all_but_what_names_it_is_verified(
    finished: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = finished.parent / "report.pdf"
    away = document.rename(document.with_suffix(".away"))
    try:
        code, told = verified(folder, capsys)
        assert (code, told["found"]) == (0, [])
        assert told["skipped"].keys() == {"chunks.jsonl", "run.json", "report.html"}
        assert {"scores.jsonl", "comparison.json", "costs.json", "training.jsonl"} <= set(told["same"])
        document.write_bytes(away.read_bytes() + b"\n")
        code, told = verified(folder, capsys)
        assert code == 2
        assert told["found"][0] == f"{document} is not the document of this run: its sha256 is another"
    finally:
        away.rename(document)


def test_a_run_that_went_only_a_part_of_the_way_is_verified_as_far(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["collect", str(SAMPLE), "--offline", *SIZE, "--out", str(tmp_path)]) == 0
    code, told = verified(tmp_path, capsys)
    assert (code, told["found"]) == (0, [])
    assert "training.jsonl" in told["same"]
    assert "scores.jsonl" not in told["same"]


def test_a_run_whose_training_was_refused_is_verified_with_the_refusal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roles = [f"--{role}=offline-{role}" for role in ("teacher", "student", "judge", "embedding")]
    with serve(faults=[job_faults.training_not_available()]) as server:
        command = ["run", str(SAMPLE), *roles, "--base-url", server.base_url, *SIZE, "--out", str(tmp_path)]
        assert main(command) == 2
    code, told = verified(tmp_path, capsys)
    assert (code, told["found"]) == (0, [])
    assert "comparison.json" in told["same"]


def test_a_damaged_log_and_a_folder_without_a_run_are_one_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = folder / "messages.jsonl"
    log.write_bytes(log.read_bytes().replace(b"draft", b"drift", 1))
    assert main(["verify", str(folder)]) == 2
    assert "is damaged" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["verify", str(tmp_path / "empty")]) == 2
    assert "There is no run in" in capsys.readouterr().err


def test_the_log_is_only_read(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = finished / "messages.jsonl"
    before = (path.read_bytes(), path.stat().st_mtime_ns, len(MessageLog(path)))
    assert verified(finished, capsys)[0] == 0
    assert (path.read_bytes(), path.stat().st_mtime_ns, len(MessageLog(path))) == before


def test_what_a_person_said_is_taken_as_it_is(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 40))
    assert main(["label", str(folder), "--sample", "12"]) == 0
    assert main(["report", "--out", str(folder)]) == 0
    assert json.loads((folder / "comparison.json").read_text())["audit"] is not None
    code, told = verified(folder, capsys)
    assert (code, told["found"]) == (0, [])


def test_a_bill_is_by_the_prices_of_its_run(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('[models."offline-judge"]\ninput = 1.0\ncached = 1.0\noutput = 1.0\n')
    assert main(["report", "--out", str(folder), "--prices", str(prices)]) == 0
    capsys.readouterr()
    assert main(["costs", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["total_usd"] == json.loads((folder / "costs.json").read_text())["total_usd"] > 0
