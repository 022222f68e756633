"""Row 8. The questions of a run: written by a model or given in files, reviewed by a person, and put on trial."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minirag.chunker import Chunk
from minirag.curation.decisions import Decision, decided, read_decisions, rejected, write_decisions
from minirag.curation.trial import on_trial
from minirag.documents import Page
from minirag.errors import InputError
from minirag.models import Chat, Embedder
from minirag.questions import ACCEPTED, SPLITS, PageKey, Question, doubts, generate, guess_pages, read_questions
from minirag.settings import Settings
from minirag.vector_store import Store


@dataclass
class Questionnaire:
    """Everything that the questions are made from; `questions` is what comes out. `folder` holds a person's decisions.

    Decisions made while it is in use count in the next Questionnaire of the folder: rejected questions are replaced
    where a model wrote them, and left out otherwise.
    """

    folder: Path
    settings: Settings
    pages: Sequence[Page]
    chunks: Sequence[Chunk]
    store: Store
    embed: Embedder
    writer: Chat
    workers: int = 8
    progress: Callable[[int, int], None] = lambda *_: None

    @cached_property
    def questions(self) -> list[Question]:
        """Train questions, then eval questions, with all that speaks against them."""
        return on_trial(
            self._untried,
            pages=self._page_texts,
            page_of=self.page_of,
            retrieved=self._retrieved,
            trained_on=self._shown_in_training if self.settings.use_eval_pages else (),
        )

    @cached_property
    def vectors(self) -> Mapping[str, NDArray[np.float32]]:
        """The embedding of each question, by its id."""
        rows = self.embed.embed([q.text for q in self._untried], tags={"for": "questions"})
        return {q.id: row for q, row in zip(self._untried, rows, strict=True)}

    @cached_property
    def page_of(self) -> dict[str, PageKey]:
        """The page of each chunk id."""
        return {chunk.id: (chunk.source, chunk.page) for chunk in self.chunks}

    @property
    def undecided(self) -> list[Question]:
        """The questions that nobody has accepted yet: eval questions first, and of a split those with doubts."""
        waiting = [question for question in self.questions if ACCEPTED not in question.flags]
        return sorted(waiting, key=lambda q: (-SPLITS.index(q.split), not doubts(q)))

    def decide(self, decision: Decision) -> None:
        """Keep a person's decision."""
        write_decisions(self.folder, [decision])

    def page_text(self, question: Question) -> str:
        """The text of the page that a question is about; "" where that is not known."""
        page = self.page_of.get(question.chunk_id or "")
        return "" if page is None else self._page_texts[page]

    @cached_property
    def _untried(self) -> list[Question]:
        """The questions as they were written or given, without those that a person rejected."""
        decisions, given = read_decisions(self.folder), self._given()
        taken = {self.page_of[q.chunk_id] for q in given if q.chunk_id}
        written = generate(
            [chunk for chunk in self.chunks if (chunk.source, chunk.page) not in taken],
            self.writer,
            {split: source for split, source in self._wanted.items() if isinstance(source, int)},
            seed=self.settings.seed,
            workers=self.workers,
            context_window=self.settings.context_window,
            taken=[*(question.text for question in given), *rejected(decisions)],
            progress=self.progress,
        )
        questions = decided(sorted(given + written, key=lambda q: SPLITS.index(q.split)), decisions)
        if lost := set(self._wanted) - {question.split for question in questions}:
            raise InputError(f"Every {lost.pop()} question was rejected; add some, or take decisions back.")
        return questions

    @property
    def _wanted(self) -> dict[str, int | str]:
        return {"train": self.settings.train_questions, "eval": self.settings.eval_questions}

    def _given(self) -> list[Question]:
        """The questions of files, on the pages that they are nearest to."""
        given = [
            question
            for split, source in self._wanted.items()
            if isinstance(source, str)
            for question in read_questions(Path(source), split)
        ]
        vectors = self.embed.embed([question.text for question in given], tags={"for": "questions"})
        return guess_pages(given, self.store, vectors)

    @cached_property
    def _page_texts(self) -> dict[PageKey, str]:
        return {(page.source, page.number): page.text for page in self.pages}

    @cached_property
    def _retrieved(self) -> dict[str, set[PageKey]]:
        """The pages of the chunks that are retrieved for each question id, nothing hidden."""
        nearest = self.store.search(np.stack(list(self.vectors.values())), self.settings.top_k)
        pages = ({(hit.chunk.source, hit.chunk.page) for hit in hits} for hits in nearest)
        return dict(zip(self.vectors, pages, strict=True))

    @property
    def _shown_in_training(self) -> set[PageKey]:
        """The pages that training prompts show where none is hidden."""
        return {page for q in self._untried if q.split == "train" for page in self._retrieved[q.id]}
