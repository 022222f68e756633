"""What the models can do is asked before money is spent, and said in 80 columns."""

from pathlib import Path

import pytest

from faults import Rule, serve
from minirag.cli.main import main
from minirag.message_log import MessageLog
from run_files import MODELS
from services import DIALECTS, Dialect, address, serve as spoken

CHATS, JOBS = ("POST", "/v1/chat/completions"), ("GET", "/v1/fine_tuning/jobs")


def table(said: str) -> dict[str, list[str]]:
    """The rows of the table by their first cell."""
    assert all(len(line) <= 80 for line in said.splitlines())
    return {line.split()[0]: line.split()[1:] for line in said.splitlines() if line}


def test_a_probe_needs_no_document_and_shows_each_model_for_less_than_a_cent(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("".join(f'[models."offline-{r}"]\ninput = 2.0\noutput = 10.0\n' for r in ("teacher", "judge")))
    with serve() as server:
        assert main(["probe", *MODELS, "--base-url", server.base_url, "--prices", str(prices)]) == 0
        assert (server.requests[CHATS], sum(server.requests.values())) == (3, 5)
    rows = table(said := capsys.readouterr().err)
    assert rows["teacher"][-3:] == rows["judge"][-3:] == ["no", "0", "schema"]
    assert rows["embedding:"][:2] == ["4,096", "dimensions,"]
    assert "takes jobs" in said
    assert float(rows["probe:"][-1].lstrip("<$")) < 0.01


def test_what_a_service_refuses_thinks_and_cannot_train_is_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    dialect = Dialect(
        refuses={**DIALECTS["groq"].refuses, **DIALECTS["kimi"].refuses},
        untrained=DIALECTS["mistral"].untrained,
        usage=DIALECTS["xai"].usage,
        thinks=30,
    )
    server, _ = spoken(dialect)
    with server:
        assert main(["probe", *MODELS, "--base-url", address(server, dialect)]) == 0
    rows = table(said := capsys.readouterr().err)
    assert rows["judge"][-3:] == ["30", "own", "object"]
    assert "trains no models" in said
    assert "is not enabled for this workspace" in " ".join(said.split())


def run_of_a_town(folder: Path, base_url: str) -> list[str]:
    """The command of a run over nine short pages."""
    (folder / "town.txt").write_text("\f".join(f"Tram {n} is blue." for n in range(9)))
    return ["run", str(folder / "town.txt"), *MODELS, "--base-url", base_url, "--out", str(folder / "out")]


def test_a_model_that_does_not_answer_stops_the_run_before_anything_else_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = Rule(holding="offline-judge", status=404, error={"message": "no such model", "code": "model_not_found"})
    with serve(faults=[unknown]) as server:
        run = run_of_a_town(tmp_path, server.base_url)
        assert main(run) == 2
        assert server.requests[CHATS] == 3
        assert "judge offline-judge" in capsys.readouterr().err.splitlines()[-1]
        assert {e.stage for e in MessageLog(tmp_path / "out" / "messages.jsonl")} == {"probe"}
        main([*run, "--no-probe"])
        assert server.requests[JOBS] == 1
