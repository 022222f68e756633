"""The offline student learns what a teacher's file shows, and nothing from a file that shows nothing."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from minirag import prompts
from minirag.offline import reading
from minirag.offline.reader import BASE, TEACHER, Weights, answer
from minirag.offline.student import agreement, learn
from minirag.prompts import Excerpt, Message

TOWNS = (
    "Alder Birch Cedar Dogwood Elm Fir Ginkgo Hazel Ivy Juniper Kapok Larch Maple Nutmeg Oak Pine Quince Rowan".split()
)
NAMES = "Ada Ben Cleo Dan Eva Finn Gina Hugo Ida Jon Kim Leo Mia Ned Ola Pia Ron Sue".split()
GOODS = "timber glass paper wool copper salt cheese boats clocks bricks".split()


def page(i: int) -> str:
    """A page on one invented town: its sentences in an order of their own, with figures of their own."""
    rng = random.Random(i)
    town, other = TOWNS[i % 18] + ("ton", "ford")[i // 18], TOWNS[(i + 5) % 18] + "ton"
    goods, leader, year = rng.choice(GOODS), NAMES[(i * 7) % 18], 1800 + rng.randrange(200)
    body = [
        f"The mayor of {town} is {leader} Berger, who was first elected in {year + 12}.",
        f"A market for {goods} is held every Friday on the square before the old hall.",
        f"The railway reached {town} in {year + 30}, and the line to {other} was opened two years later.",
        f"The library holds {rng.randrange(9, 80)},000 books and lends them without charge to all who live there.",
        f"The bridge over the river was closed because the flood of {year + 50} had weakened its pillars.",
        f"Rubbish is collected by a company from {other} under a contract of five years.",
        "Visitors often remark on the narrow lanes, the painted doors and the many small gardens.",
        f"The council may lower the property tax if the surplus of {town} exceeds two million in a year.",
        f"The harbour office charges ships by weight, and vessels that carry {goods} pay half the fee.",
        "Weather in the valley is mild, with fog in autumn and little snow in most winters.",
        f"The hospital was built with a gift from the {leader} family and treats patients from {other} as well.",
    ]
    rng.shuffle(body)
    return f"{town}\n" + " ".join([f"{town} was founded in {year} by merchants who traded in {goods}.", *body])


def questions(i: int) -> list[str]:
    town = TOWNS[i % 18] + ("ton", "ford")[i // 18]
    asked = [
        f"When was {town} founded?",
        f"Who is the mayor of {town}?",
        "Why was the bridge over the river closed?",
        "How many books does the library hold?",
        f"Under what conditions may the council of {town} lower the property tax?",
        "How does the harbour office charge ships?",
        f"When did the railway reach {town}?",
        "By whom is rubbish collected?",
        f"Which football club plays in the stadium of {town}?",
    ]
    return [asked[i % 9], asked[(i + 4) % 9]]


Row = tuple[list[Message], str]


@cache
def synthetic(towns: range) -> list[Row]:
    """Two questions a town: a draft on its page and a refinement on the next one, with the teacher's answers."""
    rows: list[Row] = []
    for i in towns:
        for question in questions(i):
            draft = prompts.draft(question, [Excerpt(page(i), i)])
            first = answer(reading.parse(draft), TEACHER)
            refine = prompts.refine(question, first, [Excerpt(page(i + 1), i + 1)])
            rows += [(draft, first), (refine, answer(reading.parse(refine), TEACHER))]
    return rows


def chats(rows: list[Row]) -> list[list[Message]]:
    return [[*messages, {"role": "assistant", "content": reply}] for messages, reply in rows]


def shuffled(rows: list[Row], seed: int) -> list[Row]:
    replies = [reply for _, reply in rows]
    random.Random(seed).shuffle(replies)
    return [(messages, reply) for (messages, _), reply in zip(rows, replies, strict=True)]


def agrees(weights: Weights, rows: list[Row]) -> float:
    """Mean agreement with the teacher."""
    return sum(agreement(answer(reading.parse(messages), weights), reply) for messages, reply in rows) / len(rows)


def test_the_teachers_file_brings_the_student_nearer_to_the_teacher() -> None:
    """On held-out questions over other pages, agreement rises clearly."""
    weights, losses = learn(chats(synthetic(range(20))))
    held_out = synthetic(range(22, 34))
    assert agrees(weights, held_out) > agrees(BASE, held_out) + 0.1
    assert [step for step, _ in losses] == list(range(1, len(losses) + 1))
    assert sum(loss for _, loss in losses[-20:]) < sum(loss for _, loss in losses[:20])


def test_the_same_file_with_its_answers_shuffled_does_not() -> None:
    """Answers that stand in other questions' excerpts are no signal: agreement does not rise."""
    weights = learn(chats(shuffled(synthetic(range(20)), 1))).weights
    held_out = synthetic(range(22, 34))
    assert agrees(weights, held_out) <= agrees(BASE, held_out) + 0.02


def test_it_learns_the_same_in_every_process_whatever_the_order_of_its_sets() -> None:
    code = "import test_offline_student as t; print(t.learn(t.chats(t.synthetic(range(6)))))"
    learned = set()
    for seed in range(3):
        environment = {"PYTHONHASHSEED": str(seed), "PYTHONPATH": str(Path(__file__).parent)}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        learned.add(done.stdout)
    assert len(learned) == 1


SHARED = Path(__file__).parents[3] / "shared" / "nvidia-10k"


@pytest.mark.skipif(not SHARED.exists(), reason="the 10-K lies beside the project, not in it")
@pytest.mark.parametrize(("spoil", "rises"), [(lambda rows: rows, True), (lambda rows: shuffled(rows, 0), False)])
def test_the_same_holds_on_a_real_report(spoil: Callable[[list[Row]], list[Row]], rises: bool) -> None:
    """On pages and questions of the 10-K: the teacher's file helps, the shuffled one does not."""
    known = json.loads((SHARED / "retrieval.json").read_text())
    asked = list(known["queries"].items())[:80]
    rows: list[Row] = []
    for key, question in asked:
        draft = prompts.draft(question, [Excerpt(known["corpus"][known["relevant_docs"][key][0]])])
        rows.append((draft, answer(reading.parse(draft), TEACHER)))
    weights = learn(chats(spoil(rows[:40]))).weights
    before, after = agrees(BASE, rows[40:]), agrees(weights, rows[40:])
    assert after > before + 0.05 if rises else after <= before + 0.02
