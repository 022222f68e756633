"""`minirag run`, each of its steps, `probe` and `evaluate FILE`: every command that calls models."""

import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from minirag.batch import Batches
from minirag.cli.arguments import FORMS, STEPS
from minirag.cli.check import training_table
from minirag.cli.connect import OFFLINE, connect, store_builder
from minirag.cli.probe import probe, why_closed
from minirag.cli.progress import Progress
from minirag.cli.rows import read_rows
from minirag.cli.settings import (
    MODELS,
    check_pages,
    check_settings,
    completed,
    notes,
    prices_of,
    recorded_facts,
    settings_of,
)
from minirag.cli.terminal import cut, number, say, show, show_json, table, wrapped
from minirag.costs import Budget, Meter
from minirag.errors import InputError, TrainingNotAvailable, Unfinished
from minirag.message_log import MessageLog, write_json, write_jsonl
from minirag.metrics.comparison import COMPARED
from minirag.metrics.score import Scores, ragas_score
from minirag.pipeline import Run
from minirag.service import ROLES
from minirag.statistics.findings import means_of
from minirag.statistics.power import spaced, verdicts_in_words
from minirag.vector_store import EmbeddingModel

RESULTS = ("answers.jsonl", "scores.jsonl", "comparison.json", "costs.json", "report.html")
"""The files that depend on all settings; the log gives them again for free."""
JOB_OPTIONS = ("epochs", "batch_size", "learning_rate_multiplier", "training_option")
"""Options that only a fine-tuning job uses."""
GONE = ("use_eval_pages", "abstain_share", "validation_share", "suffix")
"""Options of earlier versions that are part of a job's identity."""
SHOWN = {*(f"tuned against {arm}" for arm in COMPARED), "a person's labels"}
"""Subjects of a comparison that every command prints; `compare` prints all."""


def main(options: Mapping[str, Any]) -> int:
    """Take the run as far as the command says."""
    options = completed(options)
    useless = [name for name in JOB_OPTIONS if name in options]
    if "tuned" in options and useless:
        raise InputError(f"--tuned names a model that is trained already: leave out --{useless[0].replace('_', '-')}.")
    command = options["command"]
    with ExitStack() as stack:
        # 1. The run, with its services; whatever can be found wrong before a call is found here.
        run = _make_run(options, stack)
        check_pages(run.settings, run.pages)
        stack.enter_context(run.log).lock()
        _compare_with_last(run, is_resumed=not options.get("documents"))
        # 2. run.json, at the start, so that an interrupted run can be resumed, and again at the end.
        write_json(run.folder / "run.json", run.facts())
        for note in notes(run.settings, run.prices, options, date.today()):
            say(note)
        # 3. What the models can do, before money is spent.
        if command == "run" and "no_probe" not in options and run.service.name != OFFLINE:
            probe(run)
        run.untrained = why_closed(run.trainer, run.log)
        if command == "run" and run.budget is not None and run.untrained is None and run.settings.tuned is None:
            run.budget.require_training(run.settings.student)
        # 4. The step.
        step = STEPS[command][0]
        batches = Batches(run.service, run.log, cap=run.budget, say=say, progress=run.progress)
        stack.push(_close_generators)
        try:
            batches.run(lambda: getattr(run, step), batched="batch" in options)
        finally:
            write_json(run.folder / "run.json", run.facts())
        # 5. What it found.
        summary = _summary(run, command)
        show_json(summary) if options.get("json") else show("\n".join(_lines(run, summary)))
        if run.log.added < len(run.log):
            say(f"calls: {run.log.added:,} sent, {len(run.log):,} in the log with those of earlier runs")
        if run.untrained is not None:
            if command == "finetune" or not isinstance(run.untrained, TrainingNotAvailable):
                raise run.untrained
            say(f"minirag: {run.untrained}")  # everything that this service allows is done
        if run.failures:
            first = run.failures[0].rstrip(".")
            text = f"{len(run.failures)} calls failed, the first for {first}; everything else is done"
            raise Unfinished(f"{text}, run again to resume.")
    return 0


def _make_run(options: Mapping[str, Any], stack: ExitStack, roles: Sequence[str] = MODELS) -> Run:
    """Return the run that the options ask for, with the services of the `roles`, which `stack` closes."""
    folder: Path = options["out"]
    settings = settings_of(options, folder, roles)
    if roles == MODELS:
        check_settings(settings, tuned_elsewhere="tuned_base_url" in options)
    recorded = {} if options.get("documents") else recorded_facts(folder)
    workers = options.get("workers", 8)
    if "batch" in options and "tuned_base_url" not in options:
        workers = 1  # threads gain nothing then, and one alone bills a call that two arms share to the same arm always
    prices, budget = prices_of(settings), None
    meter = Meter(prices)
    if settings.max_cost is not None:
        budget = Budget(settings.max_cost, prices, MessageLog(folder / "messages.jsonl"), settings.tokenizer)
        budget.require_prices(model for role in ROLES if (model := getattr(settings, role)))
    service, services = connect(options, stack, folder, roles)
    for used in {service, *services.values()}:
        used.gates.append(meter)
    store = store_builder(options, recorded=recorded.get("store"))
    progress = Progress(meter)
    return Run(folder, settings, service, services, store, workers, say, progress, prices=prices, budget=budget)


def _close_generators(_kind: object, _error: object, trace: TracebackType | None) -> None:
    """On Ctrl-C, close the generators that gave results, so that calls in flight can finish."""
    if trace is not None:
        traceback.clear_frames(trace)


