"""What crosses the wire between the OpenAI SDK and the offline server follows OpenAI's own OpenAPI schemas."""

import json
import re
from pathlib import Path
from typing import Any

import openai
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from minirag import offline, prompts
from minirag.offline import EMBEDDING_MODEL, JUDGE_MODEL, STUDENT_MODEL, TEACHER_MODEL, Server
from minirag.prompts import Excerpt
from minirag.server.wire import Reply, Request

SCHEMAS = Path(__file__).parents[3] / "shared" / "openai" / "openapi-subset.json"
EXCERPT = Excerpt("The city runs the water works. They opened in 1901.", 3)
DRAFT: Any = prompts.draft("When did the water works open?", [EXCERPT])

ROUTES = [  # method, path, schema of the request, schema of a successful reply
    ("POST", "/v1/chat/completions", "CreateChatCompletionRequest", "CreateChatCompletionResponse"),
    ("POST", "/v1/embeddings", "CreateEmbeddingRequest", "CreateEmbeddingResponse"),
    ("GET", "/v1/models", None, "ListModelsResponse"),
    ("GET", "/v1/models/[^/]+", None, "Model"),
    ("POST", "/v1/files", None, "OpenAIFile"),
    ("GET", "/v1/files", None, "ListFilesResponse"),
    ("GET", "/v1/files/[^/]+", None, "OpenAIFile"),
    ("DELETE", "/v1/files/[^/]+", None, "DeleteFileResponse"),
    ("POST", "/v1/fine_tuning/jobs", "CreateFineTuningJobRequest", "FineTuningJob"),
    ("GET", "/v1/fine_tuning/jobs", None, "ListPaginatedFineTuningJobsResponse"),
    ("GET", "/v1/fine_tuning/jobs/[^/]+", None, "FineTuningJob"),
    ("POST", "/v1/fine_tuning/jobs/[^/]+/cancel", None, "FineTuningJob"),
    ("GET", "/v1/fine_tuning/jobs/[^/]+/events", None, "ListFineTuningJobEventsResponse"),
    ("GET", "/v1/fine_tuning/jobs/[^/]+/checkpoints", None, "ListFineTuningJobCheckpointsResponse"),
    ("POST", "/v1/batches", "CreateBatchRequest", "Batch"),
    ("GET", "/v1/batches", None, "ListBatchesResponse"),
    ("GET", "/v1/batches/[^/]+", None, "Batch"),
    ("POST", "/v1/batches/[^/]+/cancel", None, "Batch"),
]


