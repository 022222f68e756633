"""`minirag run`, and each of its steps."""

import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any

from minirag.batch import Batches
from minirag.cli.check import training_table
from minirag.cli.connect import connect, service_of, store_builder
from minirag.cli.review import review
from minirag.cli.settings import changes, check_pages, check_settings, recorded_facts, settings_of
from minirag.cli.terminal import Progress, say, show, show_json
from minirag.costs import Budget, load_prices, shutdown_warnings
from minirag.errors import InputError, MiniragError, Unfinished
from minirag.files import write_json
from minirag.message_log import MessageLog
from minirag.pipeline import Run
from minirag.report import FILES, write_tables
from minirag.service import OPENAI_ADDRESS

STEPS: Mapping[str, Callable[[Run], Any]] = {
    "questions": lambda run: run.corpus.questions,
    "index": lambda run: run.corpus.store,
    "ask": lambda run: run.training_answers,
    "collect": lambda run: run.training_report,
    "finetune": lambda run: run.tuned,
    "evaluate": lambda run: run.scores,
    "compare": lambda run: run.comparison,
}
"""What a command computes; all other commands compute the report."""
RESULTS = ("answers.jsonl", "scores.jsonl", "comparison.json", "costs.json", *FILES)
"""The files that depend on all settings; the log gives them again for free."""
JOB_OPTIONS = ("epochs", "batch_size", "learning_rate_multiplier", "suffix", "job_minutes")
"""Options that only a fine-tuning job uses."""
SHOWN = ("several metrics", "the teacher's lead", "a person's labels")
"""Subjects of a comparison that are printed below its verdicts; `compare` prints all."""


def main(options: Mapping[str, Any]) -> int:
    """Take the run as far as the command says."""
    folder: Path = options["out"]
    documents: Sequence[str] = options.get("documents", ())
    useless = [name for name in JOB_OPTIONS if name in options]
    if "tuned" in options and useless:
        raise InputError(f"--tuned names a model that is trained already: leave out --{useless[0].replace('_', '-')}.")
    settings, offline = settings_of(options, folder)
    recorded_store = None if documents else recorded_facts(folder).get("store")
    workers, is_batched = options.get("workers", 8), "batch" in options
    if is_batched and "tuned_base_url" not in options:
        workers = 1  # threads gain nothing then, and one alone bills a call that two arms share to the same arm always
    progress = Progress()
    with ExitStack() as stack:
        # 1. The run, with its services; whatever can be found wrong before a call is found here.
        check_settings(settings, tuned_elsewhere="tuned_base_url" in options)
        prices, budget = load_prices(settings.prices), None
        if settings.max_cost is not None:
            budget = Budget(settings.max_cost, prices, MessageLog(folder / "messages.jsonl"), settings.tokenizer)
        run = Run(
            folder,
            settings,
            connect(options, stack, folder, offline=offline),
            student_service=service_of("student", options, stack),
            tuned_service=service_of("tuned", options, stack),
            build_store=store_builder(options, stack, recorded=recorded_store, ef_search=settings.ef_search),
            workers=workers,
            prices=prices,
            budget=budget,
            job_timeout=60 * options["job_minutes"] if "job_minutes" in options else None,
            say=say,
            progress=progress,
        )
        check_pages(settings, run.corpus.pages)
        stack.enter_context(run.log).lock()
        if not documents:
            _require_same_services(run)
        # 2. What has changed since the folder was last used; then run.json, so that this run can be resumed.
        _say_changes(run)
        _record(run)
        if run.trainer.address == OPENAI_ADDRESS and settings.tuned is None:  # the known dates are OpenAI's
            for warning in shutdown_warnings(prices, [settings.student], date.today(), base=settings.student):
                say(f"warning: {warning}")
        # 3. The step.
        batches = Batches(run.service, run.log, cap=budget, say=say, progress=progress)
        if "review" in options:
            batches.run(lambda: review(run.corpus), batched=is_batched)
        stack.push(_close_generators)
        try:
            step = STEPS.get(options["command"], _report)
            batches.run(lambda: step(run), batched=is_batched)
        except MiniragError:
            with suppress(MiniragError):  # the first error is the one to report
                _record(run)
            raise
        # 4. What it found.
        summary = _summary(run, options["command"])
        if "tables" in options:
            summary["tables"] = [str(path) for path in write_tables(run.folder, options["tables"], run.results)]
        show_json(summary) if options.get("json") else show("\n".join(_lines(run, summary)))
        _finish(run)
    return 0


def _close_generators(_kind: object, _error: object, trace: TracebackType | None) -> None:
    """On Ctrl-C, close the generators that gave results, so that calls in flight can finish."""
    if trace is not None:
        traceback.clear_frames(trace)


def _require_same_services(run: Run) -> None:
    """Raise InputError if a forgotten option would send the documents of a resumed run to another service."""
    recorded = recorded_facts(run.folder)
    for name, service, flag in (
        ("service", run.service, "--base-url"),
        ("student_service", run.student_service, "--student-base-url"),
        ("tuned_service", run.tuned_service, "--tuned-base-url"),
    ):
        address = recorded.get(name)
        if address is not None and (service is None or service.name != address):
            raise InputError(f"This run was made with {address}; give {flag} {address} again, or name the documents.")


def _say_changes(run: Run) -> None:
    """Say what has changed since the folder was last used, and remove the results that depend on it."""
    try:
        before = recorded_facts(run.folder)
    except InputError:
        return  # there was no run, or none to compare with
    now = json.loads(json.dumps(run.facts()))  # lists in place of tuples, as in the file
    if lines := changes(before, now):
        say(f"since the last run: {'; '.join(lines)}")
        for name in RESULTS:
            (run.folder / name).unlink(missing_ok=True)


def _report(run: Run) -> Path:
    return run.report


def _record(run: Run) -> None:
    """Write `run.json`: at the start, so that an interrupted run can be resumed, and at the end."""
    write_json(run.folder / "run.json", run.facts())


def _finish(run: Run) -> None:
    """Record the run. Raises Unfinished if a question or a score could not be had, JobError without a tuned model."""
    _record(run)
    if run.log.reused:
        say(f"calls: {run.log.added:,} sent, {len(run.log.reused):,} taken from the log of earlier runs")
    if run.untrained is not None:
        raise run.untrained
    if run.failures:
        raise Unfinished(
            f"{len(run.failures)} calls failed, the first for {run.failures[0].rstrip('.')}; "
            "everything else is done, run again to resume."
        )


def _summary(run: Run, command: str) -> dict[str, Any]:
    """Return what `--json` prints: what the command has computed, and nothing else."""
    computed = {**vars(run.corpus), **vars(run)}
    summary: dict[str, Any] = {"folder": str(run.folder)}
    if "store" in computed:
        summary["chunks"] = len(run.corpus.store)
    if "questions" in computed:
        summary["questions"] = len(run.corpus.questions)
    if "training_file" in computed:
        summary["training_examples"] = len(run.training_file.kept)
    if "tuned" in computed:
        summary["tuned"] = run.tuned
    if "scores" in computed:
        summary["scores"] = len(run.scores)
    if "comparison" in computed:
        summary["comparison"] = run.comparison
    if "report" in computed:
        summary["report"] = str(run.report)
    return {**summary, "step": command}


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
    return lines + [f"table: {path}" for path in summary.get("tables", ())]
