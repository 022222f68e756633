"""The offline server's faults: each arrives at a plain HTTP client as its rule says, and is counted."""

import base64
import http.client
import json
import math
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from minirag import prompts
from minirag.errors import InputError
from minirag.offline import EMBEDDING_MODEL, JUDGE_MODEL, STUDENT_MODEL, TEACHER_MODEL, Rule, Server, job_faults, serve
from minirag.offline.faults import Faults, read_rules
from minirag.prompts import Excerpt
from minirag.server.wire import Reply, Request

CHAT, EMBEDDINGS, JOBS = "/v1/chat/completions", "/v1/embeddings", "/v1/fine_tuning/jobs"
EXCERPT = Excerpt("The city runs the water works. They opened in 1901.", 3)
VERDICTS = {
    "model": JUDGE_MODEL,
    "messages": prompts.verdicts([EXCERPT], ["The city runs the water works.", "Cats fly."]),
    "response_format": {"type": "json_object"},
}
TEXTS = {"model": EMBEDDING_MODEL, "input": ["one", "two", "three"], "dimensions": 8}


def post(server: Server, path: str, body: Any) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the reply."""
    connection = http.client.HTTPConnection(server.base_url.split("/")[2], timeout=20)
    try:
        headers = {"Authorization": "Bearer any", "Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    finally:
        connection.close()


def content(body: bytes) -> str:
    return str(json.loads(body)["choices"][0]["message"]["content"])


def test_an_error_has_the_service_s_shape_and_the_rule_s_headers_and_the_service_does_no_work() -> None:
    error = {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}
    rule = Rule(path="/chat/", first=2, last=3, status=429, error=error, headers={"Retry-After": "7"})
    with serve(faults=[rule]) as server:
        replies = [post(server, CHAT, VERDICTS) for _ in range(4)]
        assert server.requests == Counter({("POST", CHAT): 4})
    assert [status for status, _, _ in replies] == [200, 429, 429, 200]
    assert json.loads(replies[1][2]) == {"error": {**error, "param": None}}
    assert (replies[1][1]["retry-after"], "retry-after" in replies[0][1]) == ("7", False)


@pytest.mark.parametrize(
    ("rule", "kind", "body"),
    [
        (Rule(body="<html>busy</html>"), "text/html; charset=utf-8", b"<html>busy</html>"),
        (Rule(body={}), "application/json", b"{}"),
        (Rule(body={"error": "an LM Studio error"}), "application/json", b'{"error": "an LM Studio error"}'),
        (Rule(status=200, error={"message": "x"}), "application/json", None),
    ],
)
def test_a_200_may_hold_anything(rule: Rule, kind: str, body: bytes | None) -> None:
    with serve(faults=[rule]) as server:
        status, headers, sent = post(server, CHAT, VERDICTS)
    assert (status, headers["content-type"]) == (200, kind)
    assert sent == body if body else json.loads(sent)["error"]["message"] == "x"


def test_a_redirect_names_another_origin() -> None:
    rule = Rule(status=307, body={}, headers={"Location": "http://127.0.0.2:9/v1"})
    with serve(faults=[rule]) as server:
        status, headers, _ = post(server, CHAT, VERDICTS)
    assert (status, headers["location"]) == (307, "http://127.0.0.2:9/v1")


DAMAGED: list[tuple[str, Callable[[str, str], bool]]] = [
    ("cut", lambda whole, sent: 0 < len(sent) < len(whole) and whole.startswith(sent)),
    ("empty", lambda _, sent: sent == ""),
    ("prose", lambda _, sent: "{" not in sent and len(sent) > 20),
    ("nan", lambda _, sent: sent.count("NaN") == 1 and len(json.loads(sent)["verdicts"]) == 2),
    ("doubled key", lambda whole, sent: sent.count('"verdicts"') == 2 and json.loads(sent) == json.loads(whole)),
    ("fewer items", lambda whole, sent: json.loads(whole)["verdicts"][:1] == json.loads(sent)["verdicts"]),
    ("more items", lambda _, sent: len(json.loads(sent)["verdicts"]) == 3),
]


@pytest.mark.parametrize(("damage", "is_so"), DAMAGED)
def test_the_content_of_a_chat_reply_is_spoiled_as_named(damage: str, is_so: Callable[[str, str], bool]) -> None:
    with serve(faults=[Rule(damage=damage, first=2)]) as server:
        whole, sent = (content(post(server, CHAT, VERDICTS)[2]) for _ in range(2))
    assert is_so(whole, sent)


def test_a_reply_may_have_no_choices_or_end_at_the_limit_or_name_another_model() -> None:
    rules = [
        Rule(damage="no choices", last=1),
        Rule(damage="cut at the limit", last=2),
        Rule(fields={"model": "other"}, last=3),
    ]
    with serve(faults=rules) as server:
        none, cut, other = (json.loads(post(server, CHAT, VERDICTS)[2]) for _ in range(3))
    assert none["choices"] == []
    assert cut["choices"][0]["finish_reason"] == "length"
    assert (other["model"], len(other["choices"])) == ("other", 1)


def rows(body: bytes) -> dict[int, list[float]]:
    """The vectors of an embeddings reply by index, in the reply's order."""
    found = {}
    for item in json.loads(body)["data"]:
        vector = item["embedding"]
        found[item["index"]] = np.frombuffer(base64.b64decode(vector), "<f4") if isinstance(vector, str) else vector
    return {index: [float(value) for value in vector] for index, vector in found.items()}


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_vectors_are_reordered_missing_or_not_finite(encoding: str) -> None:
    ways = ["reordered", "missing vector", "no vectors", "nan vector"]
    with serve(faults=[Rule(damage=way, first=n, last=n) for n, way in enumerate(ways, 2)]) as server:
        sent = [rows(post(server, EMBEDDINGS, {**TEXTS, "encoding_format": encoding})[2]) for _ in range(5)]
    whole, reordered, missing, none, nan = sent
    assert (list(whole), list(reordered), list(missing), list(none)) == ([0, 1, 2], [2, 1, 0], [0, 1], [])
    assert reordered == whole
    assert [math.isnan(value) for value in nan[0]] == [True] + 7 * [False]
    assert (nan[1], nan[2]) == (whole[1], whole[2])


