"""A PDF to a searchable store, the first time and again, against pypdf alone on one core reading every page.

Each repetition is fresh processes in turn: pypdf alone, `minirag index` into an empty folder without a cache,
and the same command again. The embedded service and its start are part of both. A line is the median of the ratios
of wall-clock time; where the machine has other work, two processes gain less, and the computing time of all tells more.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from benchmarks import Line
from benchmarks.chunk import TEN_K

PYPDF = "import sys, pypdf; [page.extract_text() for page in pypdf.PdfReader(sys.argv[1]).pages]"
LLAMA_INDEX = """
import sys
from llama_index.core import MockEmbedding, SimpleDirectoryReader, VectorStoreIndex
documents = SimpleDirectoryReader(input_files=[sys.argv[1]]).load_data()
VectorStoreIndex.from_documents(documents, embed_model=MockEmbedding(4096))
"""
"""It reads a PDF with pypdf, and embeds here with a constant: no embedding takes less."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--document", type=Path, default=TEN_K)
    parser.add_argument("--repetitions", type=int, default=5)


def measure(options: argparse.Namespace) -> list[Line]:
    document = str(options.document)
    peer = find_spec("llama_index") is not None
    rounds = [once(document, peer) for _ in range(options.repetitions)]
    lines = [Line("pypdf alone", statistics.median(r["alone"][0] for r in rounds), "s")]
    for what, reach in [("first", 0.5), ("again", 0.05), *([("LlamaIndex", None)] if peer else [])]:
        wall, computing = (statistics.median(r[what][n] / r["alone"][n] for r in rounds) for n in (0, 1))
        lines.append(Line(f"{options.document.name}, {what}", wall, "x", "pypdf alone", reach))
        lines.append(Line("  computing time", computing, "x", "pypdf alone"))
    return lines if peer else [*lines, Line("LlamaIndex: not installed, left out", float("nan"), "")]


def once(document: str, peer: bool) -> dict[str, tuple[float, float]]:
    """The seconds that each takes, one after the other: by the clock, and computing."""
    with tempfile.TemporaryDirectory() as folder:
        index = ["-m", "minirag", "index", document, "--offline", "--out", f"{folder}/out"]
        taken = {
            "alone": seconds(["-c", PYPDF, document], folder),
            "first": seconds(index, folder),
            "again": seconds(index, folder),
        }
        if peer:
            taken["LlamaIndex"] = seconds(["-c", LLAMA_INDEX, document], folder)
    return taken


def seconds(arguments: list[str], folder: str) -> tuple[float, float]:
    """What Python and its children take from start to end: by the clock, and computing. Its cache is in `folder`."""
    environment = {**os.environ, "XDG_CACHE_HOME": f"{folder}/cache"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what pip installs is compiled
    started, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, *arguments], check=True, env=environment, capture_output=True)
    wall, after = time.perf_counter() - started, os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system
