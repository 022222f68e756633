"""`minirag plan DOC…` (or `run --dry-run`): calls, tokens and money before a request is sent.

The run itself is rehearsed over the real documents, with a service that invents replies: once with short, once with
usual and once with long ones. So the calls, windows, refine steps and training examples are those that a run will have.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from minirag.cli.connect import address_of
from minirag.cli.limits import check_pages, check_settings
from minirag.cli.resume import settings_of
from minirag.cli.terminal import number, say, show, show_json, table
from minirag.comparison import plan_detectable
from minirag.corpus import Settings
from minirag.costs import Line, Prices, bill, dollars, load_prices, shutdown_warnings, total, training_cost
from minirag.costs.budget import ENDPOINTS
from minirag.costs.rehearsal import Rehearsal
from minirag.documents import Pages, load
from minirag.errors import Waiting
from minirag.message_log import Exchange, MessageLog
from minirag.pipeline import Run
from minirag.service import OPENAI_ADDRESS
from minirag.training import FEWEST_EXAMPLES, default_epochs

LENGTHS = {"short": 0.5, "usual": 1.0, "long": 2.0}
"""Length of the invented answers, as a multiple of the usual one."""
SPREAD = 0.26
"""Assumed standard deviation of a question's difference in faithfulness between two arms: that of the article."""
CORRELATION = 0.3
"""Assumed correlation between the differences of two questions about one page."""

Bills = Mapping[str, Sequence[Line]]
"""The bill of each rehearsal, by the names of `LENGTHS`."""


def main(options: Mapping[str, Any]) -> int:
    """Rehearse the run and print what it would take; nothing is sent, but documents may be downloaded."""
    settings, offline = settings_of(options, options.get("out", Path()))
    check_settings(settings, tuned_elsewhere="tuned_base_url" in options)
    address = "http://127.0.0.1/v1" if offline else address_of(options)
    prices, pages = load_prices(settings.prices), load(*settings.documents)
    check_pages(settings, pages)
    bills, facts = {}, {}
    for name, length in LENGTHS.items():
        service = Rehearsal(address, length, settings.tokenizer)
        bills[name], facts[name] = _rehearse(settings, prices, service, pages, batched="batch" in options)
    usd = _low_expected_high({name: total(lines) for name, lines in bills.items()})
    if options.get("json"):
        show_json({"bills": bills, **facts["usual"], "total_usd": usd})
    else:
        show("\n".join([_table(bills, usd), *_lines(facts["usual"])]))
    if address == OPENAI_ADDRESS:
        trained = None if settings.tuned else settings.student
        models = [settings.teacher, settings.student, settings.judge, *([settings.tuned] if settings.tuned else [])]
        for warning in shutdown_warnings(prices, models, date.today(), base=trained):
            say(f"warning: {warning}")
    return 0


def _rehearse(
    settings: Settings, prices: Prices, service: Rehearsal, pages: Pages, *, batched: bool
) -> tuple[list[Line], dict[str, Any]]:
    """Take a run through all its steps with an inventing service; return its bill and the other facts of a plan."""
    tuned_service = service if settings.tuned is not None else None
    with TemporaryDirectory(prefix="minirag-plan-") as folder, ExitStack() as stack:
        run = Run(Path(folder), settings, service, tuned_service=tuned_service, workers=1, prices=prices, sync=False)
        run.corpus.pages = pages
        run.fewest_examples = 0  # invented answers are more alike than real ones, so more of them are dropped
        stack.enter_context(run.log)
        passes = _Passes(service, run.log)
        passes.run(lambda: run.scores) if batched else run.scores
        lines = bill(run.log, prices)
        file = run.training_file
        tokens, epochs = file.tokens, settings.epochs or default_epochs(len(file.kept))
        if settings.tuned is None:
            usd = training_cost(prices, settings.student, tokens * epochs)
            lines.append(Line("train", "tuned", settings.student, calls=1, training_tokens=tokens * epochs, usd=usd))
        questions, eval_pages = len(run.corpus.of_split("eval")), len(run.corpus.eval_pages)
        detectable = None
        if eval_pages:
            per_page = max(1.0, questions / eval_pages)
            detectable = plan_detectable(questions, per_page, spread=SPREAD, correlation=CORRELATION)
        return lines, {
            "training_examples": len(file.kept),
            "tokens_an_epoch": tokens,
            "epochs": epochs,
            "eval_questions": questions,
            "eval_pages": eval_pages,
            "prices_of": prices.date,
            "detectable": detectable,
            "passes": passes.count if batched else None,
            "saved": _saved(run.log, prices) if batched else None,
        }


