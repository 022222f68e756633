"""A service that invents replies of typical length, so that a whole run can be rehearsed without one request.

Its replies quote the excerpts of their prompts, so everything above works as in a run: retrieval, windows, refine
steps, judging, the training file.
"""

import base64
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from minirag import prompts
from minirag.errors import ServiceError
from minirag.message_log import Exchange
from minirag.prompts import Prompt
from minirag.service import Reader, Service
from minirag.text import for_model, sentence_spans, words

DIMENSIONS = 1024
REASON = "The excerpt states this in so many words."
QUESTION_WORDS = 5
OPENINGS = "indeed overall notably plainly briefly clearly mainly chiefly broadly simply largely mostly surely".split()
HABITS = {"offline-student": (3.0, 1.4), "offline-teacher": (1.3, 0.1), "ft:offline-student": (1.4, 0.1)}
"""Sentences of a model's first answer, and sentences that a refine step adds; measured on the sample and on a 10-K."""
USUAL = (2.5, 0.0)
"""Of models that nothing is known of: GPT-4 wrote 94 tokens an answer in the article's log, and added to 1 of 25."""


class Rehearsal(Service):
    """Answers every call by itself; `tokenizer` is the user's word for the vocabulary of unknown models."""

    def __init__(self, address: str, tokenizer: str | None = None) -> None:
        super().__init__(address, "none", insecure_http=True)  # nothing is sent
        self.tokenizer = tokenizer

    def attempt(
        self, call: Exchange, read: Reader, arguments: Mapping[str, Any] | None = None
    ) -> tuple[Exchange, ServiceError | None]:
        """Return the exchange that a call would have been; it never fails."""
        invent = self._vectors if call.endpoint == "embeddings" else self._completion
        return replace(call, response=invent(call.request)), None

    def _vectors(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return vectors with which texts that share words lie near each other."""
        tokenizer = for_model(request["model"], self.tokenizer)
        rows = np.zeros((len(request["input"]), DIMENSIONS), "<f4")
        rows[:, 0] = 1e-3
        for row, text in zip(rows, request["input"], strict=True):
            for stem in {word[:5] for word in words(text)}:
                row[zlib.crc32(stem.encode("utf-8", "replace")) % DIMENSIONS] += 1.0
        data = [{"index": i, "embedding": base64.b64encode(row.tobytes()).decode()} for i, row in enumerate(rows)]
        tokens = sum(map(tokenizer.count, request["input"]))
        return {"model": request["model"], "data": data, "usage": {"prompt_tokens": tokens}}

    def _completion(self, request: Mapping[str, Any]) -> dict[str, Any]:
        tokenizer = for_model(request["model"], self.tokenizer)
        messages = request["messages"]
        prompt = prompts.parse(messages)
        if prompt is None:
            raise ValueError("A rehearsal answers minirag's own prompts only.")
        if prompt.task in ("draft", "refine"):
            text = self._answer(prompt, request["model"], messages[0]["content"])
        else:
            text = json.dumps(_structured(prompt))
        usage = {"prompt_tokens": tokenizer.count_messages(messages), "completion_tokens": tokenizer.count(text)}
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": "rehearsed", "model": request["model"], "choices": [choice], "usage": usage}

    def _answer(self, prompt: Prompt, model: str, system: str) -> str:
        """Return the earlier answer, if there is one, and sentences of the excerpts, as many as usual.

        Each model opens in its own way, the control too: two models rarely say the very same, and what is said twice is
        judged once. Its name would not do: a number that no excerpt has is no training example.
        """
        name = re.sub(r"^(ft:[^:]+):.*", r"\1", model)
        sentences, added = HABITS.get(name, USUAL)
        voice = name if system != prompts.CONTROL_SYSTEM else f"{name}, told better"
        context = "\n".join(excerpt.text for excerpt in prompt.excerpts)
        quoted = _quoted(context, sentences if prompt.task == "draft" else added, voice)
        if prompt.task == "draft":
            return f"{OPENINGS[zlib.crc32(voice.encode()) % len(OPENINGS)]}: {quoted or context[:80]}"
        return f"{prompt.answer} {quoted}".strip()


def _quoted(context: str, wanted: float, voice: str) -> str:
    """Return sentences of the context, `wanted` on average, from a place on that depends on the voice."""
    sentences = [context[a:b].strip() for a, b in sentence_spans(context)]
    draw = zlib.crc32(f"{voice} {context}".encode("utf-8", "replace"))
    start = draw % max(1, len(sentences))
    count = int(wanted + draw % 1000 / 1000)
    return " ".join((sentences[start:] + sentences[:start])[:count])


def _structured(prompt: Prompt) -> dict[str, Any]:
    """Return a reply of the shape that is asked for: everything supported, every question answerable."""
    match prompt.task:
        case "statements":
            return {"statements": [prompt.answer[a:b].strip() for a, b in sentence_spans(prompt.answer)]}
        case "verdicts" | "useful":
            key, items = ("supported", prompt.statements) if prompt.task == "verdicts" else ("useful", prompt.excerpts)
            return {"verdicts": [{"index": i, "reason": REASON, key: True} for i in range(1, len(items) + 1)]}
        case "needed":
            return {"needed": [1, 2]}
        case "questions":
            return {"questions": _questions("\n".join(excerpt.text for excerpt in prompt.excerpts), prompt.n)}
    return {"questions": [{"question": q, "noncommittal": False} for q in _questions(prompt.answer, prompt.n)]}


def _questions(text: str, wanted: int) -> list[str]:
    """Return different questions of usual length in the words of `text`."""
    own = words(text) or ["it"]
    starts = (i * len(own) // wanted for i in range(wanted))
    return [f"What does the document say about {' '.join(own[a : a + QUESTION_WORDS])}?" for a in starts]
