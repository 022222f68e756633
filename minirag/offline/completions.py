"""Apart. Chat completions: a request's JSON in, the reply's JSON out, as OpenAI's service shapes them.

The models are deterministic: `temperature`, `top_p` and `seed` are checked and change nothing, and the `n` choices of
one request are equal. What they cannot do (probabilities, streams, schemas of other programs) is refused, not faked.
"""

import hashlib
import json
import time
from typing import Any

from minirag import text as tokens
from minirag.offline import asker, judge, reader, reading, relevance
from minirag.offline.catalogue import TEACHER_MODEL, Catalogue
from minirag.offline.reader import Weights
from minirag.prompts import Prompt, text_of
from minirag.server.wire import Json, Refused, check_length, integer, number, string, wrong_type

FINGERPRINT = "fp_minirag_1"
"""Names this generation of the models: raise it when their answers change."""

_ROLES = {"system", "developer", "user", "assistant", "tool", "function"}


def chat(body: Json, models: Catalogue) -> Json:
    """POST /v1/chat/completions."""
    name = model_name(body)
    weights = models.weights(name)
    messages = _messages(body)
    n, limit, stop = _settings(body)
    tokenizer = tokens.for_model(TEACHER_MODEL)
    prompt_tokens = tokenizer.count_messages(messages)
    window = models.window(name)
    if prompt_tokens + (limit or 1) > window:
        raise _too_long(window, prompt_tokens, limit)
    content = _content(reading.parse(messages), weights, body)
    content = min((content.partition(mark)[0] for mark in stop), key=len, default=content)
    most = limit or window - prompt_tokens
    finish = "stop" if tokenizer.count(content) <= most else "length"
    if finish == "length":
        content = content[: tokenizer.prefix(content, most)]
    message: Json = {"role": "assistant", "content": content, "refusal": None, "annotations": []}
    return {
        "id": "chatcmpl-" + hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:29],
        "object": "chat.completion",
        "created": int(time.time()),
        "model": name,
        "choices": [{"index": i, "message": message, "logprobs": None, "finish_reason": finish} for i in range(n)],
        "usage": _usage(prompt_tokens, n * tokenizer.count(content)),
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }


def model_name(body: Json) -> str:
    """The model that a request names; refused if it names none."""
    if body.get("model") in (None, ""):
        raise Refused(400, "you must provide a model parameter")
    return string(body, "model")


def _messages(body: Json) -> list[dict[str, str]]:
    """The messages with their text joined: what the models read and what is counted."""
    messages = body.get("messages")
    if messages is None:
        string(body, "messages")
    if not isinstance(messages, list):
        raise wrong_type("messages", "an array of objects", messages)
    if not messages:
        raise Refused(
            400,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            param="messages",
            code="empty_array",
        )
    return [_message(message, f"messages[{i}]") for i, message in enumerate(messages)]


def _message(message: Any, where: str) -> dict[str, str]:
    if not isinstance(message, dict):
        raise wrong_type(where, "an object", message)
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or role not in _ROLES:
        raise Refused(
            400,
            f"Invalid value: {json.dumps(role)[:40]}. Supported values are: {', '.join(sorted(_ROLES))}.",
            param=f"{where}.role",
            code="invalid_value",
        )
    parts = content if isinstance(content, list) else []
    if not isinstance(content, str | list) and not (content is None and role == "assistant"):
        raise wrong_type(f"{where}.content", "a string or an array of parts", content)
    if any(not isinstance(part, dict) or not isinstance(part.get("text", ""), str) for part in parts):
        raise wrong_type(f"{where}.content", "an array of parts", content)
    if any(part.get("type") not in ("text", "refusal") for part in parts):
        raise Refused(400, f"Invalid '{where}'. This model reads text parts only.", param=where, code="invalid_value")
    text = text_of(message)
    check_length(text, f"{where}.content")
    return {"role": role, "content": text}


