"""Services that fail: how often each fault is tried, how long is waited, and what it costs in all.

The real SDK and real HTTP against the offline server, whose replies fail by rule; only the waits between tries run on
a clock that nobody waits for.
"""

import email.utils
import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from doubles import Clock, Script
from faults import Faults, Rule, serve, tuned_model_unknown
from minirag import evaluate, offline, prompts
from minirag.cli.rows import summary
from minirag.embeddings import EmbeddingModel
from minirag.errors import BadReply, ServiceDown, ServiceError, ServiceRefused
from minirag.message_log import MessageLog
from minirag.models import ChatModel
from minirag.offline import EMBEDDING_MODEL, JUDGE_MODEL, STUDENT_MODEL, TEACHER_MODEL, Server
from minirag.retry import BREAKER_FAILURES, BREAKER_SECONDS, Retry
from minirag.server.wire import Reply, Request
from minirag.service import Service

CHAT, EMBEDDINGS = ("POST", "/v1/chat/completions"), ("POST", "/v1/embeddings")
HELLO = prompts.draft("When did it open?", [prompts.Excerpt("It opened in 1901.", 1)])
DOWN = {"message": "overloaded", "type": "server_error"}


def connected(server: Server, clock: Clock, **options: Any) -> Service:
    """A service whose waits are the clock's, without jitter."""
    retry = Retry(sleep=clock.sleep, clock=lambda: clock.now, jitter=lambda: 0.5)
    return Service(server.base_url, "any", retry=retry, **options)


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


# -- what is tried again -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "kind", "says"),
    [
        (Rule(status=500, error=DOWN), ServiceError, "500: overloaded"),
        (Rule(cut=0), ServiceError, "broke"),
        (Rule(cut=300), ServiceError, "broke"),
        (Rule(body="<html>please wait</html>"), BadReply, "not the OpenAI protocol"),
        (Rule(status=200, error={"message": "engine is cold"}), BadReply, "engine is cold"),
        (Rule(damage="no choices"), BadReply, "no choices"),
    ],
)
def test_a_fault_that_may_pass_is_tried_four_times_with_growing_waits(
    tmp_path: Path, rule: Rule, kind: type[ServiceError], says: str
) -> None:
    clock = Clock()
    with serve(faults=[rule]) as server, connected(server, clock) as service:
        service.answered = True  # else a broken connection or a web page would say that the address is wrong
        with MessageLog(tmp_path / "log.jsonl") as log, pytest.raises(kind, match=says) as caught:
            ask(service, log=log)
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
def test_a_refusal_stops_a_whole_evaluation_after_one_request_a_worker(rule: Rule, says: str) -> None:
    clock = Clock()
    with serve(faults=[rule]) as server, connected(server, clock) as service:
        with pytest.raises(ServiceRefused, match=says):
            ask(service)
        assert server.requests == Counter({CHAT: 1})
        with pytest.raises(ServiceRefused, match=says):
            evaluate(eval_rows(40), ["faithfulness"], ChatModel(TEACHER_MODEL, service=service), workers=4)
        assert server.requests[CHAT] <= 1 + 4
        assert clock.slept == []


def test_a_proxy_never_stands_before_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    with Script({}) as proxy, serve() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with connected(server, Clock()) as service:
            assert ask(service)
        assert (server.requests[CHAT], proxy.requests) == (1, [])


# -- waits that the service asks for -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "value", "least", "most"),
    [
        ("Retry-After", "7", 7.0, 7.0),
        ("retry-after-ms", "250", 0.25, 0.25),
        ("Retry-After", "date", 5.0, 8.0),
        ("Retry-After", "soon", 0.5, 0.5),
    ],
)
def test_retry_after_is_obeyed_in_seconds_milliseconds_and_as_a_date(
    header: str, value: str, least: float, most: float
) -> None:
    clock = Clock()
    if value == "date":
        value = email.utils.formatdate(time.time() + 8, usegmt=True)
    rule = Rule(last=1, status=429, error={"message": "slow down"}, headers={header: value})
    with serve(faults=[rule]) as server, connected(server, clock) as service:
        assert ask(service)
        assert server.requests[CHAT] == 2
    assert least <= sum(clock.slept) <= most


