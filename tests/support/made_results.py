"""Made-up results of runs: any number of questions, any texts, scored or not, with a tuned model or without."""

import random
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from doubles import answered
from minirag import costs
from minirag.chunker import Chunk
from minirag.costs import Line
from minirag.message_log import write_json, write_jsonl
from minirag.metrics.score import Score, ScoredRow, Scores
from minirag.models import Hit
from minirag.prompts import Excerpt
from minirag.query import Answer, Draft
from minirag.questions import Question, doubts
from minirag.report import Results
from minirag.statistics import comparison_of

ALL = ("base", "tuned", "teacher")
METRICS = ("faithfulness", "answer_relevancy")
CHINESE = "票价在五月上涨了百分之三，因为电费比去年贵。乘客人数仍然增加。"
ARABIC = "ارتفعت الأجرة في مايو بنسبة ثلاثة بالمئة لأن الكهرباء كانت أغلى من العام الماضي."
LONG = "The fare rose by three per cent in May, since power cost more than in the year before. " * 60
UNBROKEN = "https://example.org/" + "averylongpath" * 40


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
    """Return results with one question for each text, which is its answer, evidence, reason, flag and document too.

    `names` are what models, the service and the like are called.
    """
    questions = [Question(f"e{n}", "eval", text, f"c{n}", n, (text,)) for n, text in enumerate(texts)]
    answers = {(arm, q.id): _answer(q, arm, finish) for q in questions for arm in arms}
    scores = _scores(questions, arms, scored, rounds)
    untrained = None if "tuned" in arms else f"no job {names}"
    line = Line("draft", "base", names or "m", 3, 1, 100, 20, 30, 0, usd)
    lines = [line, Line("train", "tuned", "m", 1, training_tokens=900, usd=usd)]
    bill = {
        "prices_of": names or "2026-11-01",
        "lines": [vars(line) for line in lines],
        "total_usd": costs.total(lines),
        "usd_per_question": dict.fromkeys(arms, usd),
        "training_usd": usd,
        "break_even_questions": None,
        "cache_saved_usd": 0.0,
        "elsewhere": [],
        "payback": f"Whether training pays for itself is not known. {names}",
    }
    return Results(
        facts={
            "minirag": "0",
            "service": names,
            "settings": dict.fromkeys(("teacher", "student", "judge", "suffix"), names),
            "documents": dict.fromkeys(texts[:1], names),
            "models_served": {names: [names]},
        },
        questions=questions,
        answers=answers,
        scores=scores,
        comparison=comparison_of(
            scores,
            {q.id: (q.text, q.page) for q in questions},
            arms=arms,
            metrics=METRICS,
            flagged=sum(1 for q in questions if doubts(q)),
            warnings=[names] if names else [],
            untrained=untrained,
        ),
        costs=bill,
    )


def _answer(question: Question, arm: str, finish: str) -> Answer:
    content = question.text
    hit = Hit(Chunk(str(question.chunk_id), content, question.page or 0, 0, len(content), 1, content), 0.5)
    answer = content if arm == "base" else f"{content} More of {arm}."
    draft = Draft(answer, (Excerpt(content),), answered(question.id, answer, split="eval", finish=finish))
    return Answer(content, answer, (draft,), (hit,))


def _scores(questions: Sequence[Question], arms: Sequence[str], scored: bool, rounds: int) -> Scores:
    chance, scores = random.Random(1), Scores()
    for question in questions:
        text = question.text
        evidence = {"statement": text, "supported": False, "reason": text, "span": None, "question": text}
        for arm in arms:
            for metric in METRICS:
                for number in range(rounds):
                    value = chance.randint(0, 8) / 8 if scored else None
                    score = Score(value, "" if scored else text, (evidence,), ("id",))
                    scores.append(ScoredRow(question.id, arm, metric, number, score))
    return scores


def save(results: Results, folder: Path) -> None:
    """Write what `minirag compare` reads of a run with these results."""
    folder.mkdir(parents=True)
    write_json(folder / "comparison.json", results.comparison)
    write_jsonl(folder / "questions.jsonl", map(asdict, results.questions))
