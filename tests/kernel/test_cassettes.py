"""The stories that any service can tell, on recorded cassettes: what is promised whatever the models' words are.

They are recorded from the embedded server or from a real service: see cassettes/README.md.
"""

import pytest

import minirag
from minirag import ChatModel, EmbeddingModel, FineTuningJob, MessageLog, QueryEngine, VectorStore
from minirag.costs import bill, load_prices
from minirag.service import Service
from minirag.training import write_training_file
from recorded import Source
from run_files import SAMPLE_TEXT

pytestmark = pytest.mark.vcr

DIMENSIONS = 128
QUESTIONS = (
    "Why did revenue rise in the year?",
    "How much net debt is left?",
    "Where was a calibration hall opened?",
    "Who founded the company?",
    "What is Undercurrent?",
    "Why did the city of Marlow Bay choose a competitor?",
    "What caused the moisture inside new Heron meters?",
    "How long did the replacement take?",
    "What revenue is expected for the year to March 2027?",
    "How does the Linnet cling to a valve?",
    "How accurate is the Heron?",
    "How many technicians does Field Services employ?",
)
TOP_K, WINDOW, REPLY = 5, 1280, 128
VOCABULARY = "o200k_base"  # for models that minirag does not know; their windows are counted by it
SUFFIX = "story-1"
"""Raise the number before a service that has trained this story is recorded again: it would find its old job."""
STATES = ["validating_files", "queued", "running", "paused", "succeeded"]


def chunks() -> list[minirag.Chunk]:
    return minirag.chunk(minirag.load(SAMPLE_TEXT)[:6], size=320, overlap=0)


def chat_model(model: str, service: Service, log: MessageLog) -> ChatModel:
    return ChatModel(model, tokenizer=VOCABULARY, service=service, log=log)


def embedding(service: Service, source: Source, log: MessageLog) -> EmbeddingModel:
    return EmbeddingModel(source.embedding, options={"dimensions": DIMENSIONS}, service=service, log=log)


def test_an_answer_is_drafted_and_refined_within_its_window_and_billed(cassette_source, tmp_path):
    with cassette_source.connect() as service, MessageLog(tmp_path / "log.jsonl") as log:
        embed = embedding(service, cassette_source, log)
        store = VectorStore.build(chunks(), embed)
        chat = chat_model(cassette_source.teacher, service, log)
        engine = QueryEngine(store, chat, embed, top_k=TOP_K, context_window=WINDOW, reply_tokens=REPLY)
        answer = engine.query("Why did the city of Marlow Bay choose a competitor?")
        exchanges = [draft.exchange for draft in answer.drafts]
        assert [exchange.stage for exchange in exchanges] == ["draft"] + ["refine"] * (len(exchanges) - 1)
        assert len(exchanges) >= 2
        assert answer.text
        assert len(answer.contexts) == TOP_K
        assert all(exchange.usage["prompt_tokens"] + REPLY <= WINDOW for exchange in exchanges)
        assert all(0 < exchange.usage["completion_tokens"] <= REPLY for exchange in exchanges)
        lines = {line.stage: line for line in bill(log, load_prices())}
        assert lines["refine"].output_tokens == sum(e.usage["completion_tokens"] for e in exchanges[1:])
        assert lines["embed"].calls == 2


def test_collected_answers_train_a_model_that_answers(cassette_source, tmp_path):
    with cassette_source.connect() as service, MessageLog(tmp_path / "log.jsonl") as log:
        embed = embedding(service, cassette_source, log)
        store = VectorStore.build(chunks(), embed)
        teacher = QueryEngine(store, chat_model(cassette_source.teacher, service, log), embed, top_k=1)
        for number, question in enumerate(QUESTIONS, 1):
            teacher.query(question, tags={"question": f"t{number:03d}", "split": "train"})
        path, student = tmp_path / "training.jsonl", cassette_source.student
        file = write_training_file(log, path, model=student)
        job = FineTuningJob.create(path, base=student, suffix=SUFFIX, log=log, service=service)
        progress: list[str] = []
        job.wait(progress=progress.append, sleep=cassette_source.sleep)
        order = [STATES.index(line.partition(",")[0]) for line in progress]
        assert order == sorted(order)
        assert (job.status, len(file.kept)) == ("succeeded", len(QUESTIONS))
        times = [event["created_at"] for event in job.pages("events")]
        assert times == sorted(times, reverse=True)
        assert job.state["trained_tokens"] > 0
        tuned = chat_model(job.model, service, log)
        answer = QueryEngine(store, tuned, embed, top_k=1).query("How accurate is the Heron?")
        assert answer.text
        assert answer.drafts[0].exchange.model.startswith(f"ft:{student}")
        assert {"draft", "upload", "train", "poll"} <= {exchange.stage for exchange in log}


def test_both_metrics_tell_a_good_answer_from_a_bad_one(cassette_source, tmp_path):
    question, context = "Who founded the company?", "Ingrid Solheim founded this company in 1986. It makes loggers."
    with cassette_source.connect() as service, MessageLog(tmp_path / "log.jsonl") as log:
        judge = chat_model(cassette_source.judge, service, log)
        embed = embedding(service, cassette_source, log)
        scores = {
            answer: (
                minirag.faithfulness(question, answer, [context], judge=judge),
                minirag.answer_relevancy(question, answer, judge=judge, embed=embed),
            )
            for answer in ("Ingrid Solheim founded the company.", "The moon is 380,000 kilometres away from Lisbon.")
        }
        logged = {exchange.id for exchange in log}
    for good, bad in zip(*scores.values(), strict=True):
        assert good.value is not None
        assert bad.value is not None
        assert 0 <= bad.value < good.value <= 1
        assert good.evidence
        assert set(good.exchanges) <= logged
