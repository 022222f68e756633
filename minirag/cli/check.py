"""`minirag check FILE…`: would a service train on these chat files, and would you want it to?"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minirag import costs
from minirag.cli.terminal import cut, show, show_json, table
from minirag.costs import dollars
from minirag.curation import CLASSES, Checked, check_files, curate_file
from minirag.questions import read_questions
from minirag.training import default_epochs

SHOWN = 20
"""Findings printed per file; `--json` gives all."""


def main(given: Mapping[str, Any]) -> int:
    """Check each file, then the validation file against them; return 2 if one has an error."""
    model, prices = given.get("model", "gpt-4.1-mini"), costs.load_prices(given.get("prices"))
    questions = read_questions(given["eval_questions"], "eval") if "eval_questions" in given else []
    texts = [question.text for question in questions]
    checked = check_files(given["files"], given.get("validation"), model=model, eval_questions=texts)
    results = [_result(one, model, prices) for one in checked]
    if "curate" in given:
        for result, one in zip(results, checked, strict=True):
            result.update(_curated(one.path))
    if given.get("json"):
        show_json(results[0] if len(results) == 1 else {"files": results})
    else:
        show("\n\n".join("\n".join(_lines(result)) for result in results))
    return 2 if any(result["errors"] for result in results) else 0


def _result(checked: Checked, model: str, prices: costs.Prices) -> dict[str, Any]:
    tokens, total = sorted(checked.tokens), sum(checked.tokens)
    shares = {"min": 0.0, "p10": 0.1, "median": 0.5, "p90": 0.9, "max": 1.0}
    quantiles = {
        name: tokens[max(1, round(share * len(tokens))) - 1] if tokens else 0 for name, share in shares.items()
    }
    epochs = default_epochs(len(tokens))
    errors = sum(finding.is_error for finding in checked.findings)
    return {
        "file": str(checked.path),
        "examples": len(tokens),
        "errors": errors,
        "warnings": len(checked.findings) - errors,
        "rules": dict(sorted(Counter(finding.rule for finding in checked.findings).items())),
        "findings": [finding._asdict() for finding in checked.findings],
        "tokens": total,
        "tokens_per_example": quantiles,
        "answer_share": round(checked.answer_tokens / total, 4) if total else None,
        "epochs": epochs,
        "tokens_billed": total * epochs,
        "model": model,
        "usd": costs.training_cost(prices, model, total * epochs),
    }


def _curated(path: Path) -> dict[str, Any]:
    """Return what `minirag collect` would keep of a file; an index counts lines from 0."""
    examples = curate_file(path)
    dropped = [{"index": i, "reason": e.dropped, "detail": e.detail} for i, e in examples if e.dropped]
    return {
        "kept": len(examples) - len(dropped),
        "dropped": dropped,
        "refine": [{"index": i, "class": e.refine} for i, e in examples if e.refine],
    }


def _lines(result: Mapping[str, Any]) -> list[str]:
    """Return a result as lines for the terminal."""
    errors, warnings = result["errors"], result["warnings"]
    lines = [f"{result['file']}: {result['examples']:,} examples, {errors:,} errors, {warnings:,} warnings"]
    for finding in result["findings"][:SHOWN]:
        place = f"line {finding['line']}" if finding["line"] else "file"
        kind = "error" if finding["is_error"] else "warning"
        lines.append(cut(f"  {kind:7}  {place:>9}  {finding['rule']}: {finding['message']}"))
    if (more := errors + warnings - SHOWN) > 0:
        lines.append(cut(f"  and {more:,} more; in all " + ", ".join(f"{n:,} {r}" for r, n in result["rules"].items())))
    if result["examples"]:
        quantiles = ", ".join(f"{name} {count:,}" for name, count in result["tokens_per_example"].items())
        lines += [
            f"  {result['tokens']:,} tokens, of which answers {result['answer_share']:.1%}",
            f"  tokens an example: {quantiles}",
            f"  {result['epochs']} epochs, {result['tokens_billed']:,} tokens billed: {dollars(result['usd'])} on "
            f"{result['model']}",
        ]
    if "kept" not in result:
        return lines

    lines.append(f"  worth training on: {result['kept']} of {result['kept'] + len(result['dropped'])}")
    indices = defaultdict(list)
    for drop in result["dropped"]:
        indices[drop["reason"]].append(str(drop["index"]))
    rows = [[reason, str(len(i)), " ".join(i[:10]) + (" …" if len(i) > 10 else "")] for reason, i in indices.items()]
    if rows:
        lines += [f"  {line}" for line in table(["dropped", "examples", "index"], rows, 1).splitlines()]
    if kinds := Counter(entry["class"] for entry in result["refine"]):
        lines.append(f"  refine steps: {', '.join(f'{kinds[kind]} {kind}' for kind in CLASSES)}")
    return lines
