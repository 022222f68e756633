"""Row 8. One self-contained HTML file: the verdict, the numbers behind it, and every answer with its evidence.

No script, no request to anywhere, and a browser is told to allow none; all text from documents and models is escaped.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from minirag.arms import ARMS, COMPARED
from minirag.evaluate import ScoredRow, Scores
from minirag.query import Answer
from minirag.questions import Question
from minirag.trial import doubts
from minirag.visible import visible

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d5dbe3; --paper: #ffffff; --card: #f4f6f9;
  --good: #1a7f4b; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b5; --line: #35404e; --paper: #14191f;
  --card: #1d242c; --good: #5fd39a; --bad: #ff8a80; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 68rem;
  margin: 0 auto; padding: 1.5rem 1rem 4rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.verdict { background: var(--card); border-left: .3rem solid var(--soft); padding: 1rem; border-radius: .3rem; }
.verdict.better { border-color: var(--good); } .verdict.worse { border-color: var(--bad); }
.verdict strong { font-size: 1.15rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { overflow-wrap: normal;
  text-align: left; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
details { border-bottom: 1px solid var(--line); padding: .5rem 0; } summary { cursor: pointer; }
summary .scores { color: var(--soft); font-variant-numeric: tabular-nums; }
.no { color: var(--bad); } .yes { color: var(--good); } .soft { color: var(--soft); }
blockquote { margin: .5rem 0; padding: .5rem .8rem; background: var(--card); white-space: pre-wrap; }
ul { margin: .3rem 0; padding-left: 1.2rem; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
"""Nothing may be loaded, run or sent, and only the style above applies: no `style` attribute does."""


def html(
    *,
    facts: Mapping[str, Any],
    questions: Sequence[Question],
    answers: Mapping[tuple[str, str], Answer],
    scores: Scores,
    comparison: Mapping[str, Any],
    bill: Mapping[str, Any],
) -> str:
    """The report as one HTML document, from what the run's files hold."""
    title = "Can the small model replace the large one?"
    parts = [
        f"<h1>{title}</h1>",
        _verdict(facts, comparison, bill),
        "<h2>Scores</h2>",
        _scores_table(comparison),
        "<h2>How far to trust them</h2>",
        _comparisons(comparison),
        *_said(comparison),
        "<h2>Questions on trial</h2>",
        _on_trial(questions, comparison),
        "<h2>Money</h2>",
        _money(bill),
        "<h2>Questions</h2>",
        *_questions(questions, answers, scores),
        *_suspicious(facts),
        "<h2>About this run</h2>",
        _facts(facts),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>minirag: {title}</title><style>{_STYLE}</style></head>\n<body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _text(value: object) -> str:
    """Text from a document or a model: escaped, and its controls and direction marks shown by their codes."""
    return escape(visible(str(value), keep="\t\n"))


def _number(value: float | None, digits: int = 3, sign: bool = False) -> str:
    if value is None:
        return "–"
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def _dollars(value: float | str | None) -> str:
    return "unknown" if not isinstance(value, float | int) else f"${value:,.4f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numeric: int = 1) -> str:
    """A table whose columns from `numeric` on are numbers; cells are HTML already."""

    def cells(tag: str, values: Sequence[str]) -> str:
        kinds = ("" if i < numeric else ' class="n"' for i in range(len(values)))
        return "".join(f"<{tag}{kind}>{value}</{tag}>" for kind, value in zip(kinds, values, strict=True))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells("th", head)}</tr></thead><tbody>{body}</tbody></table></div>'


def _verdict(facts: Mapping[str, Any], comparison: Mapping[str, Any], bill: Mapping[str, Any]) -> str:
    settings, verdicts = facts["settings"], {m["verdict"] for m in comparison["metrics"].values()}
    kind = verdicts.pop() if len(verdicts) == 1 else ""
    lines = [
        f"<strong>{_text(comparison['verdict'])}</strong>",
        f"<strong>{_text(comparison['verdict_against_teacher'])}</strong>",
        f"<strong>{_text(comparison['verdict_against_control'] or '')}</strong>",
        ", ".join(f"{role} {_text(settings[role])}" for role in ("teacher", "student", "judge")) + ".",
        _text(bill["payback"]),
    ]
    return f'<p class="verdict {_text(kind)}">{"<br>".join(line for line in lines if line)}</p>'


