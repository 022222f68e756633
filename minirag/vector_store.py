"""Texts become vectors, and vectors an index: `EmbeddingModel`, and `VectorStore` with exact search by cosine.

A call to embed that fails is divided until its parts succeed. So a service's limit of texts or tokens a call is found
out, and a single text that always fails is named and holds nothing else up. Retrieval takes any `Embedder` and any
`Store`: `PostgresVectorStore` is another one.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minirag.chunker import Chunk
from minirag.errors import TOO_LONG, BadReply, InputError, ServiceError, ServiceRefused, StoreError, TextsRefused
from minirag.message_log import Exchange, MessageLog, write_atomically, write_json, write_jsonl
from minirag.models import Embedder, Hit, read_embeddings, vectors_of
from minirag.retry import in_order
from minirag.service import Service
from minirag.text import encoding

if TYPE_CHECKING:
    from openai import OpenAI

INPUTS_PER_CALL, SIZE_PER_CALL = 256, 200_000
"""Texts, and characters or two thirds of the tokens: OpenAI takes 2,048 texts and 300,000 tokens."""
Row = NDArray[np.float32] | ServiceError
"""The vector of a text, or why it has none."""


class EmbeddingModel:
    """An embedding model. `embed(texts)` returns float32 rows of shape (len(texts), dimensions), in their order.

    `prefix` is put before each text, for models that want passages or queries marked; at most `workers` calls of one
    `embed` are in flight. `progress` hears what the texts are for (the tag "for"), how many are done, and how many
    there are. The other arguments are those of `ChatModel`. `inputs_per_call` is the most texts that the service takes.
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
        self.dialect = self.service.dialect(model, log)
        self.inputs_per_call = INPUTS_PER_CALL
        self._failed: dict[str, ServiceError] = {}  # by the ids of calls that failed in earlier runs for their texts
        self._rescued: dict[str, NDArray[np.float32]] = {}  # vectors of texts that were embedded beside a refused one
        self._recall()

    def _recall(self) -> None:
        """Learn from the log which calls have failed for their texts, and how many texts a call may have."""
        kind, own = attrgetter("endpoint", "service", "model"), ("embeddings", self.service.name, self.model)
        failures = [] if self.log is None else [call for call in self.log.failures if kind(call) == own]
        exchanges = self.log if self.log is not None and failures else ()
        embedded = [call.request["input"] for call in exchanges if kind(call) == own and call.error is None]
        texts = {text for batch in embedded for text in batch}
        for failed in failures:
            error, batch = ServiceError.from_json(failed.error or {}), failed.request["input"]
            # not for want of a connection, key, quota or model, for a rate limit or an outage
            if isinstance(error, BadReply) or error.status not in (None, 401, 402, 404, 429, 502, 503):
                self._failed[failed.id] = error
            if len(batch) > 1 and batch not in embedded and texts.issuperset(batch):  # its parts have succeeded
                self.inputs_per_call = min(self.inputs_per_call, _half(len(batch)))

    def embed(
        self, texts: Sequence[str], *, stage: str = "embed", tags: Mapping[str, Any] | None = None
    ) -> NDArray[np.float32]:
        """Return the vectors of `texts`, as many a call as the service takes, from the log if they are there.

        Raises TextsRefused once all others are embedded if some texts always fail; the vectors of the others are then
        kept, so that asking for these alone sends nothing. Raises InputError if the texts are longer than the model
        takes, ServiceError, and BadReply for vectors that are missing, uneven, or no numbers.
        """
        if self._rescued and all(text in self._rescued for text in texts):
            return np.stack([self._rescued[text] for text in texts])
        rows: list[Row] = []

        def batch_rows(batch: Sequence[str]) -> list[Row]:
            own = self._rows(batch, stage, tags or {}, self._failed)
            if self._failed and all(isinstance(row, ServiceError) for row in own):
                return self._rows(batch, stage, tags or {}, {})  # it may have been the service's fault
            return own

        for part in in_order(batch_rows, _batches([self.prefix + text for text in texts]), self.workers):
            rows += part
            if tags and "for" in tags:
                self.progress(tags["for"], len(rows), len(texts))
        refused = {text: row for text, row in zip(texts, rows, strict=True) if isinstance(row, ServiceError)}
        good = {text: row for text, row in zip(texts, rows, strict=True) if not isinstance(row, ServiceError)}
        if refused and not good:
            raise next(iter(refused.values()))
        if len({len(row) for row in good.values()}) > 1:
            raise BadReply(f"{self.service.address} returned vectors of different lengths for one model.")
        if refused:
            self._rescued |= good
            raise TextsRefused(self.model, refused)
        return np.stack([good[text] for text in texts]) if texts else np.empty((0, 0), np.float32)

    def _rows(
        self, texts: Sequence[str], stage: str, tags: Mapping[str, Any], failed: Mapping[str, ServiceError]
    ) -> list[Row]:
        """Return the vector of each text, or why it has none: in one call, or after a failure in halves of it.

        A call that has `failed` in an earlier run is not sent again.
        """
        request = {"model": self.model, "input": list(texts), "encoding_format": "base64", **self.options}
        call = Exchange(stage, "embeddings", self.service.name, request, tags=tags)
        ids = self.dialect.variants(call)
        is_in_log = self.log is not None and self.log.find(*ids) is not None
        error = next((failed[id] for id in ids if id in failed), None)
        if is_in_log or (error is None and len(texts) <= self.inputs_per_call):
            try:
                return self._send(call)
            except ServiceError as refused:
                # no other call would fare better: a refusal, a rate limit, an outage
                if isinstance(refused, ServiceRefused) or refused.status in (429, 502, 503):
                    raise
                error = refused
        if error is not None and len(texts) == 1:
            self._require_length(call, error)
            return [error]
        middle = _half(len(texts))
        rows = [row for part in (texts[:middle], texts[middle:]) for row in self._rows(part, stage, tags, failed)]
        is_limit = error is not None and not any(isinstance(row, ServiceError) for row in rows)
        if is_limit:  # it was no single text's fault
            self.inputs_per_call = min(self.inputs_per_call, middle)
            self.service.say_once(f"{self.model}: {self.inputs_per_call} texts a call, more are refused")
        return rows

    def _require_length(self, call: Exchange, error: ServiceError) -> None:
        """Raise InputError, with the size of a piece that succeeds, if a text fails because it is too long."""
        [text] = call.request["input"]
        piece = text if TOO_LONG.search(str(error)) else ""
        while len(piece) > 50:  # any model takes as many characters
            piece = piece[: len(piece) // 2]
            with suppress(ServiceError):
                self._send(replace(call, request={**call.request, "input": [piece]}, id=""))
                size = encoding("o200k_base").count(piece)  # as chunks are counted
                raise InputError(
                    f"{self.model} takes no text as long as {text[:20]!r}… ({str(error).rstrip('.')}), but {size} "
                    f"tokens are no problem: take --chunk-size {size}, and as --chunk-overlap at most a half."
                )

    def _send(self, call: Exchange) -> list[Row]:
        """Return the vectors of a call; say so if the server reads only a part of the texts. Raises ServiceError."""
        exchange = self.service.send(call, self.log, dialect=self.dialect, read=read_embeddings)
        read, tokens = exchange.usage.get("prompt_tokens"), map(encoding("o200k_base").count, call.request["input"])
        if isinstance(read, int) and 0 < read < sum(tokens) / 2:
            self.service.say_once(
                f"warning: {self.model} reads only the beginning of long texts; take a smaller --chunk-size, or give "
                "its server a longer context (Ollama: OLLAMA_CONTEXT_LENGTH or num_ctx), and start in a new folder"
            )
        return [*vectors_of(exchange.response or {}, len(call.request["input"]))]


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the texts in runs of as many as one call takes; other runs than before would be paid for again."""
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


class VectorStore:
    """Chunks and their vectors, float32 of shape (n, dimensions), unit length; `model` made the vectors.

    Vectors that are not of unit length are normalised in a copy. Raises StoreError if their number is not that of the
    chunks, or if one is zero or not finite.

    >>> import numpy as np
    >>> chunks = [Chunk("p1-a", "a.txt", 1, 0, 3, 1, "Cat"), Chunk("p1-b", "a.txt", 1, 3, 6, 1, "Dog")]
    >>> store = VectorStore(chunks, np.array([[2.0, 0.0], [3.0, 4.0]], np.float32), "my-embedding")
    >>> [(hit.chunk.text, round(hit.score, 3)) for hit in store.search(np.array([1.0, 0.0]), k=2)[0]]
    [('Cat', 1.0), ('Dog', 0.6)]
    """

    def __init__(self, chunks: Sequence[Chunk], vectors: NDArray[np.float32], model: str) -> None:
        if vectors.ndim != 2 or len(vectors) != len(chunks):
            shapes = f"vectors of shape {vectors.shape} for {len(chunks)} chunks"
            raise StoreError(f"{model} gave {shapes}; check the embedding model.")
        squares = np.einsum("ij,ij->i", vectors, vectors)
        if vectors.dtype != np.float32 or not np.all(np.abs(squares - 1) < 1e-4):
            norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
            if unusable := np.flatnonzero(~((norms > 0) & (norms < np.inf))).tolist():
                id = chunks[unusable[0]].id
                raise StoreError(f"The vector of chunk {id} is zero or not finite; check the embedding model.")
            vectors = (vectors / norms).astype(np.float32)
        self.chunks = chunks
        self.vectors = vectors
        self.model = model

    def __len__(self) -> int:
        return len(self.chunks)

    @classmethod
    def build(cls, chunks: Sequence[Chunk], embed: Embedder, *, model: str | None = None) -> "VectorStore":
        """Embed the chunks; `model` is recorded as the maker of the vectors instead of `embed.model`.

        Raises StoreError if there are no chunks, or if their vectors cannot be used.
        """
        if not chunks:
            raise StoreError("There is no chunk to index; the documents hold no text.")
        return cls(chunks, embed.embed([chunk.text for chunk in chunks], tags={"for": "index"}), model or embed.model)

    def search(
        self, vectors: NDArray[np.float32], k: int, where: Callable[[Chunk], bool] | None = None
    ) -> list[list[Hit]]:
        """Return, for each row of `vectors` (shape (q, d) or (d,)), its `k` nearest chunks, best first.

        Equal scores keep the order of the chunks; a zero vector scores 0 everywhere. Raises StoreError for another
        number of dimensions than the index has.
        """
        rows = np.arange(len(self)) if where is None else np.flatnonzero([where(chunk) for chunk in self.chunks])
        queries, k = unit_queries(vectors, self.vectors.shape[1]), min(k, len(rows))
        if k < 1:
            return [[] for _ in queries]
        hits = []
        for query in queries:
            # A float32 score is off by at most d/2 · eps, so the best k are at most d · eps below the k-th such score.
            # Only these candidates are scored in float64, row by row: the result is the same on every machine.
            scores = (self.vectors @ query)[rows]
            kth = np.partition(scores, len(scores) - k)[len(scores) - k]
            candidates = rows[scores >= kth - query.size * np.finfo(np.float32).eps]
            exact = [float(np.sum(self.vectors[row] * query.astype(np.float64))) for row in candidates]
            best = sorted(zip(exact, candidates, strict=True), key=lambda pair: (-pair[0], pair[1]))[:k]
            hits.append([Hit(self.chunks[row], min(1.0, max(-1.0, score))) for score, row in best])
        return hits

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `chunks.jsonl`, `vectors.npy` and, last, `index.json`, which names the model."""
        path = Path(folder)
        (path / "index.json").unlink(missing_ok=True)  # a crash must not leave it beside other files than its own
        write_jsonl(path / "chunks.jsonl", map(asdict, self.chunks))
        write_atomically(path / "vectors.npy", lambda file: np.save(file, self.vectors, allow_pickle=False))
        write_json(path / "index.json", {"model": self.model})

    @classmethod
    def open(cls, folder: str | os.PathLike[str], model: str | None = None) -> "VectorStore":
        """Return the store in `folder`, its vectors mapped from the disk.

        Raises StoreError if the files are missing or damaged, or if another model than `model` made the vectors.
        """
        path = Path(folder)
        try:
            made_by = json.loads((path / "index.json").read_bytes())["model"]
            chunks = [Chunk(**json.loads(line)) for line in (path / "chunks.jsonl").read_bytes().splitlines()]
            store = cls(chunks, np.load(path / "vectors.npy", mmap_mode="r", allow_pickle=False), made_by)
        except Exception as error:  # damaged files raise whatever their parsers do
            raise StoreError(f"There is no usable index in {path} ({error!r:.100}); build it again.") from error
        if model is not None and made_by != model:
            raise StoreError(f"The index in {path} was made by {made_by!r:.80}, not by {model!r}; build it again.")
        return store


def unit_queries(vectors: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """Return questions' vectors, shape (q, d) or (d,), as unit rows (q, d); zeros stay zeros. Raises StoreError."""
    queries = np.atleast_2d(np.asarray(vectors, np.float64))
    if queries.shape[1] != dimensions:
        text = f"A question's vector has {queries.shape[1]} dimensions and the index {dimensions}"
        raise StoreError(f"{text}: use the model that made the index.")
    norms = np.linalg.norm(queries, axis=1, keepdims=True)
    return (queries / np.where(norms > 0, norms, 1)).astype(np.float32)
