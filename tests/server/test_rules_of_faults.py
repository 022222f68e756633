"""The rules of tests/support/faults.py: each arrives at a plain HTTP client as it says, and is counted."""

import base64
import http.client
import json
import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from faults import Faults, Rule, serve
from minirag import prompts
from minirag.offline import EMBEDDING_MODEL, JUDGE_MODEL, Server
from minirag.prompts import Excerpt
from minirag.server.wire import Reply, Request

CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"
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


def test_an_error_has_the_service_s_shape_and_the_rule_s_headers_and_comes_when_it_is_due() -> None:
    error = {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}
    rule = Rule(path="/chat/", first=2, last=3, status=429, error=error, headers={"Retry-After": "7"})
    with serve(faults=[rule]) as server:
        replies = [post(server, CHAT, VERDICTS) for _ in range(4)]
        assert server.requests == Counter({("POST", CHAT): 4})
    assert [status for status, _, _ in replies] == [200, 429, 429, 200]
    assert json.loads(replies[1][2]) == {"error": {**error, "param": None}}
    assert (replies[1][1]["retry-after"], "retry-after" in replies[0][1]) == ("7", False)


@pytest.mark.parametrize(
    ("rule", "status", "kind", "body"),
    [
        (Rule(body="<html>busy</html>"), 200, "text/html; charset=utf-8", b"<html>busy</html>"),
        (Rule(body={}), 200, "application/json", b"{}"),
        (Rule(status=307, body={}, headers={"Location": "http://127.0.0.2:9/v1"}), 307, "application/json", b"{}"),
    ],
)
def test_a_reply_may_hold_anything(rule: Rule, status: int, kind: str, body: bytes) -> None:
    with serve(faults=[rule]) as server:
        answered, headers, sent = post(server, CHAT, VERDICTS)
    assert (answered, headers["content-type"], sent) == (status, kind, body)


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
        assert len(json.loads(post(server, EMBEDDINGS, TEXTS)[2])["data"]) == 3
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
    vectors = {item["index"]: item["embedding"] for item in json.loads(body)["data"]}
    return {
        i: np.frombuffer(base64.b64decode(v), "<f4").tolist() if isinstance(v, str) else v for i, v in vectors.items()
    }


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
