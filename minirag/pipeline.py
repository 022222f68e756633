"""Row 8. The whole job, top to bottom: each step is a property of a `Run`, and asks for the steps before it.

Nothing but the log, the vectors and the job's state is ever read back. A step that is asked for again walks
through the same requests, and the log answers those that were paid for already.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minirag import costs, prompts
from minirag.chunker import Chunk, chunk
from minirag.comparison import ARMS
from minirag.curation import (
    DECISIONS,
    abstains,
    decided,
    flag_questions,
    read_decisions,
    rejected,
    review_examples,
    write_variants,
)
from minirag.documents import Pages, load
from minirag.errors import (
    InputError,
    JobError,
    JobUnfinished,
    ServiceError,
    ServiceRefused,
    StoreError,
    Unfinished,
)
from minirag.evaluation import Row, evaluate
from minirag.files import FULL, write_json, write_jsonl
from minirag.finetune import FineTuningJob
from minirag.message_log import MessageLog, canonical
from minirag.metrics.score import Scores
from minirag.models import ChatModel, Embedder, EmbeddingModel
from minirag.prompts import ANSWER_SYSTEM, CONTROL_SYSTEM
from minirag.query import Answer, QueryEngine
from minirag.questions import (
    SPLITS,
    PageKey,
    Question,
    doubts,
    make_questions,
    split_pages,
)
from minirag.report import FILES, Results, SavedRun, read_losses, write_report
from minirag.retry import in_order
from minirag.service import OPENAI_ADDRESS, Service
from minirag.settings import Settings
from minirag.statistics import LABELS_FILE, Evaluation, comparison_of, conflicts, cut_off, question_kinds, read_labels
from minirag.training import FEWEST_EXAMPLES, TrainingFile, write_training_file
from minirag.vector_store import Store, VectorStore
from minirag.version import VERSION

RESULTS = ("answers.jsonl", "scores.jsonl", "comparison.json", "costs.json", *FILES)
"""What the evaluation writes; the log gives it again for free."""
POSTGRESQL = "postgresql"
"""What `run.json` says of a store in a database: never where that is."""
SERVED_WITHIN = 600.0
"""Seconds that a new model may answer 404 before it is given up."""


StoreBuilder = Callable[[Sequence[Chunk], Embedder, str], Store]
"""Builds an index elsewhere than in the run's folder: chunks, who embeds them, and the name of that model."""


def silent(_: str) -> None:
    """Says nothing."""