def _scores_table(comparison: Mapping[str, Any]) -> str:
    """The arms' means in every metric, and the tuned model against the base model."""
    arms = list(comparison["ragas_score"])
    rows = [
        [
            _text(name.replace("_", " ")),
            *(_number(metric["arms"][arm]["mean"]) for arm in arms),
            *_against(metric),
            str(sum(arm["n_unscored"] for arm in metric["arms"].values())),
            _text(metric["verdict"]),
        ]
        for name, metric in comparison["metrics"].items()
    ]
    together = comparison["ragas_score_compared"]["tuned_against_base"]
    ragas = [_number(comparison["ragas_score"][arm]) for arm in arms]
    rows.append(["ragas score (harmonic mean)", *ragas, *_against(together), "", _text(together["verdict"])])
    head = ["metric", *arms, "tuned − base", "95 % interval", "n", "unscored", "verdict"]
    reasons = [
        f"<li>{_text(name.replace('_', ' '))}, {arm}: {count} × {_text(reason)}</li>"
        for name, metric in comparison["metrics"].items()
        for arm, facts in metric["arms"].items()
        for reason, count in facts["unscored"].items()
    ]
    listed = f"<p>Not scored, and in no mean:</p><ul>{''.join(reasons)}</ul>" if reasons else ""
    return _table(head, rows) + listed


def _against(found: Mapping[str, Any]) -> list[str]:
    """A difference, its interval and how many questions are behind it."""
    interval = f"[{_number(found['low'], sign=True)}, {_number(found['high'], sign=True)}]"
    return [_number(found["difference"], sign=True), interval, str(found["n"])]


def _comparisons(comparison: Mapping[str, Any]) -> str:
    """Every comparison of the tuned model, with all that tells how far it can be trusted."""
    found = []
    for name, metric in comparison["metrics"].items():
        found.append((name, "base", metric, metric["p_holm"]))
        found += [
            (name, arm, metric[f"tuned_against_{arm}"], None)
            for arm in COMPARED[1:]
            if f"tuned_against_{arm}" in metric
        ]
    found += [
        ("ragas_score", pair.removeprefix("tuned_against_"), one, None)
        for pair, one in comparison["ragas_score_compared"].items()
    ]
    rows = [
        [
            _text(name.replace("_", " ")),
            arm,
            _text(one["verdict"]),
            *_against(one),
            *(_number(p) for p in (one["p_value"], one["p_permutation"], holm)),
            _number(one["detectable"]),
            "–" if one["n_needed"] is None else f"{one['n_needed']:,}",
            f"{_number(one['worst'], sign=True)} to {_number(one['best'], sign=True)}",
        ]
        for name, arm, one, holm in found
    ]
    head = ["metric", "tuned against", "verdict", "difference", "95 % interval", "n"]
    head += ["p (t)", "p (flips)", "p (Holm)", "detectable", "n needed", "if all were scored"]
    return _table(head, rows, numeric=3)


_SUBJECTS = {
    "warnings": "Reasons for caution",
    "several metrics": "Several metrics",
    "the teacher's lead": "How much of the teacher's lead was closed",
    "unscored answers": "What unscored answers could hide",
    "the judge's noise": "The judge's noise",
    "where the change comes from": "Where the change comes from",
    "a person's labels": "What a person says",
}


def _said(comparison: Mapping[str, Any]) -> Iterable[str]:
    """What the comparison says in words, by subject."""
    for subject, title in _SUBJECTS.items():
        if told := comparison["in_words"].get(subject):
            yield f"<h3>{title}</h3><ul>{''.join(f'<li>{_text(line)}</li>' for line in told)}</ul>"


def _on_trial(questions: Sequence[Question], comparison: Mapping[str, Any]) -> str:
    """The questions that something speaks against, what it is, and the comparisons with and without them."""
    flagged = [[_text(q.id), _text(q.text), _text("; ".join(doubts(q)))] for q in questions if doubts(q)]
    if not flagged:
        return "<p>Nothing speaks against any eval question.</p>"
    rows = []
    for name, metric in comparison["metrics"].items():
        for pair, without in metric["without_flagged"].items():
            whole = metric if pair == "tuned_against_base" else metric[pair]
            sides = [[*_against(one), _text(one["verdict"])] for one in (whole, without)]
            rows.append([_text(name.replace("_", " ")), pair.removeprefix("tuned_against_"), *sides[0], *sides[1]])
    head = ["metric", "tuned against", "all: difference", "95 % interval", "n", "verdict"]
    head += ["without flagged: difference", "95 % interval", "n", "verdict"]
    told = f"<p>{len(flagged)} of {len(questions)} eval questions are flagged; the scores above include them.</p>"
    listed = _table(["question", "text", "what speaks against it"], flagged, numeric=3)
    return told + listed + _table(head, rows, numeric=2)


def _money(bill: Mapping[str, Any]) -> str:
    rows = [
        [
            _text(line["stage"]),
            _text(line["arm"]),
            _text(line["model"]),
            f"{line['calls']:,}",
            f"{line['failed']:,}",
            f"{line['input_tokens']:,}",
            f"{line['cached_tokens']:,}",
            f"{line['output_tokens']:,}",
            f"{line['training_tokens']:,}",
            _dollars(line["usd"]),
        ]
        for line in bill["lines"]
    ]
    rows.append(["total", "", "", "", "", "", "", "", "", _dollars(bill["total_usd"])])
    head = ["stage", "arm", "model", "calls", "failed", "input", "cached", "output", "training", "US dollars"]
    each = "; ".join(f"{arm} {_dollars(usd)}" for arm, usd in bill["usd_per_question"].items())
    return (
        f'<p class="soft">Tokens as the service counted them; prices of {_text(bill["prices_of"])}.</p>'
        + _table(head, rows, numeric=3)
        + f"<p>One answer costs: {each}.</p>"
    )


