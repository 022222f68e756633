"""Fixtures that several test files share."""

import csv
import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import loopback_only
from browser import Browser, started
from database import served
from doubles import Script, place as embedded_place
from minirag import MessageLog, offline
from minirag.cli.main import main
from run_files import MODELS, SAMPLE

pytest_plugins = ("recorded",)
LONGEST = (
    "readme pipeline windows money postgres_run goldens dialects chunker verify batch findings pdf browser".split()
)
"""Files that take longest, the worst first."""
SHARED = Path(__file__).parents[2] / "shared"

settings.register_profile("untimed", deadline=None)  # machines differ too much, and first calls load vocabularies
settings.load_profile("untimed")

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background processes without it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that no worker is left alone with one in the end."""
    order = {f"test_{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.fixture(scope="session", autouse=True)
def _stays_on_this_machine(cassette_source: Any) -> None:
    """Keep tests from any other machine, unless cassettes are recorded from one."""
    if not cassette_source.address:
        loopback_only.stay()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Writes a file of a name and a content into the test's folder."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A short document of eight pages."""
    pages = (f"The {name} of Velm opened in 19{n}0 and has {n} halls." for n, name in enumerate("abcdefgh", 2))
    path = tmp_path / "velm.txt"
    path.write_text("\f".join(pages))
    return path


@pytest.fixture
def place() -> Iterator[Script]:
    """The embedded service, which keeps its requests."""
    with embedded_place() as place:
        yield place


@pytest.fixture(scope="session")
def embedded() -> Iterator[list[str]]:
    """Options for the embedded models on a server in this process: `--offline` takes a second to start one."""
    with offline.serve() as server:
        yield [*MODELS, "--base-url", server.base_url]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[MessageLog]:
    with closing(MessageLog(tmp_path / "log.jsonl")) as log:
        yield log


@pytest.fixture(scope="session")
def _common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all workers of one test run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def _own_cache(_common: Path) -> None:
    """Keep tests away from the user's cache; the workers of one test run share a cache."""
    os.environ["XDG_CACHE_HOME"] = str(_common / "cache")


@pytest.fixture(scope="session")
def finished_run(_common: Path, _own_cache: None) -> Path:
    """The folder of a finished offline run over the sample report. Read it only; copy it to change it.

    It is made once for all tests, with the umask 0 of a careless system.
    """
    folder = _common / "finished-run"
    with (_common / "finished-run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "report.html").exists():
            umask = os.umask(0)
            size = ["--train-questions", "14", "--eval-questions", "10", "--context-window", "1200"]
            assert main(["run", str(SAMPLE), "--offline", *size, "--out", str(folder)]) == 0
            os.umask(umask)
    return folder


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests away from the user's keys and proxy."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def shared() -> Path:
    """The companion data beside the project."""
    if not SHARED.is_dir():
        pytest.skip("the shared data is not beside the project")
    return SHARED


@pytest.fixture
def article(shared: Path) -> dict[str, list[float]]:
    """The scores of the article that started this project, 36 questions, by column."""
    with (shared / "nvidia-10k" / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0] if name != "question"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium for the tests of one file; they skip where there is none."""
    with started(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server with pgvector."""
    with served() as url:
        yield url
