"""What cassette tests are played from, and recorded from by `scripts/record`: options of pytest, the fixture `source`.

A test gets a `Service` from `source`. It always has OpenAI's address, so that its requests, its log and its errors are
the same at every recording and replay; while a cassette is recorded, its requests really go elsewhere.
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
from minirag import offline
from minirag.costs import Budget, load_prices, training_cost
from minirag.offline import EMBEDDING_MODEL, JUDGE_MODEL, STUDENT_MODEL, TEACHER_MODEL
from minirag.retry import Retry
from minirag.server import Server
from minirag.server.wire import Reply, Request
from minirag.service import OPENAI_ADDRESS, Service, is_loopback
from minirag.testing import vcr_config as cassette_settings
from minirag.training import TrainingFile

CASSETTES = Path(__file__).parents[2] / "cassettes"
KEY = "not-a-key"
_OFFLINE = "Recorded over loopback from minirag's offline server by scripts/record, not from any provider's service."


class Models(NamedTuple):
    """The names of the models that play each part."""

    teacher: str = TEACHER_MODEL
    student: str = STUDENT_MODEL
    judge: str = JUDGE_MODEL
    embedding: str = EMBEDDING_MODEL


def heading(service: str | None, models: Models) -> str:
    """Return the comment that a cassette begins with: where it is from, and which models answered.

    >>> print(heading("https://api.openai.com/v1", Models("a", "b", "c", "d")), end="")
    # Recorded from https://api.openai.com/v1 by scripts/record.
    # models: {"teacher": "a", "student": "b", "judge": "c", "embedding": "d"}
    """
    origin = _OFFLINE if service is None else f"Recorded from {service} by scripts/record."
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
    key: str = KEY
    budget: Budget | None = None

    def __post_init__(self) -> None:
        clock = Clock()
        self.sleep: Callable[[float], None] = sleep if self.address else clock.sleep
        self.retry = Retry() if self.address else Retry(sleep=clock.sleep, clock=lambda: clock.now)

    @contextmanager
    def connect(self) -> Iterator[Service]:
        """The service, under OpenAI's address."""
        if self.records and not self.address:
            with Server(_dated(offline.api())) as server, self._service(server.base_url) as service:
                yield service
        else:
            with self._service(self.address) as service:
                yield service

    def hold_training(self, file: TrainingFile) -> None:
        """Put the price of training aside before a job is created. Raises BudgetReached."""
        if self.budget is not None:
            tokens = file.report()["tokens_billed"]
            usd = training_cost(self.budget.prices, self.models.student, tokens)
            self.budget.hold_training(self.models.student, usd)

    @contextmanager
    def _service(self, address: str) -> Iterator[Service]:
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
        with openai.OpenAI(base_url=OPENAI_ADDRESS, api_key=self.key, http_client=http) as client:
            service = Service(client=client, retry=self.retry)
            service.gates += [self.budget] if self.budget is not None else []
            yield service


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
    group.addoption("--max-cost", type=float, default=0.0, help="US dollars that recording may cost")
    group.addoption("--prices", help="a price table, as `minirag --prices` takes it")


@pytest.fixture(scope="session")
def _recorded(pytestconfig: pytest.Config) -> Iterator[Source | None]:
    """The service that is recorded, with its budget, if there is one; at the end, print what it cost."""
    option = pytestconfig.getoption
    if not option("--service"):
        yield None
        return
    models = Models(**json.loads(option("--models")))
    budget = Budget(option("--max-cost"), load_prices(option("--prices")), [], tokenizer="o200k_base")
    yield Source(models, True, option("--service"), os.environ.get("OPENAI_API_KEY", KEY), budget)
    print(f"\nrecording cost ${budget.spent:.4f} of the ${budget.limit:.4f} allowed")


@pytest.fixture
def source(_recorded: Source | None, record_mode: str, vcr_cassette_dir: str, default_cassette_name: str) -> Source:
    """The cassette of the test that asks, or what it is recorded from."""
    if _recorded is not None:
        return _recorded
    if record_mode != "none":
        return Source(Models(), records=True)
    return Source(models_of(Path(vcr_cassette_dir, f"{default_cassette_name}.yaml")), records=False)


@pytest.fixture(scope="module")
def vcr_cassette_dir(pytestconfig: pytest.Config) -> str:
    """Where pytest-recording keeps cassettes."""
    return str(pytestconfig.getoption("--cassettes"))


@pytest.fixture
def vcr_config(pytestconfig: pytest.Config) -> dict[str, Any]:
    """How pytest-recording keeps them."""
    return cassette_settings(pytestconfig.getoption("--service") or None)
