"""Row 9. The services of a command: the one that its options name, or the embedded one, started for it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from minirag.errors import InputError
from minirag.postgres import Database
from minirag.redact import STUDENT_KEY, TUNED_KEY
from minirag.service import OPENAI_ADDRESS, Service
from minirag.terminal import say

OFFLINE = "offline"
"""Stands for the address of the embedded server, whose port changes, in every exchange's identity."""
KEYS = {"student": STUDENT_KEY, "tuned": TUNED_KEY}
"""The variables of the environment with the keys of services that serve one model."""


def address_of(given: Mapping[str, Any]) -> str:
    """The address that calls go to, by option, environment or default; never by a folder."""
    return str(given.get("base_url") or os.environ.get("OPENAI_BASE_URL") or OPENAI_ADDRESS)


def connect(given: Mapping[str, Any], stack: ExitStack, folder: Path, *, offline: bool) -> Service:
    """The service of this command, whose address is said; the embedded one is a process that ends with this one."""
    if not offline:
        insecure = "insecure_http" in given
        service = stack.enter_context(Service(given.get("base_url"), say=say, insecure_http=insecure))
        say(f"service: {service.address}")
        return service
    command = [sys.executable, "-P", "-m", "minirag.offline", "--with-parent", "--state", str(folder / "offline")]
    # a session of its own: Ctrl-C is for this process, which still needs replies to what is in flight
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    stack.callback(server.communicate)
    address = server.stdout.readline().decode().strip() if server.stdout else ""
    if not address:
        raise InputError("The embedded server did not start; see above.")
    say(f"service: {address} (embedded)")
    return stack.enter_context(Service(address, OFFLINE, name=OFFLINE, say=say))


def database(
    given: Mapping[str, Any], stack: ExitStack, *, recorded: object = None, approximate: bool = False
) -> Database | None:
    """The database that keeps the index, where one is named; its address never comes from a folder.

    Raises InputError where the run that `recorded` a store is resumed without, and for an option that would do nothing.
    """
    if "store" in given:
        found = Database(given["store"])
        stack.callback(found.close)
        return found
    if recorded is not None:
        raise InputError(f"This run keeps its index in {recorded}; give --store with its address again.")
    if approximate:
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
