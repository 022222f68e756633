"""Services that fail: how often each fault is tried, how long is waited, and what it costs in all.

The real SDK and real HTTP against the offline server, whose replies fail by rule; only the waits between tries run on
a clock that nobody waits for.
"""

import threading
import time
from collections import Counter
from typing import Any

import numpy as np
import openai
import pytest

from doubles import Script
from faults import Rule, serve
from minirag import evaluate, prompts
from minirag.cli.run import means_by_arm
from minirag.dialect import FEW
from minirag.errors import BadReply, ServiceDown, ServiceError, ServiceRefused
from minirag.message_log import MessageLog
from minirag.models import ChatModel
from minirag.offline import EMBEDDING_MODEL, JUDGE_MODEL, TEACHER_MODEL
from minirag.retry import Retry
from minirag.service import Service
from minirag.vector_store import EmbeddingModel

CHAT, EMBEDDINGS = ("POST", "/v1/chat/completions"), ("POST", "/v1/embeddings")
HELLO = prompts.draft("When did it open?", [prompts.Excerpt("It opened in 1901.", 1)])
DOWN = {"message": "overloaded", "type": "server_error"}


def ask(service: Service, number: int = 0, log: MessageLog | None = None, model: str = TEACHER_MODEL) -> str:
    return ChatModel(model, service=service, log=log).complete(HELLO, stage="draft", repeat=number).text


def eval_rows(count: int) -> list[dict[str, Any]]:
    """Rows that are all different, each with a supported and an unsupported sentence."""
    return [
        {
            "question_id": f"q{n}",
            "question": f"How many people does plant {n} employ?",
            "answer": f"Plant {n} employs {n + 40} people. It was sold to a bank in {1900 + n}.",
            "contexts": [f"Plant {n} makes glass.", f"Plant {n} employs {n + 40} people in two shifts."],
        }
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(status=500, error=DOWN), (ServiceError, "500: overloaded")),
        (Rule(cut=0), (ServiceError, "broke")),
        (Rule(cut=300), (ServiceError, "broke")),
        (Rule(body="<html>please wait</html>"), (BadReply, "not the OpenAI protocol")),
        (Rule(status=200, error={"message": "engine is cold"}), (BadReply, "engine is cold")),
        (Rule(damage="no choices"), (BadReply, "no choices")),
    ],
)
def test_a_fault_that_may_pass_is_tried_four_times_with_growing_waits(tmp_path, rule, expected, service, clock):
    kind, says = expected
    with serve(faults=[rule]) as server:
        one = service(server.base_url)
        one.answered = True  # else a broken connection or a web page would say that the address is wrong
        with MessageLog(tmp_path / "log.jsonl") as log, pytest.raises(kind, match=says) as caught:
            ask(one, log=log)
        assert (server.requests, clock.slept) == (Counter({CHAT: 4}), [0.5, 1.0, 2.0])
        assert not isinstance(caught.value, ServiceRefused)
        assert [exchange.error["type"] for exchange in log if exchange.error] == [kind.__name__] * 4


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (Rule(status=429, error={"message": "quota", "code": "insufficient_quota"}), "no quota left"),
        (Rule(status=402, error={"message": "Insufficient balance"}), "no quota left"),
        (Rule(status=401, error={"message": "Incorrect API key", "code": "invalid_api_key"}), "refuses the key"),
        (Rule(status=404, error={"message": "no such model", "code": "model_not_found"}), TEACHER_MODEL),
        (Rule(status=307, body={}, headers={"Location": "http://127.0.0.1:9/v1"}), "redirects elsewhere"),
    ],
)
def test_a_refusal_stops_a_whole_evaluation_after_one_request_a_worker(rule, says, service, clock):
    with serve(faults=[rule]) as server:
        one = service(server.base_url)
        with pytest.raises(ServiceRefused, match=says):
            ask(one)
        assert server.requests == Counter({CHAT: 1})
        with pytest.raises(ServiceRefused, match=says):
            evaluate(eval_rows(40), ["faithfulness"], ChatModel(TEACHER_MODEL, service=one), workers=4)
        assert server.requests[CHAT] <= 1 + 4
        assert clock.slept == []


def test_a_proxy_never_stands_before_loopback(monkeypatch, service):
    with Script({}) as proxy, serve() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert ask(service(server.base_url))
        assert (server.requests[CHAT], proxy.requests) == (1, [])


@pytest.mark.parametrize(
    ("header", "value", "seconds"),
    [
        ("Retry-After", "7", 7.0),
        ("retry-after-ms", "250", 0.25),
        ("Retry-After", "soon", 0.5),
    ],
)
def test_retry_after_is_obeyed_in_seconds_and_milliseconds(header, value, seconds, service, clock):
    rule = Rule(last=1, status=429, error={"message": "slow down"}, headers={header: value})
    with serve(faults=[rule]) as server:
        one = service(server.base_url)
        assert ask(one)
        assert server.requests[CHAT] == 2
    assert sum(clock.slept) == seconds


