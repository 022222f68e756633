"""Row 9. `minirag costs [DIR]`: the bill of a log, and whether training pays for itself, for any three models."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from minirag.cli.terminal import show, show_json, table
from minirag.costs import bill as costs
from minirag.costs.bill import Line, Prices, dollars
from minirag.costs.payback import in_words, payback, question_costs, ratios
from minirag.costs.shutdowns import shutdown
from minirag.errors import InputError
from minirag.message_log import Exchange, MessageLog
from minirag.service import OPENAI_ADDRESS

PRICED = ("base", "tuned", "teacher")
"""What the three of `--models` are, in their order."""
Answers = dict[tuple[str, str, int], Exchange]


def main(given: Mapping[str, Any]) -> int:
    """Print the bill of a run's log, the price ratios of base, tuned and teacher, and when training has paid off."""
    folder: Path | None = given["folder"]
    prices = costs.load_prices(given.get("prices") or _recorded_prices(folder))
    if folder is None and "models" not in given:
        raise InputError("Name a run's folder, or three models with --models BASE,TUNED,TEACHER.")
    log = None if folder is None else _log(folder)
    result = _result(log or (), prices, given)
    show_json(result) if given.get("json") else show("\n".join(_lines(result)))
    return 0


def _recorded_prices(folder: Path | None) -> str | None:
    """The prices that the run in `folder` was made with, if there is a run and it was made with some of its own."""
    try:
        found = json.loads((folder / "run.json").read_bytes())["settings"]["prices"] if folder else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _log(folder: Path) -> MessageLog:
    if not (folder / "messages.jsonl").is_file():
        raise InputError(f"There is no log in {folder} (messages.jsonl); name the folder of a run.")
    return MessageLog(folder / "messages.jsonl")


def _result(log: Iterable[Exchange], prices: Prices, given: Mapping[str, Any]) -> dict[str, Any]:
    bill, answers = costs.bill(log, prices), _answers(log)
    served = {arm: exchange.model for (arm, _, _), exchange in answers.items()}
    models = dict(zip(PRICED, given["models"], strict=True)) if "models" in given else served
    arms = [arm for arm in ("base", "control", "tuned", "teacher") if arm in served]
    tokens: dict[str, tuple[float, float, float]] = {arm: _tokens_per_question(answers, arm) for arm in arms}
    each = question_costs(prices, models, tokens)
    trained = sum(line.training_tokens for line in bill)
    is_openai = "models" in given or any(e.service == OPENAI_ADDRESS for e in answers.values())
    paid = payback(
        costs.training_cost(prices, models["base"], trained) if trained and "base" in models else None,
        each.get("teacher"),
        each.get("tuned"),
        hosting_per_minute=given.get("hosting_per_minute", 0.0),
        questions_per_day=given.get("questions_per_day"),
        today=date.today(),
        off=shutdown(models["tuned"]) if is_openai and "tuned" in models else None,
    )
    more = {
        "models": models,
        "price_ratios": ratios(prices, models),
        "tokens_per_question": {
            arm: dict(zip(("input", "cached", "output"), t, strict=True)) for arm, t in tokens.items()
        },
        "usd_per_question": each,
        "payback": {"questions": paid.questions, "days": paid.days, "never": paid.never, "in_words": in_words(paid)},
    }
    return costs.as_json(bill, prices, more)


def _answers(log: Iterable[Exchange]) -> Answers:
    """The last exchange of each arm, eval question and draft: what an answer takes now."""
    return {
        (str(e.tags.get("arm")), str(e.tags.get("question")), e.draft): e
        for e in log
        if e.stage in {"draft", "refine"} and e.tags.get("split") == "eval" and e.error is None
    }


def _tokens_per_question(answers: Answers, arm: str) -> tuple[float, float, float]:
    """Mean new input, cached input and output tokens of an arm's answers, all their calls included."""
    line, questions = Line("", arm, ""), set()
    for (name, question, _), exchange in answers.items():
        if name == arm:
            questions.add(question)
            line.add(exchange, Prices("", {}))
    return tuple(n / len(questions) for n in (line.input_tokens, line.cached_tokens, line.output_tokens))  # type: ignore[return-value]


def _lines(result: Mapping[str, Any]) -> list[str]:
    told = [f"US dollars by prices of {result['prices_of']}"]
    if result["lines"]:
        told += ["", _bill(result), ""]
    rows = [
        [arm, model[:30], *_question(result, arm), dollars(result["usd_per_question"].get(arm))]
        for arm, model in result["models"].items()
    ]
    told.append(table(["arm", "model", "in", "cached", "out", "US dollars a question"], rows, 2))
    if result["price_ratios"]:
        told += ["", _ratio_table(result["price_ratios"])]
    return [*told, "", result["payback"]["in_words"]] if result["lines"] else told


def _bill(result: Mapping[str, Any]) -> str:
    rows = [
        [
            line["stage"],
            line["arm"],
            line["model"][:18],
            f"{line['calls']:,}" + (f" ({line['failed']:,} failed)" if line["failed"] else ""),
            f"{line['input_tokens'] + line['cached_tokens'] + line['training_tokens']:,}",
            f"{line['output_tokens']:,}",
            dollars(line["usd"]),
        ]
        for line in result["lines"]
    ]
    rows.append(
        ["total", "", "", f"{sum(line['calls'] for line in result['lines']):,}", "", "", dollars(result["total_usd"])]
    )
    return table(["stage", "arm", "model", "calls", "in", "out", "US dollars"], rows, 3)


def _question(result: Mapping[str, Any], arm: str) -> Sequence[str]:
    tokens = result["tokens_per_question"].get(arm)
    return ["–"] * 3 if tokens is None else [f"{count:,.0f}" for count in tokens.values()]


def _ratio_table(found: Mapping[str, Mapping[str, float | None]]) -> str:
    rows = [
        [pair, *("unknown" if r is None else f"{r:,.4g}×" for r in kinds.values())] for pair, kinds in found.items()
    ]
    return table(["price of", "input", "output"], rows, 1)
