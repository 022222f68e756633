"""`minirag verify`: a run that follows from its log passes, and everything that does not follow is named."""

import io
import json
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minirag import VERSION
from minirag.cli.main import main

SAMPLE = Path(__file__).parents[2] / "minirag" / "data" / "sample-report.pdf"
FILES = {
    *("answers.jsonl", "chunks.jsonl", "comparison.json", "costs.json", "job.json", "questions.jsonl"),
    *("report.html", "run.json", "scores.jsonl", "training.jsonl", "training_report.json"),
}


@pytest.fixture
def folder(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run to be changed."""
    return Path(shutil.copytree(finished_run, tmp_path / "out"))


def verified(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """The exit code, and the result as JSON."""
    capsys.readouterr()
    code = main(["verify", str(folder), "--json"])
    return code, json.loads(capsys.readouterr().out)


def forge(folder: Path, stage: str, old: bytes, new: bytes) -> int:
    """Change the first line of a stage that holds `old`, with a right checksum; the line's number."""
    path = folder / "messages.jsonl"
    lines = path.read_bytes().splitlines()
    index = next(i for i, line in enumerate(lines) if f'"stage":"{stage}"'.encode() in line and old in line)
    body = lines[index][: -len(',"crc":"00000000"}')].replace(old, new)
    lines[index] = body + b',"crc":"%08x"}' % zlib.crc32(body)
    path.write_bytes(b"\n".join(lines) + b"\n")
    return index + 1


def test_a_finished_run_follows_from_its_log_and_no_file_is_changed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir() if path.is_file()}
    code, result = verified(folder, capsys)
    assert (code, result["found"]) == (0, [])
    assert set(result["same"]) == FILES
    assert main(["verify", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Everything follows from the log."
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before


CHANGES: dict[str, Callable[[str], str]] = {
    "answers.jsonl": lambda text: text.replace('"drafts": ', '"drafts":', 1),
    "run.json": lambda text: text.replace('"question_files"', '"files"').replace(f'"{VERSION}"', '"0.0.7"', 1),
    "scores.jsonl": lambda text: re.sub('"value": [0-9.]+', '"value": 0.125', text, count=1),
    "training.jsonl": lambda text: text.partition("\n")[2],
}


def test_a_file_that_was_changed_is_named_with_the_first_place_and_the_version_that_made_the_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, change in CHANGES.items():
        (folder / name).write_text(change((folder / name).read_text("utf-8")), "utf-8")
    code, result = verified(folder, capsys)
    assert (code, result["made_by"]) == (2, "0.0.7")
    assert set(result["same"]) == FILES - CHANGES.keys()
    assert [found.split()[0] for found in result["found"]] == list(CHANGES)
    assert any('"value": 0.125' in found for found in result["found"])
    assert any('"files": ' in found for found in result["found"])
    assert main(["verify", str(folder)]) == 2
    assert "The folder was made by minirag 0.0.7, which may be why" in capsys.readouterr().out


def test_a_changed_reply_with_a_right_checksum_shows_in_what_follows_from_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody who improves an answer in the log has to forge everything else as well; a changed request is named."""
    forge(folder, "verdicts", rb"\"supported\": true", rb"\"supported\": false")
    code, result = verified(folder, capsys)
    assert code == 2
    assert {"scores.jsonl", "comparison.json"} <= {found.split()[0] for found in result["found"]}
    number = forge(folder, "reverse", b'"request":{"model":"', b'"request":{"model":"x')
    code, result = verified(folder, capsys)
    assert result["found"][0] == f"messages.jsonl line {number}, id: does not follow from the line's request"


def test_a_reply_that_is_missing_is_an_error_that_shows_the_request(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "messages.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(one for one in lines if b'"stage":"draft"' not in one or b'"split":"eval"' not in one))
    code, result = verified(folder, capsys)
    assert code == 2
    assert result["found"][0].startswith("answers cannot be repeated: ")
    assert 'and nothing is sent: {"max_tokens":' in result["found"][0]


def test_a_document_that_is_another_or_gone_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts, document = folder / "run.json", tmp_path / "report.pdf"
    facts.write_text(facts.read_text("utf-8").replace(str(SAMPLE), str(document)), "utf-8")
    code, result = verified(folder, capsys)
    assert (code, result["found"][0].startswith("the index cannot be repeated: ")) == (2, True)
    document.write_bytes(SAMPLE.read_bytes() + b"\n")
    code, result = verified(folder, capsys)
    assert (code, result["found"]) == (2, [f"{document} is not the document of this run: its sha256 is another"])


def test_a_damaged_log_and_a_folder_without_a_run_are_one_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = folder / "messages.jsonl"
    log.write_bytes(log.read_bytes().replace(b"draft", b"drift", 1))
    assert main(["verify", str(folder)]) == 2
    assert "is damaged" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["verify", str(tmp_path / "empty")]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_what_a_person_said_and_the_prices_of_the_run_are_taken_as_they_are(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('[models."offline-judge"]\ninput = 1.0\ncached = 1.0\noutput = 1.0\n')
    monkeypatch.setattr("sys.stdin", io.StringIO("a\n" + "y\n" * 40))
    assert main(["label", str(folder), "--sample", "12"]) == 0
    assert "\\u{a}" not in capsys.readouterr().err  # the line ends of passages are spaces
    assert main(["report", "--out", str(folder), "--prices", str(prices)]) == 0
    assert json.loads((folder / "comparison.json").read_text())["audit"] is not None
    code, result = verified(folder, capsys)
    assert (code, result["found"]) == (0, [])
    assert main(["costs", str(folder), "--json"]) == 0
    bill = json.loads(capsys.readouterr().out)
    assert bill["total_usd"] == json.loads((folder / "costs.json").read_text())["total_usd"] > 0
