"""The whole job, top to bottom: each step is a property of a `Run`, and asks for the steps before it.

Nothing but the log, the vectors and the job's state is ever read back. A step that is asked for again walks through
the same requests, and the log answers those that were paid for already.
"""

import importlib.metadata
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from minirag import VERSION, costs, curation, prompts, statistics
from minirag.corpus import Corpus, Settings, StoreBuilder
from minirag.embeddings import EmbeddingModel
from minirag.errors import InputError, JobError, JobUnfinished, TrainingNotAvailable
from minirag.finetune import FINAL, FineTuningJob, refuse_second_job
from minirag.message_log import MessageLog, write_json, write_jsonl
from minirag.metrics.comparison import ARMS
from minirag.metrics.evaluation import Row, evaluate
from minirag.metrics.score import Scores
from minirag.models import ChatModel
from minirag.query import Answer
from minirag.questions import doubts
from minirag.report import Results, write_report
from minirag.service import ROLES, Service
from minirag.text import counted
from minirag.training import FEWEST_EXAMPLES, TrainingFile, write_training_file


@dataclass
class Run:
    """A run in `folder`; ask for the step you want, e.g. `run.comparison`, and those before it are done.

    `service` serves all roles but those in `services`: teacher, student (whose service also trains, and serves the
    tuned model if no other does), judge, embedding, tuned. `say` gets one line a step, `progress` gets (step, done,
    total). `failures` lists missing answers and scores, `untrained` says why no model was or can be tuned.
    """

    folder: Path
    settings: Settings
    service: Service
    services: Mapping[str, Service] = field(default_factory=dict)
    build_store: StoreBuilder | None = None
    workers: int = 8
    prices: costs.Prices = field(default_factory=costs.load_prices)
    budget: costs.Budget | None = None
    say: Callable[[str], None] = lambda _: None
    progress: Callable[[str, int, int], None] = lambda *_: None
    sync: bool = True
    fewest_examples: int = FEWEST_EXAMPLES
    failures: list[str] = field(default_factory=list)
    untrained: JobError | None = None

    def __post_init__(self) -> None:
        self.log = MessageLog(self.folder / "messages.jsonl", sync=self.sync)
        if self.budget is not None:
            for service in {self.service, *self.services.values()}:
                service.gates.append(self.budget)
        settings, self.trainer = self.settings, self._service("student")
        self.teacher, self.judge = self.chat("teacher"), self.chat("judge")
        self.embed = passages = self._embedding(settings.query_prefix)
        if settings.passage_prefix != settings.query_prefix:
            passages = self._embedding(settings.passage_prefix)
        index = f"{settings.embedding} at {self.embed.service.name}"  # services may use one name for different models
        index += f", passages after {settings.passage_prefix!r}" if settings.passage_prefix else ""
        options = (self.workers, self.build_store, self.say, self.progress, self.failures)
        self.corpus = Corpus(self.folder, settings, self.embed, passages, self.teacher, index, *options)

    def _service(self, role: str) -> Service:
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
            service=self.services.get(role) or self._service(second),
        )

    def _embedding(self, prefix: str) -> EmbeddingModel:
        return EmbeddingModel(
            self.settings.embedding,
            prefix=prefix,
            workers=self.workers,
            progress=self.progress,
            options=self.settings.options.get("embedding"),
            log=self.log,
            service=self._service("embedding"),
        )

    @cached_property
    def training_answers(self) -> dict[str, Answer]:
        """The teacher's answers to the train questions, without the pages of eval questions; by question id."""
        corpus = self.corpus
        hidden = corpus.pages_of(corpus.of_split("eval"))
        if hidden >= set(corpus.page_of.values()):
            raise InputError("The eval questions are about every page, so nothing is left to train on; ask for fewer.")
        answers = corpus.ask({"teacher": corpus.engine(self.teacher)}, "train", hidden)
        return {id: answer for (_, id), answer in answers.items()}

    @cached_property
    def training_file(self) -> TrainingFile:
        """`training.jsonl`: the answers that are worth training on."""
        settings, corpus = self.settings, self.corpus
        review = partial(
            curation.review_examples, questions=corpus.questions, page_of=corpus.page_of, keep_all=settings.keep_all
        )
        file = write_training_file(
            self.log,
            self.folder / "training.jsonl",
            only={draft.exchange.id: id for id, answer in self.training_answers.items() for draft in answer.drafts},
            model=settings.student,
            tokenizer=settings.tokenizer,
            review=review,
        )
        kept = len(file.kept)
        text = f"{counted(kept, 'training example')}, {len(file.examples) - kept} dropped"
        self.say(f"collect: {text}, {file.tokens} tokens an epoch")
        return file

    @cached_property
    def training_report(self) -> dict[str, Any]:
        """`training_report.json`: every example kept or dropped with its reason; tokens; price (None: not known)."""
        student, result = self.settings.student, self.training_file.report(self.settings.epochs)
        result |= {"student": student, "usd": costs.training_cost(self.prices, student, result["tokens_billed"])}
        write_json(self.folder / "training_report.json", result)
        return result

    @cached_property
    def tuned(self) -> str | None:
        """The tuned model's name: that in the settings, or that of the finished job; None if it gives no model."""
        settings, budget = self.settings, self.budget
        if settings.tuned is not None:
            return settings.tuned
        file = self.training_file  # it can be trained on elsewhere

        def reserve() -> None:
            if budget is not None:
                budget.hold_training(settings.student, self.training_report["usd"])

        def begin() -> None:
            if self.training_report["usd"] != 0:
                refuse_second_job(self.folder / "job.json")
            reserve()

        try:
            if self.untrained is not None:
                raise self.untrained
            file.require(self.fewest_examples, TrainingNotAvailable)
            job = FineTuningJob.create(
                file.path,
                base=settings.student,
                log=self.log,
                service=self.trainer,
                hyperparameters=settings.hyperparameters,
                options=settings.options.get("training"),
                suffix=settings.suffix,
                seed=settings.seed,
                path=self.folder / "job.json",
                before=begin,
            )
            if job.status not in FINAL:
                reserve()  # of a job that an earlier run has created, too, until it has ended
            job.wait(progress=lambda state: self.progress(f"finetune ({state})", 0, 0), sleep=self.trainer.retry.sleep)
            self.say(f"finetune: job {job.id} {job.status}, model {job.model}")
            return job.model
        except JobError as error:
            if budget is not None and not isinstance(error, JobUnfinished):
                budget.release_training()
            self.untrained = error
            self.say(f"finetune: {error}")
            return None

    @property
    def arms(self) -> tuple[str, ...]:
        """Whose answers are judged."""
        judged = {"control": self.settings.control, "tuned": self.tuned is not None}
        return tuple(arm for arm in ARMS if judged.get(arm, True))

    @cached_property
    def answers(self) -> dict[tuple[str, str], Answer]:
        """`answers.jsonl`: each arm's answers to the eval questions, by (arm, question id)."""
        engine, student = self.corpus.engine, self.chat("student")
        engines = {"base": engine(student), "control": engine(student, prompts.CONTROL_SYSTEM)}
        engines["teacher"] = engine(self.teacher)
        if self.tuned is not None:
            tuned = self.chat("tuned", self.tuned)
            engines["tuned"] = engine(tuned)
            if tuned.service is student.service:
                tuned.dialect.begin_like(student.dialect)
        answers = self.corpus.ask({arm: engines[arm] for arm in self.arms}, "eval")
        trained_on = {} if self.settings.tuned else self.training_answers
        rows = [*((("teacher", id), answer) for id, answer in trained_on.items()), *answers.items()]
        write_jsonl(self.folder / "answers.jsonl", (answer.to_json(id, arm) for (arm, id), answer in rows))
        return answers

    def judged(self, rows: Sequence[Row], window: int | None) -> Scores:
        """Return the scores of rows, each request to the judge within `window` tokens."""
        how: dict[str, Any] = {"rounds": self.settings.rounds, "workers": self.workers, "window": window}
        progress = partial(self.progress, "evaluate")
        return evaluate(rows, self.settings.metrics, self.judge, self.embed, **how, progress=progress)

    @cached_property
    def scores(self) -> Scores:
        """`scores.jsonl`: every arm's answers judged with every metric."""
        rows = [
            Row(answer.question, answer.text, tuple(answer.contexts), None, id, arm)
            for (arm, id), answer in self.answers.items()
        ]
        scores = self.judged(rows, self.settings.judge_window or self.settings.context_window)
        write_jsonl(self.folder / "scores.jsonl", (row.to_json() for row in scores))
        self.failures += [f"{s.question_id} ({s.arm}, {s.metric}): {s.score.reason}" for s in scores if s.failed]
        unscored = sum(row.score.value is None for row in scores)
        self.say(f"evaluate: {counted(len(scores), 'score')}, {unscored} unscored")
        return scores

    @cached_property
    def comparison(self) -> dict[str, Any]:
        """`comparison.json`: the arms compared in every metric, and what stands behind it."""
        settings, corpus, questions = self.settings, self.corpus, self.corpus.of_split("eval")
        scores = self.scores  # first: the log holds all calls then
        served = statistics.models_served(self.log)
        warnings = statistics.conflicts(settings.teacher, settings.student, settings.judge, served) + corpus.left_out
        warnings += statistics.cut_off(self.answers, len(self.judge.cut_prompts))
        warnings += statistics.repeated(self.log, [question.text for question in questions])
        comparison = statistics.comparison_of(
            scores,
            {question.id: corpus.page_of[question.chunk_id] for question in questions},
            arms=self.arms,
            metrics=settings.metrics,
            flagged=sum(1 for question in questions if doubts(question)),
            margin=settings.margin,
            primary=settings.primary,
            labels=statistics.read_labels(self.folder),
            warnings=warnings,
            untrained=None if self.untrained is None else str(self.untrained),
            usd_per_question=self.costs["usd_per_question"],
        )
        for warning in comparison["in_words"]["warnings"]:
            self.say(f"warning: {warning}")
        write_json(self.folder / "comparison.json", comparison)
        return comparison

    @cached_property
    def costs(self) -> dict[str, Any]:
        """`costs.json`: what all calls of this folder have cost, and whether training pays for itself."""
        trained_here = self.tuned is not None and self.settings.tuned is None  # what it cost elsewhere is not known
        trained = (self.settings.student, self.training_report["tokens_billed"]) if trained_here else None
        calls: dict[str, list[Any]] = {arm: [] for arm in self.arms}
        for (arm, _), answer in self.answers.items():
            calls[arm].append([draft.exchange for draft in answer.drafts])
        result = costs.run_costs(self.log, self.prices, calls, trained)
        write_json(self.folder / "costs.json", result)
        return result

    @cached_property
    def report(self) -> Path:
        """`report.html`: one self-contained file."""
        results = Results(
            questions=self.corpus.of_split("eval"),
            answers=self.answers,
            scores=self.scores,
            comparison=self.comparison,
            costs=self.costs,
            facts=self.facts(),  # last: it reads the log that the steps before have written
        )
        return write_report(self.folder, results)

    def facts(self) -> dict[str, Any]:
        """Return what `run.json` holds: settings, versions, hashes of the inputs, models requested and served."""
        libraries = ("openai", "numpy", "pypdf", "tiktoken", "httpx")
        return {
            "minirag": VERSION,
            "versions": {"python": platform.python_version(), **{n: importlib.metadata.version(n) for n in libraries}},
            "settings": asdict(self.settings),
            "service": self.service.name,
            **{f"{role}_service": own.name if (own := self.services.get(role)) else None for role in ROLES},
            **({"store": "postgresql"} if self.build_store else {}),  # never where that is
            **self.corpus.inputs(),
            "models_served": statistics.models_served(self.log),
        }