def test_a_damage_for_chats_leaves_embeddings_alone() -> None:
    with serve(faults=[Rule(damage="cut")]) as server:
        assert len(json.loads(post(server, EMBEDDINGS, TEXTS)[2])["data"]) == 3


@pytest.mark.parametrize("cut", [0, 30, 200])
def test_a_connection_is_reset_after_so_many_bytes(cut: int) -> None:
    with serve(faults=[Rule(cut=cut)]) as server, pytest.raises((ConnectionError, http.client.HTTPException)):
        post(server, CHAT, VERDICTS)


def test_a_delay_and_a_trickle_take_their_time_and_change_no_byte() -> None:
    with serve(faults=[Rule(body={"a": 1}, first=1, last=1, delay=0.2), Rule(body={"a": 1}, pace=0.05)]) as server:
        for least in (0.2, 0.05 * len(b'{"a": 1}')):
            start = time.monotonic()
            assert post(server, CHAT, VERDICTS)[2] == b'{"a": 1}'
            assert time.monotonic() - start >= least


def test_a_server_that_is_closed_ends_its_hanging_replies() -> None:
    server = serve(faults=[Rule(delay=3600)])
    connection = http.client.HTTPConnection(server.base_url.split("/")[2], timeout=20)
    connection.request("GET", "/v1/models", headers={"Authorization": "Bearer any"})
    while not server.requests:
        time.sleep(0.01)
    server.close()
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        connection.getresponse()
    connection.close()


def test_a_share_of_requests_is_drawn_by_seed_and_request_whatever_their_order() -> None:
    requests = [Request("POST", CHAT, {}, {}, b"%d" % n) for n in range(1000)]

    def hit(seed: int, order: int) -> set[bytes]:
        faulty = Faults(lambda _: Reply(200, b"{}"), [Rule(share=0.2, seed=seed, status=500)])
        return {request.body for request in requests[::order] if faulty(request).status == 500}

    assert hit(1, 1) == hit(1, -1)
    assert 160 <= len(hit(1, 1)) <= 240
    assert hit(1, 1) != hit(2, 1)
    faulty = Faults(lambda _: Reply(200, b"{}"), [Rule(share=0.5, status=500)])
    assert {faulty(requests[0]).status for _ in range(20)} == {200, 500}  # the same request again is another draw


def test_a_rule_looks_at_method_path_and_body() -> None:
    rule = Rule(method="POST", path="/chat/", holding="Cats", status=500)
    faulty = Faults(lambda _: Reply(200, b"{}"), [rule])
    sent = [("POST", CHAT, b"Cats fly"), ("GET", CHAT, b"Cats fly"), ("POST", EMBEDDINGS, b"Cats"), ("POST", CHAT, b"")]
    assert [faulty(Request(m, p, {}, {}, b)).status for m, p, b in sent] == [500, 200, 200, 200]


