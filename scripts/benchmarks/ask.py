"""Questions to a service that takes 0 or 200 ms, with 1, 8 and 32 calls in flight, against the bare SDK.

Both send the same requests through one client, to a loopback service in a process of its own. For each call minirag
searches an index, fills the window, leaves word that the call is in flight, writes the log and syncs it: what that adds
is the difference of the processor's time. LlamaIndex asks the same of an index of its own, and keeps no log. Own time
is held against that of the bare SDK; with a latency the wall is held against the ideal, the latency times the
rounds in which the calls go out. The first round is not counted: it unpacks the vocabulary and opens connections.
"""

import argparse
import math
import statistics
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import Line, cpu, is_installed, seconds
from benchmarks.judge import contexts, slow_service
from minirag import ChatModel, Chunk, MessageLog, QueryEngine, VectorStore
from minirag.retry import in_order
from minirag.service import Service
from minirag.testing import TableEmbedding

Asked = tuple[str, NDArray[np.float32]]

MODEL = "gpt-4.1"
DIMENSIONS = 256
OWN_TIME = 1.5 / 1.3
"""1.5 ms where the bare SDK takes 1.3: a ratio holds on any machine."""


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
    """The same calls by minirag, by the bare SDK and by a peer, in turns."""
    store = index()
    asked = [(f"What does passage {n} say?", store.vectors[n % len(store)]) for n in range(options.questions)]
    client: Any = service.client
    peer = in_llama_index(client, store) if is_installed("llama_index.core") else None
    rounds = math.ceil(len(asked) / workers)
    taken: dict[str, list[tuple[float, float]]] = {"minirag": [], "the bare SDK": [], "LlamaIndex": []}
    for _ in range(1 + options.repeats):
        with tempfile.TemporaryDirectory() as folder, MessageLog(Path(folder) / "messages.jsonl") as log:
            engine = QueryEngine(store, ChatModel(MODEL, log=log, service=service), TableEmbedding({}))
            answer = partial(answered, engine)
            taken["minirag"].append(timed(answer, asked, workers))
            requests = [exchange.request for exchange in log]
        taken["the bare SDK"].append(timed(lambda sent: client.chat.completions.create(**sent), requests, workers))
        if peer is not None:
            taken["LlamaIndex"].append(timed(peer, asked, workers))
    setting, lines = f"{1000 * latency:g} ms, {workers} in flight", []
    bare = taken.pop("the bare SDK")[1:]
    sdk = f"the bare SDK, {1000 * statistics.median(used for _, used in bare) / len(asked):.3g} ms CPU"
    for name, found in taken.items():
        pairs = list(zip(found[1:], bare, strict=True)) if found else []
        if not pairs:
            continue
        own = statistics.median((ours[1] - others[1]) / others[1] for ours, others in pairs)
        reach = OWN_TIME if name == "minirag" and not latency else None
        lines.append(Line(f"{setting}: {name}'s own time a call", own, "x", sdk, reach))
        if latency:
            ideal = rounds * latency
            wall = statistics.median(ours[0] / ideal for ours, _ in pairs)
            alone = statistics.median(others[0] / ideal for _, others in pairs)
            reach = 1.25 if name == "minirag" and workers == 8 else None
            told = f"the ideal, {ideal:g} s; the bare SDK {alone:.3g} x"
            lines.append(Line(f"{setting}: {name}, wall", wall, "x", told, reach))
    return lines


def answered(engine: QueryEngine, asked: Asked) -> object:
    question, vector = asked
    return engine.query(question, vector=vector)


def in_llama_index(client: Any, store: VectorStore) -> Callable[[Asked], object]:
    """The same retrieval and prompt sizes by LlamaIndex, which calls through the same client and keeps no log."""
    from llama_index.core import MockEmbedding, QueryBundle, VectorStoreIndex
    from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
    from llama_index.core.schema import TextNode

    class Sdk(CustomLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(context_window=2048, num_output=256, model_name=MODEL)

        def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
            messages = [{"role": "user", "content": prompt}]
            reply = client.chat.completions.create(model=MODEL, messages=messages, max_tokens=256, temperature=0.0)
            return CompletionResponse(text=reply.choices[0].message.content or "")

        def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
            raise NotImplementedError

    pairs = zip(store.chunks, store.vectors, strict=True)
    nodes = [TextNode(id_=chunk.id, text=chunk.text, embedding=vector.tolist()) for chunk, vector in pairs]
    peer = VectorStoreIndex(nodes, embed_model=MockEmbedding(DIMENSIONS))
    engine = peer.as_query_engine(llm=Sdk(), similarity_top_k=2, response_mode="compact")
    return lambda asked: engine.query(QueryBundle(asked[0], embedding=asked[1].tolist()))


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
