"""The command line: help that fits, one sentence for each mistake, the exit code that it means."""

import re
import shutil
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


def program(*arguments: str) -> list[str]:
    """The command line of a process of its own."""
    return [sys.executable, "-m", "minirag", *arguments]


MODELS = [f"--{role}=m-{role}" for role in ("teacher", "student", "judge", "embedding")]
MISTAKES = {
    "run empty.pdf --offline": "empty.pdf",
    "run blank.txt --offline": "blank.txt",
    "run none.pdf --offline": "none.pdf",
    "run . --offline": "Is a directory",
    "run --offline": "holds no run",
    "run SAMPLE --offline --eval-questions=blank.txt": "holds no question",
    "run SAMPLE --offline --out=blank.txt": "Cannot write",
    "run SAMPLE --offline --context-window=300": "too small",
    "run SAMPLE --offline --chunk-size=3": "size",
    "run SAMPLE --offline --chunk-overlap=900": "overlap",
    "run SAMPLE --offline --teacher=offline-student": "two different models",
    "run SAMPLE --offline --base-url=http://127.0.0.1:1/v1": "exclude each other",
    "run SAMPLE --offline --metrics=faithfulness,charm": "no metric 'charm'",
    "run SAMPLE --offline --metrics=,": "no metric ''",
    "run SAMPLE --offline --tuned=offline-student": "untrained student itself",
    "run SAMPLE --offline --tuned=m --epochs=3": "leave out --epochs",
    "run SAMPLE --offline --tuned-base-url=http://127.0.0.1:9/v1": "needs --tuned MODEL",
    "run SAMPLE": "--teacher",
    "run SAMPLE MODELS": "OPENAI_API_KEY",
    "run SAMPLE MODELS --base-url=nonsense": "no service address",
    "run SAMPLE MODELS --base-url=ftp://host/v1": "no service address",
}


@pytest.mark.parametrize(("command", "says"), MISTAKES.items())
def test_a_mistake_is_one_sentence_before_anything_is_sent(
    command: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.pdf").touch()
    Path("blank.txt").write_bytes(b" \n \n")
    name, *words = command.replace("MODELS", " ".join(MODELS)).split()
    code, text = fails([name, "--out=o", *[SAMPLE if word == "SAMPLE" else word for word in words]], capsys)
    assert code == 2
    assert says in text
    assert not Path("o", "messages.jsonl").exists() or not Path("o", "messages.jsonl").read_bytes()


def test_a_service_that_refuses_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Script(refusal(401, "Incorrect API key provided: sk-canary-0123456789")) as script:
        code, text = fails(["run", SAMPLE, *MODELS, "--base-url", script.url, "--out", str(tmp_path / "o")], capsys)
    assert (code, "canary" in text, len(script.requests)) == (2, False, 1)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"settings": {}, "service": "o"}', '{"settings": {"documents": 5}, "service": "o"}'],
)
def test_a_run_folder_whose_facts_are_damaged_is_named(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text(content)
    assert "cannot be read" in fails(["report", "--out", str(tmp_path)], capsys)[1]


def test_a_folder_with_decisions_of_an_earlier_version_is_refused_in_one_sentence(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shutil.copytree(finished_run, tmp_path / "out")
    (out / "decisions.jsonl").touch()
    assert main(["report", "--out", str(out)]) == 2
    assert "decisions.jsonl comes from `questions --review` of minirag 0.4" in capsys.readouterr().err
    assert main(["verify", str(out)]) == 2
    assert "questions cannot be repeated" in capsys.readouterr().out


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_whose_service_hangs_and_keeps_what_is_done(
    tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    def reply(seen: dict[str, Any]) -> dict[str, Any]:
        if seen["path"].endswith("/chat/completions"):
            hanging.set()
            done.wait(60)
        data = [
            {"index": i, "embedding": [1.0, i], "object": "embedding"}
            for i in range(len(seen["body"].get("input", [])))
        ]
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
    script = f"""import os, signal, minirag.cli.money, minirag.cli.run
minirag.cli.{"money" if command == "plan" else "run"}.check_pages = lambda *_: os.kill(os.getpid(), signal.SIGINT)
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


@pytest.mark.parametrize(
    "options", ["", "--train-questions=-3", "--temperature=nan", "--base-url=", "--epochs=51", "--out", "--fly"]
)
def test_usage_mistakes_exit_with_2(options: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["run", "x", "--out", "y", *options.split()] if options else [])
    assert done.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_nobody_can_keep_is_one_sentence_and_a_reader_that_goes_away_no_failure(tmp_path: Path) -> None:
    (tmp_path / "messages.jsonl").touch()
    costs = program("costs", str(tmp_path))  # a quick command that prints something
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(costs, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    sentence = "minirag: Cannot write the result to stdout: No space left on device.\n"
    assert (done.returncode, done.stderr) == (3, sentence)
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
    models = ["--teacher=in-house-70b", "--student=llama3.2", "--judge=qwen3:8b", "--embedding=bge-m3"]
    with Script({}) as script:
        run = ["run", str(tmp_path / "notes.txt"), *models, f"--base-url={script.url}", f"--out={tmp_path / 'out'}"]
        too_small = fails([*run, "--context-window", "1000"], capsys)[1]
        assert "A window of 1000 tokens is too small" in too_small
        assert "--tokenizer FILE (counted so far: UTF-8 bytes, an upper bound" in too_small
        assert "is called 'cl100k'" in fails([*run, "--tokenizer", "cl100k"], capsys)[1]
        assert script.requests == []
        # the default window of 2,048 holds for them all; the service answers nonsense
        main([*run, "--patience", "0", "--train-questions", "1", "--eval-questions", "1"])
        said = capsys.readouterr().err
        assert "tokens: counted in 1.0 × cl100k_base, an upper bound for the family of llama3.2" in said
        assert "tokens: counted in 1.5 × cl100k_base, an upper bound for the family of qwen3:8b" in said
        assert len(script.requests) > 0
