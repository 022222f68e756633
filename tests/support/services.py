"""Services as people meet them: the embedded server behind tables of differences from OpenAI, tests/data/services.toml.

Names in brackets are the public threads and pages that the facts come from.
"""

import json
import re
import threading
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import NamedTuple

from faults import Faults, FaultyHandler, Rule
from minirag import offline
from minirag.server import Server
from minirag.server.wire import Json, Reply, Request
from minirag.text import for_model

TEACHER, STUDENT, JUDGE, EMBEDDING = (f"offline-{role}" for role in ("teacher", "student", "judge", "embedding"))
DEPLOYED = "offline-student-deployed"
"""The name under which a service serves the newest tuned model that had to be deployed by hand."""
THOUGHT = 'Let me see. A first sketch would be {"statements": ["a sketch"]} or ["one"], but that is not final.'


class Refusal(NamedTuple):
    status: int
    message: str
    param: str | None = None
    code: str | None = None


NOT_FOUND = Refusal(404, "Not Found")


def error_body(template: str, no: Refusal) -> bytes:
    """Return what a service says of a refusal: its template, filled in."""
    detail = [{"type": "extra_forbidden", "loc": ["body", no.param], "msg": no.message}] if no.param else no.message
    values = {**no._asdict(), "detail": detail, "type": "server_error" if no.status >= 500 else "invalid_request_error"}
    fields = {name: json.dumps(value) for name, value in values.items()}
    return Template(template).substitute(fields, words=fields["message"][1:-1]).encode()


