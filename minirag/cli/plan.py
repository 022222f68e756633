"""Row 9. `minirag plan DOC…` (or `run --dry-run`): calls, tokens and money before a request is sent."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from minirag.cli.connect import address_of
from minirag.cli.resume import settings_of
from minirag.cli.terminal import number, say, show, show_json, table
from minirag.costs import bill as costs
from minirag.costs.bill import Line, dollars
from minirag.costs.plan import LENGTHS, Plan, plan, spread
from minirag.costs.shutdowns import warnings
from minirag.documents import load
from minirag.service import OPENAI_ADDRESS
from minirag.training import FEWEST_EXAMPLES


def main(given: Mapping[str, Any]) -> int:
    """Rehearse the run and print what it would take; nothing is sent but for documents at addresses."""
    settings, offline = settings_of(given, given.get("out", Path()))
    settings.check(tuned_elsewhere="tuned_base_url" in given)
    address = "http://127.0.0.1/v1" if offline else address_of(given)
    prices, batched = costs.load_prices(settings.prices), "batch" in given
    planned = plan(settings, prices, address, load(*settings.documents), batched=batched)
    if given.get("json"):
        show_json(planned.to_json())
    else:
        show("\n".join(lines(planned)))
    if address == OPENAI_ADDRESS:
        models = [settings.teacher, settings.student, settings.judge, *([settings.tuned] if settings.tuned else [])]
        for warning in warnings(models, date.today(), trains=settings.tuned is None):
            say(f"warning: {warning}")
    return 0


def lines(planned: Plan) -> list[str]:
    """The plan as a table of at most 79 columns, with what the evaluation could show below."""
    by_key = {name: {(li.stage, li.arm, li.model): li for li in bill} for name, bill in planned.bills.items()}
    keys = sorted({key for bill in by_key.values() for key in bill})
    rows = [_row(key, {name: by_key[name].get(key, Line(*key)) for name in LENGTHS}) for key in keys]
    calls = f"{sum(line.calls for line in planned.bills['usual']):,}"
    rows.append(["total", "", calls, "", "", *map(dollars, planned.usd())])
    head = ["stage", "arm", "calls", "tokens in", "tokens out", "low", "expected", "high"]
    return [
        table(head, rows, 2),
        "US dollars: the least and the most of short, usual and long answers;",
        f"prices of {planned.prices_of}.",
        f"training: about {planned.training_examples} examples, {planned.tokens_an_epoch:,} tokens an epoch, "
        f"{planned.epochs} epochs",
        *_too_few(planned),
        _evaluation(planned),
        *_batches(planned),
    ]


def _too_few(planned: Plan) -> Iterator[str]:
    if planned.training_examples < FEWEST_EXAMPLES:
        yield f"warning: a job needs at least {FEWEST_EXAMPLES} examples; ask for more --train-questions."


def _evaluation(planned: Plan) -> str:
    """What the eval set could show; the questions of one page are one witness."""
    asked = f"evaluation: {planned.eval_questions} questions from {planned.eval_pages} page"
    if planned.detectable is None:
        return f"{asked}{'' if planned.eval_pages == 1 else 's'} can show no difference: that takes two pages"
    return f"{asked}s can show a difference of about {number(planned.detectable, 2)}"


def _batches(planned: Plan) -> list[str]:
    if planned.passes is None:
        return []
    return [f"batches: {planned.passes} passes, each within 24 hours; they save {dollars(planned.saved)}"]


def _row(key: tuple[str, str, str], found: Mapping[str, Line]) -> list[str]:
    stage, arm, _ = key
    line = found["usual"]
    tokens = line.input_tokens + line.cached_tokens + line.training_tokens
    counts = [f"{count:,}" for count in (line.calls, tokens, line.output_tokens)]
    usd = spread({name: each.usd for name, each in found.items()})
    return [stage, arm, *counts, *map(dollars, usd)]
