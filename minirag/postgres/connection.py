"""Connections to a PostgreSQL server: reused by threads, failing in one sentence, never showing a password."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from minirag.errors import InputError, StoreError, Unfinished, keep_out

if TYPE_CHECKING:
    from psycopg import Connection

CONNECT_TIMEOUT = 10
"""Seconds, unless the address has its own `connect_timeout`."""


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
    def session(self) -> "Iterator[Connection[Any]]":
        """Lend a connection to one thread, each statement its own transaction; close it if the block fails.

        Raises Unfinished if the server cannot be reached or fails, and StoreError for what it refuses.
        """
        import psycopg

        connection = None
        usable = False
        try:
            connection = self._connect()
            yield connection
            usable = not connection.closed
        except (psycopg.Error, UnicodeError) as error:  # UnicodeError: a text or host name that cannot be sent
            reason = str(error).strip().split("\n", 1)[0].rstrip(".")  # without hints and the statement
            if connection is None or connection.closed or isinstance(error, psycopg.OperationalError):
                remedy = "check --store and that it runs, and run again: what it has stored is kept"
                raise Unfinished(f"The database at {self.address} failed ({reason}); {remedy}.") from error
            raise StoreError(f"The database at {self.address} refused: {reason}.") from error
        finally:
            if connection and usable:
                self._idle.append(connection)
            elif connection:
                connection.close()

    def close(self) -> None:
        """Close the connections that no thread is using."""
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> "Connection[Any]":
        import psycopg
        from pgvector.psycopg import register_vector

        with suppress(IndexError):  # another thread may have taken the last one
            return self._idle.pop()
        connection = psycopg.connect(**self._settings, autocommit=True)
        with suppress(psycopg.ProgrammingError):  # a database that has no pgvector yet
            register_vector(connection)
        return connection


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