def usage_of(kind: str, prompt: int, cached: int, reply: int, thought: int) -> Json:
    """Return a usage object: of `prompt` tokens `cached` were cached; `reply` are visible, `thought` are not."""
    usage = {"prompt_tokens": prompt, "completion_tokens": reply + thought, "total_tokens": prompt + reply + thought}
    in_prompt, in_reply = {"cached_tokens": cached}, {"reasoning_tokens": thought}
    details: Json = {"prompt_tokens_details": in_prompt, "completion_tokens_details": in_reply}
    match kind:
        case "bare":
            return usage
        case "total":  # only the total tells of the thinking [promptfoo PR 9507]
            return {**usage, "completion_tokens": reply}
        case "beside":  # thinking stands beside the completion [inspect_ai 5528; vercel/ai PR 12425]
            return {**usage, **details, "completion_tokens": reply}
        case "moonshot":  # [CountBot 61]
            return {**usage, "cached_tokens": cached}
        case "deepseek":  # [litellm 7580]
            return {**usage, "prompt_cache_hit_tokens": cached, "prompt_cache_miss_tokens": prompt - cached}
        case "writing":  # a quarter of the prompt was written to the cache [OpenAI's guide to prompt caching]
            return {**usage, **details, "prompt_tokens_details": {**in_prompt, "cache_write_tokens": prompt // 4}}
    return {**usage, **details}


def show_thinking(kind: str, message: Json, *, is_cut: bool) -> None:
    """Put a model's thinking into its message, as a service of this kind does."""
    match kind:
        case "tags":  # [local-deep-researcher PR 88; lm-evaluation-harness 2682]
            message["content"] = f"<think>\n{THOUGHT}\n" + ("" if is_cut else f"</think>\n\n{message['content']}")
        case "parts":  # [hermes-agent PR 4748; agent-framework 6978]
            visible = [] if is_cut else [{"type": "text", "text": message["content"]}]
            message["content"] = [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}, *visible]
        case "field":  # [DeepSeek's guide to its reasoning model]
            message["reasoning_content"] = THOUGHT
        case "no content" if is_cut:  # [Gemini's compatible address: what is empty is left out]
            del message["content"]


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What differs from plain OpenAI. The defaults are no difference, apart from those for training.

    `path` comes before `/chat/completions` (a * in it is the model), with `query` behind. A request that holds one of
    `refuses` is refused (a text is a 400), what it holds of `ignores` has no effect. `error` is the template of a
    refusal, `usage` and `shows` are the kinds of those functions. A chat thinks `thinks` tokens of its limit; `chat`
    names a change of the reply. A prompt is cut to `context`. At most `inputs` texts are embedded at once (0: none at
    all), each of at most `text_tokens`, none that holds `poison`; `omits_zeros` leaves usage and the index 0 out.
    Unless it `trains`, `untrained` is the reply to all that has to do with training; `is_top_level` wants
    hyperparameters there, drops metadata, and serves only models that a person has deployed. `per_second` is the rate
    limit; `faults` are rules of the gateway before it. `options` are what a user adds to the command, and `says` is
    what he reads beside what follows from the rest.
    """

    path: str = "/v1"
    query: str = ""
    refuses: Mapping[str, Refusal] = field(default_factory=dict)
    ignores: Sequence[str] = ()
    error: str = '{"error": {"message": $message, "type": $type, "param": $param, "code": $code}}'
    usage: str = "openai"
    thinks: int = 0
    shows: str = "hidden"
    chat: str = ""
    finish: str = "stop"
    context: int = 1 << 30
    inputs: int = 2048
    too_many: str = ""
    text_tokens: int = 1 << 30
    too_long: str = ""
    poison: Sequence[str] = ("", "")
    omits_zeros: bool = False
    trains: bool = False
    untrained: Refusal = NOT_FOUND
    is_top_level: bool = False
    tuned_name: Sequence[str] = ("", "")
    per_second: float = 1e9
    faults: Sequence[Rule] = ()
    options: Sequence[str] = ()
    says: Sequence[str] = ()

    @property
    def is_cached(self) -> bool:
        """Whether half of each prompt is cached: where the usage can tell."""
        return self.usage not in {"bare", "total"}


class Speaker:
    """An `Api` that speaks a dialect.

    `billed` sums new input, cached input, output and cache-written tokens by model, as the service itself counts them.
    """

    def __init__(self, dialect: Dialect, api: Callable[[Request], Reply]) -> None:
        self.dialect, self._api = dialect, api
        self.billed: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self._lock, self._next = threading.Lock(), 0.0
        self._numbers: Counter[str] = Counter()
        self._tuned = ""

    def __call__(self, request: Request) -> Reply:
        with self._lock:
            now = time.monotonic()
            wait, self._next = self._next - now, max(self._next, now + 1 / self.dialect.per_second)
        if wait <= 0:
            return self._routed(request)
        no = Refusal(429, "Rate limit reached", code="rate_limit_exceeded")
        return self._refused(no)._replace(headers={"retry-after-ms": str(round(1000 * wait) + 1)})

    def _routed(self, request: Request) -> Reply:
        prefix = re.escape(self.dialect.path).replace(r"\*", "(?P<model>[^/]+)")
        match = re.fullmatch(f"{prefix}(?P<rest>/.*)", request.path)
        name, _, value = self.dialect.query.partition("=")
        if match is None or request.query.get(name, "") != value:
            return self._refused(NOT_FOUND)
        request = request._replace(path=f"/v1{match['rest']}")
        if not request.path.endswith(("/chat/completions", "/embeddings")):
            return self._train(request)
        body = json.loads(request.body)
        body["model"] = match.groupdict().get("model", body["model"])
        if no := next((no for name, no in self.dialect.refuses.items() if _holds(body, name)), None):
            return self._refused(no)
        body = {name: value for name, value in body.items() if name not in self.dialect.ignores}
        return self._chat(request, body) if "messages" in body else self._embed(request, body)

    def _refused(self, no: Refusal) -> Reply:
        return Reply(no.status, error_body(self.dialect.error, no))

    def _plain(self, request: Request, body: Json) -> tuple[Json, Reply | None]:
        """Return the embedded server's reply, or its refusal in this dialect's words."""
        reply = self._api(request._replace(body=json.dumps(body).encode()))
        value = json.loads(reply.body)
        if reply.status == 200:
            return value, None
        fields = value["error"]
        return {}, self._refused(Refusal(reply.status, fields["message"], fields["param"], fields["code"]))

    def _chat(self, request: Request, body: Json) -> Reply:
        dialect, asked = self.dialect, body["model"]
        limit = body.pop("max_completion_tokens", None) or body.pop("max_tokens", None)
        is_cut = limit is not None and dialect.thinks and limit <= dialect.thinks
        plain = {**body, "messages": _unmerged(body["messages"]), "model": self._served(asked)}
        if limit is not None:
            plain["max_completion_tokens"] = 1 if is_cut else limit - dialect.thinks
        reply, refused = self._plain(request, plain)
        if refused:
            return refused
        message, choice = reply["choices"][0]["message"], reply["choices"][0]
        with self._lock:
            self._numbers[asked] += 1
            number = self._numbers[asked]
        if is_cut:
            message["content"], choice["finish_reason"] = "", "length"
        elif choice["finish_reason"] == "stop":
            choice["finish_reason"] = dialect.finish or None
        if dialect.thinks:
            show_thinking(dialect.shows, message, is_cut=bool(is_cut))
        thought = min(dialect.thinks, limit or dialect.thinks)
        prompt = min(reply["usage"]["prompt_tokens"], dialect.context)
        cached, shown = (prompt // 2 if dialect.is_cached else 0), reply["usage"]["completion_tokens"]
        shown = 0 if is_cut else shown
        reply["usage"], reply["model"] = usage_of(dialect.usage, prompt, cached, shown, thought), asked
        if dialect.chat:
            CHANGES[dialect.chat](body, reply, number)
        if reply["usage"]["prompt_tokens"]:
            written = prompt // 4 if dialect.usage == "writing" else 0
            self._bill(asked, prompt - cached - written, cached, shown + thought, written)
        return Reply(200, json.dumps(reply).encode())

    def _embed(self, request: Request, body: Json) -> Reply:
        dialect, texts = self.dialect, body["input"]
        longest = max(for_model(EMBEDDING).count(text) for text in texts)
        if dialect.inputs == 0:
            return self._refused(NOT_FOUND)
        if len(texts) > dialect.inputs:
            return self._refused(Refusal(400, dialect.too_many.format(n=len(texts))))
        if longest > dialect.text_tokens:
            return self._refused(Refusal(413, dialect.too_long.format(n=longest)))
        if dialect.poison[0] and any(dialect.poison[0] in text for text in texts):
            return self._refused(Refusal(500, dialect.poison[1]))
        reply, refused = self._plain(request, body)
        if refused:
            return refused
        if dialect.omits_zeros:
            reply["data"][0].pop("index")
            del reply["usage"]
        self._bill(body["model"], reply["usage"]["prompt_tokens"] if reply.get("usage") else 0, 0, 0, 0)
        return Reply(200, json.dumps(reply).encode())

    def _bill(self, model: str, *tokens: int) -> None:
        with self._lock:
            self.billed[model] = [a + b for a, b in zip(self.billed[model], tokens, strict=True)]

    def _train(self, request: Request) -> Reply:
        dialect = self.dialect
        if not dialect.trains:
            return self._refused(dialect.untrained)
        if dialect.is_top_level and (request.method, request.path) == ("POST", "/v1/fine_tuning/jobs"):
            body = json.loads(request.body)
            if "method" in body:
                return self._refused(Refusal(422, "Extra inputs are not permitted", "method"))
            body["method"] = {"supervised": {"hyperparameters": body.pop("hyperparameters", {})}}
            request = request._replace(body=json.dumps(body).encode())
        reply = self._api(request)
        if reply.status != 200 or not reply.body.startswith(b"{"):
            return reply
        value = json.loads(reply.body)
        for job in [value, *value.get("data", ())]:
            if job.get("object") == "fine_tuning.job":
                self._tuned = job["fine_tuned_model"] or self._tuned
                if dialect.is_top_level:
                    job.update(metadata=None, fine_tuned_model=None)
                    del job["method"]
                elif job["fine_tuned_model"]:
                    job["fine_tuned_model"] = job["fine_tuned_model"].replace(*dialect.tuned_name)
        return Reply(200, json.dumps(value).encode())

    def _served(self, model: str) -> str:
        return self._tuned if model in (DEPLOYED, self._tuned.replace(*self.dialect.tuned_name)) else model


def _holds(body: Json, name: str) -> bool:
    """Return whether a request holds what a service refuses."""
    match name:
        case "temperature":
            return body.get("temperature") not in (None, 1)
        case "json_schema" | "json_object":
            return (body.get("response_format") or {}).get("type") == name
        case "json_object without the word":
            text = json.dumps(body.get("messages", ""))
            return _holds(body, "json_object") and "json" not in text.casefold()
        case "base64":
            return body.get("encoding_format") == name
        case "system":
            return any(message["role"] == "system" for message in body.get("messages", ()))
    return name in body


def _unmerged(messages: Sequence[Json]) -> Sequence[Json]:
    """Return messages with the system text in a message of its own again, as the embedded models read it."""
    first = messages[0]
    if first["role"] != "user" or not isinstance(first["content"], str) or "\n\n" not in first["content"]:
        return messages
    system, _, rest = first["content"].partition("\n\n")
    return [{"role": "system", "content": system}, {"role": "user", "content": rest}, *messages[1:]]


def serve(dialect: Dialect) -> tuple[Server, Speaker]:
    """Start a service that speaks this dialect; its address is `address(server, dialect)`."""
    speaker = Speaker(dialect, offline.api())
    return Server(Faults(speaker, dialect.faults), handler=FaultyHandler), speaker


def address(server: Server, dialect: Dialect, model: str = "") -> str:
    """Return what a user gives as the base address, for one model where the path names it."""
    query = f"?{dialect.query}" if dialect.query else ""
    return f"{server.base_url.removesuffix('/v1')}{dialect.path.replace('*', model)}{query}"


# -- the dialects -----------------------------------------------------------------------------------------------------


def _error_in_choice(body: Json, reply: Json, number: int) -> None:
    if number % 10 == 3:
        reply["choices"][0].update(error={"code": 502, "message": "Provider returned error"}, finish_reason="error")
        reply["choices"][0]["message"]["content"] = ""
        reply["usage"] = usage_of("openai", 0, 0, 0, 0)


def _refuses_a_fifth(body: Json, reply: Json, number: int) -> None:
    if sha256(json.dumps(body["messages"]).encode()).digest()[0] % 5 == 0:
        refusal = "I'm sorry, I can't help with that."
        reply["choices"][0]["message"].update(content=None, refusal=refusal if number % 2 else None)
        reply["choices"][0]["finish_reason"] = "stop" if number % 2 else "content_filter"


def _as_prose(body: Json, reply: Json, number: int) -> None:
    message = reply["choices"][0]["message"]
    if (message["content"] or "").startswith("{"):
        message["content"] = f"Here is the result [as asked]:\n```json\n{message['content']}\n```\nAnything else?"


CHANGES = {"error in choice": _error_in_choice, "refuses a fifth": _refuses_a_fifth, "as prose": _as_prose}


def _refusal(no: str | Json) -> Refusal:
    return Refusal(400, no) if isinstance(no, str) else Refusal(**no)


def _dialect(table: Json) -> Dialect:
    refuses = {name: _refusal(no) for name, no in table.pop("refuses", {}).items()}
    untrained = _refusal(table.pop("untrained", NOT_FOUND._asdict()))
    faults = [Rule(**fault) for fault in table.pop("faults", ())]
    return Dialect(**table, refuses=refuses, untrained=untrained, faults=faults)


TABLES = tomllib.loads((Path(__file__).parents[1] / "data" / "services.toml").read_text("utf-8"))
DIALECTS = {name: _dialect(table) for name, table in TABLES.items()}
