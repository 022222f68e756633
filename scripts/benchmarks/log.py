"""The message log: appending, opening and replaying 1,000 to 100,000 exchanges of some kilobytes.

Each log is opened in a process of its own, so that the peak of memory is that of opening alone. Opening is timed by the
processor's clock: the file was just written, so nothing waits for the disk. A run's appends are synced: the last line.
"""

import argparse
import math
import multiprocessing
import tempfile
from pathlib import Path

from benchmarks import Line, cpu, peak, seconds
from minirag import Exchange, MessageLog
from minirag.testing import completion

TEXT = "Basic net income per share is net income divided by the weighted average of the shares outstanding. " * 20
REPLAYED = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--exchanges", type=int, nargs="+", default=[1_000, 10_000, 100_000])


def measure(options: argparse.Namespace) -> list[Line]:
    lines, opened = [], []
    with tempfile.TemporaryDirectory() as folder:
        for count in options.exchanges:
            path = Path(folder) / f"{count}.jsonl"
            with MessageLog(path, sync=False) as log:
                append = seconds(lambda log=log, count=count: [log.append(exchange(n)) for n in range(count)])
            with multiprocessing.get_context("spawn").Pool(1) as process:
                took, replay, memory = process.apply(open_and_replay, (path,))
            opened.append((count, took, memory))
            size = path.stat().st_size / 1e6
            lines += [
                Line(f"{count:,} exchanges, {size:,.0f} MB: append, unsynced", 1e6 * append / count, "us each"),
                Line(f"{count:,} exchanges: open", 60 * took / size, "x", f"60 MB/s; {size / took:,.0f} MB/s", 1.0),
                Line(f"{count:,} exchanges: find one and read it", 1e6 * replay, "us"),
                Line(f"{count:,} exchanges: memory of opening", memory / count, "bytes an exchange"),
            ]
        with MessageLog(Path(folder) / "synced.jsonl") as log:
            synced = seconds(lambda: [log.append(exchange(n)) for n in range(200)])
    lines.append(Line("append, synced", 1e3 * synced / 200, "ms each"))
    (few, quick, _), (many, slow, _) = opened[0], opened[-1]
    if many > few:
        exponent = math.log(slow / quick) / math.log(many / few)
        lines.append(Line(f"open from {few:,} to {many:,}", exponent, "exponent", "a straight line: 1", 1.1))
    return lines


def exchange(number: int) -> Exchange:
    """A call about as large as one of a run's: a prompt of 2 kB and its reply."""
    request = {"model": "gpt-4.1", "messages": [{"role": "user", "content": f"{number}: {TEXT}"}], "max_tokens": 256}
    tags = {"question": f"q{number}", "split": "train", "draft": 1}
    return Exchange(
        "draft",
        "chat.completions",
        "https://host/v1",
        request,
        completion(TEXT[:300]),
        None,
        0,
        tags,
        "2026-11-22T05:23:20Z",
        1.84,
    )


def open_and_replay(path: Path) -> tuple[float, float, int]:
    """CPU seconds to open a log, seconds to find one of its exchanges, bytes by which the peak of memory rose."""
    before, logs = peak(), []
    took = cpu(lambda: logs.append(MessageLog(path)))
    memory, log = peak() - before, logs[0]
    ids = [exchange(n).id for n in range(0, len(log), max(1, len(log) // REPLAYED))]
    return took, seconds(lambda: [log.find(id) for id in ids]) / len(ids), memory
