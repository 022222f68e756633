"""The offline student learns what a teacher's file shows, and nothing from a file that shows nothing."""

import random
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import minirag
from minirag import prompts
from minirag.offline.questions import questions
from minirag.offline.reader import BASE, TEACHER, Weights, answer
from minirag.offline.student import agreement, learn
from minirag.prompts import Excerpt, Message

SAMPLE = Path(minirag.__file__).parent / "data" / "sample-report.md"
Row = tuple[list[Message], str]


@cache
def rows() -> list[Row]:
    """Three questions a chunk of the sample report: a draft on it, and a refinement on the next, by the teacher."""
    chunks = minirag.chunk(minirag.load(SAMPLE), size=400)
    rows: list[Row] = []
    for chunk, following in pairwise(chunks):
        for question in questions(chunk.text, 3):
            draft = prompts.draft(question, [Excerpt(chunk.text)])
            first = answer(prompts.parse(draft), TEACHER)
            refine = prompts.refine(question, first, [Excerpt(following.text)])
            rows += [(draft, first), (refine, answer(prompts.parse(refine), TEACHER))]
    return rows


def chats(rows: list[Row]) -> list[list[Message]]:
    return [[*messages, {"role": "assistant", "content": reply}] for messages, reply in rows]


def agrees(weights: Weights, rows: list[Row]) -> float:
    """Mean agreement with the teacher."""
    return sum(agreement(answer(prompts.parse(messages), weights), reply) for messages, reply in rows) / len(rows)


def test_the_teachers_file_brings_the_student_nearer_to_the_teacher():
    """On held-out questions over other pages, agreement rises clearly."""
    weights, losses = learn(chats(rows()[:80]))
    assert agrees(weights, rows()[80:]) > agrees(BASE, rows()[80:]) + 0.1
    assert [step for step, _ in losses] == list(range(1, len(losses) + 1))
    assert sum(loss for _, loss in losses[-20:]) < sum(loss for _, loss in losses[:20])


def test_the_same_file_with_its_answers_shuffled_does_not():
    """Answers that stand in other questions' excerpts are no signal: agreement does not rise."""
    replies = random.Random(1).sample([reply for _, reply in rows()[:80]], 80)
    weights = learn(chats([(messages, reply) for (messages, _), reply in zip(rows(), replies, strict=False)])).weights
    assert agrees(weights, rows()[80:]) <= agrees(BASE, rows()[80:]) + 0.02


def test_it_learns_the_same_in_every_process_whatever_the_order_of_its_sets():
    code = "import test_offline_student as t; print(t.learn(t.chats(t.rows()[:24])))"
    learned = set()
    for seed in range(3):
        environment = {"PYTHONHASHSEED": str(seed), "PYTHONPATH": ":".join([str(Path(__file__).parent), *sys.path])}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        learned.add(done.stdout)
    assert len(learned) == 1