def test_no_worker_asks_before_the_time_that_one_of_them_was_told() -> None:
    times: list[float] = []
    slow = Rule(last=1, status=429, error={"message": "slow down"}, headers={"retry-after-ms": "400"})
    faulty = Faults(offline.api(), [slow])

    def timed(request: Request) -> Reply:
        times.append(time.monotonic())
        return faulty(request)

    paused = threading.Event()

    class Noticed(Retry):
        def pause(self, seconds: float) -> None:
            super().pause(seconds)
            paused.set()

    with (
        Server(timed) as server,
        Service(server.base_url, "any", retry=Noticed()) as service,
        ThreadPoolExecutor(8) as pool,
    ):
        first = pool.submit(ask, service)
        paused.wait(30)
        others = [pool.submit(ask, service, number) for number in range(1, 8)]
        assert all(future.result() for future in [first, *others])
    assert len(times) == 9
    assert min(times[1:]) - times[0] >= 0.4


# -- the deadline ------------------------------------------------------------------------------------------


def test_a_reply_later_than_its_deadline_is_neither_logged_nor_used(tmp_path: Path) -> None:
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
    assert late.seconds >= 0.2


# -- the circuit breaker -----------------------------------------------------------------------------------


def test_a_service_that_is_down_costs_twenty_requests_and_not_sixteen_hundred() -> None:
    clock = Clock()
    with serve(faults=[Rule(status=503, error=DOWN)]) as server, connected(server, clock) as service:
        failures = Counter()
        for number in range(400):
            with pytest.raises(ServiceError) as caught:
                ask(service, number)
            failures[type(caught.value)] += 1
        assert failures == {ServiceError: BREAKER_FAILURES, ServiceDown: 400 - BREAKER_FAILURES}
        assert server.requests[CHAT] == 4 * BREAKER_FAILURES == 20
        assert sum(clock.slept) == BREAKER_FAILURES * 3.5
    assert (caught.value.exit_code, str(caught.value).count(".")) == (3, 4)  # the address has three
    assert str(caught.value).endswith("answered 503: overloaded; run again later.")


def test_after_a_rest_a_service_that_is_back_is_used_and_one_that_is_not_is_left_alone_again() -> None:
    clock = Clock()
    rule = Rule(last=4 * BREAKER_FAILURES + 4, status=503, error=DOWN)
    with serve(faults=[rule]) as server, connected(server, clock) as service:
        for number in range(BREAKER_FAILURES):
            with pytest.raises(ServiceError):
                ask(service, number)
        clock.now += BREAKER_SECONDS
        with pytest.raises(ServiceError, match="503"):
            ask(service)
        with pytest.raises(ServiceDown):
            ask(service)
        clock.now += BREAKER_SECONDS
        assert ask(service)
        assert server.requests[CHAT] == 4 * BREAKER_FAILURES + 4 + 1


def test_failures_between_answers_and_refusals_of_single_requests_stop_nothing() -> None:
    clock = Clock()
    every_other = [
        Rule(holding="odd", status=500, error=DOWN),
        Rule(holding="long", status=400, error={"message": "no"}),
    ]
    with serve(faults=every_other) as server, connected(server, clock) as service:
        chat = ChatModel(TEACHER_MODEL, service=service)
        for text in 10 * ["odd", "even", "long"]:
            messages = prompts.draft(f"Is it {text}?", [prompts.Excerpt("It is.", 1)])
            if text == "even":
                assert chat.complete(messages, stage="draft").text
            else:
                with pytest.raises(ServiceError) as caught:
                    chat.complete(messages, stage="draft")
                assert not isinstance(caught.value, ServiceRefused)
        assert server.requests[CHAT] == 10 * (4 + 1 + 1)


# -- parameters, and models that are not served yet --------------------------------------------------------


