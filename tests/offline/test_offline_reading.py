"""Conversations of other programs are read by the labels in them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minirag.offline.reading import parse
from minirag.prompts import Excerpt, Prompt

CONTEXT = "The city runs it.\n\nIt opened in 1901."


@pytest.mark.parametrize(
    ("system", "user", "answer"),
    [
        (
            "You are an expert Q&A system.",
            f"Context information is below.\n---------------------\n{CONTEXT}\n---------------------\nGiven the "
            "context information and not prior knowledge, answer the query.\nQuery: Who runs it?\nAnswer: ",
            "",
        ),
        ("", f"New Context: {CONTEXT}\nQuery: Who runs it?\nOriginal Answer: A city.\nNew Answer: ", "A city."),
        ("", f"Use the retrieved context.\nQuestion: Who runs it? \nContext: {CONTEXT} \nAnswer:", ""),
        (f"Answer from the context.\n\nContext: {CONTEXT}", "Who runs it?", ""),
        (
            "",
            "The original query is as follows: Who runs it?\nWe have provided an existing answer: A city.\nWe "
            f"have the opportunity to refine the existing answer.\n------------\n{CONTEXT}\n------------\nNow refine.",
            "A city.",
        ),
    ],
)
def test_questions_over_documents_as_other_programs_write_them(system: str, user: str, answer: str) -> None:
    prompt = parse([{"role": "system", "content": system}, {"role": "user", "content": user}])
    assert ("chat", [Excerpt(CONTEXT)], "Who runs it?") == (prompt.task, prompt.excerpts, prompt.question)
    assert answer == prompt.answer


def test_prompts_of_the_article_are_read_with_their_context_and_question() -> None:
    recorded = Path(__file__).parents[3] / "shared" / "nvidia-10k" / "finetuning_events.jsonl"
    if not recorded.exists():
        pytest.skip("the recorded exchanges are not beside this checkout")
    for line in recorded.read_text().splitlines():
        messages = json.loads(line)["messages"]
        prompt = parse([message for message in messages if message["role"] != "assistant"])
        assert prompt.task == "chat"
        assert len(prompt.excerpts) == 1
        assert len(prompt.excerpts[0].text) > 100
        assert prompt.question.endswith("?")
        assert ("Original Answer:" in messages[-2]["content"]) == bool(prompt.answer)


def test_a_plain_chat_is_its_last_user_message() -> None:
    messages = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": " Who are you? "},
    ]
    assert Prompt("chat", [], "Who are you?") == parse(messages)


@given(st.lists(st.dictionaries(st.sampled_from(["role", "content"]), st.sampled_from(["user", None, 3, [1], [{}]]))))
def test_any_list_of_objects_is_a_chat(messages: list[dict[str, object]]) -> None:
    assert parse(messages).task == "chat"
