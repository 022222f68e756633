"""The one door: what is sent, what is logged, what is tried again and what is not (real SDK, real HTTP)."""

import json
from pathlib import Path
from typing import Any

import pytest

from doubles import Script
from minirag.embeddings import vectors
from minirag.errors import BadReply, ServiceError, ServiceRefused
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


def test_a_service_that_is_not_there_is_one_sentence(service):
    with Script({}) as script:
        pass  # nothing listens there any more
    with pytest.raises(ServiceRefused, match="Cannot connect"):
        ChatModel("m", service=service(script)).complete(HELLO, stage="draft")


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
