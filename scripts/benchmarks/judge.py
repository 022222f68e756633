"""Judging many rows with a slow service, against the ideal: all calls' latency divided by the workers.

Rows of two contexts of 1,024 tokens, faithfulness and answer relevancy, on a loopback service (a process of its own)
that takes LATENCY per call and answers at once otherwise. Tokens are counted in the requests as they were sent. ragas
judges the same rows by the same two metrics, with its own prompts, and is held against the ideal of its own calls.
"""

import argparse
import json
import multiprocessing
import os
import queue
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks import Line, is_installed
from minirag import EmbeddingModel, MessageLog, evaluate
from minirag.models import ChatModel
from minirag.offline.reading import parse
from minirag.server.server import Server
from minirag.server.wire import Reply, Request
from minirag.service import Service
from minirag.testing import completion
from minirag.text import encoding

SAMPLE = Path(__file__).parents[2] / "minirag" / "data" / "sample-report.md"
CONTEXT_TOKENS = 1024

Answer = Callable[[Request], bytes]


def instant_reply(request: Request) -> bytes:
    """What a judge says that does not think: three statements, all supported, three questions, one vector."""
    body = json.loads(request.body)
    if request.path.endswith("/embeddings"):
        data = [{"object": "embedding", "index": i, "embedding": [1.0, i]} for i in range(len(body["input"]))]
        reply: Any = {"object": "list", "model": "e", "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}
        return json.dumps(reply).encode()
    prompt = parse(body["messages"])
    said: dict[str, Any] = {"questions": [{"question": f"Number {i}?", "noncommittal": False} for i in range(3)]}
    if prompt.task == "statements":
        said = {"statements": ["One thing.", "Another thing.", "A third thing."]}
    if prompt.task == "verdicts":
        numbers = range(1, len(prompt.statements) + 1)
        said = {"verdicts": [{"index": i, "reason": "as stated", "supported": True} for i in numbers]}
    return json.dumps(completion(json.dumps(said))).encode()


def ragas_reply(request: Request) -> bytes:
    """The same to the prompts of ragas, which asks for an embedding at a time and for three replies at once."""
    body = json.loads(request.body)
    if request.path.endswith("/embeddings"):
        return instant_reply(request)
    asked = body["messages"][-1]["content"]
    said: dict[str, Any] = {"statements": ["One thing.", "Another thing.", "A third thing."]}
    if "noncommittal" in asked:
        said = {"question": "Which number?", "noncommittal": 0}
    elif '"verdict"' in asked:
        said = {"statements": [{"statement": one, "reason": "as stated", "verdict": 1} for one in said["statements"]]}
    reply = completion(json.dumps(said))
    choices = [{**reply["choices"][0], "index": index} for index in range(body.get("n") or 1)]
    return json.dumps({**reply, "choices": choices}).encode()


def serve(
    latency: float, addresses: "multiprocessing.Queue[str]", reply: Answer, asked: "multiprocessing.Queue[bytes] | None"
) -> None:
    """Run the slow service until the process is ended."""

    def service(request: Request) -> Reply:
        started = time.monotonic()
        answer = Reply(200, reply(request))
        if asked is not None:
            asked.put(request.body)
        time.sleep(max(0.0, latency - (time.monotonic() - started)))
        return answer

    with Server(service) as server:
        addresses.put(server.base_url)
        time.sleep(3600)


@contextmanager
def slow_service(
    latency: float, reply: Answer = instant_reply, asked: "multiprocessing.Queue[bytes] | None" = None
) -> Iterator[str]:
    """Its address; what it is asked goes into `asked`."""
    context = multiprocessing.get_context("fork")
    addresses: multiprocessing.Queue[str] = context.Queue()
    process = context.Process(target=serve, args=(latency, addresses, reply, asked), daemon=True)
    process.start()
    try:
        yield addresses.get(timeout=30)
    finally:
        process.terminate()


def contexts() -> list[str]:
    """Two texts of exactly so many tokens from the sample report."""
    tokenizer = encoding("o200k_base")
    text, found = SAMPLE.read_text("utf-8"), []
    for _ in range(2):
        end = 4 * CONTEXT_TOKENS
        while tokenizer.count(text[:end]) > CONTEXT_TOKENS:
            end -= 1
        found.append(text[:end])
        text = text[end:]
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--latency", type=float, default=200.0, help="milliseconds")


def measure(options: argparse.Namespace) -> list[Line]:
    rows, workers, latency = options.rows, options.workers, options.latency / 1000
    given = contexts()
    questions = [
        {
            "question": f"What did the company of row {n} do in the year?",
            "answer": f"It sold instruments. It opened hall {n}. Its revenue rose by nine per cent.",
            "contexts": [f"Row {n}. {given[0]}", given[1]],
        }
        for n in range(rows)
    ]
    with tempfile.TemporaryDirectory() as folder, slow_service(latency) as address, Service(address, "k") as service:
        log = MessageLog(Path(folder) / "messages.jsonl")
        model = ChatModel("gpt-4o", log=log, service=service)
        embed = EmbeddingModel("text-embedding-3-small", log=log, service=service)
        model.complete([{"role": "user", "content": "warm up"}], stage="reverse")
        started = time.monotonic()
        evaluate(questions, ["faithfulness", "answer_relevancy"], model, embed, workers=workers)
        wall = time.monotonic() - started
        exchanges = list(log)[1:]
        log.close()
    calls = Counter(exchange.endpoint for exchange in exchanges)
    prompts = [e for e in exchanges if e.endpoint == "chat.completions"]
    ideal = len(exchanges) * latency / workers
    tokens = sum(model.tokenizer.count_messages(e.request["messages"]) for e in prompts)
    setting = f"{rows} rows, {workers} workers, {options.latency:g} ms"
    return [
        Line(f"wall, {setting}", wall / ideal, "x", f"the ideal, {ideal:.2f} s", 1.5),
        Line("chat calls a row", calls["chat.completions"] / rows, "calls"),
        Line("embedding calls a row", calls["embeddings"] / rows, "calls"),
        Line("prompt tokens a row", tokens / rows, "tokens", f"{2 * CONTEXT_TOKENS} of them contexts"),
        *(in_ragas(questions, workers, latency, model) if is_installed("ragas") else []),
    ]


def in_ragas(
    questions: Sequence[Mapping[str, Any]], workers: int, latency: float, counting: ChatModel
) -> Iterator[Line]:
    """The same rows judged by ragas with as many calls in flight."""
    os.environ["RAGAS_DO_NOT_TRACK"] = "true"
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings
    from ragas import EvaluationDataset, RunConfig
    from ragas import evaluate as judged_by_ragas
    from ragas.embeddings import LangchainEmbeddingsWrapper
    from ragas.llms import LangchainLLMWrapper
    from ragas.metrics import answer_relevancy, faithfulness

    names = {"question": "user_input", "answer": "response", "contexts": "retrieved_contexts"}
    rows = [{names[key]: value for key, value in row.items()} for row in questions]
    asked: multiprocessing.Queue[bytes] = multiprocessing.get_context("fork").Queue()
    with slow_service(latency, ragas_reply, asked) as address:
        given: dict[str, Any] = {"base_url": address, "api_key": "k"}
        judge = LangchainLLMWrapper(ChatOpenAI(model="gpt-4o", **given))
        embed = LangchainEmbeddingsWrapper(OpenAIEmbeddings(model="e", check_embedding_ctx_length=False, **given))
        metrics, limits = [faithfulness, answer_relevancy], RunConfig(max_workers=workers)
        judged = {"metrics": metrics, "llm": judge, "embeddings": embed, "run_config": limits, "show_progress": False}
        judged_by_ragas(EvaluationDataset.from_list(rows[:1]), **judged)  # warm up
        drained(asked)
        started = time.monotonic()
        judged_by_ragas(EvaluationDataset.from_list(rows), **judged)
        wall = time.monotonic() - started
        requests = [json.loads(body) for body in drained(asked)]
    ideal = len(requests) * latency / workers
    prompts = [request["messages"] for request in requests if "messages" in request]
    tokens = sum(map(counting.tokenizer.count_messages, prompts))
    yield Line("ragas, wall", wall / ideal, "x", f"the ideal of its own calls, {ideal:.2f} s")
    yield Line("ragas, chat calls a row", len(prompts) / len(rows), "calls")
    yield Line("ragas, embedding calls a row", (len(requests) - len(prompts)) / len(rows), "calls")
    yield Line("ragas, prompt tokens a row", tokens / len(rows), "tokens")


def drained(asked: "multiprocessing.Queue[bytes]") -> list[bytes]:
    """What is in the queue; it comes out of another process, so the last of it may be on its way."""
    found = []
    with suppress(queue.Empty):
        while True:
            found.append(asked.get(timeout=0.5))
    return found
