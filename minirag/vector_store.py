"""The index: chunks with one unit vector each, searched exactly by cosine, saved in a run folder and mapped from there.

Retrieval takes any `Store` and any `Embedder`: `PostgresVectorStore` is another store, `EmbeddingModel` embeds.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from minirag.chunker import Chunk
from minirag.errors import StoreError
from minirag.message_log import write_atomically, write_json, write_jsonl


class Embedder(Protocol):
    """What retrieval needs of an embedding model: one row of float32 per text, in order."""

    model: str

    def embed(self, texts: Sequence[str], *, tags: Mapping[str, Any] | None = None) -> NDArray[np.float32]: ...


class Hit(NamedTuple):
    """A retrieved chunk and its cosine with the question, in [-1, 1]."""

    chunk: Chunk
    score: float


class Store(Protocol):
    """What retrieval needs of an index; `where` restricts the search to the chunks for which it is true."""

    def __len__(self) -> int: ...

    def search(
        self, vectors: NDArray[np.float32], k: int, where: Callable[[Chunk], bool] | None = None
    ) -> list[list[Hit]]: ...


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
            raise StoreError(
                f"{model} gave vectors of shape {vectors.shape} for {len(chunks)} chunks; check the embedding model."
            )
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

    @property
    def dimensions(self) -> int:
        return int(self.vectors.shape[1])

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
        queries, k = unit_queries(vectors, self.dimensions), min(k, len(rows))
        if k < 1:
            return [[] for _ in queries]
        hits = []
        for query in queries:
            # A float32 score is off by at most d/2 · eps, so the best k are at most d · eps below the k-th such score.
            # Only these candidates are scored in float64, row by row: the result is the same on every machine.
            scores = (self.vectors @ query)[rows]
            kth = np.partition(scores, len(scores) - k)[len(scores) - k]
            candidates = rows[scores >= kth - self.dimensions * np.finfo(np.float32).eps]
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
        raise StoreError(
            f"A question's vector has {queries.shape[1]} dimensions and the index {dimensions}: "
            "use the model that made the index."
        )
    norms = np.linalg.norm(queries, axis=1, keepdims=True)
    return (queries / np.where(norms > 0, norms, 1)).astype(np.float32)
