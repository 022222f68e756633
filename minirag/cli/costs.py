"""`minirag costs DIR`: the bill of a run's log by any prices, and when training has paid for itself."""

import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from minirag.cli.settings import recorded_facts
from minirag.cli.terminal import show, show_json, table
from minirag.costs import bill, dollars, load_prices, run_costs
from minirag.errors import InputError
from minirag.message_log import Exchange, MessageLog
from minirag.metrics.comparison import ARMS


def main(options: Mapping[str, Any]) -> int:
    """Print what `costs.json` holds, computed from the log alone."""
    folder: Path = options["folder"]
    if not (folder / "messages.jsonl").is_file():
        raise InputError(f"There is no log in {folder} (messages.jsonl); name the folder of a run.")
    log = MessageLog(folder / "messages.jsonl")
    # the last call for each arm, eval question and draft: all that an answer takes
    answers: dict[str, dict[str, dict[int, Exchange]]] = {}
    for exchange in log:
        if exchange.stage in {"draft", "refine"} and exchange.tags.get("split") == "eval" and exchange.error is None:
            arm, question = str(exchange.tags.get("arm")), str(exchange.tags.get("question"))
            answers.setdefault(arm, {}).setdefault(question, {})[exchange.tags.get("draft", 1)] = exchange
    calls = {arm: [list(drafts.values()) for drafts in answers[arm].values()] for arm in ARMS if arm in answers}
    source = options.get("prices")
    with suppress(InputError):  # a log alone has no settings
        source = source or recorded_facts(folder)["settings"].get("prices")
    prices = load_prices(source)
    trained = next(((line.model, line.training_tokens) for line in bill(log, prices) if line.stage == "train"), None)
    result = run_costs(log, prices, calls, trained)
    show_json(result) if options.get("json") else show("\n".join(_lines(result)))
    return 0


def _lines(result: Mapping[str, Any]) -> list[str]:
    """Return the bill as a table of at most 79 columns, and below it what an answer costs."""
    rows = []
    for line in result["lines"]:
        failed = f" ({line['failed']:,} failed)" if line["failed"] else ""
        tokens = sum(line[f"{kind}_tokens"] for kind in ("input", "cached", "written", "training"))
        counts = [f"{line['calls']:,}{failed}", f"{tokens:,}", f"{line['output_tokens']:,}"]
        rows.append([line["stage"], line["arm"], line["model"][:18], *counts, dollars(line["usd"])])
    calls = sum(line["calls"] for line in result["lines"])
    rows.append(["total", "", "", f"{calls:,}", "", "", dollars(result["total_usd"])])
    lines = [f"US dollars by prices of {result['prices_of']}", ""]
    lines += [table(["stage", "arm", "model", "calls", "in", "out", "US dollars"], rows, 3), ""]
    if saved := result["cache_saved_usd"]:
        lines.append(f"Prompt caches saved {dollars(saved)} of it.")
    if each := ", ".join(f"{arm} {dollars(usd)}" for arm, usd in result["usd_per_question"].items()):
        lines.append(f"One answer costs: {each}.")
    if result["elsewhere"]:
        head = ["the same tokens with", "teacher", "untrained", "tuned", "training", "break-even"]
        rows = [[f"{trio['teacher']}, {trio['student']}", *_elsewhere(trio)] for trio in result["elsewhere"]]
        lines += ["", "US dollars for 1,000 questions, and break-even in questions:", table(head, rows)]
        lines += [*(line for trio in result["elsewhere"] for line in trio["in_words"]), ""]
    return [*lines, result["payback"]]


def _elsewhere(trio: Mapping[str, Any]) -> list[str]:
    """Return the cells of a row of hosted models: 1,000 questions by arm, training, and break-even."""
    each, questions = trio["usd_per_question"], trio["break_even_questions"]
    amounts = [None if (usd := each.get(arm)) is None else 1000 * usd for arm in ("teacher", "base", "tuned")]
    break_even = f"{math.ceil(questions):,}" if isinstance(questions, float) else str(questions or "–")
    return [*map(dollars, amounts), dollars(trio["training_usd"]), break_even]
