"""Row 8. What a run will take, before a request is sent: it is rehearsed three times, with short to long answers.

A rehearsal is the run itself, over the real documents, with a service that invents its replies (`rehearsal`). So the
calls, the windows, the refine steps and the training file are those that the code will make, not those of a formula.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
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


def plan(settings: Settings, prices: Prices, address: str, pages: Pages) -> Plan:
    """Rehearse the run of `settings` on `pages`; no request is sent. Raises InputError where the run would."""
    plans = {name: _rehearsed(settings, prices, address, pages, length) for name, length in LENGTHS.items()}
    return replace(plans["usual"], bills={name: one.bills["only"] for name, one in plans.items()})


def _rehearsed(settings: Settings, prices: Prices, address: str, pages: Pages, length: float) -> Plan:
    with TemporaryDirectory(prefix="minirag-plan-") as folder:
        service = Rehearsal(address, length, settings.tokenizer)
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
