"""Answering that is handed over to a vLLM: what it is asked, with a server in its place."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minirag.errors import InputError
from minirag.local.remote import Vllm
from minirag.server import ChatRequest, Refused, Server
from minirag.server.wire import Reply, Request, json_reply

ADDRESS = "http://127.0.0.1:9/v1"


class Recorded:
    """Answers as vLLM 0.11 does on the three routes that are used, and keeps what it was asked."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, Any]] = []
        self.adapters: set[str] = set()

    def __call__(self, request: Request) -> Reply:
        body = json.loads(request.body) if request.body else None
        self.bodies.append((request.path, body))
        if request.path == "/v1/models":
            return json_reply({"data": [{"id": "base"}]})
        if request.path == "/v1/load_lora_adapter":
            if body["lora_name"] in self.adapters:
                return Refused(400, "The lora adapter has already been loaded.").reply
            self.adapters.add(body["lora_name"])
            return Reply(200, b"Success: LoRA adapter added successfully.", "text/plain")
        if body["model"] not in {"base", *self.adapters}:
            return Refused(404, "The model does not exist.").reply
        choice = {"message": {"content": f"by {body['model']}"}, "finish_reason": "stop"}
        return json_reply({"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 2}})


@pytest.fixture
def vllm() -> Iterator[tuple[Recorded, str]]:
    api = Recorded()
    with Server(api) as server:
        yield api, server.base_url


def test_the_base_model_answers_and_an_adapter_is_loaded_once_under_its_name(vllm: Any, tmp_path: Path) -> None:
    api, address = vllm
    request = ChatRequest([{"role": "user", "content": "Hi"}], {}, max_tokens=9, temperature=0, stop=["\n"])
    for _ in range(2):  # the second client finds the adapter loaded
        remote = Vllm(address.removesuffix("/v1"))
        replies = [remote.complete(name, tmp_path, request) for name in ("", "job-1", "job-1")]
        assert [reply.choices[0].text for reply in replies] == ["by base", "by job-1", "by job-1"]
        assert (replies[0].prompt_tokens, replies[0].completion_tokens) == (5, 2)
    loads = [body for path, body in api.bodies if path == "/v1/load_lora_adapter"]
    assert loads == [{"lora_name": "job-1", "lora_path": str(tmp_path)}] * 2
    assert api.bodies[1][1] == {
        "model": "base",
        "messages": [{"role": "user", "content": "Hi"}],
        "n": 1,
        "max_tokens": 9,
        "stop": ["\n"],
        "temperature": 0,
    }


def test_a_server_that_is_not_there_is_a_sentence_and_its_refusals_are_passed_on(vllm: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"--engine-url {ADDRESS} is no vLLM that answers"):
        Vllm(ADDRESS)
    remote = Vllm(vllm[1])
    remote._base = "gone"
    with pytest.raises(Refused, match="The model does not exist") as caught:
        remote.complete("", tmp_path, ChatRequest([], {}))
    assert caught.value.reply.status == 404
