"""Row 4. A service that invents replies of typical length: the whole run can be rehearsed without one request.

`Rehearsal` stands in the place of `models.Service`. Its replies quote the excerpts they were given, so everything
above works as it will: retrieval, windows, refine steps, judging, the training file, the job. What the rehearsal logs
is what a run will send, and what it counts is what a run will cost.
"""

import base64
import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minirag import prompts
from minirag.errors import ServiceError
from minirag.message_log import Exchange
from minirag.models import Service
from minirag.prompt_parts import Parts, parts
from minirag.sentences import sentence_spans
from minirag.tokens import for_model
from minirag.wording import content, words

DIMENSIONS = 1024
REASON = "The excerpt states this in so many words."
QUESTION_WORDS = 8
CHARACTERS_PER_TOKEN = 4.5
_ITEM = re.compile(r"(?m)^\d+\. ")
_EXCERPT = re.compile(r"(?m)^<excerpt-")
_WANTED = re.compile(r"Write (\d+) different questions")


class Habits(NamedTuple):
    """How a model answers: tokens of its first answer, tokens that a refine step adds, and whose words it chooses."""

    answer_tokens: float
    added_tokens: float
    voice: str


HABITS = {
    "offline-student": Habits(68, 36, "offline-student"),
    "offline-teacher": Habits(28, 3, "offline-teacher"),
    "ft:offline-student": Habits(28, 3, "offline-teacher"),
}
"""Measured on the sample report. Of other models nothing is known but that they write about as much as GPT-4 did."""
USUAL_ANSWER = 60
"""Tokens of the answers of a model whose habits are not known; GPT-4's in the article's log have 94 on average."""


class Rehearsal(Service):
    """Answers every call by itself; its answers are `length` times as long as the models' habits say."""

    def __init__(self, address: str, length: float = 1.0) -> None:
        super().__init__(address, "none")
        self.length = length

    def shutdown_date(self, model: str) -> None:
        """Nothing is known, and nobody is asked."""

    def attempt(
        self,
        stage: str,
        endpoint: str,
        request: Mapping[str, Any],
        send: Callable[[Any], Any],
        check: Callable[[Mapping[str, Any]], None],
        *,
        tags: Mapping[str, Any],
        repeat: int,
    ) -> tuple[Exchange, ServiceError | None]:
        """The exchange that a call would have been; it never fails."""
        invent = {"embeddings": self._vectors, "chat.completions": self._completion}.get(endpoint, _job)
        reply = invent(request)
        return Exchange(stage, endpoint, self.name, request, reply, None, repeat, tags), None

    def _vectors(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Texts that share words lie near each other."""
        tokenizer = for_model(request["model"])
        rows = np.zeros((len(request["input"]), DIMENSIONS), "<f4")
        for row, text in zip(rows, request["input"], strict=True):
            np.add.at(row, [zlib.crc32(word.encode("utf-8", "replace")) % DIMENSIONS for word in content(text)], 1)
            row[0] += 1e-3
        data = [{"index": i, "embedding": base64.b64encode(row.tobytes()).decode()} for i, row in enumerate(rows)]
        return {
            "model": request["model"],
            "data": data,
            "usage": {"prompt_tokens": sum(map(tokenizer.count, request["input"]))},
        }

    def _completion(self, request: Mapping[str, Any]) -> dict[str, Any]:
        tokenizer = for_model(request["model"])
        messages, shape = request["messages"], request.get("response_format")
        if shape is None:
            text = self._answer(parts(messages), request["model"])
        else:
            text = json.dumps(_structured(messages, shape["json_schema"]["schema"]))
        usage = {"prompt_tokens": tokenizer.count_messages(messages), "completion_tokens": tokenizer.count(text)}
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": "rehearsed", "model": request["model"], "choices": [choice], "usage": usage}

    def _answer(self, prompt: Parts, model: str) -> str:
        """The earlier answer, if there is one, and words of the excerpts up to the usual length."""
        known = re.sub(r"(ft:[^:]+):.*", r"\1", model)
        habits = HABITS.get(known, Habits(USUAL_ANSWER, 0, known))
        wanted = habits.answer_tokens if prompt.existing is None else habits.added_tokens
        said = _quoted(prompt.context, CHARACTERS_PER_TOKEN * wanted * self.length, habits.voice)
        return f"{prompt.existing or ''} {said}".strip()


def _quoted(context: str, characters: float, voice: str) -> str:
    """About so many characters of whole sentences, beginning at a place in the context that the voice decides."""
    sentences = [context[a:b].strip() for a, b in sentence_spans(context)]
    start = zlib.crc32(f"{voice} {context}".encode("utf-8", "replace")) % max(1, len(sentences))
    text = ""
    for sentence in sentences[start:] + sentences[:start]:
        if len(text) + len(sentence) / 2 > characters:
            break
        text = f"{text} {sentence}".strip()
    return text or context[: int(characters)].strip()


def _structured(messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any]) -> dict[str, Any]:
    """A reply of the shape that is asked for: everything supported, every question answerable."""
    prompt, asked = parts(messages), messages[-1]["content"]
    if schema == prompts.STATEMENTS_SCHEMA:
        text = prompt.existing or ""
        return {"statements": [text[a:b].strip() for a, b in sentence_spans(text)]}
    if schema in (prompts.VERDICTS_SCHEMA, prompts.USEFUL_SCHEMA):
        key, mark = ("supported", _ITEM) if schema == prompts.VERDICTS_SCHEMA else ("useful", _EXCERPT)
        count = len(mark.findall(asked.rpartition("<statements-")[2] if key == "supported" else asked))
        return {"verdicts": [{"index": i, "reason": REASON, key: True} for i in range(1, count + 1)]}
    if schema == prompts.NEEDED_SCHEMA:
        return {"needed": [1, 2]}
    found = _WANTED.search(asked)
    wanted = int(found[1]) if found else 1
    if schema == prompts.QUESTIONS_SCHEMA:
        return {"questions": _questions(prompt.context, wanted)}
    return {"questions": [{"question": q, "noncommittal": False} for q in _questions(prompt.existing or "", wanted)]}


def _questions(text: str, wanted: int) -> list[str]:
    """Different questions of usual length in the words of `text`."""
    told = words(text) or ["it"]
    starts = (i * len(told) // wanted for i in range(wanted))
    return [f"What does the document say about {' '.join(told[a : a + QUESTION_WORDS])}?" for a in starts]


def _job(request: Mapping[str, Any]) -> dict[str, Any]:
    """A list without jobs, an upload, or a job that has succeeded at once."""
    if "model" not in request:
        return {"id": "file-rehearsed", "data": [], "has_more": False}
    return {"id": "ftjob-rehearsed", "status": "succeeded", "fine_tuned_model": f"ft:{request['model']}:rehearsed"}
