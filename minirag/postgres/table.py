"""Row 4. One build of an index in PostgreSQL: its table, how it is filled, and how its chunks are ranked."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from minirag.chunker import Chunk
from minirag.errors import StoreError
from minirag.postgres.connection import Database, run
from minirag.vector_store import Hit

if TYPE_CHECKING:
    from psycopg import Connection

HNSW_NEIGHBOURS, HNSW_CANDIDATES = 16, 128
"""How the graph is built (pgvector's m and ef_construction)."""
MOST_CANDIDATES = 1000
"""What pgvector takes for `ef_search`; further down the ranking the search is exact."""
MOST_INLINE = 1900
"""Dimensions that a table's page holds beside the text; more of them are kept apart, and a search reads them there."""
MOST_SINGLE, MOST_HALF = 2000, 4000
"""Dimensions that HNSW takes of 32-bit and of 16-bit numbers."""

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_COLUMNS = {
    "position": "int8 primary key",
    "id": "text",
    "source": "text",
    "page": "int4",
    '"start"': "int8",
    '"end"': "int8",
    "tokens": "int4",
    "text": "text",
}
"""All but the vector; from the second on they are a chunk's fields in order."""
_CHUNK = ", ".join(list(_COLUMNS)[1:])


class Generation(NamedTuple):
    """One build of an index, finished or not: a row of `minirag_indexes`."""

    number: int
    model: str
    dimensions: int
    chunks_sha256: str
    size: int
    hnsw: bool

    @property
    def table(self) -> str:
        return f"minirag_chunks_{self.number:d}"


class Ranking(NamedTuple):
    """The chunks of one generation, as one connection ranks them."""

    connection: "Connection[Any]"
    generation: Generation
    ef_search: int | None

    def nearest(self, query: NDArray[np.float32], k: int, where: Callable[[Chunk], bool] | None) -> list[Hit]:
        """The best `k` that `where` allows: looked for among the first ones, and only then among all."""
        for limit in [k] if where is None else [k, max(k, MOST_CANDIDATES)]:
            found = self._first(query, limit)
            hits = [hit for hit in found if where is None or where(hit.chunk)]
            if len(hits) >= k or len(found) == self.generation.size:
                return hits[:k]
        everything = streamed(self.connection, self._exactly, [query])
        return list(islice((hit for hit in map(_hit, everything) if where is None or where(hit.chunk)), k))

    def _first(self, query: NDArray[np.float32], limit: int) -> list[Hit]:
        """The first `limit` of all chunks, or fewer where HNSW finds no more."""
        if self.ef_search is None or not self.generation.hnsw or limit > MOST_CANDIDATES:
            rows = run(self.connection, f"{self._exactly} limit %s", [query, limit]).fetchall()
        else:
            candidates = str(max(self.ef_search, limit))
            run(self.connection, "select set_config('hnsw.ef_search', %s, true)", [candidates])
            order = f"{_indexed(self.generation)} <#> %s::{_kind(self.generation)} limit %s"
            rows = run(self.connection, f"{self._scored} order by {order}", [query, query, limit]).fetchall()
            rows.sort(key=lambda row: (-row[-1], row[-2]))
        return [_hit(row) for row in rows]

    @property
    def _scored(self) -> str:
        return f"select {_CHUNK}, position, -(embedding <#> %s) as score from {self.generation.table}"

    @property
    def _exactly(self) -> str:
        """All chunks, best first. No index is of this order, so that none can be used."""
        return f"{self._scored} order by score desc, position"


def create(connection: "Connection[Any]", generation: Generation) -> None:
    """An empty table for a new build."""
    columns = ", ".join(f"{name} {kind} not null" for name, kind in _COLUMNS.items())
    vector = f"embedding vector({generation.dimensions:d}) not null"
    run(connection, f"create table {generation.table} ({columns}, {vector})")
    if generation.dimensions <= MOST_INLINE:  # a scan that finds each vector beside its row is several times as fast
        run(connection, f"alter table {generation.table} alter column embedding set storage plain")


class StoredChunks(Sequence[Chunk]):
    """The chunks of an index in a database: fetched by place, by slice, or one after the other."""

    def __init__(self, database: Database, generation: Generation) -> None:
        self._database, self._generation = database, generation

    def __len__(self) -> int:
        return self._generation.size

    @overload
    def __getitem__(self, place: int) -> Chunk: ...

    @overload
    def __getitem__(self, place: slice) -> list[Chunk]: ...

    def __getitem__(self, place: int | slice) -> Chunk | list[Chunk]:
        rows = range(len(self))[place]
        wanted = list(rows) if isinstance(rows, range) else [rows]
        statement = f"select position, {_CHUNK} from {self._generation.table} where position = any(%s)"
        with self._database.session() as connection:
            found = {row[0]: Chunk(*row[1:]) for row in run(connection, statement, [wanted])}
        return [found[row] for row in wanted] if isinstance(rows, range) else found[rows]

    def __iter__(self) -> Iterator[Chunk]:
        statement = f"select {_CHUNK} from {self._generation.table} order by position"
        with self._database.session() as connection:
            for row in streamed(connection, statement):
                yield Chunk(*row)


def copy_rows(
    connection: "Connection[Any]", into: Generation, first: int, chunks: Sequence[Chunk], rows: NDArray[np.float32]
) -> None:
    """Append chunks, the first one at the position `first`."""
    kinds = [kind.split()[0] for kind in _COLUMNS.values()]
    columns = f"{', '.join(_COLUMNS)}, embedding"
    with (
        connection.cursor() as cursor,
        cursor.copy(f"copy {into.table} ({columns}) from stdin (format binary)".encode()) as copy,
    ):
        copy.set_types([*kinds, "vector"])
        for position, (chunk, vector) in enumerate(zip(chunks, rows, strict=True), first):
            copy.write_row((position, *_values(chunk), vector))


def _values(chunk: Chunk) -> tuple[Any, ...]:
    return chunk.id, chunk.source, chunk.page, chunk.start, chunk.end, chunk.tokens, chunk.text


def require_storable(chunks: Sequence[Chunk]) -> None:
    """Raise StoreError for characters that `minirag.load` takes out of documents and PostgreSQL does not take."""
    for chunk in chunks:
        if any(map(_UNSTORABLE.search, (chunk.id, chunk.source, chunk.text))):
            raise StoreError(
                f"Chunk {chunk.id!a} holds NUL or half a surrogate pair, which PostgreSQL does not take; "
                "clean the text, as minirag.load does."
            )


def require_few(dimensions: int) -> None:
    """Raise StoreError for more dimensions than HNSW takes."""
    if dimensions > MOST_HALF:
        raise StoreError(
            f"HNSW takes vectors of at most {MOST_HALF:,} dimensions and these have {dimensions:,}: "
            "search exactly (--ef-search 0), or use another embedding model."
        )


def make_hnsw(connection: "Connection[Any]", generation: Generation) -> None:
    """Build the graph of a filled table; the inner product of unit vectors is their cosine. Raises StoreError."""
    require_few(generation.dimensions)
    statement = f"create index on {generation.table} using hnsw ({_indexed(generation)} {_kind(generation)}_ip_ops)"
    with connection.transaction():
        run(connection, f"{statement} with (m = {HNSW_NEIGHBOURS}, ef_construction = {HNSW_CANDIDATES})")
        run(connection, "update minirag_indexes set hnsw = true where generation = %s", [generation.number])
    run(connection, f"analyze {generation.table}")


def _kind(generation: Generation) -> str:
    """The type of the numbers that HNSW sees."""
    return "vector" if generation.dimensions <= MOST_SINGLE else "halfvec"


def _indexed(generation: Generation) -> str:
    """The expression that HNSW is built on."""
    return "embedding" if _kind(generation) == "vector" else f"(embedding::halfvec({generation.dimensions:d}))"


def _hit(row: Sequence[Any]) -> Hit:
    """A row of chunk, position and score; a score is rounded to float32, and can pass 1 by a hair before that."""
    return Hit(Chunk(*row[:-2]), float(np.float32(min(1.0, max(-1.0, row[-1])))))


def streamed(connection: "Connection[Any]", statement: str, values: Sequence[Any] = ()) -> Iterator[Sequence[Any]]:
    """The rows of a query, some hundred of them in memory at a time."""
    with connection.transaction(), connection.cursor(name="minirag") as cursor:
        cursor.itersize = 500
        cursor.execute(statement.encode(), values or None)
        yield from cursor
