"""The settings of a run, and its first half: models, pages, chunks, their index, the questions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minirag import curation
from minirag.chunker import Chunk, chunk
from minirag.dialect import MOST_THINKING
from minirag.documents import Pages, load
from minirag.errors import InputError, StoreError, TextsRefused
from minirag.message_log import MessageLog, write_jsonl
from minirag.metrics.comparison import FEWEST_CLUSTERS
from minirag.models import Chat, ChatModel, Embedder, Store
from minirag.questions import SPLITS, PageKey, Question, doubts, make_questions
from minirag.service import Service
from minirag.text import counted
from minirag.vector_store import EmbeddingModel, VectorStore

StoreBuilder = Callable[[Sequence[Chunk], Embedder, str], Store]
"""Builds an index outside the run's folder from the chunks, the embedding model and that model's name."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a run, all of them in `run.json`. Models have no default.

    `train_questions` and `eval_questions` are a number to generate or a file with a question a line; `tuned` names a
    model that was trained elsewhere; `options` has further fields of a role's requests (`service.ROLES`, "training");
    `control` also judges the untrained student with a better prompt; `judge_window=None` is `context_window`; `free`
    has the roles whose models cost nothing.
    """

    documents: tuple[str, ...]
    teacher: str
    student: str
    judge: str
    embedding: str
    train_questions: int | str = 40
    eval_questions: int | str = 40
    top_k: int = 2
    context_window: int = 2048
    reply_tokens: int = 256
    chunk_size: int = 1024
    chunk_overlap: int = 128
    query_prefix: str = ""
    passage_prefix: str = ""
    temperature: float | None = 0.0
    thinking_tokens: int = MOST_THINKING
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seed: int = 0
    tuned: str | None = None
    tokenizer: str | None = None
    judge_window: int | None = None
    metrics: tuple[str, ...] = ("faithfulness", "answer_relevancy")
    control: bool = False
    rounds: int = 1
    margin: float | None = None
    primary: str | None = None
    keep_all: bool = False
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate_multiplier: float | None = None
    prices: str | None = None
    free: tuple[str, ...] = ()
    max_cost: float | None = None

    @property
    def sources(self) -> dict[str, int | str]:
        """How many questions each split gets, or the file that holds them."""
        return {"train": self.train_questions, "eval": self.eval_questions}

    @property
    def hyperparameters(self) -> dict[str, float]:
        """The values of the job that are set, as the API names them."""
        values: dict[str, float | None] = {"n_epochs": self.epochs, "batch_size": self.batch_size}
        values["learning_rate_multiplier"] = self.learning_rate_multiplier
        return {name: value for name, value in values.items() if value is not None}


@dataclass
class Corpus:
    """The steps of a run in `folder` up to its questions; `pipeline.Run` adds the others.

    `service` serves all roles but those in `services`: teacher, student (whose service also trains, and serves the
    tuned model if no other does), judge, embedding, tuned. `say` gets one line a step, `progress` gets (step, done,
    total). `failures` lists answers and scores that a later run may add, `left_out` the chunks and questions that no
    call embeds.
    """

    folder: Path
    settings: Settings
    service: Service
    services: Mapping[str, Service] = field(default_factory=dict)
    build_store: StoreBuilder | None = None
    workers: int = 8
    say: Callable[[str], None] = lambda _: None
    progress: Callable[[str, int, int], None] = lambda *_: None
    sync: bool = True
    failures: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log = MessageLog(self.folder / "messages.jsonl", sync=self.sync)
        self.teacher: Chat = self.chat("teacher")
        for_questions, for_passages = self.settings.query_prefix, self.settings.passage_prefix
        self.embed = self._embedding(for_questions)
        self.passages = self.embed if for_passages == for_questions else self._embedding(for_passages)

    def service_of(self, role: str) -> Service:
        """Return the service of a role."""
        return self.services.get(role, self.service)

    def chat(self, role: str, model: str | None = None) -> ChatModel:
        """Return the model of a role; the tuned one has the student's service and options if it has none of its own."""
        settings, second = self.settings, "student" if role == "tuned" else role
        return ChatModel(
            model or getattr(settings, role),
            temperature=settings.temperature,
            tokenizer=settings.tokenizer,
            thinking_tokens=settings.thinking_tokens,
            options=settings.options.get(role) or settings.options.get(second),
            log=self.log,
            service=self.services.get(role) or self.service_of(second),
        )

    def _embedding(self, prefix: str) -> EmbeddingModel:
        return EmbeddingModel(
            self.settings.embedding,
            prefix=prefix,
            workers=self.workers,
            progress=self.progress,
            options=self.settings.options.get("embedding"),
            log=self.log,
            service=self.service_of("embedding"),
        )

    @cached_property
    def pages(self) -> Pages:
        pages = load(*self.settings.documents)
        empty = [page for page in pages if not page.text]
        names = [f"{p.source} page {p.number}{f' ({p.error})' if p.error else ''}" for p in empty[:10]]
        text = f"; no text on {', '.join(names)}{' and others' if len(empty) > 10 else ''}" if empty else ""
        self.say(f"documents: {counted(len(pages), 'page')}, {len(pages) - len(empty):,} with text{text}")
        return pages

    @cached_property
    def chunks(self) -> list[Chunk]:
        return chunk(self.pages, size=self.settings.chunk_size, overlap=self.settings.chunk_overlap)

    @cached_property
    def page_of(self) -> dict[str, PageKey]:
        """The page of each chunk id."""
        return {chunk.id: (chunk.source, chunk.page) for chunk in self.chunks}

    @cached_property
    def store(self) -> Store:
        """`chunks.jsonl` and `vectors.npy`; those of an earlier run if they have the same chunks and model."""
        # services may use one name for different models
        name = f"{self.settings.embedding} at {self.service_of('embedding').name}"
        name += f", passages after {self.settings.passage_prefix!r}" if self.settings.passage_prefix else ""
        if self.build_store is None:
            with suppress(StoreError):
                before = VectorStore.open(self.folder, model=name)
                if before.chunks == self.chunks:
                    self.say(f"index: {counted(len(before), 'chunk')}, as before")
                    return before
        store = self._index(self.chunks, name)
        self.say(f"index: {counted(len(store), 'chunk')} of at most {self.settings.chunk_size} tokens")
        return store

    def _index(self, chunks: Sequence[Chunk], name: str) -> Store:
        """Build the index of all chunks but those whose text always fails, which go to `left_out`."""
        try:
            if self.build_store is not None:
                store = self.build_store(chunks, self.passages, name)
                write_jsonl(self.folder / "chunks.jsonl", map(asdict, chunks))
                return store
            built = VectorStore.build(chunks, self.passages, model=name)
            built.save(self.folder)
            return built
        except TextsRefused as refused:
            for one in chunks:
                if reason := refused.reasons.get(one.text):
                    about = f"{Path(one.source).name} page {one.page}, chunk {one.id} ({one.text[:40]!r}…)"
                    self.left_out.append(f"{about} is not in the index: {reason}")
                    self.say(f"index: {self.left_out[-1]}")
            return self._index([one for one in chunks if one.text not in refused.reasons], name)

    @cached_property
    def _embedded(self) -> list[tuple[Question, NDArray[np.float32]]]:
        """The questions and their embeddings: generated or read from files."""
        settings = self.settings
        if (reviewed := self.folder / "decisions.jsonl").exists():
            raise InputError(
                f"{reviewed} comes from `questions --review` of minirag 0.4: go on with that version, or delete the "
                "file to have the questions as they were written."
            )
        questions = make_questions(
            settings.sources,
            self.chunks,
            self.store,
            self.embed,
            self.teacher,
            seed=settings.seed,
            workers=self.workers,
            context_window=settings.context_window,
            progress=partial(self.progress, "questions"),
        )
        try:
            rows = self.embed.embed([question.text for question in questions], tags={"for": "questions"})
        except TextsRefused as refused:
            self.left_out += [f"The question {text!r} is left out: {why}" for text, why in refused.reasons.items()]
            questions = [question for question in questions if question.text not in refused.reasons]
            rows = self.embed.embed([question.text for question in questions])
        return list(zip(questions, rows, strict=True))

    @cached_property
    def questions(self) -> list[Question]:
        """`questions.jsonl`: train questions, then eval questions, each with flags for what speaks against it."""
        questions = [question for question, _ in self._embedded]
        nearest = self.store.search(np.stack([row for _, row in self._embedded]), self.settings.top_k)
        retrieved = {
            question.id: {(hit.chunk.source, hit.chunk.page) for hit in hits}
            for question, hits in zip(questions, nearest, strict=True)
        }
        questions = curation.flag_questions(
            questions,
            pages={(page.source, page.number): page.text for page in self.pages},
            page_of=self.page_of,
            retrieved=retrieved,
        )
        write_jsonl(self.folder / "questions.jsonl", map(asdict, questions))
        for split, purpose in zip(SPLITS, ("training", "evaluation"), strict=True):
            own = [question for question in questions if question.split == split]
            pages, wanted = self.pages_of(own), self.settings.sources[split]
            text = f"questions: {len(own)} for {purpose}, from {counted(len(pages), 'page')}"
            text += f"; no more of {wanted} were written" if isinstance(wanted, int) and len(own) < wanted else ""
            flagged = sum(bool(doubts(question)) for question in own)
            self.say(text + (f", {flagged} flagged" if flagged else ""))
            if split == "eval" and len(pages) < FEWEST_CLUSTERS:
                few = f"warning: eval questions from {counted(len(pages), 'page')} allow no verdict"
                remedy = "ask for fewer --train-questions" if isinstance(wanted, int) else "ask about more pages"
                self.say(f"{few}; that takes {FEWEST_CLUSTERS}: {remedy}, or add documents.")
        return questions

    def of_split(self, split: str) -> list[Question]:
        """Return the questions of one split, in order."""
        return [question for question in self.questions if question.split == split]

    def pages_of(self, questions: Iterable[Question]) -> set[PageKey]:
        """Return the pages that questions are about."""
        return {self.page_of[question.chunk_id] for question in questions}
