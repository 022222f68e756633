"""Services that differ from OpenAI: the whole job at some of them (at all in `slow/`), and what each of them bills."""

from dataclasses import replace

import pytest

import whole_job
from minirag import costs
from minirag.message_log import Exchange, MessageLog
from services import DIALECTS, usage_of
from whole_job import WholeJob

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


@pytest.mark.parametrize("name", ["claude", "groq"])
def test_a_run_of_a_version_that_did_not_tag_forms_is_not_paid_again(name, tmp_path):
    with WholeJob(name, tmp_path) as job:
        assert job.run() == 0
        before, paid, path = job.calls, job.charged, tmp_path / "out" / "messages.jsonl"
        exchanges = list(MessageLog(path))
        untagged = [replace(e, tags={k: v for k, v in e.tags.items() if k != "without"}) for e in exchanges]
        assert untagged != exchanges
        path.write_bytes(b"".join(exchange.to_line() for exchange in untagged))
        assert job.run() == 0
        assert job.charged == paid
        assert job.calls <= before + 3  # each model refuses the form once again, which costs nothing
