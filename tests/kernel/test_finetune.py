"""The job: created once, found again, clear about why there is no model."""

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

import services
from doubles import Clock
from faults import Rule, active_job_cap, file_not_ready, lost_reply, outage, serve, shows, training_not_available
from minirag import FineTuningJob, MessageLog, offline, prompts
from minirag.errors import JobError, JobUnfinished, TrainingNotAvailable
from minirag.models import ChatModel
from minirag.prompts import Excerpt
from minirag.retry import Retry
from minirag.service import Service

create = partial(FineTuningJob.create, base="offline-student")
NOT_DEPLOYED = r"is trained, but .* deploy its last checkpoint .*, then run again with --tuned NAME"


@pytest.fixture
def server():
    with offline.serve() as running:
        yield running


@pytest.fixture
def service(server):
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


def test_a_job_runs_to_its_model_and_the_model_answers(tmp_path, log, service):
    path = tmp_path / "job.json"
    job = create(training_file(tmp_path), suffix="mills", log=log, service=service, path=path)
    seen: list[str] = []
    assert job.wait(progress=seen.append).status == "succeeded"
    assert list(dict.fromkeys(seen)) == ["queued", "running", "succeeded"]
    assert job.model.startswith("ft:offline-student:")
    assert "mills" in job.model
    assert json.loads(path.read_text())["fine_tuned_model"] == job.model
    assert {"upload", "train", "poll"} == {exchange.stage for exchange in log}
    asked = prompts.draft("Who?", [Excerpt("Ann runs it.")])
    assert ChatModel(job.model, service=service).complete(asked, stage="draft").served_model == job.model


def test_creating_it_again_finds_it_in_the_log_or_on_the_server(tmp_path, log, service):
    file = training_file(tmp_path)
    first = create(file, log=log, service=service)
    with pytest.raises(JobError, match="no model yet"):
        _ = first.model
    from_log = create(file, log=log, service=service)
    from_server = create(file, service=service)
    assert first.id == from_log.id == from_server.id
    assert [e.stage for e in log].count("train") == 1
    other = create(file, suffix="other", log=log, service=service)
    assert other.id != first.id
    assert [e.stage for e in log].count("upload") == 1
    assert first.cancel() == "cancelled"  # then a new one is started
    assert create(file, log=log, service=service).id != first.id


def jobs_of(server: offline.Server) -> list[dict[str, Any]]:
    """All jobs that a server holds, by its own word."""
    return httpx.get(f"{server.base_url}/fine_tuning/jobs", headers={"Authorization": "Bearer k"}).json()["data"]


def attempt(server: offline.Server, folder: Path, clock: Clock | None = None, **more: Any) -> FineTuningJob:
    """A job on this server from start to end, without real waiting."""
    clock = clock or Clock()
    retry = Retry(sleep=clock.sleep, clock=lambda: clock.now)
    with Service(server.base_url, "k", name="offline", retry=retry) as service, MessageLog(folder / "log.jsonl") as log:
        job = create(training_file(folder), log=log, service=service, **more)
        return job.wait(sleep=clock.sleep)


def test_a_lost_reply_to_the_creation_makes_exactly_one_job(tmp_path):
    with serve(faults=[lost_reply("/jobs$")]) as server:
        assert attempt(server, tmp_path).model
        assert len(jobs_of(server)) == 1
        assert server.requests["POST", "/v1/fine_tuning/jobs"] == 1


def test_a_file_that_is_not_ready_is_waited_for_and_nothing_else_is(tmp_path):
    with serve(faults=[file_not_ready(3)]) as server:
        assert attempt(server, tmp_path).model
        assert server.requests["POST", "/v1/fine_tuning/jobs"] == 4
        assert server.requests["POST", "/v1/files"] == 1
    with serve(faults=[file_not_ready(1000)]) as server:
        with pytest.raises(JobUnfinished, match="still processing"):
            attempt(server, tmp_path / "other")
        assert jobs_of(server) == []


@pytest.mark.parametrize(
    ("rule", "kind", "says"),
    [
        (Rule(path="/fine_tuning/jobs", status=500, error={"message": "sorry"}), JobUnfinished, "again later: .*sorry"),
        (active_job_cap(), JobUnfinished, r"No job can start at .* now, run again later: .*maximum of 1 active"),
        (training_not_available(), TrainingNotAvailable, r"2027-01-06.*training\.jsonl elsewhere"),
        (shows("jobs", 2, status="failed", error=None), JobError, "failed: the service gives no reason"),
        (shows("jobs", 2, status="FAILED_VALIDATION", error="Line 3."), JobError, r"failed: Line 3\.$"),
        (shows("jobs", 2, status="Cancelled"), JobError, "was cancelled; run again to start a new one"),
        (shows("jobs", 2, status="SUCCESS", fine_tuned_model=None), TrainingNotAvailable, NOT_DEPLOYED),
    ],
)
def test_each_outcome_without_a_model_has_its_sentence(tmp_path, rule, kind, says):
    with serve(faults=[rule]) as server:
        with pytest.raises(kind, match=says):
            _ = attempt(server, tmp_path).model
        assert server.requests["POST", "/v1/fine_tuning/jobs"] <= 1
        assert server.requests["POST", "/v1/files"] <= 1


