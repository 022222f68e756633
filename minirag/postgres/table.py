"""One build of an index in PostgreSQL: its table, how it is filled, and how its chunks are searched."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minirag.chunker import Chunk
from minirag.errors import StoreError
from minirag.postgres.connection import execute
from minirag.vector_store import Hit

if TYPE_CHECKING:
    from psycopg import Connection

HNSW_M, HNSW_EF_CONSTRUCTION = 16, 128
"""How the graph is built."""
MAX_EF_SEARCH = 1000
"""The most candidates that pgvector takes; a search for more hits is exact."""
MAX_PLAIN = 1900
"""Dimensions of a vector that fits in a table's page beside the text."""
MAX_HNSW = 2000
"""Dimensions that HNSW takes."""

_TYPES = {
    "position": "int8",
    "id": "text",
    "source": "text",
    "page": "int4",
    '"start"': "int8",
    '"end"': "int8",
    "tokens": "int4",
    "text": "text",
}
"""All columns but the vector; from the second on they are the fields of a chunk."""
CHUNK = ", ".join(list(_TYPES)[1:])


class Generation(NamedTuple):
    """One build of an index, finished or not: a row of `minirag_indexes`, and the table with its chunks."""

    number: int
    model: str
    dimensions: int
    chunks_sha256: str
    size: int
    hnsw: bool

    @property
    def table(self) -> str:
        return f"minirag_chunks_{self.number:d}"

    def create(self, connection: "Connection[Any]") -> None:
        """Create the empty table."""
        columns = ", ".join(f"{name} {kind} not null" for name, kind in _TYPES.items())
        vector = f"embedding vector({self.dimensions:d}) not null"
        execute(connection, f"create table {self.table} ({columns}, {vector}, primary key (position))")
        if self.dimensions <= MAX_PLAIN:  # a scan that finds each vector in its row is several times as fast
            execute(connection, f"alter table {self.table} alter column embedding set storage plain")

    def append(self, connection: "Connection[Any]", first: int, chunks: Sequence[Chunk], rows: NDArray[Any]) -> None:
        """Store chunks and their vectors, the first of them at position `first`."""
        statement = f"copy {self.table} ({', '.join(_TYPES)}, embedding) from stdin (format binary)"
        with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            copy.set_types([*_TYPES.values(), "vector"])
            for position, (chunk, vector) in enumerate(zip(chunks, rows, strict=True), first):
                copy.write_row((position, *chunk.to_json().values(), vector))

    def stored(self, connection: "Connection[Any]") -> int:
        """Return how many of the first chunks the table holds."""
        count, end = execute(connection, f"select count(*), max(position) + 1 from {self.table}").fetchall()[0]
        return int(count) if count == end else 0

    def nearest(
        self, connection: "Connection[Any]", query: NDArray[np.float32], k: int, ef_search: int | None
    ) -> list[Hit]:
        """Return the `k` nearest chunks, best first; with `ef_search` by HNSW, which may miss some of them."""
        select = f"select {CHUNK}, position, -(embedding <#> %s) as score from {self.table}"
        if ef_search is None or not self.hnsw or k > MAX_EF_SEARCH:
            # no index is in this order, so none can be used
            rows = execute(connection, f"{select} order by score desc, position limit %s", [query, k]).fetchall()
        else:
            execute(connection, "select set_config('hnsw.ef_search', %s, true)", [str(max(ef_search, k))])
            statement = f"{select} order by embedding <#> %s limit %s"
            rows = execute(connection, statement, [query, query, k]).fetchall()
            rows.sort(key=lambda row: (-row[-1], row[-2]))
        # the server adds up in float32; rounding can pass 1
        return [Hit(Chunk(*row[:-2]), float(np.float32(min(1.0, max(-1.0, row[-1]))))) for row in rows]

    def add_graph(self, connection: "Connection[Any]") -> None:
        """Build the HNSW graph. The inner product of unit vectors is their cosine."""
        require_hnsw(self.dimensions)
        options = f"m = {HNSW_M}, ef_construction = {HNSW_EF_CONSTRUCTION}"
        with connection.transaction():
            execute(connection, f"create index on {self.table} using hnsw (embedding vector_ip_ops) with ({options})")
            execute(connection, "update minirag_indexes set hnsw = true where generation = %s", [self.number])


def require_hnsw(dimensions: int) -> None:
    """Raise StoreError for more dimensions than HNSW takes."""
    if dimensions > MAX_HNSW:
        raise StoreError(
            f"HNSW takes vectors of at most {MAX_HNSW:,} dimensions and these have {dimensions:,}: "
            "search exactly (--ef-search 0), or use another embedding model."
        )
