"""`minirag verify DIR`: check that everything in a run's folder follows from its log.

The run is repeated in a temporary folder by models that answer from the log only, and its files are compared byte by
byte. No key is needed and nothing is sent. The vectors of the index are read from the folder: they are held to their
checksum, and to the retrieval that the recorded requests show.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from minirag import VERSION
from minirag.chunker import Chunk
from minirag.cli.connect import store_builder
from minirag.cli.resume import changed_fields, recorded_facts, settings_of, shown
from minirag.cli.terminal import show, show_json
from minirag.costs import load_prices
from minirag.curation import DECISIONS
from minirag.documents import Page, Pages
from minirag.errors import DocumentError, InputError, MiniragError, StoreError
from minirag.files import write_json
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
"""The property of `Run` that writes each file."""
NOT_COMPARED = {"minirag", "versions"}
"""Fields of `run.json` that belong to the program and the machine."""


class Verified(NamedTuple):
    """Files that are the same, files that could not be repeated with the reason, and what differs, in sentences."""

    same: list[str]
    skipped: dict[str, str]
    found: list[str]


def main(options: Mapping[str, Any]) -> int:
    """Repeat a run from its log and print what differs; return 2 if anything does."""
    folder: Path = options["folder"]
    for name in ("run.json", "messages.jsonl"):
        if not (folder / name).is_file():
            raise InputError(f"There is no run in {folder} ({name} is missing); name the folder of a run.")
    log, facts = MessageLog(folder / "messages.jsonl"), recorded_facts(folder)
    verified = Verified([], {}, [])
    for number, exchange in enumerate(log, 1):  # a line with a right checksum may have been changed all the same
        if exchange.id != exchange_id(exchange.service, exchange.endpoint, exchange.request, exchange.repeat):
            place = f"{log.path.name} line {number}, id"
            verified.found.append(f"{place}: does not follow from the line's request")
    with TemporaryDirectory(prefix="minirag-verify-") as temporary:
        _repeat(folder, Path(temporary), facts, options, verified)
        _compare(folder, Path(temporary), verified)
    made_by = str(facts.get("minirag"))
    result = {"exchanges": len(log), "made_by": made_by, "verified_by": VERSION, **verified._asdict()}
    show_json(result) if options.get("json") else show("\n".join(_lines(len(log), made_by, verified)))
    return 2 if verified.found else 0


def _repeat(
    folder: Path, temporary: Path, facts: Mapping[str, Any], options: Mapping[str, Any], verified: Verified
) -> None:
    """Repeat the run of `folder` in `temporary` from its log, index and decisions, as far as it went."""
    settings, _ = settings_of({}, folder)
    with ExitStack() as stack:
        build_store = store_builder(options, stack, recorded=facts.get("store"), ef_search=settings.ef_search)
        for name in ("messages.jsonl", *(INDEX if build_store is None else ()), DECISIONS, LABELS_FILE):
            if (folder / name).exists():
                (temporary / name).symlink_to((folder / name).resolve())
        log = MessageLog(temporary / "messages.jsonl")
        names = ("service", "student_service", "tuned_service")
        service, student_service, tuned_service = (
            Replay(log, facts[name]) if facts.get(name) else None for name in names
        )
        assert service is not None
        run = Run(
            temporary,
            settings,
            service,
            student_service=student_service,
            tuned_service=tuned_service,
            build_store=build_store,
            prices=load_prices(options.get("prices") or settings.prices),
        )
        step = "the index"
        try:
            if build_store is None:
                VectorStore.open(folder)  # compares the checksum of the vectors
            _take_documents(run, _indexed_chunks(folder), facts, verified)
            for name, step in STEPS.items():
                if (folder / name).is_file() and name not in verified.skipped:
                    getattr(run.corpus if step == "questions" else run, step)
            if "run.json" not in verified.skipped:
                write_json(temporary / "run.json", run.facts())
        except MiniragError as error:
            verified.found.append(f"{step} cannot be repeated: {error}")


def _indexed_chunks(folder: Path) -> list[Chunk]:
    """Return the chunks of the run's index, which `chunks.jsonl` holds wherever the vectors are."""
    try:
        lines = (folder / "chunks.jsonl").read_bytes().splitlines()
        return [Chunk.from_json(json.loads(line)) for line in lines]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"chunks.jsonl in {folder} cannot be read ({type(error).__name__}).") from error


