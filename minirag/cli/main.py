"""The program `minirag`: arguments in, one command, and the exit code that its failure means."""

import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from minirag.cli.arguments import DOCUMENTS, FORMS, OTHERS, parser
from minirag.cli.terminal import say
from minirag.errors import InputError, MiniragError, keep_out, redact
from minirag.service import OPENAI_KEY, ROLE_KEYS

RESUMED = {"run.main", "run.score_rows", "label.main"}
"""The functions that leave something behind when they are interrupted."""


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
        name = _function(options)
        form, used = FORMS.get(name, ("", None))
        if used is not None and (unused := sorted(options.keys() - {*used, "command", "documents"})):
            raise InputError(f"{form} does not use --{unused[0].replace('_', '-')}: leave it out.")
        # loaded by name, so that help needs no numpy, and no command the modules of another
        if options["command"] in DOCUMENTS and (used is None or "config" in used):
            options = import_module("minirag.cli.settings").completed(options, used)
        module, _, function = name.partition(".")
        return int(getattr(import_module(f"minirag.cli.{module}"), function)(options))
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


def run_local(options: Mapping[str, Any]) -> NoReturn:
    """Replace this process by `python -m minirag.local`, which has torch; what it prints and its exit code are ours."""
    if missing := [name for name in ("torch", "transformers", "peft") if not find_spec(name)]:
        raise InputError(f"{', '.join(missing)} not installed: pip install 'minirag[local]'")
    sys.stdout.flush()
    arguments = json.dumps(dict(options), default=str)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "minirag.local", arguments])


def _function(options: Mapping[str, Any]) -> str:
    """Return the module and function that do what the options say, like `run.main`. Raises InputError."""
    name, documents = options["command"], [Path(document) for document in options.get("documents", ())]
    if name in OTHERS:
        return OTHERS[name][0]
    if name == "probe":
        return "run.probe_models"
    if name == "evaluate":
        is_rows = [path.suffix.lower() in {".jsonl", ".csv"} or (path / "answers.jsonl").exists() for path in documents]
        if is_rows == [True]:
            return "run.score_rows"
        if any(is_rows):
            raise InputError("Rows are scored one file at a time, without documents beside it.")
    if options.keys() & {"cancel", "download", "status"}:
        return "job.main"
    if name == "compare" and "out" not in options:
        has_folder = any(path.is_dir() for path in documents)
        is_scores = len(documents) == 2 and not has_folder and any(path.is_file() for path in documents)
        return "compare.files" if is_scores else "compare.runs"
    if "out" not in options:
        raise InputError("Name the run's folder with --out DIR, or one file of rows (.jsonl, .csv) that exists.")
    return "run.main"
