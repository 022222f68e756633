"""The index in PostgreSQL, on a real server: the same as the exact store, and whole at any moment."""

import subprocess
import sys
from uuid import uuid4

import numpy as np
import pytest

from minirag import Page, chunk
from minirag.chunker import Chunk
from minirag.errors import InputError, StoreError, Unfinished
from minirag.postgres import PostgresVectorStore
from minirag.vector_store import VectorStore


class Table:
    """An embedding model that knows the vector of each text, and counts the texts that it is asked for.

    As soon as these are more than `at`, it calls `disturb`.
    """

    def __init__(self, chunks, matrix, model="table", *, disturb=lambda: None, at=0):
        self.model, self.disturb, self.at = model, disturb, at
        self.rows = {chunk.text: row for chunk, row in zip(chunks, matrix, strict=True)}
        self.asked = 0

    def embed(self, texts, *, tags=None):
        self.asked += len(texts)
        if self.asked > self.at:
            self.disturb()
        return np.array([self.rows[text] for text in texts])


SESSION = uuid4().hex
"""In each text, so that no index of an earlier test run is found."""


def chunks_of(n):
    texts = [f"{SESSION} {i} é“\t" for i in range(n)]
    return [Chunk(f"p{i}-x", f"{i % 3}.txt", i, 10 * i, 10 * i + 9, 2, text) for i, text in enumerate(texts)]


def rows_of(n, d):
    return np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)


def shown(hits):
    return [[(hit.chunk, pytest.approx(hit.score, abs=1e-6)) for hit in row] for row in hits]


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr("minirag.postgres.store.BATCH", 10)


@pytest.fixture
def store(postgres):
    return PostgresVectorStore(postgres)


def test_exact_search_is_that_of_the_exact_store_with_and_without_a_filter(store):
    n, d = 411, 26
    matrix = rows_of(n, d)
    matrix[n // 2 :] = matrix[: n - n // 2]  # equal scores keep the chunks' order
    chunks = chunks_of(n)
    store.build(chunks, Table(chunks, matrix))
    exact = VectorStore.build(chunks, Table(chunks, matrix))
    queries = np.random.default_rng(1).normal(size=(3, d))
    for where in (None, lambda c: c.page % 3 == 1, lambda c: c.page == n - 1, lambda _: False):
        for k in (0, 1, 7, n + 1):
            assert store.search(queries, k, where) == shown(exact.search(queries, k, where))
    assert [hit.score for hit in store.search(np.zeros(d), 3)[0]] == [0.0] * min(n, 3)


def test_what_is_stored_is_found_by_its_content_or_its_name_and_what_is_new_is_another_index(store, postgres):
    chunks, matrix = chunks_of(50), rows_of(50, 8)
    store.build(chunks, Table(chunks, matrix))
    again = Table(chunks, matrix)
    assert (len(PostgresVectorStore(postgres).build(chunks, again)), again.asked) == (50, 0)
    for other, model in ((chunks[1:], "table"), (chunks, "another")):
        table = Table(other, matrix[-len(other) :], model)
        assert PostgresVectorStore(postgres).build(other, table).name != store.name
        assert table.asked == len(other)
    named = PostgresVectorStore(postgres, name=store.name)
    assert (len(named), len(named.search(matrix[0], 99)[0])) == (50, 50)


def test_an_index_that_is_not_there_or_of_another_shape_is_refused(store, postgres):
    store.build(chunks_of(2), Table(chunks_of(2), np.eye(2)))
    with pytest.raises(StoreError, match=r"There is no index 'none' at .*; build it\."):
        PostgresVectorStore(postgres, name="none").search(np.ones(2), 1)
    with pytest.raises(StoreError, match="A question's vector has 3 dimensions and the index 2"):
        store.search(np.ones(3), 1)


@pytest.mark.parametrize("bad", ["a\0b", "a\ud800b"])
def test_text_that_PostgreSQL_does_not_take_is_refused_in_one_sentence(store, bad):
    chunks = chunk([Page(1, "a.txt", f"One {bad} two.\n")], size=16, overlap=0)
    with pytest.raises(StoreError, match=r"^The database at [^\n]* refused: [^\n]*(0x00|surrogates)[^\n]*\.$"):
        store.build(chunks, Table(chunks, np.eye(1)))


def test_a_second_build_of_an_index_at_the_same_time_is_refused(store, postgres):
    chunks, matrix = chunks_of(20), rows_of(20, 4)

    def build_too():
        PostgresVectorStore(postgres).build(chunks, Table(chunks, matrix))

    with pytest.raises(Unfinished, match="Another process is building the index"):
        store.build(chunks, Table(chunks, matrix, disturb=build_too, at=10))


def test_a_build_whose_connection_is_lost_leaves_nothing_and_can_be_repeated(store, postgres):
    import psycopg

    chunks, matrix = chunks_of(400), rows_of(400, 8)

    def cut_off():
        cut = """select pg_terminate_backend(pid) from pg_locks
            where locktype = 'advisory' and objid::bigint = hashtext(%s)::bigint & 4294967295"""
        with psycopg.connect(postgres) as other:
            assert other.execute(cut, [store.name]).rowcount == 1

    with pytest.raises(Unfinished, match=r"then run again\.$"):
        store.build(chunks, Table(chunks, matrix, disturb=cut_off, at=250))
    with pytest.raises(StoreError, match="There is no index"):
        len(store)
    store.build(chunks, Table(chunks, matrix))
    assert [hit.chunk for hit in store.search(matrix[9], 1)[0]] == [chunks[9]]


SECRET = "p4ss-w0rd-of-mine"


@pytest.mark.parametrize(
    ("url", "error"),
    [
        (f"postgresql://me:{SECRET}@127.0.0.1:1/x", Unfinished),
        (f"postgresql://me@127.0.0.1:1/x?password={SECRET}", Unfinished),
        (f"postgresql://me:{SECRET}@127.0.0.1:1/x?{SECRET}", InputError),
        (f"postgresql://me:{SECRET}/x", InputError),
        (f"postgresql://me:1/{SECRET}@127.0.0.1:1/x", InputError),
        (f"postgresql://me:{SECRET}%zz@127.0.0.1:1/x", InputError),
        (f"mysql://me:{SECRET}@127.0.0.1/x", InputError),
    ],
)
def test_an_address_that_does_not_work_is_one_sentence_without_the_password(url, error):
    pytest.importorskip("psycopg")
    says = "The store's address cannot be read: " if error is InputError else "The database at postgresql://.* failed "
    with pytest.raises(error, match=rf"^{says}[^\n]*\.$") as failure:
        len(PostgresVectorStore(url))
    assert SECRET not in str(failure.value)


def test_without_psycopg_it_says_what_to_install():
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from minirag.cli.main import main; sys.exit(main(['run', 'a.txt', '--offline', '--out', 'o', '--store', 'x']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert (
        done.stderr.splitlines()[-1]
        == "minirag: A store in PostgreSQL needs psycopg: run `pip install 'minirag[postgres]'`."
    )
