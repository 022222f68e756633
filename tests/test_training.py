"""The training file: a projection of the log, every example kept or dropped with its reason."""

import json
from pathlib import Path

import pytest

from doubles import answered
from minirag import MessageLog, write_training_file
from minirag.curation import abstains
from minirag.errors import InputError
from minirag.message_log import Exchange
from minirag.prompts import NOT_STATED
from minirag.tokens import for_model
from minirag.training import Origin, default_epochs


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
