"""Connections to a PostgreSQL server: reused by threads, failing in one sentence, never showing a password."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from minirag.errors import InputError, StoreError, Unfinished, keep_out

if TYPE_CHECKING:
    from psycopg import Connection, Cursor

CONNECT_TIMEOUT = 10
"""Seconds, unless the address has its own `connect_timeout`."""
TEMPORARY = ("53", "57")
"""Classes of SQLSTATE that may pass: out of memory or disk space, stopped by an operator."""


class TableMissing(StoreError):
    """A statement named a table that does not exist (any more)."""


class Database:
    """The server at `url` (`postgresql://…`); what the URL leaves out comes from libpq's `PG…` variables.

    `address` is the part of the URL that may be shown: host, port and database. Raises InputError if the URL cannot be
    read or psycopg is not installed. Nothing is sent before the first `session`. Safe in threads.
    """

    def __init__(self, url: str) -> None:
        try:
            self._settings = {"connect_timeout": CONNECT_TIMEOUT, **_read_url(url)}
        except ImportError:
            raise InputError("A store in PostgreSQL needs psycopg: run `pip install 'minirag[postgres]'`.") from None
        for secret in ("password", "sslpassword"):
            keep_out(str(self._settings.get(secret, "")))
        host, port, name = (self._settings.get(key, "") for key in ("host", "port", "dbname"))
        self.address = f"postgresql://{host}{':' if port else ''}{port}/{name}"
        self._idle: list[Connection[Any]] = []

    @contextmanager
    def session(self, *, alone: bool = False) -> "Iterator[Connection[Any]]":
        """Lend a connection to one thread, each statement its own transaction; with `alone`, close it afterwards.

        Raises Unfinished if the server does not answer, is starting, goes away or is out of space, TableMissing, and
        StoreError for all else that it refuses.
        """
        connection = None
        if not alone:
            with suppress(IndexError):  # another thread may have taken the last one
                connection = self._idle.pop()
        connection = connection or self._connect()
        try:
            with self._failures(connection):
                yield connection
        finally:
            if alone or connection.closed:
                connection.close()
            else:
                self._idle.append(connection)

    def close(self) -> None:
        """Close the connections that no thread is using."""
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> "Connection[Any]":
        import psycopg
        from pgvector.psycopg import register_vector

        try:
            # no prepared statements: the plan of an exact search must not serve one by HNSW
            connection = psycopg.connect(**self._settings, autocommit=True, prepare_threshold=None)
        except (psycopg.Error, UnicodeError) as error:  # UnicodeError: an impossible host name
            kind = Unfinished if self._may_pass(error) else StoreError
            raise kind(
                f"Cannot reach the database at {self.address} ({_first_line(error)}); check --store, and that it runs."
            ) from error
        try:
            with self._failures(connection), suppress(psycopg.ProgrammingError):  # a database without pgvector
                register_vector(connection)
        except (StoreError, Unfinished):
            connection.close()
            raise
        return connection

    def _may_pass(self, error: Exception) -> bool:
        """Return whether the server does not answer, is starting or stopping, rather than refusing this address.

        The error of a failed connection has no code, only words in the server's language; libpq's ping does better.
        """
        from psycopg.conninfo import make_conninfo
        from psycopg.errors import ConnectionTimeout, OperationalError
        from psycopg.pq import PGconn, Ping

        if isinstance(error, ConnectionTimeout) or not isinstance(error, OperationalError):
            return isinstance(error, ConnectionTimeout)
        return PGconn.ping(make_conninfo(**self._settings).encode()) in (Ping.REJECT, Ping.NO_RESPONSE)

    @contextmanager
    def _failures(self, connection: "Connection[Any]") -> Iterator[None]:
        """Raise psycopg's errors as minirag's."""
        import psycopg

        try:
            yield
        except psycopg.errors.UndefinedTable as error:
            raise TableMissing(f"A table of the index at {self.address} is gone; build the index again.") from error
        except (psycopg.Error, UnicodeEncodeError) as error:
            if connection.closed or (getattr(error, "sqlstate", None) or "").startswith(TEMPORARY):
                raise Unfinished(
                    f"The database at {self.address} failed ({_first_line(error)}); what it has stored is kept, "
                    "run again to resume."
                ) from error
            raise StoreError(f"The database at {self.address} refused: {_first_line(error)}.") from error


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


def execute(connection: "Connection[Any]", statement: str, values: Sequence[Any] = ()) -> "Cursor[Any]":
    """Execute a statement with `values` for its `%s`. Names inside it must be minirag's own."""
    return connection.execute(statement.encode(), values or None)


def _first_line(error: Exception) -> str:
    """Return what the server said, without its hints and the statement."""
    return str(error).strip().split("\n", 1)[0].rstrip(".")