def _compare_with_last(run: Run, *, is_resumed: bool) -> None:
    """Say what has changed since the folder was last used, and remove the results that depend on it.

    Raises InputError if a forgotten option would send the documents of a resumed run to another service, or if the run
    was made with an option that is gone, without which a second model would be trained.
    """
    try:
        before = recorded_facts(run.folder)
    except InputError:
        return  # there was no run, or none to compare with
    now = json.loads(json.dumps(run.facts()))  # lists in place of tuples, as in the file
    flags = {"service": "--base-url", **{f"{role}_service": f"--{role}-base-url" for role in ROLES}}
    for name, flag in flags.items():
        address = before.get(name)
        if is_resumed and address is not None and now[name] != address:
            raise InputError(f"This run was made with {address}; give {flag} {address} again, or name the documents.")
    if is_resumed and (gone := [name for name in GONE if before["settings"].get(name)]):
        used = f"--{gone[0].replace('_', '-')}, which this version does not have"
        raise InputError(f"This run was made with {used}: name the documents to go on without it.")
    changes = []  # a setting that only one of two versions has is none
    for group in ("settings", "versions", "documents", "question_files"):
        old, new = before.get(group, {}), now.get(group, {})
        changes += [Path(name).name for name in new if name in old and old[name] != new[name]]
    changes += [name for name in (*flags, "minirag") if name in before and before[name] != now[name]]
    if changes:
        say(f"changed since the last run: {', '.join(changes)}")
        for name in RESULTS:
            (run.folder / name).unlink(missing_ok=True)


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
    values = {name: show(vars(run)[step]) for name, (step, show) in shown.items() if step in vars(run)}
    return {"folder": str(run.folder), **values, "step": command}


def _lines(run: Run, summary: Mapping[str, Any]) -> list[str]:
    """Return the summary for a person: the training file as a table, or the verdicts, or a line for each count."""
    if summary["step"] == "collect":
        return training_table(run.training_report)
    if "comparison" not in summary:
        return [f"{name.replace('_', ' ')}: {value}" for name, value in summary.items() if name != "step"]
    comparison, lines = summary["comparison"], []
    for subject, sentences in {**verdicts_in_words(comparison), **comparison["in_words"]}.items():
        if sentences and (subject in SHOWN or (summary["step"] == "compare" and subject != "warnings")):
            lines += [f"{subject}:", *(f"  {sentence}" for sentence in sentences)]
    report = [f"report: {summary['report']}"] if "report" in summary else []
    return [*map(wrapped, lines), *report, wrapped(comparison["answer"])]


# -- probe -------------------------------------------------------------------------------------------------


def probe_models(options: Mapping[str, Any]) -> int:
    """Probe the models of the options, or of the run in a folder; no document is read."""
    options = completed(options)
    with ExitStack() as stack:
        folder = options.get("out") or Path(stack.enter_context(TemporaryDirectory(prefix="minirag-probe-")))
        nothing = [] if (folder / "run.json").exists() else ["nothing"]
        run = _make_run({"documents": nothing, **options, "out": folder}, stack)
        stack.enter_context(run.log).lock()
        probe(run, is_new=True)
    return 0


# -- evaluate FILE -----------------------------------------------------------------------------------------


def score_rows(options: Mapping[str, Any]) -> int:
    """Score the rows of a file: scores and log go into a folder of their own, a table or JSON to stdout."""
    path = Path(options["documents"][0])
    rows = read_rows(path)
    options = {"out": Path(f"{path.name}-scores"), **completed(options, FORMS["run.score_rows"][1].split())}
    if (options["out"] / "scores.jsonl").resolve() == path.resolve():
        raise InputError(f"The scores would replace {path}; give another folder with --out.")
    is_embedded = "answer_relevancy" in options.get("metrics", ["answer_relevancy"])
    with ExitStack() as stack:
        run = _make_run(options, stack, ("judge", "embedding") if is_embedded else ("judge",))
        stack.enter_context(run.log)
        batches = Batches(run.service, run.log, cap=run.budget, say=say, progress=run.progress)
        scores = batches.run(lambda: run.judged(rows, run.settings.judge_window), batched="batch" in options)
        write_jsonl(run.folder / "scores.jsonl", (row.to_json() for row in scores))
    say(f"evaluate: {len(scores)} scores in {run.folder / 'scores.jsonl'}")
    means = means_by_arm(scores)
    show_json(means) if options.get("json") else show(_table_of(means))
    if failed := [row for row in scores if row.failed]:
        raise Unfinished(f"{len(failed)} scores are missing ({failed[0].score.reason}) Run again to resume.")
    return 0


def means_by_arm(scores: Scores) -> dict[str, Any]:
    """Return per arm and metric: mean over scored rows, n, n unscored and why; and `ragas_score` per arm."""
    result: dict[str, Any] = {}
    for arm, metric in dict.fromkeys((row.arm, row.metric) for row in scores):
        ids = list(dict.fromkeys(row.question_id for row in scores if (row.arm, row.metric) == (arm, metric)))
        result.setdefault(arm, {})[metric] = means_of(scores.of(arm, metric, ids))
    for metrics in result.values():
        metrics["ragas_score"] = ragas_score([facts["mean"] for facts in metrics.values()])
    return result


def _table_of(means: Mapping[str, Any]) -> str:
    """Return the means as a table, and below it why rows are unscored."""
    rows, reasons = [], []
    for arm, metrics in means.items():
        for metric, facts in metrics.items():
            name = [arm[:20] or "–", spaced(metric)]
            if metric == "ragas_score":
                rows.append([*name, number(facts), "", ""])
                continue
            rows.append([*name, number(facts["mean"]), str(facts["n"]), str(facts["n_unscored"])])
            unscored = facts["unscored"].items()
            reasons += [cut(f"{' '.join(name)}: {count} unscored, {reason}") for reason, count in unscored]
    return "\n".join([table(["arm", "metric", "mean", "n", "unscored"], rows, 2), *reasons])
