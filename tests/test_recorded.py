"""Recording and replaying: nothing leaks, the log is the same, another service can be recorded within its price."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import test_cassettes as stories
import test_cassettes_of_faults as faults
import vcr
import yaml

from doubles import Script, refusal
from minirag import ChatModel
from minirag.costs.bill import load_prices
from minirag.costs.budget import Budget
from minirag.errors import BudgetReached, ServiceRefused
from minirag.server.server import Server
from minirag.server.service import Service as OfflineService
from minirag.server.wire import Reply, Request
from minirag.service import OPENAI_ADDRESS, Service
from minirag.testing import completion, vcr_config
from recorded import CASSETTES, Models, Source, models_of

ROOT = Path(__file__).parents[1]
POSER = Models("poser-teacher", "poser-student", "poser-judge", "poser-embedding")
HELLO: Any = [{"role": "user", "content": "Hello"}]
LEAKS = re.compile(
    r"sk-|bearer |authorization|cookie|\b(org|proj)[-_][A-Za-z0-9]|/home/|/root/|/tmp/|/Users/|[A-Z]:\\"
    r"|127\.0\.0\.1|localhost",
    re.IGNORECASE,
)


def cassettes(folder: Path = CASSETTES) -> list[Path]:
    return sorted(folder.glob("*.yaml"))


def story_of(cassette: Path) -> str:
    """The name of the test that a cassette belongs to."""
    return cassette.stem.partition("[")[0]


def interactions(path: Path) -> list[dict[str, Any]]:
    found = yaml.safe_load(path.read_text("utf-8"))
    assert sorted(found) == ["interactions", "version"]
    return list(found["interactions"])


# -- what stands in a cassette -----------------------------------------------------------------------------


def test_every_story_has_a_cassette_and_every_cassette_a_story() -> None:
    named = {name for module in (stories, faults) for name in vars(module) if name.startswith("test_")}
    assert {story_of(path) for path in cassettes()} == named


@pytest.mark.parametrize("path", cassettes(), ids=lambda path: path.stem)
def test_a_cassette_says_where_it_is_from_and_holds_nothing_private(path: Path) -> None:
    origin, models, text = path.read_text("utf-8").split("\n", 2)
    assert origin.startswith("# Recorded ")
    assert models.startswith("# models: {")
    assert not LEAKS.search(text)
    assert str(Path.home()) not in text
    for each in interactions(path):
        assert set(each["request"]["headers"]) <= {"content-type", "x-body-sha256"}
        assert set(each["response"]["headers"]) <= {"content-type", "retry-after-ms"}
        assert each["request"]["uri"].startswith(OPENAI_ADDRESS)


def test_all_cassettes_together_are_small() -> None:
    assert sum(path.stat().st_size for path in cassettes()) < 1_000_000


def test_a_key_a_cookie_and_an_organisation_are_in_no_part_of_a_recording(tmp_path: Path) -> None:
    key, organisation = "sk-proj-Canary0123456789", "org-Canary0123456789"
    private = {"set-cookie": "session=Canary", "openai-organization": organisation, "x-request-id": "Canary"}
    bad_key = refusal(401, f"Incorrect API key provided: {key}.", organization_id="Canary", headers=private)
    settings, path = vcr.VCR(**vcr_config()), tmp_path / "canary.yaml"
    with Script(bad_key) as script, settings.use_cassette(str(path)), Service(script.url, key) as service:
        with pytest.raises(ServiceRefused):
            ChatModel("m", service=service).complete([{"role": "user", "content": f"{key} is secret"}], stage="draft")
        [sent] = script.requests
        assert sent["headers"]["authorization"] == f"Bearer {key}"
    text = path.read_text("utf-8")
    assert "[redacted] is secret" in text
    assert "Canary" not in text
    assert script.url not in text


def test_a_wait_that_a_service_asks_for_is_a_millisecond_on_replay(tmp_path: Path) -> None:
    path = tmp_path / "busy.yaml"
    replies = refusal(429, "slow down", headers={"Retry-After": "1"}), completion("Hi.")
    with Script(*replies) as script:
        for mode in ("all", "none"):
            with vcr.VCR(**vcr_config()).use_cassette(str(path), record_mode=mode) as played:
                with Service(script.url, "k") as service:
                    assert ChatModel("m", service=service).complete(HELLO, stage="draft").text == "Hi."
                assert len(played) == 2
        assert len(script.requests) == 2
    assert interactions(path)[0]["response"]["headers"]["retry-after-ms"] == ["1"]


@pytest.mark.parametrize(
    ("body", "is_found"),
    [
        (b'{"a":1,"b":2}', True),
        (b'{ "b": 2, "a": 1 }', True),
        (b'{"a":1,"b":3}', False),
        (b"[1]", False),
        (b"null", False),
    ],
)
def test_a_request_is_found_by_its_values_and_by_nothing_less(tmp_path: Path, body: bytes, is_found: bool) -> None:
    path, json_kind = str(tmp_path / "one.yaml"), {"content-type": "application/json"}
    with Script({"ok": True}) as script:
        with vcr.VCR(**vcr_config()).use_cassette(path):
            httpx.post(f"{script.url}/x", content=b'{"a":1,"b":2}', headers=json_kind)
        with vcr.VCR(**vcr_config()).use_cassette(path, record_mode="new_episodes"):
            httpx.post(f"{script.url}/x", content=body, headers=json_kind)
        assert len(script.requests) == (1 if is_found else 2)


# -- what a replay leaves ----------------------------------------------------------------------------------


def told(story: Callable[..., None], source: Source, cassette: Path, folder: Path) -> list[dict[str, Any]]:
    """The log of a story that was recorded or replayed, without its times."""
    folder.mkdir()
    mode = "all" if source.records else "none"
    with vcr.VCR(**vcr_config()).use_cassette(str(cassette), record_mode=mode):
        story(source, folder)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    return [{name: line[name] for name in line.keys() - {"started", "seconds", "crc"}} for line in lines]


@pytest.mark.parametrize(
    "story",
    [
        stories.test_collected_answers_train_a_model_that_answers,
        stories.test_both_metrics_tell_a_good_answer_from_a_bad_one,
        faults.test_a_busy_service_is_asked_again,
        faults.test_a_file_that_is_still_processed_is_waited_for,
        faults.test_training_that_is_closed_is_said_after_the_upload,
    ],
)
def test_the_log_of_a_replay_is_that_of_the_recording_and_recording_again_gives_the_same_bytes(
    tmp_path: Path, story: Callable[..., None]
) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    recorded = told(story, Source(Models(), records=True), first, tmp_path / "recorded")
    replayed = told(story, Source(Models(), records=False), first, tmp_path / "replayed")
    told(story, Source(Models(), records=True), second, tmp_path / "again")
    assert replayed == recorded
    assert len({line["id"] for line in replayed}) > 0
    assert second.read_bytes() == first.read_bytes()


# -- scripts/record ----------------------------------------------------------------------------------------


def record(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "scripts" / "record"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def posing(request: Request, embedded: OfflineService) -> Reply:
    """The embedded models under other names: as far as a client can tell, another service."""
    reply = embedded(request._replace(body=request.body.replace(b"poser-", b"offline-")))
    return reply._replace(body=reply.body.replace(b"offline-", b"poser-"))


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """What the poser's models cost."""
    table = "".join(f'[models."{model}"]\ninput = 1.0\noutput = 4.0\n' for model in POSER)
    table += '[models."ft:poser-student"]\ninput = 2.0\noutput = 8.0\ntraining = 10.0\n'
    path = tmp_path / "prices.toml"
    path.write_text(table, "utf-8")
    return path


