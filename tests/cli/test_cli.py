"""The command line: help that fits, one sentence for each mistake, the exit code that it means."""

import json
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from doubles import Script, refusal
from minirag.cli.arguments import OTHERS, STEPS
from minirag.cli.main import main

SAMPLE = str(Path(__file__).parents[2] / "minirag" / "data" / "sample-report.pdf")


def fails(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code and what stands on stderr, which must be one sentence and no traceback."""
    code = main(arguments)
    out, err = capsys.readouterr()
    sentences = [line for line in err.splitlines() if line.startswith("minirag: ")]
    assert "Traceback" not in err
    assert len(sentences) == 1, err
    assert sentences[0].endswith(".")
    assert out == ""
    return code, sentences[0]


def offline(*arguments: str, out: Path) -> list[str]:
    return ["run", *arguments, "--offline", "--out", str(out)]


def program(*arguments: str) -> list[str]:
    """The command line of a process of its own."""
    return [sys.executable, "-m", "minirag", *arguments]


def broken(tmp_path: Path, name: str, content: bytes) -> str:
    path = tmp_path / name
    path.write_bytes(content)
    return str(path)


def test_a_document_that_cannot_be_used_is_one_sentence(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = {"empty.pdf": b"", "junk.pdf": b"%PDF-1.7\n" + bytes(range(256)) * 8, "blank.txt": b" \n \n"}
    written = [broken(tmp_path, name, content) for name, content in contents.items()]
    pdfs = ("pypdf-resources/encryption/r6-both-passwords.pdf", "camelot-tables/image.pdf")
    for path in (*written, tmp_path / "none.pdf", tmp_path, *(shared / "pdf" / name for name in pdfs)):
        code, text = fails(offline(str(path), out=tmp_path / "o"), capsys)
        assert (code, Path(path).name in text) == (2, True)
    assert fails(offline(out=tmp_path / "o"), capsys)[0] == 2
    blank = broken(tmp_path, "q.txt", b"\n\n  \n")
    assert "holds no question" in fails(offline(SAMPLE, "--eval-questions", blank, out=tmp_path / "o"), capsys)[1]
    assert "Cannot write" in fails(offline(SAMPLE, out=Path(blank)), capsys)[1]


@pytest.mark.parametrize(
    "options",
    [
        ["--context-window", "300"],
        ["--chunk-size", "3"],
        ["--chunk-overlap", "900"],
        ["--teacher", "offline-student"],
        ["--base-url", "http://127.0.0.1:1/v1"],
        ["--suffix", "x" * 65],
        ["--metrics", "faithfulness,charm"],
        ["--tuned", "offline-student"],
        ["--tuned", "m", "--epochs", "3"],
        ["--tuned-base-url", "http://127.0.0.1:9/v1"],
    ],
)
def test_settings_that_cannot_work_are_found_before_anything_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    code, _ = fails(offline(SAMPLE, *options, out=tmp_path / "o"), capsys)
    assert code == 2
    log = tmp_path / "o" / "messages.jsonl"
    assert not log.exists() or not log.read_bytes()


ROLES = ("teacher", "student", "judge", "embedding")
DOCUMENTS_5 = json.dumps({"service": "offline", "settings": dict.fromkeys(ROLES, "m") | {"documents": 5}})
MODELS = [word for role in ROLES for word in (f"--{role}", f"m-{role}")]


def test_no_model_no_key_and_a_wrong_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "o")]
    assert "--teacher" in fails(["run", SAMPLE, *out], capsys)[1]
    assert "OPENAI_API_KEY" in fails(["run", SAMPLE, *MODELS, *out], capsys)[1]
    for address in ("nonsense", "ftp://host/v1"):
        assert fails(["run", SAMPLE, *MODELS, "--base-url", address, *out], capsys)[0] == 2


def test_a_service_that_refuses_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Script(refusal(401, "Incorrect API key provided: sk-canary-0123456789")) as script:
        code, text = fails(["run", SAMPLE, *MODELS, "--base-url", script.url, "--out", str(tmp_path / "o")], capsys)
    assert (code, "canary" in text) == (2, False)
    assert len(script.requests) == 1


def test_a_run_folder_without_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no run to resume" in fails(["report", "--out", str(tmp_path)], capsys)[1]
    no_settings = '{"settings": {}, "service": "offline"}', '{"settings": 3, "service": "offline"}'
    for content in ("", "[]", "{}", *no_settings, DOCUMENTS_5):
        (tmp_path / "run.json").write_text(content)
        assert "cannot be read" in fails(["report", "--out", str(tmp_path)], capsys)[1]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_whose_service_hangs_and_keeps_what_is_done(
    tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    def reply(seen: dict[str, Any]) -> dict[str, Any]:
        if seen["path"].endswith("/chat/completions"):
            hanging.set()
            done.wait(60)
        data = [{"index": i, "embedding": [1.0, i], "object": "embedding"} for i in range(len(seen["body"]["input"]))]
        return {"data": data, "model": "e", "usage": {"prompt_tokens": 1, "total_tokens": 1}}

    hanging, done = threading.Event(), threading.Event()
    with Script(reply) as script:
        options = ["--base-url", script.url, "--workers", "4", "--out", str(tmp_path / "o")]
        process = subprocess.Popen(program("questions", SAMPLE, *MODELS, *options), stderr=subprocess.PIPE, text=True)
        assert hanging.wait(60)
        asked = len(script.requests)
        process.send_signal(sent)
        time.sleep(1)  # the first one waits for the calls in flight; the second ends that wait
        process.send_signal(sent)
        _, told = process.communicate(timeout=60)
        done.set()
    assert process.returncode == code
    assert told.splitlines()[-1].startswith("minirag: interrupted")
    assert "Traceback" not in told
    assert len(script.requests) <= asked + 4


@pytest.mark.parametrize(("command", "rest"), [("plan", "nothing to resume"), ("index", "run again to resume")])
def test_an_interrupted_command_says_whether_there_is_something_to_resume(
    command: str, rest: str, tmp_path: Path
) -> None:
    script = f"""import os, signal, minirag.cli.plan, minirag.cli.run
minirag.cli.{"plan" if command == "plan" else "run"}.check_pages = lambda *_: os.kill(os.getpid(), signal.SIGINT)
from minirag.cli.main import main
main()"""
    words = [command, SAMPLE, "--offline", "--out", str(tmp_path / "o")]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert rest in done.stderr.splitlines()[-1]


# -- help --------------------------------------------------------------------------------------------------


COMMANDS = (*STEPS, *OTHERS)


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)])
def test_help_fits_80_columns_and_has_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main([*command, "--help"])
    text = capsys.readouterr().out
    assert done.value.code == 0
    assert max(map(len, text.splitlines())) < 80
    assert "example:\n  minirag " in text
    if not command:
        assert sorted(re.findall(r"^    (\w+)\b", text, re.MULTILINE)) == sorted(COMMANDS)


def test_usage_mistakes_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        [],
        ["fly"],
        ["run", "--out"],
        ["run", "x", "--out", "y", "--train-questions", "-3"],
        ["run", "x", "--out", "y", "--temperature", "nan"],
        ["run", "x", "--out", "y", "--metrics", ","],
        ["run", "x", "--out", "y", "--base-url", ""],
        ["run", "x", "--out", "y", "--epochs", "51"],
    ):
        with pytest.raises(SystemExit) as done:
            main(arguments)
        assert done.value.code == 2
    capsys.readouterr()


@pytest.fixture
def costs(tmp_path: Path) -> list[str]:
    """The command line of a quick command that prints something."""
    (tmp_path / "messages.jsonl").touch()
    return program("costs", str(tmp_path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_nobody_can_keep_is_one_sentence(costs: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(costs, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    sentence = "minirag: Cannot write the result to stdout: No space left on device.\n"
    assert (done.returncode, done.stderr) == (3, sentence)


def test_a_reader_that_goes_away_is_no_failure(costs: list[str]) -> None:
    with subprocess.Popen(costs, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_window_that_some_request_cannot_fit_is_refused_before_the_first_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minirag.retry.FIRST_WAIT", 0.0)
    (tmp_path / "notes.txt").write_text("\f".join(f"The trams of line {n} are blue. " * 20 for n in range(4)))
    with Script({}) as script:
        models = ["--teacher=in-house-70b", "--student=llama3.2", "--judge=qwen3:8b", "--embedding=bge-m3"]
        command = [
            "run",
            str(tmp_path / "notes.txt"),
            *models,
            "--base-url",
            script.url,
            "--out",
            str(tmp_path / "out"),
        ]
        assert main([*command, "--context-window", "1000"]) == 2
        error = capsys.readouterr().err
        assert "A window of 1000 tokens is too small" in error
        assert "--tokenizer FILE (counted so far: UTF-8 bytes, an upper bound" in error
        assert script.requests == []
        assert main([*command, "--tokenizer", "cl100k"]) == 2
        assert "No encoding is called 'cl100k'" in capsys.readouterr().err
        # the default window of 2,048 holds for them all; the service answers nonsense
        main([*command, "--patience", "0", "--train-questions", "1", "--eval-questions", "1"])
        error = capsys.readouterr().err
        assert "tokens: counted in 1.0 × cl100k_base, an upper bound for the family of llama3.2" in error
        assert "tokens: counted in 1.5 × cl100k_base, an upper bound for the family of qwen3:8b" in error
        assert len(script.requests) > 0
