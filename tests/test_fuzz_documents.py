"""A small part of what scripts/fuzz_documents does."""

import runpy
from pathlib import Path

FUZZ = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "fuzz_documents"))


def test_changed_and_random_documents_load_or_fail_with_one_sentence():
    seeds = FUZZ["seeds_of"](FUZZ["FOLDERS"])
    outcomes = [FUZZ["outcome"](seeds, "tests", number)[1] for number in range(60)]
    assert [kind for kind in outcomes if kind.startswith("FOUND")] == []
    assert {"loaded", "refused: is damaged or no PDF"} <= set(outcomes)


def test_a_case_is_the_same_each_time_and_differs_from_the_next():
    import random

    seeds = FUZZ["seeds_of"](FUZZ["FOLDERS"])
    cases = [[FUZZ["case"](seeds, random.Random(f"1/{number}")) for number in range(20)] for _ in range(2)]
    assert cases[0] == cases[1]
    assert len(set(cases[0])) > 15


def test_what_is_not_one_clean_sentence_is_found():
    assert FUZZ["SENTENCE"].fullmatch(" is empty; check that it was saved.")
    assert not FUZZ["SENTENCE"].fullmatch(" is \x1b[31mred; check.")
    assert not FUZZ["SENTENCE"].fullmatch(" is empty;\ncheck.")
    assert FUZZ["judged"](FUZZ["Pages"]([FUZZ["load"].__globals__["Page"](1, "a", "x\0\n")])).startswith("FOUND")
