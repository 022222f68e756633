"""`minirag run`, each of its steps, `probe` and `evaluate FILE`: every command that calls models."""

import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from minirag import prompts
from minirag.batch import Batches
from minirag.cli.arguments import STEPS
from minirag.cli.check import training_table
from minirag.cli.connect import OFFLINE, connect, store_builder
from minirag.cli.progress import Progress
from minirag.cli.rows import read_rows
from minirag.cli.settings import MODELS, check_pages, check_settings, facts_of, notes, prices_of, settings_of
from minirag.cli.terminal import cut, say, show, show_json, table, wrapped
from minirag.costs import Budget, bill, total
from minirag.errors import BadReply, InputError, ServiceError, TrainingNotAvailable, Unfinished
from minirag.message_log import Exchange, MessageLog, write_json, write_jsonl
from minirag.metrics.comparison import COMPARED
from minirag.metrics.judge import reply_tokens
from minirag.metrics.score import Scores, ragas_score
from minirag.models import read_object
from minirag.pipeline import Run
from minirag.questions import TOKENS_PER_QUESTION
from minirag.service import ROLES, Service
from minirag.statistics.findings import means_of
from minirag.statistics.power import number, spaced, verdicts_in_words
from minirag.text import dollars

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
        try:
            batches.run(lambda: getattr(run, step), batched="batch" in options)
        except BaseException as stop:
            traceback.clear_frames(stop.__traceback__)  # closes generators, so that calls in flight can finish
            raise
        finally:
            write_json(run.folder / "run.json", run.facts())
        # 5. What it found.
        summary = _summary(run, command)
        show_json(summary) if options.get("json") else show("\n".join(_lines(run, summary)))
        if run.log.added < len(run.log):
            say(f"calls: {run.log.added:,} sent, {len(run.log):,} in the log with those of earlier runs")
        # a service that does not train has been said by then, and everything that it allows is done
        if run.untrained and (command == "finetune" or not isinstance(run.untrained, TrainingNotAvailable)):
            raise run.untrained
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
    recorded = {} if options.get("documents") else facts_of(folder)
    workers = options.get("workers", 8)
    if "batch" in options and "tuned_base_url" not in options:
        workers = 1  # threads gain nothing then, and one alone bills a call that two arms share to the same arm always
    prices, budget = prices_of(settings), None
    progress = Progress(prices)
    if settings.max_cost is not None:
        budget = Budget(settings.max_cost, prices, MessageLog(folder / "messages.jsonl"), settings.tokenizer)
        budget.require_prices(model for role in ROLES if (model := getattr(settings, role)))
    service, services = connect(options, stack, folder, roles)
    for used in {service, *services.values()}:
        used.gates.append(progress)
    store = store_builder(options, recorded=recorded.get("store"))
    return Run(folder, settings, service, services, store, workers, say, progress, prices=prices, budget=budget)


def _compare_with_last(run: Run, *, is_resumed: bool) -> None:
    """Say what has changed since the folder was last used, and remove the results that depend on it.

    Raises InputError if a forgotten option would send the documents of a resumed run to another service, or if the run
    was made with an option that is gone, without which a second model would be trained.
    """
    try:
        before = facts_of(run.folder)
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
        raise InputError(
            f"This run was made with {used}: keep its model with --tuned NAME, or name the documents again."
        )
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
# The requests of a probe are like those of the run, so that what a model refuses and how it thinks is known before. The
# log holds them: a resumed run sends none.

FACT = prompts.Excerpt("The trams of Tarnwick are blue.", 1)
QUESTION = "What colour are the trams?"
ANSWER = (prompts.draft(QUESTION, [FACT]), None, TOKENS_PER_QUESTION)
REQUESTS = {
    "teacher": (prompts.questions(FACT, 1), prompts.QUESTIONS_SCHEMA, 2 * TOKENS_PER_QUESTION),
    "student": ANSWER,
    "judge": (prompts.verdicts([FACT], [FACT.text]), prompts.VERDICTS_SCHEMA, reply_tokens(1)),
    "tuned": ANSWER,
}
"""Each role's smallest request of its kind: messages, schema, and the most tokens of a reply."""
STAGE = "probe"
JSON_FORMS = {"json_schema": "schema", "json_object": "object"}
MAY_PASS = {408, 409, 429, 502, 503, 504, 529}
"""Statuses that say nothing about what a service can do."""


def probe_models(options: Mapping[str, Any]) -> int:
    """Probe the models of the options, or of the run in a folder; no document is read."""
    with ExitStack() as stack:
        folder = options.get("out") or Path(stack.enter_context(TemporaryDirectory(prefix="minirag-probe-")))
        nothing = [] if (folder / "run.json").exists() else ["nothing"]
        run = _make_run({"documents": nothing, **options, "out": folder}, stack)
        stack.enter_context(run.log).lock()
        probe(run, is_new=True)
    return 0


