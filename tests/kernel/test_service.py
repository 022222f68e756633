"""The one door: what is sent and logged, addresses, and what real services have sent (real SDK, real HTTP)."""

import json
from typing import Any

import pytest

from doubles import Script, refusal
from minirag.errors import BadReply, ServiceError, ServiceRefused
from minirag.message_log import Exchange, MessageLog
from minirag.models import ChatModel, vectors_of
from minirag.retry import Retry
from minirag.service import Service
from minirag.testing import completion

HELLO = [{"role": "user", "content": "hello"}]
KEY = "sk-canary-0123456789abcdef"


def ask(service: Service, repeat: int = 0, **options: Any) -> Exchange:
    return ChatModel("m", service=service, **options).complete(HELLO, stage="draft", repeat=repeat)


def test_a_call_is_sent_once_and_then_answered_by_the_log_if_there_is_one(log, service):
    with Script(completion("hi")) as script:
        one = service(script)
        first = ask(one, log=log)
        assert first.text == "hi"
        assert ask(service(script), log=MessageLog(log.path)) == first
        assert ask(one, 1, log=log).id != first.id
        assert len(script.requests) == 2
        assert [ask(one).text for _ in range(2)] == ["hi", "hi"]
        assert len(script.requests) == 4  # without a log every call is sent
    assert script.requests[0]["body"] == {"model": "m", "messages": HELLO, "max_tokens": 512, "temperature": 0.0}


def test_a_service_that_is_not_there_is_one_sentence(service):
    with Script({}) as script:
        pass  # nothing listens there any more
    with pytest.raises(ServiceRefused, match="Cannot connect"):
        ask(service(script))


# -- addresses and headers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "/", "/chat/completions", "/chat/completions/", "/embeddings"])
def test_an_address_works_however_it_ends(end):
    with Script(completion("hi")) as script, Service(script.url + end) as one:
        assert one.address == script.url
        assert ask(one).text == "hi"
    assert script.requests[0]["path"] == "/v1/chat/completions"


def test_an_api_version_stays_a_query_and_the_key_comes_as_azure_wants_it():
    with Script(completion("hi")) as script, Service(f"{script.url}?api-version=2024-10-21", "the-azure-key") as one:
        assert ask(one).text == "hi"
        assert "api-version" not in one.name
    assert script.requests[0]["path"] == "/v1/chat/completions?api-version=2024-10-21"
    assert script.requests[0]["headers"]["api-key"] == "the-azure-key"


def test_an_address_without_a_path_that_is_not_found_is_told_what_it_lacks():
    with Script(refusal(404, "page not found")) as script:
        bare = Service(script.url.removesuffix("/v1"))
        with pytest.raises(ServiceRefused, match=r"is it http://127.0.0.1:\d+/v1\?"):
            ask(bare)
        bare.close()


def test_openais_organisation_and_project_go_to_openai_alone(monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-0123456789abc")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-0123456789abc")
    with Script(completion("hi")) as script, Service(script.url, "key") as one:
        ask(one)
    assert not {"openai-organization", "openai-project"} & script.requests[0]["headers"].keys()
    with Service("https://eu.api.openai.com/v1", "key") as openai:
        assert (openai.client.organization, openai.client.project) == ("org-0123456789abc", "proj-0123456789abc")
    with Service("https://openai.example/v1", "key") as other:
        assert other.client.organization is other.client.project is None


# -- what real services have sent --------------------------------------------------------------------------


def test_every_recorded_chat_reply_that_our_calls_could_meet_is_read(recordings, service):
    bodies = [item["response"]["body"] for item in recordings("chat")]
    replies = [body for body in bodies if isinstance(body, dict) and "message" in (body.get("choices") or [{}])[0]]
    assert len(replies) > 200
    assert sum(bool(reply["choices"][0]["message"].get("content")) for reply in replies) > 150
    with Script(*replies) as script:
        one = service(script)
        for reply in replies:
            choice = reply["choices"][0]
            if not choice["message"].get("content"):
                with pytest.raises(BadReply) as caught:
                    ask(one, thinking_tokens=0)
                assert caught.value.code
                continue
            exchange = ask(one, thinking_tokens=0)
            assert (exchange.text, exchange.finish_reason) == (choice["message"]["content"], choice["finish_reason"])
            assert exchange.usage == (reply.get("usage") or {})


def test_every_recorded_embeddings_reply_is_read(recordings):
    read = 0
    for item in recordings("embeddings"):
        reply = item["response"]["body"]
        if isinstance(reply, dict) and all(item["embedding"] for item in reply["data"]):
            assert vectors_of(reply, len(reply["data"])).shape[0] == len(reply["data"])
            read += 1
    assert read > 50


def test_every_recorded_error_becomes_one_clear_sentence(recordings):
    errors = [item["response"] for item in recordings("errors")]

    def send(error: dict[str, Any]) -> Any:
        body = error["body"]
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        return error["status"], {"content-type": "application/json"}, data

    retry = Retry(sleep=lambda _: None, patience=-1.0)
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
