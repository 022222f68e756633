"""Row 7. What a run is asked to do, and whether that can work at all."""

from dataclasses import dataclass
from pathlib import Path

from minirag import prompts
from minirag.errors import InputError
from minirag.evaluation import check_metrics
from minirag.metrics.replies import reply_tokens
from minirag.query import Window
from minirag.questions import SPLITS, read_questions
from minirag.text import for_model


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is asked to do; everything here is in `run.json`. Models have no default.

    `train_questions` and `eval_questions` are a number to write or a file with a question a line; `tuned` names
    a model that was trained elsewhere; `control` judges the untrained student with a better prompt too;
    `judge_window=None` caps the judge's requests like all others.
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
    temperature: float | None = 0.0
    seed: int = 0
    ef_search: int | None = None
    suffix: str | None = None
    tuned: str | None = None
    tokenizer: str | None = None
    judge_window: int | None = None
    metrics: tuple[str, ...] = ("faithfulness", "answer_relevancy")
    control: bool = False
    rounds: int = 1
    margin: float | None = None
    use_eval_pages: bool = False
    keep_all: bool = False
    abstain_share: float = 0.0
    idle_refines: str = "drop"
    system_as_sent: bool = False
    validation_share: float = 0.0
    format: str = "chat"
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate_multiplier: float | None = None
    prices: str | None = None
    max_cost: float | None = None

    @property
    def hyperparameters(self) -> dict[str, float]:
        """The values that are set, as the API names them."""
        values: dict[str, float | None] = {"n_epochs": self.epochs, "batch_size": self.batch_size}
        values["learning_rate_multiplier"] = self.learning_rate_multiplier
        return {name: value for name, value in values.items() if value is not None}

    def check(self, *, tuned_elsewhere: bool = False) -> None:
        """Raise InputError for what cannot work, whatever the documents hold."""
        for name in ("top_k", "context_window", "reply_tokens", "rounds"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be at least 1.")
        for name in ("train_questions", "eval_questions"):
            if isinstance(count := getattr(self, name), int) and count < 0:
                raise InputError(f"--{name.replace('_', '-')} is {count}; it must not be negative.")
        for name in ("abstain_share", "validation_share"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be from 0 to below 1.")
        check_metrics(self.metrics)
        self._check_training()
        if tuned_elsewhere and self.tuned is None:
            raise InputError("--tuned-base-url needs --tuned MODEL, the model that is served there.")
        if self.tuned == self.student and not tuned_elsewhere:
            raise InputError("--tuned names the untrained student itself; name the tuned model.")
        if self.teacher == self.student:
            raise InputError(f"Teacher and student are both {self.teacher!r}; name two different models.")
        if not self.documents:
            raise InputError("No document was named; name a PDF, a text, a Markdown file or an address.")
        self._check_windows()

    def _check_training(self) -> None:
        for name, low, high in (("epochs", 1, 50), ("batch_size", 1, 256), ("learning_rate_multiplier", 1e-9, 1e9)):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise InputError(f"--{name.replace('_', '-')} is {value}; it must be from {low:g} to {high:g}.")
        if self.suffix is not None and not 1 <= len(self.suffix) <= 64:
            raise InputError("The suffix of a tuned model has 1 to 64 characters.")

    def _check_windows(self) -> None:
        given = [(split, getattr(self, f"{split}_questions")) for split in SPLITS]
        files = [read_questions(Path(source), split) for split, source in given if isinstance(source, str)]
        longest = prompts.CONTROL_SYSTEM if self.control else prompts.ANSWER_SYSTEM
        asked = ["?", *(question.text for file in files for question in file)]
        for model in (self.student, self.teacher, *([self.tuned] if self.tuned else [])):
            window = Window(for_model(model, self.tokenizer), self.context_window)
            for text in asked:
                window.require(prompts.draft(text, [], longest), self.reply_tokens)
        judge = Window(for_model(self.judge, self.tokenizer), self.judge_window or self.context_window)
        judge.require(prompts.verdicts([], ["?"]), reply_tokens(1), prompts.VERDICTS_SCHEMA)
