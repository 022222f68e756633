"""`minirag costs [DIR]`: the bill of a log, and when training has paid for itself, for any three models."""

import json
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from minirag import costs
from minirag.cli.terminal import show, show_json, table
from minirag.costs import Line, Prices, bill, dollars, load_prices, payback, price_of, training_cost
from minirag.errors import InputError
from minirag.message_log import Exchange, MessageLog
from minirag.service import OPENAI_ADDRESS

ARMS = ("base", "control", "tuned", "teacher")
PRICED = ("base", "tuned", "teacher")
"""The arms of the models that `--models` names, in its order."""
TOKENS = ("input", "cached", "output")


def main(options: Mapping[str, Any]) -> int:
    """Print the bill of a run, what a question costs in each arm, price ratios, and when training has paid off."""
    folder: Path | None = options["folder"]
    if folder is None and "models" not in options:
        raise InputError("Name a run's folder, or three models with --models BASE,TUNED,TEACHER.")
    if len(options.get("models", PRICED)) != len(PRICED):
        raise InputError("--models needs three names: BASE,TUNED,TEACHER.")
    log: Iterable[Exchange] = ()
    if folder is not None:
        if not (folder / "messages.jsonl").is_file():
            raise InputError(f"There is no log in {folder} (messages.jsonl); name the folder of a run.")
        log = MessageLog(folder / "messages.jsonl")
    prices = load_prices(options.get("prices") or _recorded_prices(folder))
    result = _result(log, prices, options)
    show_json(result) if options.get("json") else show("\n".join(_lines(result)))
    return 0


def _recorded_prices(folder: Path | None) -> str | None:
    """Return the `--prices` that the run in `folder` was made with, if any."""
    try:
        prices = json.loads((folder / "run.json").read_bytes())["settings"]["prices"] if folder else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return prices if isinstance(prices, str) else None


def _result(log: Iterable[Exchange], prices: Prices, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bill as in `costs.json`, with what a question costs in each arm and when training has paid off."""
    lines = bill(log, prices)
    # the last call for each arm, eval question and draft: all that an answer takes
    calls = {
        (str(e.tags.get("arm")), str(e.tags.get("question")), e.draft): e
        for e in log
        if e.stage in {"draft", "refine"} and e.tags.get("split") == "eval" and e.error is None
    }
    models = {arm: call.model for (arm, _, _), call in calls.items()}
    tokens = {arm: _tokens_per_question(calls, arm) for arm in ARMS if arm in models}
    if "models" in options:
        models = dict(zip(PRICED, options["models"], strict=True))
    usd = {arm: price_of(tokens[arm], prices.of(model)) for arm, model in models.items() if arm in tokens}
    trained = sum(line.training_tokens for line in lines)
    is_openai = "models" in options or any(call.service == OPENAI_ADDRESS for call in calls.values())
    result = payback(
        training_cost(prices, models["base"], trained) if trained and "base" in models else None,
        usd.get("teacher"),
        usd.get("tuned"),
        hosting_per_minute=options.get("hosting_per_minute", 0.0),
        questions_per_day=options.get("questions_per_day"),
        today=date.today(),
        off=prices.of(models["tuned"]).shutdown if is_openai and "tuned" in models else None,
    )
    extra = {
        "models": models,
        "price_ratios": costs.price_ratios(prices, models),
        "tokens_per_question": {arm: dict(zip(TOKENS, counts, strict=True)) for arm, counts in tokens.items()},
        "usd_per_question": usd,
        "payback": {
            "questions": result.questions,
            "days": result.days,
            "never": result.never,
            "in_words": costs.in_words(result),
        },
    }
    return costs.as_json(lines, prices, extra)


def _tokens_per_question(calls: Mapping[tuple[str, str, int], Exchange], arm: str) -> tuple[float, float, float]:
    """Return the mean new input, cached input and output tokens of an arm's answers, all calls of each included."""
    line, questions = Line("", arm, ""), set()
    for (name, question, _), call in calls.items():
        if name == arm:
            questions.add(question)
            line.add(call, Prices("", {}))
    n = len(questions)
    return line.input_tokens / n, line.cached_tokens / n, line.output_tokens / n


def _lines(result: Mapping[str, Any]) -> list[str]:
    """Return the result as tables of at most 79 columns."""
    lines = [f"US dollars by prices of {result['prices_of']}"]
    if result["lines"]:
        lines += ["", _bill_table(result), ""]
    rows = []
    for arm, model in result["models"].items():
        tokens = result["tokens_per_question"].get(arm)
        counts = ["–"] * len(TOKENS) if tokens is None else [f"{count:,.0f}" for count in tokens.values()]
        rows.append([arm, model[:30], *counts, dollars(result["usd_per_question"].get(arm))])
    lines.append(table(["arm", "model", "in", "cached", "out", "US dollars a question"], rows, 2))
    if result["price_ratios"]:
        rows = [
            [pair, *("unknown" if ratio is None else f"{ratio:,.4g}×" for ratio in ratios.values())]
            for pair, ratios in result["price_ratios"].items()
        ]
        lines += ["", table(["price of", "input", "output"], rows, 1)]
    return [*lines, "", result["payback"]["in_words"]] if result["lines"] else lines


def _bill_table(result: Mapping[str, Any]) -> str:
    rows = []
    for line in result["lines"]:
        failed = f" ({line['failed']:,} failed)" if line["failed"] else ""
        tokens = line["input_tokens"] + line["cached_tokens"] + line["training_tokens"]
        counts = [f"{line['calls']:,}{failed}", f"{tokens:,}", f"{line['output_tokens']:,}"]
        rows.append([line["stage"], line["arm"], line["model"][:18], *counts, dollars(line["usd"])])
    calls = sum(line["calls"] for line in result["lines"])
    rows.append(["total", "", "", f"{calls:,}", "", "", dollars(result["total_usd"])])
    return table(["stage", "arm", "model", "calls", "in", "out", "US dollars"], rows, 3)
