"""Row 2. Connections to a PostgreSQL server: shared by threads, never showing a password, failing in one sentence."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from minirag.errors import InputError, MiniragError, StoreError, Unfinished, keep_out

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
            settings = _settings_of(url)
        except ImportError:
            raise InputError("A store in PostgreSQL needs psycopg: run `pip install 'minirag[postgres]'`.") from None
        self._settings: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, **settings}
        for secret in ("password", "sslpassword"):
            keep_out(str(self._settings.get(secret, "")))
        self.address = _shown(**self._settings)
        self._idle: list[Connection[Any]] = []

    def __repr__(self) -> str:
        return f"Database({self.address})"

    @contextmanager
    def session(self, *, alone: bool = False) -> "Iterator[Connection[Any]]":
        """A connection for one thread, each statement its own transaction; `alone`: one that ends with the block.

        Raises StoreError where the server refuses the connection or a statement, Unfinished where it does not answer,
        is starting, goes away or has no room, TableMissing where a table is missing.
        """
        connection = None if alone else self._take()
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
        except (psycopg.Error, UnicodeError) as error:  # the latter for a host's name that cannot be one
            kind = Unfinished if self._may_answer_later(error) else StoreError
            raise kind(
                f"Cannot reach the database at {self.address} ({_first_line(error)}); check --store, and that it runs."
            ) from error
        connection.prepare_threshold = None  # a plan that was made for an exact search must not serve another one
        try:
            # a database without pgvector holds no index either
            with self._failures(connection), suppress(psycopg.ProgrammingError):
                register_vector(connection)
        except MiniragError:
            connection.close()
            raise
        return connection

    def _may_answer_later(self, error: Exception) -> bool:
        """Whether nobody answers, or a server that is starting or stopping; any other answer stays as it is.

        The error has only words, in the server's language; libpq's own test of a server knows the code behind them.
        """
        from psycopg.conninfo import make_conninfo
        from psycopg.errors import ConnectionTimeout, OperationalError
        from psycopg.pq import PGconn, Ping

        if isinstance(error, ConnectionTimeout):
            return True  # and is not waited for a second time
        if not isinstance(error, OperationalError):
            return False
        return PGconn.ping(make_conninfo(**self._settings).encode()) in (Ping.REJECT, Ping.NO_RESPONSE)

    @contextmanager
    def _failures(self, connection: "Connection[Any]") -> Iterator[None]:
        """What the server says in the block becomes one of minirag's errors."""
        import psycopg

        try:
            yield
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


def _settings_of(url: str) -> dict[str, Any]:
    """What libpq reads in an address. Raises InputError, which quotes nothing of it: a password may stand anywhere."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    if not url.startswith(("postgresql://", "postgres://")):
        raise InputError("The address of a store must begin with postgresql://.")
    if not re.fullmatch(r"\w+://([^@/]*@)?[^@]*", url):  # what follows a password's @ would be taken for the host
        raise InputError("The store's address has an @ too many: in a name or a password it is written %40.")
    try:
        settings = conninfo_to_dict(url)
    except (psycopg.ProgrammingError, UnicodeError) as error:
        raise InputError(
            f"The store's address is no PostgreSQL address, postgresql://host/database ({_unquoted(error)}); "
            "within a value = is written %3D, & %26 and % %25."
        ) from None
    ports = str(settings.get("port", "")).split(",")
    if not all(re.fullmatch(r"\d{0,5}", port) and int(port or 0) < 1 << 16 for port in ports):
        raise InputError("The port in the store's address is no number from 1 to 65535.")
    if not re.fullmatch(r"-?\d{1,9}", str(settings.get("connect_timeout", CONNECT_SECONDS))):
        raise InputError("The connect_timeout in the store's address is no whole number of seconds.")
    return settings


def _unquoted(error: Exception) -> str:
    """What is wrong with an address, without the part of it that the error quotes.

    >>> _unquoted(ValueError('extra key/value separator "=" in URI query parameter: "options"'))
    'extra key/value separator'
    """
    return re.sub(r"""(: | )?["'].*["']""", " …", _first_line(error)).removesuffix(" …")


def _shown(host: str = "", port: str = "", dbname: str = "", **_: Any) -> str:
    """Host, port and database.

    >>> _shown("db.example", "5432", "chunks", user="me", password="pass")
    'postgresql://db.example:5432/chunks'
    """
    return f"postgresql://{host}{f':{port}' if port else ''}/{dbname}"


def run(connection: "Connection[Any]", statement: str, values: Sequence[Any] = ()) -> "Cursor[Any]":
    """Execute one statement; `values` stand at its `%s`. Names in it are minirag's own."""
    return connection.execute(statement.encode(), values or None)


def _first_line(error: Exception) -> str:
    """What the server said, without its hints and the statement."""
    return str(error).strip().split("\n", 1)[0].rstrip(".")
