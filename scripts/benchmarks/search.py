"""Exact search over random unit vectors, one question and a batch of 64, and building, saving and opening the index.

One question is held against the time in which all cores read the matrix once (a dot product of each core's share with
itself), the least that exact search can take; a batch against faiss's flat index, which looks at every row too. Saving
and opening are held against writing (synced) and reading the same bytes. Cold means that the file has been dropped from
the page cache. Building and searching run in processes of their own, so that their peaks of memory are their own.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import Line, is_installed, peak, ratio, seconds
from minirag import Chunk, VectorStore

K = 10
QUESTIONS = 64
BLOCK = 1 << 22
MOST_IN_LISTS = 10_000
"""Rows of which the peers that keep Python lists are asked too."""
TEXT = "Basic net income per share is net income divided by the weighted average of the shares outstanding. " * 10
COLD = 3
"""Times that a file is dropped from the page cache and read again."""


class RandomVectors:
    """Stands for an embedding model."""

    model = "random"

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._dice = np.random.default_rng(0)

    def embed(self, texts: Sequence[str], **_: object) -> NDArray[np.float32]:
        return self._dice.standard_normal((len(texts), self._dimensions), np.float32)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", nargs="+", default=["10000x1536", "100000x1536"], metavar="ROWSxDIMENSIONS")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--folder", type=Path, help="where the indexes are for a while (default: the temporary one)")


def measure(options: argparse.Namespace) -> list[Line]:
    lines = []
    for size in options.sizes:
        rows, dimensions = map(int, size.split("x"))
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            for step in (build, search):
                with multiprocessing.get_context("spawn").Pool(1) as process:
                    found = process.apply(step, (Path(folder), rows, dimensions, options.repeats))
                lines += [Line(f"{size}: {what}", *rest) for what, *rest in found]
    return lines


def build(folder: Path, rows: int, dimensions: int, repeats: int) -> list[tuple]:
    """Build an index and save it in `folder`."""
    chunks = [Chunk(f"p{n}-{n:08x}", "made.txt", n, n, n + 1, 1, f"Chunk {n}. {TEXT}") for n in range(rows)]
    VectorStore.build(chunks[:256], RandomVectors(dimensions)).save(folder / "small")  # whatever is loaded once
    before = peak()
    store = VectorStore.build(chunks, RandomVectors(dimensions))
    built = peak()
    store.save(folder)
    saved = peak()
    lines = (folder / "chunks.jsonl").read_bytes()
    save, _ = ratio(
        lambda: store.save(folder), lambda: write(folder / "plain", lines, store.vectors), min(COLD, repeats)
    )
    (folder / "plain").unlink()
    size = store.vectors.nbytes
    return [
        ("memory of building", (built - before) / size, "x", f"the matrix, {size / 1e6:,.0f} MB", 1.15),
        ("memory of building and saving", (saved - before) / size, "x", "the matrix", 1.15),
        ("save", save, "x", "writing and syncing the same bytes"),
    ]


def search(folder: Path, rows: int, dimensions: int, repeats: int) -> list[tuple]:
    """Open and search the index in `folder`."""
    path = folder / "vectors.npy"
    queries = RandomVectors(dimensions).embed([""] * QUESTIONS)
    opened, found = [], []
    for _ in range(min(COLD, repeats)):
        both = [path, folder / "chunks.jsonl"]
        opened.append(cold(both, lambda: VectorStore.open(folder)) / cold(both, lambda files=both: read(files)))
        store = VectorStore.open(folder)
        took = cold([path], lambda index=store: index.search(queries[0], K))
        del store  # what is mapped cannot be dropped
        found.append(took / cold([path], lambda: read([path])))
    store = VectorStore.open(folder)
    questions = cycle(queries)
    with ThreadPoolExecutor(os.cpu_count()) as cores:
        one, limit = ratio(lambda: store.search(next(questions), K), reader(store.vectors, cores), repeats)
    batch, _ = ratio(
        lambda: store.search(queries, K), lambda: [store.search(query, K) for query in queries], max(3, repeats // 5)
    )
    lines = [
        ("open, cold", statistics.median(opened), "x", "reading both files, cold"),
        ("one question, cold", statistics.median(found), "x", "reading the file, cold"),
        ("one question", one, "x", f"reading the matrix with all cores, {1e3 * limit:.3g} ms", 1.2),
        (f"{QUESTIONS} questions at once", batch, "x", "one by one"),
    ]
    for what, ours, peer, theirs, reach in peers(store, queries):
        value, took = ratio(lambda given=ours: store.search(given, K), theirs, repeats)
        lines.append((what, value, "x", f"{peer}, {1e3 * took:.3g} ms", reach))
    return lines


def peers(store: VectorStore, queries: NDArray[np.float32]) -> Iterator[tuple]:
    """(what, our questions, peer, the peer's call, reach) of each peer that is installed and takes so many rows."""
    if is_installed("faiss"):
        import faiss

        index = faiss.IndexFlatIP(store.dimensions)
        for start in range(0, len(store), BLOCK // store.dimensions):
            index.add(np.ascontiguousarray(store.vectors[start : start + BLOCK // store.dimensions]))
        yield "one question", queries[0], "faiss flat", lambda: index.search(queries[:1], K), None
        yield f"{QUESTIONS} questions at once", queries, "faiss flat", lambda: index.search(queries, K), 0.2
    if len(store) > MOST_IN_LISTS:
        return
    if is_installed("llama_index.core"):
        yield "one question", queries[0], "LlamaIndex in memory", in_llama_index(store, queries[0].tolist()), None
    if is_installed("langchain_core"):
        yield "one question", queries[0], "LangChain in memory", in_langchain(store, queries[0].tolist()), None


def in_llama_index(store: VectorStore, query: list[float]) -> Callable[[], object]:
    from llama_index.core.schema import TextNode
    from llama_index.core.vector_stores import SimpleVectorStore, VectorStoreQuery

    index = SimpleVectorStore()
    pairs = zip(store.chunks, store.vectors, strict=True)
    index.add([TextNode(id_=chunk.id, text=chunk.text, embedding=vector.tolist()) for chunk, vector in pairs])
    return lambda: index.query(VectorStoreQuery(query_embedding=query, similarity_top_k=K))


def in_langchain(store: VectorStore, query: list[float]) -> Callable[[], object]:
    from langchain_core.embeddings import DeterministicFakeEmbedding
    from langchain_core.vectorstores import InMemoryVectorStore

    index = InMemoryVectorStore(DeterministicFakeEmbedding(size=store.dimensions))
    for chunk, vector in zip(store.chunks, store.vectors, strict=True):
        index.store[chunk.id] = {"id": chunk.id, "vector": vector.tolist(), "text": chunk.text, "metadata": {}}
    return lambda: index.similarity_search_by_vector(query, K)


def reader(matrix: NDArray[np.float32], cores: ThreadPoolExecutor) -> Callable[[], object]:
    """Reads a matrix once, a share in each core: the dot product of the share with itself."""
    shares = np.array_split(matrix.reshape(-1), os.cpu_count() or 1)
    return lambda: list(cores.map(lambda share: share @ share, shares))


def write(path: Path, lines: bytes, matrix: NDArray[np.float32]) -> None:
    with path.open("wb") as file:
        file.write(lines)
        file.flush()
        matrix.tofile(file)
        os.fsync(file.fileno())


def read(paths: Sequence[Path]) -> None:
    block = memoryview(bytearray(BLOCK))
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.readinto(block):
                pass


def cold(paths: Sequence[Path], call: Callable[[], object]) -> float:
    """How long a call takes with these files out of the page cache."""
    for path in paths:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return seconds(call)
