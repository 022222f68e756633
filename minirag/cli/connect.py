"""The services and the database of a command. Their addresses come from options or the environment, never a folder."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from minirag.cli.terminal import say
from minirag.errors import InputError
from minirag.postgres import PostgresVectorStore
from minirag.retry import Retry
from minirag.service import OPENAI_ADDRESS, OPENAI_KEY, ROLE_KEYS, ROLES, SECONDS, Service

OFFLINE = "offline"
"""Name of the embedded server in the log and in `run.json`."""


def address_of(options: Mapping[str, Any], role: str = "") -> str:
    """Return the address of a role's service, or of the main service: a stand-in for that of the embedded server."""
    main = options.get("base_url") or os.environ.get("OPENAI_BASE_URL") or OPENAI_ADDRESS
    if "offline" in options:
        main = "http://127.0.0.1/v1"
    student = options.get("student_base_url", main) if role == "tuned" else main
    return str(options.get(f"{role}_base_url", student)).rstrip("/")


def connect(
    options: Mapping[str, Any], stack: ExitStack, folder: Path, roles: Sequence[str]
) -> tuple[Service, dict[str, Service]]:
    """Return the main service of a command's `roles` and, by role, the services of their own; `stack` closes them.

    `OPENAI_API_KEY` goes to the main service only. Roles at one address with one key share a service. Raises InputError
    for OpenAI without a key.
    """

    def service_at(address: str | None, key: str | None = None, key_name: str = OPENAI_KEY) -> Service:
        retry = Retry(patience=60 * options["patience"]) if "patience" in options else Retry()
        how: dict[str, Any] = {"timeout": options.get("timeout", SECONDS), "insecure_http": "insecure_http" in options}
        return stack.enter_context(Service(address, key, key_name=key_name, retry=retry, say=say, **how))

    own = [role for role in ROLES if f"{role}_base_url" in options and role in {*roles, "tuned"}]
    places: dict[tuple[str, str], Service] = {}
    services: dict[str, Service] = {}
    main: Service | None = None
    if "offline" in options:
        main = stack.enter_context(Embedded(folder / "offline"))
        say("service: embedded")
    elif "base_url" in options or not set(roles) <= set(own):
        main = service_at(options.get("base_url"))
        say(f"service: {main.address}")
        places[main.address, ""] = main
    for role in own:
        key = os.environ.get(ROLE_KEYS[role], "")
        service = service_at(options[f"{role}_base_url"], key or "none", ROLE_KEYS[role])
        if service.address == OPENAI_ADDRESS and not key and (service.address, "") not in places:
            raise InputError(f"No key for --{role} at {service.address}: set {ROLE_KEYS[role]}.")
        services[role] = places.setdefault((service.address, key), service)
        say(f"service of the {role} model: {service.address}")
    main = main or services[roles[0]]
    return main, {role: service for role, service in services.items() if service is not main}


def store_builder(options: Mapping[str, Any], *, recorded: object = None) -> Callable[..., PostgresVectorStore] | None:
    """Return the function that builds the index in PostgreSQL, if `--store` names a database.

    Raises InputError if none is named, but the run has `recorded` that it uses one.
    """
    if "store" in options:
        store = PostgresVectorStore(options["store"])
        say(f"store: {store.address}")
        return store.build
    if recorded is not None:
        raise InputError(f"This run keeps its index in {recorded}; give --store with its address again.")
    return None


class Embedded(Service):
    """The embedded server: a process that starts with the first call that is not in the log, and ends with this one.

    `state` is the folder that keeps its files, jobs and tuned models.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._process: subprocess.Popen[bytes] | None = None
        super().__init__("http://127.0.0.1/v1", OFFLINE, name=OFFLINE, say=say)  # its port is known when it runs

    def _make_client(self) -> Any:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "minirag.offline", "--with-parent", "--state", str(self._state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C ends only this process, whose calls in flight still need replies
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same on Windows
        )
        client = super()._make_client()  # loads the SDK while the server starts
        self.address = self._process.stdout.readline().decode().strip() if self._process.stdout else ""
        if not self.address:
            raise InputError("The embedded server did not start; see above.")
        client.base_url = self.address
        return client

    def close(self) -> None:
        super().close()
        if self._process is not None:
            self._process.communicate()
