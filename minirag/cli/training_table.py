"""Row 9. A training file as a person wants to see it before paying for it: what was kept, what not, at what price."""

from collections.abc import Mapping
from typing import Any

from minirag.cli.terminal import cut, table
from minirag.costs.bill import dollars


def lines(report: Mapping[str, Any]) -> list[str]:
    """The report of `TrainingFile.report()`, with `usd` and `student` beside it, as lines of at most 79 characters."""
    rows = [["kept", f"{report['kept']:,}", f"{report['tokens']:,}"]]
    if report["held_out"]:
        rows.append(["held out for validation", f"{report['held_out']:,}", f"{report['held_out_tokens']:,}"])
    rows += [
        [f"  {reason}", f"{n:,}", f"{report['dropped_tokens'][reason]:,}"] for reason, n in report["dropped"].items()
    ]
    if report["dropped"]:
        rows.insert(
            -len(report["dropped"]),
            ["dropped", f"{sum(report['dropped'].values()):,}", f"{sum(report['dropped_tokens'].values()):,}"],
        )
    told = table(["training file", "examples", "tokens"], rows).splitlines()
    if report["refine"]:
        told.append("refine steps: " + ", ".join(f"{count} {kind}" for kind, count in report["refine"].items()))
    asked, shown = (report[name] or "not known" for name in ("pages_asked_about", "pages_shown"))
    told.append(f"pages asked about: {asked}; pages shown: {shown}")
    if spread := report["tokens_per_example"]:
        told.append("tokens an example: " + ", ".join(f"{name} {value:,.0f}" for name, value in spread.items()))
    if report["answer_share"] is not None:
        told.append(f"share of the tokens that are answers: {report['answer_share']:.1%}")
    told.append(
        f"{report['epochs']} epochs, {report['tokens_billed']:,} tokens billed: "
        f"{dollars(report['usd'])} on {report['student']}"
    )
    return [cut(line) for line in told]
