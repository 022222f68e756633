"""Row 2. Connections to a PostgreSQL server: shared by threads, never showing a password, failing in one sentence."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from minirag.errors import InputError, StoreError, Unfinished
from minirag.redact import keep_out

if TYPE_CHECKING:
    from psycopg import Connection, Cursor

CONNECT_SECONDS = 10
"""How long a server may take to answer at all, where the address does not say."""
LATER = ("53", "57")
"""Classes of what a server says where it may work later: no room or memory, or somebody stops it."""


class TableMissing(StoreError):
    """A statement named a table that is not there, or not any more."""


class Database:
    """The server that `url` names (`postgresql://…`, as libpq reads it; what it leaves out comes from `PG…` variables).

    `address` is what may be shown of it: database, host and port. Raises InputError where the URL cannot be read or
    psycopg is not installed. Nothing is sent before the first `session`.
    """

    def __init__(self, url: str) -> None:
        try:
            import psycopg
            from psycopg.conninfo import conninfo_to_dict
        except ImportError:
            raise InputError("A store in PostgreSQL needs psycopg: run `pip install 'minirag[postgres]'`.") from None
        try:
            if not url.startswith(("postgresql://", "postgres://")):
                raise InputError("The address of a store must begin with postgresql://.")
            self._settings: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, **conninfo_to_dict(url)}
            if not re.fullmatch(r"[\d,]*", str(self._settings.get("port", ""))):
                raise psycopg.ProgrammingError("the port is no number")
        except psycopg.ProgrammingError:  # its text may quote a password
            raise InputError("The store's address is no PostgreSQL address: postgresql://host/database.") from None
        for secret in ("password", "sslpassword"):
            keep_out(str(self._settings.get(secret, "")))
        self.address = _shown(**self._settings)
        self._idle: list[Connection[Any]] = []

    def __repr__(self) -> str:
        return f"Database({self.address})"

    @contextmanager
    def session(self, *, alone: bool = False) -> "Iterator[Connection[Any]]":
        """A connection for one thread, each statement its own transaction; `alone`: one that ends with the block.

        Raises StoreError where the server cannot be reached or refuses a statement, Unfinished where it goes away or
        has no room, TableMissing where a table is missing.
        """
        import psycopg

        connection = None if alone else self._take()
        connection = connection or self._connect()
        try:
            yield connection
        except psycopg.errors.UndefinedTable as error:
            raise TableMissing(
                f"A table at {self.address} is gone, dropped or built anew meanwhile; open the index again."
            ) from error
        except psycopg.Error as error:
            if connection.closed or (error.sqlstate or "").startswith(LATER):
                raise Unfinished(
                    f"The database at {self.address} failed ({_first_line(error)}); what it has stored is kept, "
                    "run again to resume."
                ) from error
            raise StoreError(f"The database at {self.address} refused: {_first_line(error)}.") from error
        finally:
            if alone or connection.closed:
                connection.close()
            else:
                self._idle.append(connection)

    def close(self) -> None:
        """Close the connections that no thread is using."""
        while (connection := self._take()) is not None:
            connection.close()

    def _take(self) -> "Connection[Any] | None":
        """An idle connection; two threads never get the same one."""
        with suppress(IndexError):
            return self._idle.pop()
        return None

    def _connect(self) -> "Connection[Any]":
        import psycopg
        from pgvector.psycopg import register_vector

        try:
            connection = psycopg.connect(**self._settings, autocommit=True)
        except psycopg.OperationalError as error:
            raise StoreError(
                f"Cannot reach the database at {self.address} ({_first_line(error)}); check --store, and that it runs."
            ) from error
        connection.prepare_threshold = None  # a plan that was made for an exact search must not serve another one
        with suppress(psycopg.ProgrammingError):  # a database without pgvector holds no index either
            register_vector(connection)
        return connection


def _shown(host: str = "", port: str = "", dbname: str = "", **_: Any) -> str:
    """Host, port and database; of a password with an unescaped @ the rest would stand before the host.

    >>> _shown("word@db.example", "5432", "chunks", user="me", password="pass")
    'postgresql://db.example:5432/chunks'
    """
    return f"postgresql://{host.rpartition('@')[2]}{f':{port}' if port else ''}/{dbname}"


def run(connection: "Connection[Any]", statement: str, values: Sequence[Any] = ()) -> "Cursor[Any]":
    """Execute one statement; `values` stand at its `%s`. Names in it are minirag's own."""
    return connection.execute(statement.encode(), values or None)


def _first_line(error: Exception) -> str:
    """What the server said, without its hints and the statement."""
    return str(error).strip().split("\n", 1)[0].rstrip(".")
