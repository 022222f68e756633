"""Money by the command line, before and after a run: the plan, the cap, the bill."""

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from faults import serve, training_not_available
from minirag import offline
from minirag.cli.main import main
from minirag.costs import Budget, Price, Prices, load_prices, training_cost
from minirag.errors import BudgetReached, InputError
from minirag.message_log import Exchange
from run_files import MODELS, SAMPLE

DOCUMENT = str(SAMPLE)
PRICED = """date = "2026-11-01"
[models]
"offline" = { input = 1.0, output = 4.0, batch = 0.5 }
"ft:offline" = { input = 2.0, output = 8.0, batch = 0.5, training = 0.2 }
"""


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A price file by which the embedded models cost money."""
    path = tmp_path_factory.mktemp("prices") / "prices.toml"
    path.write_text(PRICED)
    return str(path)


SMALL = ["--train-questions", "12", "--eval-questions", "3", "--context-window", "1200"]
OPTIONS = ["--train-questions", "14", "--eval-questions", "10", "--context-window", "1200"]


class Finished(NamedTuple):
    """A finished run with prices: its folder and its command line."""

    folder: Path
    command: list[str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, prices: str) -> Iterator[Finished]:
    """A run over the sample report; its server goes on running."""
    out = tmp_path_factory.mktemp("run") / "out"
    with offline.serve() as server:
        command = ["run", DOCUMENT, *MODELS, "--base-url", server.base_url, *OPTIONS, "--prices", prices]
        assert main([*command, "--out", str(out)]) == 0
        yield Finished(out, command)


def as_json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What a command prints with --json."""
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert isinstance(result, dict)
    return result


def sums(lines: list[dict[str, Any]]) -> dict[str, float]:
    names = ("calls", "input_tokens", "cached_tokens", "output_tokens", "training_tokens", "usd")
    return {name: sum(line[name] for line in lines) for name in names}


# -- the plan ----------------------------------------------------------------------------------------------


def test_the_plan_of_an_offline_run_is_within_a_fifth_of_what_it_used_and_batches_save_half(finished, prices, capsys):
    arguments = ["plan", DOCUMENT, "--offline", *OPTIONS, "--prices", prices]
    plan, used = as_json(arguments, capsys), as_json(["costs", str(finished.folder), "--prices", prices], capsys)
    expected, real = sums(plan["lines"]), sums(used["lines"])
    for name in ("calls", "input_tokens", "output_tokens", "training_tokens", "usd"):
        assert expected[name] == pytest.approx(real[name], rel=0.2), name
    batched = as_json([*arguments, "--batch"], capsys)
    training = sum(line["usd"] for line in plan["lines"] if line["stage"] == "train")
    assert batched["total_usd"] == pytest.approx(training + (plan["total_usd"] - training) / 2)


def test_a_plan_sends_nothing_leaves_nothing_and_warns_of_models_that_go_off(tmp_path, capsys):
    models = ["--teacher", "gpt-4.1", "--student", "gpt-4.1-mini", "--judge", "j", "--embedding", "e"]
    few = ["--train-questions", "12", "--eval-questions", "12", "--context-window", "6000"]
    assert main(["plan", DOCUMENT, *models, *few, "--out", str(tmp_path / "out")]) == 0
    assert list(tmp_path.iterdir()) == []
    printed = capsys.readouterr()
    assert all(len(line) < 80 for line in printed.out.splitlines())
    assert "can show a difference of about 0." in printed.out
    total = next(line.split() for line in printed.out.splitlines() if line.startswith("total"))
    assert total[2:] == ["unknown"]  # the prices of j and e are
    assert "warning: a price is not known" in printed.err
    assert "OpenAI switches gpt-4.1-mini off on 2027-01-14" in printed.err or "OpenAI switched gpt" in printed.err


