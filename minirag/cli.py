"""Row 9. The command line: arguments in, one step of a run out, and the exit code that the failure means."""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

from minirag.arguments import ROLES, parser
from minirag.costs import load_prices
from minirag.errors import InputError, MiniragError, Unfinished
from minirag.evaluate import evaluate
from minirag.files import write_jsonl
from minirag.message_log import MessageLog
from minirag.models import ChatModel, EmbeddingModel, Service
from minirag.pipeline import Run
from minirag.redact import redact
from minirag.rows import read_rows
from minirag.settings import Settings

_RESULTS = {
    "index": "store",
    "ask": "training_answers",
    "collect": "training_file",
    "finetune": "tuned",
    "evaluate": "scores",
    "compare": "comparison",
}
OFFLINE = "offline"
"""Stands for the address of the embedded server, whose port changes, in every exchange's identity."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0 done, 2 bad input, 3 resumable, 4 budget, 130 interrupted)."""
    try:
        arguments = parser().parse_args(argv)
        if "offline" in arguments and "base_url" in arguments:
            raise InputError("--offline and --base-url exclude each other; give one of them.")
        return _run(arguments)
    except MiniragError as error:
        print(f"minirag: {redact(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more would only spoil the last words
        print("\nminirag: interrupted; everything finished is kept, run again to resume.", file=sys.stderr, flush=True)
        os._exit(130)  # a thread that still waits for a service must not keep the process alive
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader went away: no traceback at exit
        return 0


def _run(arguments: argparse.Namespace) -> int:
    given = vars(arguments)
    documents = given.get("documents", [])
    if given["command"] == "evaluate" and len(documents) == 1 and _holds_rows(Path(documents[0])):
        return _evaluate_rows(given, Path(documents[0]))
    if given["command"] == "evaluate" and any(Path(name).suffix.lower() in {".jsonl", ".csv"} for name in documents):
        raise InputError("Rows are scored one file at a time, without documents beside it.")
    if "out" not in given:
        raise InputError("Name the run's folder with --out DIR, or one file of rows (.jsonl, .csv) that exists.")
    folder: Path = given["out"]
    with ExitStack() as stack:
        settings, offline_run = _settings(given, folder)
        run = Run(
            folder,
            settings,
            lambda: _service(given, stack, folder, offline_run),
            stack.enter_context(_tuned_service(given["tuned_base_url"])) if "tuned_base_url" in given else None,
            workers=_positive(given, "workers", 8),
            prices=load_prices(given.get("prices")),
            say=_say,
            progress=_Progress(),
        )
        run.check()
        stack.enter_context(run)
        _require_same_services(run, documents)
        run.record()
        _say(f"service: {run.service.address}" + (" (embedded)" if offline_run else ""))
        getattr(run, _RESULTS.get(given["command"], "questions" if given["command"] == "questions" else "report"))
        summary = _summary(run, given["command"])
        print(json.dumps(summary, ensure_ascii=False) if given.get("json") else "\n".join(_lines(summary)))
        run.finish()
    return 0


def _require_same_services(run: Run, documents: list[str]) -> None:
    """A resumed run goes on where it began: its document is not sent to another address because a flag was left out."""
    if documents:
        return
    recorded = _facts(run.folder)
    for name, service, flag in (
        ("service", run.service, "--base-url"),
        ("tuned_service", run.tuned_service, "--tuned-base-url"),
    ):
        address = recorded.get(name)
        if address is not None and (service is None or service.name != address):
            raise InputError(f"This run was made with {address}; give {flag} {address} again, or name the documents.")


def _holds_rows(path: Path) -> bool:
    """Whether a path is a file of rows, or the folder of a run, and no document."""
    return path.suffix.lower() in {".jsonl", ".csv"} or (path / "answers.jsonl").exists()


def _evaluate_rows(given: dict[str, Any], path: Path) -> int:
    """Score the rows of a file: scores and log go into a folder of their own, a table or JSON to stdout."""
    rows = read_rows(path)
    metrics = given.get("metrics", ("faithfulness", "answer_relevancy"))
    is_offline = "offline" in given
    for role in ("judge", "embedding"):
        if role not in given and not is_offline and (role == "judge" or "answer_relevancy" in metrics):
            raise InputError(f"No model for --{role}: name one, or use --offline for the embedded models.")
    folder = given.get("out", Path(f"{path.name}-scores"))
    if (folder / "scores.jsonl").resolve() == path.resolve():
        raise InputError(f"The scores would replace {path}; give another folder with --out.")
    with ExitStack() as stack:
        log = stack.enter_context(MessageLog(folder / "messages.jsonl"))
        service = _service(given, stack, folder, is_offline)
        judge = ChatModel(
            given.get("judge", "offline-judge"),
            temperature=given.get("temperature", 0.0),
            tokenizer=given.get("tokenizer"),
            log=log,
            service=service,
        )
        scores = evaluate(
            rows,
            metrics,
            judge,
            EmbeddingModel(given.get("embedding", "offline-embedding"), log=log, service=service),
            rounds=_positive(given, "rounds", 1),
            workers=_positive(given, "workers", 8),
            window=given.get("judge_window"),
            progress=lambda done, total: _Progress()("evaluate", done, total),
        )
        write_jsonl(folder / "scores.jsonl", (row.to_json() for row in scores))
    _say(f"evaluate: {len(scores)} scores in {folder / 'scores.jsonl'}")
    summary = scores.summary()
    print(json.dumps(summary, ensure_ascii=False) if given.get("json") else _table_of(summary))
    if failed := [row for row in scores if row.failed]:
        raise Unfinished(f"{len(failed)} scores are missing ({failed[0].score.reason}) Run again to resume.")
    return 0


def _table_of(summary: dict[str, Any]) -> str:
    """The means as lines of at most 79 characters, unscored rows with their reasons below."""
    lines = [f"{'arm':10} {'metric':20} {'mean':>7} {'n':>6} {'unscored':>9}"]
    for name, metrics in summary.items():
        arm = name[:10] or "–"
        for metric, facts in metrics.items():
            if metric == "ragas_score":
                lines.append(f"{arm:10} {'ragas score':20} {_shown(facts):>7}")
                continue
            mean, n, unscored = _shown(facts["mean"]), facts["n"], facts["n_unscored"]
            lines.append(f"{arm:10} {metric:20} {mean:>7} {n:>6} {unscored:>9}")
            lines += [f"{'':13}{count} × {reason}"[:79] for reason, count in facts["unscored"].items()]
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _positive(given: dict[str, Any], name: str, default: int) -> int:
    value = int(given.get(name, default))
    if value < 1:
        raise InputError(f"--{name} is {value}; it must be at least 1.")
    return value


def _settings(given: dict[str, Any], folder: Path) -> tuple[Settings, bool]:
    """The settings of this command, and whether the embedded models are used.

    With documents the command line says everything; without, the folder's own settings stand and the options
    given change them. The service's address never comes from the folder.
    """
    known = {f.name for f in fields(Settings)}
    options = {name: value for name, value in given.items() if name in known}
    options["documents"] = tuple(given.get("documents", ()))
    is_offline = "offline" in given
    if not options["documents"]:
        recorded, service = _recorded(folder)
        options = {**recorded, **{k: v for k, v in options.items() if k != "documents"}}
        is_offline = is_offline or service == OFFLINE
    for role in ROLES:
        if is_offline:
            options.setdefault(role, f"offline-{role}")
        elif role not in options:
            raise InputError(f"No model for --{role}: name one, or use --offline for the embedded models.")
    return _with_tuples(Settings(**options)), is_offline


def _facts(folder: Path) -> dict[str, Any]:
    """What `run.json` says. Raises InputError where it says nothing that can be used."""
    path = folder / "run.json"
    try:
        facts = json.loads(path.read_bytes())
        required = {f.name for f in fields(Settings) if f.default is MISSING}
        if not required <= set(facts["settings"]) or not isinstance(facts["service"], str):
            raise ValueError("settings are missing")
        wrong = [name for name, value in facts["settings"].items() if not _is_of_kind(name, value)]
        if wrong:
            raise ValueError(f"{wrong[0]} is {facts['settings'][wrong[0]]!r:.40}")
    except FileNotFoundError:
        raise InputError(f"No document was named, and {folder} holds no run to resume; name a document.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} cannot be read ({error}); name the documents again.") from error
    return dict(facts)


def _is_of_kind(name: str, value: Any) -> bool:
    """Whether a recorded setting has the type that its default has."""
    known = {f.name: f.default for f in fields(Settings)}
    if name in {"documents", "metrics"}:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if name in {"train_questions", "eval_questions"}:
        return isinstance(value, int | str)
    default = known.get(name)
    return (
        default is None
        or default is MISSING
        or isinstance(value, type(default))
        or (name == "temperature" and value is None)
    )


def _recorded(folder: Path) -> tuple[dict[str, Any], str]:
    """The recorded settings that this version knows, and the service's name."""
    facts, names = _facts(folder), {f.name for f in fields(Settings)}
    return {name: value for name, value in facts["settings"].items() if name in names}, facts["service"]


def _with_tuples(settings: Settings) -> Settings:
    """JSON has no tuples: the settings with theirs back."""
    return replace(settings, documents=tuple(settings.documents), metrics=tuple(settings.metrics))


def _service(given: dict[str, Any], stack: ExitStack, folder: Path, is_offline: bool) -> Service:
    """The service of this command; the embedded one is a process of its own that ends with this one."""
    if not is_offline:
        return stack.enter_context(Service(given.get("base_url")))
    command = [sys.executable, "-P", "-m", "minirag.offline", "--with-parent", "--state", str(folder / "offline")]
    # a session of its own: Ctrl-C is for this process, which still needs replies to what is in flight
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    stack.callback(server.communicate)
    address = server.stdout.readline().decode().strip() if server.stdout else ""
    if not address:
        raise InputError("The embedded server did not start; see above.")
    return stack.enter_context(Service(address, OFFLINE, name=OFFLINE))


def _tuned_service(address: str) -> Service:
    """Another provider gets a key of its own, never the main service's."""
    return Service(address, os.environ.get("MINIRAG_TUNED_API_KEY") or "none")


def _say(line: str) -> None:
    print(f"\r\033[K{line}" if sys.stderr.isatty() else line, file=sys.stderr, flush=True)


class _Progress:
    """One line on a terminal, rewritten; nothing where there is none (each step says a line of its own)."""

    def __call__(self, step: str, done: int, total: int) -> None:
        if sys.stderr.isatty():
            count = f" {done}/{total}" if total else " …"
            print(f"\r\033[K{step}{count}"[:90], end="", file=sys.stderr, flush=True)


def _summary(run: Run, command: str) -> dict[str, Any]:
    """What a step gave, for `--json`; only what the step has made already."""
    done = vars(run)
    summary: dict[str, Any] = {"folder": str(run.folder)}
    if "store" in done:
        summary["chunks"] = len(run.store)
    if "questions" in done:
        summary["questions"] = len(run.questions)
    if "training_file" in done:
        summary["training_examples"] = len(run.training_file.kept)
    if "tuned" in done:
        summary["tuned"] = run.tuned
    if "scores" in done:
        summary["scores"] = len(run.scores)
    if "comparison" in done:
        summary["comparison"] = run.comparison
    if "report" in done:
        summary["report"] = str(run.report)
    return {**summary, "step": command}


def _lines(summary: dict[str, Any]) -> list[str]:
    if "comparison" not in summary:
        return [f"{name.replace('_', ' ')}: {value}" for name, value in summary.items() if name != "step"]
    lines = [summary["comparison"]["verdict"], summary["comparison"]["verdict_against_teacher"]]
    return [*lines, f"report: {summary['report']}"] if "report" in summary else lines


if __name__ == "__main__":
    sys.exit(main())
