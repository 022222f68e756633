"""What the tests of calls to a service share: a clock that only sleeping moves, and services that wait by it."""

import json
from contextlib import ExitStack
from typing import Any

import pytest

from doubles import Clock, Script
from minirag.retry import Retry
from minirag.service import Service


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def retry(clock):
    """Waits by the clock, without jitter."""
    return Retry(sleep=clock.sleep, clock=lambda: clock.now, jitter=lambda: 0.5)


@pytest.fixture
def service(clock):
    """Makes the service of a script, or at an address; each waits by the clock, without jitter."""
    with ExitStack() as stack:

        def make(script: Script | str, **options: Any) -> Service:
            retry = Retry(sleep=clock.sleep, clock=lambda: clock.now, jitter=lambda: 0.5)
            address = script if isinstance(script, str) else script.url
            return stack.enter_context(Service(address, "key", retry=retry, **options))

        yield make


@pytest.fixture
def recordings(shared):
    """Returns what real services were sent and answered, from the file of a name."""

    def read(name: str) -> list[dict[str, Any]]:
        text = (shared / "openai" / "recordings" / f"{name}.jsonl").read_text("utf-8")
        return [json.loads(line) for line in text.splitlines()]

    return read
