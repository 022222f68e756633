"""The job: created once, found again, clear about why there is no model."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doubles import Script, refusal
from minirag import FineTuningJob, MessageLog, offline, prompts
from minirag.errors import BadReply, InputError, JobError, ServiceError, TrainingNotAvailable
from minirag.finetune import Progress
from minirag.models import ChatModel, Service
from minirag.prompts import Excerpt
from minirag.retry import Retry


@pytest.fixture
def server() -> Iterator[offline.Server]:
    with offline.serve() as running:
        yield running


@pytest.fixture
def service(server: offline.Server) -> Iterator[Service]:
    with Service(server.base_url, "offline", name="offline") as made:
        yield made


def training_file(folder: Path, count: int = 12) -> Path:
    path = folder / "training.jsonl"
    rows = []
    for n in range(count):
        text = f"The mill of valley {n} grinds rye. It was built in {1900 + n}. Visitors come on Sundays."
        messages = prompts.draft(f"When was the mill of valley {n} built?", [Excerpt(text, n + 1)])
        rows.append({"messages": [*messages, {"role": "assistant", "content": f"It was built in {1900 + n}."}]})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_job_runs_to_its_model_and_the_model_answers(tmp_path: Path, service: Service) -> None:
    log = MessageLog(tmp_path / "log.jsonl")
    job = FineTuningJob.create(
        training_file(tmp_path),
        base="offline-student",
        suffix="mills",
        log=log,
        service=service,
        path=tmp_path / "job.json",
    )
    seen: list[Progress] = []
    assert job.wait(progress=seen.append, timeout=60).status == "succeeded"
    assert [str(now) for now in seen] == ["validating_files", "queued", "running, step 96/96, loss 0.972", "succeeded"]
    assert job.model.startswith("ft:offline-student:")
    assert "mills" in job.model
    assert json.loads((tmp_path / "job.json").read_text())["fine_tuned_model"] == job.model
    assert {"upload", "train", "poll"} == {exchange.stage for exchange in log}
    assert job.events()[0]["created_at"] <= job.events()[-1]["created_at"]
    reply = ChatModel(job.model, service=service).complete(
        prompts.draft("Who?", [Excerpt("Ann runs it.")]), stage="draft"
    )
    assert reply.served_model == job.model


def test_creating_it_again_finds_it_in_the_log_or_on_the_server(tmp_path: Path, service: Service) -> None:
    log, file = MessageLog(tmp_path / "log.jsonl"), training_file(tmp_path)
    first = FineTuningJob.create(file, base="offline-student", log=log, service=service)
    from_log = FineTuningJob.create(file, base="offline-student", log=log, service=service)
    from_server = FineTuningJob.create(file, base="offline-student", service=service)
    assert first.id == from_log.id == from_server.id
    assert [e.stage for e in log].count("train") == 1
    other = FineTuningJob.create(file, base="offline-student", suffix="other", log=log, service=service)
    assert other.id != first.id
    assert [e.stage for e in log].count("upload") == 1


def test_asking_for_the_model_too_early_says_so(tmp_path: Path, service: Service) -> None:
    job = FineTuningJob.create(training_file(tmp_path), base="offline-student", service=service)
    with pytest.raises(JobError, match="no model yet"):
        _ = job.model


def test_a_file_of_too_few_examples_fails_with_the_service_s_reason(tmp_path: Path, service: Service) -> None:
    job = FineTuningJob.create(training_file(tmp_path, 4), base="offline-student", service=service).wait(timeout=60)
    with pytest.raises(JobError, match=r"failed: .*10"):
        _ = job.model


def test_a_cancelled_job_has_no_model(tmp_path: Path, service: Service) -> None:
    job = FineTuningJob.create(training_file(tmp_path), base="offline-student", service=service)
    assert job.cancel() == "cancelled"
    with pytest.raises(JobError, match="was cancelled"):
        _ = job.model


def test_an_upload_without_an_id_is_a_failure_that_a_later_run_does_not_build_on(tmp_path: Path) -> None:
    empty = {"object": "list", "data": [], "has_more": False}
    with Script(empty, {"object": "file"}) as script, Service(script.url, "k") as service:
        log = MessageLog(tmp_path / "log.jsonl")
        for _ in range(2):
            with pytest.raises(BadReply, match="neither a file nor a job"):
                FineTuningJob.create(training_file(tmp_path), base="m", log=log, service=service)
            script.requests.clear()
        assert [e.error["type"] for e in log if e.stage == "upload"] == ["BadReply", "BadReply"]


def test_after_a_job_that_failed_or_was_cancelled_a_new_one_is_started(tmp_path: Path, service: Service) -> None:
    log, file = MessageLog(tmp_path / "log.jsonl"), training_file(tmp_path)
    first = FineTuningJob.create(file, base="offline-student", log=log, service=service)
    first.cancel()
    second = FineTuningJob.create(file, base="offline-student", log=log, service=service).wait(timeout=60)
    assert second.id != first.id
    assert second.model
    assert FineTuningJob.create(file, base="offline-student", log=log, service=service).id == second.id


def test_another_service_knows_nothing_of_this_one_s_jobs_and_files(tmp_path: Path, service: Service) -> None:
    log, file = MessageLog(tmp_path / "log.jsonl"), training_file(tmp_path)
    first = FineTuningJob.create(file, base="offline-student", log=log, service=service)
    with offline.serve() as other, Service(other.base_url, "k", name="elsewhere") as elsewhere:
        FineTuningJob.create(file, base="offline-student", log=log, service=elsewhere)
    assert [(e.service, e.stage) for e in log if e.stage in {"upload", "train"}] == [
        ("offline", "upload"),
        ("offline", "train"),
        ("elsewhere", "upload"),
        ("elsewhere", "train"),
    ]
    assert first.id


def test_a_job_list_that_fails_starts_no_second_job(tmp_path: Path) -> None:
    retry = Retry(sleep=lambda _: None)
    with Script(refusal(500, "sorry")) as script, Service(script.url, "k", retry=retry) as service:
        with pytest.raises(ServiceError, match="sorry"):
            FineTuningJob.create(training_file(tmp_path), base="m", service=service)
        assert {r["method"] for r in script.requests} == {"GET"}


@pytest.mark.parametrize(
    ("reply", "kind", "says"),
    [
        (refusal(403, "closed", code="training_not_available"), TrainingNotAvailable, "--tuned MODEL"),
        (refusal(400, "Model gpt-x is not available for fine-tuning", code="model_not_available"), JobError, "gpt-x"),
        (refusal(429, "too many active jobs", type="invalid_request_error"), JobError, "too many active jobs"),
        (refusal(500, "sorry"), ServiceError, "sorry"),
    ],
)
def test_each_refusal_to_train_is_told_apart_and_never_tried_twice(
    tmp_path: Path, reply: Any, kind: type[Exception], says: str
) -> None:
    empty = {"object": "list", "data": [], "has_more": False}
    uploaded = {"id": "file-1", "object": "file", "bytes": 1, "created_at": 1, "filename": "t", "purpose": "fine-tune"}
    with Script(empty, {**uploaded, "status": "processed"}, reply) as script:
        with Service(script.url, "k") as service, pytest.raises(kind, match=says):
            FineTuningJob.create(training_file(tmp_path), base="m", service=service)
        assert [r["path"] for r in script.requests if r["method"] == "POST"] == ["/v1/files", "/v1/fine_tuning/jobs"]


def test_the_real_job_objects_are_read(shared: Path) -> None:
    for line in (shared / "openai" / "objects" / "fine_tuning_jobs.jsonl").read_text("utf-8").splitlines():
        state = json.loads(line)["object"]
        job = FineTuningJob(Service("http://127.0.0.1:1/v1"), state, log=None, path=None)
        if job.status == "succeeded" and state.get("fine_tuned_model"):
            assert job.model == state["fine_tuned_model"]
        else:
            with pytest.raises(JobError):
                _ = job.model


def test_a_missing_file_and_a_bad_suffix_are_sentences(tmp_path: Path) -> None:
    service = Service("http://127.0.0.1:1/v1")
    with pytest.raises(InputError, match="Cannot read the training file"):
        FineTuningJob.create(tmp_path / "none.jsonl", base="m", service=service)
    with pytest.raises(InputError, match="1 to 64"):
        FineTuningJob.create(training_file(tmp_path), base="m", suffix="x" * 65, service=service)
