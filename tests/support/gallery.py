"""Every chart, table and diff over usual and extreme data, on one page: `python tests/gallery.py FILE`."""

import math
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from minirag.report.charts.break_even import Costs, break_even
from minirag.report.charts.distributions import Arm, distributions
from minirag.report.charts.intervals import Interval, intervals
from minirag.report.charts.judge_rounds import judge_rounds
from minirag.report.charts.paired import Pair, paired
from minirag.report.charts.retrieval import retrieval
from minirag.report.charts.stage_costs import stage_costs
from minirag.report.charts.training_job import job_timeline, loss_curve
from minirag.report.markup import tag, text
from minirag.report.question_table import QuestionRow, question_table
from minirag.report.style import STYLE
from minirag.report.word_diff import word_diff

CHINESE = "票价在五月上涨了百分之三，因为电费比去年贵。乘客人数仍然增加。"
ARABIC = "ارتفعت الأجرة في مايو بنسبة ثلاثة بالمئة لأن الكهرباء كانت أغلى من العام الماضي."
LONG = "The fare rose by three per cent in May, since power cost more than in the year before. " * 60
UNBROKEN = "https://example.org/" + "averylongpath" * 40
STATES = [("validating_files", 0.0), ("queued", 12.0), ("running", 64.0)]
PAID, RENTED = Costs(8.0, 0.0175, 0.0041), Costs(25.0, 0.0175, 0.0041, 0.0096)


def pairs(n: int, seed: int = 1, unscored: float = 0.05) -> list[Pair]:
    """Scores as a judge gives them: many at the top, some the same in both arms, some missing."""
    chance = random.Random(seed)

    def score(level: float) -> float | None:
        if chance.random() < unscored:
            return None
        return round(min(1.0, max(0.0, chance.gauss(level, 0.25))) * 8) / 8

    found = []
    for number in range(1, n + 1):
        first = score(0.7)
        found.append(Pair(f"q{number:02}", first, first if chance.random() < 0.25 else score(0.85)))
    return found


def arms(n: int, unscored: float = 0.05) -> list[Arm]:
    """Three arms with their means and something like an interval."""
    columns = {"base": [p.first for p in pairs(n, 1, unscored)], "tuned": [p.second for p in pairs(n, 1, unscored)]}
    columns["teacher"] = [p.second for p in pairs(n, 2, unscored)]
    return [_arm(name, values) for name, values in columns.items()]


def _arm(name: str, values: Sequence[float | None]) -> Arm:
    known = [value for value in values if value is not None]
    if not known:
        return Arm(name, values)
    mean, half = sum(known) / len(known), 0.5 / math.sqrt(len(known))
    return Arm(name, values, mean, mean - half, mean + half)


