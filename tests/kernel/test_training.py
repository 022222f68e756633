"""The training file: a projection of the log, every example kept or dropped with its reason."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubles import answered
from minirag import MessageLog, prompts, write_training_file
from minirag.curation.holdout import hold_out
from minirag.curation.refusals import abstains
from minirag.errors import InputError
from minirag.message_log import Exchange
from minirag.prompts import NOT_STATED, Excerpt
from minirag.testing import completion
from minirag.text import for_model
from minirag.training_file import Origin, default_epochs


@pytest.fixture
def log(tmp_path: Path) -> MessageLog:
    return MessageLog(tmp_path / "log.jsonl")


def test_each_line_is_the_prompt_as_sent_and_the_reply(log: MessageLog, tmp_path: Path) -> None:
    log.append(answered("t2", "Two."))
    log.append(answered("t1", "One refined.", draft=2))
    log.append(answered("t1", " One.\n"))
    file = write_training_file(log, tmp_path / "training.jsonl")
    rows = [json.loads(line) for line in file.path.read_text().splitlines()]
    assert all(set(row) == {"messages"} for row in rows)
    assert [row["messages"][-1] for row in rows] == [
        {"role": "assistant", "content": text} for text in ("One.", "One refined.", "Two.")
    ]
    assert rows[0]["messages"][:-1] == answered("t1", "").request["messages"]
    assert file.tokens == sum(for_model("gpt-4.1-mini").count_messages(row["messages"]) for row in rows)


def test_what_is_left_out_has_its_reason(log: MessageLog, tmp_path: Path) -> None:
    for exchange in (
        answered("t1", "Fine."),
        answered("t2", "Cut", finish="length"),
        answered("t3", ""),
        answered("t4", NOT_STATED),
        answered("t5", "Leaks.", tags={"chunks": ["eval-chunk"]}),
        answered("e1", "Eval.", split="eval"),
        answered("t6", "Held back", finish="content_filter"),
    ):
        log.append(exchange)

    def origin(_: str, exchange: Exchange) -> Origin:
        leak = "eval page in the prompt" if "eval-chunk" in exchange.tags.get("chunks", ()) else ""
        return Origin(leak=leak)

    file = write_training_file(log, tmp_path / "t.jsonl", origin=origin)
    assert {e.exchange.tags["question"]: e.dropped for e in file.examples} == {
        "t1": "",
        "t2": "finish_reason length",
        "t3": "empty",
        "t4": "refusal",
        "t5": "eval page in the prompt",
        "t6": "finish_reason content_filter",
    }
    report = file.report()
    assert report["kept"] == 1
    assert sum(report["dropped"].values()) == 5
    kept_all = write_training_file(log, tmp_path / "all.jsonl", keep_all=True)
    assert [e.exchange.tags["question"] for e in kept_all.kept] == ["t1", "t4", "t5"]


def test_stages_and_ids_narrow_the_choice(log: MessageLog, tmp_path: Path) -> None:
    first, second = answered("t1", "One."), answered("t1", "Two.", draft=2)
    log.append(first)
    log.append(second)
    assert len(write_training_file(log, tmp_path / "a", stages=("refine",)).kept) == 1
    assert write_training_file(log, tmp_path / "b", only={first.id: "t1"}).kept[0].exchange == first


def test_nothing_to_train_on_is_a_sentence_and_writes_nothing(log: MessageLog, tmp_path: Path) -> None:
    log.append(answered("t1", ""))
    with pytest.raises(InputError, match="None of 1 answers can be trained on"):
        write_training_file(log, tmp_path / "t.jsonl")
    assert not (tmp_path / "t.jsonl").exists()


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (NOT_STATED, True),
        ("The provided context does not mention the fee.", True),
        ("It is not specified who pays.", True),
        ("I cannot determine that from the excerpts.", True),
        ("The fee is 3 euros.", False),
        ("Revenue fell because customers did not renew.", False),
    ],
)
def test_abstentions_are_told_from_answers(text: str, is_one: bool) -> None:
    assert abstains(text) is is_one


@pytest.mark.parametrize(
    ("n", "epochs"), [(0, 0), (1, 25), (10, 10), (33, 3), (34, 3), (8333, 3), (8334, 2), (30_000, 1)]
)
def test_epochs_are_those_of_the_cookbook(n: int, epochs: int) -> None:
    assert default_epochs(n) == epochs


EXCERPTS = [Excerpt("The fare is 3 euros. Children pay half.", 7)]


def asked(question: str, text: str, *, existing: str | None = None) -> Exchange:
    """An answer to one of minirag's own prompts, a refine step where there is an earlier answer."""
    draft = existing is None
    messages = prompts.draft(question, EXCERPTS) if draft else prompts.refine(question, str(existing), EXCERPTS)
    exchange = answered(question, text, draft=1 if draft else 2)
    return replace(exchange, request={"model": "big", "messages": messages}, id="")


