"""The settings of a run: its options, and what the folder's `run.json` has recorded; checked before anything is sent.

With documents, the options alone count. Without, the recorded settings hold, changed by the options given. Addresses of
services are never taken from a folder: they must be given again.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

from minirag import prompts
from minirag.chunker import Page
from minirag.cli.arguments import settings_of_file
from minirag.cli.connect import OFFLINE, address_of
from minirag.cli.init import SETTINGS_FILE
from minirag.cli.terminal import say
from minirag.corpus import Settings
from minirag.costs import OLDER_TABLES, Prices, shutdown_warnings
from minirag.errors import InputError
from minirag.metrics.comparison import COMPARED
from minirag.metrics.evaluation import check_metrics
from minirag.metrics.judge import reply_tokens
from minirag.prompts import Excerpt
from minirag.query import Window
from minirag.questions import SPLITS, TOKENS_PER_QUESTION, read_questions, split_pages
from minirag.service import OPENAI_ADDRESS, ROLES
from minirag.statistics import primary_of
from minirag.text import for_model

MODELS = ROLES[:4]
"""The roles that a run cannot do without."""


def completed(options: Mapping[str, Any], used: Collection[str] | None = None) -> dict[str, Any]:
    """Return the options of a command, and those of its `--config` file or ./minirag.toml, as far as they are `used`.

    Options win over the file. Addresses in ./minirag.toml count only if `--config` names it: a stranger's folder must
    not decide where documents are sent. A run that is resumed without documents takes its services from there, no
    settings; `--offline` takes no models and no services. Raises InputError.
    """
    path = options.get("config", SETTINGS_FILE)
    settings = settings_of_file(path) if "config" in options or path.is_file() else {}
    if "offline" in options:
        settings = {name: value for name, value in settings.items() if name.partition("_")[0] not in {*ROLES, "base"}}
    if not options.get("documents") and "out" in options and (options["out"] / "run.json").exists():
        facts = recorded_facts(options["out"])
        again = {f"{role}_base_url" for role in ROLES if facts.get(f"{role}_service")}
        again |= {"insecure_http", "store", "workers", "batch", *(() if facts["service"] == OFFLINE else ("base_url",))}
        settings = {name: value for name, value in settings.items() if name in again}
    settings = {name: value for name, value in settings.items() if used is None or name in used}
    settings = {name: value for name, value in settings.items() if name not in options}
    shown = [name.replace("_", "-") for name in settings]
    if "config" not in options and (places := [name for name in shown if name.endswith("base-url") or name == "store"]):
        raise InputError(
            f"{path} names a place to send documents to ({places[0]} {settings[places[0].replace('-', '_')]}): "
            f"if you trust it, add --config {path}."
        )
    if shown:
        say(f"{path}: {', '.join(shown)}")
    return {**options, **settings}


def settings_of(options: Mapping[str, Any], folder: Path) -> tuple[Settings, bool]:
    """Return the settings of this command, and True if it uses the embedded models. Raises InputError."""
    names = {field.name for field in fields(Settings)}
    settings = {name: value for name, value in options.items() if name in names}
    for name in ("train_questions", "eval_questions", "prices"):
        if isinstance(settings.get(name), str) and settings[name] not in OLDER_TABLES:
            settings[name] = str(Path(settings[name]).absolute())  # a run may be resumed from another folder
    if (tokenizer := settings.get("tokenizer")) and Path(tokenizer).exists():
        settings["tokenizer"] = str(Path(tokenizer).absolute())
    is_offline = "offline" in options
    if documents := settings.get("documents"):
        settings["documents"] = [name if "://" in name else str(Path(name).absolute()) for name in documents]
    else:
        facts = recorded_facts(folder)
        recorded = {name: value for name, value in facts["settings"].items() if name in names}
        settings = {**recorded, **settings, "documents": recorded["documents"]}
        is_offline = is_offline or facts["service"] == OFFLINE
    for role in MODELS:
        if is_offline:
            settings.setdefault(role, f"offline-{role}")
        elif role not in settings:
            raise InputError(f"No model for --{role}: name one, or use --offline for the embedded models.")
    for name in ("documents", "metrics"):  # lists in JSON and on the command line
        if name in settings:
            settings[name] = tuple(settings[name])
    roles = (*ROLES, "training")
    given = {role: dict(options[f"{role}_option"]) for role in roles if f"{role}_option" in options}
    settings["options"] = {**settings.get("options", {}), **given}
    return Settings(**settings), is_offline


def recorded_facts(folder: Path) -> dict[str, Any]:
    """Return what `run.json` holds. Raises InputError if it is missing or cannot be read."""
    path = folder / "run.json"
    try:
        facts: dict[str, Any] = json.loads(path.read_bytes())
        missing = {"documents", *MODELS} - facts["settings"].keys()
        if missing or "service" not in facts or not isinstance(facts["settings"]["documents"], list):
            raise ValueError("it is not complete")
    except FileNotFoundError:
        raise InputError(f"No document was named, and {folder} holds no run to resume; name a document.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}); name the documents again.") from error
    return facts


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between the facts of an earlier run and those of now, in words.

    A setting that only one of two versions has is no difference.

    >>> changes({"settings": {"top_k": 2}, "documents": {"/a.pdf": "0"}},
    ...         {"settings": {"top_k": 3}, "documents": {"/a.pdf": "1"}})
    ['top_k 2 → 3', 'document a.pdf changed']
    """
    lines = []
    for group in ("settings", "versions", "documents", "question_files"):
        old_values, values = before.get(group, {}), now.get(group, {})
        for name in (name for name in values if name in old_values and old_values[name] != values[name]):
            if group in {"settings", "versions"}:
                lines.append(f"{name} {json.dumps(old_values[name])} → {json.dumps(values[name])}")
            else:
                lines.append(f"{group.replace('_', ' ')[:-1]} {Path(name).name} changed")
    for name in ("service", *(f"{role}_service" for role in ROLES), "minirag"):
        if name in before and before[name] != now.get(name):
            lines.append(f"{name} {before[name]} → {now[name]}")
    return lines


