"""Row 4. The index in PostgreSQL with pgvector: for more chunks than the memory holds, and for several processes.

A build fills a table of its own, a batch a transaction, and then takes the place of the index's former table in one
transaction: whoever searches meanwhile sees the old index or the new one, never half of it. A build that died is gone
on with where it stopped. The table holds what `chunks.jsonl` and `vectors.npy` hold, and the index's row in
`minirag_indexes` what `index.json` does.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minirag.chunker import Chunk
from minirag.errors import InputError, StoreError, Unfinished
from minirag.models import Embedder
from minirag.postgres.connection import Database, TableMissing, run
from minirag.postgres.table import (
    MOST_CANDIDATES,
    Generation,
    Ranking,
    StoredChunks,
    copy_rows,
    create,
    make_hnsw,
    require_few,
    require_storable,
    streamed,
)
from minirag.retry import in_order
from minirag.vector_store import Hit, VectorStore, unit_queries, unit_rows

if TYPE_CHECKING:
    from psycopg import Connection

BATCH = 256
_CATALOGUE = """
create table if not exists minirag_indexes (
    generation bigint generated always as identity primary key, name text not null, model text not null,
    dimensions int not null, chunks_sha256 text not null, size bigint not null, hnsw bool not null default false,
    ready bool not null default false);
