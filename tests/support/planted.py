"""Effects planted in the answers of an offline run: what the judge says of each altered answer, drawn into evaluations.

The offline judge gives the same score to the same answer, so every altered answer is judged once, and a draw only
chooses which of them an arm gives to which question. A draw has `COPIES` times the questions of the run, on pages of
their own; answers of one page tend to be spoilt together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from minirag import ChatModel
from minirag.cli.main import main
from minirag.evaluation import ScoredRow, Scores, evaluate
from minirag.questions import Question
from minirag.rows import Row, read_rows
from minirag.sentences import sentence_spans
from minirag.statistics.breakdown import Traits
from minirag.statistics.findings import Evaluation, Findings, findings
from minirag.statistics.ppi import corrected_difference
from minirag.text import words

SAMPLE = Path(__file__).parents[2] / "minirag" / "data" / "sample-report.pdf"
FOREIGN = "The harbour of Rotterdam closed in 1871. Two whales swam up the Thames. Chess has 64 squares.".split(". ")
METRIC = "faithfulness"
EFFECT, MARGIN = 0.15, 0.1
OFTEN = 0.15
"""The share of answers that both arms spoil in any case."""
COPIES = 5
LABELLED = 60
Choice = Sequence[str]
"""The variant that an arm gives, by question."""
Random = np.random.Generator


def first_sentence(answer: str) -> str:
    start, end = sentence_spans(answer)[0]
    return answer[start:end].strip()


def rambling(answer: str, more: int) -> str:
    """The first sentence and so many that say something of their own."""
    return " ".join([first_sentence(answer), *(f"{said}." for said in FOREIGN[:more])])


VARIANTS: Mapping[str, Callable[[str], str]] = {
    "plain": lambda answer: answer,
    "spoilt": lambda answer: f"{answer} {FOREIGN[0]}.",
    "lost": lambda _: "",
    **{f"and {more}": lambda answer, more=more: rambling(answer, more) for more in range(4)},  # type: ignore[misc]
}


def teacher_answers(out: Path, questions: int) -> list[Row]:
    """The teacher's answers to `questions` eval questions of the sample report, in an offline run in `out`."""
    options = ["--offline", "--tuned", "offline-teacher", "--train-questions", "1", "--eval-questions", str(questions)]
    if main(["evaluate", str(SAMPLE), *options, "--metrics", METRIC, "--out", str(out)]) != 0:
        raise RuntimeError("The offline run failed.")
    return [row for row in read_rows(out) if row.arm == "teacher" and len(words(row.answer)) > 5]


