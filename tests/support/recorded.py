"""What cassette tests are played from, and recorded from by `scripts/record`: options of pytest, the fixture `source`.

A test gets a `Service` from `source`. It always has OpenAI's address, so that its requests, its log and its errors are
the same at every recording and replay; while a cassette is recorded, its requests really go elsewhere.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any, NamedTuple

import openai
import pytest

from doubles import Clock
from minirag import offline
from minirag.offline import EMBEDDING_MODEL, JUDGE_MODEL, STUDENT_MODEL, TEACHER_MODEL
from minirag.retry import Retry
from minirag.server import Server
from minirag.server.wire import Reply, Request
from minirag.service import OPENAI_ADDRESS, Service, is_loopback
from minirag.testing import vcr_config as cassette_settings

KEY = os.environ.get("OPENAI_API_KEY", "none")  # read before tests are kept from it
CASSETTES = Path(__file__).parents[2] / "cassettes"
_OFFLINE = "Recorded over loopback from minirag's offline server by scripts/record, not from any provider's service."


class Models(NamedTuple):
    """The names of the models that play each part."""

    teacher: str = TEACHER_MODEL
    student: str = STUDENT_MODEL
    judge: str = JUDGE_MODEL
    embedding: str = EMBEDDING_MODEL


def heading(service: str, models: Models) -> str:
    """Return the comment that a cassette begins with: where it is from, and which models answered.

    >>> print(heading("https://api.openai.com/v1", Models("a", "b", "c", "d")), end="")
    # Recorded from https://api.openai.com/v1 by scripts/record.
    # models: {"teacher": "a", "student": "b", "judge": "c", "embedding": "d"}
    """
    origin = f"Recorded from {service} by scripts/record." if service else _OFFLINE
    return f"# {origin}\n# models: {json.dumps(models._asdict())}\n"


def models_of(cassette: Path) -> Models:
    """Return the models that a cassette's heading names, the embedded ones where it has none."""
    text = cassette.read_text("utf-8") if cassette.exists() else ""
    line = re.search(r"^# models: (.*)$", text, re.MULTILINE)
    return Models(**json.loads(line[1])) if line else Models()


@dataclass
class Source:
    """Where replies come from: a cassette, the embedded server (`records`), or the service at `address`."""

    models: Models
    records: bool
    address: str = ""

    def __post_init__(self) -> None:
        clock = Clock()
        self.sleep: Callable[[float], None] = sleep if self.address else clock.sleep
        self.retry = Retry() if self.address else Retry(sleep=clock.sleep, clock=lambda: clock.now)

    @contextmanager
    def connect(self) -> Iterator[Service]:
        """The service, under OpenAI's address."""
        with ExitStack() as stack:
            address = self.address
            if self.records and not address:
                address = stack.enter_context(Server(_dated(offline.api()))).base_url

            def send_to_address(request: Any) -> None:
                if address:
                    request.url = request.url.join(address + str(request.url).removeprefix(OPENAI_ADDRESS))
                    request.headers["host"] = request.url.netloc.decode()

            http = openai.DefaultHttpxClient(
                follow_redirects=False,
                trust_env=bool(address) and not is_loopback(address),
                event_hooks={"request": [send_to_address]},
            )
            client = stack.enter_context(openai.OpenAI(base_url=OPENAI_ADDRESS, api_key=KEY, http_client=http))
            yield Service(client=client, retry=self.retry)


def _dated(service: Callable[[Request], Reply]) -> Callable[[Request], Reply]:
    """Return `service` with 2026-01-01 for every date and no organisation, so that recordings are reproducible."""

    def reply(request: Request) -> Reply:
        answer = service(request)
        body = re.sub(rb'("(?:created|created_at|finished_at)":)\d+', rb"\g<1>1767225600", answer.body)
        return answer._replace(body=body.replace(b"org-minirag", b"redacted"))

    return reply


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the options that `scripts/record` gives."""
    group = parser.getgroup("cassettes")
    group.addoption("--cassettes", type=Path, default=CASSETTES, help="the folder of the cassettes")
    group.addoption("--service", default="", help="record from the service at this address, with OPENAI_API_KEY")
    group.addoption("--models", default="{}", help='JSON: {"teacher": …, "student": …, "judge": …, "embedding": …}')


@pytest.fixture
def source(pytestconfig: pytest.Config, record_mode: str, vcr_cassette_dir: str, default_cassette_name: str) -> Source:
    """The cassette of the test that asks, or what it is recorded from."""
    if record_mode != "none":
        models = Models(**json.loads(pytestconfig.getoption("--models")))
        return Source(models, records=True, address=pytestconfig.getoption("--service"))
    return Source(models_of(Path(vcr_cassette_dir, f"{default_cassette_name}.yaml")), records=False)


@pytest.fixture(scope="module")
def vcr_cassette_dir(pytestconfig: pytest.Config) -> str:
    """Where pytest-recording keeps cassettes."""
    return str(pytestconfig.getoption("--cassettes"))


@pytest.fixture
def vcr_config(pytestconfig: pytest.Config) -> dict[str, Any]:
    """How pytest-recording keeps them."""
    return cassette_settings(pytestconfig.getoption("--service") or None)
