"""The training file as a table, to look at before paying for it: what is kept, what is not, at what price."""

from collections.abc import Mapping
from typing import Any

from minirag.cli.terminal import cut, table
from minirag.costs import dollars


def lines(report: Mapping[str, Any]) -> list[str]:
    """Return `TrainingFile.report()`, with `usd` and `student` beside it, as lines of at most 79 characters."""
    dropped, dropped_tokens = report["dropped"], report["dropped_tokens"]
    rows = [["kept", report["kept"], report["tokens"]]]
    if report["held_out"]:
        rows.append(["held out for validation", report["held_out"], report["held_out_tokens"]])
    if dropped:
        rows.append(["dropped", sum(dropped.values()), sum(dropped_tokens.values())])
    rows += [[f"  {reason}", count, dropped_tokens[reason]] for reason, count in dropped.items()]
    cells = [[name, f"{examples:,}", f"{tokens:,}"] for name, examples, tokens in rows]
    result = table(["training file", "examples", "tokens"], cells).splitlines()

    if report["refine"]:
        result.append("refine steps: " + ", ".join(f"{count} {kind}" for kind, count in report["refine"].items()))
    asked_about, shown = (report[name] or "not known" for name in ("pages_asked_about", "pages_shown"))
    quantiles = ", ".join(f"{name} {value:,.0f}" for name, value in report["tokens_per_example"].items())
    result += [
        f"pages asked about: {asked_about}; pages shown: {shown}",
        f"tokens an example: {quantiles}",
        f"share of the tokens that are answers: {report['answer_share']:.1%}",
        f"{report['epochs']} epochs, {report['tokens_billed']:,} tokens billed: "
        f"{dollars(report['usd'])} on {report['student']}",
    ]
    return [cut(line) for line in result]