def charts() -> dict[str, str]:
    """Every chart by what it shows."""
    chance = random.Random(3)
    drawn = {f"paired {n}": paired(f"Faithfulness, {n} questions", pairs(n)) for n in (0, 1, 2, 40, 200, 500)}
    drawn["paired unscored"] = paired("Faithfulness, all unscored", pairs(40, unscored=1))
    drawn["paired equal"] = paired("The same in every question", [Pair(f"q{i}", 1.0, 1.0) for i in range(24)])
    drawn |= {f"distributions {n}": distributions(f"Faithfulness, {n} questions", arms(n)) for n in (0, 1, 40, 500)}
    drawn["distributions unscored"] = distributions("All unscored", arms(40, 1))
    drawn["costs"] = stage_costs(
        "US dollars by stage",
        [
            ("embed", 0.00004),
            ("question", 0.0312),
            ("draft", 0.41),
            ("refine", 0.223),
            ("statements", 1.5),
            ("train", 8),
        ],
        10.1642,
    )
    drawn["costs unknown"] = stage_costs(
        "A price is unknown", [("draft", 0.41), ("refine", None), ("train", None)], None
    )
    drawn["costs free"] = stage_costs("Free models", [("draft", 0.0), ("a stage with a name that is long", 0.0)], 0.0)
    drawn["break-even"] = break_even("Break-even", PAID, questions=8 / 0.0134)
    drawn["break-even hosted"] = break_even(
        "Break-even, hosted, with an end", RENTED, questions=25 / 0.0038, last=9000, off="2027-01-14"
    )
    drawn["break-even too late"] = break_even(
        "Switched off before",
        PAID,
        last=200,
        off="2027-01-14",
        why="The tuned model is off on 2027-01-14, 40 days before.",
    )
    drawn["break-even never"] = break_even("Never", Costs(8.0, 0.001, 0.002), why="A question costs no less.")
    drawn["break-even unknown"] = break_even("Unknown", Costs(None, 0.01, 0.002))
    drawn["break-even free"] = break_even("Free models", Costs(0.0, 0.0, 0.0), why="These models cost nothing.")
    drawn["retrieval"] = retrieval("Source page found", [chance.choice([1, 1, 1, 2, 2, 3, None]) for _ in range(40)], 4)
    drawn["retrieval none"] = retrieval("No source pages", [], 2)
    drawn["job"] = job_timeline("The job", [(name, 1.79e9 + start) for name, start in STATES], 1.79e9 + 4000)
    drawn["job none"] = job_timeline("No job", [], 0.0)
    losses = [(step, 2.4 * math.exp(-step / 60) + 0.3 * chance.random()) for step in range(1, 200, 3)]
    drawn["loss"] = loss_curve("Loss", losses, [(50, 1.3), (100, 0.8), (150, 0.7)])
    drawn["loss one"] = loss_curve("Loss, one step", [(1, 0.731)])
    drawn["rounds"] = judge_rounds("Faithfulness, three rounds", rounds(40))
    drawn["rounds 500"] = judge_rounds("Faithfulness, three rounds", rounds(500))
    drawn["rounds one"] = judge_rounds("One round", [("q1", [0.5])])
    drawn["intervals"] = intervals(
        "Tuned against base, by round",
        [
            Interval("round 1", 0.051, -0.021, 0.123, "cannot tell"),
            Interval("round 2", 0.093, 0.012, 0.174, "better"),
            Interval("round 3", None, verdict="cannot tell"),
            Interval("all rounds", 0.071, 0.004, 0.138, "better"),
        ],
    )
    drawn["intervals nothing"] = intervals("Nothing was scored", [Interval("round 1", None)])
    return drawn


def rounds(n: int) -> list[tuple[str, list[float | None]]]:
    """Three rounds of a judge that now and then changes its mind."""
    chance = random.Random(5)
    return [
        (f"q{i:02}", [chance.choice([1.0, 1.0, 1.0, 0.75, 0.5, None]) for _ in range(3)] if i % 3 else [1.0] * 3)
        for i in range(n)
    ]


def rows(n: int, texts: Mapping[int, str] | None = None) -> list[QuestionRow]:
    """Rows of a table; `texts` replaces the answers of some."""
    found = []
    for number, (name, first, second) in enumerate(pairs(n)):
        known = first is not None and second is not None
        gain = second - first if first is not None and second is not None else 0.0
        kind = "unscored" if not known else "better" if gain > 0 else "worse" if gain < 0 else "the same"
        answer = (texts or {}).get(number, f"Fares rose by {number} per cent in May, since power cost more.")
        quoted = tag("blockquote", text(answer), dir="auto")
        changed = tag("blockquote", word_diff(answer, answer.replace("rose", "fell").replace("五", "六")), dir="auto")
        found.append(
            QuestionRow(
                id=name,
                question=(texts or {}).get(number, f"By how much did fares rise in year {number}?")[:600],
                notes=f"page {number // 5 + 1}",
                cells=["–" if value is None else f"{value:.3f}" for value in (first, second, gain if known else None)],
                kind=kind,
                details=tag("h3", "base") + quoted + tag("h3", "tuned, against base") + changed,
            )
        )
    return found


def document(parts: Sequence[str], script: str = "'none'") -> str:
    """A page with the report's style that allows nothing but that style and one script."""
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src {script}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Gallery</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{STYLE}</style></head>'
        f"<body><main><h1>Gallery</h1>{''.join(parts)}</main></body></html>"
    )


def gallery() -> str:
    """The whole page."""
    figures = [tag("figure", tag("figcaption", text(name)), drawn) for name, drawn in charts().items()]
    table, script = question_table(
        ["base", "tuned", "difference"],
        rows(40, {0: CHINESE, 1: ARABIC, 2: LONG, 3: UNBROKEN, 4: "<script>x</script>"}),
    )
    return document(
        [tag("h2", "Charts"), tag("div", *figures, class_="charts"), tag("h2", "Questions"), table], f"'{script}'"
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(gallery(), "utf-8")