create unique index if not exists minirag_ready on minirag_indexes (name) where ready;
"""
_LOCK = "select pg_try_advisory_lock(hashtext('minirag'), hashtext(%s))"


class PostgresVectorStore:
    """The index called `name` in the database that `url` names; the methods are those of `VectorStore`.

    `ef_search=None` searches exactly; a number from 1 to 1,000 searches by HNSW with so many candidates, more of them
    finding more of the nearest at more cost. Nothing is sent before the first use. Safe in threads. Raises InputError
    for a URL that cannot be read, and in every method StoreError or Unfinished where the server fails.
    """

    def __init__(self, url: str | Database, *, name: str = "minirag", ef_search: int | None = None) -> None:
        if ef_search is not None and not 1 <= ef_search <= MOST_CANDIDATES:
            raise InputError(f"ef_search is {ef_search}; it must be from 1 to {MOST_CANDIDATES:,}.")
        self.database = url if isinstance(url, Database) else Database(url)
        self.name = name
        self.ef_search = ef_search
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
    def chunks(self) -> "StoredChunks":
        """The chunks in order, fetched when they are looked at."""
        return StoredChunks(self.database, self._generation)

    @property
    def vectors(self) -> NDArray[np.float32]:
        """All vectors, shape (n, dimensions), in memory."""
        matrix = np.empty((len(self), self.dimensions), np.float32)
        statement = f"select embedding from {self._generation.table} order by position"
        with self.database.session() as connection:
            for row, (vector,) in enumerate(streamed(connection, statement)):
                matrix[row] = vector.to_numpy()
        return matrix

    # -- building and opening ------------------------------------------------------------------------------

    def build(
        self, chunks: Sequence[Chunk], embed: Embedder, *, batch: int = BATCH, model: str | None = None
    ) -> "PostgresVectorStore":
        """Embed the chunks, `batch` at a time, store them, and put them in the place of the index's former ones.

        Only slices of `chunks` are held. Nothing is embedded that an earlier build of the same chunks by the same
        model has stored, whether it was finished or not; an index that has lost chunks since is built anew. `model` is
        whom the vectors are said to come from.

        Raises StoreError as `VectorStore.build` does, and for text with NUL or surrogates, which no database takes;
        Unfinished if another process builds this index, or the server goes away: building again goes on.
        """
        if not chunks:
            raise StoreError("There is no chunk to index; the documents hold no text.")
        wanted = (model or embed.model, chunks_digest(chunks))
        self._prepare()
        with self.database.session(alone=True) as connection:
            # the lock goes with the connection, so a process that dies gives it back
            if not run(connection, _LOCK, [self.name]).fetchall()[0][0]:
                raise Unfinished(f"Another process is building the index {self.name!r}; run again when it is done.")
            generation = self._find(connection, ready=True)
            if (
                generation is None
                or (generation.model, generation.chunks_sha256) != wanted
                or self._stored(generation) != generation.size
            ):
                generation = self._fill(connection, chunks, embed, wanted, batch)
            if self.ef_search is not None and not generation.hnsw:
                make_hnsw(connection, generation)
            self._put_in_place(connection, generation)
        return self.open()

    def open(self, model: str | None = None) -> "PostgresVectorStore":
        """See the index as it is now. Raises StoreError if there is none, if chunks are missing, or another model's."""
        seen, found = None, self._ready()
        while found is not None and found != seen and self._stored(found) != found.size:
            seen, found = found, self._ready()  # it may have been built anew while it was looked at
        if found is None:
            raise StoreError(f"There is no index {self.name!r} at {self.database.address}; build it.")
        if found == seen:
            raise StoreError(
                f"The index {self.name!r} at {self.database.address} has lost chunks of its {found.size:,}; "
                "build it again."
            )
        if model is not None and found.model != model:
            raise StoreError(
                f"The index {self.name!r} at {self.database.address} was made by {found.model!r:.80}, "
                f"not by {model!r}; build it again."
            )
        self._opened = found
        return self

    def check(self) -> None:
        """Raise StoreError where there is an index already that `ef_search` cannot search."""
        if self.ef_search is not None and (found := self._ready()) is not None:
            require_few(found.dimensions)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the index into a folder that `VectorStore.open` opens; all of it is in memory meanwhile."""
        VectorStore(list(self.chunks), self.vectors, self.model).save(folder)

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self.database.close()

    def __enter__(self) -> "PostgresVectorStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def drop(self) -> None:
        """Remove the index, if there is one, and what unfinished builds of it have left."""
        with suppress(TableMissing), self.database.session() as connection, connection.transaction():
            self._forget(connection, 0)
        self._opened = None

    @property
    def _generation(self) -> Generation:
        opened = self._opened or self.open()._opened
        assert opened is not None
        return opened

    def _prepare(self) -> None:
        """Make what all indexes of a database share; two processes may do it at the same time."""
        with self.database.session(alone=True) as connection, connection.transaction():
            run(connection, "select pg_advisory_xact_lock(hashtext('minirag'))")
            run(connection, "create extension if not exists vector")
            run(connection, _CATALOGUE)
        self.database.close()  # who connected before there was a vector type does not know it

    def _ready(self) -> Generation | None:
        """The index as it is, if there is one."""
        with suppress(TableMissing), self.database.session() as connection:
            return self._find(connection, ready=True)
        return None

    def _stored(self, generation: Generation) -> int | None:
        """How many of the first chunks are stored; None where the table is gone, or has lost chunks between others."""
        statement = f"select count(*), coalesce(max(position) + 1, 0) from {generation.table}"
        with suppress(TableMissing), self.database.session() as connection:
            count, end = run(connection, statement).fetchall()[0]
            return int(count) if count == end else None
        return None

    def _find(self, connection: "Connection[Any]", *, ready: bool) -> Generation | None:
        """The index as it is, or else its latest unfinished build."""
        fields = ", ".join(("generation", *Generation._fields[1:]))
        statement = f"select {fields} from minirag_indexes where name = %s and ready = %s order by generation desc"
        row = run(connection, statement, [self.name, ready]).fetchone()
        return None if row is None else Generation(*row)

    def _fill(
        self,
        connection: "Connection[Any]",
        chunks: Sequence[Chunk],
        embed: Embedder,
        wanted: tuple[str, str],
        batch: int,
    ) -> Generation:
        """The table with all chunks in it: the one that an unfinished build has left, if it is of the same ones."""
        filled = self._find(connection, ready=False)
        start = None
        if filled is not None and (filled.model, filled.chunks_sha256) == wanted:
            start = self._stored(filled)
        if start is None:
            filled, start = None, 0
        require_storable(chunks[start:])
        known = None if filled is None else filled.dimensions
        for first, rows in embedded(chunks, embed, batch, start, known):
            with connection.transaction():
                filled = filled or self._begin(connection, wanted, rows.shape[1], len(chunks))
                copy_rows(connection, filled, first, chunks[first : first + len(rows)], rows)
        assert filled is not None
        return filled

    def _begin(self, connection: "Connection[Any]", wanted: tuple[str, str], dimensions: int, size: int) -> Generation:
        """An empty table for a new build; what an unfinished one has left goes."""
        if self.ef_search is not None:
            require_few(dimensions)
        self._forget(connection, 0, unfinished=True)
        statement = (
            "insert into minirag_indexes (name, model, dimensions, chunks_sha256, size) "
            "values (%s, %s, %s, %s, %s) returning generation"
        )
        number = run(connection, statement, [self.name, wanted[0], dimensions, wanted[1], size]).fetchall()[0][0]
        begun = Generation(number, wanted[0], dimensions, wanted[1], size, hnsw=False)
        create(connection, begun)
        return begun

    def _put_in_place(self, connection: "Connection[Any]", generation: Generation) -> None:
        """Readers find this generation from now on, and no other; those that are searching are waited for."""
        with connection.transaction():
            self._forget(connection, generation.number)
            run(connection, "update minirag_indexes set ready = true where generation = %s", [generation.number])

    def _forget(self, connection: "Connection[Any]", kept: int, *, unfinished: bool = False) -> None:
        """Drop the index's generations but for one, or only those that are not ready."""
        chosen = "name = %s and generation <> %s and not (ready and %s)"
        statement = f"delete from minirag_indexes where {chosen} returning generation"
        for (number,) in run(connection, statement, [self.name, kept, unfinished]).fetchall():
            run(connection, f"drop table if exists minirag_chunks_{number:d}")

    # -- searching -----------------------------------------------------------------------------------------

    def search(
        self, vectors: NDArray[np.float32], k: int, where: Callable[[Chunk], bool] | None = None
    ) -> list[list[Hit]]:
        """As `VectorStore.search`: the same chunks in the same order, scores equal to float32's last digits.

        With `ef_search` the nearest may be missed. If the index has been built anew since, the new one is searched.
        """
        for _ in (1, 2):
            generation = self._generation
            queries = unit_queries(vectors, generation.dimensions)
            try:
                with self.database.session() as connection, connection.transaction():
                    ranking = Ranking(connection, generation, self.ef_search)
                    return [ranking.nearest(query, max(k, 0), where) for query in queries]
            except TableMissing:
                self.open(generation.model)
        raise StoreError(f"The index {self.name!r} is replaced faster than it can be searched; try again.")


def embedded(
    chunks: Sequence[Chunk], embed: Embedder, batch: int, start: int, dimensions: int | None
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    starts = range(start, len(chunks), batch)
    parts = [chunks[first : first + batch] for first in starts]

    def vectors_of(part: Sequence[Chunk]) -> NDArray[np.float32]:
        return embed.embed([chunk.text for chunk in part], tags={"for": "index"})

    for first, part, rows in zip(starts, parts, in_order(vectors_of, parts, 1), strict=True):
        yield first, unit_rows(rows, part)


def chunks_digest(chunks: Sequence[Chunk]) -> str:
    """Return the sha256 of the `chunks.jsonl` that these chunks make."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update((json.dumps(chunk.to_json(), ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace"))
    return digest.hexdigest()
