"""`minirag verify DIR`: whether what stands in a run's folder follows from its log.

The run is repeated in a temporary folder by models that answer from the log only, and its files are compared byte by
byte. No key is needed and nothing is sent. The vectors of the index are read from the folder: they are held to the
retrieval that the recorded requests show.
"""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from minirag import VERSION
from minirag.cli.connect import store_builder
from minirag.cli.settings import facts_of, prices_of, settings_of
from minirag.cli.terminal import show, show_json
from minirag.errors import MiniragError
from minirag.message_log import MessageLog, exchange_id, write_json, write_jsonl
from minirag.pipeline import Run
from minirag.service import ROLES
from minirag.statistics import LABELS_FILE
from minirag.testing import Replay
from minirag.vector_store import VectorStore

INDEX = ("vectors.npy", "index.json")
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
SHOWN, CONTEXT = 80, 30
"""Characters of a line that are shown, and how many of them stand before the difference."""


def main(options: Mapping[str, Any]) -> int:
    """Repeat a run from its log and print what differs; return 2 if anything does."""
    folder: Path = options["folder"]
    facts, log, same = facts_of(folder), MessageLog(folder / "messages.jsonl"), []
    differences = [
        f"{log.path.name} line {number}, id: does not follow from the line's request"
        for number, one in enumerate(log, 1)  # a line with a right checksum may have been changed all the same
        if one.id != exchange_id(one.service, one.endpoint, one.request, one.repeat)
    ]
    if log.path.is_file() and log.path.read_bytes()[-1:] != b"\n":
        differences.append(f"{log.path.name}: its last line is torn; the next run sets it aside and goes on")
    with TemporaryDirectory(prefix="minirag-verify-") as temporary:
        repeated = _repeat(folder, Path(temporary), facts, options)
        differences += [difference.replace(temporary, str(folder)) for difference in repeated]
        for path in sorted(Path(temporary).iterdir()):
            recorded = folder / path.name
            if not path.is_symlink() and recorded.is_file():
                difference = _difference(path.name, recorded.read_bytes(), path.read_bytes())
                differences.append(difference) if difference else same.append(path.name)
    made_by = str(facts.get("minirag"))
    if options.get("json"):
        show_json({"exchanges": len(log), "made_by": made_by, "same": same, "found": differences})
        return 2 if differences else 0
    lines = [
        f"run.json: made by minirag {made_by}, verified by {VERSION}",
        f"messages.jsonl: {len(log):,} exchanges in whole lines",
        *(f"{name}: the same" for name in same),
        *differences,
    ]
    if not differences:
        lines.append("Everything follows from the log.")
    elif made_by != VERSION:
        lines.append(f"The folder was made by minirag {made_by}, which may be why they differ.")
    show("\n".join(lines))
    return 2 if differences else 0


def _repeat(folder: Path, temporary: Path, facts: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    """Repeat the run of `folder` in `temporary` as far as it went; return what cannot be repeated."""
    settings = settings_of({}, folder)
    build_store = store_builder(options, recorded=facts.get("store"))
    for name in ("messages.jsonl", *(INDEX if build_store is None else ()), "decisions.jsonl", LABELS_FILE):
        if (folder / name).exists():
            (temporary / name).symlink_to((folder / name).resolve())
    log = MessageLog(temporary / "messages.jsonl")
    services = {role: Replay(log, name) for role in ROLES if (name := facts.get(f"{role}_service"))}
    prices = prices_of(settings, options.get("prices"))
    service = Replay(log, facts["service"])
    run = Run(temporary, settings, service, services, build_store=build_store, prices=prices)
    step = "the index"
    try:
        for name, digest in run.pages.sha256.items():
            if digest != facts["documents"].get(name):
                return [f"{name} is not the document of this run: its sha256 is another"]
        if build_store is None:
            write_jsonl(temporary / "chunks.jsonl", map(asdict, run.chunks))
            VectorStore.open(temporary)  # raises for vectors that are damaged, or are not of these chunks
        for name, step in STEPS.items():
            if (folder / name).is_file():
                getattr(run, step)
        # the versions of program and libraries may be others now
        versions = {name: facts[name] for name in ("minirag", "versions") if name in facts}
        write_json(temporary / "run.json", run.facts() | versions)
    except MiniragError as error:
        return [f"{step} cannot be repeated: {error}"]
    return []


def _difference(name: str, before: bytes, now: bytes) -> str | None:
    """Return the first line in which two versions of a file differ, around the difference; None if there is none."""
    old, new = (content.decode("utf-8", "replace").split("\n") for content in (before, now))
    for number, (line, other) in enumerate(zip_longest(old, new, fillvalue=""), 1):
        if line != other:
            same = next((i for i, (a, b) in enumerate(zip(line, other, strict=False)) if a != b), len(line))
            start = max(0, same - CONTEXT)
            return f"{name} line {number}: {line[start:][:SHOWN]!r} before, {other[start:][:SHOWN]!r} now"
    return None