def _questions(
    questions: Sequence[Question], answers: Mapping[tuple[str, str], Answer], scores: Scores
) -> Iterable[str]:
    judged = [arm for arm in ARMS if any(name == arm for name, _ in answers)]
    by_question: dict[tuple[str, str], list[ScoredRow]] = {}
    for row in scores:
        by_question.setdefault((row.arm, row.question_id), []).append(row)
    for question in questions:
        arms = "".join(
            _arm(arm, answers.get((arm, question.id)), by_question.get((arm, question.id), [])) for arm in judged
        )
        page = "" if question.page is None else f"page {question.page}"
        notes = ", ".join(filter(None, [page, *question.flags]))
        values = " · ".join(
            f"{arm}: "
            + ", ".join(
                f"{row.metric.replace('_', ' ')} {_number(row.score.value, 2)}"
                for row in by_question.get((arm, question.id), [])
            )
            for arm in judged
        )
        yield (
            f"<details><summary>{_text(question.text)}<br><span class='scores'>{_text(question.id)}"
            f"{', ' + _text(notes) if notes else ''} — {values}</span></summary>{arms}</details>"
        )


def _arm(arm: str, answer: Answer | None, rows: Sequence[ScoredRow]) -> str:
    if answer is None:
        return f"<h3>{arm}</h3><p class='no'>No answer: the call failed.</p>"
    pages = ", ".join(f"page {hit.chunk.page} ({hit.score:.2f})" for hit in answer.hits)
    calls = "1 call" if len(answer.drafts) == 1 else f"{len(answer.drafts)} calls"
    evidence = "".join(_evidence(row) for row in rows)
    return (
        f"<h3>{arm}</h3><blockquote>{_text(answer.text)}</blockquote>"
        f"<p class='soft'>{calls}; given {_text(pages) or 'nothing'}</p>{evidence}"
    )


def _evidence(row: ScoredRow) -> str:
    name, score = row.metric.replace("_", " "), row.score
    head = f"{_text(name)}: {_number(score.value)}{f' ({_text(score.reason)})' if score.reason else ''}"
    items = [_item(item) for item in score.evidence]
    return f"<p>{head}</p>" + (f"<ul>{''.join(items)}</ul>" if items else "")


def _item(item: Mapping[str, Any]) -> str:
    """One piece of evidence of any metric: what it is about, what was found, and why."""
    found = item.get("supported", item.get("useful"))
    texts = [item[key] for key in ("statement", "question", "sentence") if key in item]
    about = texts[0] if texts else f"passage {item['context'] + 1}"
    mark = "" if found is None else f"<span class='{'yes' if found else 'no'}'>{'yes' if found else 'no'}</span>: "
    cosine = f"{_number(item['cosine'])}: " if "cosine" in item else ""
    evasive = " (noncommittal)" if item.get("noncommittal") else ""
    reason = f" <span class='soft'>{_text(item['reason'])}</span>" if item.get("reason") else ""
    return f"<li>{mark}{cosine}{_text(about)}{evasive}{reason}</li>"


def _suspicious(facts: Mapping[str, Any]) -> Iterable[str]:
    """What in the documents is hidden from people or told to a model, if anything."""
    if found := facts["pages"]["suspicious"]:
        rows = [[_text(item[name]) for name in ("source", "page", "reason", "excerpt")] for item in found]
        yield "<h2>Text to look at</h2>"
        yield "<p>Hidden from people, or told to a model. It was read as data, like all the rest.</p>"
        yield _table(["document", "page", "reason", "text"], rows, numeric=4)


def _setting(value: Any) -> str:
    if isinstance(value, list | tuple):
        return _text(", ".join(map(str, value)))
    if value is None or isinstance(value, bool):
        return {None: "not set", True: "yes", False: "no"}[value]
    return _text(value)


def _facts(facts: Mapping[str, Any]) -> str:
    rows = [[_text(name.replace("_", " ")), _setting(value)] for name, value in facts["settings"].items()]
    rows += [["sha256 of " + _text(name), _text(digest)] for name, digest in facts["documents"].items()]
    rows += [[f"{_text(model)} served as", _text(", ".join(names))] for model, names in facts["models_served"].items()]
    rows += [["service", _text(facts["service"])], ["minirag", _text(facts["minirag"])]]
    return _table(["setting", "value"], rows, numeric=2)