def _take_documents(run: Run, chunks: list[Chunk], facts: Mapping[str, Any], verified: Verified) -> None:
    """Cut the documents into chunks again; if they cannot be read any more, take the chunks of the index."""
    try:
        digests = dict(run.corpus.pages.sha256)
    except DocumentError as error:
        verified.skipped.update(dict.fromkeys(("chunks.jsonl", "run.json", "report.html"), str(error)))
        run.corpus.pages = Pages(_pages_of(chunks), sha256=facts["documents"])
    else:
        for name in dict.fromkeys((*facts["documents"], *digests)):
            if digests.get(name) != facts["documents"].get(name):
                verified.found.append(f"{name} is not the document of this run: its sha256 is another")
        if run.corpus.chunks != chunks:
            verified.found.append("chunks.jsonl is not what the documents give")
        else:
            verified.same.append("chunks.jsonl")
    run.corpus.chunks = chunks


def _pages_of(chunks: Sequence[Chunk]) -> Iterator[Page]:
    """Yield the pages that the chunks were cut from: the text of each chunk without its overlap with the last."""
    for (source, number), group in groupby(chunks, key=lambda chunk: (chunk.source, chunk.page)):
        text, end = "", 0
        for piece in group:
            text += piece.text[max(0, end - piece.start) if text else 0 :]
            end = piece.end
        yield Page(number, source, text)


def _compare(folder: Path, temporary: Path, verified: Verified) -> None:
    """Compare the files of the repetition with those of the run."""
    for path in sorted(temporary.iterdir()):
        name, recorded = path.name, folder / path.name
        if path.is_symlink() or name in verified.skipped or name in verified.same:
            continue
        if not recorded.is_file():
            verified.skipped[name] = "it is not there; a run writes it again for free"
        elif differences := _differences(name, recorded.read_bytes(), path.read_bytes()):
            verified.found.extend(differences)
        else:
            verified.same.append(name)


def _differences(name: str, before: bytes, now: bytes) -> list[str]:
    """Return a sentence for each field of JSON in which two versions of a file differ, or for the first other line."""
    if before == now:
        return []
    if name.endswith(".json"):
        changes = [(name, *change) for change in changed_fields(_json(before), _json(now))]
    else:
        changes = []
        for number, (old, new) in enumerate(zip_longest(before.splitlines(), now.splitlines(), fillvalue=b""), 1):
            where = f"{name} line {number}"
            if old != new and name.endswith(".jsonl"):
                changes += [(where, *change) for change in changed_fields(_json(old), _json(new))]
            elif old != new:
                start = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(old))
                old_text, new_text = (line[start:].decode("utf-8", "replace") for line in (old, new))
                changes.append((where, f"byte {start + 1}", shown(old_text), shown(new_text)))
                break
    if name == "run.json":
        changes = [change for change in changes if change[1].partition(".")[0] not in NOT_COMPARED]
    elif not changes:
        return [f"{name}: its content is the same, but not its bytes"]
    return [f"{where}, {place or 'all of it'}: {old} before, {new} now" for where, place, old, new in changes]


def _json(data: bytes) -> Any:
    """Return the value of a JSON text, or the text itself if it is not JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace")


def _lines(exchanges: int, made_by: str, verified: Verified) -> list[str]:
    """Return the result for a person."""
    lines = [f"run.json: made by minirag {made_by}, verified by {VERSION}"]
    lines.append(f"messages.jsonl: {exchanges:,} exchanges, every line intact")
    lines += [f"{name}: the same" for name in verified.same]
    lines += [f"{name}: not compared, {why}" for name, why in verified.skipped.items()]
    lines += verified.found
    if not verified.found:
        return [*lines, "Everything follows from the log."]
    count = len(verified.found)
    summary = f"{count:,} difference{'' if count == 1 else 's'}"
    if made_by != VERSION:
        summary += f"; the folder was made by minirag {made_by}, which may be why"
    return [*lines, summary]
