"""What cassette tests are played from, and recorded from: the fixture `cassette_source`.

A test gets a `Service` from it, always under OpenAI's address, so that its requests, its log and its errors are the
same at every recording and replay. While one is recorded (`pytest --record-mode=rewrite`) they go to the service that
`cassettes/source.json` names, or to the embedded server if it names none.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import sleep
from typing import Any

import openai
import pytest

from doubles import Clock
from minirag import offline
from minirag.offline import EMBEDDING_MODEL, STUDENT_MODEL, TEACHER_MODEL
from minirag.retry import Retry
from minirag.server import Server
from minirag.server.wire import Reply, Request
from minirag.service import OPENAI_ADDRESS, Service
from minirag.testing import vcr_config as cassette_settings

KEY = os.environ.get("OPENAI_API_KEY", "none")  # read before tests are kept from it
CASSETTES = Path(__file__).parents[2] / "cassettes"


@dataclass
class Source:
    """The models that play each part, and the address of their service; without one it is the embedded server."""

    address: str = ""
    teacher: str = TEACHER_MODEL
    student: str = STUDENT_MODEL
    embedding: str = EMBEDDING_MODEL

    def __post_init__(self) -> None:
        clock = Clock()
        self.sleep: Callable[[float], None] = sleep if self.address else clock.sleep
        self.retry = Retry() if self.address else Retry(sleep=clock.sleep, clock=lambda: clock.now)

    @contextmanager
    def connect(self) -> Iterator[Service]:
        """The service, under OpenAI's address."""
        with ExitStack() as stack:
            address = self.address or stack.enter_context(Server(_dated(offline.api()))).base_url

            def send_to_address(request: Any) -> None:
                request.url = request.url.join(address + str(request.url).removeprefix(OPENAI_ADDRESS))
                request.headers["host"] = request.url.netloc.decode()

            http = openai.DefaultHttpxClient(
                follow_redirects=False, trust_env=bool(self.address), event_hooks={"request": [send_to_address]}
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


@pytest.fixture(scope="session")
def cassette_source(pytestconfig: pytest.Config) -> Source:
    """What cassettes are recorded from; while they are replayed nothing is sent, and nothing waits."""
    named = Source(**json.loads((CASSETTES / "source.json").read_text("utf-8")))
    return named if pytestconfig.getoption("--record-mode") else replace(named, address="")


@pytest.fixture(scope="module")
def vcr_cassette_dir() -> str:
    """Where pytest-recording keeps cassettes."""
    return str(CASSETTES)


@pytest.fixture
def vcr_config(cassette_source: Source) -> dict[str, Any]:
    """How pytest-recording keeps them."""
    return cassette_settings(cassette_source.address or None)
