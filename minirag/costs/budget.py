"""Row 7. A hard cap on money: before each call the most that it can cost is put aside; what does not fit is refused."""

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from minirag.costs.bill import Line, Prices, price_of, training_cost
from minirag.errors import BudgetReached, InputError
from minirag.message_log import Exchange
from minirag.text import for_model

ROUNDING = 1e-9
"""US dollars that sums of many small amounts may be off."""


class Budget:
    """At most `limit` US dollars for all calls of a log, those that it holds already included.

    `tokenizer` is the user's word for the vocabulary of unknown models. Safe to use from many threads: a call that
    fits only if those in flight turn out cheaper waits for them. Raises InputError for a call whose price is not known.

    >>> from minirag.costs.bill import Price, Prices
    >>> budget = Budget(0.01, Prices("", {"m": Price(input=1.0, output=1000.0)}), [])
    >>> budget.reserve("chat.completions", {"model": "m", "messages": [], "max_tokens": 50})
    Traceback (most recent call last):
    minirag.errors.BudgetReached: The next call could cost $0.0500, and $0.0000 of the $0.0100 allowed are spent; \
everything finished is kept, run again with a higher --max-cost to go on.
    """

    def __init__(self, limit: float, prices: Prices, log: Iterable[Exchange], tokenizer: str | None = None) -> None:
        self.limit = limit
        self.prices = prices
        self.spent = 0.0
        self._reserved: list[float] = []
        self._training = 0.0
        self._tokenizer = tokenizer
        self._jobs: set[str] = set()
        self._changed = threading.Condition(threading.RLock())
        for exchange in log:
            self.spent += self._cost(exchange)

    @property
    def reserved(self) -> float:
        """What the calls in flight, and the training that was started, can cost at most."""
        return sum(self._reserved) + self._training

    def reserve(self, endpoint: str, request: Mapping[str, Any]) -> float:
        """Put aside the most that a call can cost, in US dollars, and return it. Raises BudgetReached."""
        most = self._most(endpoint, request)
        self.hold(most)
        return most

    def reserve_batch(self, calls: Sequence[Exchange]) -> tuple[int, float]:
        """Put aside the most that a batch can cost, and return how many of the calls that is for, from the first on.

        Raises BudgetReached where not even the first fits.
        """
        with self._changed:
            room, held, count = self.limit + ROUNDING - self.spent - self.reserved, 0.0, 0
            for call in calls:
                most = self._most(call.endpoint, call.request, batched=True)
                if held + most > room and count:
                    break
                held += most
                count += 1
            self.hold(held)
            return count, held

    def hold(self, most: float) -> None:
        """Put an amount aside. Raises BudgetReached where it does not fit, whatever the calls in flight turn out.

        Only calls in flight are waited for: what training holds may be held for hours.
        """
        with self._changed:
            while most and self.spent + self.reserved + most > self.limit + ROUNDING:
                if not self._reserved:
                    raise BudgetReached(
                        f"The next call could cost ${most:.4f}, and ${self.spent:.4f} of the ${self.limit:.4f} allowed "
                        "are spent; everything finished is kept, run again with a higher --max-cost to go on."
                    )
                self._changed.wait()
            if most:
                self._reserved.append(most)

    def hold_training(self, base: str, usd: float | None) -> None:
        """Put the price of training on `base` aside, once, until a job says what it trained. Raises BudgetReached."""
        most = self._known(usd, _training_price(base))
        if not self._training:
            self.hold(most)
            self.release(most)
            self._training = most

    def release_training(self) -> None:
        """Give back what was held for a job that will train nothing."""
        with self._changed:
            self._training = 0.0
            self._changed.notify_all()

    def release(self, most: float) -> None:
        """Give back an amount that was put aside."""
        with self._changed:
            if most:
                self._reserved.remove(most)
            self._changed.notify_all()

    def settle(self, most: float, *exchanges: Exchange) -> None:
        """Replace what was put aside for a call, or a batch of them, by what it cost."""
        with self._changed:
            self.spent += sum(map(self._cost, exchanges))
            self.release(most)

    def _cost(self, exchange: Exchange) -> float:
        """What a call cost: by its usage, or the most it can have cost where a reply was lost or does not say."""
        reply = exchange.response or {}
        if exchange.endpoint not in {"chat.completions", "embeddings"}:
            return self._trained(reply)
        batched = "batch" in exchange.tags
        if exchange.error is not None and not exchange.usage:
            lost = exchange.error.get("status") is None and not (batched and exchange.response is None)
            return self._most(exchange.endpoint, exchange.request, batched=batched) if lost else 0.0
        line = Line("", "", "")
        line.add(exchange, self.prices)
        return self._most(exchange.endpoint, exchange.request, batched=batched) if line.usd is None else line.usd

    def _trained(self, job: Mapping[str, Any]) -> float:
        """What a job cost, once, when it first says how much it trained."""
        if not job.get("trained_tokens") or job.get("id") in self._jobs:
            return 0.0
        self._jobs.add(str(job.get("id")))
        self.release_training()
        base = str(job.get("model"))
        return self._known(training_cost(self.prices, base, int(job["trained_tokens"])), _training_price(base))

    def _most(self, endpoint: str, request: Mapping[str, Any], *, batched: bool = False) -> float:
        if endpoint not in {"chat.completions", "embeddings"}:
            return 0.0  # jobs are held by what they train on, before they are created
        model = str(request["model"])
        tokenizer, price = for_model(model, self._tokenizer), self.prices.of(model)
        is_share = batched and price.batch is None and price.input is not None
        what = f"batch share of the price of {model}" if is_share else f"price of {model}"
        if endpoint == "embeddings":
            tokens = sum(map(tokenizer.count, request["input"]))
            return self._known(price_of((tokens, 0, 0), price, batched=batched), what)
        schema = request.get("response_format")
        tokens = tokenizer.count_messages(request["messages"]) + (tokenizer.count(json.dumps(schema)) if schema else 0)
        reply = request.get("max_tokens") or request.get("max_completion_tokens") or 0
        dear = replace(price, cached=price.input)  # nothing is cached in the worst case
        return self._known(price_of((tokens, 0, reply), dear, batched=batched), what)

    def _known(self, money: float | None, what: str) -> float:
        if money is None:
            raise InputError(f"The {what} is not known, so --max-cost cannot hold; name it with --prices FILE.")
        return money


def _training_price(base: str) -> str:
    return f"training price of {base} (`training` of the model ft:{base})"
