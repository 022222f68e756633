"""Prices of models, and the days on which they are switched off: the package's table, or your own on top of it.

A price that is not in the table is None ("unknown"), never 0.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from minirag.errors import InputError
from minirag.message_log import Exchange

ARTICLE = "2023-08"
"""The table of the article, by its month."""
WRITE_FACTOR = 1.25  # what services charge for writing to the cache, as a multiple of the price of input
SOON = timedelta(days=90)
FOR_PEOPLE = ("from", "source")
"""Columns of a table that say since when, and where, a price was seen."""
_SNAPSHOT = re.compile(r"(-\d{4}-\d{2}-\d{2}|-\d{4})?")
_TUNED = re.compile(r"ft:([^:]+).*|(.+)\.ft-.+")
"""Names of tuned models, at OpenAI (ft:BASE:…) and at Azure (BASE.ft-…)."""


class Tokens(NamedTuple):
    """What a call is billed for: new input, input read from a cache, output, and input written to a cache."""

    input: int
    cached: int
    output: int
    written: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens of one model; the head of `data/prices.toml` explains the columns.

    None: not known, but for `cached` (then as `input`) and `cache_write` (then 1.25 × `input`).
    """

    input: float | None = None
    cached: float | None = None
    output: float | None = None
    training: float | None = None
    batch: float | None = None
    cache_write: float | None = None
    long_above: int | None = None
    long_input: float = 1.0
    long_output: float = 1.0
    shutdown: date | None = None
    training_ends: date | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """A table of prices by model name, and its date."""

    date: str
    models: Mapping[str, Price]

    def of(self, model: str) -> Price:
        """Return the price of a model: its own, that of its dated snapshots, or that of all models tuned on its base.

        >>> prices = Prices("", {"gpt-4.1": Price(2.0), "ft:gpt-4.1": Price(3.0)})
        >>> prices.of("gpt-4.1-2025-04-14").input, prices.of("ft:gpt-4.1-2025-04-14:acme::1").input
        (2.0, 3.0)
        >>> prices.of("gpt-4.1-2025-04-14.ft-0a1b").input, prices.of("gpt-4.1-mini").input
        (3.0, None)
        """
        if model in self.models:
            return self.models[model]
        tuned = _TUNED.fullmatch(model)
        name = f"ft:{tuned[1] or tuned[2]}" if tuned else model
        # "offline" stands for all embedded models, any other name for its dated snapshots
        rests = {entry: name.removeprefix(entry) for entry in self.models if name.startswith(entry)}
        family = [e for e, rest in rests.items() if e.endswith("offline") or _SNAPSHOT.fullmatch(rest)]
        return self.models[max(family, key=len)] if family else Price()

    def of_call(self, call: Exchange) -> Price:
        """Return the price of a call: by its model or, if that is a deployment's name, the one that answered."""
        price, served = self.of(call.model), (call.response or {}).get("model")
        return self.of(served) if price.input is None and isinstance(served, str) else price


def load_prices(source: str | Path | None = None, free: Iterable[str] = ()) -> Prices:
    """Return today's table of the package, that of the article (`2023-08`), or today's with a TOML file on top.

    The file has the form of `data/prices.toml`; its models replace those of the same name. The models in `free`, and
    those tuned on them, cost nothing. Raises InputError.
    """
    own = resources.files("minirag").joinpath("data", f"prices-{ARTICLE}.toml" if source == ARTICLE else "prices.toml")
    try:
        tables = [tomllib.loads(own.read_text("utf-8"))]
        if source not in {None, ARTICLE}:
            tables.append(tomllib.loads(Path(source).read_text("utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"Cannot read the prices in {source}: {error}.") from error
    models: dict[str, Price] = {}
    for table in tables:
        if table.keys() - {"date", "models"} or not isinstance(table.get("models"), dict):
            raise InputError(f'{source} is no table of prices: it needs [models."NAME"] and may have a date.')
        models |= {name: _price(name, entry, source) for name, entry in table["models"].items()}
    models |= {name: Price(0.0, 0.0, 0.0, training=0.0) for model in free for name in (model, f"ft:{model}")}
    return Prices(str(tables[-1].get("date", tables[0]["date"])), models)


def _price(name: str, entry: Any, source: str | Path | None) -> Price:
    """Return the price that an entry of a table holds. Raises InputError."""
    where = f"the price of {name!r} in {source}"
    columns = [*Price.__dataclass_fields__, *FOR_PEOPLE]
    if not isinstance(entry, dict) or entry.keys() - set(columns):
        raise InputError(f"Cannot read {where}: it must be a table of {', '.join(columns)}.")
    values = {column: value for column, value in entry.items() if column not in FOR_PEOPLE}
    for column, value in values.items():
        if column in {"shutdown", "training_ends"}:
            fits, wanted = type(value) is date, "a date like 2027-01-14"
        else:
            most = 1 if column == "batch" else 1e9
            fits, wanted = type(value) in {int, float} and 0 <= value <= most, f"a number from 0 to {most:g}"
        if not fits:
            raise InputError(f"Cannot read {where}: {column} is {value!r:.30}, and must be {wanted}.")
    return Price(**values)


def price_of(tokens: Tokens, price: Price, *, batched: bool = False) -> float | None:
    """Return the US dollars for a call's tokens; None if a price that is needed is unknown.

    >>> price_of(Tokens(1_000_000, 0, 500_000), Price(input=2.0, output=8.0))
    6.0
    >>> price_of(Tokens(1_000_000, 0, 0), Price(output=8.0)) is None
    True
    """
    is_long = price.long_above is not None and tokens.input + tokens.cached + tokens.written > price.long_above
    into, out = (price.long_input, price.long_output) if is_long else (1.0, 1.0)
    written = price.cache_write
    if written is None and price.input is not None:
        written = WRITE_FACTOR * price.input
    parts = [
        (tokens.input, price.input, into),
        (tokens.cached, price.input if price.cached is None else price.cached, into),
        (tokens.written, written, into),
        (tokens.output, price.output, out),
    ]
    if any(count and per_million is None for count, per_million, _ in parts):
        return None
    usd = sum(count * factor * (per_million or 0.0) / 1e6 for count, per_million, factor in parts)
    if not usd or not batched:
        return usd
    return None if price.batch is None else usd * price.batch


def training_cost(prices: Prices, base: str, tokens: int) -> float | None:
    """Return the US dollars for training `base` on `tokens`, all epochs together; None if the price is unknown."""
    price = prices.of(f"ft:{base}").training
    if price is None:
        return None if tokens else 0.0
    return tokens * price / 1e6


def shutdown_warnings(prices: Prices, models: Iterable[str], today: date, base: str | None = None) -> list[str]:
    """Return a sentence for each of `models` that OpenAI has switched off, or will within 90 days.

    And one for the end of training on `base`. Other services, Azure among them, have dates of their own.
    """
    lines = []
    for model in dict.fromkeys(models):
        day = prices.of(model).shutdown
        if day and day - today <= SOON:
            lines.append(f"OpenAI {'switched' if day <= today else 'switches'} {model} off on {day}.")
    end = prices.of(f"ft:{base}").training_ends if base else None
    if end and end - today <= SOON:
        lines.append(f"OpenAI accepts no new fine-tuning jobs on {base} from {end} on.")
    return lines
