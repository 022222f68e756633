"""The routes of OpenAI's API without the sockets: a request in, a reply out; an engine answers.

Any callable of this shape can be served, so a test may wrap an `Api` to count, delay or break replies.
"""

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minirag.prompts import text_of
from minirag.server.batches import Batches
from minirag.server.engine import ChatRequest, Engine, Model
from minirag.server.files import Files
from minirag.server.jobs import Jobs
from minirag.server.wire import Json, Refused, Reply, Request, invalid, json_reply, number, optional, required


class Api:
    """The models of `engine`, and files, jobs and batches; safe to call from many threads.

    `state` is the folder that keeps files, jobs and batches; None keeps them as long as the process. Jobs are done
    when they are retrieved, or by themselves: `in_background`.
    """

    def __init__(self, engine: Engine, state: Path | None = None, in_background: bool = False) -> None:
        self._engine = engine
        files = Files(state and state / "files")
        jobs = Jobs(state and state / "jobs", files, engine, in_background)
        self.batches = batches = Batches(state and state / "batches", files, self)
        self._routes: list[tuple[str, Callable[..., Json | bytes]]] = [
            ("POST /v1/chat/completions", self._chat),
            ("POST /v1/embeddings", self._embeddings),
            ("GET /v1/models", lambda _: {"object": "list", "data": [*map(_described, engine.models())]}),
            ("GET /v1/models/(.+)", lambda _, name: _described(self._model(name))),  # the names of hubs hold slashes
            ("DELETE /v1/models/(.+)", self._delete),
            ("POST /v1/files", files.upload),
            ("GET /v1/files", files.all),
            ("GET /v1/files/([^/]+)", files.get),
            ("DELETE /v1/files/([^/]+)", files.delete),
            ("GET /v1/files/([^/]+)/content", lambda _, file_id: files.content(file_id)),
            ("POST /v1/fine_tuning/jobs", jobs.create),
            ("GET /v1/fine_tuning/jobs", jobs.all),
            ("GET /v1/fine_tuning/jobs/([^/]+)", jobs.get),
            ("GET /v1/fine_tuning/jobs/([^/]+)/events", jobs.events),
            ("GET /v1/fine_tuning/jobs/([^/]+)/checkpoints", jobs.checkpoints),
            ("POST /v1/fine_tuning/jobs/([^/]+)/cancel", jobs.cancel),
            ("POST /v1/batches", batches.create),
            ("GET /v1/batches", batches.all),
            ("GET /v1/batches/([^/]+)", batches.get),
            ("POST /v1/batches/([^/]+)/cancel", batches.cancel),
        ]

    def __call__(self, request: Request) -> Reply:
        """Return the reply to a request, which may be an error."""
        try:
            # Any key will do, but there must be one: a program that forgets it would fail with the real service.
            if not re.match(r"Bearer\s+\S", request.headers.get("authorization", "")):
                message = "You didn't provide an API key in an Authorization header; any text after 'Bearer' will do."
                raise Refused(401, message, code="missing_api_key")
            for route, handler in self._routes:
                if match := re.fullmatch(route, f"{request.method} {request.path}"):
                    answer = handler(request, *match.groups())
                    if isinstance(answer, bytes):
                        return Reply(200, answer, "application/octet-stream")
                    return json_reply(answer)
            raise Refused(404, f"Invalid URL ({request.method} {request.path})")
        except Refused as refused:
            return refused.reply

    def _model(self, name: str, kind: str = "") -> Model:
        """Return the model of this name; refused if there is none, or it is of another kind."""
        model = next((model for model in self._engine.models() if model.name == name), None)
        if model is None:
            message = f"The model '{name}' does not exist or you do not have access to it."
            raise Refused(404, message, param="model", code="model_not_found")
        if kind not in ("", model.kind):
            raise Refused(404, f"'{name}' is not a model of this endpoint.", param="model")
        return model

    def _delete(self, request: Request, name: str) -> Json:
        if not self._engine.delete(self._model(name).name):
            raise Refused(400, f"'{name}' is no tuned model: it cannot be deleted.", param="model")
        return {"id": name, "object": "model", "deleted": True}

    def _chat(self, request: Request) -> Json:
        body = request.json
        model = self._model(required(body, "model"), "chat").name
        completion = self._engine.complete(model, _chat_request(body))
        choices: list[Json] = [
            {
                "index": index,
                "message": {"role": "assistant", "content": choice.text, "refusal": None},
                "logprobs": None,
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(completion.choices)
        ]
        usage = {
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.completion_tokens,
            "total_tokens": completion.prompt_tokens + completion.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }
        return {
            "id": "chatcmpl-" + hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:29],
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": choices,
            "usage": usage,
        }

    def _embeddings(self, request: Request) -> Json:
        """Return one vector per text, as floats or as base64 of little-endian float32."""
        body = request.json
        model = self._model(required(body, "model"), "embedding").name
        texts = required(body, "input", str | list)
        texts = [texts] if isinstance(texts, str) else texts
        if not all(isinstance(text, str) and text for text in texts):
            raise invalid("input", "strings that are not empty (token numbers are not supported)")
        vectors = self._engine.embed(model, texts, number(body, "dimensions", 1))
        rows = np.ascontiguousarray(vectors.rows, dtype="<f4")
        values: list[Any] = rows.tolist()
        if body.get("encoding_format") == "base64":
            values = [base64.b64encode(row.tobytes()).decode() for row in rows]
        return {
            "object": "list",
            "data": [{"object": "embedding", "index": i, "embedding": value} for i, value in enumerate(values)],
            "model": model,
            "usage": {"prompt_tokens": vectors.tokens, "total_tokens": vectors.tokens},
        }


def _described(model: Model) -> Json:
    return {"id": model.name, "object": "model", "created": model.created, "owned_by": "minirag"}


def _chat_request(body: Json) -> ChatRequest:
    """Check the parameters of a chat; what no engine can do is refused, not ignored."""
    for name in ("stream", "logprobs"):
        if body.get(name):
            raise Refused(400, f"'{name}' is not supported here; leave it out.", param=name, code="unsupported_value")
    stop = optional(body, "stop", str | list) or []
    stop = [stop] if isinstance(stop, str) else stop
    if not all(isinstance(mark, str) and mark for mark in stop):
        raise invalid("stop", "a string or an array of strings")
    return ChatRequest(
        [_message(message) for message in required(body, "messages", list)],
        optional(body, "response_format", dict) or {},
        number(body, "n", 1, 128) or 1,
        number(body, "max_completion_tokens", 1) or number(body, "max_tokens", 1),
        stop,
        number(body, "temperature", 0, 2, int | float),
        number(body, "top_p", 0, 1, int | float),
        number(body, "seed", -(1 << 63), 1 << 63),
    )


def _message(message: Any) -> dict[str, str]:
    """Return role and text of a message; content in parts is joined, if all of them are texts."""
    match message:
        case {"role": str(role), "content": str() | None}:
            return {"role": role, "content": message["content"] or ""}
        case {"role": str(role), "content": [*parts]} if all(isinstance(p, dict) and "text" in p for p in parts):
            return {"role": role, "content": text_of(message)}
    raise invalid("messages", "objects with a role and a text as content")
