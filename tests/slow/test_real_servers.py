"""Servers that nobody here wrote, with the models that they really have: every outcome has a name.

They are not installed with minirag. `MINIRAG_REAL_SERVERS` lists the folders with their programs (`python` with
llama_cpp, `litellm`, `transformers`), `MINIRAG_REAL_GGUF` is a model for llama.cpp, and `MINIRAG_REAL_MODEL` a folder
with one for transformers:

    MINIRAG_REAL_SERVERS=/venvs/a/bin:/venvs/b/bin MINIRAG_REAL_GGUF=m.gguf pytest -s tests/slow/test_real_servers.py
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from minirag import offline
from minirag.cli.main import main
from minirag.message_log import MessageLog
from run_files import MODELS, SAMPLE_TEXT, rows

DOCUMENT = """The Tarnwick tramway opened in 1904. Its trams are blue, and it carries 31,000 passengers a day.
\fThe harbour was deepened in 1931. Sixty boats fish from it, most of them for herring and crab.
\fThe glass works employs 220 people. It was founded by Ada Merrow, who came from Leeds in 1886.
\fThe library holds 84,000 books. It is closed on Mondays, and lends telescopes as well."""
QUESTIONS = {
    "train": "When did the tramway open?\nHow many boats fish from the harbour?\n",
    "eval": "Who founded the glass works?\nHow many books does the library hold?\n",
}


def program(name: str) -> str:
    """Return the path of a server's program, or skip."""
    path = shutil.which(name, path=os.environ.get("MINIRAG_REAL_SERVERS", os.devnull))
    return path or pytest.skip(f"no {name} in MINIRAG_REAL_SERVERS")


def variable(name: str) -> str:
    return os.environ.get(name) or pytest.skip(f"{name} is not set")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def started(command: Sequence[str], port: int, log: Path, **variables: str) -> Iterator[str]:
    """Run a server until the block ends; yield its address once it answers."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**clean, **variables})
    address = f"http://127.0.0.1:{port}/v1"
    try:
        for _ in range(1200):
            assert process.poll() is None, log.read_text("utf-8", "replace")[-2000:]
            try:
                if httpx.get(f"{address}/models", headers={"Authorization": "Bearer none"}).status_code < 500:
                    break
            except httpx.HTTPError:
                time.sleep(0.25)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def ends_named(code: int, out: Path, said: str) -> None:
    """Hold that a run ended in one of the ways that a person is told, with a reason for each unscored row; show it."""
    with MessageLog(out / "messages.jsonl") as log:
        print(said, *[f"{failed.stage}: {(failed.error or {})['message']}" for failed in log.failures], sep="\n")
    assert "Traceback" not in said
    assert code in (0, 2, 3), said
    if code != 0:
        assert said.splitlines()[-1].startswith("minirag: ")
        return
    for row in rows(out / "scores.jsonl"):
        assert row["value"] is not None or row["reason"]
    assert {row["arm"] for row in rows(out / "answers.jsonl")} == {"base", "teacher"}
    assert json.loads((out / "comparison.json").read_text("utf-8"))["answer"]


def test_a_proxy_of_litellm_before_the_embedded_server_serves_the_whole_job(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    litellm, port, out = program("litellm"), free_port(), tmp_path / "out"
    key = f"sk-{secrets.token_hex(32)}"  # it does not start with a weak one
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with offline.serve() as server:
        parameters = {"api_base": server.base_url, "api_key": "any"}
        names = [option.partition("=")[2] for option in MODELS]
        listed = [{"model_name": m, "litellm_params": {"model": f"openai/{m}", **parameters}} for m in names]
        (tmp_path / "config.yaml").write_text(json.dumps({"model_list": listed}))  # JSON is YAML
        command = [litellm, "--config", str(tmp_path / "config.yaml"), "--host", "127.0.0.1", "--port", str(port)]
        variables = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": key}
        with started(command, port, tmp_path / "litellm.log", **variables) as address:
            options = ["--base-url", address, "--train-questions=12", "--eval-questions=12", "--out", str(out)]
            run = ["run", str(SAMPLE_TEXT), *MODELS, *options]
            code = main(run)
            ends_named(code, out, capsys.readouterr().err)
            assert code == 0
            assert main(run) == 0


LLAMA = ["python", "-m", "llama_cpp.server", "--n_ctx", "2048", "--model"]
SERVERS = {
    "llama.cpp": (LLAMA, "MINIRAG_REAL_GGUF", ("smollm2", "smollm2-student")),
    "transformers": (["transformers", "serve", "--host", "127.0.0.1"], "MINIRAG_REAL_MODEL", None),
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_with_a_real_model_ends_with_every_outcome_named(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The questions are given: a model of 135 million parameters writes none that follow the format."""
    command, named_by, names = SERVERS[name]
    command, model, port, out = [program(command[0]), *command[1:]], variable(named_by), free_port(), tmp_path / "out"
    if names is None:  # models are folders: the student needs another one than the teacher
        (tmp_path / "student").symlink_to(model)
        names = (model, str(tmp_path / "student"))
    else:
        command.append(model)
    (tmp_path / "town.txt").write_text(DOCUMENT, "utf-8")
    options = [f"--teacher={names[0]}", f"--student={names[1]}", f"--judge={names[0]}", MODELS[3], "--workers=2"]
    options += ["--context-window=2000", "--reply-tokens=64"]
    for split, questions in QUESTIONS.items():
        (tmp_path / split).write_text(questions, "utf-8")
        options.append(f"--{split}-questions={tmp_path / split}")
    server = started([*command, "--port", str(port)], port, tmp_path / "server.log", HF_HUB_OFFLINE="1")
    with server as address, offline.serve() as embedding:
        places = ["--base-url", address, "--embedding-base-url", embedding.base_url]
        code = main(["run", str(tmp_path / "town.txt"), *options, *places, "--out", str(out)])
    ends_named(code, out, capsys.readouterr().err)
