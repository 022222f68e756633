"""The offline reader answers with the sentences that fit the question."""

from dataclasses import replace
from itertools import combinations

from hypothesis import given, settings, strategies as st

from minirag.offline.prose import prose
from minirag.offline.reader import BASE, TEACHER, Weights, answer
from minirag.prompts import NOT_STATED, Excerpt, Prompt

PAGE = """Water Works of Bern
The water works were founded in 1906 by the engineer Karl Adler. They serve 140,000
people in the city and in four neighbouring towns.
Prices
A household pays 2.10 francs for a cubic metre of water. The price was raised in 2019
because the old reservoir had to be replaced. Schools and hospitals pay half of it.
12
"""


def ask(question: str, weights: Weights = TEACHER, text: str = PAGE) -> str:
    return answer(Prompt("draft", [Excerpt(text)], question), weights)


def test_the_teacher_quotes_the_one_sentence_that_answers():
    reason = "The price was raised in 2019 because the old reservoir had to be replaced."
    assert reason == ask("Why was the price of water raised in 2019?")
    price = "A household pays 2.10 francs for a cubic metre of water."
    assert price == ask("How much does a household pay for a cubic metre of water?")


def test_what_the_excerpts_do_not_hold_is_not_answered():
    assert ask("Which football club won the cup?") == NOT_STATED
    assert ask("Why was the price raised?", text="") == NOT_STATED
    assert answer(Prompt("draft", [], "Why?"), TEACHER) == NOT_STATED


def test_refining_with_excerpts_that_add_nothing_repeats_the_answer_word_for_word():
    existing = "The price was  raised because the old reservoir had to be replaced."
    other = Excerpt("The museum opens at nine. It shows paintings of the Alps and a large collection of clocks.")
    assert answer(Prompt("refine", [other], "Why was the price of water raised?", existing), TEACHER) == existing


def test_refining_adds_a_sentence_that_answers_better():
    question, existing = "What does a household pay for water?", "Water prices are set by the city."
    more = "A household pays 2.10 francs for a cubic metre of water."
    assert answer(Prompt("refine", [Excerpt(PAGE)], question, existing), TEACHER) == f"{existing} {more}"
    assert answer(Prompt("refine", [Excerpt(PAGE)], question, NOT_STATED), TEACHER) == ask(question)


def test_headings_page_numbers_and_rows_of_figures_are_no_sentences():
    text = "Income\nRevenue $ 26,974 $ 26,914\nCost of revenue 11,618 9,439\nRevenue did not change in 2023.\n81"
    assert [(s.text, s.heading) for s in prose(text)] == [("Revenue did not change in 2023.", "Income")]


texts = st.one_of(
    st.text(max_size=300),
    st.text(alphabet=st.sampled_from("ab A.\n 12$?。水\u2022;"), max_size=300),
    st.lists(st.sampled_from(PAGE.split()), max_size=60).map(" ".join),
)


@settings(deadline=None)
@given(st.lists(texts, max_size=3), texts, texts, st.sampled_from([TEACHER, replace(BASE, rounds=0.0)]))
def test_any_answer_is_made_of_what_was_given_in_its_order(
    pages: list[str], question: str, existing: str, weights: Weights
):
    task = "refine" if existing else "draft"
    reply = answer(Prompt(task, [Excerpt(page) for page in pages], question, existing), weights)
    if reply in (NOT_STATED, existing):
        return
    rest = reply.removeprefix(existing.strip()).strip() if prose(existing) else reply
    sentences = [s.text for page in pages for s in prose(page) if s.text in rest]
    assert any(rest == " ".join(some) for n in (1, 2, 3) for some in combinations(sentences, n))


def test_the_untuned_student_rounds_figures_but_no_years_dates_or_names():
    page = "On 18 May 2026 the 12 works of Bern served 412,000 people with COVID-19 rules and 9.7 litres each."
    rounded = "On 20 May 2026 the 10 works of Bern served 400,000 people with COVID-19 rules and 10 litres each."
    prompt = Prompt("draft", [Excerpt(page)], "How many people did the works of Bern serve?", "")
    assert answer(prompt, BASE) == rounded
    assert answer(prompt, TEACHER) == page