class _Passes:
    """Counts the batches that a run would submit one after the other; a gate of `Service`, like `batch.Batches`."""

    def __init__(self, service: Rehearsal, log: MessageLog) -> None:
        self.count = 0
        self._service = service
        self._log = log
        self._calls: dict[str, Exchange] = {}

    def before(self, call: Exchange) -> float:
        """Collect a model call for the next batch."""
        if call.endpoint not in ENDPOINTS:
            return 0.0
        self._calls[call.id] = call
        raise Waiting("This call waits for its batch.")

    def after(self, amount: float, exchange: Exchange | None) -> None:
        """Do nothing: only calls that are not batched come here."""

    def run(self, step: Callable[[], Any]) -> None:
        """Repeat a step until no call is missing, with a batch after each pass."""
        self._service.gates.append(self)
        while True:
            try:
                step()
                return
            except Waiting:
                self.count += 1
            for call in self._calls.values():
                self._log.append(replace(self._service.reply(call), tags={**call.tags, "batch": "rehearsed"}))
            self._calls.clear()


def _saved(log: MessageLog, prices: Prices) -> float | None:
    """Return what the batched calls of a log would cost in addition if they were sent directly."""
    direct = replace(prices, models={name: replace(price, batch=1.0) for name, price in prices.models.items()})
    usd, usd_direct = total(bill(log, prices)), total(bill(log, direct))
    return None if usd is None or usd_direct is None else usd_direct - usd


def _low_expected_high(amounts: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return the least, the usual and the most of what the rehearsals cost; None if a price is not known."""
    usd = [amount for amount in amounts.values() if amount is not None]
    if len(usd) < len(amounts):
        return dict.fromkeys(("low", "expected", "high"))
    return {"low": min(usd), "expected": amounts["usual"], "high": max(usd)}


def _table(bills: Bills, usd: Mapping[str, float | None]) -> str:
    """Return the three bills as one table of at most 79 columns."""
    by_key = {name: {(line.stage, line.arm, line.model): line for line in lines} for name, lines in bills.items()}
    rows = []
    for key in sorted({key for lines in by_key.values() for key in lines}):
        lines = {name: by_key[name].get(key, Line(*key)) for name in LENGTHS}
        usual = lines["usual"]
        tokens = usual.input_tokens + usual.cached_tokens + usual.training_tokens
        money = _low_expected_high({name: line.usd for name, line in lines.items()})
        counts = [f"{count:,}" for count in (usual.calls, tokens, usual.output_tokens)]
        rows.append([usual.stage, usual.arm, *counts, *map(dollars, money.values())])
    calls = sum(line.calls for line in bills["usual"])
    rows.append(["total", "", f"{calls:,}", "", "", *map(dollars, usd.values())])
    return table(["stage", "arm", "calls", "tokens in", "tokens out", "low", "expected", "high"], rows, 2)


def _lines(facts: Mapping[str, Any]) -> list[str]:
    """Return what stands below the table: the training file, what the evaluation could show, batches."""
    examples, pages = facts["training_examples"], facts["eval_pages"]
    lines = [
        "US dollars: the least and the most of short, usual and long answers;",
        f"prices of {facts['prices_of']}.",
        f"training: about {examples} examples, {facts['tokens_an_epoch']:,} tokens an epoch, {facts['epochs']} epochs",
    ]
    if examples < FEWEST_EXAMPLES:
        lines.append(f"warning: a job needs at least {FEWEST_EXAMPLES} examples; ask for more --train-questions.")
    evaluation = (
        f"evaluation: {facts['eval_questions']} questions from {pages} page{'' if pages == 1 else 's'} can show "
    )
    if facts["detectable"] is None:
        lines.append(f"{evaluation}no difference: that takes two pages")
    else:
        lines.append(f"{evaluation}a difference of about {number(facts['detectable'], 2)}")
    if facts["passes"] is not None:
        saved = dollars(facts["saved"])
        lines.append(f"batches: {facts['passes']} passes, each within 24 hours; they save {saved}")
    return lines
