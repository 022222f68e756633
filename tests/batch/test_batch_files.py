"""The files and objects of the Batch API: within its limits going out, and as OpenAI has really sent them coming in."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from doubles import Script
from minirag.batch import Batches
from minirag.batch.files import ENDED, portions, reply_to, request_line, results
from minirag.errors import BadReply, ServiceError, Unfinished
from minirag.message_log import Exchange, MessageLog
from minirag.models import ChatModel
from minirag.retry import Retry
from minirag.service import Service
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


def answering(batch: dict[str, Any], line: dict[str, Any]) -> Script:
    """A service whose first batch looks like `batch` when it is looked at; its files hold `line` for every request."""
    ids: list[str] = []

    def reply(seen: dict[str, Any]) -> Any:
        path = seen["path"].partition("?")[0]
        if path.endswith("/files"):
            ids[:] = [
                json.loads(row)["custom_id"] for row in seen["raw"].splitlines() if row.startswith(b'{"custom_id"')
            ]
            return {"id": "file-1", "object": "file"}
        if path.endswith("/content"):
            return "".join(json.dumps({**line, "custom_id": id}) + "\n" for id in ids).encode()
        if seen["method"] == "POST":
            return {**batch, "id": "batch_1", "status": "validating", "output_file_id": None, "error_file_id": None}
        is_over = batch["status"] in ENDED
        return {**batch, "id": "batch_1", **({} if is_over else {"status": "completed", "output_file_id": "file-2"})}

    return Script(reply)


def test_every_recorded_batch_leads_to_its_answer_or_says_why_there_is_none(openai_data: Path, tmp_path: Path) -> None:
    recorded = rows(openai_data / "objects" / "batch_output_lines.jsonl")
    good = next(item["line"] for item in recorded if item["line"]["response"]["body"]["object"] == "chat.completion")
    threads = json.loads((openai_data / "objects" / "batch_and_error_objects_from_threads.json").read_text("utf-8"))
    bad = next(item["line"] for item in threads["items"] if "context_length_exceeded" in item["what"])
    outcomes = set()
    shapes = {(b["status"], frozenset(name for name in b if b[name])): b for b in objects(openai_data)}
    for number, batch in enumerate(shapes.values()):
        line = bad if batch["status"] in ENDED and not batch.get("output_file_id") else good
        with (
            answering(batch, line) as script,
            Service(script.url, "k", retry=Retry(sleep=lambda _: None)) as service,
            MessageLog(tmp_path / f"{number}.jsonl") as log,
        ):
            chat = ChatModel("m", log=log, service=service)
            try:
                exchange = Batches(service, log).run(lambda: chat.complete(HELLO, stage="draft"))  # noqa: B023
                outcome = "answered"
                assert exchange.tags["batch"] == "batch_1"
                assert exchange.usage
            except Unfinished:
                outcome = "cancelled"
            except ServiceError as error:
                outcome = f"refused with {error.status}"
        outcomes.add((batch["status"], bool(batch.get("output_file_id")), bool(batch.get("error_file_id")), outcome))
    assert outcomes == {
        *((state, False, False, "answered") for state in ("validating", "in_progress", "finalizing", "cancelling")),
        ("completed", True, False, "answered"),
        ("completed", False, True, "refused with 400"),
        ("expired", True, False, "answered"),
        ("expired", False, True, "refused with 400"),
        *(("cancelled", *files, "cancelled") for files in ((False, False), (False, True), (True, True))),
    }
