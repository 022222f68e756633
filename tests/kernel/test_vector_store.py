"""The index: exact search against a naive double loop, and every way in which files can be wrong."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from doubles import Rows
from minirag.chunker import Chunk
from minirag.errors import StoreError
from minirag.vector_store import VectorStore


def chunks_of(n):
    return [Chunk(f"p{i}-x", "a.txt", i, i, i + 1, 1, chr(97 + i % 26)) for i in range(n)]


def naive(matrix, query, k, kept):
    """(row, cosine) of the k nearest rows, by a double loop in double precision."""
    scored = []
    for row in range(len(matrix)):
        if row in kept:
            dot = math.fsum(float(a) * float(b) for a, b in zip(matrix[row], query, strict=True))
            lengths = math.dist(matrix[row], [0] * len(query)) * math.dist(query, [0] * len(query))
            scored.append((-dot / lengths, row))
    return [(row, -score) for score, row in sorted(scored)[:k]]


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 9), st.integers(0, 50))
def test_search_is_the_naive_double_loop(seed, n, d, k):
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(n, d)).astype(np.float32) * random.lognormal(size=(n, 1)).astype(np.float32)
    queries = random.normal(size=(3, d)).astype(np.float32)
    kept = set(np.flatnonzero(random.random(n) < 0.7).tolist())
    store = VectorStore.build(chunks_of(n), Rows(lambda _: matrix))
    for where, rows in [(None, set(range(n))), (lambda chunk: chunk.page in kept, kept)]:
        for query, hits in zip(queries, store.search(queries, k, where), strict=True):
            expected = naive(matrix, query, k, rows)
            assert [hit.score for hit in hits] == pytest.approx([score for _, score in expected], abs=1e-5)
            true = dict(naive(matrix, query, n, rows))
            assert [true[hit.chunk.page] for hit in hits] == pytest.approx([hit.score for hit in hits], abs=1e-5)
            assert len({hit.chunk for hit in hits}) == len(hits)


def test_equal_scores_keep_the_order_of_the_chunks():
    store = VectorStore(chunks_of(9), np.tile(np.float32([[0.6, 0.8]]), (9, 1)), "m")
    assert [hit.chunk.page for hit in store.search(np.array([1.0, 0.0]), 4)[0]] == [0, 1, 2, 3]


def test_rows_that_single_precision_cannot_tell_apart_are_ordered_by_their_true_cosines():
    angles = 0.7 + 1e-7 * np.random.default_rng(5).permutation(200)
    store = VectorStore(chunks_of(200), np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32), "m")
    query = np.float32([1, 0])
    expected = sorted(range(200), key=lambda row: (-float(store.vectors[row] @ query.astype(float)), row))
    assert [hit.chunk.page for hit in store.search(query, 20)[0]] == expected[:20]


def test_no_chunk_left_or_asked_for_gives_no_hit():
    store = VectorStore(chunks_of(2), np.eye(2, dtype=np.float32), "m")
    assert store.search(np.array([1.0, 0.0]), 3, lambda _: False) == [[]]
    assert store.search(np.array([1.0, 0.0]), 0) == [[]]
    assert [hit.score for hit in store.search(np.zeros(2), 3)[0]] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("chunks", "matrix", "sentence"),
    [
        ([], np.eye(2), "There is no chunk to index"),
        (chunks_of(4), np.ones((3, 2)), r"rows gave vectors of shape \(3, 2\) for 4 chunks; check the embedding model"),
        (chunks_of(2), np.ones(2), r"rows gave vectors of shape \(2,\)"),
        (chunks_of(2), np.array([[1, 0], [0, 0]]), "The vector of chunk p1-x is zero or not finite"),
        (chunks_of(2), np.array([[1, 0], [math.nan, 1]]), "The vector of chunk p1-x is zero or not finite"),
    ],
)
def test_vectors_that_cannot_be_used_are_refused(chunks, matrix, sentence):
    with pytest.raises(StoreError, match=sentence):
        VectorStore.build(chunks, Rows(lambda _: matrix))


def test_a_question_of_another_model_is_refused():
    store = VectorStore(chunks_of(2), np.eye(2, dtype=np.float32), "m")
    with pytest.raises(StoreError, match="A question's vector has 3 dimensions and the index 2"):
        store.search(np.ones(3), 1)


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(3)
    VectorStore.build(chunks_of(40), Rows(lambda _: random.normal(size=(40, 5)))).save(tmp_path / "run")
    return tmp_path / "run"


def test_a_saved_store_is_mapped_and_finds_the_same(folder, tmp_path):
    store = VectorStore.open(folder, model="rows")
    assert (store.vectors.shape, store.model) == ((40, 5), "rows")
    assert isinstance(store.vectors, np.memmap)
    assert store.chunks == chunks_of(40)
    assert np.allclose(np.linalg.norm(store.vectors, axis=1), 1)
    store.save(folder)  # over the very file that it maps
    store.save(tmp_path / "copy")
    query = np.arange(5.0)
    assert VectorStore.open(tmp_path / "copy").search(query, 7) == store.search(query, 7)
    assert sorted(path.name for path in folder.iterdir()) == ["chunks.jsonl", "index.json", "vectors.npy"]
    with pytest.raises(StoreError, match="was made by 'rows', not by 'other'; build it again"):
        VectorStore.open(folder, model="other")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("index.json", None),
        ("chunks.jsonl", None),
        ("index.json", lambda _: b'{"count": 40}'),
        ("vectors.npy", lambda data: data[:-3]),
        ("chunks.jsonl", lambda data: data.split(b"\n", 1)[1]),
    ],
)
def test_a_damaged_index_is_one_sentence_that_says_to_build_it_again(folder, name, damage):
    data = (folder / name).read_bytes()
    (folder / name).unlink() if damage is None else (folder / name).write_bytes(damage(data))
    with pytest.raises(StoreError, match=r"^[^\n]*build (it|the index) again\.$"):
        VectorStore.open(folder)
