"""What the run cost by stage, and from how many questions on training has paid for itself."""

from minirag.report.charts.break_even import Costs, break_even
from minirag.report.charts.stage_costs import stage_costs
from minirag.report.layout import figures, section, table
from minirag.report.markup import tag, text
from minirag.report.results import Results
from minirag.report.traced import Traced, count, money, words

COUNTED = ("calls", "failed", "input_tokens", "cached_tokens", "output_tokens", "training_tokens")


def bill(results: Results) -> str:
    """Both as charts, and the bill line by line."""
    costs = results.costs
    rows = [
        [text(line.value["stage"]), text(line.value["arm"]), text(line.value["model"])]
        + [count(line[name]) for name in COUNTED]
        + [money(line["usd"])]
        for line in costs["lines"]
    ]
    rows.append(["total", "", "", *[""] * len(COUNTED), money(costs["total_usd"])])
    head = ["stage", "arm", "model", *(name.removesuffix("_tokens") for name in COUNTED), "US dollars"]
    counted = tag("p", "Tokens as the service counted them; prices of ", words(costs["prices_of"]), ".", class_="soft")
    drawn = [("Cost by stage", _by_stage(results)), ("Break-even", _break_even(costs))]
    return section("Money", figures(drawn), table("The bill, in tokens and US dollars", head, rows, numeric=3), counted)


def _by_stage(results: Results) -> str:
    stages: dict[str, list[float | None]] = {}
    for line in results.bill["lines"]:
        stages.setdefault(line["stage"], []).append(line["usd"])
    summed = [(stage, _sum(amounts)) for stage, amounts in stages.items()]
    return stage_costs("US dollars by stage", summed, results.bill["total_usd"])


def _sum(amounts: list[float | None]) -> float | None:
    """The sum; None where one is not known."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None


def _break_even(costs: Traced) -> str:
    each, questions = costs.value["usd_per_question"], costs.value["break_even_questions"]
    return break_even(
        "What so many questions cost with the teacher, and with the tuned model",
        Costs(costs.value["training_usd"], each.get("teacher"), each.get("tuned")),
        questions=questions if isinstance(questions, int | float) else None,
        why="" if isinstance(questions, int | float) else costs.value["payback"],
    )
