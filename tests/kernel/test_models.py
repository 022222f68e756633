"""The one door: what is sent, what is logged, what is tried again and what is not (real SDK, real HTTP)."""

import base64
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from doubles import AtOnce, Script, refusal
from minirag.embeddings import EmbeddingModel, vectors
from minirag.errors import BadReply, InputError, ServiceError, ServiceRefused
from minirag.message_log import Exchange, MessageLog
from minirag.models import ChatModel
from minirag.retry import Retry
from minirag.service import Service
from minirag.testing import completion

HELLO = [{"role": "user", "content": "hello"}]
KEY = "sk-canary-0123456789abcdef"


def test_a_call_is_sent_once_and_then_answered_by_the_log_if_there_is_one(tmp_path, service):
    with Script(completion("hi")) as script, MessageLog(tmp_path / "log.jsonl") as log:
        chat = ChatModel("m", log=log, service=service(script))
        first = chat.complete(HELLO, stage="draft", tags={"question": "q1"})
        again = ChatModel("m", log=MessageLog(log.path), service=service(script)).complete(HELLO, stage="draft")
        other = chat.complete(HELLO, stage="draft", repeat=1)
    assert first.text == "hi"
    assert again == first
    assert other.id != first.id
    assert len(script.requests) == 2
    with Script(completion("hi")) as script:
        chat = ChatModel("m", service=service(script))
        assert [chat.complete(HELLO, stage="draft").text for _ in range(2)] == ["hi", "hi"]
    assert len(script.requests) == 2  # without a log every call is sent
    assert script.requests[0]["body"] == {"model": "m", "messages": HELLO, "max_tokens": 512, "temperature": 0.0}


def test_a_client_of_your_own_is_used_with_its_address(tmp_path):
    import openai

    with (
        Script(completion("hi")) as script,
        MessageLog(tmp_path / "log.jsonl") as log,
        openai.OpenAI(base_url=script.url, api_key=KEY) as client,
    ):
        assert ChatModel("m", client=client, log=log).complete(HELLO, stage="draft").service == script.url


def test_a_wait_of_an_hour_is_not_waited_for(service, clock):
    with Script(refusal(429, "later", headers={"retry-after": "3600"})) as script, pytest.raises(ServiceError):
        ChatModel("m", service=service(script)).complete(HELLO, stage="draft")
    assert (len(script.requests), clock.slept) == (1, [])


def test_addresses_that_cannot_be_used_are_one_sentence(service):
    for address in ("ftp://host/v1", "host/v1", "https://", "nonsense"):
        with pytest.raises(InputError, match="no service address"):
            Service(address)
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        Service()  # OpenAI needs a key, a service on this machine does not
    assert Service("http://127.0.0.1:11434/v1").address == "http://127.0.0.1:11434/v1"
    with Script({}) as script:
        pass  # nothing listens there any more
    with pytest.raises(ServiceRefused, match="Cannot connect"):
        ChatModel("m", service=service(script)).complete(HELLO, stage="draft")


# -- embeddings --------------------------------------------------------------------------------------------


def embeddings(*rows: Any, order: Any = None) -> dict[str, Any]:
    data = [{"object": "embedding", "index": i, "embedding": row} for i, row in enumerate(rows)]
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    return {"object": "list", "model": "e", "data": [data[i] for i in order] if order else data, "usage": usage}


def packed(*values: float) -> str:
    return base64.b64encode(np.array(values, "<f4").tobytes()).decode()


def test_embeddings_come_in_the_order_of_the_texts_whatever_the_service_does(tmp_path, service):
    reply = embeddings([1.0, 0.0], [0.0, 1.0], [0.5, 0.5], order=[2, 0, 1])
    with Script(reply) as script, MessageLog(tmp_path / "log.jsonl") as log:
        model = EmbeddingModel("e", log=log, service=service(script))
        rows = model.embed(["a", "b", "c"])
        assert rows.tolist() == [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]
        assert model.embed(["a", "b", "c"]).tolist() == rows.tolist()
        kept = [item["embedding"] for item in next(iter(log)).response["data"]]
    assert len(script.requests) == 1
    assert all(isinstance(text, str) for text in kept)
    assert vectors(embeddings([0.25, -0.5]), 1).tolist() == vectors(embeddings(packed(0.25, -0.5)), 1).tolist()


