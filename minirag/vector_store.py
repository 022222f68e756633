"""Row 4. The chunks and one unit-length vector each: exact cosine search in memory or straight from the disk."""

import hashlib
import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from minirag.chunker import Chunk
from minirag.errors import StoreError
from minirag.files import write_atomically, write_json
from minirag.models import Embedder
from minirag.pool import in_order
from minirag.redact import without_keys

BATCH = 256
"""Chunks that a model is given at a time, some calls' worth; and vectors of which a copy is made at a time."""
PAIRS = 64
"""Pairs of a row and a question that are multiplied at a time: what they take is in the processor's cache."""
BLOCK = 1 << 22
"""Scores held at once: a batch of questions against a huge matrix is worked off in blocks of rows."""
GROUPS = 32
"""Groups of rows for each hit that is asked for: hardly two of the best rows are in the same."""
UNIT_ROUNDOFF = 2.0**-24
"""Of float32: a sum of d products of unit vectors is off by at most d of these, in whatever order it is added up."""

LONGEST_HEADER = 1024
_HEADER_START = 10
_HEADER = re.compile(
    rb"\x93NUMPY\x01\0(?P<length>..)"
    rb"\{'descr': '<f4', 'fortran_order': False, 'shape': \((?P<rows>\d{1,12}), (?P<columns>\d{1,9})\), \} *\n",
    re.DOTALL,
)
"""What numpy writes before float32 rows; its own reader takes far more, and evaluates it."""


class Hit(NamedTuple):
    """A chunk and its cosine with the question, in [-1, 1]."""

    chunk: Chunk
    score: float


class Store(Protocol):
    """What retrieval asks of an index, wherever it is kept."""

    @property
    def chunks(self) -> Sequence[Chunk]: ...

    @property
    def dimensions(self) -> int: ...

    def __len__(self) -> int: ...

    def search(
        self, vectors: NDArray[np.float32], k: int, where: Callable[[Chunk], bool] | None = None
    ) -> list[list[Hit]]: ...


