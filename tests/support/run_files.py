"""What a run is given, how it is started, and what the files of its folder hold."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import minirag
from minirag.service import ROLES

DATA = Path(minirag.__file__).parent / "data"
SAMPLE, SAMPLE_TEXT = DATA / "sample-report.pdf", DATA / "sample-report.md"
MODELS = [f"--{role}=offline-{role}" for role in ROLES[:4]]
"""The options that name the embedded models."""


def start(url: str, out: Path, *options: str) -> "subprocess.Popen[str]":
    """Start `minirag run` of the sample report against a service, in a process of its own."""
    command = [sys.executable, "-m", "minirag", "run", str(SAMPLE), *MODELS, "--base-url", url, "--out", str(out)]
    streams: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*command, *options], env={**os.environ, "OPENAI_API_KEY": "none"}, **streams)


def port_of(url: str) -> int:
    return int(url.split(":")[2].partition("/")[0])


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != ".lock"}
