"""The services and the database of a command. Their addresses come from options or the environment, never a folder."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from minirag.cli.terminal import say
from minirag.errors import InputError
from minirag.postgres import Database, PostgresVectorStore, shared_index
from minirag.service import OPENAI_ADDRESS, STUDENT_KEY, TUNED_KEY, Service

OFFLINE = "offline"
"""Name of the embedded server in the log and in `run.json`; its port changes."""


def address_of(options: Mapping[str, Any]) -> str:
    """Return the address of the main service."""
    return str(options.get("base_url") or os.environ.get("OPENAI_BASE_URL") or OPENAI_ADDRESS)


def connect(options: Mapping[str, Any], stack: ExitStack, folder: Path, *, offline: bool) -> Service:
    """Return the main service of a command, the embedded server if `offline`; `stack` closes it."""
    if offline:
        service: Service = Embedded(folder / "offline")
    else:
        service = Service(options.get("base_url"), say=say, insecure_http="insecure_http" in options)
    say(f"service: {service.address}{' (embedded)' if offline else ''}")
    return stack.enter_context(service)


def service_of(model: str, options: Mapping[str, Any], stack: ExitStack) -> Service | None:
    """Return the service of the `student` or the `tuned` model alone, with its own key; None if no option names one."""
    if f"{model}_base_url" not in options:
        return None
    key = os.environ.get(STUDENT_KEY if model == "student" else TUNED_KEY) or "none"
    service = Service(options[f"{model}_base_url"], key, say=say, insecure_http="insecure_http" in options)
    say(f"service of the {model} model: {service.address}")
    return stack.enter_context(service)


def store_builder(
    options: Mapping[str, Any], stack: ExitStack, *, recorded: object = None, ef_search: int | None = None
) -> Callable[..., PostgresVectorStore] | None:
    """Return the function that builds the index in PostgreSQL if `--store` names a database; `stack` closes it.

    Raises InputError if none is named, but the run has `recorded` that it uses one, or `ef_search` needs one.
    """
    if "store" in options:
        database = Database(options["store"])
        stack.callback(database.close)
        say(f"store: {database.address}")
        return partial(shared_index, database, ef_search)
    if recorded is not None:
        raise InputError(f"This run keeps its index in {recorded}; give --store with its address again.")
    if ef_search is not None:
        raise InputError("--ef-search is for an index in PostgreSQL: name one with --store, or leave it out.")
    return None


class Embedded(Service):
    """The embedded server: a process that starts with the first call that is not in the log, and ends with this one.

    `state` is the folder that keeps its files, jobs and tuned models.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._process: subprocess.Popen[bytes] | None = None
        super().__init__(f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1", OFFLINE, name=OFFLINE, say=say)

    def _make_client(self) -> Any:
        command = [sys.executable, "-P", "-m", "minirag.offline", "--with-parent", "--state", str(self._state)]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        # where Ctrl-C does not reach it: it ends only this process, whose calls in flight still need replies
        if sys.platform == "win32":  # a child cannot take over the socket, so it opens the port again
            port = self._socket.getsockname()[1]
            self._socket.close()
            group = subprocess.CREATE_NEW_PROCESS_GROUP
            self._process = subprocess.Popen([*command, "--port", str(port)], creationflags=group, **pipes)
        else:
            number = self._socket.fileno()
            command += ["--listen-on", str(number)]
            self._process = subprocess.Popen(command, start_new_session=True, pass_fds=[number], **pipes)
            self._socket.close()
        client = super()._make_client()  # loads the SDK while the server starts
        if not self._process.stdout or not self._process.stdout.readline():
            raise InputError("The embedded server did not start; see above.")
        return client

    def close(self) -> None:
        super().close()
        self._socket.close()
        if self._process is not None:
            self._process.communicate()
