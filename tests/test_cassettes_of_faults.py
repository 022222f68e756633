"""The stories of a service that fails or refuses, on cassettes recorded from the offline server failing by rule.

A real service does not fail on demand, so these are recorded from no other.
"""

import json
from pathlib import Path

import pytest

from minirag import ChatModel, EmbeddingModel, FineTuningJob, MessageLog, prompts
from minirag.errors import JobUnfinished, ServiceError, ServiceRefused, TrainingNotAvailable
from minirag.offline import EMBEDDING_MODEL, STUDENT_MODEL, TEACHER_MODEL, Rule, job_faults
from minirag.service import Service
from recorded import Source

pytestmark = pytest.mark.vcr

HELLO = prompts.draft("When did it open?", [prompts.Excerpt("It opened in 1901.", 1)])
BUSY = Rule(
    last=1,
    status=429,
    error={"message": "Rate limit reached", "code": "rate_limit_exceeded", "type": "requests"},
    headers={"Retry-After": "7"},
)
QUOTA = Rule(status=429, error={"message": "You exceeded your current quota", "code": "insufficient_quota"})
BAD_KEY = "sk-proj-wrong0123456789"
REFUSED_KEY = Rule(
    status=401,
    error={"message": f"Incorrect API key provided: {BAD_KEY}.", "code": "invalid_api_key"},
)
NO_BASE64 = Rule(
    path="/embeddings$",
    holding='"base64"',
    status=400,
    error={"message": "encoding_format 'base64' is not supported", "param": "encoding_format"},
)


def statuses(log: MessageLog) -> list[int | None]:
    """The status of each exchange's error, None for an answer."""
    return [exchange.error["status"] if exchange.error else None for exchange in log]


def ask(service: Service, log: MessageLog) -> str:
    return ChatModel(TEACHER_MODEL, service=service, log=log).complete(HELLO, stage="draft").text


def training_file(folder: Path) -> Path:
    """Twelve examples, a line each."""
    path = folder / "training.jsonl"
    rows = [
        {"messages": [*HELLO, {"role": "assistant", "content": f"It opened {number} minutes before noon."}]}
        for number in range(12)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return path


def test_a_busy_service_is_asked_again(embedded: Source, tmp_path: Path) -> None:
    with embedded.connect(BUSY) as service, MessageLog(tmp_path / "log.jsonl") as log:
        assert ask(service, log) == "It opened in 1901."
        assert statuses(log) == [429, None]


@pytest.mark.parametrize(
    ("rule", "says"), [(QUOTA, "no quota left"), (REFUSED_KEY, "refuses the key")], ids=["quota", "key"]
)
def test_a_refusal_is_final(embedded: Source, tmp_path: Path, rule: Rule, says: str) -> None:
    with embedded.connect(rule, key=BAD_KEY) as service, MessageLog(tmp_path / "log.jsonl") as log:
        with pytest.raises(ServiceRefused, match=says) as refused:
            ask(service, log)
        assert statuses(log) == [rule.status]
        assert BAD_KEY not in str(refused.value)


def test_a_service_without_base64_is_asked_for_numbers(embedded: Source, tmp_path: Path) -> None:
    with embedded.connect(NO_BASE64) as service, MessageLog(tmp_path / "log.jsonl") as log:
        embed = EmbeddingModel(EMBEDDING_MODEL, dimensions=16, service=service, log=log)
        assert embed.embed(["one", "two"]).shape == (2, 16)
        assert statuses(log) == [400, None]


def test_training_that_is_closed_is_said_after_the_upload(embedded: Source, tmp_path: Path) -> None:
    with embedded.connect(job_faults.training_not_available()) as service, MessageLog(tmp_path / "log.jsonl") as log:
        with pytest.raises(TrainingNotAvailable, match=r"2027-01-06.*--tuned MODEL"):
            FineTuningJob.create(training_file(tmp_path), base=STUDENT_MODEL, log=log, service=service)
        assert [(e.stage, e.error is None) for e in log] == [("poll", True), ("upload", True), ("train", False)]
        assert statuses(log)[-1] == 403


def test_a_file_that_is_still_processed_is_waited_for(embedded: Source, tmp_path: Path) -> None:
    with embedded.connect(job_faults.file_not_ready(2)) as service, MessageLog(tmp_path / "log.jsonl") as log:
        job = FineTuningJob.create(training_file(tmp_path), base=STUDENT_MODEL, log=log, service=service)
        assert job.status == "validating_files"
        assert statuses(log) == [None, None, 400, 400, None]


def test_a_cap_on_active_jobs_leaves_the_run_resumable(embedded: Source, tmp_path: Path) -> None:
    with embedded.connect(job_faults.active_job_cap(1)) as service, MessageLog(tmp_path / "log.jsonl") as log:
        file = training_file(tmp_path)
        with pytest.raises(JobUnfinished, match="wait for another to end"):
            FineTuningJob.create(file, base=STUDENT_MODEL, log=log, service=service)
        assert FineTuningJob.create(file, base=STUDENT_MODEL, log=log, service=service).id
        assert [exchange.stage for exchange in log].count("upload") == 1


@pytest.mark.parametrize("status", [500, 503])
def test_a_service_that_is_down_is_tried_four_times(embedded: Source, tmp_path: Path, status: int) -> None:
    down = Rule(status=status, error={"message": "The server had an error", "type": "server_error"})
    with embedded.connect(down) as service, MessageLog(tmp_path / "log.jsonl") as log:
        with pytest.raises(ServiceError, match=str(status)):
            ask(service, log)
        assert statuses(log) == [status] * 4


@pytest.mark.parametrize(
    ("model", "max_tokens", "status"),
    [("no-such-model", 8, 404), (TEACHER_MODEL, 1_000_000_000, 400)],
    ids=["unknown-model", "too-long"],
)
def test_what_cannot_be_served_is_said_after_one_request(
    embedded: Source, tmp_path: Path, model: str, max_tokens: int, status: int
) -> None:
    with embedded.connect() as service, MessageLog(tmp_path / "log.jsonl") as log:
        chat = ChatModel(model, service=service, log=log)
        with pytest.raises(ServiceError) as refused:
            chat.complete(HELLO, stage="draft", max_tokens=max_tokens)
        assert statuses(log) == [status]
    assert (refused.value.status, refused.value.transient) == (status, False)
