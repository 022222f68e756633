"""The seam between server and engine, with an engine of a few lines: what it is given, and long trainings."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import openai
import pytest

from minirag.server import (
    Api,
    ChatRequest,
    Choice,
    Completion,
    Model,
    Refused,
    Report,
    Server,
    Trained,
    Training,
    Vectors,
)

LINE = b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}\n'


class Echo:
    """Answers with what it was asked; its training goes on until the test lets it end."""

    def __init__(self) -> None:
        self.requests: list[ChatRequest] = []
        self.trainings: list[Training] = []
        self.step, self.end = threading.Event(), threading.Event()
        self.is_stopped = False
        self.tuned: list[str] = []

    def models(self) -> list[Model]:
        base = [Model("echo", 1, is_trainable=True), Model("ones", 1, "embedding")]
        return [*base, *(Model(name, 2) for name in self.tuned)]

    def complete(self, model: str, request: ChatRequest) -> Completion:
        self.requests.append(request)
        if request.response_format:
            raise Refused(400, "No formats here.", param="response_format")
        choices = [Choice(f"{model}: {request.messages[-1]['content']}", "length") for _ in range(request.n)]
        return Completion(choices, 3, 4)

    def embed(self, model: str, texts: Sequence[str], dimensions: int | None) -> Vectors:
        return Vectors(np.ones((len(texts), dimensions or 2), np.float32), 5)

    def defaults(self, examples: int) -> dict[str, Any]:
        return {"n_epochs": examples, "batch_size": 2, "learning_rate_multiplier": 0.5}

    def delete(self, model: str) -> bool:
        return model in self.tuned and not self.tuned.remove(model)

    def train(self, training: Training, report: Report) -> Trained:
        self.trainings.append(training)
        report(1, 2, 0.75)
        self.step.set()
        assert self.end.wait(20)
        try:
            report(2, 2, 0.5)
        except BaseException:
            self.is_stopped = True
            raise
        self.tuned.append(f"{training.model}-{training.suffix}")
        return Trained(self.tuned[-1], 70)


@pytest.fixture
def engine() -> Echo:
    return Echo()


@pytest.fixture
def client(engine: Echo) -> Iterator[openai.OpenAI]:
    with Server(Api(engine, in_background=True)) as server:
        with openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client:
            yield client
        engine.end.set()


def running(client: openai.OpenAI, engine: Echo) -> str:
    """The id of a job in the middle of its training."""
    file = client.files.create(file=("t.jsonl", LINE * 12), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model="echo", training_file=file.id, validation_file=file.id, suffix="A b")
    assert engine.step.wait(20)
    return job.id


def test_an_engine_is_given_what_the_client_asked_for(client: openai.OpenAI, engine: Echo) -> None:
    messages: Any = [{"role": "user", "content": [{"type": "text", "text": "Good "}, {"type": "text", "text": "day"}]}]
    settings: Any = {"n": 2, "max_tokens": 9, "stop": "x", "temperature": 0.5, "top_p": 0.9, "seed": 4}
    reply = client.chat.completions.create(model="echo", messages=messages, **settings)
    assert [choice.message.content for choice in reply.choices] == ["echo: Good day"] * 2
    assert (reply.choices[0].finish_reason, reply.usage and reply.usage.total_tokens) == ("length", 7)
    assert engine.requests == [ChatRequest([{"role": "user", "content": "Good day"}], {}, 2, 9, ["x"], 0.5, 0.9, 4)]
    assert client.embeddings.create(model="ones", input="a", dimensions=3).data[0].embedding == [1, 1, 1]
    with pytest.raises(openai.BadRequestError, match="No formats here"):
        client.chat.completions.create(model="echo", messages=messages, response_format={"type": "json_object"})


def test_a_long_training_shows_its_steps_and_ends_with_a_model(client: openai.OpenAI, engine: Echo) -> None:
    id = running(client, engine)
    assert client.fine_tuning.jobs.retrieve(id).status == "running"
    assert "Step 1/2: training loss=0.75" in [e.message for e in client.fine_tuning.jobs.list_events(id).data]
    engine.end.set()
    while (job := client.fine_tuning.jobs.retrieve(id)).status == "running":
        pass
    assert (job.status, job.fine_tuned_model, job.trained_tokens) == ("succeeded", "echo-a-b", 70)
    [training] = engine.trainings
    assert (training.job_id, len(training.examples), len(training.validation)) == (id, 12, 12)
    assert training.hyperparameters == {"n_epochs": 12, "batch_size": 2, "learning_rate_multiplier": 0.5}
    assert client.models.retrieve("echo-a-b").id == "echo-a-b"


def test_cancelling_a_job_stops_its_training_at_the_next_step(client: openai.OpenAI, engine: Echo) -> None:
    id = running(client, engine)
    assert client.fine_tuning.jobs.cancel(id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="already has status"):
        client.fine_tuning.jobs.cancel(id)
    engine.end.set()
    while not engine.is_stopped:
        pass
    assert client.fine_tuning.jobs.retrieve(id).status == "cancelled"
    assert engine.tuned == []


def test_a_cancelled_job_stays_cancelled_when_its_training_breaks(client: openai.OpenAI, engine: Echo) -> None:
    def train(*_: object) -> Trained:
        engine.step.set()
        engine.end.wait(20)
        raise MemoryError

    engine.train = train  # type: ignore[method-assign]
    id = running(client, engine)
    client.fine_tuning.jobs.cancel(id)
    engine.step.clear()
    engine.end.set()
    running(client, engine)  # starts once the first has ended
    assert client.fine_tuning.jobs.retrieve(id).status == "cancelled"


@pytest.mark.parametrize("error", [Refused(400, "Line 3 is too long.", code="too_long"), MemoryError("no room")])
def test_a_training_that_fails_says_why(client: openai.OpenAI, engine: Echo, error: Exception) -> None:
    def train(*_: object) -> Trained:
        engine.step.set()
        raise error

    engine.train = train  # type: ignore[method-assign]
    id = running(client, engine)
    while (job := client.fine_tuning.jobs.retrieve(id)).status == "running":
        pass
    assert job.status == "failed"
    assert job.error
    assert str(error) in job.error.message
