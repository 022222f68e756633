"""The README's figures: each is one that a script printed; what takes seconds is printed again and compared.

`scripts/figures` keeps what the scripts printed when they were run as the README says.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "scripts" / "figures"
README = " ".join((ROOT / "README.md").read_text("utf-8").split())
"""Without its line ends: a sentence may be wrapped anywhere."""

FLOAT = r"(-?\d+\.\d+)"
SAID = {
    "quality_retrieval": [
        (
            rf"10-K filing: (\d+) questions, (\d+) passages\n.*?{FLOAT} +{FLOAT}.*\n.*?BM25 +{FLOAT} +{FLOAT}.*\n"
            rf".*?{FLOAT} +{FLOAT}",
            "10-K, {0} questions, {1} passages: accuracy@1 {2}, @5 {3} (bge-small-en {6} and {7}; "
            "BM25, which knows the corpus, {4} and {5})",
        ),
        (
            rf"union.*\n.*?numbers +{FLOAT} +{FLOAT}(?:.*\n)*wikitexts.*\n.*?numbers +{FLOAT} +{FLOAT}",
            "two other corpora: {0} and {1}, {2} and {3}",
        ),
    ],
    "quality_judge": [
        (rf"begin-wow, (\d+)(?:.*\n)*? +0\.5 +{FLOAT}.*chosen", "BEGIN ({0} replies): balanced accuracy {1}"),
        (
            rf"halueval-qa, (\d+)(?:.*\n)*?ties count as lost {FLOAT}%(?:.*\n)*?.*shorter answer: {FLOAT}%",
            "HaluEval ({0}): right answer above the hallucinated one in {1} % (taking the shorter one: {2} %)",
        ),
        (
            "".join(rf" +0\.{n} +{FLOAT}.*\n" for n in range(3, 9)),
            "from 0.3 to 0.8: {0}, {1}, {2} (0.5, the one in use), {3}, {4}, {5}.",
        ),
        (
            r"number +200 +(\d+)\.0%\n.*name +200 +(\d+)\.0%\n.*negation +200 +([\d.]+)%\n",
            "200 probes each on 10-K sentences: changed numbers {0} %, changed names {1} %, inserted negations {2} %",
        ),
        (
            r"itself +200 +(\d+)\.0%\n.*synonyms +200 +([\d.]+)%\n.*amounts +(\d+) +(\d+)\.0%",
            "it passes {0} % of the unchanged sentences (by rule) and {1} % with synonyms",
        ),
        (r"amounts +(\d+) +(\d+)\.0%", "sums ({1} % of {0} true sums passed)"),
        (r"names swapped +200 +(\d+)\.0%", "two names swapped ({0} %)"),
    ],
    "quality_reader": [
        (
            rf"F1 with people {FLOAT}\n.*F1 with people {FLOAT}",
            "token F1 with people {0} (quoting three sentences blindly: {1})",
        ),
        (
            rf"untrained +{FLOAT}\n.*trained +{FLOAT}\n.*shuffled +{FLOAT}",
            "untrained {0}, trained on its 40 replies {1}, on the same replies shuffled {2}",
        ),
    ],
    "quality_questions": [
        (rf"balanced accuracy {FLOAT} at", 'the balanced accuracy of "answerable from its page" is {0}'),
        (
            rf"10-K, (\d+) planted among (\d+): recall 1\.000, precision {FLOAT}",
            "Of {0} bad questions planted among {1} about the 10-K, all are found, with a precision of {2}",
        ),
    ],
    "faults": [
        (r"offsets (\d)(\d+), recovered (\d)(\d+)", "{0},{1} offsets, recovered {2},{3}"),
        (
            r"flips (\d)(\d+), named (\d)(\d+), set aside 0, accepted (\d+)",
            "{0},{1} flips, named {2},{3}, believed {4}",
        ),
        (
            r"130 after ([\d.]+) s, 0 req.*143 after ([\d.]+) s, 0 req.*130 after ([\d.]+) s, (0) req",
            "over after {0}, {1} and {2} s, requests begun later {3}",
        ),
        (
            r"exchanges (\d+)000, file (\d+) MB, CPU seconds ([\d.]+), process (\d+) MB",
            "a log of {0},000 exchanges | | {1} MB, opened in {2} s with {3} MB of memory",
        ),
    ],
    "bench": [
        (
            r"wall, (\d+) rows, (\d+) workers, (\d+) ms +([\d.]+) x  against the ideal, ([\d.]+) s",
            "{0} rows at {2} ms a call with {1} workers took {3} times {4} s, "
            "the calls' own time divided by the workers",
        ),
        (r"ragas, prompt tokens a row +(\d)(\d+) tokens", "sends {0},{1} prompt tokens a row"),
    ],
}
ROUNDED = {
    "quality_judge": [
        (rf"opposite word +(\d+) +{FLOAT}%", "opposite words {1:.0f} % (of {0:.0f})"),
        (rf"numbers swapped +\d+ +{FLOAT}%", "two numbers of a sentence swapped ({0:.0f} % caught)"),
    ],
}


@pytest.mark.parametrize("script", SAID)
def test_its_figures_are_those_that_the_script_printed(script: str) -> None:
    output = (FIGURES / f"{script}.txt").read_text("utf-8")
    for pattern, sentence in SAID[script]:
        found = re.search(pattern, output)
        assert found, pattern
        assert sentence.format(*found.groups()) in README
    for pattern, sentence in ROUNDED.get(script, []):
        found = re.search(pattern, output)
        assert found, pattern
        assert sentence.format(*map(float, found.groups())) in README


def test_the_teacher_s_shares_are_those_that_the_script_printed() -> None:
    output = (FIGURES / "quality_reader.txt").read_text("utf-8")
    answered, declined = re.findall(rf"teacher +{FLOAT} answered, {FLOAT} declined", output)[0]
    told = (
        f"answers {100 * float(answered):.1f} % of the answerable, declines {100 * float(declined):.1f} % of the others"
    )
    assert told in README


def test_the_coverage_is_that_of_the_simulation() -> None:
    output = (FIGURES / "simulate_compare.txt").read_text("utf-8")
    rows = re.findall(rf"^  (.+), (.+), \d+ questions +{FLOAT} +{FLOAT} +{FLOAT}", output, re.MULTILINE)

    def of(column: int, scores: str, pages: str) -> str:
        found = [100 * float(row[column]) for row in rows if row[:2] == (scores, pages)]
        assert len(found) == 4
        return f"{min(found):.1f} to {max(found):.1f} %"

    even, uneven = ("normal", "5 a page"), ("normal", "uneven")
    assert f"the interval holds the truth in {of(2, *even)}, with {of(3, *even)} false alarms" in README
    assert f"a plain paired t test gives {of(4, *even)}; on uneven pages in {of(2, *uneven)}" in README
    small = re.findall(rf"tied and skewed, .*, (?:20|50) questions +{FLOAT}", output)
    assert f"it falls to {100 * min(map(float, small)):.1f} to {100 * max(map(float, small)):.1f} %" in README


@pytest.mark.parametrize("script", ["quality_retrieval", "quality_judge", "quality_reader", "quality_questions"])
def test_the_script_prints_what_is_kept_of_it(script: str, shared: Path) -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / script], capture_output=True, text=True, check=True)
    assert done.stdout == (FIGURES / f"{script}.txt").read_text("utf-8")


def test_a_row_costs_the_judge_the_calls_and_tokens_that_it_says() -> None:
    command = [sys.executable, ROOT / "scripts" / "bench", "judge", "--rows", "4", "--latency", "1"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {name: float(value) for name, value in re.findall(r"^(.+) a row +([\d.]+) ", printed, re.MULTILINE)}
    chat, embedding, tokens = (found[name] for name in ("chat calls", "embedding calls", "prompt tokens"))
    assert f"{chat:.0f} chat calls, {embedding:.0f} embedding call and {tokens:,.0f} prompt tokens a row" in README


def test_the_cassettes_are_as_large_as_it_says() -> None:
    size = sum(path.stat().st_size for path in (ROOT / "cassettes").rglob("*.yaml"))
    assert f"{size / 1e6:.1f} MB in all" in README
