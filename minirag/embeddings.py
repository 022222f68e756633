"""Embedding models: texts in, float32 rows out, in as few calls as the service takes.

A call that fails is divided until its parts succeed. So a service's limit of texts or tokens a call is found out, and
a single text that always fails is named and holds nothing else up.
"""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minirag.dialect import ModelDialect
from minirag.errors import BadReply, InputError, ServiceError, ServiceRefused, TextsRefused
from minirag.message_log import Exchange, MessageLog
from minirag.models import dialect_of
from minirag.retry import in_order
from minirag.service import Service
from minirag.text import encoding

if TYPE_CHECKING:
    from openai import OpenAI

INPUTS_PER_CALL = 256
SIZE_PER_CALL = 200_000
"""Characters, or two thirds of the tokens where these are more: OpenAI takes 300,000 tokens and 2,048 texts a call."""

SHORT = 16
"""Fewer tokens than any model takes."""
NOT_ITS_FAULT = (None, 401, 402, 404, 429)
"""Statuses of failures that are not about a text: no connection, key, quota, model, rate limit."""
Row = NDArray[np.float32] | ServiceError
"""The vector of a text, or why it has none."""


class EmbeddingModel:
    """An embedding model. `embed(texts)` returns float32 rows of shape (len(texts), dimensions), in their order.

    `dimensions=None` takes the model's own number; `prefix` is put before each text, for models that want passages or
    queries marked; at most `workers` calls of one `embed` are in flight. `progress` hears what the texts are for (the
    tag "for"), how many of them are done, and how many there are. The other arguments are those of `ChatModel`.
    `inputs_per_call` is the most texts in a call; it becomes smaller if the service takes fewer.
    """

    def __init__(
        self,
        model: str,
        *,
        dimensions: int | None = None,
        prefix: str = "",
        workers: int = 8,
        progress: Callable[[str, int, int], None] = lambda *_: None,
        options: Mapping[str, Any] | None = None,
        log: MessageLog | None = None,
        service: Service | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        client: "OpenAI | None" = None,
    ) -> None:
        self.model = model
        self.dimensions = dimensions
        self.prefix = prefix
        self.workers = workers
        self.progress = progress
        self.options = options or {}
        self.log = log
        self.service = service or Service(base_url, api_key, client=client)
        self.inputs_per_call = INPUTS_PER_CALL
        self._longest = 0  # tokens of the longest text that has been embedded
        self._rescued: dict[str, NDArray[np.float32]] = {}  # vectors of texts that were embedded beside a refused one

    @property
    def dialect(self) -> ModelDialect:
        """How this model takes its requests, as far as that is known."""
        return dialect_of(self.model, self.service, self.log)

    def embed(
        self, texts: Sequence[str], *, stage: str = "embed", tags: Mapping[str, Any] | None = None
    ) -> NDArray[np.float32]:
        """Return the vectors of `texts`, as many a call as the service takes, from the log if they are there.

        Raises TextsRefused once all others are embedded if some texts fail whatever is done; the vectors of the others
        are then kept, so that asking for these alone sends nothing. Raises InputError if the texts are longer than the
        model takes, ServiceError, and BadReply for vectors that are missing, uneven, or no numbers.
        """
        if self._rescued and all(text in self._rescued for text in texts):
            return np.stack([self._rescued[text] for text in texts])

        def rows_of(batch: Sequence[str]) -> list[Row]:
            recorded = self._recorded(batch) if len(batch) > 1 else None  # one that failed alone is asked for again
            return recorded or self._divide(batch, {"stage": stage, "tags": tags or {}})

        results: list[Row] = []
        for rows in in_order(rows_of, _batches([self.prefix + text for text in texts]), self.workers):
            results += rows
            if tags and "for" in tags:
                self.progress(tags["for"], len(results), len(texts))
        pairs = list(zip(texts, results, strict=True))
        refused = {text: row for text, row in pairs if isinstance(row, ServiceError)}
        good = [(text, row) for text, row in pairs if not isinstance(row, ServiceError)]
        if len({len(row) for _, row in good}) > 1:
            raise BadReply(f"{self.service.address} returned vectors of different lengths for one model.")
        if refused and not good:
            raise next(iter(refused.values()))
        if refused:
            self._rescued |= dict(good)
            raise TextsRefused(self.model, refused)
        return np.stack([row for _, row in good]) if good else np.empty((0, self.dimensions or 0), np.float32)

    def _divide(self, texts: Sequence[str], about: Mapping[str, Any]) -> list[Row]:
        """Return the vector of each text, or why it has none: in one call, or after a failure in halves of it."""
        call = self._call(texts, about)
        is_small = len(texts) <= self.inputs_per_call
        is_sent = is_small or (self.log is not None and self.log.find(*self.dialect.variants(call)) is not None)
        if is_sent:
            try:
                return self._send(call)
            except ServiceError as error:
                # no other call would fare better: a refusal, a rate limit, an outage
                if isinstance(error, ServiceRefused) or error.status in (429, 502, 503):
                    raise
                if len(texts) == 1:
                    self._require_length(texts[0], about, error)
                    return [error]
        middle = _half(len(texts))
        rows = [*self._divide(texts[:middle], about), *self._divide(texts[middle:], about)]
        if is_sent and not any(isinstance(row, ServiceError) for row in rows):  # it was no single text's fault
            self.inputs_per_call = min(self.inputs_per_call, middle)
            self.service.say_once(f"{self.model}: {self.inputs_per_call} texts a call, more are refused")
        return rows

    def _recorded(self, texts: Sequence[str]) -> list[Row] | None:
        """Return what the log has of these texts, in one call or in halves of it; None if it lacks any of them.

        A text that failed alone counts where others beside it succeeded: it is not asked for again.
        """
        if self.log is None or not self.log.failures:
            return None
        ids = self.dialect.variants(self._call(texts, {"stage": "embed"}))
        exchange = self.log.find(*ids)
        if exchange is not None and exchange.error is None and (exchange.response or {}).get("data"):
            return self._rows(exchange)
        if len(texts) == 1:
            errors = [ServiceError.from_json(failed.error or {}) for failed in self.log.failures if failed.id in ids]
            is_about_text = errors and (isinstance(errors[-1], BadReply) or errors[-1].status not in NOT_ITS_FAULT)
            return [errors[-1]] if is_about_text else None
        middle = _half(len(texts))
        left, right = self._recorded(texts[:middle]), self._recorded(texts[middle:])
        if left is None or right is None or all(isinstance(row, ServiceError) for row in [*left, *right]):
            return None
        return [*left, *right]

    def _require_length(self, text: str, about: Mapping[str, Any], error: ServiceError) -> None:
        """Raise InputError if a text fails for its length: no text as long succeeds, and all its pieces do."""
        tokens, half = encoding("o200k_base").count(text), len(text) // 2  # as chunks are counted
        if error.status == 403 or tokens <= self._longest:
            return
        with suppress(ServiceError):
            self._send(self._call([text[half:] + text[:half]], about))
            return  # it is what the text says
        for number in (2, 4, 8, 16):
            size = -(-len(text) // number)
            if tokens < number * SHORT:
                return
            with suppress(ServiceError):
                for start in range(0, len(text), size):
                    self._send(self._call([text[start : start + size]], about))
                raise InputError(
                    f"{self.model} takes no text of {tokens} tokens ({str(error).rstrip('.')}), but {self._longest} "
                    f"tokens are no problem: take --chunk-size {self._longest}, and as --chunk-overlap at most a half."
                )

    def _call(self, texts: Sequence[str], about: Mapping[str, Any]) -> Exchange:
        """Return the call that embeds `texts`, with the stage and the tags that it is about."""
        request: dict[str, Any] = {"model": self.model, "input": list(texts), "encoding_format": "base64"}
        if self.dimensions is not None:
            request["dimensions"] = self.dimensions
        request |= self.options
        return Exchange(endpoint="embeddings", service=self.service.name, request=request, **about)

    def _send(self, call: Exchange) -> list[Row]:
        """Return the vectors of a call. Raises ServiceError."""
        return self._rows(self.service.send(call, self.log, dialect=self.dialect, read=read_embeddings))

    def _rows(self, exchange: Exchange) -> list[Row]:
        """Return the vectors of an exchange; say so if the server has read only a part of the texts."""
        counts = list(map(encoding("o200k_base").count, exchange.request["input"]))
        self._longest = max(self._longest, *counts)
        read = exchange.usage.get("prompt_tokens")
        if isinstance(read, int) and 0 < read < sum(counts) / 2:
            self.service.say_once(
                f"warning: {self.model} reads only the beginning of long texts; take a smaller --chunk-size, or give "
                "its server a longer context (Ollama: OLLAMA_CONTEXT_LENGTH or num_ctx), and start in a new folder"
            )
        return [*vectors(exchange.response or {}, len(counts))]


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the texts in runs of as many as one call takes."""
    start = size = 0
    for end, text in enumerate(texts):
        # an ASCII text has no more tokens than characters; OpenAI's embedding models use cl100k_base
        own = len(text) if text.isascii() else max(len(text), 2 * encoding("cl100k_base").count(text) // 3)
        if end > start and (end - start == INPUTS_PER_CALL or size + own > SIZE_PER_CALL):
            yield texts[start:end]
            start, size = end, 0
        size += own
    if texts:
        yield texts[start:]


def _half(number: int) -> int:
    """Return the largest power of two below `number`: parts of these sizes have the same borders in every run."""
    return int(1 << (number - 1).bit_length() - 1)


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
        items = response["data"]
        places = [int(item.get("index") or 0) for item in items]  # some services leave the index out, or 0
        if any(places):
            items = [item for _, item in sorted(zip(places, items, strict=True), key=lambda pair: pair[0])]
        if len(items) != count or (any(places) and sorted(places) != list(range(count))):
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
