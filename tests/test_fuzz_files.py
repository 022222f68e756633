"""A small part of what scripts/fuzz_files does."""

import random
import runpy
from pathlib import Path

import pytest

FUZZ = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "fuzz_files"))


@pytest.mark.parametrize("kind", FUZZ["READ"])
def test_changed_and_random_files_are_read_or_refused_with_one_sentence(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    came = [FUZZ["outcome"]("tests", (kind, number))[0] for number in range(60)]
    assert [each for each in came if each.startswith("FOUND")] == []
    assert set(came) <= {"read", "refused"}
    assert "read" in came


def test_a_good_file_of_each_kind_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for kind, read in FUZZ["READ"].items():
        folder = tmp_path / kind
        folder.mkdir()
        for name, data in FUZZ["good"](kind).items():
            (folder / name).write_bytes(data)
        read(folder)


def test_a_case_is_the_same_each_time_and_differs_from_the_next() -> None:
    for kind in FUZZ["READ"]:
        cases = [[FUZZ["changed"](kind, random.Random(f"1/{number}")) for number in range(20)] for _ in range(2)]
        assert cases[0] == cases[1]
        assert len({tuple(sorted(case.items())) for case in cases[0]}) > 12


def test_new_checksums_make_a_changed_log_one_that_opens(tmp_path: Path) -> None:
    line = FUZZ["good"]("log")["messages.jsonl"].splitlines()[1].replace(b'"It is 0."', b'"It is 9."')
    signed = FUZZ["signed"]({"messages.jsonl": line})["messages.jsonl"]
    (tmp_path / "log.jsonl").write_bytes(signed)
    assert [exchange.text for exchange in FUZZ["MessageLog"](tmp_path / "log.jsonl")] == ["It is 9."]
