"""Row 8. What a run will take, before a request is sent: it is rehearsed three times, with short to long answers.

A rehearsal is the run itself, over the real documents, with a service that invents its replies (`rehearsal`). So the
calls, the windows, the refine steps and the training file are those that the code will make, not those of a formula.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from minirag.comparison import plan_detectable
from minirag.costs import bill as costs
from minirag.costs.bill import Line, Prices
from minirag.costs.budget import ENDPOINTS
from minirag.costs.rehearsal import Rehearsal
from minirag.documents import Pages
from minirag.errors import Waiting
from minirag.message_log import Exchange, MessageLog
from minirag.pipeline import Run
from minirag.settings import Settings
from minirag.training import default_epochs

LENGTHS = {"short": 0.5, "usual": 1.0, "long": 2.0}
"""Of the invented answers, against what is usual."""

SPREAD = 0.26
"""Standard deviation of a question's difference in faithfulness between two arms: that of the article."""
CORRELATION = 0.3
"""Between the differences of two questions about one page."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Three bills, of rehearsals with `short`, `usual` and `long` answers, and what the usual one saw on its way."""

    bills: Mapping[str, list[Line]]
    training_examples: int
    tokens_an_epoch: int
    epochs: int
    eval_questions: int
    eval_pages: int
    prices_of: str
    detectable: float | None
    passes: int | None = None
    """Batches that must follow each other, where calls go through the Batch API."""
    saved: float | None = None
    """US dollars that these batches save of the expected money; None where a price is not known."""

    def usd(self) -> tuple[float | None, float | None, float | None]:
        """The least, the expected and the most money; None where a price is not known."""
        return spread({name: costs.total(bill) for name, bill in self.bills.items()})

    def to_json(self) -> dict[str, Any]:
        """The bills line by line, their totals, and the facts beside them."""
        return {**asdict(self), "total_usd": dict(zip(("low", "expected", "high"), self.usd(), strict=True))}


def spread(amounts: Mapping[str, float | None]) -> tuple[float | None, float | None, float | None]:
    """The least, the usual and the most of what the rehearsals gave; None where one is not known.

    >>> spread({"short": 2.0, "usual": 1.0, "long": 3.0})
    (1.0, 1.0, 3.0)
    """
    known = [amount for amount in amounts.values() if amount is not None]
    if len(known) < len(amounts):
        return None, None, None
    return min(known), amounts["usual"], max(known)


def plan(settings: Settings, prices: Prices, address: str, pages: Pages, *, batched: bool = False) -> Plan:
    """Rehearse the run of `settings` on `pages`, its calls in batches if they are to be `batched`; nothing is sent.

    Raises InputError where the run would.
    """
    plans = {n: _rehearsed(settings, prices, address, pages, length, batched=batched) for n, length in LENGTHS.items()}
    return replace(plans["usual"], bills={name: one.bills["only"] for name, one in plans.items()})


def _rehearsed(settings: Settings, prices: Prices, address: str, pages: Pages, length: float, *, batched: bool) -> Plan:
    with TemporaryDirectory(prefix="minirag-plan-") as folder:
        service = Rehearsal(address, length, settings.tokenizer)
        elsewhere = service if settings.tuned is not None else None
        with Run(Path(folder), settings, lambda: service, tuned_service=elsewhere, workers=1, prices=prices) as run:
            run.fewest_examples = 0  # invented answers are more alike than real ones
            run.pages, run.log = pages, MessageLog(run.folder / "messages.jsonl", sync=False)
            passes = _Passes(service, run.log)
            passes.run(lambda: run.scores) if batched else run.scores
            lines = costs.bill(run.log, prices)
            file = run.training_file
            epochs = settings.epochs or default_epochs(len(file.kept))
            if settings.tuned is None:
                lines.append(_training(settings, prices, file.tokens, epochs))
            return Plan(
                {"only": lines},
                len(file.kept),
                file.tokens,
                epochs,
                len(run.of_split("eval")),
                len(run.eval_pages),
                prices.date,
                _detectable(len(run.of_split("eval")), len(run.eval_pages)),
                *((passes.count, _saved(run.log, prices)) if batched else ()),
            )


class _Passes:
    """Counts the batches that a run would submit one after the other; a gate like `batch.Batches`."""

    def __init__(self, service: Rehearsal, log: MessageLog) -> None:
        self.count = 0
        self._service = service
        self._log = log
        self._calls: dict[str, Exchange] = {}

    def before(self, call: Exchange) -> float:
        """Collect a model call."""
        if call.endpoint not in ENDPOINTS:
            return 0.0
        self._calls[call.id] = call
        raise Waiting("This call waits for its batch.")

    def after(self, amount: float, exchange: Exchange | None) -> None:
        """Do nothing: what passes is no model call."""

    def run(self, step: Callable[[], Any]) -> None:
        """Run a step until nothing is missing, with a batch after each pass."""
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
    """What the calls of a log would cost directly, less what they cost in batches."""
    direct = replace(prices, models={name: replace(price, batch=1.0) for name, price in prices.models.items()})
    usd, usd_direct = (costs.total(costs.bill(log, table)) for table in (prices, direct))
    return None if usd is None or usd_direct is None else usd_direct - usd


def _detectable(questions: int, pages: int) -> float | None:
    if not pages:
        return None
    return plan_detectable(questions, max(1.0, questions / pages), spread=SPREAD, correlation=CORRELATION)


def _training(settings: Settings, prices: Prices, tokens: int, epochs: int) -> Line:
    usd = costs.training_cost(prices, settings.student, tokens * epochs)
    return Line("train", "tuned", settings.student, calls=1, training_tokens=tokens * epochs, usd=usd)
