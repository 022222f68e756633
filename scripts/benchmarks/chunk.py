"""Cutting a text into chunks, against tiktoken alone on the same text: the least that counting takes.

One process and one thread; each repetition takes both in turn, and a line is the median of their ratios. Peers cut
the same pages with the same vocabulary. The document is the 10-K unless another is named; the large text is its
pages again and again, and the long line has no space to cut at.
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import Line
from minirag import chunk, load
from minirag.chunker import Chunk
from minirag.documents import Page
from minirag.sentences import sentence_spans
from minirag.text import Tokenizer, encoding

TEN_K = Path(__file__).parents[3] / "shared" / "nvidia-10k" / "nvidia-sec-10k-2022.pdf"
SETTINGS = [(512, 64), (1024, 128)]
ENCODINGS = ["cl100k_base", "o200k_base"]

Cut = Callable[[str], Any]


def semchunk(tokenizer: Tokenizer, size: int, overlap: int) -> Cut:
    chunker = import_module("semchunk").chunkerify(tokenizer.count, size, memoize=False)  # or repetitions cost nothing
    return lambda text: chunker(text, overlap=overlap)


def langchain(tokenizer: Tokenizer, size: int, overlap: int) -> Cut:
    splitter = import_module("langchain_text_splitters").RecursiveCharacterTextSplitter
    cut: Cut = splitter(chunk_size=size, chunk_overlap=overlap, length_function=tokenizer.count).split_text
    return cut


def llama_index(tokenizer: Tokenizer, size: int, overlap: int) -> Cut:
    splitter = import_module("llama_index.core.node_parser").SentenceSplitter
    cut: Cut = splitter(chunk_size=size, chunk_overlap=overlap, tokenizer=tokenizer.encode).split_text
    return cut


def chonkie(tokenizer: Tokenizer, size: int, overlap: int) -> Cut:
    splitter = import_module("chonkie").SentenceChunker
    cut: Cut = splitter(tokenizer.count, chunk_size=size, chunk_overlap=overlap)
    return cut


PEERS = {"semchunk": semchunk, "langchain_text_splitters": langchain, "llama_index": llama_index, "chonkie": chonkie}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--document", type=Path, default=TEN_K)
    parser.add_argument("--megabytes", type=float, default=20.0, help="of the large text")
    parser.add_argument("--repetitions", type=int, default=9)


def measure(options: argparse.Namespace) -> list[Line]:
    pages = list(load(options.document))
    times = 1 + int(options.megabytes * 1e6 / sum(len(page.text) for page in pages))
    large = [Page(n * len(pages) + page.number, page.source, page.text) for n in range(times) for page in pages]
    line = [Page(1, "line", "Zq9_aaaaaaaaaaaaaaaa" * 50_000)]
    lines = []
    for name in ENCODINGS:
        for size, overlap in SETTINGS:
            setting = f"{size}/{overlap} {name}"
            small = ours(pages, name, size, overlap, options.repetitions)
            lines.append(Line(f"{options.document.name} {setting}", small, "x", "tiktoken alone", 1.35))
            lines += promises(pages, name, size, overlap)
            lines += peers(pages, name, size, overlap)
            few = max(3, options.repetitions // 3)
            lines.append(Line(f"large text {setting}", ours(large, name, size, overlap, few), "x", "tiktoken", 1.35))
            lines.append(Line(f"long line {setting}", ours(line, name, size, overlap, few), "x", "tiktoken", 2.0))
    return lines


def ours(pages: Sequence[Page], name: str, size: int, overlap: int, repetitions: int) -> float:
    gc.freeze()  # what the peers have loaded is not looked through for garbage
    return ratio(lambda: chunk(pages, size=size, overlap=overlap, tokenizer=name), limit(pages, name), repetitions)


def limit(pages: Sequence[Page], name: str) -> Callable[[], object]:
    encode = encoding(name).encode
    return lambda: [encode(page.text) for page in pages]


def ratio(one: Callable[[], object], other: Callable[[], object], repetitions: int) -> float:
    """The median of how many times as long `one` takes as `other`, after a first call of both."""
    seconds(one), seconds(other)
    return statistics.median(seconds(one) / seconds(other) for _ in range(repetitions))


def seconds(work: Callable[[], object]) -> float:
    """Of this process alone: what others do on the machine does not count."""
    started = time.process_time()
    work()
    return time.process_time() - started


def promises(pages: Sequence[Page], name: str, size: int, overlap: int) -> list[Line]:
    """What must hold of the chunks, counted and sliced afresh."""
    chunks = chunk(pages, size=size, overlap=overlap, tokenizer=name)
    text = "".join(page.text for page in pages)
    count = encoding(name).count
    wrong = sum(c.text != text[c.start : c.end] or c.tokens != count(c.text) for c in chunks)
    over = sum(count(c.text) > size for c in chunks)
    return [
        Line(f"  chunks over size, of {len(chunks)}", over, "chunks", reach=0),
        Line("  chunks with a wrong offset or count", wrong, "chunks", reach=0),
        Line("  cut inside a sentence", 100 * inside(pages, chunks) / len(chunks), "%", reach=5),
    ]


def inside(pages: Sequence[Page], chunks: Sequence[Chunk]) -> int:
    """How many chunks end where no sentence does."""
    ends, offset = set(), 0
    for page in pages:
        ends.update(offset + end for _, end in sentence_spans(page.text))
        offset += len(page.text)
    return sum(c.end not in ends for c in chunks)


def peers(pages: Sequence[Page], name: str, size: int, overlap: int) -> list[Line]:
    lines = []
    for package, make in PEERS.items():
        if find_spec(package) is None:
            lines.append(Line(f"  {package}: not installed, left out", float("nan"), ""))
            continue
        cut = make(encoding(name), size, overlap)
        value = ratio(lambda cut=cut: [cut(page.text) for page in pages], limit(pages, name), 3)
        lines.append(Line(f"  {package}", value, "x", "tiktoken alone"))
    return lines
