"""Money: prices with their dates, the bill of a log, a cap on spending, and when training has paid for itself.

`rehearsal` is not imported here, because only `minirag plan` needs it.
"""

from minirag.costs.billing import Line as Line, bill as bill, run_costs as run_costs, total as total
from minirag.costs.budget import Budget as Budget
from minirag.costs.prices import (
    Price as Price,
    Prices as Prices,
    load_prices as load_prices,
    shutdown_warnings as shutdown_warnings,
    training_cost as training_cost,
)
