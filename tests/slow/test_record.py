"""`scripts/record` and the README's cassette test, as a user runs them: in processes of their own."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from minirag import offline
from minirag.server import Server
from minirag.server.wire import Reply, Request
from recorded import CASSETTES, Models, models_of

ROOT = Path(__file__).parents[2]
OTHER = Models("other-teacher", "other-student", "other-judge", "other-embedding")


@pytest.fixture
def other_service() -> Callable[[Request], Reply]:
    """The embedded models under other names: as far as a client can tell, another service."""
    embedded = offline.api()

    def reply(request: Request) -> Reply:
        answer = embedded(request._replace(body=request.body.replace(b"other-", b"offline-")))
        return answer._replace(body=answer.body.replace(b"offline-", b"other-"))

    return reply


def record(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run scripts/record with the other service's models, their prices, and `folder` for the cassettes."""
    table = "".join(f'[models."{model}"]\ninput = 1.0\noutput = 4.0\n' for model in OTHER)
    table += '[models."ft:other-student"]\ninput = 2.0\noutput = 8.0\ntraining = 10.0\n'
    (folder / "prices.toml").write_text(table, "utf-8")
    models = [word for role, model in OTHER._asdict().items() for word in (f"--{role}", model)]
    command = [sys.executable, str(ROOT / "scripts" / "record"), *arguments, *models]
    command += ["--prices", str(folder / "prices.toml"), "--cassettes", str(folder / "cassettes")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_another_service_is_recorded_within_its_price_and_the_same_stories_pass(
    tmp_path: Path, other_service: Callable[[Request], Reply]
) -> None:
    with Server(other_service) as server:
        run = record(tmp_path, "--service", server.base_url, "--max-cost", "2")
        requests = server.requests.total()
    assert run.returncode == 0, run.stdout + run.stderr
    cost = re.search(r"recording cost \$([\d.]+) of the \$2\.0000 allowed", run.stdout)
    assert cost
    assert 0.01 < float(cost[1]) < 2
    cassettes = sorted((tmp_path / "cassettes").glob("*.yaml"))
    assert [path.name for path in cassettes] == [path.name for path in sorted(CASSETTES.glob("*.yaml"))]
    interactions = [len(yaml.safe_load(path.read_text("utf-8"))["interactions"]) for path in cassettes]
    assert sum(interactions) == requests
    assert {models_of(path) for path in cassettes} == {OTHER}
    for path in cassettes:
        first, rest = path.read_text("utf-8").split("\n", 1)
        assert first == f"# Recorded from {server.base_url} by scripts/record."
        assert not re.search(r"127\.0\.0\.1|offline-", rest)


def test_what_could_cost_more_than_allowed_is_not_sent_and_leaves_every_cassette(
    tmp_path: Path, other_service: Callable[[Request], Reply]
) -> None:
    (tmp_path / "cassettes").mkdir()
    cassette = tmp_path / "cassettes" / "test_both_metrics_tell_a_good_answer_from_a_bad_one.yaml"
    cassette.write_text("as it was", "utf-8")
    with Server(other_service) as server:
        run = record(tmp_path, "--service", server.base_url, "--max-cost", "0.0002", "--only", "metrics")
        assert server.requests.total() == 0
    assert run.returncode == 1
    assert "BudgetReached" in run.stdout
    assert "Every cassette is as it was" in run.stderr
    assert cassette.read_text("utf-8") == "as it was"


def test_the_readmes_example_of_a_cassette_test_records_once_and_then_needs_no_service(tmp_path: Path) -> None:
    [example] = re.findall(r"```python\n(.*?)```", (CASSETTES / "README.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "test_my_script.py").write_text(example.replace("gpt-4.1-mini", "offline-judge"), "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    for mode, requests in (("once", 2), ("none", 0)):
        with Server(offline.api()) as server:
            environment = {**os.environ, "OPENAI_BASE_URL": server.base_url}
            run = subprocess.run([*command, f"--record-mode={mode}"], cwd=tmp_path, env=environment, check=False)
            assert (run.returncode, server.requests.total()) == (0, requests)
    assert [path.name for path in tmp_path.rglob("*.yaml")] == ["test_the_answer_is_faithful.yaml"]
