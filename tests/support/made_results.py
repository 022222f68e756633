"""Results of runs that never were: any number of questions, any texts, scored or not, with a tuned model or without."""

import random
from collections.abc import Sequence

from doubles import answered
from minirag.chunker import Chunk
from minirag.costs import bill as costs
from minirag.costs.bill import Line, Prices
from minirag.evaluation import ScoredRow, Scores
from minirag.metrics.score import Score
from minirag.prompts import Excerpt
from minirag.query import Answer, Draft
from minirag.questions import Question
from minirag.report.job_history import JobHistory
from minirag.report.results import Results
from minirag.statistics.breakdown import traits
from minirag.statistics.findings import Evaluation
from minirag.statistics.summary import comparison_of
from minirag.vector_store import Hit

ALL = ("base", "tuned", "teacher")
METRICS = ("faithfulness", "answer_relevancy")
JOB = JobHistory([("queued", 1.79e9), ("running", 1.79e9 + 20)], 1.79e9 + 300, [(1, 2.0), (2, 1.5)], [])


def made(
    texts: Sequence[str],
    *,
    arms: Sequence[str] = ALL,
    scored: bool = True,
    usd: float | None = 0.5,
    names: str = "",
    rounds: int = 1,
    finish: str = "stop",
) -> Results:
    """One question for each text, which is its answer, evidence, reason, flag and document too; `names` also."""
    questions = [Question(f"e{n}", "eval", text, f"c{n}", n, (text,)) for n, text in enumerate(texts)]
    answers = {(arm, q.id): _answer(q, arm, finish) for q in questions for arm in arms}
    scores = _scores(questions, arms, scored, rounds)
    page_of = {q.chunk_id or "": (q.text, q.page or 0) for q in questions}
    evaluation = Evaluation(
        arms=arms,
        questions=questions,
        pages=[page_of[q.chunk_id or ""] for q in questions],
        metrics=METRICS,
        scores=scores,
        traits=traits(questions, answers, page_of),
    )
    untrained = None if "tuned" in arms else f"no job {names}"
    line = Line("draft", "base", names or "m", 3, 1, 100, 20, 30, 0, usd)
    bill = costs.as_json(
        [line, Line("train", "tuned", "m", 1, training_tokens=900, usd=usd)],
        Prices(names or "2026-11-01", {}),
        {
            "usd_per_question": dict.fromkeys(arms, usd),
            "training_usd": usd,
            "break_even_questions": None,
            "payback": f"Whether training pays for itself is not known. {names}",
        },
    )
    found = [{"source": t, "page": 1, "reason": "instruction", "excerpt": t} for t in texts[:1]]
    return Results(
        facts={
            "minirag": "0",
            "service": names,
            "settings": dict.fromkeys(("teacher", "student", "judge", "suffix"), names),
            "documents": dict.fromkeys(texts[:1], names),
            "models_served": {names: [names]},
            "pages": {"suspicious": found},
        },
        questions=questions,
        answers=answers,
        scores=scores,
        comparison=comparison_of(evaluation, warnings=[names] if names else [], untrained=untrained),
        bill=bill,
        source_pages={q.id: page_of[q.chunk_id or ""] for q in questions},
        usd=dict.fromkeys(answers, usd),
        job=JOB if "tuned" in arms else None,
    )


def _answer(question: Question, arm: str, finish: str) -> Answer:
    content = question.text
    hit = Hit(Chunk(str(question.chunk_id), content, question.page or 0, 0, len(content), 1, content), 0.5)
    answer = content if arm == "base" else f"{content} More of {arm}."
    draft = Draft(answer, (Excerpt(content),), answered(question.id, answer, split="eval", finish=finish))
    return Answer(content, answer, (draft,), (hit,))


def _scores(questions: Sequence[Question], arms: Sequence[str], scored: bool, rounds: int) -> Scores:
    chance, found = random.Random(1), Scores()
    for question in questions:
        told = question.text
        evidence = {"statement": told, "supported": False, "reason": told, "span": None, "question": told}
        for arm in arms:
            for metric in METRICS:
                for number in range(rounds):
                    value = chance.randint(0, 8) / 8 if scored else None
                    score = Score(value, "" if scored else told, (evidence,), ("id",))
                    found.append(ScoredRow(question.id, arm, metric, number, score))
    return found
