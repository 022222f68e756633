"""The bill: a projection of the log, in which an unknown price stays unknown."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from doubles import answered
from minirag import MessageLog
from minirag.costs.bill import Line, Price, Prices, bill, load_prices, per_answer, price_of, total
from minirag.errors import InputError
from minirag.message_log import Exchange


@pytest.fixture
def log(tmp_path: Path) -> MessageLog:
    return MessageLog(tmp_path / "log.jsonl")


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


def test_a_total_is_the_sum_of_the_lines() -> None:
    assert total([Line("a", "", "m", usd=1.0), Line("b", "", "m", usd=0.5)]) == 1.5


def test_a_batched_call_costs_its_share_and_what_is_free_stays_free_where_the_share_is_not_known() -> None:
    tokens = (1_000_000, 0, 1_000_000)
    assert price_of(tokens, Price(2.0, output=8.0, batch=0.5), batched=True) == 5.0
    assert price_of(tokens, Price(2.0, output=8.0), batched=True) is None
    assert price_of(tokens, Price(0.0, output=0.0), batched=True) == 0.0