def test_a_call_of_an_old_log_that_kept_no_vectors_is_sent_again(tmp_path, service):
    with Script(embeddings([1.0, 0.0])) as script, MessageLog(tmp_path / "log.jsonl") as log:
        model = EmbeddingModel("e", log=log, service=service(script))
        model.embed(["a"])
        call = next(iter(log))
        log.append(replace(call, response={**(call.response or {}), "data": []}))
        assert model.embed(["a"]).tolist() == [[1.0, 0.0]]
    assert len(script.requests) == 2


@pytest.mark.parametrize(
    "reply",
    [
        embeddings([float("nan"), 1.0]),
        embeddings(packed(float("nan"))),
        embeddings(),
        embeddings([1.0], [1.0]),
        embeddings("not base64!"),
        embeddings(["x"]),
        {"data": [{"index": 1, "embedding": [1.0]}]},
        {},
    ],
)
def test_vectors_that_are_not_vectors_are_refused(reply):
    with pytest.raises(BadReply):
        vectors(reply, 1)


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_of_256_are_in_flight_one_for_each_worker(service, workers):
    in_flight = AtOnce()

    def reply(request: dict[str, Any]) -> dict[str, Any]:
        with in_flight:
            deadline = time.monotonic() + 10
            while in_flight.most < workers and time.monotonic() < deadline:
                time.sleep(0.01)  # until all are there
            time.sleep(0.05)
        return embeddings(*([float(text), 1.0] for text in request["body"]["input"]))

    with Script(reply) as script:
        rows = EmbeddingModel("e", workers=workers, service=service(script)).embed([str(n) for n in range(1100)])
    assert rows[:, 0].tolist() == list(range(1100))
    assert in_flight.most == workers
    assert sorted(len(request["body"]["input"]) for request in script.requests) == [76, 256, 256, 256, 256]


# -- what real services have sent --------------------------------------------------------------------------


def recordings(shared: Path, name: str) -> list[dict[str, Any]]:
    text = (shared / "openai" / "recordings" / f"{name}.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def outcome(chat: ChatModel) -> Exchange | BadReply:
    try:
        return chat.complete(HELLO, stage="draft", max_tokens=1)
    except BadReply as error:
        return error


def test_every_recorded_chat_reply_that_our_calls_could_meet_is_read(shared, service):
    replies = [
        item["response"]["body"]
        for item in recordings(shared, "chat")
        if isinstance(item["response"]["body"], dict)
        and "message" in (item["response"]["body"].get("choices") or [{}])[0]
    ]
    assert len(replies) > 200
    with Script(*replies) as script:
        chat = ChatModel("m", service=service(script), thinking_tokens=0)
        outcomes = [outcome(chat) for _ in replies]
    assert len([outcome for outcome in outcomes if isinstance(outcome, Exchange)]) > 150
    for exchange, reply in zip(outcomes, replies, strict=True):
        message = reply["choices"][0]["message"]
        if isinstance(exchange, BadReply):
            assert exchange.code
            assert not message.get("content")
            continue
        assert exchange.text == message["content"]
        assert exchange.finish_reason == reply["choices"][0]["finish_reason"]
        assert exchange.usage == (reply.get("usage") or {})


def test_every_recorded_embeddings_reply_is_read(shared):
    read = 0
    for item in recordings(shared, "embeddings"):
        reply = item["response"]["body"]
        if isinstance(reply, dict) and all(item["embedding"] for item in reply["data"]):
            assert vectors(reply, len(reply["data"])).shape[0] == len(reply["data"])
            read += 1
    assert read > 50


def test_every_recorded_error_becomes_one_clear_sentence(shared):
    errors = [item["response"] for item in recordings(shared, "errors")]

    def send(error: dict[str, Any]) -> Any:
        body = error["body"]
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        return error["status"], {"content-type": "application/json"}, data

    retry = Retry(attempts=1, patience=-1.0, breaker_failures=len(errors) + 1)
    with Script({}) as script, Service(script.url, KEY, retry=retry) as service:
        for error in errors:
            script.replies[:] = [send(error)]
            with pytest.raises(ServiceError) as caught:
                ChatModel("m", service=service).complete(HELLO, stage="draft", schema={"type": "object"})
            text = str(caught.value)
            assert "\n" not in text.strip()
            assert text.endswith(".")
            assert len(text) < 450
            if error["status"] in {401, 404}:
                assert isinstance(caught.value, ServiceRefused)
