"""Row 9. `minirag run`, and each of its steps."""

import json
import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from minirag import costs
from minirag.batch import Batches
from minirag.cli import training_table
from minirag.cli.connect import connect, service_of, store_builder
from minirag.cli.resume import changes, positive, recorded_facts, settings_of
from minirag.cli.review import review
from minirag.cli.terminal import Progress, say, show, show_json
from minirag.errors import InputError, MiniragError
from minirag.pipeline import Run
from minirag.report import write_tables

RESULTS = {
    "questions": "questions",
    "index": "store",
    "ask": "training_answers",
    "collect": "training_file",
    "finetune": "tuned",
    "evaluate": "scores",
    "compare": "comparison",
}
"""The step of a `Run` that a command asks for; all others ask for the report."""


JOB_OPTIONS = ("epochs", "batch_size", "learning_rate_multiplier", "suffix", "job_minutes")
"""What only a job needs."""


def main(given: Mapping[str, Any]) -> int:
    """Take the run as far as the command says."""
    folder: Path = given["out"]
    _require_no_job_options(given)
    documents: Sequence[str] = given.get("documents", ())
    settings, offline = settings_of(given, folder)
    recorded = None if documents else recorded_facts(folder).get("store")
    progress = Progress()
    with ExitStack() as stack:
        run = Run(
            folder,
            settings,
            lambda: connect(given, stack, folder, offline=offline),
            student_service=service_of("student", given, stack),
            tuned_service=service_of("tuned", given, stack),
            build_store=store_builder(given, stack, recorded=recorded, ef_search=settings.ef_search),
            workers=_workers(given),
            prices=costs.load_prices(settings.prices),
            max_cost=settings.max_cost,
            job_timeout=60 * given["job_minutes"] if "job_minutes" in given else None,
            say=say,
            progress=progress,
        )
        run.check()
        stack.enter_context(run)
        _require_same_services(run, documents)
        _tell_changes(run)
        run.record()
        # the service's address is said before the first step, whatever that sends
        batches = Batches(run.service, run.log, cap=run.budget, say=say, progress=progress)
        if "review" in given or "editor" in given:
            batches.run(lambda: review(run, in_editor="editor" in given), batched="batch" in given)
        stack.push(_let_calls_end)
        try:
            batches.run(lambda: getattr(run, RESULTS.get(given["command"], "report")), batched="batch" in given)
        except MiniragError:
            with suppress(MiniragError):  # a full disk is what is told then
                run.record()
            raise
        summary = _summary(run, given["command"])
        if "tables" in given:
            summary["tables"] = [str(path) for path in write_tables(run.folder, given["tables"], run.results)]
        show_json(summary) if given.get("json") else show("\n".join(_lines(run, summary)))
        run.finish()
    return 0


def _workers(given: Mapping[str, Any]) -> int:
    """Calls in flight. What only waits for batches gains nothing from threads, and one asks in the same order always:
    a request that two arms share is billed to the same of them each time."""
    chosen = positive(given, "workers", 8)
    return 1 if "batch" in given and "tuned_base_url" not in given else chosen


def _require_no_job_options(given: Mapping[str, Any]) -> None:
    """An option that would do nothing is a mistake."""
    idle = [name for name in JOB_OPTIONS if name in given]
    if "tuned" in given and idle:
        raise InputError(f"--tuned names a model that is trained already: leave out --{idle[0].replace('_', '-')}.")


def _let_calls_end(_kind: object, _error: object, trace: TracebackType | None) -> None:
    """Ctrl-C while a result was looked at: close the pool that gave it, so that its calls in flight get their time."""
    if trace is not None:
        traceback.clear_frames(trace)


def _tell_changes(run: Run) -> None:
    """Say what is not as it was when the folder was last used; its results are not left beside those of now."""
    try:
        before = recorded_facts(run.folder)
    except InputError:
        return  # there was no run yet, or none that can be compared with
    now = json.loads(json.dumps(run.facts()))  # as a file has it: lists, no tuples
    if told := changes(before, now):
        say(f"since the last run: {'; '.join(told)}")
        run.forget_results()


def _require_same_services(run: Run, documents: Sequence[str]) -> None:
    """A resumed run goes on where it began: its document is not sent to another address because a flag was left out."""
    if documents:
        return
    recorded = recorded_facts(run.folder)
    for name, service, flag in (
        ("service", run.service, "--base-url"),
        ("student_service", run.student_service, "--student-base-url"),
        ("tuned_service", run.tuned_service, "--tuned-base-url"),
    ):
        address = recorded.get(name)
        if address is not None and (service is None or service.name != address):
            raise InputError(f"This run was made with {address}; give {flag} {address} again, or name the documents.")


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


def _lines(run: Run, summary: Mapping[str, Any]) -> list[str]:
    if summary["step"] == "collect":
        return training_table.lines(run.training_report)
    if "comparison" not in summary:
        return [f"{name.replace('_', ' ')}: {value}" for name, value in summary.items() if name != "step"]
    return _verdict_lines(summary)


SHOWN = ("several metrics", "the teacher's lead", "a person's labels")
"""What every command with a comparison says below its verdicts; `compare` says all."""


def _verdict_lines(summary: Mapping[str, Any]) -> list[str]:
    comparison = summary["comparison"]
    names = ("verdict", "verdict_against_teacher", "verdict_against_control")
    lines = [line for name in names if comparison[name] for line in _one_a_line(comparison[name])]
    for subject, told in comparison["in_words"].items():
        if told and (subject in SHOWN or (summary["step"] == "compare" and subject != "warnings")):
            lines += [f"{subject}:", *(f"  {line}" for line in told)]
    lines += [f"report: {summary['report']}"] if "report" in summary else []
    return lines + [f"table: {path}" for path in summary.get("tables", ())]


def _one_a_line(verdict: str) -> list[str]:
    """Whom it is about, then a line for each metric: the whole would fill three lines of a terminal."""
    about, _, told = verdict.partition(": ")
    return [f"{about}:", *(f"  {line}" for line in told.split("; "))]
