"""`minirag run`, and each of its steps."""

import json
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from minirag.batch import Batches
from minirag.cli.check import training_table
from minirag.cli.connect import OFFLINE, connect, store_builder
from minirag.cli.probe import probe, why_closed
from minirag.cli.progress import Progress
from minirag.cli.review import review
from minirag.cli.settings import (
    changes,
    check_pages,
    check_settings,
    completed,
    counting_notes,
    date_warnings,
    recorded_facts,
    settings_of,
)
from minirag.cli.terminal import say, show, show_json, wrapped
from minirag.costs import Budget, Meter, load_prices
from minirag.errors import InputError, MiniragError, TrainingNotAvailable, Unfinished
from minirag.message_log import MessageLog, write_json
from minirag.pipeline import Run
from minirag.report import FILES, write_tables
from minirag.service import ROLES

STEPS: Mapping[str, Callable[[Run], Any]] = {
    "questions": lambda run: run.corpus.questions,
    "index": lambda run: run.corpus.store,
    "ask": lambda run: run.training_answers,
    "collect": lambda run: run.training_report,
    "finetune": lambda run: run.tuned,
    "evaluate": lambda run: run.scores,
    "compare": lambda run: run.comparison,
    "report": lambda run: run.report,
    "run": lambda run: run.report,
}
"""What a command computes."""
RESULTS = ("answers.jsonl", "scores.jsonl", "comparison.json", "costs.json", *FILES)
"""The files that depend on all settings; the log gives them again for free."""
JOB_OPTIONS = ("epochs", "batch_size", "learning_rate_multiplier", "suffix", "job_minutes", "training_option")
"""Options that only a fine-tuning job uses."""
SHOWN = ("a person's labels",)
"""Subjects of a comparison that are printed below its verdicts; `compare` prints all."""


def main(options: Mapping[str, Any]) -> int:
    """Take the run as far as the command says."""
    options = completed(options)
    if options["command"] == "probe":
        return _only_probe(options)
    useless = [name for name in JOB_OPTIONS if name in options]
    if "tuned" in options and useless:
        raise InputError(f"--tuned names a model that is trained already: leave out --{useless[0].replace('_', '-')}.")
    is_batched = "batch" in options
    with ExitStack() as stack:
        # 1. The run, with its services; whatever can be found wrong before a call is found here.
        run = _make(options, stack)
        check_pages(run.settings, run.corpus.pages)
        stack.enter_context(run.log).lock()
        _compare_with_last(run, is_resumed=not options.get("documents"))
        # 2. run.json, so that this run can be resumed.
        _record(run)
        for warning in date_warnings(run.settings, run.prices, options, date.today()):
            say(f"warning: {warning}")
        for note in counting_notes(run.settings):
            say(note)
        # 3. What the models can do, before money is spent.
        if options["command"] == "run" and "no_probe" not in options and run.service.name != OFFLINE:
            probe(run)
        run.untrained = why_closed(run)
        # 4. The step.
        batches = Batches(run.service, run.log, cap=run.budget, say=say, progress=run.progress)
        if "review" in options:
            batches.run(lambda: review(run.corpus), batched=is_batched)
        stack.push(_close_generators)
        step = STEPS[options["command"]]
        try:
            batches.run(lambda: step(run), batched=is_batched)
        except MiniragError:
            with suppress(MiniragError):  # the first error is the one to report
                _record(run)
            raise
        # 5. What it found.
        summary = _summary(run, options["command"])
        if "tables" in options:
            summary["tables"] = [str(path) for path in write_tables(run.folder, run.results)]
        show_json(summary) if options.get("json") else show("\n".join(_lines(run, summary)))
        _record(run)
        if run.log.reused:
            say(f"calls: {run.log.added:,} sent, {len(run.log.reused):,} taken from the log of earlier runs")
        if run.untrained is not None:
            if options["command"] == "finetune" or not isinstance(run.untrained, TrainingNotAvailable):
                raise run.untrained
            say(f"minirag: {run.untrained}")  # everything that this service allows is done
        if run.failures:
            first = run.failures[0].rstrip(".")
            text = f"{len(run.failures)} calls failed, the first for {first}; everything else is done"
            raise Unfinished(f"{text}, run again to resume.")
    return 0


