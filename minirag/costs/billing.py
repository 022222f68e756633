"""The bill: calls, tokens and money by stage, arm and model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from minirag.costs.prices import Prices, Tokens, price_of, training_cost
from minirag.message_log import Exchange

DIGITS = 12
"""Decimals of every sum of US dollars; rounded so, a sum does not depend on the order of the calls."""
ANSWERED = ("draft", "refine")
"""Stages whose calls belong to one arm."""


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
    written_tokens: int = 0
    saved_usd: float = 0.0

    def add(self, exchange: Exchange, prices: Prices) -> None:
        """Count one exchange; a failed one is billed if the service says what it used."""
        self.calls += 1
        self.failed += exchange.error is not None
        price, tokens, is_batched = prices.of_call(exchange), tokens_of(exchange.usage), "batch" in exchange.tags
        if tokens is None:  # billed all the same if there was a reply, but nobody can say how much
            is_free = price.input == 0 and price.output in (0, None)
            is_free |= exchange.error is not None and (exchange.response or {}).get("usage") == {}  # it says: nothing
            if exchange.response is not None and not is_free:
                self.usd = None
            return
        self.input_tokens += tokens.input
        self.cached_tokens += tokens.cached
        self.written_tokens += tokens.written
        self.output_tokens += tokens.output
        usd = price_of(tokens, price, batched=is_batched)
        self.usd = None if self.usd is None or usd is None else round(self.usd + round(usd, DIGITS), DIGITS)
        whole = Tokens(tokens.input + tokens.cached + tokens.written, 0, tokens.output)
        uncached = price_of(whole, price, batched=is_batched)
        if usd is not None and uncached is not None:
            self.saved_usd = round(self.saved_usd + round(uncached - usd, DIGITS), DIGITS)


def tokens_of(usage: Mapping[str, Any]) -> Tokens | None:
    """Return the tokens that a call is billed for, wherever the service reports them; None without usable numbers.

    Tokens of reasoning are output. Some services count them beside `completion_tokens`, but all in `total_tokens`: the
    larger number counts. Cache hits are in the details (OpenAI and most), or fields of Moonshot's or DeepSeek's own.

    >>> tokens_of({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 150, "prompt_cache_hit_tokens": 60})
    Tokens(input=40, cached=60, output=50, written=0)
    """
    details = usage.get("prompt_tokens_details")
    details = details if isinstance(details, Mapping) else {}
    prompt: Any = usage.get("prompt_tokens")
    output: Any = usage.get("completion_tokens") or 0
    total: Any = usage.get("total_tokens") or 0
    cached: Any = (
        details.get("cached_tokens") or usage.get("cached_tokens") or usage.get("prompt_cache_hit_tokens") or 0
    )
    written: Any = details.get("cache_write_tokens") or usage.get("cache_write_tokens") or 0
    if not all(isinstance(count, int) and count >= 0 for count in (prompt, output, total, cached, written)):
        return None
    if cached + written > prompt:
        return None
    if "completion_tokens" in usage:  # an embedding has none; a reply cut off in its thinking may have 0
        output = max(output, total - prompt)
    return Tokens(prompt - cached - written, cached, output, written)


def bill(log: Iterable[Exchange], prices: Prices) -> list[Line]:
    """Return one `Line` for each stage, arm and model of the log, and one for the training on each base model."""
    lines: dict[tuple[str, str, str], Line] = {}
    jobs: dict[str, tuple[str, int]] = {}
    for exchange in log:
        if exchange.endpoint in {"chat.completions", "embeddings"}:
            # judging has no arm: one call judges all answers that are the same
            arm = str(exchange.tags.get("arm", "")) if exchange.stage in ANSWERED else ""
            key = (exchange.stage, arm, exchange.model)
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
