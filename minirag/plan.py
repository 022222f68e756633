"""Row 8. What a run will take, before a request is sent: it is rehearsed three times, with short to long answers.

A rehearsal is the run itself, over the real documents, with a service that invents its replies (`rehearsal`). So the
calls, the windows, the refine steps and the training file are those that the code will make, not those of a formula.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from minirag import costs
from minirag.costs import Line, Prices
from minirag.documents import Pages
from minirag.message_log import MessageLog
from minirag.pipeline import Run
from minirag.rehearsal import Rehearsal
from minirag.settings import Settings
from minirag.statistics.power import plan_detectable

LENGTHS = {"low": 0.5, "expected": 1.0, "high": 2.0}
"""Of the invented answers, against what is usual."""

SPREAD = 0.26
"""Standard deviation of a question's difference in faithfulness between two arms: that of the article."""
CORRELATION = 0.3
"""Between the differences of two questions about one page."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Three bills by name (`low`, `expected`, `high`), and what the expected rehearsal saw on its way."""

    bills: Mapping[str, list[Line]]
    training_examples: int
    tokens_an_epoch: int
    epochs: int
    eval_questions: int
    eval_pages: int
    prices_of: str
    detectable: float | None

    def usd(self, name: str) -> float | None:
        """The money of one of the bills; None where a price is not known."""
        return costs.total(self.bills[name])

    def to_json(self) -> dict[str, Any]:
        """The bills line by line, their totals, and the facts beside them."""
        return {**asdict(self), "total_usd": {name: self.usd(name) for name in self.bills}}


def plan(settings: Settings, prices: Prices, address: str, pages: Pages) -> Plan:
    """Rehearse the run of `settings` on `pages`; no request is sent. Raises InputError where the run would."""
    plans = {name: _rehearsed(settings, prices, address, pages, length) for name, length in LENGTHS.items()}
    expected = plans["expected"]
    return Plan({name: one.bills["only"] for name, one in plans.items()}, *list(asdict(expected).values())[1:])


def _rehearsed(settings: Settings, prices: Prices, address: str, pages: Pages, length: float) -> Plan:
    with TemporaryDirectory(prefix="minirag-plan-") as folder:
        service = Rehearsal(address, length)
        elsewhere = service if settings.tuned is not None else None
        with Run(Path(folder), settings, lambda: service, elsewhere, workers=1, prices=prices) as run:
            run.pages, run.log = pages, MessageLog(run.folder / "messages.jsonl", sync=False)
            _ = run.scores
            lines = costs.bill(run.log, prices)
            file = run.training_file
            if settings.tuned is None:
                lines.append(_training(settings, prices, file.tokens, settings.epochs or file.epochs))
            return Plan(
                {"only": lines},
                len(file.kept),
                file.tokens,
                settings.epochs or file.epochs,
                len(run.of_split("eval")),
                len(run.eval_pages),
                prices.date,
                _detectable(len(run.of_split("eval")), len(run.eval_pages)),
            )


def _detectable(questions: int, pages: int) -> float | None:
    if not pages:
        return None
    return plan_detectable(questions, max(1.0, questions / pages), spread=SPREAD, correlation=CORRELATION)


def _training(settings: Settings, prices: Prices, tokens: int, epochs: int) -> Line:
    usd = costs.training_cost(prices, settings.student, tokens * epochs)
    return Line("train", "tuned", settings.student, calls=1, training_tokens=tokens * epochs, usd=usd)
