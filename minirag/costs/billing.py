"""The bill: calls, tokens and money by stage, arm and model, computed from the log alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minirag.costs.break_even import in_words, payback
from minirag.costs.prices import Price, Prices, price_of, training_cost
from minirag.message_log import Exchange
from minirag.query import Answer

DIGITS = 12
"""Decimals of every sum of US dollars; rounded so, a sum does not depend on the order of the calls."""


@dataclass
class Line:
    """Calls, tokens and money of one stage, arm and model; `usd` is None if a price is unknown."""

    stage: str
    arm: str
    model: str
    calls: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    training_tokens: int = 0
    usd: float | None = 0.0

    def add(self, exchange: Exchange, prices: Prices) -> None:
        """Count one exchange; a failed one is billed if the service says what it used."""
        self.calls += 1
        self.failed += exchange.error is not None
        price, tokens = prices.of(exchange.model), _tokens(exchange.usage)
        if tokens is None:  # billed all the same if there was a reply, but nobody can say how much
            if exchange.response is not None and not _is_free(price):
                self.usd = None
            return
        self.input_tokens += tokens[0]
        self.cached_tokens += tokens[1]
        self.output_tokens += tokens[2]
        usd = price_of(tokens, price, batched="batch" in exchange.tags)
        self.usd = None if self.usd is None or usd is None else round(self.usd + round(usd, DIGITS), DIGITS)


def _tokens(usage: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """Return new input, cached input and output tokens; None if the service gives no usable numbers."""
    details = usage.get("prompt_tokens_details")
    cached = (details.get("cached_tokens") if isinstance(details, Mapping) else 0) or 0
    prompt, output = usage.get("prompt_tokens"), usage.get("completion_tokens") or 0
    if not (isinstance(prompt, int) and isinstance(cached, int) and isinstance(output, int)):
        return None
    if output < 0 or not 0 <= cached <= prompt:
        return None
    return prompt - cached, cached, output


def _is_free(price: Price) -> bool:
    return price.input == 0 and price.output in (0, None)


def bill(log: Iterable[Exchange], prices: Prices) -> list[Line]:
    """Return one `Line` for each stage, arm and model of the log, and one for the training on each base model."""
    lines: dict[tuple[str, str, str], Line] = {}
    jobs: dict[str, tuple[str, int]] = {}
    for exchange in log:
        if exchange.endpoint in {"chat.completions", "embeddings"}:
            key = (exchange.stage, str(exchange.tags.get("arm", "")), exchange.model)
            lines.setdefault(key, Line(*key)).add(exchange, prices)
        elif exchange.error is None:  # the state of a job, seen many times
            job = exchange.response or {}
            tokens = job.get("trained_tokens")
            if tokens and isinstance(tokens, int):
                jobs[str(job.get("id"))] = (str(job.get("model")), tokens)
    for base, tokens in jobs.values():
        line = lines.setdefault(("train", "tuned", base), Line("train", "tuned", base))
        line.calls += 1
        line.training_tokens += tokens
        line.usd = training_cost(prices, base, line.training_tokens)
    return [lines[key] for key in sorted(lines)]


def total(lines: Iterable[Line]) -> float | None:
    """Return the sum of the lines' money; None if one of them is unknown.

    >>> total([Line("draft", "", "m", usd=1.5), Line("refine", "", "m", usd=None)]) is None
    True
    """
    amounts = [line.usd for line in lines]
    return None if None in amounts else sum(usd for usd in amounts if usd is not None)


def as_json(lines: Sequence[Line], prices: Prices, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return a bill as JSON, with `extra` fields behind it."""
    return {"prices_of": prices.date, "lines": [vars(line) for line in lines], "total_usd": total(lines), **extra}


def run_costs(
    log: Iterable[Exchange],
    prices: Prices,
    arms: Sequence[str],
    answers: Mapping[tuple[str, str], Answer],
    training_usd: float | None,
) -> dict[str, Any]:
    """Return what `costs.json` holds: the bill, the mean cost of an answer by arm, and when training has paid off.

    `answers` are those of a run, by (arm, question id).
    """
    per_answer: dict[str, float | None] = {}
    for arm in arms:
        line, count = Line("", arm, ""), 0
        for (own, _), answer in answers.items():
            if own == arm:
                count += 1
                for draft in answer.drafts:
                    line.add(draft.exchange, prices)
        per_answer[arm] = None if line.usd is None or not count else line.usd / count
    result = payback(training_usd, per_answer.get("teacher"), per_answer.get("tuned"))
    extra = {
        "usd_per_question": per_answer,
        "training_usd": training_usd,
        "break_even_questions": "never" if result.never else result.questions,
        "payback": in_words(result),
    }
    return as_json(bill(log, prices), prices, extra)
