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
from hashlib import sha256
from typing import Any, NamedTuple

from faults import Faults, FaultyHandler, Rule
from minirag import offline
from minirag.server import Api, Server
from minirag.server.engine import ChatRequest, Completion, Vectors
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


def error_body(kind: str, no: Refusal) -> Any:
    """Return what a service of this kind says of a refusal."""
    detail: Any = no.message
    if no.param:
        detail = [{"type": "extra_forbidden", "loc": ["body", no.param], "msg": no.message}]
    refused = "invalid_request_error" if no.status < 500 else "server_error"
    match kind:
        case "flat":  # [vllm 12199; 1Panel MaxKB 2912]
            return {"object": "error", "message": no.message, "type": "BadRequestError", "code": no.status}
        case "number":  # [llama.cpp, tools/server/README]
            return {"error": {"code": no.status, "message": no.message, "type": refused}}
        case "text":  # [lmstudio-bug-tracker 618]
            return {"error": no.message}
        case "list":  # [gemini-cli 12823]
            return [{"error": {"code": no.status, "message": no.message, "status": "INVALID_ARGUMENT"}}]
        case "detail":  # FastAPI's own
            return {"detail": detail}
        case "mistral":  # [eca 231]
            return {"object": "error", "message": {"detail": detail}, "type": refused, "param": None, "code": None}
        case "litellm":  # [litellm 13825]
            message = f"litellm.BadRequestError: OpenAIException - {no.message}. Received Model Group=m"
            return {"error": {"message": message, "type": None, "param": None, "code": str(no.status)}}
        case "moderated":  # [big-AGI 352]
            return {"error": {"message": no.message, "code": no.status, "metadata": {"reasons": ["violence"]}}}
        case "tei":  # [page-assist 371]
            return {"message": no.message, "code": no.status, "type": "Validation"}
    return {"error": {"message": no.message, "type": refused, "param": no.param, "code": no.code}}


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
    """What differs from plain OpenAI. The defaults are no difference.

    `path` comes before `/chat/completions` (a * in it is the model), with `query` behind. A request that holds one of
    `refuses` is refused (a text is a 400), what it holds of `ignores` has no effect; `error`, `usage` and `shows` are
    the kinds of those functions. A chat thinks `thinks` tokens of its limit; `chat` changes the reply further. A prompt
    is cut to `context`. At most `inputs` texts are embedded at once (0: none at all), each of at most `text_tokens`,
    none that holds `poison`; `vectors` changes the reply. `untrained` is the reply to all that has to do with training,
    `is_top_level` wants hyperparameters there, drops metadata, and serves only models that a person has deployed.
    `per_second` is the rate limit; `faults` are rules of the gateway before it.
    `options` are what a user adds to the command, and `says` is what he reads beside what follows from the rest.
    """

    path: str = "/v1"
    query: str = ""
    refuses: Mapping[str, str | Refusal] = field(default_factory=dict)
    ignores: frozenset[str] = frozenset()
    error: str = "openai"
    usage: str = "openai"
    thinks: int = 0
    shows: str = "hidden"
    chat: Callable[[Json, Json, int], None] = lambda *_: None
    finish: str | None = "stop"
    context: int = 1 << 30
    inputs: int = 2048
    too_many: str = ""
    text_tokens: int = 1 << 30
    too_long: str = ""
    poison: tuple[str, str] = ("", "")
    vectors: Callable[[Json], None] = lambda _: None
    untrained: Refusal | None = NOT_FOUND
    is_top_level: bool = False
    tuned_name: tuple[str, str] = ("", "")
    per_second: float = 1e9
    faults: Sequence[Rule] = ()
    options: tuple[str, ...] = ()
    says: tuple[str, ...] = ()

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
            return self._refused(Refusal(400, no) if isinstance(no, str) else no)
        body = {name: value for name, value in body.items() if name not in self.dialect.ignores}
        return self._chat(request, body) if "messages" in body else self._embed(request, body)

    def _refused(self, no: Refusal) -> Reply:
        return Reply(no.status, json.dumps(error_body(self.dialect.error, no)).encode())

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
            choice["finish_reason"] = dialect.finish
        if dialect.thinks:
            show_thinking(dialect.shows, message, is_cut=bool(is_cut))
        thought = min(dialect.thinks, limit or dialect.thinks)
        prompt = min(reply["usage"]["prompt_tokens"], dialect.context)
        cached, shown = (prompt // 2 if dialect.is_cached else 0), reply["usage"]["completion_tokens"]
        shown = 0 if is_cut else shown
        reply["usage"], reply["model"] = usage_of(dialect.usage, prompt, cached, shown, thought), asked
        dialect.chat(body, reply, number)
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


class Memory(offline.Offline):
    """The embedded models, computing each reply once: the whole job at 28 services costs little more than at one."""

    def __init__(self) -> None:
        super().__init__()
        self._replies: dict[str, Any] = {}

    def complete(self, model: str, request: ChatRequest) -> Completion:
        return self._once(super().complete, model, request)

    def embed(self, model: str, texts: Sequence[str], dimensions: int | None) -> Vectors:
        return self._once(super().embed, model, texts, dimensions)

    def _once(self, compute: Callable[..., Any], *arguments: Any) -> Any:
        key = repr((compute.__name__, arguments))
        if key not in self._replies:
            self._replies[key] = compute(*arguments)
        return self._replies[key]


ENGINE = Memory()


def serve(dialect: Dialect) -> tuple[Server, Speaker]:
    """Start a service that speaks this dialect; its address is `address(server, dialect)`."""
    speaker = Speaker(dialect, Api(ENGINE))
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


def _without_zeros(reply: Json) -> None:
    reply["data"][0].pop("index")
    del reply["usage"]


_NO_LIMIT = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
_NO_ZERO = "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) is supported."
_THINKING = {
    "max_tokens": Refusal(400, _NO_LIMIT, "max_tokens", "unsupported_parameter"),
    "temperature": Refusal(400, _NO_ZERO, "temperature", "unsupported_value"),
}
_OLD_AZURE = "response_format value as json_schema is enabled only for api versions 2024-08-01-preview and later"
_NO_WORD = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
_ROLES = ("teacher", "student", "judge", "embedding")
_NO_EMBEDDINGS: Any = {"inputs": 0, "options": ("--embedding-base-url", "{embedding}")}

DIALECTS: dict[str, Dialect] = {
    "openai": Dialect(untrained=None),
    # [openapi; covan PR 112; CoursIA PR 3663]
    "openai-thinking": Dialect(refuses=_THINKING, thinks=600, untrained=None, says=("max_completion_tokens",)),
    # [OpenAI's guide to prompt caching: writes cost 1.25 times the uncached input]
    "openai-5.6": Dialect(refuses=_THINKING, thinks=64, usage="writing", untrained=None),
    # [hermes-agent PR 8766; hindsight PR 735]
    "azure-old": Dialect(
        path="/openai/deployments/*",
        query="api-version=2024-06-01",
        refuses={"json_schema": _OLD_AZURE},
        options=tuple(word for role in _ROLES for word in (f"--{role}-base-url", f"{{{role}}}")),
    ),
    # [azure-ai-docs: fine-tuning-oai-sdk; ragas 649]
    "azure-v1": Dialect(path="/openai/v1", tuned_name=("ft:offline-student:", "offline-student.ft-"), untrained=None),
    # [vllm 18372; local-deep-researcher PR 88]
    "vllm": Dialect(
        refuses={"dimensions": "Model m does not support matryoshka representation"},
        error="flat",
        usage="bare",
        thinks=300,
        shows="tags",
    ),
    # [ollama 15582, 17889; seCall 5; TradingAgents 168]
    "ollama": Dialect(
        ignores=frozenset({"n", "max_completion_tokens", "encoding_format"}),
        usage="bare",
        context=300,
        poison=("port of Kaldvik in Norway", "failed to encode response: json: unsupported value: NaN"),
        untrained=Refusal(404, "404 page not found"),
        says=("OLLAMA_CONTEXT_LENGTH", "is not in the index", "NaN"),
    ),
    # [llama.cpp, tools/server/README]
    "llama.cpp": Dialect(
        error="number",
        refuses={"n": "Only one completion choice is allowed"},
        usage="bare",
        text_tokens=512,
        too_long="input ({n} tokens) is too large to process. increase the physical batch size",
        untrained=Refusal(404, "File Not Found"),
    ),
    # [llama-cpp-python 0.3: seen from its own server]
    "llama-cpp-python": Dialect(
        error="number",
        refuses={
            "json_schema": Refusal(
                500,
                "1 validation error: 'loc': ('body', 'response_format', 'type'), 'msg': Input should be 'json_object'",
            )
        },
        usage="bare",
    ),
    # [lmstudio-bug-tracker 618, 1323: a route that is not there answers 200]
    "lmstudio": Dialect(
        error="text",
        refuses={"json_object": "'response_format.type' must be 'json_schema' or 'text'"},
        usage="bare",
        untrained=Refusal(200, "Unexpected endpoint or method. (GET /v1/fine_tuning/jobs)"),
    ),
    # [page-assist 371]; only embeddings come from here
    "tei": Dialect(
        refuses={"base64": Refusal(422, "encoding_format: unknown variant `base64`, expected `float`")},
        error="tei",
        inputs=32,
        too_many="batch size {n} > maximum allowed batch size 32",
        text_tokens=512,
        too_long="`inputs` must have less than 512 tokens. Given: {n}",
        untrained=None,
    ),
    # [MemMachine 864; gemini-cli 12823; promptfoo PR 9507]
    "gemini": Dialect(
        path="/v1beta/openai",
        error="list",
        usage="total",
        thinks=400,
        shows="no content",
        inputs=100,
        too_many="* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch",
        vectors=_without_zeros,
    ),
    # [snow-app 42; Anthropic's page on OpenAI SDK compatibility: formats are ignored]
    "claude": Dialect(
        refuses={"temperature": "`temperature` may only be set to 1 when thinking is enabled."},
        ignores=frozenset({"response_format", "seed"}),
        usage="bare",
        thinks=350,
        chat=_as_prose,
        finish="end_turn",
        **_NO_EMBEDDINGS,
    ),
    # [vercel/ai 7808; Groq's page on structured outputs]
    "groq": Dialect(
        path="/openai/v1",
        refuses={"json_schema": "This model does not support response format `json_schema`. See the docs."},
        untrained=Refusal(404, "Unknown request URL: GET /openai/v1/fine_tuning/jobs"),
        **_NO_EMBEDDINGS,
    ),
    # [llm-exe 662; Vane 969; litellm 7580]
    "deepseek": Dialect(
        refuses={"json_schema": "This response_format type is unavailable now"},
        usage="deepseek",
        thinks=300,
        shows="field",
        **_NO_EMBEDDINGS,
    ),
    # [CountBot 61; VideoAdGuard 34]
    "kimi": Dialect(
        refuses={"temperature": "invalid temperature: only 1 is allowed for this model"},
        usage="moonshot",
        thinks=200,
        shows="field",
        **_NO_EMBEDDINGS,
    ),
    # [gel 9032; Model Studio's page on JSON mode]
    "dashscope": Dialect(
        path="/compatible-mode/v1",
        refuses={
            "json_schema": "<400> InternalError.Algo.InvalidParameter: 'response_format.type' json_schema",
            "json_object without the word": _NO_WORD,
        },
        inputs=10,
        too_many="<400> InternalError.Algo.InvalidParameter: batch size is invalid, it should not be larger than 10.",
    ),
    # [eca 231; hermes-agent PR 4748]
    "mistral": Dialect(
        error="mistral",
        refuses={n: Refusal(422, "Extra inputs are not permitted", n) for n in ("max_completion_tokens", "dimensions")},
        usage="bare",
        thinks=250,
        shows="parts",
        untrained=Refusal(403, "Fine-tuning is not enabled for this workspace"),
        says=("not enabled for this workspace",),
    ),
    # [big-AGI 352]
    "openrouter": Dialect(path="/api/v1", error="moderated", chat=_error_in_choice, **_NO_EMBEDDINGS),
    # [litellm 37359, 13825; its documentation: fine-tuning is in the paid edition]
    "litellm": Dialect(
        error="litellm",
        refuses={"temperature": "openai does not support parameters: ['temperature'], for model=m"},
        untrained=Refusal(500, "You must be a LiteLLM Enterprise user to use this feature"),
        says=("LiteLLM Enterprise",),
    ),
    # [inspect_ai 5528; vercel/ai PR 12425; docs.x.ai on prompt caching]
    "xai": Dialect(thinks=220, usage="beside", **_NO_EMBEDDINGS),
    # [openai-dotnet PR 267; ragas 1548; docs.together.ai: fine-tuning has an API of its own]
    "together": Dialect(finish="eos", usage="bare"),
    # [docs.fireworks.ai on OpenAI compatibility; Kiln PR 51]
    "fireworks": Dialect(path="/inference/v1", finish=None, usage="bare", untrained=Refusal(404, "Path not found")),
    # [nebius/token-factory-cookbook]
    "nebius": Dialect(error="detail", is_top_level=True, usage="bare", untrained=None, says=("deploy", "--tuned")),
    # [chat templates of Gemma on the hub]
    "gemma": Dialect(error="number", refuses={"system": "System role not supported"}, usage="bare"),
    # a gateway whose machines restart
    "gateway": Dialect(
        faults=[Rule(share=0.1, seed=5, status=502, body="<html><head><title>502 Bad Gateway</title></head></html>")],
        untrained=None,
    ),
    # one call a second, thirty times as fast
    "rate-limit": Dialect(per_second=30.0, untrained=None),
    # refusals and filters, by content
    "refusing": Dialect(
        chat=_refuses_a_fifth,
        untrained=None,
        options=("--train-questions", "15", "--eval-questions", "7"),
        says=("refused",),
    ),
}
