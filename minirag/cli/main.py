"""Row 9. The command line: arguments in, one command, and the exit code that its failure means."""

import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from minirag.cli.arguments import parser
from minirag.cli.terminal import say
from minirag.errors import InputError, MiniragError, keep_out, redact
from minirag.service import KEY_NAMES

ROWS = {".jsonl", ".csv"}
"""How the name of a file of rows ends."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: like Ctrl-C in everything but the exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0 done, 1 bug, 2 bad input, 3 resumable, 4 budget, 130 interrupted, 143 terminated.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Unicode shows codes
    for name in KEY_NAMES:
        keep_out(os.environ.get(name, ""))
    try:
        given = vars(parser().parse_args(argv))
        if "offline" in given and "base_url" in given:
            raise InputError("--offline and --base-url exclude each other; give one of them.")
        with _terminable():
            # loaded only now: help and mistakes are answered without numpy, and no command waits for another's modules
            command = import_module(f"minirag.cli.{_module(given)}")
            return int(command.main(given))
    except MiniragError as error:
        say(f"minirag: {error}")
        return error.exit_code
    except KeyboardInterrupt as stop:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # one more would only spoil the last words
        print("\nminirag: interrupted; everything finished is kept, run again to resume.", file=sys.stderr, flush=True)
        os._exit(
            143 if isinstance(stop, Terminated) else 130
        )  # a thread that still waits for a service must not keep the process alive
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader went away: no traceback at exit
        return 0
    except Exception:
        print(redact(traceback.format_exc()), end="", file=sys.stderr)
        return 1


def run() -> NoReturn:
    """`main` as a program. It ends without the third of a second in which Python would take vocabularies apart."""
    code = main()
    with suppress(OSError):  # what could not be written has been said
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM raises Terminated in the block, where the system allows that: signals are for the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(*_: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _module(given: Mapping[str, Any]) -> str:
    """Which module of `commands` does what is asked."""
    name, documents = given["command"], given.get("documents", [])
    if name in {"check", "costs", "label", "verify"}:
        return str(name)
    if name == "evaluate" and len(documents) == 1 and _holds_rows(Path(documents[0])):
        return "rows"
    if name == "evaluate" and any(Path(document).suffix.lower() in ROWS for document in documents):
        raise InputError("Rows are scored one file at a time, without documents beside it.")
    if name == "plan" or "dry_run" in given:
        return "plan"
    if "cancel" in given or "status" in given:
        return "job"
    if name == "compare" and ("out" not in given or "html" in given):
        return "replicate"
    if "out" not in given:
        raise InputError("Name the run's folder with --out DIR, or one file of rows (.jsonl, .csv) that exists.")
    return "run"


def _holds_rows(path: Path) -> bool:
    """Whether a path is a file of rows, or the folder of a run, and no document."""
    return path.suffix.lower() in ROWS or (path / "answers.jsonl").exists()
