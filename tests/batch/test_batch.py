"""Model calls through batches: the same replies as by direct calls, whatever becomes of a batch, each paid once."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from doubles import Clock
from faults import (
    Faults,
    FaultyHandler,
    LinesLost,
    Rule,
    enqueued_too_much,
    fails_validation,
    lines_fail,
    lost_reply,
    outage,
    shows,
)
from minirag import offline
from minirag.batch import Batches
from minirag.batch.files import Submission
from minirag.cli.main import main
from minirag.costs import Budget, Price, Prices, bill, total
from minirag.errors import BudgetReached, LogError, ServiceError, ServiceRefused, Unfinished
from minirag.message_log import Exchange, MessageLog
from minirag.models import ChatModel
from minirag.offline import EMBEDDING_MODEL, TEACHER_MODEL
from minirag.prompts import Excerpt, draft, refine
from minirag.retry import Retry, in_order
from minirag.server import Server, batches
from minirag.server.wire import Reply, Request
from minirag.service import Service
from minirag.vector_store import EmbeddingModel

SAMPLE = Path(__file__).parents[2] / "minirag" / "data" / "sample-report.pdf"
OPTIONS = ["--offline", "--tuned", "offline-teacher", "--train-questions", "2", "--eval-questions", "3"]
EXCERPT = Excerpt("The city runs the water works. They opened in 1901. The mayor is Ann Berg.", 3)
QUESTIONS = [f"When did water work number {number} open?" for number in range(30)]
PRICES = Prices("", {"offline": Price(input=10.0, output=30.0, batch=0.5)})


class Killed(BaseException):
    """Ends a run where it stands, as SIGKILL does: nothing in it catches this."""


class Batching:
    """An offline service behind rules that counts the lines it has answered, by body."""

    def __init__(self, *rules: Rule) -> None:
        self.service = offline.api()
        self.answered: Counter[bytes] = Counter()
        self.faulty = Faults(self.service, rules)
        self.service.batches.answer = self._line
        self.url = ""

    def _line(self, request: Request) -> Reply:
        reply = self.faulty(request)
        self.answered[request.body] += reply.status == 200
        return reply

    @contextmanager
    def client(self, clock: Clock | None = None, **options: Any) -> Iterator[Service]:
        """A client that waits for nothing between two looks."""
        retry = Retry(sleep=clock.sleep, clock=lambda: clock.now) if clock else Retry(sleep=lambda _: None)
        with (
            Server(self.faulty, handler=FaultyHandler) as server,
            Service(server.base_url, "k", name="s", retry=retry, **options) as found,
        ):
            yield found


def step(service: Service, log: MessageLog, questions: list[str] = QUESTIONS) -> Callable[[], list[str]]:
    """A chain of two chat calls a question, and the vectors of all answers."""

    def ask(question: str) -> str:
        chat = ChatModel(TEACHER_MODEL, log=log, service=service)
        first = chat.complete(draft(question, [EXCERPT]), stage="draft", tags={"question": question}).text
        return chat.complete(refine(question, first, [EXCERPT]), stage="refine", tags={"question": question}).text

    def run() -> list[str]:
        answers = list(in_order(ask, questions, 4))
        embed = EmbeddingModel(EMBEDDING_MODEL, log=log, service=service, options={"dimensions": 16})
        rows = embed.embed([*questions, *answers])
        return [f"{answer} {row.tolist()}" for answer, row in zip([*answers, *answers], rows, strict=True)]

    return run


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], float]:
    """What direct calls give, and their price."""
    with Batching().client() as service, MessageLog(tmp_path_factory.mktemp("direct") / "log.jsonl") as log:
        found = step(service, log)()
        usd = total(bill(log, PRICES))
    assert usd
    return found, usd


def answered(log: MessageLog) -> list[Exchange]:
    return [e for e in log if e.endpoint in {"chat.completions", "embeddings"} and e.error is None]


def check(batching: Batching, log: MessageLog, direct: tuple[list[str], float]) -> None:
    """No line was answered twice, each answer is in the log once with its batch, and the bill is half."""
    assert set(batching.answered.values()) <= {0, 1}
    found = answered(log)
    assert len({e.id for e in found}) == len(found) == 2 * len(QUESTIONS) + 1
    assert all(str(e.tags["batch"]).startswith("batch_") for e in found)
    assert total(bill(log, PRICES)) == pytest.approx(direct[1] / 2, rel=1e-9)
    assert list(log.path.parent.glob("*.batch")) == []


FAULTS: Mapping[str, list[Rule]] = {
    "none": [],
    "lines that fail": [lines_fail(0.2)],
    "a refused file": [fails_validation()],
    "too much enqueued": [enqueued_too_much()],
    "a lost reply": [lost_reply("/batches$")],
    "a poll and a download that fail": [
        Rule(method="GET", path="/batches/[^/]+$", first=2, last=3, status=503, error={"message": "x"}),
        Rule(
            method="GET", path="/content$", last=1, status=503, error={"message": "x"}, headers={"Retry-After": "0.1"}
        ),
    ],
}


@pytest.mark.parametrize("rules", FAULTS.values(), ids=FAULTS.keys())
def test_batches_give_what_direct_calls_give_for_half_the_price(
    rules: list[Rule], direct: tuple[list[str], float], log: MessageLog
) -> None:
    batching = Batching(*rules)
    with batching.client() as service:
        assert Batches(service, log).run(step(service, log)) == direct[0]
        check(batching, log, direct)


EXPIRED = {"code": "batch_expired", "message": "This request was not sent before the completion window expired."}
LOST = {
    "is completed without a reply to this request": LinesLost(share=0.2),
    "before the completion window expired": LinesLost(share=0.5, fields={"response": None, "error": EXPIRED}),
    "without a reply": Rule(method="GET", path="/content$", last=1, status=404, error={"message": "No such File"}),
}


@pytest.mark.parametrize(("message", "rule"), LOST.items())
def test_a_reply_that_the_service_has_lost_is_asked_for_again(
    message: str, rule: Rule, direct: tuple[list[str], float], log: MessageLog
) -> None:
    with Batching(rule).client() as service:
        assert Batches(service, log).run(step(service, log)) == direct[0]
        lost = [str((e.error or {})["message"]) for e in log.failures if e.endpoint == "chat.completions"]
    assert lost
    assert all(message in failure for failure in lost)


class Dying(MessageLog):
    """A log whose process dies at the `number`-th line of an endpoint, before it is written or behind that."""

    def __init__(self, path: Path, endpoint: str, number: int, *, written: bool) -> None:
        super().__init__(path)
        self.endpoint = endpoint
        self.left = number
        self.written = written

    def append(self, exchange: Exchange) -> None:
        self.left -= exchange.endpoint == self.endpoint
        if self.left == 0 and not self.written:
            raise Killed
        super().append(exchange)
        if self.left == 0:
            raise Killed


@pytest.mark.parametrize(
    ("endpoint", "number", "written"),
    [
        ("files", 2, True),
        ("batches", 1, False),
        ("batches", 3, True),
        ("chat.completions", 1, False),
        ("chat.completions", 30, True),
    ],
)
def test_a_run_that_dies_at_any_line_of_the_log_submits_no_line_twice(
    endpoint: str, number: int, written: bool, direct: tuple[list[str], float], tmp_path: Path
) -> None:
    batching = Batching()
    with batching.client() as service:
        with Dying(tmp_path / "log.jsonl", endpoint, number, written=written) as log, pytest.raises(Killed):
            Batches(service, log).run(step(service, log))
        with MessageLog(tmp_path / "log.jsonl") as log:
            budget = Budget(direct[1], PRICES, log)
            service.gates.append(budget)
            assert Batches(service, log, cap=budget).run(step(service, log)) == direct[0]
            check(batching, log, direct)
            assert budget.spent == pytest.approx(direct[1] / 2)


def test_a_line_is_tried_four_times_and_then_its_question_fails_alone(log: MessageLog) -> None:
    broken = Rule(path="/chat/", holding="number 7 ", status=500, error={"message": "no luck"})

    with Batching(broken).client() as service:
        chat = ChatModel(TEACHER_MODEL, log=log, service=service)

        def ask(question: str) -> str:
            try:
                return chat.complete(draft(question, [EXCERPT]), stage="draft").text
            except ServiceError as error:
                return str(error)

        found = Batches(service, log).run(lambda: list(in_order(ask, QUESTIONS, 4)))
        assert [i for i, answer in enumerate(found) if "no luck" in answer] == [7]
        assert len(log.failures) == 4


def test_a_parameter_that_lines_are_refused_for_is_left_out_in_the_next_pass_and_that_is_said(log: MessageLog) -> None:
    error = {"message": "Unsupported value: 'temperature'.", "param": "temperature", "code": "unsupported_value"}
    said: list[str] = []
    refused = Rule(path="/chat/", holding='"temperature"', status=400, error=error)
    with Batching(refused).client(say=said.append) as service:
        Batches(service, log).run(step(service, log))
        assert all("temperature" not in e.request for e in answered(log))
    assert said == [f"{TEACHER_MODEL} does not support temperature: left out"]


def test_a_wait_outlives_half_an_hour_without_the_service_and_reads_states_with_fields_that_are_null(
    log: MessageLog,
) -> None:
    odd = {"created_at": "2026-11-26T10:00:00Z", "request_counts": None, "errors": None, "metadata": None}
    clock = Clock()
    batching = Batching(outage(clock, 1900, "/batches/", status=503), shows("batches", 1, **odd))
    with batching.client(clock) as service:
        assert len(Batches(service, log).run(step(service, log, QUESTIONS[:3]))) == 6
        assert 1900 < clock.now < 2200


def test_a_cancelled_batch_ends_the_run_which_keeps_what_was_done_and_goes_on_when_it_is_run_again(
    direct: tuple[list[str], float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "LINES_A_LOOK", 10)
    batching = Batching()
    with batching.client() as service:

        def cancel(_: str, done: int, _total: int) -> None:
            if done == 10:
                service.client.batches.cancel(service.client.batches.list().data[0].id)

        with MessageLog(tmp_path / "log.jsonl") as log, pytest.raises(Unfinished, match=r"batch_\w+ was cancelled"):
            Batches(service, log, progress=cancel).run(step(service, log))
        with MessageLog(tmp_path / "log.jsonl") as log:
            assert len(answered(log)) == 10
            assert Batches(service, log).run(step(service, log)) == direct[0]
            check(batching, log, direct)


def test_a_service_without_batches_is_named(log: MessageLog) -> None:
    missing = Rule(path="/batches$", status=404, error={"message": "Not Found"})
    with Batching(missing).client() as service, pytest.raises(ServiceRefused, match="takes no batches"):
        Batches(service, log).run(step(service, log))


def test_a_batch_holds_no_more_requests_than_the_money_is_for(direct: tuple[list[str], float], tmp_path: Path) -> None:
    batching = Batching()
    with batching.client() as service, MessageLog(tmp_path / "log.jsonl") as log:
        budget = Budget(direct[1] / 4, PRICES, log)
        service.gates.append(budget)
        with pytest.raises(BudgetReached):
            Batches(service, log, cap=budget).run(step(service, log))
        assert 0 < len(answered(log)) < 2 * len(QUESTIONS)
        assert budget.spent == pytest.approx(total(bill(log, PRICES)))
        assert budget.spent <= budget.limit
    with batching.client() as service, MessageLog(tmp_path / "log.jsonl") as log:
        budget = Budget(100 * direct[1], PRICES, log)
        service.gates.append(budget)
        assert Batches(service, log, cap=budget).run(step(service, log)) == direct[0]
        check(batching, log, direct)


def test_a_run_through_batches_writes_the_files_of_a_direct_run_and_is_verified(tmp_path: Path) -> None:
    def files(folder: Path, *options: str) -> Mapping[str, Any]:
        assert main(["run", str(SAMPLE), *OPTIONS, *options, "--out", str(folder)]) == 0
        apart = {"messages.jsonl", ".lock"}
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name not in apart}

    batched = files(tmp_path / "batched", "--batch")
    assert batched == files(tmp_path / "direct", "--workers", "1")
    assert main(["verify", str(tmp_path / "batched")]) == 0
    log = MessageLog(tmp_path / "batched" / "messages.jsonl")
    assert all("batch" in e.tags for e in answered(log))
    assert {e.endpoint for e in log if e.stage == "batch"} == {"batches"}


def test_batches_that_were_left_are_collected_without_batches_too_but_by_their_own_service(tmp_path: Path) -> None:
    def dies(*_: object) -> None:
        raise Killed

    said: list[str] = []
    with Batching().client() as service:
        with MessageLog(tmp_path / "log.jsonl") as log, pytest.raises(Killed):
            Batches(service, log, progress=dies).run(step(service, log))
        with MessageLog(tmp_path / "log.jsonl") as log:
            other = Service("http://127.0.0.1:9/v1", "k", name="other")
            assert Batches(other, log, say=said.append).run(lambda: "done") == "done"
            assert said == ["batch: 30 requests of an earlier run are collected when s is used again"]
            assert len(list(tmp_path.glob("*.batch"))) == 1
            Batches(service, log).run(step(service, log), batched=False)
            batched = ["batch" in e.tags for e in answered(log)]
    assert (batched.count(True), batched.count(False)) == (len(QUESTIONS), len(QUESTIONS) + 1)


def test_a_submission_that_is_damaged_is_one_sentence(tmp_path: Path) -> None:
    path, call = tmp_path / "mine.batch", Exchange("draft", "chat.completions", "s", {"model": "m"}, None, None)
    Submission("mine", [call]).save(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(LogError, match="is damaged"):
        Submission.load(path)
