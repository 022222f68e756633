"""Questions to a service that takes 0 or 200 ms, with 1, 8 and 32 calls in flight, against the bare SDK.

Both send the same requests through one client, to a loopback service in a process of its own. For each call minirag
searches an index, fills the window, leaves word that the call is in flight, writes the log and syncs it: what that adds
is the difference of the processor's time; with a latency the wall is held against the ideal, the latency times the
rounds in which the calls go out. The first round is not counted: it unpacks the vocabulary and opens connections.
"""

import argparse
import math
import statistics
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import Line, cpu, seconds
from benchmarks.judge import contexts, slow_service
from minirag import ChatModel, Chunk, MessageLog, QueryEngine, VectorStore
from minirag.pool import in_order
from minirag.service import Service
from minirag.testing import TableEmbedding

DIMENSIONS = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--latencies", type=float, nargs="+", default=[0.0, 200.0], metavar="MILLISECONDS")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--repeats", type=int, default=5)


def measure(options: argparse.Namespace) -> list[Line]:
    lines = []
    for latency in options.latencies:
        for workers in options.workers:
            with slow_service(latency / 1000) as address, Service(address, "k") as service:
                lines += against_the_sdk(service, latency / 1000, workers, options)
    return lines


def against_the_sdk(service: Service, latency: float, workers: int, options: argparse.Namespace) -> list[Line]:
    """The same calls by minirag and by the bare SDK, in turns."""
    store = index()
    asked = [(f"What does passage {n} say?", store.vectors[n % len(store)]) for n in range(options.questions)]
    client: Any = service.client
    rounds = math.ceil(len(asked) / workers)
    own, walls = [], []
    for number in range(1 + options.repeats):
        with tempfile.TemporaryDirectory() as folder, MessageLog(Path(folder) / "messages.jsonl") as log:
            engine = QueryEngine(store, ChatModel("gpt-4.1", log=log, service=service), TableEmbedding({}))
            ours = timed(lambda asking, engine=engine: engine.query(asking[0], vector=asking[1]), asked, workers)
            requests = [exchange.request for exchange in log]
        bare = timed(lambda request: client.chat.completions.create(**request), requests, workers)
        if number > 0:
            own.append(1000 * (ours[1] - bare[1]) / len(requests))
            walls.append((ours[0], bare[0]))
    setting = f"{1000 * latency:g} ms, {workers} in flight"
    lines = [
        Line(
            f"{setting}: own time a call",
            statistics.median(own),
            "ms CPU",
            "the bare SDK",
            1.5 if latency == 0 else None,
        )
    ]
    if latency:
        wall = statistics.median(took / (rounds * latency) for took, _ in walls)
        sdk = statistics.median(took / (rounds * latency) for _, took in walls)
        lines.append(
            Line(f"{setting}: wall", wall, "x", f"the ideal, {rounds * latency:g} s; the bare SDK {sdk:.3g} x", 1.25)
        )
    return lines


def timed(call: Callable[[Any], object], items: Iterable[Any], workers: int) -> tuple[float, float]:
    """Seconds by the wall and of the processor for a call with each item."""
    walls: list[float] = []
    used = cpu(lambda: walls.append(seconds(lambda: list(in_order(call, items, workers)))))
    return walls[0], used


def index() -> VectorStore:
    """A hundred chunks of the sample report's text, with random vectors."""
    text = contexts()[0]
    chunks = [Chunk(f"p{n}-{n:08x}", "made.txt", n, 0, 2000, 500, text[n : n + 2000]) for n in range(100)]
    return VectorStore(chunks, np.random.default_rng(0).standard_normal((100, DIMENSIONS), np.float32), "random")