def probe(run: Run, *, is_new: bool = False) -> None:
    """Ask the model of each role, look at the training endpoint, and show what they can do as a table on stderr.

    What the log holds is not asked again, but for the training endpoint if `is_new`. Raises InputError that names the
    models that do not answer; a service that does not train is only said.
    """
    log, trainer = run.log, run.trainer
    before = len(log)
    rows, notes, failures = [], [], []
    models = {role: model for role in (*REQUESTS, "embedding") if (model := getattr(run.settings, role))}
    for role, model in models.items():
        cells = ["", "yes", "", "", ""]
        try:
            if role == "embedding":
                size = run.embed.embed([FACT.text, QUESTION], stage=STAGE).shape[1]
                notes.append(f"{role}: {size:,} dimensions, at most {run.embed.inputs_per_call} texts a call")
            else:
                messages, schema, reply = REQUESTS[role]
                chat, tags = run.chat(role), {"role": role}
                exchange = chat.complete(messages, stage=STAGE, tags=tags, max_tokens=reply, schema=schema)
                cells = _cells(role, exchange)
        except ServiceError as error:
            if error.status in {401, 402}:  # no model there answers to this key or account
                raise
            cells = ["", str(error.code) if error.final else "no", "", "", ""]  # a refusal is an answer
            if not error.final:
                failures.append(f"{role} {model}: {error}")
        rows.append([role, _cut(model), *cells])
    if run.settings.tuned is None:
        call, state = _training_call(trainer), f"{trainer.address} takes jobs"
        if is_new or not (log.find(call.id) or why_closed(trainer, log)):
            try:
                trainer.send(call, log, read=read_object, retries=False, reuse=False)
            except ServiceError as error:
                state = f"not known, because {error}"
        notes.append(f"training: {why_closed(trainer, log) or state}")
    if len(log) == before and not failures:
        return
    asked = [exchange for exchange in log if exchange.stage == STAGE]
    notes.append(f"probe: {len(asked)} requests, {dollars(total(bill(asked, run.prices)))}")
    head = ["role", "model", "served as", "answers", "thinks", "temp.", "JSON"]
    for line in "\n".join([table(head, rows, 3), *map(wrapped, notes)]).splitlines():
        say(line)
    if failures:
        raise InputError(f"{len(failures)} of the models cannot be used. {' '.join(failures)}")


def _cells(role: str, exchange: Exchange) -> list[str]:
    """Return what a model's answer shows, for the columns from `served as` on."""
    request, usage = exchange.request, exchange.usage
    form = "–"
    if role in {"teacher", "judge"}:
        form = JSON_FORMS.get(str((request.get("response_format") or {}).get("type")), "in text")
        try:
            prompts.json_object(exchange.text)
        except ValueError:
            form = "none"
    # tokens of thinking are in the details, or only in the total
    prompt, completion, total_tokens = (usage.get(f"{part}_tokens") or 0 for part in ("prompt", "completion", "total"))
    details = usage.get("completion_tokens_details") or {}
    thought = max(total_tokens - prompt - completion, details.get("reasoning_tokens") or 0)
    temperature = f"{request['temperature']:g}" if "temperature" in request else "own"
    return [_cut(exchange.served_model), f"{exchange.seconds:.1f} s", str(thought or "no"), temperature, form]


def _cut(name: str) -> str:
    return name if len(name) <= 17 else f"…{name[-16:]}"


def _training_call(trainer: Service) -> Exchange:
    return Exchange(STAGE, "fine_tuning.jobs.list", trainer.name, {"limit": 1})


def why_closed(trainer: Service, log: MessageLog) -> TrainingNotAvailable | None:
    """Return why a service trains no models, as a probe in this log has shown; None if it may."""
    call = _training_call(trainer)
    failed = [exchange.error for exchange in log.failures if exchange.id == call.id and exchange.error]
    if not failed or log.find(call.id) is not None:
        return None
    error = ServiceError.from_json(failed[-1])
    if error.status in MAY_PASS or (error.status is None and not isinstance(error, BadReply)):
        return None
    why = str(error).rstrip(".").removeprefix(f"{trainer.address} answered {error.status}: ")
    if error.status in {404, 405}:
        why = "it has no endpoint for jobs"
    remedy = "train on training.jsonl elsewhere, then run again with --tuned MODEL --tuned-base-url URL"
    return TrainingNotAvailable(f"{trainer.address} trains no models ({why}): {remedy}.")


def score_rows(options: Mapping[str, Any]) -> int:
    """Score the rows of a file: scores and log go into a folder of their own, a table or JSON to stdout."""
    path = Path(options["documents"][0])
    rows = read_rows(path)
    options = {"out": Path(f"{path.name}-scores"), **options}
    if (options["out"] / "run.json").exists() or (options["out"] / "scores.jsonl").resolve() == path.resolve():
        raise InputError(f"The scores would replace those in {options['out']}; give another folder with --out.")
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
