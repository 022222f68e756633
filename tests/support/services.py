"""Services as people meet them: the embedded server behind a table of differences from plain OpenAI, one a dialect.

Names in brackets are the public threads and pages that the facts come from. None of these services was called.
"""

import json
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

from faults import Faults, FaultyHandler, Rule
from minirag import offline
from minirag.server import Api, Server
from minirag.server.wire import Json, Reply, Request
from minirag.tokens import for_model

TEACHER, STUDENT, JUDGE, EMBEDDING = (f"offline-{role}" for role in ("teacher", "student", "judge", "embedding"))
DEPLOYED = "deployed-student"
"""The name under which a service serves the newest tuned model that had to be deployed by hand."""
THOUGHT = 'Let me see. A first sketch would be {"statements": ["a sketch"]} or ["one"], but that is not final.'


class Refusal(NamedTuple):
    status: int
    message: str
    param: str | None = None
    code: str | None = None


TOO_LONG = Refusal(400, "This model's maximum context length was passed by a text of {n} tokens")


# -- error bodies ---------------------------------------------------------------------------------------------------


def openai_error(no: Refusal) -> Any:
    kind = "invalid_request_error" if no.status < 500 else "server_error"
    return {"error": {"message": no.message, "type": kind, "param": no.param, "code": no.code}}


def flat_error(no: Refusal) -> Any:  # [vllm 12199; 1Panel MaxKB 2912]
    return {"object": "error", "message": no.message, "type": "BadRequestError", "param": None, "code": no.status}


def numbered_error(no: Refusal) -> Any:  # [llama.cpp tools/server README]
    return {"error": {"code": no.status, "message": no.message, "type": "invalid_request_error"}}


def text_error(no: Refusal) -> Any:  # [lmstudio-bug-tracker 618]
    return {"error": no.message}


def list_error(no: Refusal) -> Any:  # [gemini-cli 12823]
    return [{"error": {"code": no.status, "message": no.message, "status": "INVALID_ARGUMENT"}}]


def detail_error(no: Refusal) -> Any:  # FastAPI's own; [nebius/token-factory-cookbook]
    return {
        "detail": [{"type": "extra_forbidden", "loc": ["body", no.param], "msg": no.message}]
        if no.param
        else no.message
    }


def mistral_error(no: Refusal) -> Any:  # [editor-code-assistant eca 231: the detail is inside the message]
    message: Any = detail_error(no) if no.param else no.message
    return {"object": "error", "message": message, "type": "invalid_request_error", "param": None, "code": None}


def wrapped_error(no: Refusal) -> Any:  # [BerriAI litellm 13825]
    message = f"litellm.BadRequestError: OpenAIException - {no.message}. Received Model Group=offline"
    return {"error": {"message": message, "type": None, "param": None, "code": str(no.status)}}


def moderated_error(no: Refusal) -> Any:  # [big-AGI 352]
    return {"error": {"message": no.message, "code": no.status, "metadata": {"reasons": ["violence"]}}}


# -- usage: of `prompt` tokens `cached` were cached; `reply` are visible, `thought` are not ----------------------------


def openai_usage(prompt: int, cached: int, reply: int, thought: int) -> Json:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": reply + thought,
        "total_tokens": prompt + reply + thought,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }


def writing_usage(prompt: int, cached: int, reply: int, thought: int) -> Json:
    """OpenAI from gpt-5.6 on: a quarter of the prompt was written to the cache [OpenAI's guide to prompt caching]."""
    details = {"cached_tokens": cached, "cache_write_tokens": prompt // 4}
    return {**openai_usage(prompt, cached, reply, thought), "prompt_tokens_details": details}


def bare_usage(prompt: int, cached: int, reply: int, thought: int) -> Json:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": reply + thought,
        "total_tokens": prompt + reply + thought,
    }


def beside_usage(prompt: int, cached: int, reply: int, thought: int) -> Json:
    """Thinking stands beside `completion_tokens` [inspect_ai 5528; vercel/ai PR 12425]."""
    return {**openai_usage(prompt, cached, reply, thought), "completion_tokens": reply}


