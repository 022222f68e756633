"""Row 9. The command line: arguments in, one command, and the exit code that its failure means."""

import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minirag.arguments import parser
from minirag.commands import check, costs, job, label, plan, replicate, rows, run, verify
from minirag.errors import InputError, MiniragError
from minirag.redact import keep_out, redact
from minirag.service import KEY_NAMES
from minirag.terminal import say


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
            return _run(given)
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


def _run(given: Mapping[str, Any]) -> int:
    apart = {"check": check.main, "costs": costs.main, "label": label.main, "verify": verify.main}.get(given["command"])
    if apart is not None:
        return apart(given)
    documents = given.get("documents", [])
    if given["command"] == "evaluate" and len(documents) == 1 and _holds_rows(Path(documents[0])):
        return rows.main(given, Path(documents[0]))
    if given["command"] == "evaluate" and any(Path(name).suffix.lower() in {".jsonl", ".csv"} for name in documents):
        raise InputError("Rows are scored one file at a time, without documents beside it.")
    if given["command"] == "plan" or "dry_run" in given:
        return plan.main(given)
    if "cancel" in given or "status" in given:
        return job.main(given)
    if given["command"] == "compare" and "out" not in given:
        return replicate.main(given)
    if "out" not in given:
        raise InputError("Name the run's folder with --out DIR, or one file of rows (.jsonl, .csv) that exists.")
    return run.main(given)


def _holds_rows(path: Path) -> bool:
    """Whether a path is a file of rows, or the folder of a run, and no document."""
    return path.suffix.lower() in {".jsonl", ".csv"} or (path / "answers.jsonl").exists()


if __name__ == "__main__":
    sys.exit(main())
