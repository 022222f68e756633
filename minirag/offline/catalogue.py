"""Apart. The models on offer: four that are always there, and the students that jobs have tuned.

>>> models = Catalogue(None)
>>> models.window("offline-student"), models.weights("offline-student") == BASE
(16384, True)
"""

import time
from pathlib import Path

from minirag.offline.reader import BASE, TEACHER, Weights
from minirag.server.records import Records
from minirag.server.wire import Json, Refused

TEACHER_MODEL = "offline-teacher"
STUDENT_MODEL = "offline-student"
JUDGE_MODEL = "offline-judge"
EMBEDDING_MODEL = "offline-embedding"

_WINDOWS = {TEACHER_MODEL: 128_000, STUDENT_MODEL: 16_384, JUDGE_MODEL: 128_000, EMBEDDING_MODEL: 8192}
_TUNED = f"ft:{STUDENT_MODEL}:minirag:"
_RELEASED = 1_767_225_600
"""`created` of the four, in seconds: a constant, so that a reply depends on the request alone."""


class Catalogue:
    """Names and weights of all models. `folder` keeps the tuned ones; None keeps them as long as the process."""

    def __init__(self, folder: Path | None) -> None:
        self._tuned = Records(folder)

    def all(self) -> list[Json]:
        """Every model as the service describes it, the four first."""
        tuned = [_described(record["id"], record["created"]) for record in reversed(self._tuned.newest_first())]
        return [*(_described(name, _RELEASED) for name in _WINDOWS), *tuned]

    def describe(self, name: str) -> Json:
        """One model; refused with 404 if there is none of this name."""
        for model in self.all():
            if model["id"] == name:
                return model
        raise _unknown(f"The model '{name}' does not exist", "model")

    def delete(self, name: str) -> Json:
        """Forget a tuned model."""
        self.describe(name)
        if not self._tuned.delete(name):
            raise Refused(403, f"The model '{name}' cannot be deleted; only tuned models can.", param="model")
        return {"id": name, "object": "model", "deleted": True}

    def window(self, name: str) -> int:
        """The most tokens of one request, reply included."""
        return _WINDOWS.get(name, _WINDOWS[STUDENT_MODEL])

    def weights(self, name: str) -> Weights:
        """What the chat model of this name has learned; refused if there is none."""
        if tuned := self._tuned.get(name):
            return Weights.from_dict(tuned["weights"])
        if name == EMBEDDING_MODEL:
            raise Refused(
                404,
                "This is not a chat model and thus not supported in the v1/chat/completions endpoint.",
                param="model",
            )
        if name in _WINDOWS:
            return TEACHER if name == TEACHER_MODEL else BASE
        raise _unknown(f"The model `{name}` does not exist or you do not have access to it.")

    def check_embedding(self, name: str) -> None:
        """Refuses every name that is not an embedding model's."""
        if name != EMBEDDING_MODEL:
            self.weights(name)
            raise Refused(403, "You are not allowed to generate embeddings from this model")

    def add_tuned(self, suffix: str, job_id: str, weights: Weights) -> str:
        """Offer the student that a job has tuned; its name."""
        name = f"{_TUNED}{suffix}:{job_id[-8:]}"
        self._tuned.put({"id": name, "created": int(time.time()), "weights": weights.to_dict()})
        return name


def _described(name: str, created: int) -> Json:
    return {"id": name, "object": "model", "created": created, "owned_by": "minirag"}


def _unknown(message: str, param: str | None = None) -> Refused:
    return Refused(404, message, param=param, code="model_not_found")
