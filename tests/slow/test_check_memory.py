"""`minirag check` keeps what it compares in memory: how much a line takes, on files of different lines.

MINIRAG_LINES sets the number of lines of the larger file; the default is 100,000.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

LINES = int(os.environ.get("MINIRAG_LINES", "100000"))
WORDS = [f"{stem}{n}" for stem in "amber basalt cedar delta ember fjord garnet harbour".split() for n in range(400)]
PEAK = """
import resource, sys
from pathlib import Path
from minirag.curation import check_files
[checked] = check_files([Path(sys.argv[1])])
print(len(checked.tokens), len(checked.findings), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(path: Path, lines: int) -> int:
    """Return the peak memory in kB of checking a file of so many lines, in a process of its own."""
    dice = random.Random(lines)
    with path.open("w") as file:
        for _ in range(lines):
            question, answer = (" ".join(dice.choices(WORDS, k=count)) for count in (25, 15))
            texts = {"system": "Answer.", "user": f"What of {question}?", "assistant": f"It is {answer}."}
            file.write(json.dumps({"messages": [{"role": r, "content": t} for r, t in texts.items()]}) + "\n")
    run = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True)
    examples, findings, kilobytes = map(int, run.stdout.split())
    assert (examples, findings) == (lines, 0)
    return kilobytes


def test_a_line_takes_less_than_3_kb(tmp_path: Path) -> None:
    small, large = peak(tmp_path / "small.jsonl", LINES // 10), peak(tmp_path / "large.jsonl", LINES)
    print(f"\n{LINES:,} lines: {large / 1024:.0f} MiB, {(large - small) / (0.9 * LINES):.2f} kB a line")
    assert large - small < 3 * 0.9 * LINES
