"""The offline server's batches, as the real SDK meets them: what is refused, what each file holds, what is kept."""

import json
from collections.abc import Sequence
from typing import Any

import openai
import pytest

from faults import expires_at_line, serve as failing
from minirag.offline import EMBEDDING_MODEL, Server, serve
from minirag.server.batches import LINES_A_LOOK

ENDPOINT: Any = "/v1/embeddings"


def client_of(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0)


def line(custom_id: str, text: str = "water works", **fields: Any) -> dict[str, Any]:
    body = {"model": EMBEDDING_MODEL, "input": [text], "dimensions": 4, "encoding_format": "float"}
    return {"custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": body, **fields}


def create(client: openai.OpenAI, rows: Sequence[Any]) -> str:
    content = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()
    file = client.files.create(file=("lines.jsonl", content), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h").id


def ended(client: openai.OpenAI, id: str) -> Any:
    """Return the batch once it has ended."""
    while (batch := client.batches.retrieve(id)).status in {"validating", "in_progress", "finalizing", "cancelling"}:
        pass
    return batch


def rows(client: openai.OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    return [json.loads(row) for row in client.files.content(file_id).text.splitlines()]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("{", "invalid_json_line"),
        (line("a", url="/v1/chat/completions"), "invalid_url"),
        (line("a", body={"input": []}), "missing_required_parameter"),
        (line("first"), "duplicate_custom_id"),
    ],
)
def test_a_file_with_one_wrong_line_is_refused_with_its_number_and_no_line_is_done(row: Any, code: str) -> None:
    with serve() as server, client_of(server) as client:
        batch = ended(client, create(client, [line("first"), row]))
    assert batch.status == "failed"
    assert [(error.code, error.line) for error in batch.errors.data] == [(code, 2)]
    assert (batch.output_file_id, batch.error_file_id, batch.request_counts.completed) == (None, None, 0)


def test_replies_and_errors_are_in_files_of_their_own_in_another_order_and_a_file_without_lines_is_none() -> None:
    with serve() as server, client_of(server) as client:
        good = ended(client, create(client, [line("a"), line("b")]))
        mixed = ended(client, create(client, [line("a"), line("b", text="")]))
        assert (good.status, good.error_file_id, good.request_counts.completed) == ("completed", None, 2)
        assert [row["custom_id"] for row in rows(client, good.output_file_id)] == ["b", "a"]
        assert [row["custom_id"] for row in rows(client, mixed.output_file_id)] == ["a"]
        (error,) = rows(client, mixed.error_file_id)
    assert (error["custom_id"], error["response"]["status_code"], error["error"]) == ("b", 400, None)
    assert "Invalid 'input'" in error["response"]["body"]["error"]["message"]


def test_a_large_batch_takes_several_looks_and_shows_how_far_it_is() -> None:
    with serve() as server, client_of(server) as client:
        id = create(client, [line(str(number)) for number in range(2 * LINES_A_LOOK + 1)])
        looks = [client.batches.retrieve(id) for _ in range(5)]
    counts = [batch.request_counts.completed for batch in looks if batch.request_counts]
    assert counts == [0, LINES_A_LOOK, 2 * LINES_A_LOOK, 2 * LINES_A_LOOK + 1, 2 * LINES_A_LOOK + 1]
    assert [batch.status for batch in looks] == [*["in_progress"] * 3, "finalizing", "completed"]


def test_a_late_batch_has_done_a_part_and_names_the_rest() -> None:
    with failing(faults=[expires_at_line(3)]) as server, client_of(server) as client:
        batch = ended(client, create(client, [line(id) for id in "abcd"]))
        done, late = rows(client, batch.output_file_id), rows(client, batch.error_file_id)
    assert batch.status == "expired"
    assert sorted(row["custom_id"] for row in done) == ["a", "b"]
    assert {row["custom_id"]: row["error"]["code"] for row in late} == {"c": "batch_expired", "d": "batch_expired"}


def test_a_batch_that_has_ended_cannot_be_cancelled_and_none_is_made_of_a_training_file() -> None:
    with serve() as server, client_of(server) as client:
        id = create(client, [line("a")])
        ended(client, id)
        with pytest.raises(openai.ConflictError, match="status 'completed'"):
            client.batches.cancel(id)
        file = client.files.create(file=("t.jsonl", b"{}"), purpose="fine-tune")
        with pytest.raises(openai.BadRequestError, match="Invalid input_file_id"):
            client.batches.create(input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h")
        wrong: Any = "1h"
        with pytest.raises(openai.BadRequestError, match="expected 24h"):
            client.batches.create(input_file_id=file.id, endpoint=ENDPOINT, completion_window=wrong)
