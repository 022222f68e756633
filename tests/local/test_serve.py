"""`minirag serve` and `minirag train` as processes, a tiny Llama inside, spoken to by the SDK."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import openai
import pytest

import tiny_models
from tiny_models import CHATS

needs_torch = pytest.mark.skipif(not find_spec("torch"), reason="needs pip install 'minirag[local]'")
QUESTIONS, ANSWERS = ([chat[turn]["content"] for chat in CHATS] for turn in (0, 1))
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


def chat_lines(repeats: int = 3) -> bytes:
    """A training file: the four colours, several times."""
    return "".join(json.dumps({"messages": chat}) + "\n" for chat in CHATS * repeats).encode()


def minirag(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "minirag", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **ENVIRONMENT}
    )


def outcome(*arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    process = minirag(*arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@contextmanager
def served(*arguments: object) -> Iterator[tuple[openai.OpenAI, subprocess.Popen[str]]]:
    process = minirag("serve", *arguments)
    assert process.stdout
    address = process.stdout.readline().strip()
    assert address, process.stderr and process.stderr.read()
    try:
        with openai.OpenAI(base_url=address, api_key="any", max_retries=0, timeout=60) as client:
            yield client, process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_models.save(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def client(model: str, state: Path) -> Iterator[openai.OpenAI]:
    """A client of one server that all tests of jobs share."""
    embedding = tiny_models.save(state / "tiny-embedding")
    with served(model, "--state", state, "--embedding", embedding) as (client, _):
        yield client


def create(client: openai.OpenAI, content: bytes, validation: bytes = b"", **settings: Any) -> str:
    """The id of a new job on a file of this content, of ten epochs unless the settings say otherwise."""
    contents = {"training_file": content, "validation_file": validation}
    files: Any = {
        name: client.files.create(file=(f"{name}.jsonl", data), purpose="fine-tune").id
        for name, data in contents.items()
        if data
    }
    settings = {"n_epochs": 10, "batch_size": 4, "learning_rate_multiplier": 10, **settings}
    method: Any = {"type": "supervised", "supervised": {"hyperparameters": settings}}
    return client.fine_tuning.jobs.create(model="tiny", method=method, suffix="Colours", seed=3, **files).id


def wait(client: openai.OpenAI, id: str, until: Callable[[Any], bool] = lambda job: job.status in FINAL) -> Any:
    while not until(job := client.fine_tuning.jobs.retrieve(id)):
        assert job.status not in FINAL, job
        time.sleep(0.1)
    return job


FINAL = ("succeeded", "failed", "cancelled")


def answers(client: openai.OpenAI, model: str, questions: list[str] = QUESTIONS) -> list[str]:
    """Greedy answers to the questions, asked at once."""

    def ask(question: str) -> str:
        messages: Any = [{"role": "user", "content": question}]
        reply = client.chat.completions.create(model=model, messages=messages, temperature=0, max_tokens=12)
        return str(reply.choices[0].message.content)

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(ask, questions))


@needs_torch
def test_a_job_trains_a_model_that_answers_beside_its_base_and_can_be_deleted(client: openai.OpenAI) -> None:
    id = create(client, chat_lines(), chat_lines(1), batch_size="auto")
    job = wait(client, id)
    assert (job.status, job.hyperparameters.n_epochs, job.hyperparameters.batch_size) == ("succeeded", 10, 1)
    assert job.fine_tuned_model == f"ft:tiny:minirag:colours:{id[-8:]}"
    assert job.trained_tokens > 10 * 12 * 30

    events = list(client.fine_tuning.jobs.list_events(id, limit=7))  # the SDK turns the pages
    assert len(events) == len({event.id for event in events}) > 20
    assert any("LoRA of rank 16 on all linear layers, learning rate 5.0e-03" in event.message for event in events)
    first, last = (event.data for event in (events[-3], events[2]))
    assert {"step", "total_steps", "train_loss", "tokens", "seconds_left", "valid_loss"} <= set(last)  # type: ignore[arg-type]
    assert last["valid_loss"] < 0.05  # type: ignore[index]
    assert first["valid_loss"] > 1  # type: ignore[index]
    checkpoints = client.fine_tuning.jobs.checkpoints.list(id, limit=3)
    assert [point.step_number for point in checkpoints] == list(range(120, 0, -12))
    assert checkpoints.data[0].fine_tuned_model_checkpoint == job.fine_tuned_model
    assert checkpoints.data[0].metrics.valid_loss == last["valid_loss"]  # type: ignore[index]

    names = [model.id for model in client.models.list()]
    assert {"tiny", job.fine_tuned_model, checkpoints.data[2].fine_tuned_model_checkpoint} <= set(names)
    assert answers(client, job.fine_tuned_model) == ANSWERS
    alone = {name: [answers(client, name, [q])[0] for q in QUESTIONS] for name in ("tiny", job.fine_tuned_model)}
    assert alone["tiny"] != ANSWERS
    with ThreadPoolExecutor(2) as pool:  # base and tuned at once
        for _ in range(3):
            assert list(pool.map(lambda name: answers(client, name), alone)) == list(alone.values())

    assert client.models.delete(job.fine_tuned_model).deleted
    with pytest.raises(openai.NotFoundError):
        answers(client, job.fine_tuned_model)
    with pytest.raises(openai.BadRequestError, match="no tuned model"):
        client.models.delete("tiny")
    assert answers(client, "tiny") == alone["tiny"]
    assert client.files.delete(job.training_file).deleted
    assert job.training_file not in [each.id for each in client.files.list(purpose="fine-tune")]


@needs_torch
def test_a_file_that_cannot_be_trained_on_fails_the_job_with_a_code_and_a_line(client: openai.OpenAI) -> None:
    file = chat_lines() + chat_lines(1).replace(b"It is blue", b"blue " * 300)
    jobs = {
        create(client, content): code
        for content, code in [
            (file, "example_too_long"),
            (b"{}\n", "invalid_training_file"),
            (chat_lines(1), "invalid_n_examples"),
        ]
    }
    for id, code in jobs.items():
        job = wait(client, id)
        assert (job.status, job.error.code) == ("failed", code)
    job = client.fine_tuning.jobs.retrieve(next(iter(jobs)))
    assert job.error.message.startswith("Line 16 of the training file has ")


@needs_torch
def test_jobs_wait_in_line_and_a_cancelled_one_makes_room(client: openai.OpenAI) -> None:
    endless, short, never = (
        create(client, chat_lines(), n_epochs=n, learning_rate_multiplier=10 + n) for n in (50, 1, 2)
    )
    wait(client, endless, lambda job: job.status == "running")
    assert [client.fine_tuning.jobs.retrieve(id).status for id in (short, never)] == ["queued", "queued"]
    assert client.fine_tuning.jobs.cancel(never).status == "cancelled"
    assert client.fine_tuning.jobs.cancel(endless).status == "cancelled"
    assert wait(client, short).status == "succeeded"
    assert [client.fine_tuning.jobs.retrieve(id).status for id in (endless, never)] == ["cancelled", "cancelled"]


@needs_torch
def test_what_it_cannot_do_is_refused_by_name(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "snow ?"}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="tiny", messages=messages, response_format={"type": "json_object"})
    assert caught.value.param == "response_format"
    with pytest.raises(openai.BadRequestError, match="maximum context length is 256 tokens"):
        client.chat.completions.create(model="tiny", messages=messages, max_tokens=300)
    reply = client.chat.completions.create(model="tiny", messages=messages, n=2, seed=1, top_p=0.5, max_tokens=3)
    assert [choice.finish_reason for choice in reply.choices] == ["length", "length"]
    assert reply.usage
    assert reply.usage.completion_tokens == 6
    assert len(client.embeddings.create(model="tiny-embedding", input="snow", dimensions=8).data) == 1


@needs_torch
def test_who_asks_while_the_model_is_loaded_is_answered_when_it_is(model: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    process = minirag("serve", model, "--state", tmp_path, "--port", port)
    messages: Any = [{"role": "user", "content": QUESTIONS[0]}]
    replies: list[Any] = []
    with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any", max_retries=0, timeout=60) as client:
        try:
            while not replies and process.poll() is None:
                with suppress(openai.APIConnectionError):  # it does not listen yet
                    replies.append(client.chat.completions.create(model="tiny", messages=messages, max_tokens=1))
        finally:
            process.kill()
            process.communicate()
    assert replies


@needs_torch
def test_a_server_that_is_killed_goes_on_with_its_job_from_the_last_epoch(model: str, tmp_path: Path) -> None:
    with served(model, "--state", tmp_path) as (client, process):
        id = create(client, chat_lines(), n_epochs=40)
        wait(client, id, lambda _: len(client.fine_tuning.jobs.checkpoints.list(id).data) >= 2)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with served(model, "--state", tmp_path) as (client, _):
        job = wait(client, id)
        assert job.status == "succeeded"
        messages = [event.message for event in client.fine_tuning.jobs.list_events(id, limit=100)]
        assert any(message.startswith("Resumed after step ") for message in messages)
        assert not any(message.startswith("Resumed after step 0/") for message in messages)
        assert len(client.fine_tuning.jobs.checkpoints.list(id, limit=100).data) == 40
        tuned = answers(client, job.fine_tuned_model)
        assert tuned == ANSWERS
        code, _, err = outcome("serve", model, "--state", tmp_path)
        assert (code, err.splitlines()[-1]) == (
            2,
            f"minirag: Another process uses {tmp_path}: end it, or name another folder.",
        )

    out = tmp_path / "exported"
    assert outcome("serve", "--state", tmp_path, "--export", id, out)[0] == 0
    assert (out / "adapter" / "adapter_model.safetensors").exists()
    with served(out / "merged", "--state", tmp_path / "other") as (client, _):
        assert answers(client, "merged") == tuned


@needs_torch
def test_training_without_a_server_writes_the_same_two_folders_and_takes_up_where_it_was(
    model: str, tmp_path: Path
) -> None:
    file, out = tmp_path / "chats.jsonl", tmp_path / "out"
    file.write_bytes(chat_lines(1))
    command = ("train", file, "--model", model, "--out", out, "--epochs", 2)
    code, shown, err = outcome(*command)
    assert (code, shown) == (0, f"{out}/adapter\n{out}/merged\n"), err
    assert "step 8/8, loss " in err
    code, shown, err = outcome(*command)
    assert "Resumed after step 8/8" in err
    code, _, err = outcome(*command, "--seed", 7)
    assert (code, err.splitlines()[-1]) == (
        2,
        f"minirag: {out} holds another training: name another folder with --out.",
    )


@pytest.mark.skipif(bool(find_spec("torch")), reason="torch is installed")
@pytest.mark.parametrize("command", [("serve", "M"), ("train", "F", "--model", "M", "--out", "O")])
def test_without_torch_one_sentence_names_the_line_of_pip(command: tuple[str, ...]) -> None:
    code, _, err = outcome(*command)
    assert (code, err.strip()) == (2, "minirag: torch, transformers, peft not installed: pip install 'minirag[local]'")