class VectorStore:
    """Chunks and their vectors, float32 of shape (n, dimensions), each of unit length.

    `model` is whom the vectors come from, and `cut_from` says of what the chunks were made, where the caller knows.
    Vectors of another length are copied and normalised. Raises StoreError if they are not as many as the chunks,
    or if one is zero or not a finite number.

    >>> import numpy as np
    >>> chunks = [Chunk("p1-a", "a.txt", 1, 0, 3, 1, "Cat"), Chunk("p1-b", "a.txt", 1, 3, 6, 1, "Dog")]
    >>> store = VectorStore(chunks, np.array([[2.0, 0.0], [3.0, 4.0]], np.float32), "my-embedding")
    >>> [(hit.chunk.text, round(hit.score, 3)) for hit in store.search(np.array([1.0, 0.0]), k=2)[0]]
    [('Cat', 1.0), ('Dog', 0.6)]
    """

    def __init__(
        self, chunks: Sequence[Chunk], vectors: NDArray[np.float32], model: str, cut_from: str | None = None
    ) -> None:
        if vectors.ndim != 2 or len(vectors) != len(chunks):
            raise StoreError(f"{len(chunks)} chunks need as many vectors, but their array is {vectors.shape}.")
        # A mapped array was saved by a store: to look at all of it again would read it all from the disk.
        if not isinstance(vectors, np.memmap) and not _are_unit(vectors):
            vectors = np.array(vectors, np.float32, order="C")
            for start in range(0, len(chunks), BATCH):
                _normalise(vectors[start : start + BATCH], chunks[start : start + BATCH])
        self.chunks = chunks
        self.vectors = vectors
        self.model = model
        self.cut_from = cut_from

    @property
    def dimensions(self) -> int:
        """Numbers per vector."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.chunks)

    @classmethod
    def build(cls, chunks: Sequence[Chunk], embed: Embedder, *, batch: int = BATCH) -> "VectorStore":
        """Embed the chunks, `batch` at a time, into one matrix; nothing of its size is ever copied.

        Raises StoreError if there is no chunk, or if the vectors of a batch are not as many as its chunks, differ
        in length from the others, are zero or not finite.
        """
        if not chunks:
            raise StoreError("There is no chunk to index; the documents hold no text.")
        matrix: NDArray[np.float32] | None = None
        for start, rows in embedded(chunks, embed, batch):
            if matrix is None:
                matrix = np.empty((len(chunks), rows.shape[1]), np.float32)
            matrix[start : start + len(rows)] = rows
        assert matrix is not None
        return cls(chunks, matrix, embed.model)

    def search(
        self,
        vectors: NDArray[np.float32],
        k: int,
        where: Callable[[Chunk], bool] | None = None,
    ) -> list[list[Hit]]:
        """The `k` nearest chunks of each row of `vectors` (shape (q, d) or (d,)), best first; one list a row.

        Only chunks for which `where` is true are looked at. Equal scores keep the chunks' order. A vector of zeros
        scores 0 everywhere. Raises StoreError for other dimensions than the index has, and for NaN or infinity.
        """
        queries = unit_queries(vectors, self.dimensions)
        if k < 1:
            return [[] for _ in queries]
        allowed = None if where is None else np.array([where(chunk) for chunk in self.chunks], bool)
        return [[Hit(self.chunks[row], score) for score, row in found] for found in self._nearest(queries, k, allowed)]

    def _nearest(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None
    ) -> list[list[tuple[float, int]]]:
        """Score and row of the `k` best of each query.

        A matrix product finds the rows that rounding leaves in question, and those alone are scored exactly: so a
        question's hits depend neither on the others asked with it nor on how the product was computed.
        """
        best: list[list[tuple[float, int]]] = [[] for _ in queries]
        slack = 2 * self.dimensions * UNIT_ROUNDOFF
        step = max(1, BLOCK // max(1, len(queries)))
        for start in range(0, len(self), step):
            scores = self.vectors[start : start + step] @ queries.T
            if not np.isfinite(scores).all():
                raise StoreError("vectors.npy holds NaN or infinity; build the index again.")
            if allowed is not None:
                scores[~allowed[start : start + step]] = -np.inf
            least = np.array([found[-1][0] if len(found) == k else -1.0 for found in best])
            near = scores >= (np.maximum(least, _reached(scores, k)) - slack).astype(np.float32)
            rows, which = np.divmod(np.flatnonzero(near), len(queries))  # in a twentieth of the time of np.nonzero
            for query, row, score in zip(which, rows + start, self._cosines(rows + start, queries[which]), strict=True):
                best[query].append((float(score), int(row)))
            for found in best:
                found.sort(key=lambda pair: (-pair[0], pair[1]))
                del found[k:]
        return best

    def _cosines(self, rows: NDArray[np.intp], queries: NDArray[np.float32]) -> NDArray[np.float64]:
        """The scores of pairs of rows and queries, each added up in double precision whatever the others are."""
        scores = np.empty(len(rows))
        for start in range(0, len(rows), PAIRS):
            part = slice(start, start + PAIRS)
            np.sum(self.vectors[rows[part]] * queries[part].astype(np.float64), axis=1, out=scores[part])
        return scores.clip(-1, 1)  # rounding can pass 1 by a hair

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `chunks.jsonl`, `vectors.npy` and, last, `index.json`, which vouches for the other two."""
        path = Path(folder)
        with suppress(FileNotFoundError):  # a crash between the files must not leave an index that vouches for a mix
            (path / "index.json").unlink()
        digest = hashlib.sha256()

        def write_chunks(stream: BinaryIO) -> None:
            for lines in _lines(self.chunks):
                digest.update(lines)
                stream.write(lines)

        def write_vectors(stream: BinaryIO) -> None:
            np.save(stream, np.ascontiguousarray(self.vectors), allow_pickle=False)

        with ThreadPoolExecutor(2) as beside:  # numbers are written and summed up while text is made into JSON
            written = beside.submit(write_atomically, path / "vectors.npy", write_vectors)
            checksum = beside.submit(_checksum, self.vectors)
            write_atomically(path / "chunks.jsonl", write_chunks)
            written.result()
        facts = {
            "model": self.model,
            "dimensions": self.dimensions,
            "count": len(self),
            "chunks_sha256": digest.hexdigest(),
            "vectors_crc32": checksum.result(),
            "cut_from": self.cut_from,
        }
        write_json(path / "index.json", facts)

    @classmethod
    def open(cls, folder: str | os.PathLike[str], model: str | None = None, *, verify: bool = True) -> "VectorStore":
        """The store in `folder`, its vectors mapped from the disk. Raises StoreError unless all of it fits together.

        Nothing is mapped before hash, model, shape, type and size are what they must be; nothing is ever unpickled.
        `verify=False` does not read the vectors to compare their checksum, which takes a second for some gigabytes.
        """
        path = Path(folder)
        try:
            facts = json.loads((path / "index.json").read_bytes())
            count, dimensions, digest, made_by = (facts[k] for k in ("count", "dimensions", "chunks_sha256", "model"))
            checksum, cut_from = facts["vectors_crc32"], facts.get("cut_from")
            with (path / "vectors.npy").open("rb") as file, ThreadPoolExecutor(1) as beside:
                start = _start_of_rows(file, (count, dimensions))
                read = beside.submit(_checksum_of_rest, file) if verify else None
                lines = (path / "chunks.jsonl").read_bytes()
                texts = (str(line, "utf-8", "surrogatepass") for line in lines.splitlines())
                chunks = [Chunk.from_json(json.loads(text)) for text in texts]
                found = checksum if read is None else read.result()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError) as error:
            raise StoreError(f"There is no usable index in {path} ({type(error).__name__}); build it again.") from error
        if not isinstance(made_by, str) or (model is not None and made_by != model):
            raise StoreError(f"The index in {path} was made by {made_by!r:.80}, not by {model!r}; build it again.")
        if digest != hashlib.sha256(lines).hexdigest() or len(chunks) != count:
            raise StoreError(f"chunks.jsonl in {path} is not the one that was indexed; build the index again.")
        if start is None:
            raise StoreError(f"vectors.npy in {path} is not the array that was saved; build the index again.")
        if found != checksum:
            raise StoreError(f"vectors.npy in {path} is damaged (its checksum does not match); build the index again.")
        vectors = np.memmap(path / "vectors.npy", np.float32, "r", start, (count, dimensions))
        return cls(chunks, vectors, made_by, cut_from if isinstance(cut_from, str) else None)