def total_usage(prompt: int, cached: int, reply: int, thought: int) -> Json:
    """Only the total tells of the thinking [Gemini's compatible address; promptfoo PR 9507]."""
    return {**bare_usage(prompt, cached, reply, thought), "completion_tokens": reply}


def moonshot_usage(prompt: int, cached: int, reply: int, thought: int) -> Json:
    return {**bare_usage(prompt, cached, reply, thought), "cached_tokens": cached}  # [CountBot 61]


def deepseek_usage(prompt: int, cached: int, reply: int, thought: int) -> Json:
    hits = {"prompt_cache_hit_tokens": cached, "prompt_cache_miss_tokens": prompt - cached}  # [litellm 7580]
    return {**bare_usage(prompt, cached, reply, thought), **hits}


# -- how thinking shows in a message ----------------------------------------------------------------------------------


def hidden(message: Json, is_cut: bool) -> None:
    pass


def in_tags(message: Json, is_cut: bool) -> None:  # [local-deep-researcher PR 88; lm-evaluation-harness 2682]
    message["content"] = f"<think>\n{THOUGHT}\n" + ("" if is_cut else f"</think>\n\n{message['content']}")


def in_parts(message: Json, is_cut: bool) -> None:  # [hermes-agent PR 4748; agent-framework 6978]
    visible = [] if is_cut else [{"type": "text", "text": message["content"]}]
    message["content"] = [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}, *visible]


def in_field(message: Json, is_cut: bool) -> None:  # [DeepSeek: reasoning model guide]
    message["reasoning_content"] = THOUGHT


