"""Row 7. What the calls since some moment have cost, while they are still going on; only what is new is read."""

from minirag.costs.bill import Line, Prices
from minirag.message_log import MessageLog


class Tally:
    """Counts what `log` gains from now on: `look` gives US dollars (None: a price is not known) and failed calls.

    Training is not in it: a job is billed when it has ended.
    """

    def __init__(self, log: MessageLog, prices: Prices) -> None:
        self._log = log
        self._prices = prices
        self._seen = log.end
        self._line = Line("", "", "")

    def look(self) -> tuple[float | None, int]:
        """(US dollars, failed calls) so far."""
        end = self._log.end
        for exchange in self._log.between(self._seen, end):
            if exchange.endpoint in {"chat.completions", "embeddings"}:
                self._line.add(exchange, self._prices)
        self._seen = end
        return self._line.usd, self._line.failed
