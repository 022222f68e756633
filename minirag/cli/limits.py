"""Check the settings of a run before anything is sent: what is found wrong here costs nothing."""

from collections.abc import Sequence
from pathlib import Path

from minirag import prompts
from minirag.corpus import Settings
from minirag.documents import Page
from minirag.errors import InputError
from minirag.evaluation import check_metrics
from minirag.metrics.replies import reply_tokens
from minirag.questions import SPLITS, read_questions, split_pages
from minirag.text import for_model
from minirag.window import Window


def check_settings(settings: Settings, *, tuned_elsewhere: bool = False) -> None:
    """Raise InputError for settings that cannot work, whatever the documents hold."""
    for name in ("top_k", "context_window", "reply_tokens", "rounds"):
        if getattr(settings, name) < 1:
            raise InputError(f"{_option(name)} is {getattr(settings, name)}; it must be at least 1.")
    for name, highest in (("epochs", 50), ("batch_size", 256)):
        value = getattr(settings, name)
        if value is not None and not 1 <= value <= highest:
            raise InputError(f"{_option(name)} is {value}; it must be from 1 to {highest}.")
    for name in ("train_questions", "eval_questions"):
        if isinstance(count := getattr(settings, name), int) and count < 0:
            raise InputError(f"{_option(name)} is {count}; it must not be negative.")
    for name in ("abstain_share", "validation_share"):
        if not 0 <= getattr(settings, name) < 1:
            raise InputError(f"{_option(name)} is {getattr(settings, name)}; it must be from 0 to below 1.")
    if settings.learning_rate_multiplier is not None and not settings.learning_rate_multiplier > 0:
        value = settings.learning_rate_multiplier
        raise InputError(f"--learning-rate-multiplier is {value}; it must be above 0.")
    if settings.suffix is not None and not 1 <= len(settings.suffix) <= 64:
        raise InputError("The suffix of a tuned model has 1 to 64 characters.")
    check_metrics(settings.metrics)
    _check_names(settings, tuned_elsewhere)
    _check_windows(settings)


def _check_names(settings: Settings, tuned_elsewhere: bool) -> None:
    """Raise InputError for models or documents that cannot be meant."""
    if tuned_elsewhere and settings.tuned is None:
        raise InputError("--tuned-base-url needs --tuned MODEL, the model that is served there.")
    if settings.tuned == settings.student and not tuned_elsewhere:
        raise InputError("--tuned names the untrained student itself; name the tuned model.")
    if settings.teacher == settings.student:
        raise InputError(f"Teacher and student are both {settings.teacher!r}; name two different models.")
    if not settings.documents:
        raise InputError("No document was named; name a PDF, a text, a Markdown file or an address.")


def check_pages(settings: Settings, pages: Sequence[Page]) -> None:
    """Raise InputError if the documents have too few pages with text to keep train and eval questions apart."""
    counts = [n if isinstance(n, int) else 0 for n in (settings.train_questions, settings.eval_questions)]
    split_pages([(page.source, page.number) for page in pages if page.text.strip()], *counts)


def _check_windows(settings: Settings) -> None:
    """Raise WindowTooSmall if a question of a file, or a request without any context, does not fit its window."""
    sources = {split: getattr(settings, f"{split}_questions") for split in SPLITS}
    files = [read_questions(Path(source), split) for split, source in sources.items() if isinstance(source, str)]
    system = prompts.CONTROL_SYSTEM if settings.control else prompts.ANSWER_SYSTEM  # the longer one, if it is used
    texts = ["?", *(question.text for questions in files for question in questions)]
    for model in (settings.student, settings.teacher, settings.tuned):
        if model is not None:
            window = Window(for_model(model, settings.tokenizer), settings.context_window)
            for text in texts:
                window.require(prompts.draft(text, [], system), settings.reply_tokens)
    judge = Window(for_model(settings.judge, settings.tokenizer), settings.judge_window or settings.context_window)
    judge.require(prompts.verdicts([], ["?"]), reply_tokens(1), prompts.VERDICTS_SCHEMA)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
