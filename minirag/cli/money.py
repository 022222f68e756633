"""What a run will cost and has cost: `minirag plan DOC…`, and `minirag costs DIR`.

To plan, the run itself is rehearsed over the real documents, with a service that invents replies of usual length. So
the calls, windows, refine steps and training examples are those of a run.
"""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from minirag.cli.connect import address_of
from minirag.cli.settings import check_pages, check_settings, notes, prices_of, settings_of
from minirag.cli.terminal import say, show, show_json, table, wrapped
from minirag.costs import Line, bill, load_prices, run_costs, total, training_cost
from minirag.costs.rehearsal import Rehearsal
from minirag.documents import load
from minirag.errors import InputError
from minirag.message_log import Exchange, MessageLog
from minirag.metrics.comparison import ARMS, FEWEST_CLUSTERS
from minirag.pipeline import Run
from minirag.statistics.power import detectable
from minirag.text import counted, dollars
from minirag.training import FEWEST_EXAMPLES, default_epochs

SPREAD, CORRELATION = 0.26, 0.3
"""What `plan` assumes of a question's difference in faithfulness between two arms: its standard deviation (that of the
article), and the correlation of two questions about one page."""


def plan(options: Mapping[str, Any]) -> int:
    """Rehearse the run and print what it would take; nothing is sent, but documents may be downloaded."""
    settings = settings_of(options, options.get("out", Path()))
    check_settings(settings, tuned_elsewhere="tuned_base_url" in options)
    prices, pages = prices_of(settings), load(*settings.documents)
    check_pages(settings, pages)
    # 1. All steps of the run, with an inventing service.
    with TemporaryDirectory(prefix="minirag-plan-") as folder:
        service = Rehearsal(address_of(options), settings.tokenizer)
        tuned = settings.tuned or f"ft:{settings.student}:rehearsed"
        run = Run(Path(folder), replace(settings, tuned=tuned), service, workers=1, prices=prices, sync=False)
        run.pages = pages
        with run.log:
            file = run.training_file if settings.tuned is None else None
            _ = run.scores
            tags = {"batch": "rehearsed"} if "batch" in options else {}
            lines = bill((replace(exchange, tags={**exchange.tags, **tags}) for exchange in run.log), prices)
    # 2. The training.
    training = {}
    if file is not None:
        epochs = settings.epochs or default_epochs(len(file.kept))
        tokens = file.tokens * epochs
        usd = training_cost(prices, settings.student, tokens)
        lines.append(Line("train", "tuned", settings.student, calls=1, training_tokens=tokens, usd=usd))
        training = {"training_examples": len(file.kept), "tokens_an_epoch": file.tokens, "epochs": epochs}
    # 3. What the evaluation can show: questions about one page count as fewer (Kish's design effect).
    questions = run.of_split("eval")
    n, eval_pages = len(questions), len(run.pages_of(questions))
    error = SPREAD * math.sqrt((1 + (n / eval_pages - 1) * CORRELATION) / n)
    whole = total(lines)
    result = {
        "lines": [vars(line) for line in lines],
        "total_usd": whole,
        **training,
        "eval_questions": n,
        "eval_pages": eval_pages,
        "detectable": detectable(error, eval_pages - 1) if eval_pages >= FEWEST_CLUSTERS else None,
        "prices_of": prices.date,
    }
    # 4. What to know of it.
    show_json(result) if options.get("json") else show("\n".join(_plan_lines(result)))
    for note in notes(settings, prices, options, date.today()):
        say(note)
    if whole is None:
        say("warning: a price is not known: name it in a file for --prices, or the role of a free model with --free.")
    elif settings.max_cost is not None and whole > settings.max_cost:
        say(f"warning: this run costs about {dollars(whole)}, and --max-cost ends it at {dollars(settings.max_cost)}.")
    return 0


def _plan_lines(result: Mapping[str, Any]) -> list[str]:
    """Return a plan as a table, and below it the training file and the evaluation."""
    lines = [_bill_table(result), f"US dollars by prices of {result['prices_of']}, for answers of usual length."]
    if "epochs" in result:
        examples, tokens = result["training_examples"], f"{result['tokens_an_epoch']:,} tokens an epoch"
        lines.append(f"training: {examples} examples, {tokens}, {result['epochs']} epochs")
        if examples < FEWEST_EXAMPLES:
            lines.append(f"warning: a job needs at least {FEWEST_EXAMPLES} examples; ask for more --train-questions.")
    shows = f"no difference: a verdict takes {FEWEST_CLUSTERS} pages"
    if result["detectable"] is not None:
        shows = f"a difference of about {result['detectable']:.2f}"
    evaluated = f"{counted(result['eval_questions'], 'question')} from {counted(result['eval_pages'], 'page')}"
    return [*lines, f"evaluation: {evaluated} can show {shows}"]


def _bill_table(result: Mapping[str, Any]) -> str:
    """Return the lines of a bill, with their sum, as a table of at most 79 columns."""
    rows = []
    for line in result["lines"]:
        failed = f" ({line['failed']:,} failed)" if line["failed"] else ""
        tokens = sum(line[f"{kind}_tokens"] for kind in ("input", "cached", "written", "training"))
        counts = [f"{line['calls']:,}{failed}", f"{tokens:,}", f"{line['output_tokens']:,}"]
        rows.append([line["stage"], line["arm"], line["model"][:18], *counts, dollars(line["usd"])])
    calls = sum(line["calls"] for line in result["lines"])
    rows.append(["total", "", "", f"{calls:,}", "", "", dollars(result["total_usd"])])
    return table(["stage", "arm", "model", "calls", "in", "out", "US dollars"], rows, 3)


def costs(options: Mapping[str, Any]) -> int:
    """Print what `costs.json` holds, computed from the log alone."""
    folder: Path = options["folder"]
    if not (folder / "messages.jsonl").is_file():
        raise InputError(f"There is no log in {folder} (messages.jsonl); name the folder of a run.")
    log = MessageLog(folder / "messages.jsonl")
    # by arm and eval question the last call for each draft: all that an answer takes
    answers: dict[Any, dict[Any, dict[int, Exchange]]] = {}
    for exchange in log:
        tags = exchange.tags
        if exchange.stage in {"draft", "refine"} and tags.get("split") == "eval" and exchange.error is None:
            drafts = answers.setdefault(tags.get("arm"), {}).setdefault(tags.get("question"), {})
            drafts[tags.get("draft", 1)] = exchange
    calls = {arm: [list(drafts.values()) for drafts in answers[arm].values()] for arm in ARMS if arm in answers}
    source = options.get("prices")
    prices = load_prices(source)
    with suppress(InputError):  # a log alone has no settings
        prices = prices_of(settings_of({}, folder), source)
    trained = next(((line.model, line.training_tokens) for line in bill(log, prices) if line.stage == "train"), None)
    result = run_costs(log, prices, calls, trained)
    show_json(result) if options.get("json") else show("\n".join(_bill_lines(result)))
    return 0


def _bill_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the bill as a table, and below it what an answer costs."""
    lines = [f"US dollars by prices of {result['prices_of']}", "", _bill_table(result), ""]
    if saved := result["cache_saved_usd"]:
        lines.append(f"Prompt caches saved {dollars(saved)} of it.")
    if each := ", ".join(f"{arm} {dollars(usd)}" for arm, usd in result["usd_per_question"].items()):
        lines.append(f"One answer costs: {each}.")
    return [*lines, wrapped(result["payback"])]