def _make(options: Mapping[str, Any], stack: ExitStack) -> Run:
    """Return the run that the options ask for, with its services, which `stack` closes."""
    folder: Path = options["out"]
    settings, offline = settings_of(options, folder)
    check_settings(settings, tuned_elsewhere="tuned_base_url" in options)
    recorded_store = None if options.get("documents") else recorded_facts(folder).get("store")
    workers = options.get("workers", 8)
    if "batch" in options and "tuned_base_url" not in options:
        workers = 1  # threads gain nothing then, and one alone bills a call that two arms share to the same arm always
    prices, budget = load_prices(settings.prices), None
    meter = Meter(prices)
    if settings.max_cost is not None:
        budget = Budget(settings.max_cost, prices, MessageLog(folder / "messages.jsonl"), settings.tokenizer)
        budget.require_prices(model for role in ROLES if (model := getattr(settings, role)))
    service, services = connect(options, stack, folder, offline=offline, gates=[meter])
    return Run(
        folder,
        settings,
        service,
        services,
        build_store=store_builder(options, stack, recorded=recorded_store),
        workers=workers,
        prices=prices,
        budget=budget,
        job_timeout=60 * options["job_minutes"] if "job_minutes" in options else None,
        say=say,
        progress=Progress(meter),
    )


def _only_probe(options: Mapping[str, Any]) -> int:
    """Probe the models of the options, or of the run in a folder; no document is read."""
    with ExitStack() as stack:
        folder = options.get("out") or Path(stack.enter_context(TemporaryDirectory(prefix="minirag-probe-")))
        nothing = [] if (folder / "run.json").exists() else ["nothing"]
        run = _make({"documents": nothing, **options, "out": folder}, stack)
        stack.enter_context(run.log).lock()
        probe(run, is_new=True)
    return 0


def _close_generators(_kind: object, _error: object, trace: TracebackType | None) -> None:
    """On Ctrl-C, close the generators that gave results, so that calls in flight can finish."""
    if trace is not None:
        traceback.clear_frames(trace)


def _compare_with_last(run: Run, *, is_resumed: bool) -> None:
    """Say what has changed since the folder was last used, and remove the results that depend on it.

    Raises InputError if a forgotten option would send the documents of a resumed run to another service.
    """
    try:
        before = recorded_facts(run.folder)
    except InputError:
        return  # there was no run, or none to compare with
    now = json.loads(json.dumps(run.facts()))  # lists in place of tuples, as in the file
    names = {"service": "--base-url", **{f"{role}_service": f"--{role}-base-url" for role in ROLES}}
    for name, flag in names.items():
        address = before.get(name)
        if is_resumed and address is not None and now[name] != address:
            raise InputError(f"This run was made with {address}; give {flag} {address} again, or name the documents.")
    if lines := changes(before, now):
        say(f"since the last run: {'; '.join(lines)}")
        for name in RESULTS:
            (run.folder / name).unlink(missing_ok=True)


def _record(run: Run) -> None:
    """Write `run.json`: at the start, so that an interrupted run can be resumed, and at the end."""
    write_json(run.folder / "run.json", run.facts())


def _summary(run: Run, command: str) -> dict[str, Any]:
    """Return what `--json` prints: what the command has computed, and nothing else."""
    shown: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "chunks": ("store", len),
        "questions": ("questions", len),
        "training_examples": ("training_file", lambda file: len(file.kept)),
        "tuned": ("tuned", lambda name: name),
        "scores": ("scores", len),
        "comparison": ("comparison", lambda comparison: comparison),
        "report": ("report", str),
    }
    computed = {**vars(run.corpus), **vars(run)}
    values = {name: show(computed[step]) for name, (step, show) in shown.items() if step in computed}
    return {"folder": str(run.folder), **values, "step": command}


def _lines(run: Run, summary: Mapping[str, Any]) -> list[str]:
    """Return the summary for a person: the training file as a table, or the verdicts, or a line for each count."""
    if summary["step"] == "collect":
        return training_table(run.training_report)
    if "comparison" not in summary:
        return [f"{name.replace('_', ' ')}: {value}" for name, value in summary.items() if name != "step"]
    comparison, lines = summary["comparison"], []
    for name in ("verdict", "verdict_against_teacher", "verdict_against_control"):
        if comparison[name]:  # whom it is about, then a line for each metric
            about, _, verdicts = comparison[name].partition(": ")
            lines += [f"{about}:", *(f"  {verdict}" for verdict in verdicts.split("; "))]
    for subject, sentences in comparison["in_words"].items():
        if sentences and (subject in SHOWN or (summary["step"] == "compare" and subject != "warnings")):
            lines += [f"{subject}:", *(f"  {sentence}" for sentence in sentences)]
    if "report" in summary:
        lines.append(f"report: {summary['report']}")
    lines += [f"table: {path}" for path in summary.get("tables", ())]
    lines.append(comparison["answer"])
    return [line if line.startswith(("report: ", "table: ")) else wrapped(line) for line in lines]
