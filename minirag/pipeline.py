"""The whole job, top to bottom: each step is a property of a `Run`, and asks for the steps before it.

Nothing but the log, the vectors and the job's state is ever read back. A step that is asked for again walks through
the same requests, and the log answers those that were paid for already.
"""

import importlib.metadata
import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from minirag import VERSION, costs, curation, prompts, statistics
from minirag.corpus import Corpus
from minirag.errors import InputError, JobError, JobUnfinished, ServiceError, ServiceRefused, TrainingNotAvailable
from minirag.finetune import FINAL, FineTuningJob, refuse_second_job
from minirag.message_log import write_json, write_jsonl
from minirag.metrics.comparison import ARMS
from minirag.metrics.evaluation import Row, evaluate
from minirag.metrics.score import Scores
from minirag.models import Chat
from minirag.query import Answer, QueryEngine
from minirag.questions import PageKey, Question, doubts
from minirag.report import Results, write_report
from minirag.retry import in_order
from minirag.service import ROLES
from minirag.text import counted
from minirag.training import FEWEST_EXAMPLES, TrainingFile, write_training_file


@dataclass
class Run(Corpus):
    """A run in `folder`; ask for the step you want, e.g. `run.comparison`, and those before it are done.

    `budget` is the cap on its calls; `untrained` says why no model was or can be tuned.
    """

    prices: costs.Prices = field(default_factory=costs.load_prices)
    budget: costs.Budget | None = None
    untrained: JobError | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.judge, self.trainer = self.chat("judge"), self.service_of("student")
        if self.budget is not None:
            for service in {self.service, *self.services.values()}:
                service.gates.append(self.budget)

    def engine(self, model: Chat, system: str = prompts.ANSWER_SYSTEM) -> QueryEngine:
        """Return the engine with which a model answers questions about these documents."""
        return QueryEngine(
            self.store,
            model,
            self.embed,
            top_k=self.settings.top_k,
            context_window=self.settings.context_window,
            reply_tokens=self.settings.reply_tokens,
            system=system,
        )

    def ask(
        self, engines: Mapping[str, QueryEngine], split: str, hidden: Collection[PageKey] = ()
    ) -> dict[tuple[str, str], Answer]:
        """Return each arm's answers to the questions of a split, by (arm, question id).

        No prompt shows a page of `hidden`. Questions whose call fails are left out; `failures` lists those that a later
        run may answer.
        """
        tasks = [(arm, question) for question in self.of_split(split) for arm in engines]
        vectors = {question.id: row for question, row in self._embedded}
        where = (lambda chunk: (chunk.source, chunk.page) not in hidden) if hidden else None

        def ask(task: tuple[str, Question]) -> Answer | ServiceError:
            arm, question = task
            tags = {"question": question.id, "split": split, "arm": arm}
            try:
                return engines[arm].query(question.text, vector=vectors[question.id], where=where, tags=tags)
            except ServiceRefused:  # every other call would be refused as well
                raise
            except ServiceError as error:
                return error

        answers: dict[tuple[str, str], Answer] = {}
        refused: list[str] = []  # for good: asking again would change nothing
        # the arms of one question follow each other: their prompts begin alike, and services cache that
        for done, result in enumerate(in_order(ask, tasks, self.workers), 1):
            arm, question = tasks[done - 1]
            if isinstance(result, ServiceError):
                failures = refused if result.final else self.failures
                failures.append(f"{question.id} ({arm}): {result}")
            else:
                answers[arm, question.id] = result
            self.progress("ask", done, len(tasks))
        calls = sum(len(answer.drafts) for answer in answers.values())
        if refused:
            self.say(f"warning: {counted(len(refused), 'answer')} refused for good, the first is {refused[0]}")
        self.say(f"ask: {len(answers)} answers by {', '.join(engines)}, {calls - len(answers)} of {calls} calls refine")
        return {key: answer for arm in engines for key, answer in answers.items() if key[0] == arm}

    @cached_property
    def training_answers(self) -> dict[str, Answer]:
        """The teacher's answers to the train questions, without the pages of eval questions; by question id."""
        hidden = self.pages_of(self.of_split("eval"))
        if hidden >= set(self.page_of.values()):
            raise InputError("The eval questions are about every page, so nothing is left to train on; add documents.")
        answers = self.ask({"teacher": self.engine(self.teacher)}, "train", hidden)
        return {id: answer for (_, id), answer in answers.items()}

    @cached_property
    def training_file(self) -> TrainingFile:
        """`training.jsonl`: the answers that are worth training on."""
        settings = self.settings
        review = partial(
            curation.review_examples, questions=self.questions, page_of=self.page_of, keep_all=settings.keep_all
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
        self.say(f"collect: {text}, {file.tokens:,} tokens an epoch")
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
            file.require(FEWEST_EXAMPLES, TrainingNotAvailable)
            job = FineTuningJob.create(
                file.path,
                base=settings.student,
                log=self.log,
                service=self.trainer,
                hyperparameters=settings.hyperparameters,
                options=settings.options.get("training"),
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
        student = self.chat("student")
        engines = {"base": self.engine(student), "control": self.engine(student, prompts.CONTROL_SYSTEM)}
        engines["teacher"] = self.engine(self.teacher)
        if self.tuned is not None:
            tuned = self.chat("tuned", self.tuned)
            engines["tuned"] = self.engine(tuned)
            if tuned.service is student.service:
                tuned.dialect.begin_like(student.dialect)
        answers = self.ask({arm: engines[arm] for arm in self.arms}, "eval")
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
        settings, questions = self.settings, self.of_split("eval")
        scores = self.scores  # first: the log holds all calls then
        served = statistics.models_served(self.log)
        warnings = statistics.conflicts(settings.teacher, settings.student, settings.judge, served) + self.left_out
        warnings += statistics.cut_off(self.answers, len(self.judge.cut_prompts))
        warnings += statistics.repeated(self.log, [question.text for question in questions])
        comparison = statistics.comparison_of(
            scores,
            {question.id: self.page_of[question.chunk_id] for question in questions},
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
            questions=self.of_split("eval"),
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
        files = {split: Path(source) for split, source in self.settings.sources.items() if isinstance(source, str)}
        return {
            "minirag": VERSION,
            "versions": {"python": platform.python_version(), **{n: importlib.metadata.version(n) for n in libraries}},
            "settings": asdict(self.settings),
            "service": self.service.name,
            **{f"{role}_service": own.name if (own := self.services.get(role)) else None for role in ROLES},
            **({"store": "postgresql"} if self.build_store else {}),  # never where that is
            "documents": self.pages.sha256,
            "question_files": {
                f"{split}_questions": sha256(path.read_bytes()).hexdigest() for split, path in files.items()
            },
            "models_served": statistics.models_served(self.log),
        }
