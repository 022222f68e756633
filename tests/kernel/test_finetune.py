"""The job: created once, found again, clear about why there is no model."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import job_faults
from faults import Rule, serve
from minirag import FineTuningJob, MessageLog, offline, prompts
from minirag.errors import JobError, JobUnfinished, ServiceError, TrainingNotAvailable
from minirag.models import ChatModel
from minirag.prompts import Excerpt
from minirag.retry import Retry
from minirag.service import Service


@pytest.fixture
def server() -> Iterator[offline.Server]:
    with offline.serve() as running:
        yield running


@pytest.fixture
def service(server: offline.Server) -> Iterator[Service]:
    with Service(server.base_url, "offline", name="offline") as made:
        yield made


def training_file(folder: Path, count: int = 12) -> Path:
    folder.mkdir(exist_ok=True)
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
    seen: list[str] = []
    assert job.wait(progress=seen.append, timeout=60).status == "succeeded"
    assert seen == ["validating_files", "queued", "running, step 96/96, loss 0.972", "succeeded"]
    assert job.model.startswith("ft:offline-student:")
    assert "mills" in job.model
    assert json.loads((tmp_path / "job.json").read_text())["fine_tuned_model"] == job.model
    assert {"upload", "train", "poll"} == {exchange.stage for exchange in log}
    times = [event["created_at"] for event in job.pages("events")]
    assert times == sorted(times, reverse=True)
    reply = ChatModel(job.model, service=service).complete(
        prompts.draft("Who?", [Excerpt("Ann runs it.")]), stage="draft"
    )
    assert reply.served_model == job.model


def test_creating_it_again_finds_it_in_the_log_or_on_the_server(tmp_path: Path, service: Service) -> None:
    log, file = MessageLog(tmp_path / "log.jsonl"), training_file(tmp_path)
    first = FineTuningJob.create(file, base="offline-student", log=log, service=service)
    with pytest.raises(JobError, match="no model yet"):
        _ = first.model
    from_log = FineTuningJob.create(file, base="offline-student", log=log, service=service)
    from_server = FineTuningJob.create(file, base="offline-student", service=service)
    assert first.id == from_log.id == from_server.id
    assert [e.stage for e in log].count("train") == 1
    other = FineTuningJob.create(file, base="offline-student", suffix="other", log=log, service=service)
    assert other.id != first.id
    assert [e.stage for e in log].count("upload") == 1


def test_after_a_job_that_failed_or_was_cancelled_a_new_one_is_started(tmp_path: Path, service: Service) -> None:
    log, file = MessageLog(tmp_path / "log.jsonl"), training_file(tmp_path)
    first = FineTuningJob.create(file, base="offline-student", log=log, service=service)
    assert first.cancel() == "cancelled"
    with pytest.raises(JobError, match="was cancelled"):
        _ = first.model
    second = FineTuningJob.create(file, base="offline-student", log=log, service=service).wait(timeout=60)
    assert second.id != first.id
    assert second.model
    assert FineTuningJob.create(file, base="offline-student", log=log, service=service).id == second.id


# -- what goes wrong at the service ------------------------------------------------------------------------


def jobs_of(server: offline.Server) -> list[dict[str, Any]]:
    """All jobs that a server holds, by its own word."""
    data = httpx.get(f"{server.base_url}/fine_tuning/jobs", headers={"Authorization": "Bearer k"}).json()["data"]
    assert isinstance(data, list)
    return data


def attempt(server: offline.Server, folder: Path, **more: Any) -> FineTuningJob:
    """A job on this server from start to end, without real waiting."""
    retry = Retry(sleep=lambda _: None)
    with Service(server.base_url, "k", name="offline", retry=retry) as service, MessageLog(folder / "log.jsonl") as log:
        file = training_file(folder)
        job = FineTuningJob.create(file, base="offline-student", log=log, service=service, **more)
        return job.wait(sleep=lambda _: None, timeout=600)


def test_a_lost_reply_to_the_creation_makes_exactly_one_job(tmp_path: Path) -> None:
    with serve(faults=[job_faults.lost_reply()]) as server:
        assert attempt(server, tmp_path).model
        assert len(jobs_of(server)) == 1
        assert server.requests["POST", "/v1/fine_tuning/jobs"] == 1


def test_a_file_that_is_not_ready_is_waited_for_and_nothing_else_is(tmp_path: Path) -> None:
    with serve(faults=[job_faults.file_not_ready(3)]) as server:
        assert attempt(server, tmp_path).model
        assert server.requests["POST", "/v1/fine_tuning/jobs"] == 4
        assert server.requests["POST", "/v1/files"] == 1
    with serve(faults=[job_faults.file_not_ready(1000)]) as server:
        with pytest.raises(JobUnfinished, match="still processing"):
            attempt(server, tmp_path / "other")
        assert jobs_of(server) == []


@pytest.mark.parametrize(
    ("rule", "kind", "says"),
    [
        (Rule(path="/fine_tuning/jobs", status=500, error={"message": "sorry"}), ServiceError, "sorry"),
        (job_faults.active_job_cap(), JobUnfinished, r"No further job can start now.*maximum of 1 active"),
        (job_faults.training_not_available(), TrainingNotAvailable, r"2027-01-06.*training\.jsonl elsewhere"),
        (job_faults.job_shows(2, status="failed", error=None), JobError, "failed: the service gives no reason"),
        (
            job_faults.job_shows(2, status="failed", error={"code": "invalid_n_examples", "message": "has 4"}),
            JobError,
            "has 4; ask for more --train-questions",
        ),
        (job_faults.job_shows(2, status="cancelled"), JobError, "was cancelled; run again to start a new one"),
    ],
)
def test_each_outcome_without_a_model_has_its_sentence(
    tmp_path: Path, rule: Any, kind: type[Exception], says: str
) -> None:
    with serve(faults=[rule]) as server:
        with pytest.raises(kind, match=says):
            _ = attempt(server, tmp_path).model
        assert server.requests["POST", "/v1/fine_tuning/jobs"] <= 1
        assert server.requests["POST", "/v1/files"] <= 1


def test_a_model_that_cannot_be_tuned_is_named(tmp_path: Path, service: Service) -> None:
    with pytest.raises(JobError, match=r"gpt-none cannot be tuned at .*name another --student"):
        FineTuningJob.create(training_file(tmp_path), base="gpt-none", service=service)


def test_paused_and_unknown_states_are_waited_for_up_to_the_limit(tmp_path: Path) -> None:
    rules = [job_faults.job_shows(1, 2, status="paused"), job_faults.job_shows(3, 3, status="reticulating")]
    with serve(faults=rules) as server:
        assert attempt(server, tmp_path).model
    forever = serve(faults=[job_faults.job_shows(1, status="paused")])
    with forever as server, pytest.raises(JobUnfinished, match="still paused after 600 s; run again"):
        attempt(server, tmp_path / "other")


def test_a_restart_in_each_state_goes_on_with_the_same_job(tmp_path: Path, server: offline.Server) -> None:
    ids, states = set(), []
    for _ in range(6):
        with Service(server.base_url, "k", name="offline") as service, MessageLog(tmp_path / "log.jsonl") as log:
            job = FineTuningJob.create(training_file(tmp_path), base="offline-student", log=log, service=service)
            ids.add(job.id)
            states.append(job.status)
    assert len(ids) == 1
    assert states == ["validating_files", "queued", "running", "succeeded", "succeeded", "succeeded"]
    assert len(jobs_of(server)) == 1
    assert server.requests["POST", "/v1/fine_tuning/jobs"] == 1


def test_validation_file_and_hyperparameters_reach_the_service_and_are_part_of_the_job(
    tmp_path: Path, server: offline.Server
) -> None:
    validation = tmp_path / "validation.jsonl"
    validation.write_bytes(training_file(tmp_path, 14).read_bytes().splitlines(keepends=True)[-1])
    how = {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5}
    job = attempt(server, tmp_path, validation_file=validation, hyperparameters=how, seed=7)
    [state] = jobs_of(server)
    assert state["hyperparameters"] == {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5}
    assert state["validation_file"]
    with Service(server.base_url, "k") as service:
        again = FineTuningJob(service, state)
        assert [saved["fine_tuned_model_checkpoint"] for saved in again.pages("checkpoints")] == [job.model]
        assert next(again.pages("events"))["message"] == "The job has successfully completed"
    assert attempt(server, tmp_path).id != job.id


def test_real_job_objects_are_read_in_every_state(shared: Path) -> None:
    folder = shared / "openai" / "objects"
    lines = (folder / "fine_tuning_jobs.jsonl").read_text("utf-8").splitlines()
    cycles = json.loads((folder / "fine_tuning_lifecycle_from_sdk_repr.json").read_text("utf-8"))["items"]
    states = [json.loads(line)["object"] for line in lines] + [o for cycle in cycles for o in cycle["objects"]]
    jobs = [state for state in states if state["object"] == "fine_tuning.job"]
    assert {"validating_files", "succeeded"} <= {state["status"] for state in jobs}
    for state in jobs:
        job = FineTuningJob(Service("http://127.0.0.1:1/v1"), state)
        if job.status == "succeeded" and state.get("fine_tuned_model"):
            assert job.model == state["fine_tuned_model"]
        else:
            with pytest.raises(JobError):
                _ = job.model