@pytest.fixture
def asked(tmp_path: Path, prices: Path) -> list[str]:
    """The options of `scripts/record` that name the poser's models and prices."""
    named = [word for role, model in POSER._asdict().items() for word in (f"--{role}", model)]
    return [*named, "--prices", str(prices), "--cassettes", str(tmp_path / "cassettes")]


def test_another_service_is_recorded_within_its_price_and_the_same_stories_pass(
    tmp_path: Path, asked: list[str]
) -> None:
    embedded = OfflineService(None)
    with Server(lambda request: posing(request, embedded)) as server:
        done = record("--service", server.base_url, "--max-cost", "2", *asked)
        requests = server.requests.total()
    assert done.returncode == 0, done.stdout + done.stderr
    cost = re.search(r"recording cost \$([\d.]+) of the \$2\.0000 allowed", done.stdout)
    assert cost
    assert 0.01 < float(cost[1]) < 2
    made = cassettes(tmp_path / "cassettes")
    assert [path.name for path in made] == [path.name for path in cassettes() if hasattr(stories, story_of(path))]
    assert sum(len(interactions(path)) for path in made) == requests
    for path in made:
        assert models_of(path) == POSER
        assert path.read_text("utf-8").startswith(f"# Recorded from {server.base_url} by scripts/record.\n")
        assert not re.search(r"127\.0\.0\.1|offline-", "".join(path.read_text("utf-8").splitlines(True)[1:]))