def check_settings(settings: Settings, *, tuned_elsewhere: bool = False) -> None:
    """Raise InputError for settings that cannot work together, whatever the documents hold."""
    if settings.suffix is not None and not 1 <= len(settings.suffix) <= 64:
        raise InputError("The suffix of a tuned model has 1 to 64 characters.")
    check_metrics(settings.metrics)
    primary_of(settings.primary, settings.metrics, [arm for arm in COMPARED if arm != "control" or settings.control])
    if "context_recall" in settings.metrics:
        raise InputError(
            "context_recall needs reference answers, which a run has not: minirag evaluate FILE takes them."
        )
    if tuned_elsewhere and settings.tuned is None:
        raise InputError("--tuned-base-url needs --tuned MODEL, the model that is served there.")
    if settings.tuned == settings.student and not tuned_elsewhere:
        raise InputError("--tuned names the untrained student itself; name the tuned model.")
    if settings.teacher == settings.student:
        raise InputError(f"Teacher and student are both {settings.teacher!r}; name two different models.")
    # each question of a file, and each kind of request without any context, has to fit its window
    sources = {split: getattr(settings, f"{split}_questions") for split in SPLITS}
    files = [read_questions(Path(source), split) for split, source in sources.items() if isinstance(source, str)]
    system = prompts.CONTROL_SYSTEM if settings.control else prompts.ANSWER_SYSTEM  # the longer one, if it is used
    texts = ["?", *(question.text for questions in files for question in questions)]
    for model in (settings.student, settings.teacher, settings.tuned):
        if model is not None:
            window = Window(for_model(model, settings.tokenizer), settings.context_window)
            for text in texts:
                room = window.require(prompts.draft(text, [], system), settings.reply_tokens)
                if room < settings.top_k * settings.chunk_size:  # the rest of the chunks goes into refine requests
                    window.require(prompts.refine(text, "", [], system), 2 * settings.reply_tokens)
    teacher = Window(for_model(settings.teacher, settings.tokenizer), settings.context_window)
    teacher.require(prompts.questions(Excerpt(""), 2), 3 * TOKENS_PER_QUESTION, prompts.QUESTIONS_SCHEMA)
    judge = Window(for_model(settings.judge, settings.tokenizer), settings.judge_window or settings.context_window)
    judge.require(prompts.verdicts([], ["?"]), reply_tokens(1), prompts.VERDICTS_SCHEMA)


def counting_notes(settings: Settings) -> list[str]:
    """Return how the tokens of each chat model are counted whose vocabulary is not in the package, in words."""
    models = dict.fromkeys(filter(None, (settings.teacher, settings.student, settings.judge, settings.tuned)))
    tokenizers = [for_model(model, settings.tokenizer) for model in models]
    hint = "" if settings.tokenizer else "; --tokenizer FILE counts with the model's own tokenizer.json"
    return [f"tokens: counted in {tokenizer.label}{hint}" for tokenizer in tokenizers if not tokenizer.exact]


def date_warnings(settings: Settings, prices: Prices, options: Mapping[str, Any], today: date) -> list[str]:
    """Return a sentence for each role's model at OpenAI, whose dates are known, that goes off soon or is off."""
    models = {role: getattr(settings, role) for role in ROLES}
    at_openai = [role for role in ROLES if models[role] and address_of(options, role) == OPENAI_ADDRESS]
    base = settings.student if "student" in at_openai and settings.tuned is None else None
    return shutdown_warnings(prices, [models[role] for role in at_openai], today, base)


def check_pages(settings: Settings, pages: Sequence[Page]) -> None:
    """Raise InputError if the documents have too few pages with text to keep train and eval questions apart."""
    counts = [n if isinstance(n, int) else 0 for n in (settings.train_questions, settings.eval_questions)]
    split_pages([(page.source, page.number) for page in pages if page.text.strip()], *counts)
