"""Which examples are worth training on: the article's own file, and each rule by itself."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from minirag import prompts
from minirag.curation.quantities import unsupported
from minirag.curation.rules import NearDuplicates, Parts, abstains, classify, curate, parts
from minirag.prompts import NOT_STATED, Excerpt
from minirag.training import Example

REFUSALS = [3, 19, 20, *range(27, 34), *range(42, 46), *range(52, 56)]
CLASSES = {
    "repeats": [20, 29, 31, 33, 43, 45, 53, 55],
    "paraphrase": [2, 5, 8, 14, 16, 18, 25, 35, 37, 40, 49, 58, 60, 64],
    "loses facts": [10, 51],
    "adds": [22],
}


def example(question: str, context: str, reply: str, page: Any = None, existing: str | None = None) -> Example:
    """A draft, or a refine step if there is an earlier answer; without a context, a question alone."""
    excerpts = [Excerpt(context)] if context else []
    prompt = prompts.draft(question, excerpts)
    if existing is not None:
        prompt = prompts.refine(question, existing, excerpts)
    return Example((*prompt, {"role": "assistant", "content": reply}), page=page)


def test_the_article_s_65_examples_are_judged_as_people_judged_them(shared):
    text = (shared / "nvidia-10k" / "finetuning_events.jsonl").read_text("utf-8")
    article = curate([Example(tuple(json.loads(line)["messages"])) for line in text.splitlines()])
    assert [n for n, one in enumerate(article) if one.dropped == "refusal"] == REFUSALS
    assert sum(not one.dropped for one in article) == 31
    by_hand = {n: kind for kind, numbers in CLASSES.items() for n in numbers}
    assert {n: one.refine for n, one in enumerate(article) if one.refine} == by_hand


FARE = "The fare is 3 euros on weekdays. Children pay half. Verkehrsverbund Nord has run the trams since 1998."


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("The fare is 3 euros.", ""),
        (NOT_STATED, "refusal"),
        ("The context information does not provide any details about fares.", "refusal"),
        ("Based on the provided context, the fare is 3 euros.", "refers to the context"),
        ("The fare is 4 euros.", "unsupported number"),
        ("Trams are run by Verkehrsverbund Sued.", "unsupported name"),
        ("The fare was three euros, said NORD.", ""),
        ("Damage by water is not provided for; the fare is 3 euros.", ""),
        ("Das Dokument sagt dazu nichts, der Text nennt keinen Preis.", "refusal"),
        ("文档中没有提到票价。", "refusal"),
        ("Children pay 50 %, so 1.5 of 3 euros.", "unsupported number"),
    ],
)
def test_each_rule_names_its_reason(reply, reason):
    assert [one.dropped for one in curate([example("What is the fare?", FARE, reply)])] == [reason]


def test_of_doubles_the_first_is_kept():
    replies = "The fare on weekdays is 3 euros.", "the fare on weekdays is 3 euros", "Children pay half on weekdays."
    curated = curate([example("What is the fare?", FARE, reply) for reply in replies])
    assert [(e.dropped, e.detail) for e in curated] == [("", ""), ("near-duplicate", "of example 0"), ("", "")]


def test_near_duplicates_are_found_among_many_texts_from_one_template():
    chance, texts = random.Random(0), NearDuplicates()
    vocabulary = [
        f"{chance.getrandbits(40):x}".translate(str.maketrans("0123456789", "ghijklmnop")) for _ in range(500)
    ]
    rows = [[*"classify the characteristics of".split(), *chance.choices(vocabulary, k=30)] for _ in range(200)]
    assert {texts.add(number, " ".join(row)) for number, row in enumerate(rows)} == {None}
    for number, row in enumerate(rows):
        row[chance.randrange(4, 34)] = "changed"
        assert texts.add(200 + number, " ".join(row)) == number


def test_one_page_gives_no_more_than_its_share():
    crowd = [example(f"What about subject {word}?", "", f"It is about {word}.", "p1") for word in "abcdefghijklmnop"]
    rest = [example(f"Who is {n}?", "", f"{n} is one.", f"p{n}") for n in ("anna", "bert", "carla", "dora")]
    findings = curate([*crowd, *rest])
    kept = [f for f in findings if not f.dropped]
    assert {f.dropped for f in findings} == {"", "too much of one page"}
    assert len(kept) == 8 + 4  # two pages' even share of twenty examples from five pages, and all others


@pytest.mark.parametrize(
    ("existing", "revised", "context", "kind"),
    [
        ("It opens at 9.", "it opens at 9", "Nothing new.", "repeats"),
        ("It opens at 9 and closes at 17.", "It opens at 9.", "Nothing new.", "loses facts"),
        ("It opens at 9.", "It opens at 9 and closes at 17.", "Closing time is 17.", "adds"),
        ("Ann runs the harbour ferry.", "The ferry of the harbour is run by Ann.", "A ferry.", "paraphrase"),
        ("The mill grinds rye.", "Wheat comes by barge from farms.", "Barges bring wheat from farms.", "loses facts"),
        ("", "Closing time is 17.", "Closing time is 17.", "adds"),
        ("The document does not say.", "It opens at 9 for adults.", "It opens at 9 for adults.", "adds"),
    ],
)
def test_refine_steps_are_classed_by_what_became_of_the_answer(existing, revised, context, kind):
    assert classify(existing, revised, "When is it open?", context) == kind


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_any_texts_have_a_class_and_a_finding(existing, revised, question, context):
    assert classify(existing, revised, question, context) in CLASSES
    assert curate([example(question, context, revised, existing=existing)])[0].refine in CLASSES
    assert isinstance(abstains(revised), bool)


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=80), st.text(max_size=80))
def test_what_a_text_says_itself_supports_it(text, more):
    assert unsupported(text, f"{more} {text} {more}") == []


def test_the_prompts_of_other_tools_are_taken_apart():
    llama = "New Context: The state runs it.\nQuery: Who runs it?\nOriginal Answer: The city.\nNew Answer:"
    taken_apart = Parts("Who runs it?", "The state runs it.", "The city.")
    assert parts([{"role": "user", "content": llama}]) == taken_apart
    chain = "Use the context.\n\nThe city runs it.\n\nQuestion: Who runs it?\nHelpful Answer:"
    assert parts([{"role": "user", "content": chain}]).question == "Who runs it?"
    assert parts([{"role": "user", "content": "Hello"}]) == Parts("Hello", "", None)


def test_a_refine_step_does_not_bring_back_what_its_draft_was_dropped_for():
    bad = "The fare is 99 euros."
    chain = [
        example("What is the fare?", FARE, bad),
        example("What is the fare?", "Trams run daily.", f"{bad} Trams run daily.", existing=bad),
        example("What is the fare?", "They are red.", f"{bad} They are red.", existing=f"{bad} Trams run daily."),
    ]
    curated = curate(chain)
    assert [one.dropped for one in curated] == ["unsupported number"] * 3
    assert [one.detail for one in curated] == ["99", *["99, in the answer that it refines"] * 2]


@pytest.mark.parametrize(
    ("reply", "source", "found"),
    [
        ("$30 million", "$3 million", ["30 million"]),
        ("27.0 billion", "26,974 million", []),
        ("25 people came.", "Twenty-five people came.", []),
        ("1.234,5 Euro", "1,234.50 euros", []),
        ("It rose by 25 %, from 8 to 10.", "8 in May, 10 in June", []),
        ("It fell by 26 %, from 8 to 10.", "8 in May, 10 in June", ["26"]),
    ],
)
def test_a_number_is_held_against_the_values_of_its_source(reply, source, found):
    assert unsupported(reply, source) == found
