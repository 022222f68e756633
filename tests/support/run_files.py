"""What a run is given, and what the files of its folder hold."""

import json
from pathlib import Path
from typing import Any

import minirag
from minirag.service import ROLES

DATA = Path(minirag.__file__).parent / "data"
SAMPLE, SAMPLE_TEXT = DATA / "sample-report.pdf", DATA / "sample-report.md"
MODELS = [f"--{role}=offline-{role}" for role in ROLES[:4]]
"""The options that name the embedded models."""


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != ".lock"}
