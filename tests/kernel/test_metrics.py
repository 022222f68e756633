"""The metrics, against tables computed by hand."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from minirag import prompts
from minirag.metrics import Score
from minirag.metrics.answer_relevancy import answer_relevancy
from minirag.metrics.context import context_precision, context_relevancy
from minirag.metrics.faithfulness import faithfulness
from minirag.metrics.judge import Judge, read_verdicts
from minirag.prompts import json_object, parse
from minirag.testing import FunctionChat, TableEmbedding


def judge(statements: Any, *verdicts: Any) -> FunctionChat:
    """A judge that lists these statements and gives these replies about them, the last one for ever."""
    replies = [v if isinstance(v, str) else json.dumps({"verdicts": v}) for v in verdicts]
    asked = iter([*replies, *replies[-1:] * 50])

    def reply(messages: Sequence[Any]) -> str:
        if prompts.INSTRUCTIONS["statements"] in messages[-1]["content"]:
            return statements if isinstance(statements, str) else json.dumps({"statements": statements})
        return next(asked)

    return FunctionChat(reply)


def verdict(index: Any, supported: Any) -> dict[str, Any]:
    return {"index": index, "supported": supported, "reason": "because"}


def largest_request(model: FunctionChat) -> int:
    """Return the most tokens, reply included, that a request to a model took."""
    return max(model.tokenizer.count_messages(asked["messages"]) + asked["max_tokens"] for asked in model.asked)


def test_faithfulness_is_the_share_of_supported_statements_matched_by_number_whatever_word_stands_for_true():
    model = judge(["One.", "Two.", "Three."], [verdict(2, " false "), verdict(3, "Yes"), verdict(1, True)])
    score = faithfulness("Q?", "One. Two. Three.", ["context"], judge=model)
    assert score.value == pytest.approx(2 / 3)
    assert [(e["statement"], e["supported"]) for e in score.evidence] == [
        ("One.", True),
        ("Two.", False),
        ("Three.", True),
    ]
    assert len(score.exchanges) == len(model.asked) == 2


@pytest.mark.parametrize(
    ("verdicts", "fault"),
    [
        ([verdict(1, True)], "number 2 has no verdict"),
        ([verdict(1, True), verdict(2, True), verdict(3, True)], "number 3"),
        ([verdict(1, True), verdict(1, True)], "two verdicts"),
        ([verdict(0, True), verdict(1, True)], "number 0"),
        ([verdict(1, 2), verdict(2, True)], "2"),
        ([verdict(1, None), verdict(2, True)], "None"),
        ([verdict("1", True), verdict(2, True)], "'1'"),
        ("", "empty"),
        ("I think all of them are supported.", "no JSON"),
        ('{"verdicts": [{"index": 1, "supported": true}, {"ind', "breaks"),
        ('{"verdicts": [{"index": 1, "supported": NaN}]}', "nan"),
        ('{"verdicts": "yes"}', "not a list"),
        ([verdict(1, []), verdict(2, True)], "neither true nor false"),
    ],
)
def test_after_two_unusable_replies_there_is_no_score(verdicts, fault):
    model = judge(["One.", "Two."], verdicts)
    score = faithfulness("Q?", "A", ["c"], judge=model)
    assert score.value is None
    assert fault in score.reason
    assert len(model.asked) == 3
    assert fault in model.asked[-1]["messages"][-1]["content"]
    second = judge(["One.", "Two."], verdicts, [verdict(1, "yes"), verdict(2, 0)])
    assert faithfulness("Q?", "A", ["c"], judge=second).value == 0.5


def test_an_answer_without_statements_is_unscored_and_not_zero():
    assert faithfulness("Q?", "I do not know.", ["c"], judge=judge([])).reason == "the answer makes no statements"
    assert faithfulness("Q?", "", ["c"], judge=judge("never asked")).reason == "the answer makes no statements"


SENTENCES = [f"Sentence number {i} says something about the harbour and its ships." for i in range(60)]


def in_windows(
    small: int, calls: int, reply: Callable[[Sequence[Any]], Any], metric: Callable[..., Score]
) -> list[Any]:
    """Return the values in any window and in a small one, whose more requests than `calls` all fit."""
    values = []
    for window in (None, small):
        model = FunctionChat(lambda messages: json.dumps(reply(parse(messages))))
        values.append(metric(judge=Judge(model, window)).value)
        assert len(model.asked) == calls if window is None else len(model.asked) > calls
        assert window is None or largest_request(model) <= window
    return values


def test_in_a_small_window_contexts_are_judged_in_pieces_and_any_piece_may_support():
    contexts = [" ".join(SENTENCES), " ".join([*SENTENCES, "The tram opened in 1987."])]

    def reply(prompt: prompts.Prompt) -> Any:
        if prompt.task == "statements":
            return {"statements": ["The tram opened in 1987.", "It is blue."]}
        shown = "".join(excerpt.text for excerpt in prompt.excerpts)
        return {"verdicts": [verdict(1, "1987" in shown), verdict(2, False)]}

    assert in_windows(1100, 2, reply, partial(faithfulness, "Q?", "A", contexts)) == [0.5, 0.5]


ROWS = {"Q?": [1.0, 0.0], "same?": [2.0, 0.0], "half?": [1.0, 1.0], "other?": [0.0, 3.0], "against?": [-1.0, 0.0]}


def asks(*questions: tuple[str, Any]) -> FunctionChat:
    reply = json.dumps({"questions": [{"question": q, "noncommittal": n} for q, n in questions]})
    return FunctionChat(lambda _: reply)


@pytest.mark.parametrize(
    ("questions", "value"),
    [
        ([("same?", False), ("half?", False), ("other?", False)], (1 + 0.5**0.5 + 0) / 3),
        ([("same?", True), ("same?", True), ("same?", True)], 0.0),
        ([("same?", True), ("same?", False), ("same?", True)], 1.0),
        ([("against?", False), ("against?", False), ("other?", False)], 0.0),
    ],
)
def test_answer_relevancy_is_the_mean_cosine_times_commitment_by_one_call_that_shows_no_question(questions, value):
    model = asks(*questions)
    score = answer_relevancy("Q?", "An answer.", judge=model, embed=TableEmbedding(ROWS))
    assert ["Q?" in call["messages"][-1]["content"] for call in model.asked] == [False]
    assert score.value == pytest.approx(value, abs=1e-9)
    assert [e["question"] for e in score.evidence] == [q for q, _ in questions]


@pytest.mark.parametrize(
    "questions", [[("same?", False)], [], [("same?", False)] * 4, [("", False)] * 3, [("same?", 2)] * 3]
)
def test_the_wrong_number_or_kind_of_questions_is_unscored(questions):
    score = answer_relevancy("Q?", "A", judge=asks(*questions), embed=TableEmbedding(ROWS))
    assert score.value is None
    assert "reverse" in score.reason
    nothing = answer_relevancy("Q?", " ", judge=FunctionChat(lambda _: ""), embed=TableEmbedding(ROWS))
    assert nothing.reason == "the answer is empty"


def test_context_relevancy_is_the_share_of_needed_sentences_in_any_window():
    def reply(prompt: prompts.Prompt) -> Any:
        return {"needed": [n for n, text in enumerate(prompt.statements, 1) if " 3" in text]}

    needed = sum(" 3" in text for text in SENTENCES)
    contexts = [" ".join(SENTENCES[:25]), " ".join(SENTENCES[25:])]
    assert in_windows(500, 1, reply, partial(context_relevancy, "Which?", "", contexts)) == [needed / 60] * 2


@pytest.mark.parametrize("needed", ["x", [0], [3], [True], [1.0], None, [1, "2"]])
def test_numbers_that_are_none_are_a_fault(needed):
    score = context_relevancy("Q?", "", ["One. Two."], judge=FunctionChat(lambda _: json.dumps({"needed": needed})))
    assert score.value is None
    assert score.reason.startswith("context: ")


def test_context_precision_in_a_small_window_takes_each_context_whole():
    contexts = [" ".join(SENTENCES[i : i + 10]) for i in range(0, 50, 10)]

    def reply(prompt: prompts.Prompt) -> Any:
        places = [contexts.index(excerpt.text) for excerpt in prompt.excerpts]
        return {"verdicts": [{"index": n, "useful": place in (1, 4)} for n, place in enumerate(places, 1)]}

    precision = partial(context_precision, "Q?", "A", contexts)
    assert in_windows(800, 1, reply, precision) == [(1 / 2 + 2 / 5) / 2] * 2
    assert precision(judge=Judge(FunctionChat(lambda _: ""), 300)).reason.startswith("a context")


def test_asking_again_keeps_to_the_window():
    contexts = [" ".join(SENTENCES)]
    for window in range(700, 760, 7):
        model = judge(["One."], [verdict("a very long wrong number that is quoted in the fault", True)])
        faithfulness("Q?", "A", contexts, judge=Judge(model, window))
        assert len(model.asked) >= 3
        assert largest_request(model) <= window


def test_recorded_replies_to_other_prompts_are_named_and_never_read_as_verdicts(recordings):
    texts = []
    for item in recordings("chat"):
        body = item["response"]["body"]
        if isinstance(body, dict) and {"chat:judge", "chat:json_schema"} & set(item["features"]):
            texts.append((body["choices"][0].get("message") or {}).get("content") or "")
    assert len(texts) > 70
    for text in texts:
        with pytest.raises(ValueError, match=r"reply|verdict|number|list"):
            read_verdicts(json_object(text), "supported", 1)


def test_a_cut_off_reply_is_never_read_as_the_part_that_is_there():
    whole = '{"verdicts": [{"index": 1, "supported": true}, {"index": 2, "supported": false}]}'
    for cut in range(len(whole)):
        with pytest.raises(ValueError, match="the reply"):
            json_object(whole[:cut])
    model = judge(["One."], [verdict(1, True)])
    model.finish_reason = "length"
    assert "cut off" in faithfulness("Q?", "A", ["c"], judge=model).reason
