"""The question writer asks what a passage answers, names what it asks about, and never asks one thing twice."""

import pytest
from hypothesis import given, settings, strategies as st

from minirag.offline.questions import questions
from minirag.offline.reader import TEACHER, answer
from minirag.prompts import Excerpt, Prompt

PASSAGE = """Annual Report
The harbour of Eldmar was rebuilt in 1962 after the great storm. The harbour office employs 240 people.
Ship traffic declined in 2021 because the northern canal was closed for repairs. In March 2022, the Eldmar Port
Authority announced a new terminal for ferries. The new terminal includes a customs hall, a hotel and a railway station.
The board may lower the landing fee if a ship uses shore power. Landing fees are calculated by multiplying the length of
a ship by a fixed rate. It was a good year.
Fees 120 130 140
Wages 80 90 95
7
"""


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("The bridge was closed because the river had risen.", "Why was the bridge closed?"),
        ("The museum was founded in 1888 by two teachers.", "When was the museum founded?"),
        ("In May 2021, Acme Corp. acquired the harbour office.", "When did Acme Corp. acquire the harbour office?"),
        ("The museum owns 4,000 paintings and several statues.", "How many paintings does the museum own?"),
        ("Revenue increased by 12% in 2022 to a new record.", "By how much did revenue increase in 2022?"),
        ("The board may lower fees if a ship needs power.", "Under what conditions may the board lower fees?"),
        ("Landing fees are calculated by multiplying length and rate.", "How are landing fees calculated?"),
        ("Rental income is included in other income of the year.", "Where is rental income included?"),
        ("Marie Curie was a physicist and chemist from Warsaw.", "Who was Marie Curie?"),
        ('1.2. "Larger Work" means a work that combines software.', "What does Larger Work mean?"),
        ("The new terminal includes a customs hall and a hotel.", "What does the new terminal include?"),
    ],
)
def test_each_kind_of_statement_has_its_question(sentence: str, question: str):
    asked = questions(f"{sentence} The revenue of the landing fees grew.", 5)
    assert question == asked[0]


@pytest.mark.parametrize(
    "sentence",
    [
        "The harbour fee is reduced, the office is open and the crane is free when a ship is late.",
        "To keep this setting, press the green button of the crane twice.",
    ],
)
def test_a_statement_that_no_form_fits_is_asked_about_by_its_phrases_where_no_other_fits_one(sentence: str):
    [question] = questions(sentence, 5)
    assert question.startswith("What does the document say about “")
    [question] = questions(f"{sentence} The museum was founded in 1888 by two teachers.", 5)
    assert question == "When was the museum founded?"


def test_a_page_gives_different_questions_that_stand_on_their_own_and_that_it_answers():
    asked = [
        "When was the harbour of Eldmar rebuilt?",
        "What does the harbour office employ?",
        "Why did ship traffic decline in 2021?",
        "When did the Eldmar Port Authority announce a new terminal for ferries?",
        "What does the new terminal include?",
        "Under what conditions may the board lower the landing fee?",
        "How are landing fees calculated?",
    ]
    assert questions(PASSAGE, 9) == asked
    answers = [answer(Prompt("draft", [Excerpt(PASSAGE)], question), TEACHER) for question in asked]
    assert len(set(answers)) == len(asked)


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("Il consiglio di amministrazione ha approvato il bilancio.", "“consiglio” and “amministrazione”"),
        ("東京都は日本の首都であり、人口は約1400万人である。", "“東京都” and “日本”"),
        ("서울은 대한민국의 수도이며 인구는 약 940만 명이다.", "“대한민국의” and “수도이며”"),
    ],
)
def test_other_languages_get_the_one_question_that_is_safe(text: str, phrases: str):
    assert [f"What does the document say about {phrases}?"] == questions(text, 2)


words = st.lists(
    st.sampled_from([*PASSAGE.split(), "it", "we", "our", "If", "which", "(", "—", "1999.", "\n"]), max_size=60
)


@settings(deadline=None)
@given(st.one_of(st.text(max_size=300), words.map(" ".join)), st.integers(-1, 5))
def test_any_text_gives_at_most_n_different_questions(text: str, n: int):
    asked = questions(text, n)
    assert len(asked) <= max(n, 0)
    assert len(set(asked)) == len(asked)
    assert all(question.strip() == question and "\n" not in question for question in asked)
