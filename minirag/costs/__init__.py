"""Money: prices with their dates, the bill of a log, a cap on spending, and when training has paid for itself.

`rehearsal` is not imported here, because only `minirag plan` needs it.
"""

from minirag.costs.billing import Line as Line
from minirag.costs.billing import as_json as as_json
from minirag.costs.billing import bill as bill
from minirag.costs.billing import payback as payback
from minirag.costs.billing import run_costs as run_costs
from minirag.costs.billing import total as total
from minirag.costs.budget import Budget as Budget
from minirag.costs.prices import OLDER_TABLES as OLDER_TABLES
from minirag.costs.prices import Price as Price
from minirag.costs.prices import Prices as Prices
from minirag.costs.prices import dollars as dollars
from minirag.costs.prices import load_prices as load_prices
from minirag.costs.prices import price_of as price_of
from minirag.costs.prices import shutdown_warnings as shutdown_warnings
from minirag.costs.prices import training_cost as training_cost
