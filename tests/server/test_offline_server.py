"""The offline server, as the real OpenAI SDK meets it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest

from minirag import prompts
from minirag.errors import InputError
from minirag.offline import EMBEDDING_MODEL, STUDENT_MODEL, TEACHER_MODEL, Server, serve
from minirag.prompts import Excerpt
from minirag.server.batches import LINES_A_LOOK

EXCERPT = Excerpt("The city runs the water works. They opened in 1901. Nobody likes the taste of the water.", 3)
DRAFT: Any = prompts.draft("When did the water works open?", [EXCERPT])


def client_of(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve() as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with client_of(server) as client:
        yield client


def training_file(lines: int = 12) -> tuple[str, bytes]:
    examples = []
    for number in range(lines):
        excerpt = Excerpt(f"Plant {number} makes glass. It employs {number + 40} people. It rains there.", number + 1)
        messages = prompts.draft(f"How many people does plant {number} employ?", [excerpt])
        answer = {"role": "assistant", "content": f"It employs {number + 40} people."}
        examples.append(json.dumps({"messages": [*messages, answer]}))
    return "training.jsonl", "\n".join(examples).encode()


def test_a_chat_model_answers_from_the_excerpts_and_counts_its_tokens(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model=TEACHER_MODEL, messages=DRAFT, temperature=0, seed=1, top_p=1)
    choice = reply.choices[0]
    assert (choice.finish_reason, choice.message.role, choice.message.refusal) == ("stop", "assistant", None)
    assert "They opened in 1901." in str(choice.message.content)
    messages: Any = [{"role": "user", "content": "Say this is a test"}]
    reply = client.chat.completions.create(model=TEACHER_MODEL, messages=messages)
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == 12  # recorded from gpt-4o-mini, which has the same vocabulary
    assert reply.usage.total_tokens == 12 + reply.usage.completion_tokens


def test_a_reply_ends_at_the_token_limit_or_a_stop_mark_and_n_replies_are_equal(client: openai.OpenAI) -> None:
    ask: Any = {"model": TEACHER_MODEL, "messages": DRAFT}
    whole = client.chat.completions.create(**ask)
    text = str(whole.choices[0].message.content)
    cut = client.chat.completions.create(**ask, max_completion_tokens=2)
    assert (cut.choices[0].finish_reason, cut.usage and cut.usage.completion_tokens) == ("length", 2)
    assert text.startswith(str(cut.choices[0].message.content))
    stopped = client.chat.completions.create(**ask, stop=["1901", " opened"])
    assert stopped.choices[0].message.content == text.split(" opened", maxsplit=1)[0]
    three = client.chat.completions.create(**ask, n=3)
    assert [(choice.index, choice.message.content) for choice in three.choices] == [(0, text), (1, text), (2, text)]
    assert whole.usage
    assert three.usage
    assert 3 * whole.usage.completion_tokens == three.usage.completion_tokens


def test_a_file_comes_back_as_it_went_up(client: openai.OpenAI) -> None:
    content = bytes(range(256)) + b"\r\n--\r\n\r\n"
    file = client.files.create(file=("any.jsonl", content), purpose="batch")
    assert ("any.jsonl", len(content), "batch") == (file.filename, file.bytes, file.purpose)
    assert content == client.files.content(file.id).content
    assert file == client.files.retrieve(file.id)
    assert file.id == client.files.list().data[0].id
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve("file-other")


def test_files_are_listed_by_page_and_purpose_until_they_are_deleted(client: openai.OpenAI) -> None:
    made = [client.files.create(file=(f"{n}.jsonl", b"%d" % n), purpose="batch").id for n in range(4)]
    client.files.create(file=training_file(), purpose="fine-tune")
    assert client.files.delete(made[1]).deleted
    listed = [file.id for file in client.files.list(purpose="batch", limit=2)]  # the SDK turns the pages
    assert listed[:3] == [made[3], made[2], made[0]]
    with pytest.raises(openai.NotFoundError):
        client.files.delete(made[1])


def test_a_job_goes_through_its_states_and_gives_a_model_that_answers(client: openai.OpenAI) -> None:
    file = client.files.create(file=training_file(), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model=STUDENT_MODEL,
        training_file=file.id,
        suffix="Ten K",
        seed=7,
        metadata={"sha256": "abc"},
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
    )
    states = [job.status]
    while states[-1] not in ("succeeded", "failed"):
        states.append(client.fine_tuning.jobs.retrieve(job.id).status)
    assert states == ["queued", "running", "succeeded"]
    done = client.fine_tuning.jobs.retrieve(job.id)
    assert (done.hyperparameters.n_epochs, done.seed, done.error) == (2, 7, None)
    assert str(done.fine_tuned_model).startswith("ft:offline-student:minirag:ten-k:")
    assert done in list(client.fine_tuning.jobs.list())
    checkpoints = client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert [done.fine_tuned_model] == [each.fine_tuned_model_checkpoint for each in checkpoints]
    whole = list(client.fine_tuning.jobs.list_events(job.id, limit=100))
    assert whole[-1].message == f"Created fine-tuning job: {job.id}"
    assert whole[0].message == "The job has successfully completed"
    assert whole == list(client.fine_tuning.jobs.list_events(job.id, limit=7))  # the SDK follows the cursor
    assert done.fine_tuned_model in [model.id for model in client.models.list()]
    reply = client.chat.completions.create(model=str(done.fine_tuned_model), messages=DRAFT)
    assert done.fine_tuned_model == reply.model
    assert reply.choices[0].message.content
    assert client.models.delete(str(done.fine_tuned_model)).deleted
    for model, message in ((done.fine_tuned_model, "does not exist"), (STUDENT_MODEL, "no tuned model")):
        with pytest.raises(openai.APIStatusError, match=message):
            client.models.delete(str(model))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (training_file(9)[1], "invalid_n_examples"),
        (b"no json\n" * 12, "invalid_training_file"),
        (b'{"messages": [{"role": "user", "content": "Hi"}]}\n' * 12, "invalid_training_file"),
    ],
)
def test_a_job_on_a_bad_file_fails_and_says_why(client: openai.OpenAI, content: bytes, code: str) -> None:
    file = client.files.create(file=("bad.jsonl", content), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model=STUDENT_MODEL, training_file=file.id)
    job = client.fine_tuning.jobs.retrieve(job.id)
    assert ("failed", code, None) == (job.status, job.error and job.error.code, job.fine_tuned_model)
    assert client.fine_tuning.jobs.list_events(job.id).data[0].level == "error"


CHAT = {"model": TEACHER_MODEL, "messages": DRAFT}


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/chat/completions", {"model": "gpt-5", "messages": DRAFT}, 404, "model_not_found"),
        ("/chat/completions", {"model": TEACHER_MODEL}, 400, "missing_required_parameter"),
        ("/chat/completions", CHAT | {"messages": [{"role": "cat"}]}, 400, "invalid_value"),
        ("/chat/completions", CHAT | {"temperature": 3}, 400, "invalid_value"),
        ("/chat/completions", CHAT | {"stream": True}, 400, "unsupported_value"),
        ("/chat/completions", CHAT | {"max_tokens": 128_000}, 400, "context_length_exceeded"),
        ("/embeddings", {"model": EMBEDDING_MODEL, "input": ""}, 400, "invalid_value"),
        ("/embeddings", {"model": EMBEDDING_MODEL, "input": "word " * 9000}, 400, "context_length_exceeded"),
        ("/fine_tuning/jobs", {"model": STUDENT_MODEL, "training_file": "file-no"}, 400, None),
        ("/fine_tuning/jobs", {"model": TEACHER_MODEL, "training_file": "file-no"}, 400, "model_not_available"),
        ("/files", {}, 400, None),
        ("/responses", {}, 404, None),
        ("/batches", {"input_file_id": "file-no", "endpoint": "/v1/embeddings"}, 400, None),
    ],
)
def test_a_request_that_cannot_be_served_gets_an_error_of_the_usual_shape(
    client: openai.OpenAI, path: str, body: dict[str, Any], status: int, code: str | None
) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        client.post(path, body=body, cast_to=object)
    assert (status, code) == (raised.value.status_code, raised.value.code)
    assert isinstance(raised.value.body, dict)
    assert {"message", "type", "param", "code"} == set(raised.value.body)


def test_parallel_requests_get_the_same_replies_as_one_after_another(client: openai.OpenAI) -> None:
    def ask(number: int) -> dict[str, Any]:
        messages: Any = prompts.draft(f"When did work {number % 16} open?", [EXCERPT])
        reply = client.chat.completions.create(model=STUDENT_MODEL, messages=messages)
        return reply.to_dict() | {"created": 0}  # the clock is not part of it

    in_turn = [ask(number) for number in range(32)]
    with ThreadPoolExecutor(32) as pool:
        assert in_turn == list(pool.map(ask, range(32)))


def test_a_tuned_model_and_its_job_survive_a_restart_of_the_server(tmp_path: Path) -> None:
    state = tmp_path / "state"
    answers, jobs, files = [], [], []
    name = ""
    for _ in range(2):
        with serve(state) as server, client_of(server) as client:
            if not name:
                file = client.files.create(file=training_file(), purpose="fine-tune")
                id = client.fine_tuning.jobs.create(model=STUDENT_MODEL, training_file=file.id).id
                name = str([client.fine_tuning.jobs.retrieve(id) for _ in range(2)][1].fine_tuned_model)
            answers.append(client.chat.completions.create(model=name, messages=DRAFT).choices[0].message.content)
            jobs.append([job.to_dict() for job in client.fine_tuning.jobs.list()])
            files.append([file.id for file in client.files.list()])
    assert (answers[0], jobs[0], files[0]) == (answers[1], jobs[1], files[1])
    assert {0o600} == {path.stat().st_mode & 0o777 for path in state.rglob("*.json")}


def test_a_damaged_state_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "x.json").write_text("{}")
    with pytest.raises(InputError, match=r"is damaged; delete it"):
        serve(tmp_path)


def test_the_command_serves_until_it_is_interrupted() -> None:
    command = [sys.executable, "-m", "minirag.offline", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        base_url = process.stdout.readline().strip()
        with openai.OpenAI(base_url=base_url, api_key="any") as client:
            assert TEACHER_MODEL in [model.id for model in client.models.list()]
        os.kill(process.pid, signal.SIGINT)
        _, talk = process.communicate(timeout=10)
    assert (process.returncode, talk) == (130, "")


def test_the_command_names_a_port_that_is_taken(server: Server) -> None:
    port = server.base_url.split(":")[2].split("/")[0]
    command = [sys.executable, "-m", "minirag.offline", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert port in done.stderr


# -- batches -------------------------------------------------------------------------------------------------


def line(custom_id: str, text: str = "water works", **fields: Any) -> dict[str, Any]:
    body = {"model": EMBEDDING_MODEL, "input": [text], "dimensions": 4, "encoding_format": "float"}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/embeddings", "body": body, **fields}


def create(client: openai.OpenAI, rows: Sequence[Any]) -> str:
    content = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()
    file = client.files.create(file=("lines.jsonl", content), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h").id


def ended(client: openai.OpenAI, id: str) -> Any:
    """Return the batch once it has ended."""
    while (batch := client.batches.retrieve(id)).status in {"validating", "in_progress"}:
        pass
    return batch


def rows(client: openai.OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    return [json.loads(row) for row in client.files.content(file_id).text.splitlines()]


@pytest.mark.parametrize("row", ["{", line("a", url="/v1/chat/completions"), line("a", body=[]), line("first")])
def test_a_batch_with_one_wrong_line_fails_with_its_number_and_no_line_is_answered(
    client: openai.OpenAI, row: Any
) -> None:
    batch = ended(client, create(client, [line("first"), row]))
    assert (batch.status, [error.line for error in batch.errors.data]) == ("failed", [2])
    assert (batch.output_file_id, batch.error_file_id, batch.request_counts.completed) == (None, None, 0)


def test_replies_and_errors_are_in_files_of_their_own_in_another_order_and_a_file_without_lines_is_none(
    client: openai.OpenAI,
) -> None:
    good = ended(client, create(client, [line("a"), line("b")]))
    mixed = ended(client, create(client, [line("a"), line("b", text="")]))
    assert (good.status, good.error_file_id, good.request_counts.completed) == ("completed", None, 2)
    assert [row["custom_id"] for row in rows(client, good.output_file_id)] == ["b", "a"]
    assert [row["custom_id"] for row in rows(client, mixed.output_file_id)] == ["a"]
    (error,) = rows(client, mixed.error_file_id)
    assert (error["custom_id"], error["response"]["status_code"], error["error"]) == ("b", 400, None)
    assert "Invalid 'input'" in error["response"]["body"]["error"]["message"]


def test_a_large_batch_takes_several_looks_and_shows_how_far_it_is(client: openai.OpenAI) -> None:
    id = create(client, [line(str(number)) for number in range(2 * LINES_A_LOOK + 1)])
    looks = [client.batches.retrieve(id) for _ in range(4)]
    counts = [batch.request_counts.completed for batch in looks if batch.request_counts]
    assert counts == [0, LINES_A_LOOK, 2 * LINES_A_LOOK, 2 * LINES_A_LOOK + 1]
    assert [batch.status for batch in looks] == [*["in_progress"] * 3, "completed"]
    with pytest.raises(openai.ConflictError, match="status 'completed'"):
        client.batches.cancel(id)