def test_refused_parameters_are_dropped_one_at_a_time_remembered_and_said_once() -> None:
    def refused(name: str, pattern: str) -> Rule:
        error = {"message": f"Unsupported parameter: '{name}'", "param": name, "code": "unsupported_parameter"}
        return Rule(holding=pattern, status=400, error=error)

    rules = [
        refused("max_tokens", '"max_tokens"'),
        refused("temperature", '"temperature"'),
        refused("response_format", '"json_schema"'),
    ]
    said: list[str] = []
    with serve(faults=rules) as server, connected(server, Clock(), say=said.append) as service:
        for _ in range(2):
            chat = ChatModel(JUDGE_MODEL, service=service)
            messages = prompts.verdicts([prompts.Excerpt("It opened in 1901.", 1)], ["It opened in 1901."])
            for number in range(5):
                chat.complete(messages, stage="verdicts", schema=prompts.VERDICTS_SCHEMA, repeat=number)
        assert server.requests == Counter({CHAT: 3 + 2 * 5})
    assert said == [
        "offline-judge does not support max_tokens: sent as max_completion_tokens",
        "offline-judge does not support temperature: left out",
        "offline-judge does not support json_schema: asked for json_object instead",
    ]


def test_vectors_are_asked_for_as_numbers_where_base64_is_refused_now_and_after_a_restart(tmp_path: Path) -> None:
    error = {"message": "encoding_format: Input should be 'float'", "type": "BadRequestError"}
    said: list[str] = []
    with serve() as server, connected(server, Clock()) as service:
        expected = EmbeddingModel(EMBEDDING_MODEL, service=service).embed(["one", "two"])
    with serve(faults=[Rule(holding='"base64"', status=422, error=error)]) as server:
        with connected(server, Clock(), say=said.append) as service, MessageLog(tmp_path / "log.jsonl") as log:
            embed = EmbeddingModel(EMBEDDING_MODEL, service=service, log=log)
            for _ in range(2):
                np.testing.assert_array_equal(embed.embed(["one", "two"]), expected)
            embed.embed(["three"])
        assert server.requests == Counter({EMBEDDINGS: 1 + 2})
        with connected(server, Clock(), say=said.append) as service, MessageLog(tmp_path / "log.jsonl") as log:
            again = EmbeddingModel(EMBEDDING_MODEL, service=service, log=log).embed(["one", "two"])
        np.testing.assert_array_equal(again, expected)
        assert server.requests == Counter({EMBEDDINGS: 1 + 2})
    assert said == ["offline-embedding does not support base64: asked for float instead"]


def test_a_new_tuned_model_is_waited_for_up_to_a_limit(tmp_path: Path) -> None:
    example = json.dumps({"messages": [*HELLO, {"role": "assistant", "content": "In 1901."}]})
    with serve(tmp_path) as server, openai.OpenAI(base_url=server.base_url, api_key="any") as client:
        file = client.files.create(file=("a.jsonl", "\n".join([example] * 10).encode()), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(model=STUDENT_MODEL, training_file=file.id)
        for _ in range(3):
            job = client.fine_tuning.jobs.retrieve(job.id)
    assert job.status == "succeeded"
    name = str(job.fine_tuned_model)
    clock, said = Clock(), list[str]()
    with (
        serve(tmp_path, faults=[tuned_model_unknown(6)]) as server,
        connected(server, clock, say=said.append) as service,
    ):
        service.deploying_until[name] = 600
        assert [ask(service, number, model=name) != "" for number in range(2)] == [True, True]
        assert server.requests[CHAT] == 6 + 2
    assert clock.slept == [5.0] * 6
    assert said == [f"{name} is not served yet; waiting for it"]
    clock = Clock()
    with serve(tmp_path, faults=[tuned_model_unknown(99)]) as server, connected(server, clock) as service:
        for limit, slept in ((0, []), (10, [5.0, 5.0])):
            service.deploying_until[name] = limit
            with pytest.raises(ServiceRefused, match=name):
                ask(service, model=name)
            assert clock.slept == slept


# -- a whole evaluation with a judge that often fails ------------------------------------------------------


def test_with_a_fifth_of_the_replies_malformed_the_other_scores_are_unchanged(tmp_path: Path) -> None:
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
    facts = summary(faulty)[""]
    assert sum(facts[metric]["n_unscored"] for metric in metrics) == len(unscored)
    assert sum(facts[metric]["n"] for metric in metrics) == len(faulty) - len(unscored)
