"""The services and the database of a command. Their addresses come from options or the environment, never a folder."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from minirag.cli.terminal import say
from minirag.errors import InputError
from minirag.postgres import Database, PostgresVectorStore, shared_index
from minirag.retry import PATIENCE
from minirag.service import OPENAI_ADDRESS, ROLE_KEYS, ROLES, Gate, Service

OFFLINE = "offline"
"""Name of the embedded server in the log and in `run.json`; its port changes."""


def address_of(options: Mapping[str, Any], role: str = "") -> str:
    """Return the address of a role's service, or of the main service: a stand-in for that of the embedded server."""
    main = options.get("base_url") or os.environ.get("OPENAI_BASE_URL") or OPENAI_ADDRESS
    if "offline" in options:
        main = "http://127.0.0.1/v1"
    student = options.get("student_base_url", main) if role == "tuned" else main
    return str(options.get(f"{role}_base_url", student)).rstrip("/")


def connect(
    options: Mapping[str, Any],
    stack: ExitStack,
    folder: Path,
    *,
    offline: bool,
    roles: Sequence[str] = ROLES[:4],
    gates: Sequence[Gate] = (),
) -> tuple[Service, dict[str, Service]]:
    """Return the main service of a command's `roles` and, by role, the services of their own; `stack` closes them.

    All of them ask the `gates`. `OPENAI_API_KEY` goes to the main service only. Roles at one address with one key share
    a service. Raises InputError for OpenAI without a key.
    """
    shared: dict[str, Any] = {"say": say, "insecure_http": "insecure_http" in options}
    shared |= {"timeout": options["timeout"]} if "timeout" in options else {}
    patience = 60 * options["patience"] if "patience" in options else PATIENCE
    own = [role for role in ROLES if f"{role}_base_url" in options and role in {*roles, "tuned"}]
    places: dict[tuple[str, str], Service] = {}
    services: dict[str, Service] = {}
    main: Service | None = None
    if offline or "base_url" in options or not set(roles) <= set(own):
        main = Embedded(folder / "offline") if offline else Service(options.get("base_url"), **shared)
        main.retry.patience = patience
        say(f"service: {main.address}{' (embedded)' if offline else ''}")
        places[main.address, ""] = stack.enter_context(main)
    for role in own:
        key = os.environ.get(ROLE_KEYS[role], "")
        service = Service(options[f"{role}_base_url"], key or "none", key_name=ROLE_KEYS[role], **shared)
        service.retry.patience = patience
        if service.address == OPENAI_ADDRESS and not key and (service.address, "") not in places:
            raise InputError(f"No key for --{role} at {service.address}: set {ROLE_KEYS[role]}.")
        services[role] = places.setdefault((service.address, key), stack.enter_context(service))
        say(f"service of the {role} model: {service.address}")
    main = main or services[roles[0]]
    for used in {main, *services.values()}:
        used.gates += gates
    return main, {role: service for role, service in services.items() if service is not main}


def store_builder(
    options: Mapping[str, Any], stack: ExitStack, *, recorded: object = None
) -> Callable[..., PostgresVectorStore] | None:
    """Return the function that builds the index in PostgreSQL if `--store` names a database; `stack` closes it.

    Raises InputError if none is named, but the run has `recorded` that it uses one.
    """
    if "store" in options:
        database = Database(options["store"])
        stack.callback(database.close)
        say(f"store: {database.address}")
        return partial(shared_index, database)
    if recorded is not None:
        raise InputError(f"This run keeps its index in {recorded}; give --store with its address again.")
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