def repaired(schema: Any) -> Any:
    """The schema as JSON Schema 2020-12 means it: no OpenAPI 3.0 leftovers, and optional fields may be null."""
    if isinstance(schema, list):
        return [repaired(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    fixed = {key: repaired(value) for key, value in schema.items()}
    if fixed.get("exclusiveMinimum") is True:
        fixed["exclusiveMinimum"] = fixed.pop("minimum")
    if isinstance(properties := fixed.get("properties"), dict) and "type" not in properties.get("properties", {}):
        optional = properties.keys() - set(schema.get("required", []))
        fixed["properties"] = {
            k: {"anyOf": [v, {"type": "null"}]} if k in optional else v for k, v in properties.items()
        }
    if fixed.pop("nullable", False) is True:
        fixed = {"anyOf": [fixed, {"type": "null"}]}
    return fixed


class Recorded:
    """A service that also keeps what it was asked and what it answered."""

    def __init__(self) -> None:
        self.service = offline.api()
        self.exchanges: list[tuple[Request, Reply]] = []

    def __call__(self, request: Request) -> Reply:
        reply = self.service(request)
        self.exchanges.append((request, reply))
        return reply


def talk(client: openai.OpenAI) -> None:
    """Every route once or more, as a client would use it."""
    chat = client.chat.completions.create
    chat(model=TEACHER_MODEL, messages=DRAFT, temperature=0, seed=1, max_tokens=50, n=2, stop="\n\n")
    chat(model=STUDENT_MODEL, messages=DRAFT, max_completion_tokens=2, logprobs=False, user="me")
    schema: Any = {
        "type": "json_schema",
        "json_schema": {"name": "verdicts", "strict": True, "schema": prompts.VERDICTS_SCHEMA},
    }
    verdicts: Any = prompts.verdicts([EXCERPT], ["The city runs it."])
    chat(model=JUDGE_MODEL, messages=verdicts, response_format=schema)
    chat(model=JUDGE_MODEL, messages=verdicts, response_format={"type": "json_object"})
    client.embeddings.create(model=EMBEDDING_MODEL, input=["one", "two"], encoding_format="float", dimensions=32)
    line = json.dumps({"messages": [*DRAFT, {"role": "assistant", "content": "They opened in 1901."}]}) + "\n"
    file = client.files.create(file=("training.jsonl", (line * 12).encode()), purpose="fine-tune")
    client.files.retrieve(file.id)
    client.files.list()
    client.files.delete(client.files.create(file=("unused.jsonl", b"{}"), purpose="batch").id)
    jobs = client.fine_tuning.jobs
    short = client.files.create(file=("training.jsonl", (line * 3).encode()), purpose="fine-tune")
    jobs.retrieve(jobs.create(model=STUDENT_MODEL, training_file=short.id).id)
    jobs.cancel(jobs.create(model=STUDENT_MODEL, training_file=file.id, hyperparameters={"n_epochs": 2}).id)
    job = jobs.create(
        model=STUDENT_MODEL,
        training_file=file.id,
        validation_file=file.id,
        suffix="ten-k",
        seed=3,
        metadata={"sha256": "abc"},
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1, "batch_size": "auto"}}},
    )
    for _ in range(4):
        jobs.retrieve(job.id)
        jobs.list_events(job.id, limit=5)
        jobs.checkpoints.list(job.id)
    jobs.list(limit=2)
    talk_in_batches(client)
    client.models.list()
    client.models.retrieve(str(jobs.retrieve(job.id).fine_tuned_model))
    with pytest.raises(openai.NotFoundError):
        client.get("/nowhere", cast_to=object)


def talk_in_batches(client: openai.OpenAI) -> None:
    """A batch that completes, one that fails its validation, and one that is cancelled."""
    body = {"model": TEACHER_MODEL, "messages": DRAFT}
    line = json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body})
    good, bad = (client.files.create(file=("lines.jsonl", text.encode()), purpose="batch") for text in (line, "{"))
    options: Any = {"endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {"input": "abc"}}
    ids = [client.batches.create(input_file_id=file.id, **options).id for file in (good, bad, good)]
    client.batches.cancel(ids[2])
    states = [[client.batches.retrieve(id).status for _ in range(3)] for id in ids]
    assert states == [["in_progress", "completed", "completed"], ["failed"] * 3, ["cancelled"] * 3]
    client.batches.list(limit=2)


def test_every_request_and_reply_follows_its_schema() -> None:
    if not SCHEMAS.exists():
        pytest.skip("the OpenAPI schemas are not beside this checkout")
    components = repaired(json.loads(SCHEMAS.read_text())["components"])
    service = Recorded()
    with Server(service) as server, openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client:
        talk(client)
    seen = set()
    problems = []
    for request, reply in service.exchanges:
        routes = [r for r in ROUTES if r[0] == request.method and re.fullmatch(r[1], request.path)]
        asked, answered = (None, "ErrorResponse") if reply.status >= 400 else (routes[0][2], routes[0][3])
        seen |= {route[:2] for route in routes}
        for name, content in ((asked, request.body), (answered, reply.body)):
            if name:
                validator = Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": components})
                problems += [(name, list(e.path), e.message[:300]) for e in validator.iter_errors(json.loads(content))]
    assert problems == []
    assert {route[:2] for route in ROUTES} == seen
