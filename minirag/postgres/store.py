"""The index in PostgreSQL: built batch by batch, resumed where it stopped, and replaced as a whole.

A build fills a table of its own, one transaction a batch, and takes the place of the former table in one more: whoever
searches meanwhile sees the old index or the new one. The tables hold what `chunks.jsonl` and `vectors.npy` hold, and
`minirag_indexes` what `index.json` does.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minirag.chunker import Chunk
from minirag.errors import StoreError, Unfinished, Waiting
from minirag.models import Embedder
from minirag.postgres.connection import Database, TableMissing, execute
from minirag.vector_store import Hit, VectorStore, unit_queries

if TYPE_CHECKING:
    from psycopg import Connection

BATCH = 256
"""Chunks embedded and stored at a time."""
MAX_PLAIN = 1900
"""Dimensions of a vector that fits in a table's page beside the text."""
_INDEXES = """
create table if not exists minirag_indexes (
    generation bigint generated always as identity primary key, name text not null, model text not null,
    dimensions int not null, chunks_sha256 text not null, size bigint not null,
    ready bool not null default false);
create unique index if not exists minirag_ready on minirag_indexes (name) where ready;
"""
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
_CHUNK = ", ".join(list(_TYPES)[1:])


class Generation(NamedTuple):
    """One build of an index, finished or not: a row of `minirag_indexes`."""

    number: int
    model: str
    dimensions: int
    chunks_sha256: str
    size: int

    @property
    def table(self) -> str:
        """The table with its chunks."""
        return f"minirag_chunks_{self.number:d}"

    def stored(self, connection: "Connection[Any]") -> int:
        """Return how many of the first chunks the table holds."""
        count, end = execute(connection, f"select count(*), max(position) + 1 from {self.table}").fetchall()[0]
        return int(count) if count == end else 0


