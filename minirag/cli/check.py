"""Training files on the terminal: `minirag check FILE…` for any chat file, and the table that `collect` prints."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minirag.cli.terminal import cut, show, show_json, wrapped
from minirag.costs import Prices, load_prices, training_cost
from minirag.curation import check_file
from minirag.text import counted, dollars
from minirag.training import default_epochs

SHOWN = 20
"""Findings printed per file; `--json` gives all."""


def main(options: Mapping[str, Any]) -> int:
    """Check each file; return 2 if one has an error."""
    model, prices = options.get("model", "gpt-4.1-mini"), load_prices(options.get("prices"))
    results = [_result(Path(name), model, prices) for name in options["files"]]
    if options.get("json"):
        show_json(results[0] if len(results) == 1 else {"files": results})
    else:
        show("\n\n".join("\n".join(_lines(result)) for result in results))
    return 2 if any(result["errors"] for result in results) else 0


def _result(path: Path, model: str, prices: Prices) -> dict[str, Any]:
    checked = check_file(path, model=model)
    examples, total = len(checked.tokens), sum(checked.tokens)
    epochs = default_epochs(examples)
    errors = sum(finding.is_error for finding in checked.findings)
    dropped = Counter(example.dropped for example in checked.curated if example.dropped)
    return {
        "file": str(path),
        "examples": examples,
        "errors": errors,
        "warnings": len(checked.findings) - errors,
        "rules": dict(sorted(Counter(finding.rule for finding in checked.findings).items())),
        "findings": [finding._asdict() for finding in checked.findings],
        "worth_training_on": examples - dropped.total(),
        "dropped": dict(dropped.most_common()),
        "tokens": total,
        "epochs": epochs,
        "tokens_billed": total * epochs,
        "model": model,
        "usd": training_cost(prices, model, total * epochs),
    }


def _lines(result: Mapping[str, Any]) -> list[str]:
    """Return a result as lines for the terminal."""
    errors, warnings = result["errors"], result["warnings"]
    counts = [counted(result["examples"], "example"), counted(errors, "error"), counted(warnings, "warning")]
    lines = [f"{result['file']}: {', '.join(counts)}"]
    for finding in result["findings"][:SHOWN]:
        place = f"line {finding['line']}" if finding["line"] else "file"
        kind = "error" if finding["is_error"] else "warning"
        lines.append(wrapped(f"  {kind:7}  {place:>9}  {finding['rule']}: {finding['message']}"))
    if (more := errors + warnings - SHOWN) > 0:
        lines.append(cut(f"  and {more:,} more; in all " + ", ".join(f"{n:,} {r}" for r, n in result["rules"].items())))
    if result["examples"]:
        lines.append(f"  {_price(result, result['model'])}")
        dropped = ", ".join(f"{count:,} {reason}" for reason, count in result["dropped"].items())
        worth = f"  worth training on: {result['worth_training_on']:,} of {result['examples']:,}"
        lines.append(wrapped(f"{worth} (dropped: {dropped})" if dropped else worth))
    return lines


def training_table(report: Mapping[str, Any]) -> list[str]:
    """Return `TrainingFile.report()`, with `usd` and `student` beside it, as lines: what is kept, and at what price."""
    lines = [f"{report['kept']:,} examples kept, {report['tokens']:,} tokens an epoch"]
    lines += [f"dropped {count:,}: {reason}" for reason, count in report["dropped"].items()]
    if report["refine"]:
        lines.append("refine steps: " + ", ".join(f"{count} {kind}" for kind, count in report["refine"].items()))
    return [cut(line) for line in [*lines, _price(report, report["student"])]]


def _price(result: Mapping[str, Any], model: str) -> str:
    return f"{result['epochs']} epochs, {result['tokens_billed']:,} tokens billed: {dollars(result['usd'])} on {model}"