def _settings(body: Json) -> tuple[int, int | None, list[str]]:
    """How many choices, the most tokens of a reply if it has a limit, and the marks to stop at."""
    number(body, "temperature", 0, 2)
    number(body, "top_p", 0, 1)
    number(body, "presence_penalty", -2, 2)
    number(body, "frequency_penalty", -2, 2)
    if body.get("stream"):
        raise Refused(
            400, "This service does not stream; leave out 'stream'.", param="stream", code="unsupported_value"
        )
    if body.get("logprobs"):
        raise Refused(403, "You are not allowed to request logprobs from this model", param="logprobs")
    old, new = (integer(body, name, 1, 1 << 31) for name in ("max_tokens", "max_completion_tokens"))
    if old and new:
        raise Refused(400, "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
    stop = body.get("stop") or []
    stop = [stop] if isinstance(stop, str) else stop
    if not isinstance(stop, list) or len(stop) > 4 or not all(isinstance(mark, str) and mark for mark in stop):
        raise wrong_type("stop", "a string or an array of up to 4 strings", stop)
    return integer(body, "n", 1, 128) or 1, old or new, stop


def _content(prompt: Prompt, weights: Weights, body: Json) -> str:
    """The model's reply to a prompt: JSON for the tasks that ask for it, else the reader's answer."""
    wanted = body.get("response_format") or {"type": "text"}
    if not isinstance(wanted, dict) or wanted.get("type") not in ("text", "json_object", "json_schema"):
        raise Refused(
            400,
            "Invalid 'response_format'. Supported types are: 'text', 'json_object', and 'json_schema'.",
            param="response_format",
            code="invalid_value",
        )
    kind = wanted["type"]
    if kind == "json_object" and "json" not in json.dumps(body["messages"]).lower():
        message = (
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        )
        raise Refused(400, message, param="messages")
    value = _task(prompt)
    if kind == "json_schema" and (value is None or not _fits(value, wanted)):
        message = "'response_format' of type 'json_schema' is supported with minirag's own prompts and schemas only."
        raise Refused(400, message, param="response_format")
    if value is None:
        answer = reader.answer(prompt, weights)
        return answer if kind == "text" else json.dumps({"answer": answer}, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


def _fits(value: Json, wanted: Json) -> bool:
    """Whether a reply has exactly the fields that a json_schema response format names."""
    try:
        return set(wanted["json_schema"]["schema"]["properties"]) == set(value)
    except (KeyError, TypeError):
        return False


def _task(prompt: Prompt) -> Json | None:
    """The reply to a task whose answer is JSON, by the schemas of `minirag.prompts`; None for the other tasks."""
    match prompt.task:
        case "questions":
            return {"questions": asker.questions("\n\n".join(e.text for e in prompt.excerpts), prompt.n)}
        case "statements":
            return {"statements": judge.statements(prompt.question, prompt.answer)}
        case "verdicts":
            verdicts = judge.verdicts([e.text for e in prompt.excerpts], prompt.statements)
            return {
                "verdicts": [
                    {"index": i, "reason": verdict.reason, "supported": verdict.supported}
                    for i, verdict in enumerate(verdicts, 1)
                ]
            }
        case "useful":
            found = relevance.useful([e.text for e in prompt.excerpts], prompt.question, prompt.answer)
            return {
                "verdicts": [
                    {"index": i, "reason": why, "useful": is_useful} for i, (is_useful, why) in enumerate(found, 1)
                ]
            }
        case "needed":
            return {"needed": relevance.needed(prompt.statements, prompt.question)}
        case "reverse":
            asked = judge.reverse(prompt.answer, prompt.n)
            return {"questions": [{"question": text, "noncommittal": evaded} for text, evaded in asked]}
    return None


def _usage(prompt: int, completion: int) -> Json:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _too_long(window: int, prompt: int, reply: int | None) -> Refused:
    asked, cure = f"your messages resulted in {prompt} tokens", "the messages"
    if reply:
        asked = f"you requested {prompt + reply} tokens ({prompt} in the messages, {reply} in the completion)"
        cure = "the messages or completion"
    return Refused(
        400,
        f"This model's maximum context length is {window} tokens. However, {asked}. "
        f"Please reduce the length of {cure}.",
        param="messages",
        code="context_length_exceeded",
    )
