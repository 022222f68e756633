"""Prices, bills and break-even: a projection of the log, in which an unknown price stays unknown."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from doubles import answered
from minirag.costs import Price, Prices, bill, load_prices, run_costs, shutdown_warnings, total
from minirag.costs.billing import payback
from minirag.errors import InputError
from minirag.message_log import Exchange

PRICES = Prices("2026-10-31", {"big": Price(2.0, 0.5, 8.0), "ft:small": Price(0.8, 0.2, 3.2, 5.0)})
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}}

# -- the bill ----------------------------------------------------------------------------------------------


def job(tokens: int) -> Exchange:
    """The state of a job that has trained `small`."""
    reply = {"id": "ftjob-1", "model": "small", "status": "succeeded", "trained_tokens": tokens}
    return Exchange("poll", "fine_tuning.jobs.retrieve", "s", {"fine_tuning_job_id": "ftjob-1"}, reply)


def test_the_bill_adds_up_by_stage_arm_and_model_and_an_unknown_price_stays_unknown():
    failed = Exchange(
        "draft", "chat.completions", "s", {"model": "big", "messages": []}, None, {"type": "ServiceError"}
    )
    known = [answered(question, "A", split="eval", **USAGE) for question in ("e1", "e2")]
    log = [*known, failed, job(2_000_000), job(2_000_000), answered("e1", "A", model="nobody-knows")]
    lines = {(line.stage, line.arm, line.model): line for line in bill(log, PRICES)}
    nothing, teacher, unknown, training = lines.values()
    assert list(lines)[1:] == [
        ("draft", "teacher", "big"),
        ("draft", "teacher", "nobody-knows"),
        ("train", "tuned", "small"),
    ]
    assert (nothing.calls, nothing.failed, nothing.usd) == (1, 1, 0.0)
    assert (teacher.calls, teacher.input_tokens, teacher.cached_tokens, teacher.output_tokens) == (2, 1200, 800, 200)
    assert teacher.usd == pytest.approx((1200 * 2.0 + 800 * 0.5 + 200 * 8.0) / 1e6)
    assert (training.training_tokens, training.usd) == (2_000_000, 10.0)  # seen twice, billed once
    assert unknown.usd is total(lines.values()) is None


@pytest.mark.parametrize("usage", [None, "free", {"prompt_tokens": "9"}, {"prompt_tokens": 5, "completion_tokens": -1}])
def test_a_reply_that_does_not_say_what_it_used_has_an_unknown_price(usage):
    exchange = answered("e1", "A")
    [line] = bill([replace(exchange, response={**exchange.response, "usage": usage})], PRICES)
    assert (line.calls, line.input_tokens, line.usd) == (1, 0, None)


def details(**counts: int) -> dict[str, Any]:
    return {"prompt_tokens_details": counts}


@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        # OpenAI, 10,000 in (4,000 cached), 500 out: 6,000 × 0.40 + 4,000 × 0.10 + 500 × 1.60 = 3,600
        ("gpt-4.1-mini", [10_000, 500, 10_500, details(cached_tokens=4_000)], 0.0036),
        # OpenAI, thinking is part of completion_tokens: 1,000 × 2 + 900 × 10 = 11,000
        ("gpt-6-sol", [1_000, 900, 1_900, {"completion_tokens_details": {"reasoning_tokens": 800}}], 0.011),
        # OpenAI from gpt-5.6 on, 3,000 written to the cache, 1,000 new: 1,000 × 2 + 3,000 × 2.50 + 100 × 12 = 10,700
        ("gpt-5.6-terra", [4_000, 100, 4_100, details(cached_tokens=0, cache_write_tokens=3_000)], 0.0107),
        # OpenAI above 272,000: 300,000 × 1 × 2 + 1,000 × 5 × 1.5 = 607,500; with one token less, 272,000 × 1 + 5,000
        ("gpt-6.1-terra", [300_000, 1_000, 301_000, {}], 0.6075),
        ("gpt-6.1-terra", [272_000, 1_000, 273_000, {}], 0.277),
        # Azure, a tuned model by its own name: 1,000 × 3 + 100 × 12 = 4,200
        ("gpt-4.1-2025-04-14.ft-0123456789abcdef", [1_000, 100, 1_100, {}], 0.0042),
        # xAI, 700 of reasoning beside completion_tokens: 1,000 × 1 + 800 × 4 = 4,200
        ("other", [1_000, 100, 1_800, {"completion_tokens_details": {"reasoning_tokens": 700}}], 0.0042),
        # Gemini, no details at all, only the sum: 1,000 × 1 + 350 × 4 = 2,400
        ("other", [1_000, 50, 1_350, {}], 0.0024),
        # Moonshot: 300 × 1 + 700 × 0.25 + 100 × 4 = 875
        ("other", [1_000, 100, 1_100, {"cached_tokens": 700}], 0.000875),
        # DeepSeek: 200 × 1 + 800 × 0.25 + 100 × 4 = 800
        ("other", [1_000, 100, 1_100, {"prompt_cache_hit_tokens": 800, "prompt_cache_miss_tokens": 200}], 0.0008),
        # OpenRouter: 500 × 1 + 300 × 0.25 + 200 × 1.25 + 10 × 4 = 865
        ("other", [1_000, 10, 1_010, details(cached_tokens=300, cache_write_tokens=200)], 0.000865),
        # Ollama, details that are null: 1,000 × 1 + 100 × 4 = 1,400
        ("other", [1_000, 100, 1_100, {"prompt_tokens_details": None}], 0.0014),
        # Mistral, more in the parts than in the sum: what is larger counts
        ("other", [1_000, 100, 1_000, {}], 0.0014),
        # embeddings: 1,000,000 × 0.02
        ("text-embedding-3-small", [1_000_000, None, 1_000_000, {}], 0.02),
    ],
)
def test_usage_as_each_service_reports_it_costs_what_a_person_computes(model, usage, usd):
    prompt, completion, total_tokens, more = usage
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total_tokens, **more}
    known = load_prices()
    prices = replace(known, models={**known.models, "other": Price(1.0, 0.25, 4.0)})
    call = Exchange("draft", "chat.completions", "s", {"model": model, "messages": []}, {"usage": counts})
    assert total(bill([call], prices)) == pytest.approx(usd, abs=1e-12)


def test_the_bill_says_what_caches_saved_and_what_writing_to_them_cost():
    hit = answered("e1", "A", **USAGE)  # 400 of 1,000 tokens at 0.50 instead of 2.00
    written = {**USAGE, "prompt_tokens_details": {"cache_write_tokens": 400}}  # at 2.50 instead of 2.00
    assert bill([hit], PRICES)[0].saved_usd == pytest.approx(0.0006)
    costs = run_costs([hit, answered("e2", "A", **written)], PRICES, {}, None)
    assert costs["cache_saved_usd"] == pytest.approx(0.0004)


def test_a_deployment_has_the_price_of_the_model_that_answers():
    call = answered("e1", "A", model="my-deployment", **USAGE)
    served = replace(call, response={**(call.response or {}), "model": "gpt-4.1-2025-04-14"})
    assert total(bill([served], load_prices())) == pytest.approx((600 * 2.0 + 400 * 0.5 + 100 * 8.0) / 1e6)


def test_batched_calls_cost_their_share_which_may_be_unknown():
    exchange = answered("q", "A", model="m", tags={"batch": "batch_1"}, prompt_tokens=1_000_000, completion_tokens=0)
    assert total(bill([exchange], Prices("", {"m": Price(2.0, None, 8.0, batch=0.5)}))) == 1.0
    assert total(bill([exchange], Prices("", {"m": Price(2.0, None, 8.0)}))) is None
    assert total(bill([exchange], Prices("", {"m": Price(0.0, output=0.0)}))) == 0.0  # free stays free


def test_the_costs_of_a_run_have_the_mean_of_each_arm_and_when_training_has_paid_off():
    small = Prices("d", {"big": Price(2.0, 0.5, 8.0), "small": Price(0.0, output=4.0), "ft:small": Price(training=2.0)})
    teacher, tuned = answered("e1", "A", **USAGE), answered("e1", "A", model="small", **USAGE)
    calls = {"teacher": [[teacher], [teacher]], "tuned": [[tuned]]}
    costs = run_costs([teacher, tuned], small, calls, ("small", 90_000))
    assert costs["usd_per_question"] == {"teacher": pytest.approx(0.0022), "tuned": pytest.approx(0.0004)}
    assert costs["total_usd"] == pytest.approx(0.0026)
    assert costs["break_even_questions"] == pytest.approx(100)
    billed = run_costs(
        [job(45_000)], small, {}, ("small", 90_000)
    )  # what the service has counted wins over what was expected
    assert (billed["training_usd"], billed["total_usd"]) == (0.09, 0.09)
    unknown = run_costs([teacher], PRICES, {"teacher": [], "tuned": [[tuned]]}, None)
    assert unknown["usd_per_question"] == {"teacher": None, "tuned": None}
    assert unknown["payback"] == "Whether training pays for itself is not known: a price is not known."


# -- the table of prices -----------------------------------------------------------------------------------


def test_prices_of_your_own_stand_on_top_of_the_package_s(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text('date = "2027-01-01"\n[models]\nllama = { input = 0.1, output = 0.2 }\n')
    prices = load_prices(path)
    assert (prices.date, prices.of("llama").output, prices.of("gpt-4.1").input) == ("2027-01-01", 0.2, 2.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "Cannot read the prices in"),
        ('[model."x"]\ninput = 1\n', "no table of prices"),
        ('[models."x"]\nin = 1\n', "the price of 'x' .*must be a table of input, cached"),
        ('[models."x"]\nbatch = 7\n', "batch is 7, and must be a number from 0 to 1"),
        ('[models."x"]\ninput = nan\n', "input is nan, and must be a number"),
        ('[models."x"]\nshutdown = "soon"\n', "shutdown is 'soon', and must be a date"),
    ],
)
def test_a_wrong_table_of_prices_is_one_sentence(tmp_path, text, says):
    path = tmp_path / "prices.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=says):
        load_prices(path)


def test_a_model_is_switched_off_with_its_family_and_training_ends_by_base_model():
    prices = load_prices()
    off = date(2027, 1, 14)
    assert {prices.of(name).shutdown for name in ("gpt-4.1-2025-04-14", "ft:gpt-4o-mini-2024-07-18:acme::1")} == {off}
    assert prices.of("gpt-3.5-turbo-0125").shutdown == date(2026, 10, 23)
    assert {prices.of(m).shutdown for m in ("gpt-6-luna", "gpt-4.1-huge", "offline-student", "llama3")} == {None}
    assert shutdown_warnings(prices, ["gpt-4.1", "gpt-5"], date(2026, 10, 1), base="gpt-4.1") == [  # within 90 days
        "OpenAI switches gpt-5 off on 2026-12-11.",
    ]


# -- break-even --------------------------------------------------------------------------------------------


def test_training_pays_off_after_its_price_over_what_each_question_saves_or_never():
    assert payback(10.0, 0.02, 0.01) == (1000.0, "Training has paid for itself after 1,000 questions.")
    never, sentence = payback(10.0, 0.01, 0.01)
    assert (never, "a question costs no less" in sentence) == ("never", True)


# -- elsewhere ---------------------------------------------------------------------------------------------


def test_models_that_cost_nothing_are_priced_at_the_article_s_and_today_s_hosted_ones():
    free = Prices("d", {"offline": Price(0.0, output=0.0), "ft:offline": Price(0.0, output=0.0, training=0.0)})
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    models = {"base": "offline-student", "teacher": "offline-teacher", "tuned": "ft:offline-student:x"}
    calls = {arm: [[answered("e1", "A", model=model, **usage)]] * 4 for arm, model in models.items()}
    costs = run_costs([], free, calls, ("offline-student", 1_000_000))
    assert set(costs["usd_per_question"].values()) == {0.0}
    today, article = costs["elsewhere"]
    # 1,000 in and 100 out. gpt-4: 0.03 + 0.006; gpt-3.5-turbo: 0.0015 + 0.0002; tuned: 0.012 + 0.0016; training 8
    assert article["usd_per_question"] == {
        "base": pytest.approx(0.0017), "teacher": pytest.approx(0.036), "tuned": pytest.approx(0.0136),
    }  # fmt: skip
    assert (article["training_usd"], article["break_even_questions"]) == (8.0, pytest.approx(8 / 0.0224))
    assert article["in_words"][1] == "tuned 8 × untrained; teacher 2.5 / 3.75 × tuned, 20 / 30 × untrained."
    # gpt-6.1-sol: 0.002 + 0.001; gpt-4.1-mini: 0.0004 + 0.00016; tuned: 0.0008 + 0.00032; training 5
    assert today["usd_per_question"] == {
        "base": pytest.approx(0.00056), "teacher": pytest.approx(0.003), "tuned": pytest.approx(0.00112),
    }  # fmt: skip
    assert today["break_even_questions"] == pytest.approx(5 / 0.00188)
    assert today["in_words"][0].endswith("(2026-11-06; tuned until 2027-01-14), in / out:")
    assert costs["payback"] == (
        "These models cost nothing here. Training would have paid for itself after 2,660 questions with gpt-6.1-sol "
        "and gpt-4.1-mini, or 358 questions with gpt-4 and gpt-3.5-turbo."
    )
    priced = run_costs([], PRICES, {"teacher": [[answered("e1", "A", **usage)]]}, None)
    assert priced["elsewhere"] == []
