"""The rules of tests/support/faults.py do what they say; what clients make of them is tested with the clients."""

import http.client
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from faults import DAMAGES, Faults, Rule, serve
from minirag import prompts
from minirag.offline import JUDGE_MODEL, Server
from minirag.prompts import Excerpt
from minirag.server.wire import Reply, Request

CHAT = "/v1/chat/completions"
EXCERPT = Excerpt("The city runs the water works. They opened in 1901.", 3)
VERDICTS = {
    "model": JUDGE_MODEL,
    "messages": prompts.verdicts([EXCERPT], ["The city runs the water works.", "Cats fly."]),
}


def post(server: Server) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the reply to a request for verdicts."""
    connection = http.client.HTTPConnection(server.base_url.split("/")[2], timeout=20)
    try:
        connection.request("POST", CHAT, json.dumps(VERDICTS), {"Authorization": "Bearer any"})
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    finally:
        connection.close()


def test_an_error_has_the_service_s_shape_and_the_rule_s_headers_and_comes_when_it_is_due() -> None:
    error = {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}
    rule = Rule(path="/chat/", first=2, last=3, status=429, error=error, headers={"Retry-After": "7"})
    with serve(faults=[rule]) as server:
        replies = [post(server) for _ in range(4)]
    assert [status for status, _, _ in replies] == [200, 429, 429, 200]
    assert json.loads(replies[1][2]) == {"error": {**error, "param": None}}
    assert (replies[1][1]["retry-after"], "retry-after" in replies[0][1]) == ("7", False)


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
    whole = json.dumps({"verdicts": [{"index": 1, "supported": True}, {"index": 2, "supported": False}]})
    reply: Any = {"choices": [{"message": {"content": whole}, "finish_reason": "stop"}]}
    DAMAGES[damage][1](reply)
    assert is_so(whole, reply["choices"][0]["message"]["content"])


def test_a_delay_and_a_trickle_take_their_time_and_change_no_byte() -> None:
    with serve(faults=[Rule(body={"a": 1}, last=1, delay=0.2), Rule(body={"a": 1}, pace=0.05)]) as server:
        for least in (0.2, 0.05 * len(b'{"a": 1}')):
            start = time.monotonic()
            assert post(server)[2] == b'{"a": 1}'
            assert time.monotonic() - start >= least


@pytest.mark.parametrize("cut", [0, 30, 200])
def test_a_connection_is_reset_after_so_many_bytes(cut: int) -> None:
    with serve(faults=[Rule(cut=cut)]) as server, pytest.raises((ConnectionError, http.client.HTTPException)):
        post(server)


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
