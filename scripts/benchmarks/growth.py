"""Whole offline runs on longer documents and with more questions, and larger and larger indexes: time and memory.

Each run is a process with its own children (the embedded server, the readers of documents). Time is what all of them
take of the processor; memory is the most that they hold together, looked at every 50 ms. A line is fitted to the
logarithms; its slope is 1 where twice the work takes twice as long. Questions are asked about the longest document. An
index of random vectors is built, saved, opened and searched with 64 questions, in a process of its own.
"""

import argparse
import multiprocessing
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import Line, cpu, peak
from benchmarks.search import QUESTIONS, TEXT, K, RandomVectors
from minirag import Chunk, VectorStore

PARTS = (
    "The {0} plant near {1} made {2} {3} in the year, {4} per cent more than before.",
    "Its manager {5} said that the {3} from {1} sold at {6} dollars each.",
    "In {1} the company leases {7} halls, and the lease of the {0} hall ends in {8}.",
    "Repairs of the {0} line cost {9} dollars and were led by {5}.",
)
DIMENSIONS = 1536
SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe ri so tu va we xi yo zu".split()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pages", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--questions", type=int, nargs="*", default=[40, 400])
    parser.add_argument("--vectors", type=int, nargs="*", default=[1000, 10_000, 100_000])


def measure(options: argparse.Namespace) -> list[Line]:
    longest = max(options.pages, default=1000)  # enough to ask about, and as many pages for few questions as for many
    lines = grown("pages", options.pages, [run(pages, 20) for pages in options.pages])
    by_questions = [run(longest, questions) for questions in options.questions]
    lines += grown("questions", options.questions, by_questions)
    if by_questions:
        most = max(memory for _, memory in by_questions)
        what = f"memory of {longest:,} pages, {max(options.questions):,} questions"
        lines.append(Line(what, most / 1e9, "GB", "", 2.0))
    return lines + grown("vectors", options.vectors, [in_a_process(index, vectors) for vectors in options.vectors])


def grown(what: str, sizes: list[int], found: list[tuple[float, int]]) -> list[Line]:
    """How time and memory grow with `sizes`: each run, and the slope over all."""
    lines = [
        Line(f"{size:,} {what}", used, "s CPU", f"{memory / 1e6:,.0f} MB")
        for size, (used, memory) in zip(sizes, found, strict=True)
    ]
    for name, values in zip(("time", "memory"), zip(*found, strict=True), strict=False):  # neither of no runs
        slope = float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
        lines.append(Line(f"{name} by {what}, {min(sizes):,} to {max(sizes):,}", slope, "exponent", "1", 1.1))
    return lines


def run(pages: int, questions: int) -> tuple[float, int]:
    """CPU seconds and most bytes held of an offline run, with all its children."""
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / "made.txt"
        document.write_text("\f".join(page(number) for number in range(pages)), "utf-8")
        asked = ["--train-questions", str(questions // 2), "--eval-questions", str(questions - questions // 2)]
        command = [sys.executable, "-m", "minirag", "run", str(document), "--offline", "--out", f"{folder}/out", *asked]
        before, most = resource.getrusage(resource.RUSAGE_CHILDREN), 0
        with (Path(folder) / "said").open("wb") as said:
            process = subprocess.Popen(command, stdout=said, stderr=said)
            while process.poll() is None:
                most = max(most, held(process.pid))
                time.sleep(0.05)
        if process.returncode:
            raise SystemExit((Path(folder) / "said").read_text("utf-8"))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{pages:,} pages, {questions:,} questions: {used:.1f} s CPU, {most / 1e6:,.0f} MB", file=sys.stderr)
    return used, most


def in_a_process(call: Callable[[int], tuple[float, int]], size: int) -> tuple[float, int]:
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(call, (size,))


def index(vectors: int) -> tuple[float, int]:
    """CPU seconds and most bytes held of an index of so many vectors, from its chunks to 64 answers."""
    chunks = [Chunk(f"p{n}-{n:08x}", "made.txt", n, n, n + 1, 1, f"Chunk {n}. {TEXT}") for n in range(vectors)]
    model = RandomVectors(DIMENSIONS)

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            VectorStore.build(chunks, model).save(folder)
            VectorStore.open(folder).search(model.embed([""] * QUESTIONS), K)

    return cpu(work), peak()


def page(number: int) -> str:
    """Some paragraphs of a made-up report; no two pages say the same."""
    dice = random.Random(number)
    paragraphs = []
    for _ in range(6):
        words = ["".join(dice.choices(SYLLABLES, k=4)) for _ in range(4)]
        counts = [str(dice.randrange(100, 99_999)) for _ in range(6)]
        names = words[1].title(), words[3].title()
        values = (words[0], names[0], counts[0], words[2] + "s", counts[1], names[1], *counts[2:])
        paragraphs.append(" ".join(part.format(*values) for part in PARTS))
    return "\n\n".join(paragraphs)


def held(root: int) -> int:
    """Bytes of memory of a process and all that descend from it."""
    parents, sizes = {}, {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
        except OSError:  # it has just ended
            continue
        number = int(status.parent.name)
        parents[number], sizes[number] = int(fields["PPid"]), int(fields.get("VmRSS", "0").split()[0])
    family = {root}
    while more := {number for number, parent in parents.items() if parent in family} - family:
        family |= more
    return 1024 * sum(sizes.get(number, 0) for number in family)
