"""Row 9. `minirag check FILE…`: would a service train on these chat files, and would you want it to?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minirag.cli.terminal import cut, show, show_json, table
from minirag.costs import bill as costs
from minirag.costs.bill import dollars
from minirag.curation.chat_file import ChatFiles, Checked, curatable
from minirag.curation.curate import Candidate, curate
from minirag.curation.prompt_parts import parts
from minirag.curation.refinement import CLASSES
from minirag.questions import read_questions
from minirag.training_file import default_epochs

SHOWN = 20
"""Findings of a file that are printed one by one; `--json` gives up to 1,000 of each rule."""


def main(given: Mapping[str, Any]) -> int:
    """Check each file, then the validation file against them; 2 where one has an error."""
    model, prices = given.get("model", "gpt-4.1-mini"), costs.load_prices(given.get("prices"))
    asked = [q.text for q in read_questions(given["eval_questions"], "eval")] if "eval_questions" in given else []
    with ChatFiles(model, asked) as files:
        checked = [files.check(path) for path in given["files"]]
        if "validation" in given:
            checked.append(files.check(given["validation"], validation=True))
    results = [_result(one, model, prices) for one in checked]
    if "curate" in given:
        for result, one in zip(results, checked, strict=True):
            result.update(curated(one.path))
    if given.get("json"):
        show_json(results[0] if len(results) == 1 else {"files": results})
    else:
        show("\n\n".join("\n".join(_lines(result, "curate" in given)) for result in results))
    return 2 if any(one.total(errors=True) for one in checked) else 0


def _result(checked: Checked, model: str, prices: costs.Prices) -> dict[str, Any]:
    epochs = default_epochs(checked.examples)
    quantiles = {"min": 0.0, "p10": 0.1, "median": 0.5, "p90": 0.9, "max": 1.0}
    return {
        "file": str(checked.path),
        "examples": checked.examples,
        "errors": checked.total(errors=True),
        "warnings": checked.total(errors=False),
        "rules": {rule: count for (rule, _), count in sorted(checked.counts.items())},
        "findings": [finding._asdict() for finding in checked.findings],
        "tokens": checked.tokens,
        "tokens_per_example": {name: checked.tokens_at(share) for name, share in quantiles.items()},
        "answer_share": round(checked.answer_tokens / checked.tokens, 4) if checked.tokens else None,
        "epochs": epochs,
        "tokens_billed": checked.tokens * epochs,
        "model": model,
        "usd": costs.training_cost(prices, model, checked.tokens * epochs),
    }


def curated(path: Path) -> dict[str, Any]:
    """What `minirag collect` would keep of a file's examples; indices count lines from 0."""
    examples = list(curatable(path))
    findings = curate([Candidate(parts(m[:-1]), str(m[-1].get("content") or "")) for _, m in examples])
    judged = [(index, finding) for (index, _), finding in zip(examples, findings, strict=True)]
    dropped = [
        {"index": index, "reason": finding.reason, "detail": finding.detail}
        for index, finding in judged
        if finding.reason
    ]
    return {
        "kept": len(judged) - len(dropped),
        "dropped": dropped,
        "refine": [{"index": index, "class": finding.refine} for index, finding in judged if finding.refine],
    }


def _lines(result: Mapping[str, Any], is_curated: bool) -> list[str]:
    told = [
        f"{result['file']}: {result['examples']:,} examples, "
        f"{result['errors']:,} errors, {result['warnings']:,} warnings"
    ]
    for finding in result["findings"][:SHOWN]:
        place = f"line {finding['line']}" if finding["line"] else "file"
        kind = "error" if finding["is_error"] else "warning"
        told.append(cut(f"  {kind:7}  {place:>9}  {finding['rule']}: {finding['message']}"))
    if (more := result["errors"] + result["warnings"] - SHOWN) > 0:
        told.append(cut(f"  and {more:,} more; in all " + ", ".join(f"{n:,} {r}" for r, n in result["rules"].items())))
    if result["examples"]:
        spread = ", ".join(f"{name} {count:,}" for name, count in result["tokens_per_example"].items())
        told += [
            f"  {result['tokens']:,} tokens, of which answers {result['answer_share']:.1%}",
            f"  tokens an example: {spread}",
            f"  {result['epochs']} epochs, {result['tokens_billed']:,} tokens billed: {dollars(result['usd'])} on "
            f"{result['model']}",
        ]
    return told + _curated_lines(result) if is_curated else told


def _curated_lines(result: Mapping[str, Any]) -> list[str]:
    reasons: dict[str, list[int]] = {}
    for drop in result["dropped"]:
        reasons.setdefault(drop["reason"], []).append(drop["index"])
    kinds = [entry["class"] for entry in result["refine"]]
    rows = [[reason, str(len(indices)), _listed(indices)] for reason, indices in reasons.items()]
    return [
        f"  worth training on: {result['kept']} of {result['kept'] + len(result['dropped'])}",
        *(f"  {line}" for line in (table(["dropped", "examples", "index"], rows, 1).splitlines() if rows else [])),
        *([f"  refine steps: {', '.join(f'{kinds.count(c)} {c}' for c in CLASSES)}"] if kinds else []),
    ]


def _listed(indices: Sequence[int]) -> str:
    shown = " ".join(map(str, indices[:10]))
    return shown + (" …" if len(indices) > 10 else "")
