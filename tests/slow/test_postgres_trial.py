"""The figures of minirag/postgres/README.md: an index in PostgreSQL beside the exact store, printed with `pytest -s`.

The variable CHUNKS sets another size than 50,000.
"""

import os
import time

import numpy as np

from minirag.chunker import Chunk
from minirag.postgres import PostgresVectorStore
from minirag.vector_store import VectorStore

CHUNKS = int(os.environ.get("CHUNKS", "50000"))
DIMENSIONS, QUESTIONS = 512, 200


class Drawn:
    """An embedding model: the number that a text begins with gives its vector, near a topic as in real texts.

    There are CHUNKS / 50 topics, in 24 directions of the space.
    """

    model = "drawn"

    def __init__(self):
        dice = np.random.default_rng(1)
        self.topics = dice.normal(size=(CHUNKS // 50, 24)).astype(np.float32)
        self.lift = dice.normal(size=(24, DIMENSIONS)).astype(np.float32)

    def embed(self, texts, *, tags=None):
        dice = [np.random.default_rng(int(text.split()[0])) for text in texts]
        topics = [self.topics[d.integers(len(self.topics))] for d in dice]
        return ((topics + 0.5 * np.array([d.normal(size=24) for d in dice])) @ self.lift).astype(np.float32)


def chunks_of(count):
    text = "amber basalt cedar delta ember fjord garnet harbour " * 20
    texts = [f"{n} {text}"[:1000] for n in range(count)]
    return [Chunk(f"p{n}-x", "a.txt", n, n * 1000, n * 1000 + 1000, 250, text) for n, text in enumerate(texts)]


def searches(store, questions):
    """The ids that `store` finds for each question, and milliseconds a search."""
    started = time.perf_counter()
    found = [[hit.chunk.id for hit in store.search(question, 10)[0]] for question in questions]
    return found, 1000 * (time.perf_counter() - started) / len(questions)


def test_exact_search_is_that_of_the_exact_store_and_HNSW_finds_99_of_100(postgres):
    chunks = chunks_of(CHUNKS)
    questions = Drawn().embed([str(CHUNKS + n) for n in range(QUESTIONS)])
    exact, milliseconds = searches(VectorStore.build(chunks, Drawn()), questions)
    print(f"\nfolder: {milliseconds:.1f} ms a search")
    with PostgresVectorStore(postgres, name="trial") as store:
        started = time.perf_counter()
        store.build(chunks, Drawn())
        print(f"PostgreSQL: built in {time.perf_counter() - started:.1f} s")
        found, milliseconds = searches(store, questions)
        print(f"PostgreSQL, exact: {milliseconds:.1f} ms a search")
        assert found == exact
        for ef_search in (40, 100, 200):
            started = time.perf_counter()
            with PostgresVectorStore(postgres, name="trial", ef_search=ef_search).build(chunks, Drawn()) as near:
                seconds = time.perf_counter() - started
                found, milliseconds = searches(near, questions)
            recall = np.mean([len({*a} & {*b}) / 10 for a, b in zip(found, exact, strict=True)])
            print(
                f"HNSW, ef_search {ef_search}: built in {seconds:.1f} s, {milliseconds:.1f} ms, recall@10 {recall:.4f}"
            )
            assert recall > 0.99
        store.drop()
