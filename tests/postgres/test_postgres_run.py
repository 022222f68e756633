"""Runs with `--store`: the same results as with vectors.npy, and an address that is nowhere to be found afterwards."""

import json
import os
from pathlib import Path
from urllib.parse import quote

import pytest

from minirag import MessageLog
from minirag.cli.main import main
from run_files import contents

SAMPLE = Path(__file__).parents[2] / "minirag" / "data" / "sample-report.pdf"
OPTIONS = ["--offline", "--train-questions", "14", "--eval-questions", "10", "--context-window", "1200"]
SAME = ["answers.jsonl", "chunks.jsonl", "comparison.json", "questions.jsonl", "scores.jsonl"]
PASSWORD = "n0b0dy-may-see-this"


@pytest.fixture(scope="module")
def secret(postgres: str) -> str:
    """The server's address with a password in it, which a server without passwords does not look at."""
    if "DATABASE_URL" in os.environ:
        return postgres
    return postgres.replace("postgres:@", f"postgres:{quote(PASSWORD)}@")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, secret: str, finished_run: Path) -> tuple[Path, Path]:
    """The folders of two runs over the sample report: with its vectors in the folder, and in a database."""
    out = tmp_path_factory.mktemp("database") / "out"
    assert main(["run", str(SAMPLE), *OPTIONS, "--out", str(out), "--store", secret]) == 0
    return finished_run, out


def test_either_store_gives_the_same_run(both: tuple[Path, Path], secret: str) -> None:
    folder, database = map(contents, both)
    assert set(folder) - set(database) == {"vectors.npy", "index.json"}
    assert {name: database[name] for name in SAME} == {name: folder[name] for name in SAME}
    facts = {**json.loads(folder["run.json"]), "store": "postgresql"}
    assert json.loads(database["run.json"]) == facts
    for name, data in database.items():  # where the database is, and its password, stand nowhere
        assert PASSWORD.encode() not in data, name
        assert secret.rpartition("@")[2].encode() not in data, name


def test_it_is_resumed_with_the_address_and_not_without(
    both: tuple[Path, Path], secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(both[1])
    assert main(["run", "--out", str(both[1])]) == 2
    assert "This run keeps its index in postgresql; give --store with its address again." in capsys.readouterr().err
    assert main(["run", "--out", str(both[1]), "--store", secret]) == 0
    talk = "".join(capsys.readouterr())
    assert "store: postgresql://" in talk
    assert PASSWORD not in talk
    assert contents(both[1]) == before


def test_verify_repeats_it_from_the_log_and_the_database(
    both: tuple[Path, Path], secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(both[1])]) == 2
    assert "give --store" in capsys.readouterr().err
    assert main(["verify", str(both[1]), "--store", secret, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(SAME) <= set(told["same"])
    assert len(told["same"]) == len(set(told["same"]))


def test_a_second_folder_finds_the_index_and_embeds_nothing(
    both: tuple[Path, Path], secret: str, tmp_path: Path
) -> None:
    assert main(["index", str(SAMPLE), *OPTIONS, "--out", str(tmp_path), "--store", secret]) == 0
    assert len(MessageLog(tmp_path / "messages.jsonl")) == 0
