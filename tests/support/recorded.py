"""What the cassette tests are played from, and recorded from by `scripts/record`: pytest's options and two fixtures.

A test asks `source` (any service) or `embedded` (the offline server, whose replies fail by rule) for a `Service`. It
has OpenAI's address, so that its requests, its log and its errors are the same at every recording and replay; while
a cassette is recorded, its requests really go elsewhere.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any, NamedTuple

import pytest

from doubles import Clock
from minirag.costs.bill import load_prices, training_cost
from minirag.costs.budget import Budget
from minirag.offline import EMBEDDING_MODEL, JUDGE_MODEL, STUDENT_MODEL, TEACHER_MODEL, Rule, Server
from minirag.offline.faults import Faults
from minirag.retry import Retry
from minirag.server.service import Service as OfflineService
from minirag.server.wire import Reply, Request
from minirag.service import OPENAI_ADDRESS, Service, is_loopback
from minirag.testing import vcr_config as cassette_settings
from minirag.training import TrainingFile

CASSETTES = Path(__file__).parents[2] / "cassettes"
KEY = "not-a-key"
OPENED = 1_767_225_600
"""The date in the embedded server's recorded replies, in seconds: 2026-01-01."""
_DATES = re.compile(rb'("(?:created|created_at|finished_at)":)\d+')
_ORGANISATION = b"org-minirag"


class Models(NamedTuple):
    """The names of the models that play each part."""

    teacher: str = TEACHER_MODEL
    student: str = STUDENT_MODEL
    judge: str = JUDGE_MODEL
    embedding: str = EMBEDDING_MODEL


_OFFLINE = "Recorded over loopback from minirag's offline server by scripts/record, not from any provider's service."


def heading(service: str | None, models: Models) -> str:
    """The comment that a cassette begins with: where it is from, and which models answered.

    >>> print(heading("https://api.openai.com/v1", Models("a", "b", "c", "d")), end="")
    # Recorded from https://api.openai.com/v1 by scripts/record.
    # models: {"teacher": "a", "student": "b", "judge": "c", "embedding": "d"}
    """
    origin = _OFFLINE if service is None else f"Recorded from {service} by scripts/record."
    return f"# {origin}\n# models: {json.dumps(models._asdict())}\n"


def models_of(cassette: Path) -> Models:
    """The models that a cassette's heading names; the embedded ones where it has none."""
    text = cassette.read_text("utf-8") if cassette.exists() else ""
    named = re.search(r"^# models: (.*)$", text, re.MULTILINE)
    return Models(**json.loads(named[1])) if named else Models()


@dataclass
class Source:
    """Where replies come from: the cassette, the embedded server (`records`), or the service at `address`."""

    models: Models
    records: bool
    address: str = ""
    key: str = KEY
    budget: Budget | None = None

    def __post_init__(self) -> None:
        clock = Clock()
        is_real = bool(self.address)
        self.sleep: Callable[[float], None] = sleep if is_real else clock.sleep
        self.retry = Retry() if is_real else Retry(sleep=clock.sleep, clock=lambda: clock.now)

    @contextmanager
    def connect(self, *faults: Rule, key: str = "") -> Iterator[Service]:
        """The service under OpenAI's address; `faults` are how the embedded server is to fail, `key` is a wrong one."""
        if self.records and not self.address:
            with (
                Server(_settled(Faults(OfflineService(None), faults))) as server,
                self._service(server.base_url, key) as service,
            ):
                yield service
        else:
            with self._service(self.address, key) as service:
                yield service

    def hold_training(self, file: TrainingFile) -> None:
        """Put the price of training aside before a job is created. Raises BudgetReached."""
        if self.budget is not None:
            usd = training_cost(self.budget.prices, self.models.student, file.tokens * file.epochs)
            self.budget.hold_training(self.models.student, usd)

    @contextmanager
    def _service(self, address: str, key: str) -> Iterator[Service]:
        import openai

        def send_to_address(request: Any) -> None:
            if address:
                request.url = request.url.join(address + str(request.url).removeprefix(OPENAI_ADDRESS))
                request.headers["host"] = request.url.netloc.decode()

        http = openai.DefaultHttpxClient(
            follow_redirects=False,
            trust_env=bool(address) and not is_loopback(address),
            event_hooks={"request": [send_to_address]},
        )
        with openai.OpenAI(base_url=OPENAI_ADDRESS, api_key=key or self.key, http_client=http) as client:
            service = Service(client=client, retry=self.retry)
            service.meter = self.budget
            yield service


def _settled(service: Callable[[Request], Reply]) -> Callable[[Request], Reply]:
    """`service` with one date in all replies and no organisation: a log of them equals the log of their replay."""

    def reply(request: Request) -> Reply:
        found = service(request)
        body = _DATES.sub(rb"\g<1>%d" % OPENED, found.body)
        return found._replace(body=body.replace(_ORGANISATION, b"redacted"))

    return reply


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options that `scripts/record` gives."""
    group = parser.getgroup("cassettes")
    group.addoption("--cassettes", type=Path, default=CASSETTES, help="the folder of the cassettes")
    group.addoption("--service", default="", help="record from the service at this address, with OPENAI_API_KEY")
    group.addoption("--models", default="{}", help='JSON: {"teacher": …, "student": …, "judge": …, "embedding": …}')
    group.addoption("--max-cost", type=float, default=0.0, help="US dollars that recording may cost")
    group.addoption("--prices", help="a price table, as `minirag --prices` takes it")


@pytest.fixture(scope="session")
def _recorded(pytestconfig: pytest.Config) -> Iterator[Source | None]:
    """The service that is recorded, with its key and its budget, if there is one; at the end, what it cost."""
    option = pytestconfig.getoption
    if not option("--service"):
        yield None
        return
    models = Models(**json.loads(option("--models")))
    budget = Budget(option("--max-cost"), load_prices(option("--prices")), [], tokenizer="o200k_base")
    yield Source(models, True, option("--service"), os.environ.get("OPENAI_API_KEY", KEY), budget)
    print(f"\nrecording cost ${budget.spent:.4f} of the ${budget.limit:.4f} allowed")


@pytest.fixture
def source(_recorded: Source | None, embedded: Source, vcr_cassette_dir: str, default_cassette_name: str) -> Source:
    """The cassette of the test that asks, or what it is recorded from."""
    if _recorded is not None or embedded.records:
        return _recorded or embedded
    return Source(models_of(Path(vcr_cassette_dir, f"{default_cassette_name}.yaml")), records=False)


@pytest.fixture
def embedded(record_mode: str) -> Source:
    """The cassette of the test that asks, or the embedded server that it is recorded from."""
    return Source(Models(), records=record_mode != "none")


@pytest.fixture(scope="module")
def vcr_cassette_dir(pytestconfig: pytest.Config) -> str:
    """Where pytest-recording keeps cassettes."""
    return str(pytestconfig.getoption("--cassettes"))


@pytest.fixture
def vcr_config(pytestconfig: pytest.Config) -> dict[str, Any]:
    """How pytest-recording keeps them."""
    return cassette_settings(pytestconfig.getoption("--service") or None)
