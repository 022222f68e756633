"""The training file: a projection of the log, every example kept or dropped with its reason."""

import json
from dataclasses import replace

import pytest

from doubles import answered
from minirag.errors import InputError
from minirag.prompts import NOT_STATED
from minirag.text import for_model
from minirag.training import write_training_file


def test_each_line_is_the_prompt_as_sent_and_the_reply(log, tmp_path):
    log.append(answered("t2", "Two."))
    log.append(answered("t1", "One refined.", draft=2))
    log.append(answered("t1", " One.\n"))
    file = write_training_file(log, tmp_path / "training.jsonl", stages=("draft", "refine"))
    rows = [json.loads(line) for line in file.path.read_text().splitlines()]
    assert all(set(row) == {"messages"} for row in rows)
    assert [row["messages"][-1] for row in rows] == [
        {"role": "assistant", "content": text} for text in ("One.", "One refined.", "Two.")
    ]
    assert rows[0]["messages"][:-1] == answered("t1", "").request["messages"]
    assert file.tokens == sum(for_model("gpt-4.1-mini").count_messages(row["messages"]) for row in rows)


def test_only_what_no_service_would_train_on_is_dropped_without_a_review(log, tmp_path):
    for exchange in (
        answered("t1", "Fine."),
        answered("t3", " "),
        answered("t4", NOT_STATED),
        answered("t5", "word " * 70_000),
        answered("e1", "Eval.", split="eval"),
    ):
        log.append(exchange)
    file = write_training_file(log, tmp_path / "t.jsonl")
    assert {example.question: example.dropped for example in file.examples} == {
        "t1": "",
        "t3": "empty",
        "t4": "",
        "t5": "over the token limit",
    }
    report = file.report(epochs=2)
    assert (report["kept"], sum(report["dropped"].values())) == (2, 2)
    assert report["tokens_billed"] == 2 * file.tokens
    assert {row["question"]: row["dropped"] for row in report["examples"]}["t3"] == "empty"


@pytest.mark.parametrize(
    ("reason", "is_kept"),
    [(reason, True) for reason in ("stop", "eos", "end_turn", "STOP", "stop_sequence", None, "something new")]
    + [(reason, False) for reason in ("length", "MAX_TOKENS", "content_filter", "error", "tool_calls", "safety")],
)
def test_only_the_finish_reasons_of_incomplete_answers_drop_them(log, tmp_path, reason, is_kept):
    log.append(answered("t1", "One."))
    log.append(answered("t2", "Two.", finish=reason))
    file = write_training_file(log, tmp_path / "t.jsonl")
    assert file.examples[1].dropped == ("" if is_kept else f"finish_reason {str(reason).lower()}")


def test_stages_and_ids_narrow_the_choice(log, tmp_path):
    first, second = answered("t1", "One."), answered("t1", "Two.", draft=2)
    log.append(first)
    log.append(second)
    assert [e.reply for e in write_training_file(log, tmp_path / "a", stages=("refine",)).kept] == ["Two."]
    [kept] = write_training_file(log, tmp_path / "b", only={first.id: "q7"}).kept
    assert (kept.exchange, kept.question) == (first.id, "q7")


def test_nothing_to_train_on_is_a_sentence_and_writes_nothing(log, tmp_path):
    log.append(replace(answered("t1", ""), response={}))
    with pytest.raises(InputError, match=r"0 training examples can be kept \(dropped: 1 empty\)"):
        write_training_file(log, tmp_path / "t.jsonl")
    assert not (tmp_path / "t.jsonl").exists()
