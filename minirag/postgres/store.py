"""The index in PostgreSQL: built in one transaction, in a table of its own that takes the place of the former one.

So whoever searches meanwhile sees the old index or the new one, and a build that is killed leaves nothing behind. The
tables hold what `chunks.jsonl` and `vectors.npy` hold, and `minirag_indexes` what `index.json` does.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minirag.chunker import Chunk
from minirag.errors import InputError, StoreError, Unfinished, Waiting, keep_out
from minirag.vector_store import Embedder, Hit, VectorStore, unit_queries

if TYPE_CHECKING:
    from psycopg import Connection, Cursor

CONNECT_TIMEOUT = 10
"""Seconds, unless the address has its own `connect_timeout`."""
BATCH = 256
"""Chunks embedded and stored at a time."""
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


class Generation(NamedTuple):
    """One build of an index: a row of `minirag_indexes`, whose chunks are in the table `minirag_chunks_N`."""

    number: int
    model: str
    dimensions: int
    chunks_sha256: str
    size: int


class PostgresVectorStore:
    """The index called `name` in the database at `url`, with the methods of `VectorStore`. Safe in threads.

    What the URL (`postgresql://…`) leaves out comes from libpq's `PG…` variables; `address` is the part that may be
    shown. Raises InputError for a URL that cannot be read, or without psycopg; every method raises StoreError or
    Unfinished if the server fails. Nothing is sent before the first use.
    """

    def __init__(self, url: str, *, name: str = "minirag") -> None:
        try:
            self._settings = {"connect_timeout": CONNECT_TIMEOUT, **_read_url(url)}
        except ImportError:
            raise InputError("A store in PostgreSQL needs psycopg: run `pip install 'minirag[postgres]'`.") from None
        for secret in ("password", "sslpassword"):
            keep_out(str(self._settings.get(secret, "")))
        host, port, database = (self._settings.get(key, "") for key in ("host", "port", "dbname"))
        self.address = f"postgresql://{host}{':' if port else ''}{port}/{database}"
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

    def build(self, chunks: Sequence[Chunk], embed: Embedder, *, model: str | None = None) -> "PostgresVectorStore":
        """Embed the chunks and store them, then replace the former index of this name.

        An index of the same chunks by the same model is kept, and nothing is embedded. `model` is recorded as the maker
        of the vectors instead of `embed.model`.

        Raises StoreError as `VectorStore.build` does, and for text with NUL or half surrogates; Unfinished if another
        process builds this index, or if the server goes away: build again, the log has what was embedded.
        """
        if not chunks:
            raise StoreError("There is no chunk to index; the documents hold no text.")
        model, digest = model or embed.model, _digest(chunks)
        with self._session() as connection:  # create what all indexes of a database share
            _execute(connection, "select pg_advisory_xact_lock(hashtext('minirag'))")  # two may do so at a time
            _execute(connection, "create extension if not exists vector")
            _execute(connection, _INDEXES)
        with self._session() as connection:
            # the lock ends with the transaction, also when the process dies
            lock = "select pg_try_advisory_xact_lock(hashtext('minirag'), hashtext(%s))"
            if not _execute(connection, lock, [self.name]).fetchall()[0][0]:
                raise Unfinished(f"Another process is building the index {self.name!r}; run again when it is done.")
            former = self._find(connection)
            if former is None or (former.model, former.chunks_sha256) != (model, digest):
                number = self._fill(connection, chunks, embed, [self.name, model, digest, len(chunks)])
                delete = "delete from minirag_indexes where name = %s and generation <> %s returning generation"
                for (old,) in _execute(connection, delete, [self.name, number]).fetchall():
                    # waits for those that are searching
                    _execute(connection, f"drop table if exists minirag_chunks_{old:d}")
        return self.open()

    def build_shared(self, chunks: Sequence[Chunk], embed: Embedder, model: str) -> "PostgresVectorStore":
        """Build, or find, the index that all runs over the same chunks by the same model share."""
        self.name = hashlib.sha256(f"{model}\0{_digest(chunks)}".encode()).hexdigest()[:16]
        return self.build(chunks, embed, model=model)

    def _fill(self, connection: "Connection[Any]", chunks: Sequence[Chunk], embed: Embedder, facts: list[Any]) -> int:
        """Embed and store all chunks in a new table; return its number, from 1. `facts` are what its row says of it."""
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
                [(number,)] = _execute(connection, _ADD, [*facts, rows.shape[1]]).fetchall()
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
        return number

    def open(self, model: str | None = None) -> "PostgresVectorStore":
        """Use the index as it is now. Raises StoreError if there is none, or if another model than `model` made it."""
        with self._session() as connection:
            generation = self._find(connection)
        place = f"{self.name!r} at {self.address}"
        if generation is None:
            raise StoreError(f"There is no index {place}; build it.")
        if model is not None and generation.model != model:
            made_by = f"was made by {generation.model!r:.80}, not by {model!r}"
            raise StoreError(f"The index {place} {made_by}; build it again.")
        self._opened = generation
        return self

    def search(
        self, vectors: NDArray[np.float32], k: int, where: Callable[[Chunk], bool] | None = None
    ) -> list[list[Hit]]:
        """Search as `VectorStore.search` does; scores differ by float32 rounding.

        Raises StoreError if the index was built again since it was opened: open it again.
        """
        generation, k, results = self._generation, max(k, 0), []
        select = f"select {_CHUNK}, -(embedding <#> %s) as score from minirag_chunks_{generation.number:d}"
        statement = f"{select} order by score desc, position limit %s"
        with self._session() as connection:
            for query in unit_queries(vectors, generation.dimensions):
                for limit in (k, 50 * k, generation.size):  # of the nearest chunks, until k of them are allowed
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
                remedy = "check --store and that it runs, and run again: what it has stored is kept"
                raise Unfinished(f"The database at {self.address} failed ({reason}); {remedy}.") from error
            raise StoreError(f"The database at {self.address} refused: {reason}.") from error

    def _find(self, connection: "Connection[Any]") -> Generation | None:
        """Return the build of this index, if there is one."""
        if _execute(connection, "select to_regclass('minirag_indexes')").fetchone() == (None,):
            return None
        fields = ", ".join(["generation", *Generation._fields[1:]])
        row = _execute(connection, f"select {fields} from minirag_indexes where name = %s", [self.name]).fetchone()
        return None if row is None else Generation(*row)


def _execute(connection: "Connection[Any]", statement: str, values: Sequence[Any] = ()) -> "Cursor[Any]":
    """Execute a statement with `values` for its `%s`. Names inside it must be minirag's own."""
    return connection.execute(statement.encode(), values or None)


def _digest(chunks: Sequence[Chunk]) -> str:
    """Return the sha256 of the `chunks.jsonl` that these chunks make."""
    lines = (json.dumps(asdict(chunk), ensure_ascii=False) + "\n" for chunk in chunks)
    return hashlib.sha256("".join(lines).encode("utf-8", "backslashreplace")).hexdigest()


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