@dataclass
class Run:
    """A run folder: `Run(folder, settings, Service)`, then the step you want, e.g. `run.comparison`.

    `connect` gives the service once the first call is due; `student_service` serves and trains the student,
    `tuned_service` serves a tuned model from elsewhere, if that one does not; `build_store` builds the index elsewhere
    than in the folder. `say` hears one line a step, `progress` hears (step, done, total). Use it as a context
    manager: two processes must not share a folder.
    """

    folder: Path
    settings: Settings
    connect: Callable[[], Service]
    student_service: Service | None = None
    tuned_service: Service | None = None
    build_store: StoreBuilder | None = None
    workers: int = 8
    prices: costs.Prices = field(default_factory=costs.load_prices)
    max_cost: float | None = None
    say: Callable[[str], None] = silent
    progress: Callable[[str, int, int], None] = lambda *_: None
    job_timeout: float | None = None
    failures: list[str] = field(default_factory=list)
    untrained: JobError | None = None
    fewest_examples: int = FEWEST_EXAMPLES
    job_id: str | None = None
    training_report: dict[str, Any] = field(default_factory=dict)
    validation_file: Path | None = None

    def __enter__(self) -> "Run":
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            kind = Unfinished if error.errno in FULL else InputError
            raise kind(f"Cannot write to the folder {self.folder}: {error.strerror}.") from error
        self.log.lock()
        return self

    def __exit__(self, *_: object) -> None:
        self.log.close()

    def check(self) -> None:
        """Everything that can be found wrong before a request is sent. Raises InputError."""
        self.settings.check(tuned_elsewhere=self.tuned_service is not None)
        counts = [n if isinstance(n, int) else 0 for n in (self.settings.train_questions, self.settings.eval_questions)]
        split_pages([(page.source, page.number) for page in self.pages if page.text.strip()], *counts)

    # -- the models ----------------------------------------------------------------------------------------

    @cached_property
    def log(self) -> MessageLog:
        """`messages.jsonl`."""
        return MessageLog(self.folder / "messages.jsonl")

    @cached_property
    def budget(self) -> costs.Budget | None:
        """The cap on what this folder's calls may cost, if there is one; every service asks it before each call."""
        if self.max_cost is None:
            return None
        return costs.Budget(self.max_cost, self.prices, self.log, self.settings.tokenizer)

    @cached_property
    def service(self) -> Service:
        service = self.connect()
        if self.budget is not None:
            for one in (service, self.student_service, self.tuned_service):
                if one is not None:
                    one.gates.append(self.budget)
        return service

    @property
    def training_service(self) -> Service:
        """Where the student is trained."""
        return self.student_service or self.service

    def chat(self, model: str, service: Service | None = None) -> ChatModel:
        settings = self.settings
        return ChatModel(
            model,
            temperature=settings.temperature,
            tokenizer=settings.tokenizer,
            log=self.log,
            service=service or self.service,
        )

    @cached_property
    def embed(self) -> EmbeddingModel:
        return EmbeddingModel(self.settings.embedding, workers=self.workers, log=self.log, service=self.service)

    # -- documents → chunks → vectors ----------------------------------------------------------------------

    @cached_property
    def pages(self) -> Pages:
        pages = load(*self.settings.documents)
        text = len(pages) - len(pages.empty)
        self.say(f"documents: {_counted(len(pages), 'page')}, {text} with text{_removed(pages)}{_without(pages)}")
        if pages.suspicious:
            self.say(f"documents: {_to_look_at(pages)}")
        return pages

    @cached_property
    def chunks(self) -> list[Chunk]:
        return chunk(self.pages, size=self.settings.chunk_size, overlap=self.settings.chunk_overlap)

    @cached_property
    def store(self) -> Store:
        """`chunks.jsonl` and `vectors.npy`; kept from an earlier run if they are of the same chunks and model."""
        if self.build_store is not None:
            store = self.build_store(self.chunks, self.embed, self._index_name)
            write_jsonl(self.folder / "chunks.jsonl", (chunk.to_json() for chunk in self.chunks))
        else:
            with suppress(StoreError):
                store = VectorStore.open(self.folder, model=self._index_name)
                if list(store.chunks) == self.chunks:
                    self.say(f"index: {_counted(len(store), 'chunk')}, {store.dimensions} dimensions, as before")
                    return store
            store = VectorStore.build(self.chunks, self.embed)
            store.model = self._index_name
            store.save(self.folder)
        size = f"at most {self.settings.chunk_size} tokens"
        self.say(f"index: {_counted(len(store), 'chunk')} of {size}, {store.dimensions} dimensions")
        return store

    @property
    def _index_name(self) -> str:
        """Two services may call different models by one name: an index belongs to both."""
        return f"{self.settings.embedding} at {self.service.name}"

    # -- questions -----------------------------------------------------------------------------------------

    @cached_property
    def _page_of(self) -> dict[str, PageKey]:
        """The page of each chunk id."""
        return {chunk.id: (chunk.source, chunk.page) for chunk in self.chunks}

    @cached_property
    def _unflagged(self) -> list[Question]:
        """The questions as written or read from files, without those that a person rejected."""
        settings, decisions = self.settings, read_decisions(self.folder)
        sources = {"train": settings.train_questions, "eval": settings.eval_questions}
        questions = make_questions(
            sources,
            self.chunks,
            self.store,
            self.embed,
            self.chat(settings.teacher),
            rejected=rejected(decisions),
            seed=settings.seed,
            workers=self.workers,
            context_window=settings.context_window,
            progress=self._progress("questions"),
        )
        questions = decided(questions, decisions)
        if lost := set(sources) - {question.split for question in questions}:
            raise InputError(f"Every {lost.pop()} question was rejected; add some, or take decisions back.")
        return questions

    @cached_property
    def _question_vectors(self) -> NDArray[np.float32]:
        """The embedding of each question, in order."""
        return self.embed.embed([question.text for question in self._unflagged], tags={"for": "questions"})

    @cached_property
    def questions(self) -> list[Question]:
        """`questions.jsonl`: train questions, then eval questions, with all that speaks against them."""
        nearest = self.store.search(self._question_vectors, self.settings.top_k)
        retrieved = {
            question.id: {(hit.chunk.source, hit.chunk.page) for hit in hits}
            for question, hits in zip(self._unflagged, nearest, strict=True)
        }
        trained_on = {page for q in self._unflagged if q.split == "train" for page in retrieved[q.id]}
        questions = flag_questions(
            self._unflagged,
            pages={(page.source, page.number): page.text for page in self.pages},
            page_of=self._page_of,
            retrieved=retrieved,
            trained_on=trained_on if self.settings.use_eval_pages else (),
        )
        write_jsonl(self.folder / "questions.jsonl", (asdict(question) for question in questions))
        for split in SPLITS:
            own = [q for q in questions if q.split == split]
            source_pages = {self._page_of[q.chunk_id] for q in own if q.chunk_id}
            doubted = sum(1 for q in own if doubts(q))
            self.say(
                f"questions: {len(own)} for {'training' if split == 'train' else 'evaluation'}, "
                f"from {_counted(len(source_pages), 'page')}" + (f", {doubted} flagged" if doubted else "")
            )
        return questions

    def reconsider(self) -> None:
        """Make the questions again, with the decisions that a person has made since."""
        for step in ("_unflagged", "_question_vectors", "questions", "eval_pages"):
            vars(self).pop(step, None)
        _ = self.questions

    def of_split(self, split: str) -> list[Question]:
        """The questions of one split, in order."""
        return [question for question in self.questions if question.split == split]

    @cached_property
    def eval_pages(self) -> set[tuple[str, int]]:
        """The pages that eval questions are about: no training prompt may show them."""
        return {self._page_of[q.chunk_id] for q in self.of_split("eval") if q.chunk_id}

    # -- answers -------------------------------------------------------------------------------------------

    @cached_property
    def training_answers(self) -> dict[str, Answer]:
        """The teacher's answers to the train questions, without the pages of eval questions; by question id."""
        hidden = set() if self.settings.use_eval_pages else self.eval_pages
        if hidden >= set(self._page_of.values()):
            raise InputError("The eval questions are about every page, so nothing is left to train on; ask for fewer.")
        tasks = [("teacher", question) for question in self.of_split("train")]
        answers = self._ask({"teacher": self.chat(self.settings.teacher)}, tasks, hidden)
        return {question: answer for (_, question), answer in answers.items()}

    @cached_property
    def training_file(self) -> TrainingFile:
        """`training.jsonl` and `training_report.json`."""
        settings = self.settings
        used = {draft.exchange.id: id for id, answer in self.training_answers.items() for draft in answer.drafts}
        file = write_training_file(
            self.log,
            self.folder / "training.jsonl",
            only=used,
            model=settings.student,
            tokenizer=settings.tokenizer,
            review=partial(
                review_examples,
                questions=self.questions,
                page_of=self._page_of,
                use_eval_pages=settings.use_eval_pages,
                keep_all=settings.keep_all,
                abstain_share=settings.abstain_share,
                idle_refines=settings.idle_refines,
                same_system=not settings.system_as_sent,
                validation_share=settings.validation_share,
            ),
        )
        self.validation_file = write_variants(file, prompt_completion=settings.format == "prompt-completion")
        report = file.report(settings.epochs)
        usd = costs.training_cost(self.prices, settings.student, report["tokens_billed"])
        self.training_report = {**report, "student": settings.student, "usd": usd}
        write_json(self.folder / "training_report.json", self.training_report)
        dropped = len(file.examples) - len(file.kept)
        self.say(
            f"collect: {_counted(len(file.kept), 'training example')}, {dropped} dropped, {file.tokens} tokens an epoch"
        )
        return file

    @property
    def training_usd(self) -> float | None:
        """US dollars for training on this run's file; None where the price is not known."""
        _ = self.training_file
        usd: float | None = self.training_report["usd"]
        return usd

    @cached_property
    def tuned(self) -> str | None:
        """The tuned model's name: the one given, or that of the finished job (`job.json`).

        None where the job gives none; `untrained` then says why, and the other arms are evaluated all the same.
        """
        if self.settings.tuned is not None:
            return self.settings.tuned
        self._require_enough_examples()
        try:
            job = self.job()
            self.job_id = job.id
            job.wait(
                timeout=self.job_timeout,
                progress=lambda now: self.progress(f"finetune ({now})", 0, 0),
                sleep=self.training_service.retry.sleep,
            )
            model = job.model
        except JobError as error:
            if self.budget is not None and not isinstance(error, JobUnfinished):
                self.budget.release_training()
            self.untrained = error
            self.say(f"finetune: {error}")
            return None
        self.say(f"finetune: job {job.id} {job.status}, model {model}")
        return model

    def _require_enough_examples(self) -> None:
        kept = len(self.training_file.kept)
        if kept < self.fewest_examples:
            reasons = self.training_file.report()["dropped"]
            dropped = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
            cut_short = reasons.get("finish_reason length", 0) > kept
            remedy = "answers were cut off: raise --reply-tokens" if cut_short else "ask for more --train-questions"
            raise InputError(
                f"{_counted(kept, 'training example')} can be kept (dropped: {dropped or 'none'}), and a job needs "
                f"at least {self.fewest_examples}; {remedy}."
            )

    def job(self) -> FineTuningJob:
        """The fine-tuning job of this run's training file, found again or started; its price is held until it ends."""
        settings = self.settings
        job = FineTuningJob.create(
            self.training_file.path,
            base=settings.student,
            log=self.log,
            service=self.training_service,
            validation_file=self.validation_file,
            hyperparameters=settings.hyperparameters,
            suffix=settings.suffix,
            seed=settings.seed,
            path=self.folder / "job.json",
            before=self._before_training,
        )
        if self.budget is not None and not job.is_final:
            self.budget.hold_training(settings.student, self.training_usd)
        return job

    def _before_training(self) -> None:
        """Say what goes off soon, and put the price aside, before money is spent; the known dates are OpenAI's own."""
        if self.budget is not None:
            self.budget.hold_training(self.settings.student, self.training_usd)
        if self.training_service.address == OPENAI_ADDRESS:
            student = self.settings.student
            for warning in costs.shutdown_warnings(self.prices, [student], date.today(), base=student):
                self.say(f"warning: {warning}")

    @cached_property
    def answers(self) -> dict[tuple[str, str], Answer]:
        """`answers.jsonl`: each arm's answers to the eval questions, by (arm, question id)."""
        student = self.chat(self.settings.student, self.student_service)
        models = {"base": student, "control": student, "teacher": self.chat(self.settings.teacher)}
        if self.tuned is not None:
            place = (self.tuned_service if self.settings.tuned else None) or self.student_service
            (place or self.service).wait_for_deployment(self.tuned, SERVED_WITHIN)
            models["tuned"] = self.chat(self.tuned, place)
        models = {arm: models[arm] for arm in self.arms}
        tasks = [(arm, question) for arm in models for question in self.of_split("eval")]
        answers = self._ask(models, tasks, set())
        trained = {} if self.settings.tuned else self.training_answers
        rows = [(("teacher", id), answer) for id, answer in trained.items()] + list(answers.items())
        write_jsonl(
            self.folder / "answers.jsonl",
            (
                {
                    "question_id": id,
                    "arm": arm,
                    "text": answer.text,
                    "contexts": [hit.chunk.id for hit in answer.hits],
                    "drafts": len(answer.drafts),
                }
                for (arm, id), answer in rows
            ),
        )
        return answers

    def _ask(
        self,
        models: Mapping[str, ChatModel],
        tasks: Sequence[tuple[str, Question]],
        hidden: set[tuple[str, int]],
    ) -> dict[tuple[str, str], Answer]:
        """Answer each (arm, question); a question whose call fails for good is left out and listed."""
        settings = self.settings
        vectors = {question.id: row for question, row in zip(self.questions, self._question_vectors, strict=True)}
        engines = {
            arm: QueryEngine(
                self.store,
                model,
                self.embed,
                top_k=settings.top_k,
                context_window=settings.context_window,
                reply_tokens=settings.reply_tokens,
                system=CONTROL_SYSTEM if arm == "control" else ANSWER_SYSTEM,
            )
            for arm, model in models.items()
        }

        def ask(task: tuple[str, Question]) -> Answer | ServiceError:
            arm, question = task
            try:
                return engines[arm].query(
                    question.text,
                    vector=vectors[question.id],
                    where=(lambda c: (c.source, c.page) not in hidden) if hidden else None,
                    tags={"question": question.id, "split": question.split, "arm": arm},
                )
            except ServiceRefused:
                raise
            except ServiceError as error:
                return error

        step = self._progress("ask")
        answers: dict[tuple[str, str], Answer] = {}
        failures = []
        for done, ((arm, question), result) in enumerate(
            zip(tasks, in_order(ask, tasks, self.workers), strict=True), 1
        ):
            step(done, len(tasks))
            if isinstance(result, ServiceError):
                failures.append(f"{question.id} ({arm}): {result}")
            else:
                answers[arm, question.id] = result
        self.failures += failures
        calls = sum(len(answer.drafts) for answer in answers.values())
        self.say(f"ask: {len(answers)} answers by {', '.join(models)}, {calls - len(answers)} of {calls} calls refine")
        return answers

    # -- scores → comparison → report ----------------------------------------------------------------------

    @cached_property
    def scores(self) -> Scores:
        """`scores.jsonl`: every arm's answers judged with every metric."""
        rows = [
            Row(answer.question, answer.text, tuple(answer.contexts), question_id=id, arm=arm)
            for (arm, id), answer in self.answers.items()
        ]
        scores = evaluate(
            rows,
            self.settings.metrics,
            self.chat(self.settings.judge),
            self.embed,
            rounds=self.settings.rounds,
            workers=self.workers,
            window=self.settings.judge_window or self.settings.context_window,
            progress=self._progress("evaluate"),
        )
        write_jsonl(self.folder / "scores.jsonl", (row.to_json() for row in scores))
        self.failures += [
            f"{row.question_id} ({row.arm}, {row.metric}): {row.score.reason}" for row in scores if row.failed
        ]
        unscored = sum(1 for row in scores if row.score.value is None)
        self.say(f"evaluate: {_counted(len(scores), 'score')}, {unscored} unscored")
        return scores

    @property
    def arms(self) -> tuple[str, ...]:
        """Whose answers are judged: `control` where it is asked for, `tuned` where there is a tuned model."""
        judged = {"control": self.settings.control, "tuned": self.tuned is not None}
        return tuple(arm for arm in ARMS if judged.get(arm, True))

    @cached_property
    def comparison(self) -> dict[str, Any]:
        """`comparison.json`: the arms compared in every metric, and what stands behind it."""
        questions = self.of_split("eval")
        evaluation = Evaluation(
            arms=self.arms,
            ids=[q.id for q in questions],
            sound=[not doubts(q) for q in questions],
            pages=[self._page_of.get(q.chunk_id or "", (q.id, 0)) for q in questions],
            metrics=self.settings.metrics,
            scores=self.scores,
            kinds=question_kinds(questions, self.answers, self._page_of, abstains),
            margin=self.settings.margin,
        )
        settings = self.settings
        comparison = comparison_of(
            evaluation,
            labels=read_labels(self.folder),
            warnings=[
                *conflicts(settings.teacher, settings.student, settings.judge, self._models_served),
                *cut_off(self.answers),
            ],
            untrained=None if self.untrained is None else str(self.untrained),
        )
        for warning in comparison["in_words"]["warnings"]:
            self.say(f"warning: {warning}")
        write_json(self.folder / "comparison.json", comparison)
        return comparison

    @cached_property
    def costs(self) -> dict[str, Any]:
        """`costs.json`: everything that this folder's calls have cost, and whether training pays for itself."""
        calls = {
            arm: [[draft.exchange for draft in answer.drafts] for (a, _), answer in self.answers.items() if a == arm]
            for arm in self.arms
        }
        # what training elsewhere has cost is not known here
        training = None if self.settings.tuned or not self.tuned else self.training_usd
        result = costs.run_costs(self.log, self.prices, calls, training)
        write_json(self.folder / "costs.json", result)
        return result

    @property
    def results(self) -> Results:
        """What the report shows of this run."""
        return Results(
            questions=self.of_split("eval"),
            answers=self.answers,
            scores=self.scores,
            comparison=self.comparison,
            costs=self.costs,
            losses=None if self.job_id is None else read_losses(self.log, self.job_id),
            facts=self.facts(),  # last: it looks at the log that the steps before have written
        )

    @cached_property
    def report(self) -> Path:
        """`report.html`: one self-contained file."""
        return write_report(self.folder, self.results)

    @staticmethod
    def open(folder: str | os.PathLike[str]) -> SavedRun:
        """A finished run to look at: nothing is computed, sent or written."""
        return SavedRun(Path(folder))

    # -- what the run is -----------------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """What `run.json` holds: settings, versions, hashes of the inputs, models requested and served."""
        inputs = {
            name: source
            for name in ("train_questions", "eval_questions")
            if isinstance(source := getattr(self.settings, name), str)
        }
        return {
            "minirag": VERSION,
            "versions": _versions(),
            "settings": asdict(self.settings),
            "service": self.service.name,
            "student_service": None if self.student_service is None else self.student_service.name,
            "tuned_service": None if self.tuned_service is None else self.tuned_service.name,
            **({} if self.build_store is None else {"store": POSTGRESQL}),
            "documents": dict(self.pages.sha256),
            "question_files": {
                name: hashlib.sha256(Path(source).read_bytes()).hexdigest() for name, source in inputs.items()
            },
            "a_person_said": {
                name: hashlib.sha256((self.folder / name).read_bytes()).hexdigest()
                for name in (DECISIONS, LABELS_FILE)
                if (self.folder / name).exists()
            },
            "models_served": self._models_served,
            "prompt_texts": _prompts_digest(),
            "pages": {
                "total": len(self.pages),
                "removed_lines": dict(self.pages.removed),
                "suspicious": [
                    {"source": source, "page": number, "reason": reason, "excerpt": excerpt}
                    for source, number, reason, excerpt in self.pages.suspicious
                ],
            },
        }

    @property
    def _models_served(self) -> dict[str, list[str]]:
        """What each requested model called itself in the replies that this folder's log holds."""
        served: dict[str, set[str]] = {}
        for exchange in self.log:
            if exchange.error is None and exchange.endpoint in {"chat.completions", "embeddings"}:
                served.setdefault(exchange.model, set()).add(exchange.served_model)
        return {model: sorted(names) for model, names in sorted(served.items())}

    def forget_results(self) -> None:
        """Remove what was found with other settings: a run that is interrupted now leaves no mix of both."""
        for name in RESULTS:
            (self.folder / name).unlink(missing_ok=True)

    def record(self) -> None:
        """Write `run.json`: at the start, so that an interrupted run can be resumed, and at the end."""
        write_json(self.folder / "run.json", self.facts())

    def finish(self) -> None:
        """Record the run; raise Unfinished where a question or a score could not be had."""
        self.record()
        if self.log.reused:
            self.say(f"calls: {self.log.added:,} sent, {len(self.log.reused):,} taken from the log of earlier runs")
        if self.untrained is not None:
            raise self.untrained
        if self.failures:
            raise Unfinished(
                f"{len(self.failures)} calls failed, the first for {self.failures[0].rstrip('.')}; "
                "everything else is done, run again to resume."
            )

    def _progress(self, step: str) -> Callable[[int, int], None]:
        return lambda done, total: self.progress(step, done, total)