@pytest.mark.parametrize(
    "rules",
    [
        [Rule(path="/(files|jobs)$", status=404, error={"message": "Not Found"})],
        [Rule(path="/(files|jobs)$", status=401, error={"message": "Missing scopes: api.files.write"})],
        [Rule(path="/(files|jobs)$", status=400, error={"message": "Unknown route"})],
        [Rule(path="/(files|jobs)$", body="<html>Welcome</html>")],
        [Rule(path="/(files|jobs)$", body={"error": "Unexpected endpoint"})],
        [Rule(method="GET", path="/jobs$", status=400), Rule(method="POST", path="/files$", status=405)],
        [Rule(method="POST", path="/jobs$", status=403, error={"message": "Your plan has no fine-tuning."})],
    ],
)
def test_a_service_that_does_not_train_is_named_with_what_else_can_be_done(tmp_path, rules):
    with serve(faults=rules) as server, pytest.raises(TrainingNotAvailable) as raised:
        attempt(server, tmp_path)
    assert "127.0.0.1" in str(raised.value)
    assert "train on training.jsonl elsewhere, then run again with --tuned MODEL" in str(raised.value)


def test_a_service_that_wants_other_fields_keeps_no_metadata_and_deploys_nothing_is_served(tmp_path):
    server, _ = services.serve(services.DIALECTS["nebius"])
    more: dict[str, Any] = {"hyperparameters": {"n_epochs": 2}, "seed": 3}
    with server:
        job = attempt(server, tmp_path, **more, options={"packing": True})
        with pytest.raises(TrainingNotAvailable, match="deploy its last checkpoint"):
            _ = job.model
        with MessageLog(tmp_path / "log.jsonl") as log:
            [sent] = [exchange.request for exchange in log if exchange.stage == "train" and exchange.error is None]
        assert (sent["hyperparameters"], sent["packing"]) == ({"n_epochs": 2}, True)
        assert sent.keys() == {"model", "training_file", "hyperparameters", "packing", "metadata", "seed"}
        assert attempt(server, tmp_path / "lost log", **more).id == job.id
        assert attempt(server, tmp_path / "other", hyperparameters={"n_epochs": 3}).id != job.id


def test_an_undecided_refusal_leads_once_to_the_plainest_request_and_is_reported_if_that_fails(tmp_path):
    refused = Rule(method="POST", path="/jobs$", status=400, error={"message": "Bad request"})
    with serve(faults=[replace(refused, last=1)]) as server:
        assert attempt(server, tmp_path, seed=3).model
        assert server.requests["POST", "/v1/fine_tuning/jobs"] == 2
    with serve(faults=[refused]) as server, pytest.raises(JobError, match=r"refuses this job: .*Bad request"):
        attempt(server, tmp_path / "other", seed=3)


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}])
def test_a_wait_outlives_half_an_hour_without_the_service_and_ends_after_two_hours(tmp_path, fault):
    with serve(faults=[outage(clock := Clock(), 1900, "/fine_tuning/jobs/", **fault)]) as server:
        assert attempt(server, tmp_path, clock).model
        assert 1900 < clock.now < 2100
    with serve(faults=[outage(clock := Clock(), math.inf, "/fine_tuning/jobs/", **fault)]) as server:
        with pytest.raises(JobUnfinished, match=r"is not known: .*; run again to wait on"):
            attempt(server, tmp_path / "other", clock)
        assert 7000 < clock.now < 9900


def test_a_model_that_cannot_be_tuned_is_named(tmp_path, service):
    with pytest.raises(JobError, match=r"gpt-none cannot be tuned at .*name another --student"):
        create(training_file(tmp_path), base="gpt-none", service=service)


def test_paused_and_unknown_states_are_waited_for(tmp_path):
    rules = [shows("jobs", 1, 2, status="paused"), shows("jobs", 3, 3, status="reticulating")]
    with serve(faults=rules) as server:
        assert attempt(server, tmp_path).model


def test_hyperparameters_reach_the_service_and_are_part_of_the_job(tmp_path, server):
    how = {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5}
    job = attempt(server, tmp_path, hyperparameters=how, seed=7)
    [state] = jobs_of(server)
    assert state["hyperparameters"] == how
    with Service(server.base_url, "k") as service:
        again = FineTuningJob(service, state)
        assert [saved["fine_tuned_model_checkpoint"] for saved in again.pages("checkpoints.list")][-1] == job.model
        assert next(again.pages("list_events"))["message"] == "The job has successfully completed"
    assert attempt(server, tmp_path).id != job.id


def test_real_job_objects_are_read_in_every_state(shared):
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
