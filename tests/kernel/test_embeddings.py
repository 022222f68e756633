"""Embedding models find out how many texts a call takes, name texts that always fail, and pay for nothing twice."""

import base64
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from doubles import Script, refusal
from minirag.corpus import Settings
from minirag.errors import BadReply, InputError, ServiceError, TextsRefused
from minirag.message_log import Exchange, MessageLog
from minirag.models import vectors_of
from minirag.pipeline import Run
from minirag.retry import Retry
from minirag.service import Service
from minirag.testing import FunctionChat, ScriptedChat
from minirag.text import encoding
from minirag.vector_store import INPUTS_PER_CALL, EmbeddingModel

Rule = Callable[[list[str]], tuple[int, str] | None]


def expected(texts: Sequence[str]) -> list[list[float]]:
    return [[float(len(text)), float(ord(text[0]))] for text in texts]


class Embedder(Script):
    """A service that embeds texts as expected, unless a rule refuses the inputs of a call."""

    def __init__(self, rule: Rule = lambda _: None, usage: dict[str, int] | None = None) -> None:
        super().__init__(self.reply)
        self.rule, self.usage = rule, usage or {}

    def reply(self, seen: dict[str, Any]) -> Any:
        texts = seen["body"]["input"]
        if refused := self.rule(texts):
            status, text = refused
            return text.encode() if status == 200 else refusal(status, text)
        data = [{"embedding": row, "index": i} for i, row in enumerate(expected(texts))]
        return {"data": data, "model": "e", "usage": self.usage}

    @property
    def sizes(self) -> list[int]:
        """How many texts each call had."""
        return [len(request["body"]["input"]) for request in self.requests]


@pytest.fixture
def model(service):
    def make(script: Script, said: list[str] | None = None, **options: Any) -> EmbeddingModel:
        say = [].append if said is None else said.append
        return EmbeddingModel("e", service=service(script, say=say), **{"workers": 1, **options})

    return make


TEXTS = [f"{chr(97 + i % 26)}{'x' * i}" for i in range(100)]
EXPECTED = expected(TEXTS)


def refuses(status: int, words: str, when: Callable[[list[str]], bool]) -> Rule:
    return lambda texts: (status, words) if when(texts) else None