class PostgresVectorStore:
    """The index called `name` in the database at `url`, with the methods of `VectorStore`. Safe in threads.

    Raises InputError for a URL that cannot be read; every method raises StoreError or Unfinished if the server fails.
    Nothing is sent before the first use.
    """

    def __init__(self, url: str | Database, *, name: str = "minirag") -> None:
        self.database = url if isinstance(url, Database) else Database(url)
        self.name = name
        self._opened: Generation | None = None

    @property
    def model(self) -> str:
        """The embedding model that made the vectors."""
        return self._generation.model

    @property
    def dimensions(self) -> int:
        """Numbers per vector."""
        return self._generation.dimensions

    def __len__(self) -> int:
        return self._generation.size

    @property
    def _generation(self) -> Generation:
        return self._opened or self.open()._generation

    def build(
        self, chunks: Sequence[Chunk], embed: Embedder, *, batch: int = BATCH, model: str | None = None
    ) -> "PostgresVectorStore":
        """Embed the chunks and store them, `batch` at a time, then replace the former index of this name.

        What an earlier build of the same chunks by the same model has stored, finished or not, is not embedded again.
        `model` is recorded as the maker of the vectors instead of `embed.model`.

        Raises StoreError as `VectorStore.build` does, and for text with NUL or half surrogates; Unfinished if another
        process builds this index, or if the server goes away: build again to resume.
        """
        if not chunks:
            raise StoreError("There is no chunk to index; the documents hold no text.")
        wanted = (model or embed.model, _digest(chunks))
        with self.database.session() as connection:  # create what all indexes of a database share
            with connection.transaction():
                execute(connection, "select pg_advisory_xact_lock(hashtext('minirag'))")  # two may do so at a time
                execute(connection, "create extension if not exists vector")
                execute(connection, _INDEXES)
            connection.close()
        self.database.close()  # connections opened before the extension existed lack the vector type
        with self.database.session() as connection:
            # the lock ends with the connection, also when the process dies
            lock = "select pg_try_advisory_lock(hashtext('minirag'), hashtext(%s))"
            if not execute(connection, lock, [self.name]).fetchall()[0][0]:
                raise Unfinished(f"Another process is building the index {self.name!r}; run again when it is done.")
            generation = self._find(connection, wanted, ready=True)
            if generation is None or generation.stored(connection) != generation.size:
                generation = self._fill(connection, chunks, embed, wanted, batch)
            with connection.transaction():  # waits for those that are searching the former index
                self._delete(connection, f"generation <> {generation.number:d}")
                ready = "update minirag_indexes set ready = true where generation = %s"
                execute(connection, ready, [generation.number])
            connection.close()
        return self.open()

    def open(self, model: str | None = None) -> "PostgresVectorStore":
        """Use the index as it is now. Raises StoreError if there is none, or if another model than `model` made it."""
        generation = None
        with suppress(TableMissing), self.database.session() as connection:
            generation = self._find(connection, ready=True)
        place = f"{self.name!r} at {self.database.address}"
        if generation is None:
            raise StoreError(f"There is no index {place}; build it.")
        if model is not None and generation.model != model:
            raise StoreError(
                f"The index {place} was made by {generation.model!r:.80}, not by {model!r}; build it again."
            )
        self._opened = generation
        return self

    def search(
        self, vectors: NDArray[np.float32], k: int, where: Callable[[Chunk], bool] | None = None
    ) -> list[list[Hit]]:
        """Search as `VectorStore.search` does; scores differ by float32 rounding.

        An index that was built again meanwhile is searched in its new form.
        """
        queries = unit_queries(vectors, self.dimensions)
        try:
            return [self._nearest(query, max(k, 0), where) for query in queries]
        except TableMissing:
            self.open(self.model)
            return [self._nearest(query, max(k, 0), where) for query in queries]

    def _nearest(self, query: NDArray[np.float32], k: int, where: Callable[[Chunk], bool] | None) -> list[Hit]:
        generation, limit = self._generation, k
        select = f"select {_CHUNK}, -(embedding <#> %s) as score from {generation.table}"
        with self.database.session() as connection, connection.transaction():
            while True:  # fetch more and more of the nearest chunks until k of them are allowed
                rows = execute(
                    connection, f"{select} order by score desc, position limit %s", [query, limit]
                ).fetchall()
                # the server adds up in float32; rounding can pass 1
                hits = [Hit(Chunk(*row[:-1]), float(np.float32(min(1.0, max(-1.0, row[-1]))))) for row in rows]
                allowed = [hit for hit in hits if where is None or where(hit.chunk)]
                if len(allowed) >= k or len(hits) == generation.size:
                    return allowed[:k]
                limit *= 50

    def drop(self) -> None:
        """Delete the index and its unfinished builds, if there are any."""
        with suppress(TableMissing), self.database.session() as connection, connection.transaction():
            self._delete(connection)
        self._opened = None

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self.database.close()

    def __enter__(self) -> "PostgresVectorStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _find(
        self, connection: "Connection[Any]", wanted: tuple[str, str] | None = None, *, ready: bool
    ) -> Generation | None:
        """Return the latest finished (or unfinished) build; with `wanted`, only one of that model and those chunks."""
        has_table = "to_regclass('minirag_chunks_' || generation) is not null"
        fields = "generation, model, dimensions, chunks_sha256, size"
        statement = f"select {fields} from minirag_indexes where name = %s and ready = %s and {has_table}"
        rows = execute(connection, f"{statement} order by generation desc", [self.name, ready]).fetchall()
        builds = [Generation(*row) for row in rows]
        return next((b for b in builds if wanted is None or (b.model, b.chunks_sha256) == wanted), None)

    def _fill(
        self,
        connection: "Connection[Any]",
        chunks: Sequence[Chunk],
        embed: Embedder,
        wanted: tuple[str, str],
        batch: int,
    ) -> Generation:
        """Store all chunks, going on with an unfinished build if there is one of the same chunks."""
        generation = self._find(connection, wanted, ready=False)
        start = 0 if generation is None else generation.stored(connection)
        if start == 0:
            generation = None

        waiting = None
        for first in range(start, len(chunks), batch):
            part = chunks[first : first + batch]
            try:
                rows = VectorStore.build(part, embed).vectors
            except Waiting as error:  # with the Batch API, ask for all batches before the first reply is waited for
                waiting = waiting or error
            if waiting is None:
                with connection.transaction():
                    generation = generation or self._begin(connection, wanted, rows.shape[1], len(chunks))
                    copy_in = f"copy {generation.table} ({', '.join(_TYPES)}, embedding) from stdin (format binary)"
                    with connection.cursor() as cursor, cursor.copy(copy_in.encode()) as copy:
                        copy.set_types([*_TYPES.values(), "vector"])
                        for position, (chunk, vector) in enumerate(zip(part, rows, strict=True), first):
                            copy.write_row((position, *chunk.to_json().values(), vector))
        if waiting is not None:
            raise waiting
        assert generation is not None
        return generation

    def _begin(self, connection: "Connection[Any]", wanted: tuple[str, str], dimensions: int, size: int) -> Generation:
        """Create the empty table of a new build, and delete unfinished ones."""
        self._delete(connection, "not ready")
        model, digest = wanted
        statement = (
            "insert into minirag_indexes (name, model, dimensions, chunks_sha256, size) "
            "values (%s, %s, %s, %s, %s) returning generation"
        )
        number = execute(connection, statement, [self.name, model, dimensions, digest, size]).fetchall()[0][0]
        generation = Generation(number, model, dimensions, digest, size)
        columns = ", ".join(f"{name} {kind} not null" for name, kind in _TYPES.items())
        vector = f"embedding vector({dimensions:d}) not null"
        execute(connection, f"create table {generation.table} ({columns}, {vector}, primary key (position))")
        if dimensions <= MAX_PLAIN:  # a scan that finds each vector in its row is several times as fast
            execute(connection, f"alter table {generation.table} alter column embedding set storage plain")
        return generation

    def _delete(self, connection: "Connection[Any]", condition: str = "true") -> None:
        """Delete the builds of this index that meet an SQL condition, with their tables."""
        statement = f"delete from minirag_indexes where name = %s and {condition} returning generation"
        for (number,) in execute(connection, statement, [self.name]).fetchall():
            execute(connection, f"drop table if exists minirag_chunks_{number:d}")


def shared_index(database: Database, chunks: Sequence[Chunk], embed: Embedder, model: str) -> PostgresVectorStore:
    """Build, or find, the index that all runs over the same chunks by the same model share."""
    name = hashlib.sha256(f"{model}\0{_digest(chunks)}".encode()).hexdigest()[:16]
    return PostgresVectorStore(database, name=name).build(chunks, embed, model=model)


def _digest(chunks: Sequence[Chunk]) -> str:
    """Return the sha256 of the `chunks.jsonl` that these chunks make."""
    lines = (json.dumps(chunk.to_json(), ensure_ascii=False) + "\n" for chunk in chunks)
    return hashlib.sha256("".join(lines).encode("utf-8", "backslashreplace")).hexdigest()