def without_content(message: Json, is_cut: bool) -> None:  # [Gemini's compatible address: proto fields are left out]
    if is_cut:
        del message["content"]


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What differs from plain OpenAI. The defaults are no difference.

    `path` comes before `/chat/completions` (a * in it is the model), with `query` behind. A request that holds one of
    `refuses` is refused, what it holds of `ignores` has no effect; `error` shapes the body of every error. A chat
    thinks `thinks` tokens of its limit, which `shows` puts into the message; `chat` changes the reply further. At most
    `inputs` texts are embedded at once (0: none at all), each of at most `text_tokens`. `untrained` is the reply to all
    that has to do with training, `is_top_level` wants hyperparameters there, drops metadata, and serves only deployed
    models. `per_second` is the rate limit, `slots` how many chats run at once; `faults` are rules of the gateway.

    `usd` is the hand-computed price of `usage(1000, 400, 50, 200)` at 1, 0.10 and 10 dollars a million tokens of new
    input, cached input and output, `options` are what a user adds to the command, and `says` is what he must read.
    """

    path: str = "/v1"
    query: str = ""
    refuses: Mapping[str, Refusal] = field(default_factory=dict)
    ignores: frozenset[str] = frozenset()
    error: Callable[[Refusal], Any] = openai_error
    thinks: int = 0
    shows: Callable[[Json, bool], None] = hidden
    chat: Callable[[Json, Json, int], None] = lambda *_: None
    finish: str | None = "stop"
    usage: Callable[[int, int, int, int], Json] = openai_usage
    is_cached: bool = False
    context: int | None = None
    inputs: int = 2048
    too_many: str = ""
    text_tokens: int | None = None
    too_long: Refusal = TOO_LONG
    poison: tuple[str, Refusal] | None = None
    vectors: Callable[[Json], None] = lambda _: None
    untrained: Refusal | None = None
    is_top_level: bool = False
    tuned_name: tuple[str, str] = ("", "")
    per_second: float | None = None
    slots: int = 64
    faults: Sequence[Rule] = ()
    usd: float = 0.00314
    options: tuple[str, ...] = ()
    says: tuple[str, ...] = ()


class Speaker:
    """An `Api` that speaks a dialect.

    `billed` sums new input, cached input, output and cache-written tokens by model, as the service itself counts them.
    """

    def __init__(self, dialect: Dialect, api: Callable[[Request], Reply]) -> None:
        self.dialect, self._api = dialect, api
        self.billed: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self.statuses: Counter[int] = Counter()
        self._lock, self._next = threading.Lock(), 0.0
        self._slots = threading.Semaphore(dialect.slots)
        self._numbers: Counter[str] = Counter()
        self._tuned = ""

    def __call__(self, request: Request) -> Reply:
        reply = self._limited(request)
        with self._lock:
            self.statuses[reply.status] += 1
        return reply

    def _limited(self, request: Request) -> Reply:
        if self.dialect.per_second is not None:
            with self._lock:
                now = time.monotonic()
                if now < self._next:
                    wait = {"retry-after-ms": str(round(1000 * (self._next - now)) + 1)}
                    words = Refusal(429, "Rate limit reached", code="rate_limit_exceeded")
                    return self._refused(words)._replace(headers=wait)
                self._next = now + 1 / self.dialect.per_second
        return self._routed(request)

    def _routed(self, request: Request) -> Reply:
        prefix = re.escape(self.dialect.path).replace(r"\*", "(?P<model>[^/]+)")
        match = re.fullmatch(f"{prefix}(?P<rest>/.*)", request.path)
        if match is None or (self.dialect.query and dict([self.dialect.query.split("=")]) != dict(request.query)):
            return self._refused(Refusal(404, "Resource not found", code="404"))
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
        return Reply(no.status, json.dumps(self.dialect.error(no)).encode())

    def _plain(self, request: Request, body: Json | None) -> tuple[Json, Reply | None]:
        """Return the embedded server's reply, or its refusal in this dialect's words."""
        reply = self._api(request if body is None else request._replace(body=json.dumps(body).encode()))
        value = {} if reply.content_type != "application/json" else json.loads(reply.body)
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
        with self._slots:
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
            choice["finish_reason"] = dialect.finish
        if dialect.thinks:
            dialect.shows(message, is_cut)
        thought = min(dialect.thinks, limit or dialect.thinks)
        prompt = min(reply["usage"]["prompt_tokens"], dialect.context or 1 << 40)
        cached, shown = (prompt // 2 if dialect.is_cached else 0), reply["usage"]["completion_tokens"]
        shown = 0 if is_cut else shown
        reply["usage"], reply["model"] = dialect.usage(prompt, cached, shown, thought), asked
        dialect.chat(body, reply, number)
        if reply.get("usage"):
            written = prompt // 4 if dialect.usage is writing_usage else 0
            self._bill(asked, prompt - cached - written, cached, shown + thought, written)
        return Reply(200, json.dumps(reply).encode())

    def _embed(self, request: Request, body: Json) -> Reply:
        dialect, texts = self.dialect, body["input"]
        if dialect.inputs == 0:
            return self._refused(Refusal(404, "Unknown request URL: POST /embeddings", code="unknown_url"))
        if len(texts) > dialect.inputs:
            return self._refused(Refusal(400 if dialect.inputs != 32 else 422, dialect.too_many.format(n=len(texts))))
        longest = max(for_model(EMBEDDING).count(text) for text in texts)
        if dialect.text_tokens is not None and longest > dialect.text_tokens:
            return self._refused(dialect.too_long._replace(message=dialect.too_long.message.format(n=longest)))
        if dialect.poison and any(dialect.poison[0] in text for text in texts):
            return self._refused(dialect.poison[1])
        reply, refused = self._plain(request, body)
        if refused:
            return refused
        dialect.vectors(reply)
        self._bill(body["model"], reply["usage"]["prompt_tokens"] if reply.get("usage") else 0, 0, 0, 0)
        return Reply(200, json.dumps(reply).encode())

    def _bill(self, model: str, *tokens: int) -> None:
        with self._lock:
            self.billed[model] = [a + b for a, b in zip(self.billed[model], tokens, strict=True)]

    def _train(self, request: Request) -> Reply:
        dialect = self.dialect
        if dialect.untrained is not None:
            return self._refused(dialect.untrained)
        body = None
        if (request.method, request.path) == ("POST", "/v1/fine_tuning/jobs"):
            body = json.loads(request.body)
            if dialect.is_top_level:
                if "method" in body:
                    return self._refused(Refusal(422, "Extra inputs are not permitted", "method"))
                body["method"] = {"supervised": {"hyperparameters": body.pop("hyperparameters", {})}}
        reply = self._api(request if body is None else request._replace(body=json.dumps(body).encode()))
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
        case "system":
            return any(message["role"] == "system" for message in body.get("messages", ()))
        case _ if name.startswith("input "):
            return name.removeprefix("input ") in json.dumps(body.get("messages", ""))
    return name in body


def _unmerged(messages: Sequence[Json]) -> Sequence[Json]:
    """Return messages with the system text in a message of its own again, as the embedded models read it."""
    first = messages[0]
    if first["role"] != "user" or not isinstance(first["content"], str) or "\n\n" not in first["content"]:
        return messages
    system, _, rest = first["content"].partition("\n\n")
    return [{"role": "system", "content": system}, {"role": "user", "content": rest}, *messages[1:]]


class Memory:
    """An engine that computes each reply once, whichever dialect asks: twenty-four runs cost little more than one."""

    def __init__(self, engine: Any) -> None:
        self._engine, self._replies, self._lock = engine, {}, threading.Lock()
        self.models, self.defaults = engine.models, engine.defaults
        self.embed = partial(self._once, engine.embed)
        self.complete = partial(self._once, engine.complete)

    def _once(self, call: Callable[..., Any], model: str, *arguments: Any) -> Any:
        key = sha256(repr((call.__name__, model, arguments)).encode()).digest()
        if key not in self._replies:
            self._replies[key] = call(model, *arguments)
        return self._replies[key]

    def train(self, training: Any, report: Callable[[int, int, float], None]) -> Any:
        key = repr(training._replace(hyperparameters=sorted(training.hyperparameters.items())))
        with self._lock:
            if key not in self._replies:
                losses: list[tuple[int, int, float]] = []
                trained = self._engine.train(training, lambda *loss: losses.append(loss))
                self._replies[key] = trained, losses
        trained, losses = self._replies[key]
        for loss in losses:
            report(*loss)
        return trained


ENGINE = Memory(offline.Offline())


def serve(dialect: Dialect) -> tuple[Server, Speaker]:
    """Start a service that speaks this dialect; its address is `address(server, dialect)`."""
    speaker = Speaker(dialect, Api(ENGINE))
    return Server(Faults(speaker, dialect.faults), handler=FaultyHandler), speaker


def address(server: Server, dialect: Dialect, model: str = "") -> str:
    """Return what a user gives as the base address, for one model where the path names it."""
    query = f"?{dialect.query}" if dialect.query else ""
    return f"{server.base_url.removesuffix('/v1')}{dialect.path.replace('*', model)}{query}"


# -- the dialects -----------------------------------------------------------------------------------------------------


def _nowhere(status: int = 404, message: str = "Not Found") -> Refusal:
    return Refusal(status, message)


def _error_in_choice(body: Json, reply: Json, number: int) -> None:
    if number % 10 == 3:
        error = {"code": 502, "message": "Provider returned error", "metadata": {"provider_name": "Somewhere"}}
        reply["choices"][0].update(error=error, finish_reason="error")
        reply["choices"][0]["message"]["content"] = ""
        del reply["usage"]


def _refuses_a_fifth(body: Json, reply: Json, number: int) -> None:
    if sha256(json.dumps(body["messages"]).encode()).digest()[0] % 5 == 0:
        if number % 2:
            reply["choices"][0]["message"].update(content=None, refusal="I'm sorry, I can't help with that.")
        else:
            reply["choices"][0]["message"]["content"] = None
            reply["choices"][0]["finish_reason"] = "content_filter"


def _as_prose(body: Json, reply: Json, number: int) -> None:
    """A service that ignores formats adds a sentence with brackets before the JSON."""
    message = reply["choices"][0]["message"]
    if message.get("content", "").startswith("{"):
        message["content"] = f"Here is the result [as asked]:\n```json\n{message['content']}\n```\nAnything else?"


def _without_zeros(reply: Json) -> None:
    for item in reply["data"]:
        if item["index"] == 0:
            del item["index"]
    del reply["usage"]


def _always_zero(reply: Json) -> None:
    for item in reply["data"]:
        item["index"] = 0


_UNSUPPORTED = "Unsupported parameter: '{0}' is not supported with this model."
_THINKING_REFUSES = {
    "max_tokens": Refusal(
        400,
        _UNSUPPORTED.format("max_tokens") + " Use 'max_completion_tokens' instead.",
        "max_tokens",
        "unsupported_parameter",
    ),
    "temperature": Refusal(
        400,
        "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) is supported.",
        "temperature",
        "unsupported_value",
    ),
}
_NO_EMBEDDINGS = {"inputs": 0, "options": ("--embedding-base-url", "{embedding}")}
_NO_TEMPERATURE, _NO_SCHEMA, _NO_TRAINING = "temperature", "json_schema", "train"

DIALECTS: dict[str, Dialect] = {
    "openai": Dialect(is_cached=True, usd=0.00314),
    # [openapi; covan PR 112; CoursIA PR 3663]
    "openai-thinking": Dialect(
        refuses=_THINKING_REFUSES,
        thinks=600,
        is_cached=True,
        usd=0.00314,
        says=(_NO_TEMPERATURE, "max_completion_tokens"),
    ),
    # [OpenAI: prompt caching, "cache writes cost 1.25 times the uncached input rate"]
    "openai-5.6": Dialect(
        refuses=_THINKING_REFUSES,
        thinks=64,
        is_cached=True,
        usage=writing_usage,
        usd=0.0032025,
        says=(_NO_TEMPERATURE,),
    ),
    # [hermes-agent PR 8766; hindsight PR 735]
    "azure-old": Dialect(
        path="/openai/deployments/*",
        query="api-version=2024-06-01",
        refuses={
            "json_schema": Refusal(
                400,
                "response_format value as json_schema is enabled only for api versions 2024-08-01-preview and later",
                code="BadRequest",
            )
        },
        untrained=_nowhere(404, "Resource not found"),
        options=(
            "--teacher-base-url",
            "{teacher}",
            "--student-base-url",
            "{student}",
            "--judge-base-url",
            "{judge}",
            "--embedding-base-url",
            "{embedding}",
        ),
        says=(_NO_SCHEMA, _NO_TRAINING),
    ),
    # [azure-ai-docs: fine-tuning-oai-sdk; ragas 649]
    "azure-v1": Dialect(path="/openai/v1", is_cached=True, tuned_name=("ft:offline-student:", "offline-student.ft-")),
    # [vllm 18372; local-deep-researcher PR 88; docs.vllm.ai: OpenAI-compatible server]
    "vllm": Dialect(
        refuses={"dimensions": Refusal(400, 'Model "m" does not support matryoshka representation')},
        error=flat_error,
        thinks=300,
        shows=in_tags,
        usage=bare_usage,
        untrained=_nowhere(),
        usd=0.0035,
        says=(_NO_TRAINING,),
    ),
    # [ollama 15582, 17889; seCall 5; TradingAgents 168]
    "ollama": Dialect(
        ignores=frozenset({"n", "max_completion_tokens", "encoding_format"}),
        usage=bare_usage,
        context=900,
        poison=("Lowest tide", Refusal(500, "failed to encode response: json: unsupported value: NaN")),
        untrained=_nowhere(404, "404 page not found"),
        usd=0.0035,
        says=(_NO_TRAINING,),
    ),
    # [llama.cpp tools/server README]
    "llama.cpp": Dialect(
        error=numbered_error,
        refuses={"n": Refusal(400, "Only one completion choice is allowed")},
        usage=bare_usage,
        text_tokens=512,
        too_long=Refusal(500, "input ({n} tokens) is too large to process. increase the physical batch size"),
        untrained=_nowhere(404, "File Not Found"),
        slots=1,
        usd=0.0035,
        says=(_NO_TRAINING,),
    ),
    # [lmstudio-bug-tracker 618, 1323: a route that is not there answers 200]
    "lmstudio": Dialect(
        error=text_error,
        refuses={"json_object": Refusal(400, "'response_format.type' must be 'json_schema' or 'text'")},
        usage=bare_usage,
        untrained=_nowhere(200, "Unexpected endpoint or method. (GET /v1/fine_tuning/jobs)"),
        usd=0.0035,
        says=(_NO_TRAINING,),
    ),
    # [page-assist 371]; only embeddings come from here
    "tei": Dialect(
        refuses={"encoding_format": Refusal(422, "encoding_format: unknown variant `base64`, expected `float`")},
        error=lambda no: {"message": no.message, "code": no.status, "type": "Validation"},
        inputs=32,
        too_many="batch size {n} > maximum allowed batch size 32",
        text_tokens=512,
        too_long=Refusal(413, "`inputs` must have less than 512 tokens. Given: {n}"),
    ),
    # [MemMachine 864; gemini-cli 12823; promptfoo PR 9507]
    "gemini": Dialect(
        path="/v1beta/openai",
        error=list_error,
        thinks=400,
        shows=without_content,
        usage=total_usage,
        inputs=100,
        too_many="* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch",
        vectors=_without_zeros,
        untrained=_nowhere(404, ""),
        usd=0.0035,
        says=(_NO_TRAINING,),
    ),
    # [snow-app 42; Anthropic: OpenAI SDK compatibility, strict and response_format are ignored]
    "claude": Dialect(
        refuses={
            "temperature": Refusal(
                400, "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode."
            )
        },
        ignores=frozenset({"response_format", "seed"}),
        thinks=350,
        chat=_as_prose,
        usage=bare_usage,
        finish="end_turn",
        untrained=_nowhere(404, "not_found_error"),
        usd=0.0035,
        says=(_NO_TEMPERATURE, _NO_TRAINING),
        **_NO_EMBEDDINGS,
    ),
    # [vercel/ai 7808; Groq: structured outputs]
    "groq": Dialect(
        path="/openai/v1",
        refuses={
            "json_schema": Refusal(
                400,
                "This model does not support response format `json_schema`. See supported models in the documentation",
            )
        },
        is_cached=True,
        untrained=_nowhere(404, "Unknown request URL: GET /openai/v1/fine_tuning/jobs"),
        says=(_NO_SCHEMA, _NO_TRAINING),
        **_NO_EMBEDDINGS,
    ),
    # [llm-exe 662; Vane 969; litellm 7580]
    "deepseek": Dialect(
        refuses={
            "json_schema": Refusal(400, "This response_format type is unavailable now", code="invalid_request_error")
        },
        thinks=300,
        shows=in_field,
        usage=deepseek_usage,
        is_cached=True,
        untrained=_nowhere(404, ""),
        says=(_NO_SCHEMA, _NO_TRAINING),
        **_NO_EMBEDDINGS,
    ),
    # [CountBot 61; VideoAdGuard 34]
    "kimi": Dialect(
        refuses={"temperature": Refusal(400, "invalid temperature: only 1 is allowed for this model")},
        thinks=200,
        shows=in_field,
        usage=moonshot_usage,
        is_cached=True,
        untrained=_nowhere(404, "url.not_found"),
        says=(_NO_TEMPERATURE, _NO_TRAINING),
        **_NO_EMBEDDINGS,
    ),
    # [gel 9032; Model Studio: JSON mode]
    "dashscope": Dialect(
        path="/compatible-mode/v1",
        refuses={
            "json_schema": Refusal(
                400,
                "<400> InternalError.Algo.InvalidParameter: 'response_format.type' json_schema",
                code="invalid_parameter_error",
            ),
            "json_object without the word": Refusal(
                400,
                "<400> InternalError.Algo.InvalidParameter: 'messages' must contain the word 'json' in some form, to "
                "use 'response_format' of type 'json_object'.",
            ),
        },
        inputs=10,
        too_many="<400> InternalError.Algo.InvalidParameter: Value error, batch size is invalid, it should not be "
        "larger than 10.: input.contents",
        untrained=_nowhere(404, ""),
        says=(_NO_SCHEMA, _NO_TRAINING),
    ),
    # [eca 231; hermes-agent PR 4748; Mistral: fine-tuning jobs take `training_files`]
    "mistral": Dialect(
        error=mistral_error,
        refuses={
            "max_completion_tokens": Refusal(422, "Extra inputs are not permitted", "max_completion_tokens"),
            "dimensions": Refusal(422, "Extra inputs are not permitted", "dimensions"),
            "encoding_format": Refusal(422, "Extra inputs are not permitted", "encoding_format"),
            "prompt_cache_key": Refusal(422, "Extra inputs are not permitted", "prompt_cache_key"),
        },
        thinks=250,
        shows=in_parts,
        usage=bare_usage,
        untrained=_nowhere(403, "Fine-tuning is not enabled for this workspace"),
        usd=0.0035,
        says=(_NO_TRAINING, "not enabled for this workspace"),
    ),
    # [big-AGI 352]
    "openrouter": Dialect(
        path="/api/v1",
        error=moderated_error,
        chat=_error_in_choice,
        is_cached=True,
        untrained=_nowhere(404, "Not Found"),
        says=(_NO_TRAINING,),
        **_NO_EMBEDDINGS,
    ),
    # [litellm 37359, 13825; its documentation: fine-tuning is in the paid edition]
    "litellm": Dialect(
        error=wrapped_error,
        refuses={
            "temperature": Refusal(
                400,
                "litellm.UnsupportedParamsError: openai does not support parameters: ['temperature'], for model=m. To "
                "drop these, set `litellm.drop_params=True`",
            )
        },
        untrained=_nowhere(500, "You must be a LiteLLM Enterprise user to use this feature."),
        says=(_NO_TEMPERATURE, _NO_TRAINING),
    ),
    # [inspect_ai 5528; vercel/ai PR 12425; docs.x.ai: prompt caching]
    "xai": Dialect(
        thinks=220,
        usage=beside_usage,
        is_cached=True,
        untrained=_nowhere(404, "The requested resource was not found."),
        says=(_NO_TRAINING,),
        **_NO_EMBEDDINGS,
    ),
    # [openai-dotnet PR 267; ragas 1548; docs.together.ai: fine-tuning has an API of its own]
    "together": Dialect(
        finish="eos", usage=bare_usage, untrained=_nowhere(404, "Not Found"), usd=0.0035, says=(_NO_TRAINING,)
    ),
    # [docs.fireworks.ai: OpenAI compatibility; Kiln PR 51]
    "fireworks": Dialect(
        path="/inference/v1",
        finish=None,
        usage=bare_usage,
        error=lambda no: {"error": {"object": "error", "code": "invalid_request_error", "message": no.message}},
        untrained=_nowhere(404, "Path not found"),
        usd=0.0035,
        says=(_NO_TRAINING,),
    ),
    # [nebius/token-factory-cookbook]
    "nebius": Dialect(error=detail_error, is_top_level=True, usage=bare_usage, usd=0.0035, says=("deploy", "--tuned")),
    # [chat templates of Gemma on the hub]
    "gemma": Dialect(
        error=numbered_error,
        refuses={"system": Refusal(400, "System role not supported")},
        usage=bare_usage,
        untrained=_nowhere(),
        usd=0.0035,
        says=(_NO_TRAINING,),
    ),
    # a gateway whose machines restart
    "gateway": Dialect(
        faults=[Rule(share=0.1, seed=5, status=502, body="<html><head><title>502 Bad Gateway</title></head></html>")],
        is_cached=True,
    ),
    # one call a second, thirty times as fast
    "rate-limit": Dialect(per_second=30.0, is_cached=True),
    # refusals and filters, by content
    "refusing": Dialect(
        chat=_refuses_a_fifth, is_cached=True, options=("--train-questions", "16"), says=("refused", "content")
    ),
}