@pytest.mark.parametrize(
    "source",
    [
        "[",
        '["x"]',
        '[{"damage": "fire"}]',
        '[{"path": "("}]',
        '[{"first": "x"}]',
        '[{"nonsense": 1}]',
        "no-such-file.json",
    ],
)
def test_rules_that_are_none_are_one_sentence(source: str) -> None:
    with pytest.raises(InputError) as caught:
        read_rules(source)
    assert str(caught.value).endswith(".")


def test_the_command_takes_rules_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text('[{"path": "/models$", "last": 1, "status": 503, "error": {"message": "overloaded"}}]')
    command = [sys.executable, "-m", "minirag.offline", "--faults", str(path), "--with-parent"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        with openai.OpenAI(base_url=process.stdout.readline().strip(), api_key="any", max_retries=0) as client:
            with pytest.raises(openai.InternalServerError, match="overloaded"):
                client.models.list()
            assert TEACHER_MODEL in [model.id for model in client.models.list()]
        process.communicate()
    assert process.returncode == 0


# -- jobs --------------------------------------------------------------------------------------------------


def started(server: Server, client: openai.OpenAI) -> Any:
    examples = [{"messages": [*VERDICTS["messages"], {"role": "assistant", "content": f"{n}"}]} for n in range(12)]
    data = "\n".join(json.dumps(example) for example in examples).encode()
    file = client.files.create(file=("training.jsonl", data), purpose="fine-tune")
    return client.fine_tuning.jobs.create(model=STUDENT_MODEL, training_file=file.id)


def client_of(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0)


def test_a_lost_reply_leaves_a_job_that_the_server_knows() -> None:
    with serve(faults=[job_faults.lost_reply()]) as server, client_of(server) as client:
        with pytest.raises(openai.APIConnectionError):
            started(server, client)
        assert [job.status for job in client.fine_tuning.jobs.list()] == ["validating_files"]
        assert server.requests["POST", JOBS] == 1


@pytest.mark.parametrize(
    ("rule", "status", "code", "says"),
    [
        (job_faults.file_not_ready(2), 400, None, "not ready"),
        (job_faults.active_job_cap(2), 429, "rate_limit_exceeded", "active requests"),
        (job_faults.training_not_available(), 403, "training_not_available", "no longer available"),
    ],
)
def test_a_creation_is_refused_after_the_upload_and_makes_no_job(rule: Rule, status: int, code: Any, says: str) -> None:
    with serve(faults=[rule]) as server, client_of(server) as client:
        for _ in range(2):
            with pytest.raises(openai.APIStatusError, match=says) as caught:
                started(server, client)
            assert (caught.value.status_code, caught.value.code) == (status, code)
            assert caught.value.type == "invalid_request_error"
        assert len(list(client.files.list())) == 2
        assert list(client.fine_tuning.jobs.list()) == []


def test_a_job_shows_paused_and_unknown_states_and_then_moves_on() -> None:
    rules = [job_faults.job_shows(2, 3, status="paused"), job_faults.job_shows(4, 4, status="reticulating")]
    with serve(faults=rules) as server, client_of(server) as client:
        job = started(server, client)
        states = [client.fine_tuning.jobs.retrieve(job.id).status for _ in range(5)]
    assert states == ["queued", "paused", "paused", "reticulating", "succeeded"]


@pytest.mark.parametrize("error", [{}, None, {"code": "invalid_n_examples", "message": "too few", "param": None}])
def test_a_job_fails_with_any_error(error: Any) -> None:
    rules = [job_faults.job_shows(2, status="failed", error=error, fine_tuned_model=None)]
    with serve(faults=rules) as server, client_of(server) as client:
        job = started(server, client)
        states = [json.loads(client.fine_tuning.jobs.with_raw_response.retrieve(job.id).content) for _ in range(4)]
    assert [state["status"] for state in states] == ["queued", "failed", "failed", "failed"]
    assert states[-1]["error"] == error


def test_a_tuned_model_is_unknown_at_first_and_other_models_are_not() -> None:
    with serve(faults=[job_faults.tuned_model_unknown(2)]) as server, client_of(server) as client:
        job = started(server, client)
        while job.status != "succeeded":
            job = client.fine_tuning.jobs.retrieve(job.id)
        ask: Any = {"messages": VERDICTS["messages"]}
        assert client.chat.completions.create(model=STUDENT_MODEL, **ask).choices
        for _ in range(2):
            with pytest.raises(openai.NotFoundError) as caught:
                client.chat.completions.create(model=str(job.fine_tuned_model), **ask)
            assert caught.value.code == "model_not_found"
        assert client.chat.completions.create(model=str(job.fine_tuned_model), **ask).choices
