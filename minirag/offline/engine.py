"""The engine of the offline models: four that are always there, and the students that jobs have tuned.

The models are deterministic: `temperature`, `top_p` and `seed` change nothing, and the `n` choices of one request are
equal. They follow JSON schemas for minirag's own prompts; schemas of other programs are refused, not faked.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from minirag.offline import judge, lexicon, reader, student
from minirag.offline.questions import questions
from minirag.offline.reader import BASE, TEACHER, Weights
from minirag.prompts import NOT_STATED, Prompt, parse, text_of
from minirag.server.engine import ChatRequest, Choice, Completion, Model, Report, Trained, Training, Vectors, too_long
from minirag.server.files import Records
from minirag.server.wire import Json, invalid
from minirag.text import for_model

TEACHER_MODEL = "offline-teacher"
STUDENT_MODEL = "offline-student"
JUDGE_MODEL = "offline-judge"
EMBEDDING_MODEL = "offline-embedding"

WINDOWS = {TEACHER_MODEL: 128_000, STUDENT_MODEL: 16_384, JUDGE_MODEL: 128_000, EMBEDDING_MODEL: 8192}
"""The most tokens of a request, reply included; a tuned student has the student's."""
RELEASED = 1_767_225_600
"""`created` of the four, in seconds: a constant, so that a reply depends on the request alone."""


class Offline:
    """The engine. `state` is the folder that keeps tuned students; None keeps them as long as the process."""

    def __init__(self, state: Path | None = None) -> None:
        self._tuned = Records(state and state / "models")  # each {"id", "created", "weights"}

    def models(self) -> list[Model]:
        """Return the four models and the tuned ones, in the order in which they were trained."""
        tuned = [Model(r["id"], r["created"]) for r in reversed(self._tuned.newest_first())]
        return [
            Model(TEACHER_MODEL, RELEASED),
            Model(STUDENT_MODEL, RELEASED, is_trainable=True),
            Model(JUDGE_MODEL, RELEASED),
            Model(EMBEDDING_MODEL, RELEASED, "embedding"),
            *tuned,
        ]

    def complete(self, model: str, request: ChatRequest) -> Completion:
        """Answer a chat: JSON for the tasks that ask for it, else sentences of the excerpts."""
        tokenizer, window = for_model(TEACHER_MODEL), WINDOWS.get(model, WINDOWS[STUDENT_MODEL])
        prompt_tokens = tokenizer.count_messages(request.messages)
        if prompt_tokens + (request.max_tokens or 1) > window:
            raise too_long(window, prompt_tokens, request.max_tokens)
        prompt = parse(request.messages)
        value = _task(prompt) if prompt else None
        if value is not None:
            text = json.dumps(value, ensure_ascii=False)
        elif request.response_format.get("type", "text") != "text":
            raise invalid("response_format", "the type 'text', or one of minirag's own prompts that ask for JSON")
        else:
            tuned = self._tuned.get(model)
            weights = Weights(**tuned["weights"]) if tuned else TEACHER if model == TEACHER_MODEL else BASE
            text = reader.answer(prompt, weights) if prompt else NOT_STATED
        text = min((text.partition(mark)[0] for mark in request.stop), key=len, default=text)
        limit = request.max_tokens or window - prompt_tokens
        is_whole = tokenizer.count(text) <= limit
        choice = Choice(text) if is_whole else Choice(text[: tokenizer.prefix(text, limit)], "length")
        return Completion([choice] * request.n, prompt_tokens, request.n * tokenizer.count(choice.text))

    def embed(self, model: str, texts: Sequence[str], dimensions: int | None) -> Vectors:
        """Embed texts."""
        dimensions = dimensions or lexicon.DIMENSIONS
        if dimensions > lexicon.DIMENSIONS:
            raise invalid("dimensions", f"an integer from 1 to {lexicon.DIMENSIONS}")
        counts = [for_model(model).count(text) for text in texts]
        if max(counts) > WINDOWS[model]:
            raise too_long(WINDOWS[model], max(counts), None)
        return Vectors(lexicon.embed(texts, dimensions), sum(counts))

    def defaults(self, examples: int) -> Json:
        """Return the settings that OpenAI's service was seen to choose.

        >>> [Offline().defaults(n)["n_epochs"] for n in (10, 40, 20_000)]
        [10, 3, 1]
        """
        epochs = min(25, 100 // examples) if examples * 3 < 100 else min(3, max(1, 25_000 // examples))
        return {"n_epochs": epochs, "batch_size": 1, "learning_rate_multiplier": 1.0}

    def train(self, training: Training, report: Report) -> Trained:
        """Fit the student's weights to the examples; it takes a second or two per hundred."""
        epochs = training.hyperparameters["n_epochs"]
        learned = student.learn(training.examples, epochs=epochs, seed=training.seed)
        name = f"ft:{STUDENT_MODEL}:minirag:{training.suffix}:{training.job_id[-8:]}"
        last = learned.losses[-1][0] if learned.losses else 0  # no loss where no example teaches anything
        for step, loss in learned.losses:
            report(step, last, loss, {"checkpoint": name} if step == last else None)
        self._tuned.put({"id": name, "created": int(time.time()), "weights": asdict(learned.weights)})
        tokenizer = for_model(STUDENT_MODEL)
        plain = [[{"role": m["role"], "content": text_of(m)} for m in messages] for messages in training.examples]
        return Trained(name, epochs * sum(tokenizer.count_messages(messages) - 3 for messages in plain))

    def delete(self, model: str) -> bool:
        """Delete a tuned student."""
        is_tuned = self._tuned.get(model) is not None
        self._tuned.remove(model)
        return is_tuned


def _task(prompt: Prompt) -> Json | None:
    """Return the reply to a task whose answer is JSON, by the schemas of `minirag.prompts`; None for other tasks."""
    texts = [excerpt.text for excerpt in prompt.excerpts]
    match prompt.task:
        case "questions":
            return {"questions": questions("\n\n".join(texts), prompt.n)}
        case "statements":
            return {"statements": judge.statements(prompt.question, prompt.answer)}
        case "verdicts":
            verdicts = enumerate(judge.verdicts(texts, prompt.statements), 1)
            return {"verdicts": [{"index": i, "reason": v.reason, "supported": v.supported} for i, v in verdicts]}
        case "useful":
            useful = enumerate(judge.useful(texts, prompt.question, prompt.answer), 1)
            return {"verdicts": [{"index": i, "reason": why, "useful": is_so} for i, (is_so, why) in useful]}
        case "needed":
            return {"needed": judge.needed(prompt.statements, prompt.question)}
        case "reverse":
            asked = judge.reverse(prompt.answer, prompt.n)
            return {"questions": [{"question": text, "noncommittal": evades} for text, evades in asked]}
    return None
