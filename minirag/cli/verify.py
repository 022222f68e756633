"""Row 9. `minirag verify DIR`: everything in a run's folder follows from its log; or where it does not.

The run is repeated in a temporary folder by models that answer from the log only, and its files are compared byte by
byte. No key is needed and nothing is sent. The vectors of the index are the one thing that no log holds: they are held
to their checksum, and to the retrieval that every recorded request shows.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from minirag import costs
from minirag.chunker import Chunk
from minirag.cli.connect import store_builder
from minirag.cli.differences import differences
from minirag.cli.resume import recorded_facts, settings_of
from minirag.cli.terminal import show, show_json
from minirag.curation import DECISIONS
from minirag.documents import Page, Pages
from minirag.errors import DocumentError, InputError, MiniragError, StoreError
from minirag.message_log import MessageLog, exchange_id
from minirag.pipeline import Run
from minirag.statistics import LABELS_FILE
from minirag.testing import Replay
from minirag.vector_store import VectorStore

INDEX = ("chunks.jsonl", "vectors.npy", "index.json")
STEPS = {
    "questions.jsonl": "questions",
    "training.jsonl": "training_file",
    "job.json": "tuned",
    "answers.jsonl": "answers",
    "scores.jsonl": "scores",
    "comparison.json": "comparison",
    "costs.json": "costs",
    "report.html": "report",
}
"""The step that writes each file."""
OF_THIS_MACHINE = {"minirag", "versions"}
"""Facts of `run.json` that say who computed, not what."""


class Verified(NamedTuple):
    """What a repetition gave: the files that are the same, those that could not be repeated and why, what differs."""

    same: list[str]
    skipped: dict[str, str]
    found: list[str]


def main(given: Mapping[str, Any]) -> int:
    """Repeat a run from its log and say what differs; exit code 0 or 2."""
    folder: Path = given["folder"]
    for name in ("run.json", "messages.jsonl"):
        if not (folder / name).is_file():
            raise InputError(f"There is no run in {folder} ({name} is missing); name the folder of a run.")
    log = MessageLog(folder / "messages.jsonl")
    found = list(_forged(log))
    with TemporaryDirectory(prefix="minirag-verify-") as temporary, ExitStack() as stack:
        verified = _repeated(folder, Path(temporary), given, stack)
    verified.found[:0] = found
    result = {"exchanges": len(log), **verified._asdict()}
    show_json(result) if given.get("json") else show("\n".join(_lines(len(log), verified)))
    return 2 if verified.found else 0


def _forged(log: MessageLog) -> Iterator[str]:
    """The lines whose identity does not follow from their request: intact to their checksum, but changed."""
    for number, exchange in enumerate(log, 1):
        if exchange.id != exchange_id(exchange.service, exchange.endpoint, exchange.request, exchange.repeat):
            yield f"{log.path.name} line {number}, id: does not follow from the line's request"


def _repeated(folder: Path, temporary: Path, given: Mapping[str, Any], stack: ExitStack) -> Verified:
    """Repeat the run of `folder` in `temporary`, as far as it went, and compare."""
    facts = recorded_facts(folder)
    settings, _ = settings_of({}, folder)
    build_store = store_builder(given, stack, recorded=facts.get("store"), ef_search=settings.ef_search)
    for name in ("messages.jsonl", *(INDEX if build_store is None else ()), DECISIONS, LABELS_FILE):
        if (folder / name).exists():
            (temporary / name).symlink_to((folder / name).resolve())
    prices = costs.load_prices(given.get("prices") or settings.prices)
    run = Run(temporary, settings, lambda: Replay(run.log, facts["service"]), prices=prices)
    run.build_store = build_store
    for name in ("student_service", "tuned_service"):
        if facts.get(name):
            setattr(run, name, Replay(run.log, facts[name]))
    verified = Verified([], {}, [])
    step = "the index"
    try:
        _take_documents(run, _indexed(folder, in_folder=build_store is None), facts, verified)
        for name, step in STEPS.items():
            if (folder / name).is_file() and name not in verified.skipped:
                getattr(run, step)
        if "run.json" not in verified.skipped:
            run.record()
    except MiniragError as error:
        verified.found.append(f"{step} cannot be repeated: {error}")
    _compare(folder, temporary, verified)
    return verified


def _indexed(folder: Path, *, in_folder: bool) -> list[Chunk]:
    """The chunks of the run's index; a database has them under a name that follows from them all."""
    if in_folder:
        return list(VectorStore.open(folder).chunks)
    try:
        lines = (folder / "chunks.jsonl").read_bytes().splitlines()
        return [Chunk.from_json(json.loads(line)) for line in lines]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"chunks.jsonl in {folder} cannot be read ({type(error).__name__}).") from error


def _take_documents(run: Run, chunks: list[Chunk], facts: Mapping[str, Any], verified: Verified) -> None:
    """Cut the documents into chunks again, or, where they are gone or others by now, take the chunks of the index."""
    try:
        digests = dict(run.pages.sha256)
    except DocumentError as error:
        verified.skipped.update(dict.fromkeys(("chunks.jsonl", "run.json", "report.html"), str(error)))
        run.pages = Pages(_pages_of(chunks), sha256=facts["documents"])
    else:
        for name in dict.fromkeys((*facts["documents"], *digests)):
            if digests.get(name) != facts["documents"].get(name):
                verified.found.append(f"{name} is not the document of this run: its sha256 is another")
        if run.chunks != chunks:
            verified.found.append("chunks.jsonl is not what the documents give")
        else:
            verified.same.append("chunks.jsonl")
    run.chunks = chunks


def _pages_of(chunks: Sequence[Chunk]) -> Iterator[Page]:
    """The pages that the chunks were cut from: each chunk's text behind what the one before holds already."""
    for (source, number), group in groupby(chunks, key=lambda chunk: (chunk.source, chunk.page)):
        text, end = "", 0
        for piece in group:
            text += piece.text[max(0, end - piece.start) if text else 0 :]
            end = piece.end
        yield Page(number, source, text)


def _compare(folder: Path, temporary: Path, verified: Verified) -> None:
    for path in sorted(temporary.iterdir()):
        name, recorded = path.name, folder / path.name
        if path.is_symlink() or name in verified.skipped or name in verified.same:
            continue
        if not recorded.is_file():
            verified.skipped[name] = "it is not there; a run writes it again for free"
            continue
        before, now = (_comparable(file) for file in (recorded, path))
        told = [str(difference) for difference in differences(name, before, now)]
        verified.found.extend(told)
        if not told:
            verified.same.append(name)


def _comparable(path: Path) -> bytes:
    """The bytes of a file; of `run.json` without what belongs to the machine."""
    data = path.read_bytes()
    if path.name != "run.json":
        return data
    return json.dumps({k: v for k, v in json.loads(data).items() if k not in OF_THIS_MACHINE}).encode()


def _lines(exchanges: int, verified: Verified) -> list[str]:
    lines = [f"messages.jsonl: {exchanges:,} exchanges, every line intact"]
    lines += [f"{name}: the same" for name in verified.same]
    lines += [f"{name}: not compared, {why}" for name, why in verified.skipped.items()]
    lines += verified.found
    count = len(verified.found)
    return [*lines, f"{count:,} difference{'' if count == 1 else 's'}" if count else "Everything follows from the log."]