class Planter:
    """The judged variants of some answers; each method draws one evaluation and tells whether it was read rightly."""

    def __init__(self, rows: Sequence[Row], judge: ChatModel) -> None:
        altered = [replace(row, arm=name, answer=alter(row.answer)) for name, alter in VARIANTS.items() for row in rows]
        scores = evaluate(altered, [METRIC], judge)
        ids = [row.question_id for row in rows]
        self.scores = {name: scores.of(name, METRIC, ids) * COPIES for name in VARIANTS}
        self.lengths = {
            name: [len(words(alter(row.answer))) for row in rows] * COPIES for name, alter in VARIANTS.items()
        }
        self.pages = [f"{copy}/{row.page}" for copy in range(COPIES) for row in rows]
        self.n = len(self.pages)
        plain, spoilt = (
            np.array([score.value for score in self.scores[name]], dtype=float) for name in ("plain", "spoilt")
        )
        self.cost = float(np.mean(plain - spoilt))
        """What a spoilt answer loses, on average."""

    def tells_better(self, random: Random) -> bool:
        """Tuned spoils so many fewer answers that it gains `EFFECT`."""
        found = self.found(self.spoilt(random, EFFECT), self.spoilt(random, 0.0))
        return found.against["base"].verdict == "better"

    def tells_worse(self, random: Random) -> bool:
        found = self.found(self.spoilt(random, 0.0), self.spoilt(random, EFFECT))
        return found.against["base"].verdict == "worse"

    def tells_no_difference(self, random: Random) -> bool:
        found = self.found(self.spoilt(random, 0.0), self.spoilt(random, 0.0))
        return found.against["base"].verdict == "no meaningful difference"

    def refuses_one_sided_loss(self, random: Random) -> bool:
        """Tuned loses a tenth of its answers, all of them spoilt: what is left looks better than it is."""
        base, tuned = self.spoilt(random, 0.0), self.spoilt(random, 0.0)
        spoilt = [i for i, name in enumerate(tuned) if name == "spoilt"]
        lost = set(random.permutation(spoilt)[: self.n // 10].tolist())
        found = self.found(base, ["lost" if i in lost else name for i, name in enumerate(tuned)]).against["base"]
        return found.verdict == "cannot tell" and "of tuned are unscored" in (found.why or "")

    def names_length(self, random: Random) -> bool:
        """Tuned is better only by stopping after its first sentence."""
        base = [f"and {more}" for more in random.integers(0, 4, self.n)]
        found = self.found(base, ["and 0"] * self.n)
        length = found.breakdown.length
        return found.against["base"].verdict == "better" and length is not None and length.mostly_length

    def names_kind_judge(self, random: Random) -> bool:
        """A judge that misses what tuned made up is worth `EFFECT` to it; a person who labels some pairs shows it."""
        base, tuned = (self.spoilt(random, EFFECT) for _ in range(2))
        often = EFFECT / (self.cost * np.mean([name == "spoilt" for name in tuned]))
        missed = random.random(self.n) < often
        seen = [("plain" if kind else name) for name, kind in zip(tuned, missed, strict=True)]
        known = set(random.choice(self.n, LABELLED, replace=False).tolist())
        person = tuple(
            [value if i in known else None for i, value in enumerate(self.values(arm))] for arm in (base, tuned)
        )
        result = corrected_difference(
            (self.values(base), self.values(seen)), (person[0], person[1]), clusters=self.pages
        )
        return result is not None and result.bias.low > 0 and result.corrected.low <= 0

    def spoilt(self, random: Random, effect: float) -> Choice:
        """`OFTEN` of the answers spoilt and so many more as cost the arm `effect`, unevenly by page."""
        often = OFTEN + effect / self.cost
        pages = {page: random.beta(4 * often, 4 * (1 - often)) for page in dict.fromkeys(self.pages)}
        return ["spoilt" if random.random() < pages[page] else "plain" for page in self.pages]

    def values(self, choice: Choice) -> list[float | None]:
        return [self.scores[name][i].value for i, name in enumerate(choice)]

    def found(self, base: Choice, tuned: Choice) -> Findings:
        """What minirag finds where the arms give these variants."""
        arms = {"base": base, "tuned": tuned}
        questions = [Question(f"q{i}", "eval", "?") for i in range(self.n)]
        scores = Scores(
            ScoredRow(question.id, arm, METRIC, 0, self.scores[name][i])
            for arm, choice in arms.items()
            for i, (question, name) in enumerate(zip(questions, choice, strict=True))
        )
        lengths = {arm: [self.lengths[name][i] for i, name in enumerate(choice)] for arm, choice in arms.items()}
        return findings(
            Evaluation(tuple(arms), questions, self.pages, [METRIC], scores, Traits({}, lengths), MARGIN), METRIC
        )


PLANTED: Mapping[str, Callable[[Planter, Random], bool]] = {
    f"+{EFFECT}: better": Planter.tells_better,
    f"0: no meaningful difference, the margin being {MARGIN}": Planter.tells_no_difference,
    f"-{EFFECT}: worse": Planter.tells_worse,
    f"a judge {EFFECT} too kind to one arm, {LABELLED} pairs labelled: bias seen, no gain claimed": (
        Planter.names_kind_judge
    ),
    "one arm loses a tenth, its spoilt ones: cannot tell, and why": Planter.refuses_one_sided_loss,
    "better only by being shorter: mostly length": Planter.names_length,
}


def rates(planter: Planter, seeds: int) -> dict[str, float]:
    """How often each planted effect was read rightly."""
    return {
        name: float(np.mean([right(planter, np.random.default_rng((7, seed))) for seed in range(seeds)]))
        for name, right in PLANTED.items()
    }
