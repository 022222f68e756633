"""The index in PostgreSQL: built in one transaction, in a table of its own, under a name that its content gives it.

So a build that is killed leaves nothing behind, and whoever needs an index of the same chunks by the same model finds
it. The tables hold what `chunks.jsonl` and `vectors.npy` hold, and `minirag_indexes` what `index.json` does.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minirag.chunker import Chunk
from minirag.errors import InputError, StoreError, Unfinished, Waiting, keep_out
from minirag.models import Embedder, Hit
from minirag.vector_store import VectorStore, unit_queries

if TYPE_CHECKING:
    from psycopg import Connection, Cursor

CONNECT_TIMEOUT = 10
"""Seconds, unless the address has its own `connect_timeout`."""
BATCH = 256
"""Chunks embedded and stored at a time; with another number, an unfinished build would be paid for again."""
MAX_PLAIN = 1900
"""Dimensions of a vector that fits in a table's page beside the text."""
_INDEXES = """
create table if not exists minirag_indexes (
    generation bigint generated always as identity primary key, name text not null, model text not null,
    dimensions int not null, chunks_sha256 text not null, size bigint not null)
"""
_ADD = """
insert into minirag_indexes (name, model, chunks_sha256, size, dimensions) values (%s, %s, %s, %s, %s)
returning generation
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


class Index(NamedTuple):
    """A row of `minirag_indexes`, whose chunks are in the table `minirag_chunks_N`, N its `generation`."""

    generation: int
    dimensions: int
    size: int


class PostgresVectorStore:
    """A `Store` in the database at `url`. Safe in threads.

    What the URL (`postgresql://…`) leaves out comes from libpq's `PG…` variables; `address` is the part that may be
    shown. `name` is that of an index which has been built before. Raises InputError for a URL that cannot be read, or
    without psycopg; every method raises StoreError or Unfinished if the server fails. Nothing is sent before the first
    use.
    """

    def __init__(self, url: str, *, name: str = "") -> None:
        try:
            self._settings = {"connect_timeout": CONNECT_TIMEOUT, **_read_url(url)}
        except ImportError:
            raise InputError("A store in PostgreSQL needs psycopg: run `pip install 'minirag[postgres]'`.") from None
        for secret in ("password", "sslpassword"):
            keep_out(str(self._settings.get(secret, "")))
        host, port, database = (self._settings.get(key, "") for key in ("host", "port", "dbname"))
        self.address = f"postgresql://{host}{':' if port else ''}{port}/{database}"
        self.name = name

    def __len__(self) -> int:
        return self._index.size

    @cached_property
    def _index(self) -> Index:
        with self._session() as connection:
            index = self._find(connection)
        if index is None:
            raise StoreError(f"There is no index {self.name!r} at {self.address}; build it.")
        return index

    def build(self, chunks: Sequence[Chunk], embed: Embedder, model: str | None = None) -> "PostgresVectorStore":
        """Embed the chunks and store them, unless there is an index of the same chunks by the same model.

        `model` is recorded as the maker of the vectors instead of `embed.model`; `name` is then that of the index.

        Raises StoreError as `VectorStore.build` does, and for text with NUL or half surrogates; Unfinished if another
        process builds this index, or if the server goes away: build again, the log has what was embedded.
        """
        if not chunks:
            raise StoreError("There is no chunk to index; the documents hold no text.")
        lines = (json.dumps(asdict(chunk), ensure_ascii=False) + "\n" for chunk in chunks)  # of `chunks.jsonl`
        digest = hashlib.sha256("".join(lines).encode("utf-8", "backslashreplace")).hexdigest()
        model = model or embed.model
        self.name = hashlib.sha256(f"{model}\0{digest}".encode()).hexdigest()[:16]
        with self._session() as connection:  # create what all indexes of a database share
            _execute(connection, "select pg_advisory_xact_lock(hashtext('minirag'))")  # two may do so at a time
            _execute(connection, "create extension if not exists vector")
            _execute(connection, _INDEXES)
        with self._session() as connection:
            # the lock ends with the transaction, also when the process dies
            lock = "select pg_try_advisory_xact_lock(hashtext('minirag'), hashtext(%s))"
            if not _execute(connection, lock, [self.name]).fetchall()[0][0]:
                raise Unfinished(f"Another process is building the index {self.name!r}; run again when it is done.")
            index = self._find(connection)
            if index is None:
                index = self._fill(connection, chunks, embed, model, digest)
        self._index = index
        return self

    def _fill(
        self, connection: "Connection[Any]", chunks: Sequence[Chunk], embed: Embedder, model: str, digest: str
    ) -> Index:
        """Embed and store all chunks in a new table."""
        number, waiting = 0, None
        for first in range(0, len(chunks), BATCH):
            part = chunks[first : first + BATCH]
            try:
                rows = VectorStore.build(part, embed).vectors
            except Waiting as error:  # with the Batch API, ask for all batches before the first reply is waited for
                waiting = waiting or error
            if waiting is not None:
                continue
            if not number:
                facts = [self.name, model, digest, len(chunks), rows.shape[1]]
                [(number,)] = _execute(connection, _ADD, facts).fetchall()
                types = {**_TYPES, "embedding": f"vector({rows.shape[1]:d})"}
                columns = ", ".join(f"{name} {kind} not null" for name, kind in types.items())
                _execute(connection, f"create table minirag_chunks_{number:d} ({columns}, primary key (position))")
                if rows.shape[1] <= MAX_PLAIN:  # a scan that finds each vector in its row is several times as fast
                    in_row = "alter column embedding set storage plain"
                    _execute(connection, f"alter table minirag_chunks_{number:d} {in_row}")
            copy_in = f"copy minirag_chunks_{number:d} ({', '.join(_TYPES)}, embedding) from stdin (format binary)"
            with connection.cursor() as cursor, cursor.copy(copy_in.encode()) as copy:
                copy.set_types([*_TYPES.values(), "vector"])
                for position, (chunk, vector) in enumerate(zip(part, rows, strict=True), first):
                    copy.write_row((position, *astuple(chunk), vector))
        if waiting is not None:
            raise waiting
        return Index(number, rows.shape[1], len(chunks))

    def search(
        self, vectors: NDArray[np.float32], k: int, where: Callable[[Chunk], bool] | None = None
    ) -> list[list[Hit]]:
        """Search as `VectorStore.search` does; scores differ by float32 rounding."""
        index, k, results = self._index, max(k, 0), []
        select = f"select {_CHUNK}, -(embedding <#> %s) as score from minirag_chunks_{index.generation:d}"
        statement = f"{select} order by score desc, position limit %s"
        with self._session() as connection:
            for query in unit_queries(vectors, index.dimensions):
                for limit in (k, 50 * k, index.size):  # of the nearest chunks, until k of them are allowed
                    rows = _execute(connection, statement, [query, limit]).fetchall()
                    # the server adds up in float32; rounding can pass 1
                    hits = [Hit(Chunk(*row[:-1]), float(np.float32(min(1.0, max(-1.0, row[-1]))))) for row in rows]
                    allowed = [hit for hit in hits if where is None or where(hit.chunk)]
                    if len(allowed) >= k:
                        break
                results.append(allowed[:k])
        return results

    @contextmanager
    def _session(self) -> "Iterator[Connection[Any]]":
        """Open a connection for one transaction.

        Raises Unfinished if the server cannot be reached or fails, and StoreError for what it refuses.
        """
        import psycopg
        from pgvector.psycopg import register_vector

        try:
            with psycopg.connect(**self._settings) as connection:
                with suppress(psycopg.ProgrammingError):  # a database that has no pgvector yet
                    register_vector(connection)
                yield connection
        except (psycopg.Error, UnicodeError) as error:  # UnicodeError: a text or host name that cannot be sent
            reason = str(error).strip().split("\n", 1)[0].rstrip(".")  # without hints and the statement
            if isinstance(error, psycopg.OperationalError):
                remedy = "check --store and that it runs, then run again"
                raise Unfinished(f"The database at {self.address} failed ({reason}); {remedy}.") from error
            raise StoreError(f"The database at {self.address} refused: {reason}.") from error

    def _find(self, connection: "Connection[Any]") -> Index | None:
        """Return the index of this name, if there is one."""
        select = f"select {', '.join(Index._fields)} from minirag_indexes where name = %s order by generation"
        row = _execute(connection, select, [self.name]).fetchone()
        return None if row is None else Index(*row)


def _execute(connection: "Connection[Any]", statement: str, values: Sequence[Any] = ()) -> "Cursor[Any]":
    """Execute a statement with `values` for its `%s`. Names inside it must be minirag's own."""
    return connection.execute(statement.encode(), values or None)


def _read_url(url: str) -> dict[str, Any]:
    """Return libpq's settings of a URL. The InputError for a wrong one quotes nothing: any part may be a password."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    with suppress(ProgrammingError, UnicodeError):
        # libpq takes what follows a second @, or an @ behind a slash, for the host
        if re.fullmatch(r"postgres(ql)?://([^@/]*@)?[^@]*", url):
            settings = conninfo_to_dict(url)
            if re.fullmatch(r"[\d,]*", str(settings.get("port", ""))):
                return settings
    raise InputError(
        "The store's address cannot be read: it is postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "
        "where @ in a name or password is written %40, / %2F, and in an option = is written %3D, & %26 and % %25."
    )
