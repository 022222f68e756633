"""Embedding models: texts in, float32 rows out, in as few calls as the service takes."""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minirag.errors import BadReply
from minirag.message_log import Exchange, MessageLog
from minirag.models import dialect_of
from minirag.retry import in_order
from minirag.service import Service

if TYPE_CHECKING:
    from openai import OpenAI

INPUTS_PER_CALL = 256
CHARACTERS_PER_CALL = 200_000
"""Keeps an embedding call below the tokens that a service takes at once, in any script."""


class EmbeddingModel:
    """An embedding model. `embed(texts)` returns float32 rows of shape (len(texts), dimensions), in their order.

    `dimensions=None` takes the model's own number; at most `workers` calls of one `embed` are in flight. The other
    arguments are those of `ChatModel`.
    """

    def __init__(
        self,
        model: str,
        *,
        dimensions: int | None = None,
        workers: int = 8,
        options: Mapping[str, Any] | None = None,
        log: MessageLog | None = None,
        service: Service | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        client: "OpenAI | None" = None,
    ) -> None:
        self.model = model
        self.dimensions = dimensions
        self.workers = workers
        self.options = options or {}
        self.log = log
        self.service = service or Service(base_url, api_key, client=client)

    def embed(
        self, texts: Sequence[str], *, stage: str = "embed", tags: Mapping[str, Any] | None = None
    ) -> NDArray[np.float32]:
        """Return the vectors of `texts`, at most 256 a call, from the log if they are there.

        Raises ServiceError, and BadReply for vectors that are missing, uneven, or no numbers.
        """

        def embed(batch: Sequence[str]) -> NDArray[np.float32]:
            request: dict[str, Any] = {"model": self.model, "input": list(batch), "encoding_format": "base64"}
            if self.dimensions is not None:
                request["dimensions"] = self.dimensions
            request |= self.options
            call = Exchange(stage, "embeddings", self.service.name, request, tags=tags or {})
            dialect = dialect_of(self.model, self.service, self.log)
            exchange = self.service.send(call, self.log, dialect=dialect, read=read_embeddings)
            return vectors(exchange.response or {}, len(batch))

        rows = list(in_order(embed, _batches(texts), self.workers))
        if len({part.shape[1] for part in rows}) > 1:
            raise BadReply(f"{self.service.address} returned vectors of different lengths for one model.")
        return np.concatenate(rows) if rows else np.empty((0, self.dimensions or 0), np.float32)


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the texts in runs of as many as one call takes."""
    start = size = 0
    for end, text in enumerate(texts):
        if end > start and (end - start == INPUTS_PER_CALL or size + len(text) > CHARACTERS_PER_CALL):
            yield texts[start:end]
            start, size = end, 0
        size += len(text)
    if texts:
        yield texts[start:]


def read_embeddings(call: Exchange, reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an embeddings reply with each vector in base64, as the log keeps it. Raises BadReply."""
    vectors(reply, len(call.request["input"]))
    return {**reply, "data": [{**item, "embedding": _base64(item["embedding"])} for item in reply["data"]]}


def vectors(response: Mapping[str, Any], count: int) -> NDArray[np.float32]:
    """Return the rows of an embeddings reply in the order of its inputs: float32, shape (count, dimensions).

    Raises BadReply for a reply that is incomplete, uneven, or holds anything but finite numbers.

    >>> vectors({"data": [{"index": 1, "embedding": [0, 1]}, {"index": 0, "embedding": [1, 0]}]}, 2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    try:
        items = sorted(response["data"], key=lambda item: int(item["index"]))
        if [item["index"] for item in items] != list(range(count)):
            raise BadReply(f"The service returned {len(items)} vectors for {count} texts.", transient=True)
        rows = [np.frombuffer(base64.b64decode(_base64(item["embedding"]), validate=True), "<f4") for item in items]
        matrix = np.stack(rows).astype(np.float32)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, binascii.Error):
        raise BadReply("The service returned embeddings that cannot be read.", transient=True) from None
    if matrix.shape[1] == 0 or not np.isfinite(matrix).all():
        raise BadReply("The service returned embeddings that are not finite numbers.", transient=True)
    return matrix


def _base64(embedding: str | Sequence[float]) -> str:
    if isinstance(embedding, str):
        return embedding
    return base64.b64encode(np.asarray(embedding, "<f4").tobytes()).decode()