def test_what_could_cost_more_than_allowed_is_not_sent_and_leaves_every_cassette(
    tmp_path: Path, asked: list[str]
) -> None:
    (tmp_path / "cassettes").mkdir()
    kept = tmp_path / "cassettes" / "test_both_metrics_tell_a_good_answer_from_a_bad_one.yaml"
    kept.write_text("as it was", "utf-8")
    embedded = OfflineService(None)
    with Server(lambda request: posing(request, embedded)) as server:
        done = record("--service", server.base_url, "--max-cost", "0.0002", "--only", "metrics", *asked)
        assert server.requests.total() == 0
    assert done.returncode == 1
    assert "BudgetReached" in done.stdout
    assert "Every cassette is as it was" in done.stderr
    assert kept.read_text("utf-8") == "as it was"


def test_the_price_of_training_is_held_before_the_upload(tmp_path: Path, prices: Path) -> None:
    embedded = OfflineService(None)
    budget = Budget(0.2, load_prices(prices), [], tokenizer="o200k_base")
    with Server(lambda request: posing(request, embedded)) as server:
        source = Source(POSER, records=True, address=server.base_url, budget=budget)
        with pytest.raises(BudgetReached, match=r"of the \$0\.2000 allowed"):
            stories.test_collected_answers_train_a_model_that_answers(source, tmp_path)
        paths = {path for _, path in server.requests}
    assert "/v1/chat/completions" in paths
    assert "/v1/files" not in paths


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--service", "http://127.0.0.1:9/v1"], "give --max-cost, --teacher, --student, --judge, --embedding"),
        (["--service", OPENAI_ADDRESS, "--max-cost", "1", *"--teacher t --student s --judge j --embedding e".split()],
         "set OPENAI_API_KEY"),
    ],
)  # fmt: skip
def test_a_service_without_price_models_or_key_is_not_asked(arguments: list[str], says: str) -> None:
    done = record(*arguments)
    assert (done.returncode, says in done.stderr) == (2, True)


# -- a test of one's own -----------------------------------------------------------------------------------


def pytest_run(*arguments: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_the_example_of_a_cassette_test_records_once_and_then_needs_no_service(tmp_path: Path) -> None:
    [example] = re.findall(r"```python\n(.*?)```", (CASSETTES / "README.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "test_my_script.py").write_text(example, "utf-8")
    embedded = OfflineService(None)

    def named(request: Request) -> Reply:
        return embedded(request._replace(body=request.body.replace(b"gpt-4.1-mini", b"offline-judge")))

    with Server(named) as server:
        done = pytest_run("--record-mode=once", folder=tmp_path, OPENAI_BASE_URL=server.base_url)
        assert (done.returncode, server.requests.total()) == (0, 2), done.stdout
    done = pytest_run(folder=tmp_path, OPENAI_BASE_URL=server.base_url)
    assert done.returncode == 0, done.stdout
    changed = example.replace("Is it open?", "Is it closed?")
    assert changed != example
    (tmp_path / "test_my_script.py").write_text(changed, "utf-8")
    done = pytest_run(folder=tmp_path, OPENAI_BASE_URL=server.base_url)
    assert done.returncode == 1
    assert [path.name for path in tmp_path.rglob("*.yaml")] == ["test_the_answer_is_faithful.yaml"]
