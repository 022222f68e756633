"""What calls cost as they return, and a hard cap on it.

Before each call the most that it can cost is reserved; a call that does not fit is refused.
"""

import json
import threading
from collections.abc import Iterable, Sequence

from minirag.costs.billing import Line, trained_by
from minirag.costs.prices import Prices, Tokens, price_of, training_cost
from minirag.errors import BudgetReached, InputError
from minirag.message_log import Exchange
from minirag.text import for_model

ROUNDING = 1e-9
"""US dollars by which sums of many small amounts may be off."""
ENDPOINTS = {"chat.completions", "embeddings"}
TRAINING = " in training"


class Budget:
    """At most `limit` US dollars for all calls of a log, those that it already holds included.

    A gate of `Service`, safe to use from many threads: a call that fits only if those in flight turn out cheaper waits
    for them. `tokenizer` names the vocabulary of models unknown to minirag. Raises InputError for an unknown price.
    """

    def __init__(self, limit: float, prices: Prices, log: Iterable[Exchange], tokenizer: str | None = None) -> None:
        self.limit = limit
        self.prices = prices
        self._tokenizer = tokenizer
        self._reserved: list[float] = []
        self._training = 0.0
        self._jobs: set[str] = set()
        self._changed = threading.Condition(threading.RLock())
        self.spent = sum(map(self._cost, log))

    def require_prices(self, models: Iterable[str]) -> None:
        """Raise InputError for a model without a price: what its calls can cost could not be known."""
        for model in models:
            _priced(self.prices.of(model).input, model)

    def require_training(self, base: str) -> None:
        """Raise InputError if the price of training on a model is not known."""
        _priced(training_cost(self.prices, base, 1), base, TRAINING)

    @property
    def reserved(self) -> float:
        """The most that the calls in flight and the training that was started can cost."""
        return sum(self._reserved) + self._training

    def before(self, call: Exchange) -> float:
        """Reserve the most that a call can cost, in US dollars, and return it. Raises BudgetReached."""
        return self._reserve(self._most(call))

    def after(self, amount: float, exchange: Exchange | None) -> None:
        """Replace what was reserved for a call by what it cost."""
        with self._changed:
            self.spent += 0.0 if exchange is None else self._cost(exchange)
            if amount:
                self._reserved.remove(amount)
            self._changed.notify_all()

    def reserve_batch(self, calls: Sequence[Exchange]) -> tuple[int, float]:
        """Reserve money for as many of the calls as fit, from the first on; return their number and the amount.

        Raises BudgetReached if not even the first fits.
        """
        with self._changed:
            room, total, count = self.limit + ROUNDING - self.spent - self.reserved, 0.0, 0
            for call in calls:
                most = self._most(call, batched=True)
                if total + most > room and count:
                    break
                total += most
                count += 1
            return count, self._reserve(total)

    def hold_training(self, base: str, usd: float | None) -> None:
        """Reserve the price of training on `base`, once, until a job reports what it trained. Raises BudgetReached."""
        most = _priced(usd, base, TRAINING)
        if not self._training:
            self.after(self._reserve(most), None)
            self._training = most

    def release_training(self) -> None:
        """Free what was reserved for a job that will train nothing."""
        with self._changed:
            self._training = 0.0
            self._changed.notify_all()

    def _reserve(self, most: float) -> float:
        """Reserve an amount and return it. Raises BudgetReached if it does not fit once the calls in flight have ended.

        Only calls in flight are waited for: training may hold its amount for hours.
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
            return most

    def _cost(self, exchange: Exchange) -> float:
        """Return what a call cost: by its usage, or the most it can have cost if its reply was lost or has no usage."""
        is_batched = "batch" in exchange.tags
        if exchange.endpoint not in ENDPOINTS:
            # the state of a job costs what it trained, once
            job = trained_by(exchange)
            if job is None or job[0] in self._jobs:
                return 0.0
            id, base, tokens = job
            self._jobs.add(id)
            self.release_training()
            return _priced(training_cost(self.prices, base, tokens), base, TRAINING)
        if exchange.error is not None and not exchange.usage:
            is_lost = exchange.error.get("status") is None and not (is_batched and exchange.response is None)
            return self._most(exchange, batched=is_batched) if is_lost else 0.0
        line = Line("", "", "")
        line.add(exchange, self.prices)
        return self._most(exchange, batched=is_batched) if line.usd is None else line.usd

    def _most(self, call: Exchange, *, batched: bool = False) -> float:
        """Return the most that a call can cost. Jobs are covered by `hold_training`."""
        if call.endpoint not in ENDPOINTS:
            return 0.0
        request, model = call.request, str(call.request["model"])
        tokenizer, price = for_model(model, self._tokenizer), self.prices.of(model)
        if call.endpoint == "embeddings":
            tokens, reply = sum(map(tokenizer.count, request["input"])), 0
        else:
            schema = request.get("response_format")
            tokens = tokenizer.count_messages(request["messages"])
            tokens += tokenizer.count(json.dumps(schema)) if schema else 0
            reply = request.get("max_tokens") or request.get("max_completion_tokens") or 0
        # nothing is read from the cache in the worst case, and all is written to it where that costs more
        amounts = [
            price_of(worst, price, batched=batched) for worst in (Tokens(tokens, 0, reply), Tokens(0, 0, reply, tokens))
        ]
        return max(_priced(usd, model, " in a batch" if batched else "") for usd in amounts)


def _priced(usd: float | None, model: str, use: str = "") -> float:
    """Return a price. Raises InputError, with the model's name in a table of prices, if it is not known."""
    if usd is None:
        name = f"ft:{model}" if use == TRAINING else model
        raise InputError(
            f"The price of {model}{use} is not known, so --max-cost cannot hold: name it in a file for --prices, as "
            f'[models."{name}"], or say --free ROLE if the model of that role costs nothing.'
        )
    return usd
