"""Services that differ from OpenAI: the whole job at some of them (at all in `slow/`), and what each of them bills."""

import pytest

import whole_job
from minirag import costs
from minirag.message_log import Exchange
from services import DIALECTS, usage_of

FEW = ("openai-thinking", "gemini", "vllm", "mistral")


@pytest.mark.parametrize("name", FEW)
def test_a_run_ends_judged_and_paid_right_with_few_more_calls_and_a_second_one_sends_nothing(name, tmp_path, capsys):
    whole_job.check(name, tmp_path, capsys)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_usage_object_of_each_service_costs_what_a_person_computes(name):
    dialect = DIALECTS[name]
    usage = usage_of(dialect.usage, 1000, 400 if dialect.is_cached else 0, 50, 200)
    prices = costs.Prices("", {"m": costs.Price(input=1.0, cached=0.1, output=10.0)})
    exchange = Exchange("draft", "chat.completions", "s", {"model": "m", "messages": []}, {"usage": usage})
    # 600 × 1 + 400 × 0.1 + 250 × 10, in millionths; 350 and 250 × 1.25 for 600 where writing to the cache costs more
    usd = {"bare": 0.0035, "total": 0.0035, "writing": 0.0032025}.get(dialect.usage, 0.00314)
    assert costs.total(costs.bill([exchange], prices)) == pytest.approx(usd)