def test_a_plan_of_a_short_document_says_what_is_too_little_and_is_made_all_the_same(tmp_path, capsys):
    path, few = tmp_path / "velm.md", ["--train-questions", "1", "--eval-questions", "1"]
    path.write_text("The port of Velm opened in 1920 and has 2 halls.\fThe zoo of Velm opened in 1930 and has 3 halls.")
    assert main(["plan", str(path), "--offline", *few]) == 0
    printed = capsys.readouterr().out
    dear = tmp_path / "dear.toml"
    dear.write_text(PRICED)
    assert main(["plan", str(path), "--offline", *few, "--prices", str(dear), "--max-cost", "0.0001"]) == 0
    assert "warning: this run costs about $0.0" in capsys.readouterr().err
    assert "warning: a job needs at least 10 examples; ask for more --train-questions." in printed
    assert "evaluation: 1 question from 1 page can show no difference: a verdict takes 6 pages" in printed
    assert main(["plan", str(path), "--offline", *few, "--tuned", "offline-judge"]) == 0
    assert "train" not in capsys.readouterr().out


# -- the cap -----------------------------------------------------------------------------------------------


def test_a_run_stops_below_its_cap_and_goes_on_with_a_higher_one(tmp_path, finished, prices, capsys):
    run = [*finished.command, "--out", str(tmp_path / "out")]
    whole = as_json(["costs", str(finished.folder), "--prices", prices], capsys)["total_usd"]
    assert main([*run, "--max-cost", f"{0.4 * whole:.4f}"]) == 4
    assert "run again with a higher --max-cost" in capsys.readouterr().err
    spent = as_json(["costs", str(tmp_path / "out"), "--prices", prices], capsys)["total_usd"]
    assert 0.2 * whole < spent <= 0.4 * whole
    assert main([*run, "--max-cost", f"{1.2 * whole:.4f}"]) == 0
    for name in ("training.jsonl", "answers.jsonl", "scores.jsonl", "comparison.json"):
        assert (tmp_path / "out" / name).read_bytes() == (finished.folder / name).read_bytes()


def test_a_cap_needs_every_price_before_anything_is_sent_but_those_of_free_models(tmp_path, capsys):
    with offline.serve() as server:
        models = [*MODELS[:3], "--embedding", "mystery", "--base-url", server.base_url]
        run = ["run", DOCUMENT, *models, "--max-cost", "1"]
        assert main([*run, "--out", str(tmp_path / "out")]) == 2
        assert not server.requests
        assert "The price of mystery is not known" in capsys.readouterr().err
        assert main([*run, "--out", str(tmp_path / "out"), "--free", "embedding"]) == 2
        assert server.requests  # that the model is unknown is found out by asking
        assert "mystery" in capsys.readouterr().err
        assert main([*run, "--out", str(tmp_path / "out"), "--free", "embeddings"]) == 2
        assert "--free embeddings: the roles are" in capsys.readouterr().err


def test_training_on_a_free_model_and_its_tuned_ones_cost_nothing_and_an_unpriced_one_is_refused():
    with pytest.raises(InputError, match="ft:qwen"):
        Budget(1.0, load_prices(), []).require_training("qwen")
    prices = load_prices(free=["qwen"])
    Budget(1.0, prices, []).require_training("qwen")
    assert (prices.of("ft:qwen:minirag::1").input, training_cost(prices, "qwen", 9)) == (0, 0)
    elsewhere = load_prices(free=["ft:llama:minirag::1"])
    assert (elsewhere.of("ft:llama:minirag::1").input, elsewhere.of("ft:llama:minirag::2").input) == (0, None)


def test_a_second_job_in_a_folder_that_costs_is_refused_until_its_file_is_deleted(tmp_path, finished, capsys):
    shutil.copytree(finished.folder, tmp_path / "out")
    again = ["finetune", *finished.command[1:], "--epochs", "2", "--out", str(tmp_path / "out")]
    assert main(again) == 2
    assert "a second one would cost again: keep its model with --tuned ft:" in capsys.readouterr().err
    (tmp_path / "out" / "job.json").unlink()
    assert main(again) == 0


