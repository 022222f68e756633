"""The files and objects of the Batch API: within its limits going out, and as OpenAI has really sent them coming in."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from minirag.batch.files import ENDED, Submission, portions, reply_to, request_line, results
from minirag.errors import BadReply
from minirag.message_log import Exchange
from run_files import rows

HELLO: Any = [{"role": "user", "content": "Hello"}]


def call_of(number: int, model: str, texts: int) -> Exchange:
    """A chat call, or a call for the vectors of so many texts."""
    request = {"model": model, "input": [str(number)] * texts} if texts else {"model": model, "messages": HELLO}
    return Exchange("embed", "embeddings" if texts else "chat.completions", "s", request, repeat=number)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 4))), st.integers(1, 5), st.integers(400, 900))
def test_every_request_is_in_one_portion_of_its_kind_that_is_within_the_limits(
    calls: list[tuple[str, int]], lines: int, size: int
) -> None:
    given = [call_of(number, *call) for number, call in enumerate(calls)]
    found = list(portions(given, lines, size, 6))
    assert sorted(call.id for portion in found for call in portion) == sorted(call.id for call in given)
    for portion in found:
        assert len({(call.endpoint, call.model) for call in portion}) == 1
        assert len(portion) <= lines
        assert sum(len(request_line(call)) for call in portion) <= size
        assert sum(len(call.request.get("input", ())) for call in portion) <= 6


@pytest.mark.parametrize(
    "line", [b"[]", b"null", b"1", b'{"custom_id": 1}', b'{"response": {}}', b"{", b"\xff", b"NaN"]
)
def test_a_line_that_says_nothing_harms_no_other(line: bytes) -> None:
    good = b'{"custom_id":"a","response":null,"error":{"code":"batch_expired"}}'
    assert list(results(b"\n".join([line, good, b"", line]))) == ["a"]


@pytest.mark.parametrize("response", [None, 1, {}, {"status_code": "200"}, {"status_code": 200, "body": "text"}])
def test_a_result_that_is_no_reply_is_a_failure_worth_another_attempt(response: Any) -> None:
    line = {"custom_id": "a", "response": response, "error": "text"}
    body, failure = reply_to(call_of(1, "m", 0), line, "http://s")
    assert body is None
    assert failure is not None
    assert failure.transient


# -- recorded ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def openai_data() -> Path:
    folder = Path(__file__).parents[3] / "shared" / "openai"
    if not folder.is_dir():
        pytest.skip("the recorded batches are not beside this checkout")
    return folder


def objects(folder: Path) -> Iterator[dict[str, Any]]:
    """The batch objects in the recordings."""
    yield from (line["object"] for line in rows(folder / "objects" / "batches.jsonl"))
    for line in rows(folder / "recordings" / "batches.jsonl"):
        body = line["response"]["body"]
        yield from body["data"] if body["object"] == "list" else [body]
    threads = json.loads((folder / "objects" / "batch_and_error_objects_from_threads.json").read_text("utf-8"))
    yield from (item["batch_partial"] for item in threads["items"] if "batch_partial" in item)


def test_recorded_output_lines_become_exchanges_with_their_usage(openai_data: Path) -> None:
    recorded = [item["line"] for item in rows(openai_data / "objects" / "batch_output_lines.jsonl")]
    found = results("".join(json.dumps(line) + "\n" for line in recorded).encode())
    assert set(found) == {line["custom_id"] for line in recorded}
    usages = []
    for line in recorded:
        body = line["response"]["body"]
        call = call_of(1, "m", len(body["data"]) if body["object"] == "list" else 0)
        reply, failure = reply_to(call, line, "http://s")
        if body["object"] == "response":  # of an endpoint that minirag does not use
            assert isinstance(failure, BadReply)
        else:
            assert failure is None
            usages.append(replace(call, response=reply).usage["total_tokens"] == body["usage"]["total_tokens"])
    assert all(usages)
    assert usages


def test_every_recorded_batch_has_a_state_and_says_why_a_reply_is_missing(openai_data: Path) -> None:
    states = set()
    for state in objects(openai_data):
        batch = Submission("mine", [call_of(1, "m", 0)], state)
        states.add(batch.status)
        assert batch.done >= 0
        assert f"is {batch.status} without a reply to this request" in str(batch.missing(1))
        assert all(str(error["message"]).rstrip(".") in str(batch.missing(1)) for error in batch.errors[:1])
    assert states > ENDED - {"failed"}


@pytest.mark.parametrize("counts", [{"completed": "1"}, [1], "1", None])
@pytest.mark.parametrize("errors", [[{"message": "no"}], {"data": [None, {"message": "no"}]}, "no", None])
def test_a_state_of_any_shape_is_read(counts: Any, errors: Any) -> None:
    batch = Submission("mine", [call_of(1, "m", 0)], {"status": "failed", "request_counts": counts, "errors": errors})
    assert batch.done == 0
    assert "is failed without a reply" in str(batch.missing(1))
