"""Apart. The service without its sockets: a request in, a reply out, by the routes of OpenAI's API.

The server takes any function of this shape, so a caller may wrap it to count, delay or break replies.

>>> key = {"authorization": "Bearer any"}
>>> Service(None)(Request("GET", "/v1/models/gpt-5", {}, key, b"")).body
b'{"error":{"message":"The model \\'gpt-5\\' does not exist",\
"type":"invalid_request_error","param":"model","code":"model_not_found"}}'
"""

import re
from collections.abc import Callable
from pathlib import Path

from minirag.offline.catalogue import Catalogue
from minirag.offline.completions import chat
from minirag.offline.tuning import Jobs
from minirag.offline.vectors import embeddings
from minirag.server.batches import Batches
from minirag.server.files import Files
from minirag.server.wire import Json, Refused, Reply, Request, json_body, json_reply, upload


class Service:
    """Models, files, jobs and batches behind one call; safe to use from many threads.

    `state` is the folder that keeps files, jobs, batches and tuned models; None keeps them as long as the process.
    """

    def __init__(self, state: Path | None) -> None:
        self._models = Catalogue(state and state / "models")
        self._files = Files(state and state / "files")
        self._jobs = Jobs(state and state / "jobs", self._files, self._models)
        self._batches = Batches(state and state / "batches", self._files, self)

    def answer_lines(self, answer: Callable[[Request], Reply]) -> None:
        """Send the lines of batches to `answer`, this service wrapped in something that breaks replies."""
        self._batches.answer = answer

    def __call__(self, request: Request) -> Reply:
        """The reply to a request, an error reply included."""
        try:
            _check_key(request)
            found = self._act(request)
        except Refused as refused:
            return refused.reply
        return Reply(200, found, "application/octet-stream") if isinstance(found, bytes) else json_reply(found)

    def _act(self, request: Request) -> Json | bytes:  # noqa: PLR0912  one line per route
        models, files, jobs, batches = self._models, self._files, self._jobs, self._batches
        match request.method, request.path.split("/")[1:]:
            case "POST", ["v1", "chat", "completions"]:
                return chat(json_body(request), models)
            case "POST", ["v1", "embeddings"]:
                return embeddings(json_body(request), models)
            case "GET", ["v1", "models"]:
                return {"object": "list", "data": models.all()}
            case "GET", ["v1", "models", name]:
                return models.describe(name)
            case "DELETE", ["v1", "models", name]:
                return models.delete(name)
            case "POST", ["v1", "files"]:
                return files.upload(upload(request))
            case "GET", ["v1", "files"]:
                return files.all(request.query)
            case "GET", ["v1", "files", file_id]:
                return files.get(file_id)
            case "DELETE", ["v1", "files", file_id]:
                return files.delete(file_id)
            case "GET", ["v1", "files", file_id, "content"]:
                return files.content(file_id)
            case "POST", ["v1", "fine_tuning", "jobs"]:
                return jobs.create(json_body(request))
            case "GET", ["v1", "fine_tuning", "jobs"]:
                return jobs.all(request.query)
            case "GET", ["v1", "fine_tuning", "jobs", job_id]:
                return jobs.get(job_id)
            case "GET", ["v1", "fine_tuning", "jobs", job_id, "events"]:
                return jobs.events(job_id, request.query)
            case "GET", ["v1", "fine_tuning", "jobs", job_id, "checkpoints"]:
                return jobs.checkpoints(job_id, request.query)
            case "POST", ["v1", "fine_tuning", "jobs", job_id, "cancel"]:
                return jobs.cancel(job_id)
            case "POST", ["v1", "batches"]:
                return batches.create(json_body(request))
            case "GET", ["v1", "batches"]:
                return batches.all(request.query)
            case "GET", ["v1", "batches", batch_id]:
                return batches.get(batch_id)
            case "POST", ["v1", "batches", batch_id, "cancel"]:
                return batches.cancel(batch_id)
        raise Refused(404, f"Invalid URL ({request.method} {request.path})")


def _check_key(request: Request) -> None:
    """Any key will do, but there must be one: a program that forgets it would fail with the real service."""
    if not re.match(r"Bearer\s+\S", request.headers.get("authorization", "")):
        raise Refused(
            401,
            "You didn't provide an API key. Provide one in an Authorization header using Bearer auth "
            "(i.e. Authorization: Bearer YOUR_KEY); any text will do here.",
            code="missing_api_key",
        )