@pytest.mark.parametrize("text", ["Fares rose. ", "票价上涨。", "လက်မှတ်ခ တက်သည်။ ", "🎫↗"])
def test_no_call_has_more_tokens_than_openai_takes(model, text):
    with Embedder() as script:
        model(script).embed([text * (1000 // len(text))] * 400)
    calls = [sum(map(encoding("cl100k_base").count, request["body"]["input"])) for request in script.requests]
    assert max(calls) <= 300_000


def test_texts_fall_into_the_calls_of_earlier_versions_whose_logs_have_the_vectors(model):
    with Embedder() as script:
        model(script).embed(["Fares – and “tolls” – rose. " * 50] * 300)
    assert script.sizes == [142, 142, 16]


@pytest.mark.parametrize("limit", [1, 10, 32, 64])
def test_a_limit_of_texts_a_call_is_found_out_and_remembered(log, model, limit):
    with Embedder(refuses(422, f"maximum allowed batch size {limit}", lambda texts: len(texts) > limit)) as script:
        said: list[str] = []
        embed = model(script, said, log=log)
        assert embed.embed(TEXTS).tolist() == EXPECTED
        power = 1 << limit.bit_length() - 1
        assert embed.inputs_per_call == power
        assert said == [f"e: {power} texts a call, more are refused"]
        asked = len(script.sizes)
        embed.embed([text.upper() for text in TEXTS])
        assert max(script.sizes[asked:]) == power  # nothing is tried again
        asked, again = len(script.sizes), model(script, log=MessageLog(log.path))
        again.embed([text.upper() for text in TEXTS])
        assert len(script.sizes) == asked


@pytest.mark.parametrize("status", [200, 400, 403, 500])
@pytest.mark.parametrize("places", [(0,), (57,), (99,), (12, 80)])
def test_a_text_that_always_fails_is_named_and_the_others_are_embedded_and_kept(log, model, status, places):
    names = [TEXTS[place] for place in places]
    rule = refuses(status, "NaN", lambda texts: any(text in names for text in texts))
    with Embedder(rule) as script:
        embed = model(script, log=log)
        with pytest.raises(TextsRefused, match="e embeds none of") as refused:
            embed.embed(TEXTS)
        assert [*refused.value.reasons] == names
        assert embed.inputs_per_call == INPUTS_PER_CALL  # that was no limit
        asked = len(script.sizes)
        rest = [text for text in TEXTS if text not in names]
        assert embed.embed(rest).tolist() == expected(rest)
        assert len(script.sizes) == asked


@pytest.mark.parametrize(
    ("status", "body", "says", "most"),
    [
        (403, "no embeddings for this key", "no embeddings for this key", 16),
        (503, "busy", "busy", 4),
        (200, '{"data": [{"index": 0, "embedding": [NaN, 1.0]}]}', "sent NaN where a number belongs", 16),
    ],
)
def test_what_every_call_gets_ends_soon_with_its_reason(model, status, body, says, most):
    with Embedder(lambda _: (status, body)) as script, pytest.raises(ServiceError, match=says):
        model(script).embed(TEXTS)
    assert len(script.sizes) <= most


@pytest.mark.parametrize("status", [400, 413, 500])
def test_texts_that_are_too_long_end_with_the_chunk_size_that_fits(model, status):
    count = encoding("o200k_base").count
    texts = [f"Sentence {n} of a long chunk about many things. " * 90 for n in range(5)]

    rule = refuses(status, "maximum context length is 512 tokens", lambda texts: max(map(count, texts)) > 512)
    with Embedder(rule) as script, pytest.raises(InputError, match=r"takes no text as long as .*512 tokens") as long:
        model(script).embed(texts)
    assert 200 < int(re.findall(r"--chunk-size (\d+)", str(long.value))[0]) <= 512


def test_a_single_text_that_has_failed_is_asked_for_again(log, model):
    down = [(500, "overloaded")]
    with Embedder(lambda _: next(iter(down), None)) as script:
        embed = model(script, log=log)
        with pytest.raises(ServiceError, match="overloaded"):
            embed.embed(["a"])
        down.clear()
        assert embed.embed(["a"]).tolist() == [[1.0, 97.0]]


# -- replies -----------------------------------------------------------------------------------------------


def reply_of(rows: Sequence[Any], indices: Iterable[int | None]) -> dict[str, Any]:
    return {"data": [{"index": index, "embedding": row} for index, row in zip(indices, rows, strict=True)]}


def packed(*values: float) -> str:
    return base64.b64encode(np.array(values, "<f4").tobytes()).decode()


@pytest.mark.parametrize(
    ("indices", "order"),
    [
        ([2, 0, 1], [1, 2, 0]),
        ([0, 0, 0], [0, 1, 2]),  # the order of the list counts where a service gives no index
        ([None] * 3, [0, 1, 2]),
        ([None, 1, 2], [0, 1, 2]),
    ],
)
def test_vectors_come_in_the_order_of_the_texts(indices, order):
    rows = [[0.0, 1.0], [1.0, 0.0], [2.0, 0.5]]
    for sent in (rows, [packed(*row) for row in rows]):
        assert vectors_of(reply_of(sent, indices), 3).tolist() == [rows[i] for i in order]


@pytest.mark.parametrize(
    "reply",
    [
        reply_of([[float("nan"), 1.0]], [0]),
        reply_of([packed(float("nan"))], [0]),
        reply_of(["not base64!"], [0]),
        reply_of([["x"]], [0]),
        reply_of([[1.0]], [1]),
        reply_of([[1.0], [1.0]], [0, 1]),
        reply_of([], []),
        {},
    ],
)
def test_vectors_that_are_not_vectors_are_refused(reply):
    with pytest.raises(BadReply):
        vectors_of(reply, 1)
    with pytest.raises(BadReply):
        vectors_of(reply_of([[1.0]] * 3, [0, 1, 1]), 3)


# -- calls -------------------------------------------------------------------------------------------------


def test_the_log_keeps_vectors_packed(log, model):
    with Embedder() as script:
        embed = model(script, log=log)
        assert embed.embed(["a", "bc"]).tolist() == embed.embed(["a", "bc"]).tolist() == expected(["a", "bc"])
        [call] = log
        assert [item["embedding"] for item in call.response["data"]] == [packed(1, 97), packed(2, 98)]
    assert script.sizes == [2]


class Killed(BaseException):
    """Ends a run where it stands."""


class Dying(Service):
    """A service that refuses calls by a rule, and whose process dies after so many calls."""

    def __init__(self, rule: Rule, calls: int) -> None:
        super().__init__("http://127.0.0.1/v1", retry=Retry(sleep=lambda _: None))
        self.rule, self.left = rule, calls
        self.paid: list[str] = []

    def attempt(self, call: Exchange, read: Any, arguments: Any = None) -> Any:
        self.left -= 1
        if self.left < 0:
            raise Killed
        texts = call.request["input"]
        if refused := self.rule(texts):
            failure = ServiceError(refused[1], status=refused[0])
            return replace(call, error=failure.to_json()), failure
        self.paid += texts
        data = [{"embedding": row, "index": i} for i, row in enumerate(expected(texts))]
        return replace(call, response=read(call, {"data": data})), None


@settings(max_examples=60)
@given(st.integers(1, 20), st.integers(40, 400), st.sets(st.sampled_from(TEXTS[:40]), max_size=2), st.data())
def test_whatever_is_refused_and_wherever_runs_die_no_text_is_paid_for_twice(limit, size, poison, data):
    def rule(texts: list[str]) -> tuple[int, str] | None:
        is_large = len(texts) > limit or (len(texts) > 1 and sum(map(len, texts)) > size)
        return (400, "no") if is_large or not poison.isdisjoint(texts) else None

    paid: list[str] = []
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("minirag.vector_store.INPUTS_PER_CALL", 8)
        for calls in [*data.draw(st.lists(st.integers(0, 20), max_size=4)), 1000, 0]:  # the last run sends nothing
            with Dying(rule, calls) as service, MessageLog(Path(folder) / "log.jsonl", sync=False) as log:
                embed = EmbeddingModel("e", log=log, service=service, workers=data.draw(st.sampled_from([1, 4])))
                with suppress(Killed, TextsRefused):
                    embed.embed(TEXTS[:40])
                paid += service.paid
        rest = [text for text in TEXTS[:40] if text not in poison]
        assert embed.embed(rest).tolist() == expected(rest)
    assert sorted(paid) == sorted(set(TEXTS[:40]) - poison)


def test_a_server_that_reads_only_the_beginning_of_texts_is_named_once(model):
    said: list[str] = []
    with Embedder(usage={"prompt_tokens": 40}) as script:
        embed = model(script, said)
        embed.embed(["word " * 200])
        embed.embed(["words " * 200])
    [warning] = said
    assert "OLLAMA_CONTEXT_LENGTH" in warning


def test_a_limit_is_not_learned_from_an_outage_that_has_passed(log, model):
    with Embedder() as script:
        script.rule = lambda _: (503, "later") if len(script.requests) == 1 else None
        assert model(script, log=log).embed(TEXTS).tolist() == EXPECTED
        assert script.sizes == [100, 100]
        assert model(script, log=MessageLog(log.path)).inputs_per_call == INPUTS_PER_CALL


def test_texts_that_an_outage_kept_out_of_the_last_call_are_embedded_later(log, model):
    texts = [f"{n} trams" for n in range(INPUTS_PER_CALL + 3)]
    with Embedder(refuses(500, "internal error", lambda batch: not {*texts[-3:]}.isdisjoint(batch))) as script:
        with suppress(ServiceError):
            model(script, log=log).embed(texts)
        log.close()
        script.rule = lambda _: None
        assert len(model(script, log=MessageLog(log.path)).embed(texts)) == len(texts)


# -- in a run ----------------------------------------------------------------------------------------------


@pytest.fixture
def run_at(tmp_path, service):
    """A run over six pages whose service is a script and whose teacher has two questions."""
    (tmp_path / "notes.txt").write_text("\f".join(f"Tram {n} runs to the {n}th stop of the line." for n in range(6)))
    (tmp_path / "questions.txt").write_text("Where does tram 1 run?\nWhere does tram 3 run?\n")

    def make(script: Script, **prefixes: str) -> Run:
        settings = Settings(
            (str(tmp_path / "notes.txt"),), "t", "s", "j", "e", train_questions=1, chunk_size=16, chunk_overlap=0,
            eval_questions=str(tmp_path / "questions.txt"), top_k=1, **prefixes,
        )  # fmt: skip
        run = Run(tmp_path / "out", settings, service(script), workers=1)
        run.teacher = ScriptedChat({"questions": ["Which line does tram 5 belong to?", "What stop is the sixth?"]})
        return run

    return make


def test_a_chunk_and_a_question_that_cannot_be_embedded_are_left_out_and_listed(run_at):
    with Embedder(refuses(500, "NaN", lambda texts: any("3" in text for text in texts))) as script:
        run = run_at(script)
        assert len(run.chunks) == 6
        assert [chunk.page for chunk in run.store.chunks] == [1, 2, 3, 5, 6]
        assert re.search(
            r"notes.txt page 4, chunk p4-\w+ \('Tram 3.*'…\) is not in the index: .* answered 500: NaN",
            run.left_out[0],
        )


def test_questions_and_passages_have_prefixes_of_their_own(run_at):
    with Embedder() as script:
        run = run_at(script, query_prefix="query: ", passage_prefix="passage: ")
        assert len(run.questions) == 3
        sent = [text for request in script.requests for text in request["body"]["input"]]
        assert {text.split(": ")[0] for text in sent if "stop of" in text} == {"passage"}
        assert {text.split(": ")[0] for text in sent if text.endswith("?")} == {"query"}


def test_the_arms_of_one_question_follow_each_other_and_the_answers_stay_in_the_order_of_arms(run_at):
    with Embedder() as script:
        run, asked = run_at(script), []
        chats = {arm: FunctionChat(lambda _, arm=arm: asked.append(arm) or "yes") for arm in ("base", "teacher")}
        answers = run.ask({arm: run.engine(chat) for arm, chat in chats.items()}, "eval")
        assert asked == ["base", "teacher"] * 2
        assert [arm for arm, _ in answers] == ["base", "base", "teacher", "teacher"]
