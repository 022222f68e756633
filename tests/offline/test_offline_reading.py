"""The offline models read back exactly what `minirag.prompts` wrote."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minirag import prompts
from minirag.offline.reading import parse
from minirag.prompts import Excerpt, Prompt

TEXT = st.one_of(st.text(), st.sampled_from(["", "\n", "</question-1b21b3>", prompts.DRAFT_INSTRUCTION, "1. a\n2. b"]))
EXCERPTS = st.lists(st.builds(Excerpt, TEXT, st.none() | st.integers(1, 999)), max_size=4)


@given(TEXT, EXCERPTS)
def test_a_draft_prompt_is_read_back_exactly(question: str, excerpts: list[Excerpt]) -> None:
    assert Prompt("draft", excerpts, question) == parse(prompts.draft(question, excerpts))


@given(TEXT, TEXT, EXCERPTS)
def test_a_refine_prompt_is_read_back_exactly(question: str, answer: str, excerpts: list[Excerpt]) -> None:
    assert Prompt("refine", excerpts, question, answer) == parse(prompts.refine(question, answer, excerpts))


@given(TEXT, st.integers(1, 99))
def test_a_questions_prompt_is_read_back_exactly(text: str, n: int) -> None:
    assert Prompt("questions", [Excerpt(text, 7)], n=n) == parse(prompts.questions(Excerpt(text, 7), n))


@given(TEXT, TEXT)
def test_a_statements_prompt_is_read_back_exactly(question: str, answer: str) -> None:
    assert Prompt("statements", [], question, answer) == parse(prompts.statements(question, answer))


@given(EXCERPTS, st.lists(TEXT, max_size=4))
def test_a_verdicts_prompt_is_read_back_with_white_space_collapsed(excerpts: list[Excerpt], said: list[str]) -> None:
    collapsed = [" ".join(text.split()) for text in said]
    expected = Prompt("verdicts", [Excerpt(e.text) for e in excerpts], statements=collapsed)
    assert expected == parse(prompts.verdicts(excerpts, said))


@given(EXCERPTS, TEXT, TEXT)
def test_a_usefulness_prompt_is_read_back_exactly(excerpts: list[Excerpt], question: str, answer: str) -> None:
    expected = Prompt("useful", [Excerpt(e.text) for e in excerpts], question, answer)
    assert expected == parse(prompts.useful(excerpts, question, answer))


@given(st.lists(TEXT, max_size=4), TEXT)
def test_a_prompt_for_needed_sentences_is_read_back_with_white_space_collapsed(said: list[str], question: str) -> None:
    expected = Prompt("needed", [], question, statements=[" ".join(text.split()) for text in said])
    assert expected == parse(prompts.needed(said, question))


@given(TEXT, TEXT)
def test_a_prompt_asked_again_is_read_like_the_first_time(question: str, answer: str) -> None:
    messages = prompts.statements(question, answer)
    assert parse(prompts.again(messages, "the reply is empty")) == parse(messages)


@given(TEXT, st.integers(1, 99))
def test_a_reverse_prompt_is_read_back_exactly(answer: str, n: int) -> None:
    assert Prompt("reverse", [], answer=answer, n=n) == parse(prompts.reverse(answer, n))


@given(TEXT, EXCERPTS)
def test_content_in_parts_reads_like_content_in_one_piece(question: str, excerpts: list[Excerpt]) -> None:
    messages = prompts.draft(question, excerpts)
    content = messages[1]["content"]
    parts = [{"type": "text", "text": content[:9]}, {"type": "text", "text": content[9:]}]
    assert parse(messages) == parse([messages[0], {"role": "user", "content": parts}])


def test_a_fence_whose_closing_mark_differs_is_no_fence() -> None:
    content = prompts.draft("Who?", [Excerpt("The city.", 1)])[1]["content"]
    damaged = content.replace("</question-", "</question-0", 1)
    assert parse([{"role": "user", "content": damaged}]).task == "chat"


@given(st.lists(st.dictionaries(st.sampled_from(["role", "content"]), st.sampled_from(["user", None, 3, [1], [{}]]))))
def test_any_list_of_objects_can_be_read(messages: list[dict[str, object]]) -> None:
    assert parse(messages).task == "chat"


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
