"""Row 9. The services of a command: the one that its options name, or the embedded one, started for it."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from minirag.cli.terminal import say
from minirag.errors import InputError
from minirag.pipeline import StoreBuilder
from minirag.postgres import Database, shared_index
from minirag.service import OPENAI_ADDRESS, STUDENT_KEY, TUNED_KEY, Service

OFFLINE = "offline"
"""Stands for the address of the embedded server, whose port changes, in every exchange's identity."""
KEYS = {"student": STUDENT_KEY, "tuned": TUNED_KEY}
"""The variables of the environment with the keys of services that serve one model."""


def address_of(given: Mapping[str, Any]) -> str:
    """The address that calls go to, by option, environment or default; never by a folder."""
    return str(given.get("base_url") or os.environ.get("OPENAI_BASE_URL") or OPENAI_ADDRESS)


def connect(given: Mapping[str, Any], stack: ExitStack, folder: Path, *, offline: bool) -> Service:
    """The service of this command, whose address is said."""
    if not offline:
        insecure = "insecure_http" in given
        service = stack.enter_context(Service(given.get("base_url"), say=say, insecure_http=insecure))
        say(f"service: {service.address}")
        return service
    service = stack.enter_context(Embedded(folder / "offline"))
    say(f"service: {service.address} (embedded)")
    return service


class Embedded(Service):
    """The embedded server, a process that ends with this one; what the log answers needs none, and starts none.

    `state` is the folder that keeps its files, jobs and tuned models.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._process: subprocess.Popen[bytes] | None = None
        super().__init__(f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1", OFFLINE, name=OFFLINE, say=say)

    def _make_client(self) -> Any:
        descriptor = self._socket.fileno()
        options = ["--with-parent", "--state", str(self._state), "--listen-on", str(descriptor)]
        # a session of its own: Ctrl-C is for this process, which still needs replies to what is in flight
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "minirag.offline", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            pass_fds=[descriptor],
        )
        self._socket.close()
        client = super()._make_client()  # loads the SDK meanwhile
        if not self._process.stdout or not self._process.stdout.readline():
            raise InputError("The embedded server did not start; see above.")
        return client

    def close(self) -> None:
        super().close()
        self._socket.close()
        if self._process is not None:
            self._process.communicate()


def store_builder(
    given: Mapping[str, Any], stack: ExitStack, *, recorded: object = None, ef_search: int | None = None
) -> StoreBuilder | None:
    """Return the function that builds the index in a database if --store names one; never by what a folder says.

    Raises InputError if the run has `recorded` a store and none is named, and for --ef-search without --store.
    """
    if "store" in given:
        database = Database(given["store"])
        stack.callback(database.close)
        say(f"store: {database.address}")
        return partial(shared_index, database, ef_search)
    if recorded is not None:
        raise InputError(f"This run keeps its index in {recorded}; give --store with its address again.")
    if ef_search is not None:
        raise InputError("--ef-search is about a store in a database: name one with --store, or leave it out.")
    return None


def service_of(model: str, given: Mapping[str, Any], stack: ExitStack) -> Service | None:
    """The service of the `student` or the `tuned` model alone, where an option names one.

    Another provider gets a key of its own, never the main service's.
    """
    if f"{model}_base_url" not in given:
        return None
    key, insecure = os.environ.get(KEYS[model]) or "none", "insecure_http" in given
    service = stack.enter_context(Service(given[f"{model}_base_url"], key, say=say, insecure_http=insecure))
    say(f"service of the {model} model: {service.address}")
    return service
