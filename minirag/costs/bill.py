"""Row 6. The bill: calls, tokens and money by stage, arm and model, from the log alone.

A price that is not known makes a sum unknown (None); it is never added as 0.
"""

import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from minirag.errors import InputError
from minirag.message_log import Exchange

DATED = ("2023-08",)
"""Older tables in the package, by their month."""
DIGITS = 12
"""Decimals of every sum of US dollars: whole picodollars add up to the same in any order of arrival."""
_SNAPSHOT = re.compile(r"(-\d{4}-\d{2}-\d{2}|-\d{4})?")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens, and `batch`, the share of them that a batched call costs; None: not known."""

    input: float | None = None
    cached: float | None = None
    output: float | None = None
    training: float | None = None
    batch: float | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """A dated table of prices by model name."""

    date: str
    models: Mapping[str, Price]

    def of(self, model: str) -> Price:
        """The price of a model, of its family without the date, or of all tuned models of its base.

        >>> Prices("", {"gpt-4.1": Price(2.0)}).of("gpt-4.1-2025-04-14").input
        2.0
        """
        name = model
        if model.startswith("ft:"):
            name = "ft:" + model.split(":")[1]
        best = max((known for known in self.models if _is_family(known, name)), key=len, default=None)
        return Price() if best is None else self.models[best]

    def training(self, base: str) -> float | None:
        """US dollars per million tokens of training a model on `base`."""
        return self.of(f"ft:{base}:").training


def _is_family(known: str, name: str) -> bool:
    """Whether `name` is `known` itself or a dated snapshot of it; `offline` stands for all embedded models."""
    rest = name[len(known) :] if name.startswith(known) else None
    return rest is not None and (known.endswith("offline") or _SNAPSHOT.fullmatch(rest) is not None)


def load_prices(source: str | Path | None = None) -> Prices:
    """The package's table of today; or another of its tables by date (`2023-08`); or with your own TOML on top.

    A file has the form of `data/prices.toml`, and its models replace those of the same name. Raises InputError.
    """
    tables = [_packed("prices.toml")]
    if str(source) in DATED:
        tables = [_packed(f"prices-{source}.toml")]
    elif source is not None:
        tables.append(_read(Path(source)))
    models: dict[str, Price] = {}
    for table in tables:
        if table.keys() - {"date", "models"} or not isinstance(table.get("models"), dict):
            raise InputError(f'{source} is no table of prices: it needs [models."NAME"] and may have a date.')
        for name, entry in table["models"].items():
            models[name] = _price(name, entry, source)
    return Prices(str(tables[-1].get("date", tables[0]["date"])), models)


def _packed(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("minirag").joinpath("data", name).read_text("utf-8"))


def _read(path: Path) -> dict[str, Any]:
    if path.exists() and not path.is_file():
        raise InputError(f"Cannot read the prices in {path}: it is no file.")
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"Cannot read the prices in {path}: {error}.") from error


def _price(name: str, entry: Any, source: str | Path | None) -> Price:
    try:
        price = Price(**{key: _number(value) for key, value in entry.items()})
    except (TypeError, ValueError, AttributeError, OverflowError):
        raise InputError(
            f"The price of {name!r} in {source} is not a table of input, cached, output, training and batch."
        ) from None
    if any(value is not None and not 0 <= value < math.inf for value in astuple(price)):
        raise InputError(f"A price of {name!r} in {source} is negative or no number.")
    if price.batch is not None and price.batch > 1:
        raise InputError(f"The batch share of {name!r} in {source} is {price.batch:g}; it must be from 0 to 1.")
    return price


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError("a boolean is no price")
    return float(value)


@dataclass
class Line:
    """Calls, tokens and money of one stage, arm and model; `usd` is None where a price is unknown."""

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
        """Count one exchange; a failed one is billed where the service says what it used."""
        self.calls += 1
        self.failed += exchange.error is not None
        tokens = _tokens(exchange.usage)
        if tokens is None:  # a reply that does not say what it used is billed all the same
            unknown = exchange.response is not None and not _is_free(prices.of(exchange.model))
            self.usd = None if unknown else self.usd
            return
        self.input_tokens += tokens[0]
        self.cached_tokens += tokens[1]
        self.output_tokens += tokens[2]
        money = price_of(tokens, prices.of(exchange.model), batched="batch" in exchange.tags)
        self.usd = None if self.usd is None or money is None else round(self.usd + round(money, DIGITS), DIGITS)


def price_of(tokens: tuple[float, float, float], price: Price, *, batched: bool = False) -> float | None:
    """US dollars for new input, cached input and output tokens; None where a price that is needed is not known.

    >>> price_of((1_000_000, 0, 500_000), Price(input=2.0, output=8.0))
    6.0
    """
    cached = price.input if price.cached is None else price.cached
    money = _money(tokens, (price.input, cached, price.output))
    if not money or not batched:
        return money
    return None if price.batch is None else money * price.batch


def _tokens(usage: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """New input, cached input and output tokens; None where a service gives no usable numbers."""
    details = usage.get("prompt_tokens_details")
    cached = (details.get("cached_tokens") if isinstance(details, Mapping) else 0) or 0
    prompt, output = usage.get("prompt_tokens"), usage.get("completion_tokens") or 0
    if not (isinstance(prompt, int) and isinstance(cached, int) and isinstance(output, int)):
        return None
    return None if min(prompt, output) < 0 or not 0 <= cached <= prompt else (prompt - cached, cached, output)


def _is_free(price: Price) -> bool:
    return price.input == 0 and price.output in (0, None)


def _money(tokens: Iterable[float], per_million: Iterable[float | None]) -> float | None:
    """Σ tokens × price; None if a price that is needed is unknown."""
    total = 0.0
    for count, price in zip(tokens, per_million, strict=True):
        if count:
            if price is None:
                return None
            total += count * price / 1e6
    return total


def bill(log: Iterable[Exchange], prices: Prices) -> list[Line]:
    """One `Line` for each stage, arm and model of the log, and one for the training on each base model."""
    lines: dict[tuple[str, str, str], Line] = {}
    jobs: dict[str, tuple[str, int]] = {}
    for exchange in log:
        if exchange.endpoint in {"chat.completions", "embeddings"}:
            key = (exchange.stage, str(exchange.tags.get("arm", "")), exchange.model)
            lines.setdefault(key, Line(*key)).add(exchange, prices)
        elif exchange.error is None:
            reply = exchange.response or {}
            tokens = reply.get("trained_tokens")
            if tokens and isinstance(tokens, int):
                jobs[str(reply.get("id"))] = (str(reply.get("model")), tokens)
    for base, tokens in jobs.values():
        line = lines.setdefault(("train", "tuned", base), Line("train", "tuned", base))
        line.calls += 1
        line.training_tokens += tokens
        line.usd = _money([line.training_tokens], [prices.training(base)])
    return [lines[key] for key in sorted(lines)]


def total(lines: Iterable[Line]) -> float | None:
    """The sum of the lines' money; None if one of them is unknown.

    >>> total([Line("draft", "", "m", usd=1.5), Line("refine", "", "m", usd=None)]) is None
    True
    """
    amounts = [line.usd for line in lines]
    return None if None in amounts else sum(amount for amount in amounts if amount is not None)


def per_answer(answers: Iterable[Iterable[Exchange]], prices: Prices) -> float | None:
    """What one of `answers`, each the exchanges that made it, costs on average; None if unknown or if there is none."""
    line, count = Line("", "", ""), 0
    for exchanges in answers:
        count += 1
        for exchange in exchanges:
            line.add(exchange, prices)
    return None if line.usd is None or not count else line.usd / count


def as_json(lines: Sequence[Line], prices: Prices, extra: Mapping[str, Any]) -> dict[str, Any]:
    """What `costs.json` holds."""
    return {"prices_of": prices.date, "lines": [vars(line) for line in lines], "total_usd": total(lines), **extra}


def training_cost(prices: Prices, base: str, tokens: int) -> float | None:
    """US dollars for training on `tokens` (all epochs); None where the price is unknown."""
    return _money([tokens], [prices.training(base)])


def dollars(value: float | None) -> str:
    """Money to the cent from a dollar on, to a hundredth of a cent below; `unknown` for None.

    >>> dollars(12.5), dollars(0.0123), dollars(0.0000123), dollars(0.0), dollars(None)
    ('$12.50', '$0.0123', '<$0.0001', '$0', 'unknown')
    """
    if value is None:
        return "unknown"
    if 0 < value < 0.00005:
        return "<$0.0001"
    return "$0" if value == 0 else f"${value:,.2f}" if value >= 1 else f"${value:.4f}"
