"""The program `minirag`: arguments in, one command, and the exit code that its failure means."""

import io
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from minirag.cli.arguments import FORMS, parser
from minirag.cli.terminal import say
from minirag.errors import InputError, MiniragError, keep_out, redact
from minirag.service import OPENAI_KEY, ROLE_KEYS

ROWS = {".jsonl", ".csv"}
"""Extensions of files of rows to score."""

RESUMED = {"run", "rows", "label"}
"""The modules that leave something behind when they are interrupted."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: like Ctrl-C, but for the exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0 done, 1 bug, 2 bad input, 3 unfinished but resumable, 4 budget, 130 interrupted, 143 terminated.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for terminals without Unicode
    for variable in (OPENAI_KEY, *ROLE_KEYS.values()):
        keep_out(os.environ.get(variable, ""))
    name = ""
    try:
        argv = sys.argv[1:] if argv is None else argv
        completes = "_ARGCOMPLETE" in os.environ  # set by a shell with `eval "$(register-python-argcomplete minirag)"`
        commands = parser(show_all=completes or "--help-all" in argv)
        if completes:
            import_module("argcomplete").autocomplete(commands)
        options = vars(commands.parse_args(argv))
        if "offline" in options and "base_url" in options:
            raise InputError("--offline and --base-url exclude each other; give one of them.")
        name = _module(options)
        form, used = FORMS.get(name, ("", options.keys()))
        if unused := sorted(options.keys() - used - {"command", "documents"}):
            raise InputError(f"{form} does not use --{unused[0].replace('_', '-')}: leave it out.")
        # loaded by name, so that help needs no numpy, and no command the modules of another
        return int(import_module(f"minirag.cli.{name}").main(options))
    except MiniragError as error:
        say(f"minirag: {error}")
        return error.exit_code
    except KeyboardInterrupt as stop:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second one must not cut off this message
        rest = "everything finished is kept, run again to resume" if name in RESUMED else "there is nothing to resume"
        print(f"\nminirag: interrupted; {rest}.", file=sys.stderr, flush=True)
        # a thread that still waits for a service must not keep the process alive
        os._exit(143 if isinstance(stop, Terminated) else 130)
    except BrokenPipeError:  # the reader of stdout has gone; without this, Python prints a traceback at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        print(redact(traceback.format_exc()), end="", file=sys.stderr)
        return 1


def run() -> NoReturn:
    """Run `main` as a program, and exit without the 0.3 s in which the interpreter would free the vocabularies."""

    def terminate(*_: object) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    code = main()
    with suppress(OSError):  # reported already
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _module(options: Mapping[str, Any]) -> str:
    """Return the name of the module in `cli` that does what the options say. Raises InputError."""
    name, documents = options["command"], [Path(document) for document in options.get("documents", ())]
    if name in {"check", "costs", "init", "label", "verify"}:
        return str(name)
    if name in {"serve", "train"}:
        return "local"
    if name == "plan" or "dry_run" in options:
        return "plan"
    if name == "evaluate":
        rows = [path for path in documents if path.suffix.lower() in ROWS or (path / "answers.jsonl").exists()]
        if len(rows) == 1 == len(documents):
            return "rows"
        if rows:
            raise InputError("Rows are scored one file at a time, without documents beside it.")
    if options.keys() & {"cancel", "download", "status"}:
        return "job"
    if name == "compare" and "out" not in options:
        is_scores = len(documents) == 2 and all(path.is_file() for path in documents)
        return "score_files" if is_scores else "replicate"
    if "out" not in options and name != "probe":
        raise InputError("Name the run's folder with --out DIR, or one file of rows (.jsonl, .csv) that exists.")
    return "run"
