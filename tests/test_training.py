"""The training file and the bill: projections of the log."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minirag import MessageLog, write_training_file
from minirag.costs import Line, Price, Prices, bill, break_even, load_prices, per_answer, total
from minirag.curation import abstains
from minirag.errors import InputError
from minirag.message_log import Exchange
from minirag.prompts import NOT_STATED
from minirag.testing import completion
from minirag.tokens import for_model
from minirag.training import Origin, default_epochs


def answered(
    question: str, text: str, *, draft: int = 1, finish: str = "stop", split: str = "train", **more: Any
) -> Exchange:
    stage = "draft" if draft == 1 else "refine"
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": f"{question} {draft}"}]
    tags = {"question": question, "split": split, "draft": draft, "arm": "teacher", **more.pop("tags", {})}
    request = {"model": more.pop("model", "big"), "messages": messages}
    return Exchange(stage, "chat.completions", "s", request, completion(text, finish, **more), tags=tags)


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


# -- the bill ----------------------------------------------------------------------------------------------

PRICES = Prices("2026-10-31", {"big": Price(2.0, 0.5, 8.0), "ft:small": Price(0.8, 0.2, 3.2, 5.0)})


def test_the_bill_adds_up_tokens_and_money_by_stage_arm_and_model(log: MessageLog) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}}
    log.append(answered("e1", "A", split="eval", **usage))
    log.append(answered("e2", "B", split="eval", **usage))
    [line] = bill(log, PRICES)
    assert (line.stage, line.arm, line.model, line.calls) == ("draft", "teacher", "big", 2)
    assert (line.input_tokens, line.cached_tokens, line.output_tokens) == (1200, 800, 200)
    assert line.usd == pytest.approx((1200 * 2.0 + 800 * 0.5 + 200 * 8.0) / 1e6)
    assert per_answer([[exchange] for exchange in log], PRICES) == pytest.approx(line.usd / 2)


def test_training_is_billed_by_its_base_model(log: MessageLog) -> None:
    reply = {"id": "ftjob-1", "model": "small", "status": "succeeded", "trained_tokens": 2_000_000}
    for _ in range(2):  # the last states of one job, seen twice
        log.append(Exchange("poll", "fine_tuning.jobs.retrieve", "s", {"fine_tuning_job_id": "ftjob-1"}, reply))
    [line] = bill(log, PRICES)
    assert (line.stage, line.training_tokens, line.usd) == ("train", 2_000_000, 10.0)


def test_an_unknown_price_makes_the_sum_unknown_and_never_zero(log: MessageLog) -> None:
    log.append(answered("e1", "A", model="nobody-knows"))
    log.append(answered("e1", "A"))
    lines = bill(log, PRICES)
    assert {line.model: line.usd is None for line in lines} == {"nobody-knows": True, "big": False}
    assert total(lines) is None


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [1],
        "free",
        {"prompt_tokens": "many"},
        {"prompt_tokens": -25},
        {"prompt_tokens": 5, "completion_tokens": -1},
    ],
)
def test_a_reply_that_does_not_say_what_it_used_has_an_unknown_price(log: MessageLog, usage: Any) -> None:
    exchange = answered("e1", "A")
    log.append(replace(exchange, response={**exchange.response, "usage": usage}))
    [line] = bill(log, PRICES)
    assert (line.calls, line.input_tokens, line.usd) == (1, 0, None)


def test_a_failed_call_is_counted_and_billed_only_for_what_it_used(log: MessageLog) -> None:
    failed = Exchange(
        "draft", "chat.completions", "s", {"model": "big", "messages": []}, None, {"type": "ServiceError"}
    )
    log.append(failed)
    [line] = bill(log, PRICES)
    assert (line.calls, line.failed, line.usd) == (1, 1, 0.0)


def test_dated_snapshots_and_tuned_models_have_their_family_s_price() -> None:
    prices = load_prices()
    assert prices.of("gpt-4.1-2025-04-14") == prices.of("gpt-4.1")
    assert prices.of("gpt-4.1-mini") != prices.of("gpt-4.1")
    assert prices.of("ft:gpt-4.1-mini-2025-04-14:org::id") == prices.of("ft:gpt-4.1-mini")
    assert prices.of("gpt-4.1-nano") == Price()
    assert prices.of("offline-teacher").input == prices.of("ft:offline-student:minirag::x").input == 0.0
    assert prices.training("gpt-4o-mini") == 3.0


def test_prices_of_your_own_stand_on_top(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text('date = "2027-01-01"\n[models."llama"]\ninput = 0.1\noutput = 0.2\n')
    prices = load_prices(path)
    assert (prices.date, prices.of("llama").output, prices.of("gpt-4.1").input) == ("2027-01-01", 0.2, 2.0)
    path.write_text('[models."llama"]\ninput = "free"\n')
    with pytest.raises(InputError, match="llama"):
        load_prices(path)
    with pytest.raises(InputError, match="Cannot read the prices"):
        load_prices(tmp_path / "none.toml")


def test_break_even_is_training_over_what_each_question_saves() -> None:
    assert break_even(10.0, 0.02, 0.01) == pytest.approx(1000)
    assert break_even(10.0, 0.01, 0.01) == "never"
    assert break_even(None, 0.02, 0.01) is None
    assert total([Line("a", "", "m", usd=1.0), Line("b", "", "m", usd=0.5)]) == 1.5
