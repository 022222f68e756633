"""CPU seconds to start: `import minirag`, the command line's help, and a bill, each in a process of its own.

The bill is that of a small offline run. What the bare interpreter takes is in all of them.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import Line, is_installed

SAMPLE = Path(__file__).parents[2] / "minirag" / "data" / "sample-report.pdf"
PEERS = ("openai", "ragas", "llama_index.core")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", type=int, default=9)


def measure(options: argparse.Namespace) -> list[Line]:
    with tempfile.TemporaryDirectory() as name:
        run = ["-m", "minirag", "run", str(SAMPLE), "--offline", "--out", f"{name}/out"]
        cpu_seconds([*run, "--train-questions", "12", "--eval-questions", "10"])
        starts = {
            "python": (["-c", ""], None),
            "import minirag": (["-c", "import minirag"], 0.1),
            "minirag --help": (["-m", "minirag", "--help"], 0.2),
            "minirag run --help": (["-m", "minirag", "run", "--help"], 0.2),
            "minirag costs DIR": (["-m", "minirag", "costs", f"{name}/out"], 0.5),
            **{f"import {peer}": (["-c", f"import {peer}"], None) for peer in PEERS if is_installed(peer)},
        }
        return [
            Line(what, statistics.median(cpu_seconds(command) for _ in range(options.repeats)), "s CPU", "", reach)
            for what, (command, reach) in starts.items()
        ]


def cpu_seconds(arguments: list[str]) -> float:
    """What a Python process takes of the processor, in user and system mode."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-W", "ignore", *arguments], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