def _prompts_digest() -> str:
    """Return a hash of all sentences and schemas that models are sent."""
    constants = {
        name: value for name, value in vars(prompts).items() if isinstance(value, str | dict) and name.isupper()
    }
    return hashlib.sha256(canonical(constants).encode()).hexdigest()


def _versions() -> dict[str, str]:
    import importlib.metadata  # half as long to load as all the rest of minirag
    import platform

    libraries = {name: importlib.metadata.version(name) for name in ("openai", "numpy", "pypdf", "tiktoken", "httpx")}
    return {"python": platform.python_version(), **libraries}


def _removed(pages: Pages) -> str:
    total = sum(pages.removed.values())
    return f"; removed {total} running headers, page numbers and the like" if total else ""


def _to_look_at(pages: Pages) -> str:
    """What in the documents is hidden or told to a model, the first by name and all by number."""
    source, number, reason, excerpt = pages.suspicious[0]
    passages = _counted(len(pages.suspicious), "passage")
    return f"{passages} to look at in the report, the first {reason} on {source} page {number}: {excerpt}"


def _without(pages: Pages) -> str:
    """The pages that gave no text, by name, and why where that is known."""
    if not pages.empty:
        return ""
    named = [f"{page.source} page {page.number}{f' ({page.error})' if page.error else ''}" for page in pages.empty[:10]]
    more = f" and {len(pages.empty) - 10} more" if len(pages.empty) > 10 else ""
    return f"; no text on {', '.join(named)}{more}"


def _counted(number: int, noun: str) -> str:
    """`1 page`, `2 pages`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
