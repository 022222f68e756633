"""Replay: a script that was recorded runs again from its log, without a key, a network, or a guess."""

from pathlib import Path

import numpy as np
import pytest

from doubles import Script
from minirag import ChatModel, EmbeddingModel, FineTuningJob, MessageLog, QueryEngine, VectorStore, chunk, offline
from minirag.chunker import Page
from minirag.errors import NotRecorded, ServiceRefused
from minirag.message_log import Exchange
from minirag.service import Service
from minirag.testing import Replay, completion

HELLO = [{"role": "user", "content": "hello"}]
TEXT = "The city runs the trams.\fThe state runs the trains.\fNobody runs the boats."


def recorded(text: str, number: int = 0, **fields: object) -> Exchange:
    """One reply to HELLO, as a log holds it."""
    request = {"model": "m", "messages": HELLO, "max_tokens": 512, "temperature": 0.0}
    values = {"response": completion(text), "started": f"2026-11-22T05:23:2{number}Z", **fields}
    return Exchange("draft", "chat.completions", "http://x/v1", request, **values)


def test_a_recorded_answer_comes_back_without_key_and_network(log: MessageLog) -> None:
    pages = [Page(n, "a.txt", text) for n, text in enumerate(TEXT.split("\f"), 1)]
    with offline.serve() as server, Service(server.base_url, "k") as service:
        chat, embed = (kind(name, log=log, service=service) for kind, name in MODELS)
        store = VectorStore.build(chunk(pages, size=16, overlap=0), embed)
        answer = QueryEngine(store, chat, embed, context_window=1024).query("Who runs the trains?")
    before = log.path.read_bytes()
    chat, embed = (kind(name, service=Replay(log.path)) for kind, name in MODELS)
    assert QueryEngine(store, chat, embed, context_window=1024).query("Who runs the trains?") == answer
    assert log.path.read_bytes() == before
    assert np.array_equal(VectorStore.build(store.chunks, embed).vectors, store.vectors)


MODELS = ((ChatModel, "offline-teacher"), (EmbeddingModel, "offline-embedding"))


def test_a_request_that_is_not_in_the_log_is_an_error_that_shows_it_and_is_not_sent(log: MessageLog) -> None:
    with Script(completion("hi")) as script, Service(script.url, "k") as service:
        ChatModel("m", log=log, service=service).complete(HELLO, stage="draft")
        with pytest.raises(NotRecorded, match=r"holds no reply of .* to this draft request.*something else"):
            ChatModel("m", service=Replay(log, script.url)).complete(
                [{"role": "user", "content": "something else"}], stage="draft"
            )
    assert len(script.requests) == 1


def test_what_was_only_refused_is_refused_in_the_recorded_words_unless_it_succeeded_later(log: MessageLog) -> None:
    no = {"type": "ServiceRefused", "message": "No.", "status": 401, "code": None, "param": None}
    log.append(recorded("", response=None, error=no))
    with pytest.raises(ServiceRefused, match=r"No\."):
        ChatModel("m", service=Replay(log)).complete(HELLO, stage="draft")
    log.append(recorded("one", 1))
    assert ChatModel("m", service=Replay(log)).complete(HELLO, stage="draft").text == "one"


def test_a_job_is_in_its_last_recorded_state(tmp_path: Path, log: MessageLog) -> None:
    line = '{"messages":[{"role":"user","content":"%d?"},{"role":"assistant","content":"%d trams."}]}\n'
    (tmp_path / "training.jsonl").write_text("".join(line % (n, n) for n in range(12)))
    with offline.serve() as server, Service(server.base_url, "k") as service:
        job = FineTuningJob.create(tmp_path / "training.jsonl", base="offline-student", log=log, service=service)
        model = job.wait(sleep=lambda _: None).model
    replayed = Replay(log)
    again = FineTuningJob.create(tmp_path / "training.jsonl", base="offline-student", log=log, service=replayed)
    assert (again.id, again.refresh(), again.model) == (job.id, "succeeded", model)