def embedded(
    chunks: Sequence[Chunk], embed: Embedder, batch: int = BATCH, start: int = 0, dimensions: int | None = None
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """(position of the first, vectors) of the chunks from `start` on, `batch` at a time: unit float32 rows.

    Raises StoreError if they are not as many as the chunks, not all of one length (`dimensions`, if given), or if one
    is zero or not finite.
    """
    starts = range(start, len(chunks), batch)
    parts = [chunks[first : first + batch] for first in starts]

    def given(part: Sequence[Chunk]) -> NDArray[np.float32]:
        return embed.embed([chunk.text for chunk in part], tags={"for": "index"}, keep=False)

    # in a pool: every part is asked for, even where the first has to wait for its reply
    for first, part, vectors in zip(starts, parts, in_order(given, parts, 1), strict=True):
        rows = np.array(vectors, np.float32, order="C")
        if rows.ndim != 2 or len(rows) != len(part) or dimensions not in {None, rows.shape[1]}:
            raise StoreError(
                f"{embed.model} gave vectors of shape {rows.shape} for the {len(part)} chunks from {part[0].id} "
                "on; check the embedding model."
            )
        dimensions = rows.shape[1]
        _normalise(rows, part)
        yield first, rows


def unit_queries(vectors: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """Questions' vectors, shape (q, d) or (d,), as unit rows of shape (q, d); zeros stay zeros. Raises StoreError."""
    given = np.atleast_2d(np.asarray(vectors, np.float64))
    if given.ndim != 2 or given.shape[1] != dimensions:
        raise StoreError(
            f"A question's vector has {given.shape[-1]} dimensions and the index {dimensions}: "
            "use the model that made the index."
        )
    if not np.isfinite(given).all():
        raise StoreError("A question's vector holds NaN or infinity; check the embedding model.")
    norms = np.linalg.norm(given, axis=1, keepdims=True)
    return (given / np.where(norms > 0, norms, 1)).astype(np.float32)


def chunks_digest(chunks: Iterable[Chunk]) -> str:
    """The sha256 of the `chunks.jsonl` that these chunks make, which stands in `index.json`."""
    digest = hashlib.sha256()
    for line in _lines(chunks):
        digest.update(line)
    return digest.hexdigest()


def _lines(chunks: Iterable[Chunk]) -> Iterator[bytes]:
    """The lines of `chunks.jsonl`, many at a time."""
    encode, rest = json.JSONEncoder(ensure_ascii=False).encode, iter(chunks)
    while part := [encode(chunk.to_json()) for chunk in islice(rest, BATCH)]:
        yield without_keys("\n".join([*part, ""]).encode("utf-8", "surrogatepass"))


def _start_of_rows(file: BinaryIO, shape: tuple[int, int]) -> int | None:
    """Where the rows of an array file begin that holds exactly float32 rows of `shape`; None for any other."""
    header = _HEADER.match(file.read(LONGEST_HEADER))
    if header is None or 0 in shape or (int(header["rows"]), int(header["columns"])) != shape:
        return None
    start, size = header.end(), os.fstat(file.fileno()).st_size
    told = _HEADER_START + int.from_bytes(header["length"], "little")
    return file.seek(start) if start == told and size - start == shape[0] * shape[1] * 4 else None


def _checksum_of_rest(file: BinaryIO) -> int:
    """CRC-32 of what is left of a file, read some megabytes at a time."""
    crc = 0
    while block := file.read(BLOCK):
        crc = zlib.crc32(block, crc)
    return crc


def _checksum(vectors: NDArray[np.float32]) -> int:
    """CRC-32 of the rows' bytes, read some megabytes at a time."""
    crc, step = 0, max(1, BLOCK // max(1, vectors.shape[1]))
    for start in range(0, len(vectors), step):
        crc = zlib.crc32(np.ascontiguousarray(vectors[start : start + step]).data, crc)
    return crc


def _are_unit(rows: NDArray[np.float32]) -> bool:
    squares = np.einsum("ij,ij->i", rows, rows)
    return rows.dtype == np.float32 and rows.flags.c_contiguous and bool(np.all(np.abs(squares - 1) < 1e-4))


def _normalise(rows: NDArray[np.float32], chunks: Sequence[Chunk]) -> None:
    """Make each row unit length, in place."""
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    bad = np.flatnonzero(~(np.isfinite(norms[:, 0]) & (norms[:, 0] > 0)))
    if len(bad):
        raise StoreError(f"The vector of chunk {chunks[bad[0]].id} is zero or not finite; check the embedding model.")
    np.divide(rows, norms, out=rows, casting="same_kind")


def _reached(scores: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """For each column a value that at least `k` of its rows reach, and few more; shape (q,).

    It is the k-th largest of the maxima of many groups of rows, which are found faster than the k-th largest row.
    """
    groups = min(len(scores), GROUPS * k)
    if groups < k:
        return np.full(scores.shape[1], -1, np.float32)
    whole = scores[: len(scores) // groups * groups]
    maxima = whole.reshape(-1, groups, scores.shape[1]).max(axis=0)
    reached: NDArray[np.float32] = np.partition(maxima, groups - k, axis=0)[groups - k]
    return reached