def test_right_refusals_may_be_a_share_of_the_file_and_wrong_ones_may_not(log: MessageLog, tmp_path: Path) -> None:
    for number in range(8):
        log.append(asked(f"What is fare number {number}?", f"Fare {'abcdefgh'[number]} is 3 euros."))
        log.append(asked(f"Who owns tram {number}?", NOT_STATED))

    def origin(question: str, _: Exchange) -> Origin:
        shown = frozenset({("a.pdf", 7)})
        return Origin(("a.pdf", 7 if question == "Who owns tram 0?" else 9), shown)

    none = write_training_file(log, tmp_path / "none.jsonl", origin=origin)
    assert none.report()["dropped"]["refusal"] == 8
    some = write_training_file(log, tmp_path / "some.jsonl", origin=origin, abstain_share=0.2)
    refusals = [e for e in some.kept if e.reply == NOT_STATED]
    assert len(refusals) / len(some.kept) == pytest.approx(0.2)
    every = write_training_file(log, tmp_path / "every.jsonl", origin=origin, abstain_share=0.9)
    assert "Who owns tram 0?" not in {e.question for e in every.kept}  # its page was shown
    assert sum(e.reply == NOT_STATED for e in every.kept) == 7


def test_idle_refine_steps_are_left_out_or_taught_word_for_word(log: MessageLog, tmp_path: Path) -> None:
    before = "On weekdays a single ride costs 3 euros."
    log.append(asked("What is the fare?", "A single ride on weekdays costs 3 euros.", existing=before))
    log.append(asked("What do rides cost?", before, existing=before))
    log.append(asked("Who pays less?", "Children."))
    dropped = write_training_file(log, tmp_path / "drop.jsonl")
    assert dropped.report()["dropped"] == {"paraphrase": 1, "repeats": 1}
    kept = write_training_file(log, tmp_path / "keep.jsonl", idle_refines="verbatim")
    assert [e.reply for e in kept.kept] == [before, before, "Children."]
    assert kept.report()["refine"] == {"repeats": 2}


def test_all_rows_have_one_system_message_unless_that_is_not_wanted(log: MessageLog, tmp_path: Path) -> None:
    exchange = asked("What is the fare?", "It is 3 euros.")
    log.append(exchange)
    log.append(asked("Who pays half?", "Children."))
    bare = replace(exchange, request={"model": "big", "messages": exchange.request["messages"][1:]}, id="")
    log.append(replace(bare, tags={**exchange.tags, "question": "x"}, response=completion("Children pay half.")))
    same = write_training_file(log, tmp_path / "same.jsonl")
    assert {e.messages[0]["content"] for e in same.kept} == {prompts.ANSWER_SYSTEM}
    as_sent = write_training_file(log, tmp_path / "sent.jsonl", same_system=False)
    assert [e.messages[0]["role"] for e in as_sent.kept].count("user") == 1


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.frozensets(st.integers(0, 12), max_size=3)), min_size=1, max_size=25),
    st.floats(0.05, 0.6),
)
def test_no_page_is_on_both_sides_of_a_split(rows: list[tuple[int, frozenset[int]]], share: float) -> None:
    questions, pages = [q for q, _ in rows], [p for _, p in rows]
    held, lost = hold_out(questions, pages, share)
    rest = set(range(len(rows))) - held - lost
    assert rest
    assert not held & lost
    assert not {questions[n] for n in held} & {questions[n] for n in rest | lost}
    shown = [frozenset().union(*(pages[n] for n in side)) for side in (held, rest)]
    assert not shown[0] & shown[1]


def test_what_an_earlier_run_wrote_and_this_one_does_not_is_removed(log: MessageLog, tmp_path: Path) -> None:
    for number, word in enumerate("amber basalt cedar delta".split()):
        exchange = asked(f"What of {word}?", f"It is {word}.")
        log.append(replace(exchange, tags={**exchange.tags, "question": f"q{number}"}))

    def origin(question: str, _: Exchange) -> Origin:
        return Origin(("a.pdf", int(question[1:])), frozenset({("a.pdf", int(question[1:]))}))

    path = tmp_path / "training.jsonl"
    write_training_file(log, path, origin=origin, validation_share=0.25, prompt_completion=True)
    assert len(list(tmp_path.glob("training*.jsonl"))) == 4
    write_training_file(log, path, origin=origin)
    assert list(tmp_path.glob("training*.jsonl")) == [path]


def test_a_split_that_cannot_be_is_a_sentence(log: MessageLog, tmp_path: Path) -> None:
    for word in ("amber", "basalt", "cedar"):
        log.append(asked(f"What of {word}?", f"It is {word}."))
    with pytest.raises(InputError, match="No question can be held out"):
        write_training_file(log, tmp_path / "t.jsonl", validation_share=0.3)
