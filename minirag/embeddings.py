"""Embedding models: texts in, float32 rows out, in as few calls as the service takes.

A call that fails is divided until its parts succeed. So a service's limit of texts or tokens a call is found out, and
a single text that always fails is named and holds nothing else up.
"""

import base64
import binascii
import re
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

SHORT = 50
"""Fewer characters than any model takes."""
NOT_ITS_FAULT = (None, 401, 402, 404, 429, 502, 503)
"""Statuses of failures that are not about a text: no connection, key, quota, model, rate limit, outage."""
_TOO_LONG = re.compile(r"(?i)too (long|large)|exceed|context (length|size|window)|tokens")
"""What services say of a text that is longer than a model takes."""
Row = NDArray[np.float32] | ServiceError
"""The vector of a text, or why it has none."""


class EmbeddingModel:
    """An embedding model. `embed(texts)` returns float32 rows of shape (len(texts), dimensions), in their order.

    `prefix` is put before each text, for models that want passages or queries marked; at most `workers` calls of one
    `embed` are in flight. `progress` hears what the texts are for (the tag "for"), how many of them are done, and how
    many there are. The other arguments are those of `ChatModel`. `inputs_per_call` is the most texts in a call; it
    becomes smaller if the service takes fewer.
    """

    def __init__(
        self,
        model: str,
        *,
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
        self.prefix = prefix
        self.workers = workers
        self.progress = progress
        self.options = options or {}
        self.log = log
        self.service = service or Service(base_url, api_key, client=client)
        self.inputs_per_call = INPUTS_PER_CALL
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
        about = {"stage": stage, "tags": tags or {}}
        failures = [] if self.log is None else self.log.failures
        errors = {f.id: ServiceError.from_json(f.error or {}) for f in failures if f.endpoint == "embeddings"}
        failed = {id: e for id, e in errors.items() if isinstance(e, BadReply) or e.status not in NOT_ITS_FAULT}

        def rows_of(batch: Sequence[str]) -> list[Row]:
            rows = self._divide(batch, about, failed)
            if failed and all(isinstance(row, ServiceError) for row in rows):  # it may have been the service's fault
                rows = self._divide(batch, about, {})
            return rows

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
        return np.stack([row for _, row in good]) if good else np.empty((0, 0), np.float32)

    def _divide(self, texts: Sequence[str], about: Mapping[str, Any], failed: Mapping[str, ServiceError]) -> list[Row]:
        """Return the vector of each text, or why it has none: in one call, or after a failure in halves of it.

        A call that has `failed` before is not sent again, and none whose halves the log has.
        """
        call = self._call(texts, about)
        ids = self.dialect.variants(call)
        is_in_log = self.log is not None and self.log.find(*ids) is not None
        error = next((failed[id] for id in ids if id in failed), None)
        is_new = len(texts) <= self.inputs_per_call and not (failed and self._is_known(texts, about, failed))
        if is_in_log or (error is None and is_new):
            try:
                return self._send(call)
            except ServiceError as refused:
                # no other call would fare better: a refusal, a rate limit, an outage
                if isinstance(refused, ServiceRefused) or refused.status in (429, 502, 503):
                    raise
                error = refused
        if error is not None and len(texts) == 1:
            self._require_length(texts[0], about, error)
            return [error]
        middle = _half(len(texts))
        rows = [row for part in (texts[:middle], texts[middle:]) for row in self._divide(part, about, failed)]
        is_limit = error is not None and not any(isinstance(row, ServiceError) for row in rows)
        if is_limit:  # it was no single text's fault
            self.inputs_per_call = min(self.inputs_per_call, middle)
            self.service.say_once(f"{self.model}: {self.inputs_per_call} texts a call, more are refused")
        return rows

    def _is_known(self, texts: Sequence[str], about: Mapping[str, Any], failed: Mapping[str, ServiceError]) -> bool:
        """Return True if the log tells what became of these texts, in one call or in halves of it."""
        ids = self.dialect.variants(self._call(texts, about))
        if self.log is not None and self.log.find(*ids) is not None:
            return True
        middle = _half(len(texts))
        if middle == 0:
            return not failed.keys().isdisjoint(ids)
        return all(self._is_known(part, about, failed) for part in (texts[:middle], texts[middle:]))

    def _require_length(self, text: str, about: Mapping[str, Any], error: ServiceError) -> None:
        """Raise InputError, with the size of a piece that succeeds, if a text fails because it is too long."""
        piece = text if _TOO_LONG.search(str(error)) else ""
        while len(piece) > SHORT:
            piece = piece[: len(piece) // 2]
            with suppress(ServiceError):
                self._send(self._call([piece], about))
                size = encoding("o200k_base").count(piece)  # as chunks are counted
                raise InputError(
                    f"{self.model} takes no text as long as {text[:20]!r}… ({str(error).rstrip('.')}), but {size} "
                    f"tokens are no problem: take --chunk-size {size}, and as --chunk-overlap at most a half."
                )

    def _call(self, texts: Sequence[str], about: Mapping[str, Any]) -> Exchange:
        """Return the call that embeds `texts`, with the stage and the tags that it is about."""
        request: dict[str, Any] = {"model": self.model, "input": list(texts), "encoding_format": "base64"}
        request |= self.options
        return Exchange(endpoint="embeddings", service=self.service.name, request=request, **about)

    def _send(self, call: Exchange) -> list[Row]:
        """Return the vectors of a call; say so if the server reads only a part of the texts. Raises ServiceError."""
        exchange = self.service.send(call, self.log, dialect=self.dialect, read=read_embeddings)
        counts = list(map(encoding("o200k_base").count, exchange.request["input"]))
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
    """Return the largest power of two below `number`, 0 for 1: such parts have the same borders in every run."""
    return int(1 << (number - 1).bit_length() >> 1)


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
