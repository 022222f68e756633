"""The rules of tests/support/faults.py do what they say; what clients make of them is tested with the clients."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from faults import DAMAGES, Faults, Rule
from minirag.server.wire import Reply, Request

CHAT = "/v1/chat/completions"

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


def test_a_share_of_requests_is_drawn_by_seed_and_request_whatever_their_order() -> None:
    requests = [Request("POST", CHAT, {}, {}, b"%d" % n) for n in range(1000)]

    def hit(seed: int, order: int) -> set[bytes]:
        faulty = Faults(lambda _: Reply(200, b"{}"), [Rule(share=0.2, seed=seed, status=500)])
        return {request.body for request in requests[::order] if faulty(request).status == 500}

    assert hit(1, 1) == hit(1, -1)
    assert 160 <= len(hit(1, 1)) <= 240
    assert hit(1, 1) != hit(2, 1)