DEAR = Prices("", {"m": Price(input=0.0, output=1000.0)})  # one dollar for a thousand tokens of reply


def call(tokens: int, usage: int | None, error: dict[str, Any] | None = None) -> Exchange:
    """A call that may take `tokens` for its reply and took `usage`."""
    request = {"model": "m", "messages": [], "max_tokens": tokens}
    response = None if usage is None else {"usage": {"prompt_tokens": 0, "completion_tokens": usage}}
    return Exchange("draft", "chat.completions", "s", request, response, error)


def test_what_is_in_the_log_counts_and_a_lost_reply_counts_as_the_most_it_can_have_cost():
    lost = {"type": "ServiceError", "status": None, "message": "timed out"}
    refused = {"type": "ServiceError", "status": 429, "message": "slow down"}
    budget = Budget(1.0, DEAR, [call(100, 50), call(100, None, lost), call(100, None, refused)])
    assert budget.spent == pytest.approx(0.15)


def test_the_cap_reserves_the_dearest_way_to_bill_a_prompt():
    request = {"model": "m", "messages": [{"role": "user", "content": "word " * 1000}], "max_tokens": 0}
    sent = Exchange("draft", "chat.completions", "s", request)
    plain, written, long = (
        Budget(1e9, Prices("", {"m": price}), []).before(sent)
        for price in (
            Price(input=1e6, output=0.0, cache_write=0.5e6),
            Price(input=1e6, output=0.0, cache_write=1.25e6),
            Price(input=1e6, output=0.0, cache_write=1.25e6, long_above=100, long_input=2.0),
        )
    )
    assert plain > 1000
    assert (written, long) == (pytest.approx(1.25 * plain), pytest.approx(2.5 * plain))


def test_threads_together_never_pass_the_cap_and_use_it_up():
    budget, taken, lock = Budget(1.0, DEAR, []), [], threading.Lock()

    def work() -> None:
        while True:
            try:
                most = budget.before(call(100, 30))
            except BudgetReached:
                return
            with lock:
                taken.append(1)
                assert budget.spent + budget.reserved <= 1.0 + 1e-9
            budget.after(most, call(100, 30))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(taken) == 31  # the 32nd could pass it: 31 * 0.03 + 0.1 > 1
    assert budget.spent == pytest.approx(0.93)


# -- after -------------------------------------------------------------------------------------------------


def test_costs_prints_what_the_run_wrote_and_reprices_the_log_by_other_prices(finished, tmp_path, capsys):
    folder = finished.folder
    result, written = as_json(["costs", str(folder)], capsys), json.loads((folder / "costs.json").read_text())
    assert result == written
    assert main(["costs", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert all(len(line) < 80 for line in printed.splitlines())
    assert " ".join(printed.split()).endswith(result["payback"])
    dear_prices = PRICED.replace("input = 1.0, output = 4.0", "input = 2.0, output = 8.0")
    (tmp_path / "dear.toml").write_text(dear_prices)
    dear = as_json(["costs", str(folder), "--prices", str(tmp_path / "dear.toml")], capsys)
    assert dear["usd_per_question"]["teacher"] == pytest.approx(2 * result["usd_per_question"]["teacher"])


def test_where_training_is_refused_its_price_is_free_for_the_other_arms(tmp_path, capsys):
    dear = tmp_path / "dear.toml"
    dear.write_text(PRICED.replace("training = 0.2", "training = 20"))
    with serve(faults=[training_not_available()]) as server:
        run = ["run", DOCUMENT, *MODELS, "--base-url", server.base_url, *SMALL, "--prices", str(dear)]
        assert main([*run, "--max-cost", "2.2", "--out", str(tmp_path / "out")]) == 0
    assert "no longer trains" in capsys.readouterr().err
    assert (tmp_path / "out" / "report.html").exists()
    assert main(["verify", str(tmp_path / "out")]) == 0