def test_a_reply_later_than_its_deadline_is_neither_logged_nor_used(tmp_path):
    """A client of one's own waits for a minute; the call does not, and what comes after it changes nothing."""
    rules = [Rule(last=1, delay=1.5), Rule(fields={"id": "in time"})]
    with (
        serve(faults=rules) as server,
        openai.OpenAI(base_url=server.base_url, api_key="any", timeout=60) as client,
        MessageLog(tmp_path / "log.jsonl") as log,
    ):
        retry = Retry(sleep=lambda _: None)
        service = Service(client=client, retry=retry, timeout=0.2)
        exchange = ChatModel(TEACHER_MODEL, service=service, log=log).complete(HELLO, stage="draft")
        assert exchange.response
        assert exchange.response["id"] == "in time"
        while any(thread.name == "call with a deadline" for thread in threading.enumerate()):
            time.sleep(0.02)  # until the late reply has come
        late, answer = log
    assert (late.response, late.error and late.error["type"], answer) == (None, "ServiceError", exchange)
    assert answer.service == server.base_url
    assert late.seconds >= 0.2


def test_a_service_that_is_down_ends_an_evaluation_after_five_calls_in_a_row(service, clock):
    with serve(faults=[Rule(status=503, error=DOWN)]) as server:
        one = service(server.base_url)
        with pytest.raises(ServiceDown, match=r"5 calls .* in a row, .* 503: overloaded; run again later\.$") as caught:
            evaluate(eval_rows(40), ["faithfulness"], ChatModel(TEACHER_MODEL, service=one), workers=1)
        assert caught.value.exit_code == 3
        assert server.requests[CHAT] == 4 * FEW == 20
        assert sum(clock.slept) == FEW * 3.5


def test_vectors_are_asked_for_as_numbers_where_base64_is_refused_now_and_after_a_restart(tmp_path, service):
    error, said = {"message": "encoding_format: Input should be 'float'", "type": "BadRequestError"}, list[str]()
    with serve(faults=[Rule(holding='"base64"', status=422, error=error)]) as server:
        one, path = service(server.base_url, say=said.append), tmp_path / "log.jsonl"
        with MessageLog(path) as log:
            rows = EmbeddingModel(EMBEDDING_MODEL, service=one, log=log).embed(["one", "two"])
            EmbeddingModel(EMBEDDING_MODEL, service=one, log=log).embed(["three"])
        resumed = EmbeddingModel(EMBEDDING_MODEL, service=service(server.base_url), log=MessageLog(path))
        np.testing.assert_array_equal(resumed.embed(["one", "two"]), rows)
        assert server.requests == Counter({EMBEDDINGS: 1 + 2})
    assert said == ["offline-embedding does not support base64: asked for float instead"]


def test_with_a_fifth_of_the_replies_malformed_the_other_scores_are_unchanged(tmp_path):
    rows, metrics = eval_rows(40), ["faithfulness", "answer_relevancy"]

    def scored(faults: list[Rule]) -> tuple[Any, int]:
        with (
            serve(faults=faults) as server,
            Service(server.base_url, "any", retry=Retry(sleep=lambda _: None)) as service,
        ):
            judge, embed = ChatModel(JUDGE_MODEL, service=service), EmbeddingModel(EMBEDDING_MODEL, service=service)
            return evaluate(rows, metrics, judge, embed, workers=4), server.requests[CHAT]

    clean, needed = scored([])
    in_content = [Rule(damage=way, share=0.04, seed=n) for n, way in enumerate(["cut", "prose", "nan", "doubled key"])]
    verdicts = [Rule(damage="fewer items", holding='"supported"', share=0.04, seed=5)]
    in_reply = [Rule(body={}, path="/chat/", share=0.02, seed=6), Rule(cut=200, path="/chat/", share=0.02, seed=7)]
    faulty, sent = scored([*in_content, *verdicts, *in_reply])

    assert len(faulty) == len(clean) == 2 * len(rows)
    assert sent > needed * 1.1
    unscored = [row for row in faulty if row.score.value is None]
    assert all(row.score.reason for row in unscored)
    assert 0 < len(unscored) < len(faulty) / 4
    for row, right in zip(faulty, clean, strict=True):
        assert right.score.value is not None
        assert row.score.value in (None, right.score.value)
    facts = means_by_arm(faulty)[""]
    assert sum(facts[metric]["n_unscored"] for metric in metrics) == len(unscored)
    assert sum(facts[metric]["n"] for metric in metrics) == len(faulty) - len(unscored)
