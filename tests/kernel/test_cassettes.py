"""Cassettes: a story that any service can tell is replayed from one, and nothing private is kept in any.

The story is recorded from the embedded server or from a real service (cassettes/README.md), and checks what is promised
whatever the models' words are.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import vcr
import yaml

import minirag
from doubles import Script, refusal
from minirag import ChatModel, EmbeddingModel, FineTuningJob, MessageLog, QueryEngine, VectorStore
from minirag.errors import ServiceRefused
from minirag.service import OPENAI_ADDRESS, Service
from minirag.testing import completion, vcr_config
from minirag.training import write_training_file
from recorded import CASSETTES
from run_files import SAMPLE_TEXT

QUESTIONS = (
    "Why did revenue rise in the year?",
    "How much net debt is left?",
    "Where was a calibration hall opened?",
    "Who founded the company?",
    "What is Undercurrent?",
    "Why did the city of Marlow Bay choose a competitor?",
    "What caused the moisture inside new Heron meters?",
    "How long did the replacement take?",
    "What revenue is expected for the year to March 2027?",
    "How does the Linnet cling to a valve?",
    "How accurate is the Heron?",
    "How many technicians does Field Services employ?",
)
VOCABULARY = "o200k_base"  # for models that minirag does not know
SUFFIX = "story-1"
"""Raise the number before a service that has trained this story is recorded again: it would find its old job."""
STATES = ["validating_files", "queued", "running", "paused", "succeeded"]
PRIVATE = re.compile(
    r"sk-|bearer |authorization|cookie|\b(org|proj)[-_][A-Za-z0-9]|/home/|/root/|/tmp/|/Users/|[A-Z]:\\"
    r"|127\.0\.0\.1|localhost",
    re.IGNORECASE,
)


@pytest.mark.vcr
def test_collected_answers_train_a_model_that_answers(cassette_source, tmp_path):
    chunks, student = minirag.chunk(minirag.load(SAMPLE_TEXT)[:6], size=320, overlap=0), cassette_source.student
    with cassette_source.connect() as service, MessageLog(tmp_path / "log.jsonl") as log:

        def engine(model: str) -> QueryEngine:
            return QueryEngine(store, ChatModel(model, tokenizer=VOCABULARY, service=service, log=log), embed, top_k=1)

        embed = EmbeddingModel(cassette_source.embedding, options={"dimensions": 128}, service=service, log=log)
        store, teacher = VectorStore.build(chunks, embed), cassette_source.teacher
        for number, question in enumerate(QUESTIONS, 1):
            engine(teacher).query(question, tags={"question": f"t{number:03d}", "split": "train"})
        path, progress = tmp_path / "training.jsonl", list[str]()
        file = write_training_file(log, path, model=student)
        job = FineTuningJob.create(path, base=student, suffix=SUFFIX, log=log, service=service)
        job.wait(progress=progress.append, sleep=cassette_source.sleep)
        order = [STATES.index(line.partition(",")[0]) for line in progress]
        assert order == sorted(order)
        assert (job.status, len(file.kept)) == ("succeeded", len(QUESTIONS))
        times = [event["created_at"] for event in job.pages("list_events")]
        assert times == sorted(times, reverse=True)
        assert job.state["trained_tokens"] > 0
        answer = engine(job.model).query("How accurate is the Heron?")
        assert answer.text
        assert answer.drafts[0].exchange.model.startswith(f"ft:{student}")
        assert {"draft", "upload", "train", "poll"} <= {exchange.stage for exchange in log}


def interactions(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load(path.read_text("utf-8"))["interactions"])


@pytest.mark.parametrize("path", sorted(CASSETTES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_cassette_holds_nothing_private(path):
    assert not PRIVATE.search(path.read_text("utf-8"))
    for each in interactions(path):
        assert set(each["request"]["headers"]) <= {"content-type"}
        assert set(each["response"]["headers"]) <= {"content-type", "retry-after-ms"}
        assert each["request"]["uri"].startswith(OPENAI_ADDRESS)


def test_a_key_a_cookie_and_an_organisation_are_in_no_part_of_a_recording(tmp_path):
    key = "sk-proj-Canary0123456789"
    private = {"set-cookie": "session=Canary", "openai-organization": "org-Canary0123456789"}
    bad_key = refusal(401, f"Incorrect API key provided: {key}.", headers=private)
    path = tmp_path / "canary.yaml"
    with Script(bad_key) as script, vcr.VCR(**vcr_config()).use_cassette(str(path)):
        with Service(script.url, key) as service, pytest.raises(ServiceRefused):
            ChatModel("m", service=service).complete([{"role": "user", "content": f"{key} is secret"}], stage="draft")
        assert script.requests[0]["headers"]["authorization"] == f"Bearer {key}"
    text = path.read_text("utf-8")
    assert "[redacted] is secret" in text
    assert "Canary" not in text
    assert script.url not in text


def test_a_wait_that_a_service_asks_for_is_a_millisecond_on_replay(tmp_path):
    path = tmp_path / "busy.yaml"
    with Script(refusal(429, "slow down", headers={"Retry-After": "1"}), completion("Hi.")) as script:
        for mode in ("all", "none"):
            with (
                vcr.VCR(**vcr_config()).use_cassette(str(path), record_mode=mode),
                Service(script.url, "k") as service,
            ):
                messages = [{"role": "user", "content": "Hello"}]
                assert ChatModel("m", service=service).complete(messages, stage="draft").text == "Hi."
        assert len(script.requests) == 2
    assert interactions(path)[0]["response"]["headers"]["retry-after-ms"] == ["1"]
