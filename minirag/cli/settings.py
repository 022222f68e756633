"""The settings of a run: its options, ./minirag.toml, and what the folder's `run.json` holds; checked before any call.

With documents, the options alone count. Without, the recorded settings hold, changed by the options given. Addresses of
services are never taken from a folder: they must be given again.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

from minirag import prompts
from minirag.chunker import Page
from minirag.cli.arguments import settings_of_file
from minirag.cli.connect import OFFLINE, address_of
from minirag.cli.terminal import say
from minirag.corpus import Settings
from minirag.costs import Prices, load_prices, shutdown_warnings
from minirag.errors import InputError
from minirag.message_log import write_atomically
from minirag.metrics.comparison import COMPARED, compare
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
NAMES = {field.name for field in fields(Settings)}
SETTINGS_FILE = Path("minirag.toml")


def init(options: Mapping[str, Any]) -> int:
    """`minirag init`: write a commented minirag.toml, which `run` and its steps read in the same folder."""
    if SETTINGS_FILE.exists():
        raise InputError(f"There is a {SETTINGS_FILE} already; edit it, or delete it first.")
    write_atomically(SETTINGS_FILE, resources.files("minirag").joinpath("data", SETTINGS_FILE.name).read_bytes())
    say(f"{SETTINGS_FILE} written; fill in the models, then: minirag run report.pdf --out out")
    return 0


def completed(options: Mapping[str, Any], used: Collection[str] | None = None) -> dict[str, Any]:
    """Return the options of a command, completed by its `--config` file or ./minirag.toml, as far as they are `used`.

    Options win over the file. Addresses in ./minirag.toml count only if `--config` names it: a stranger's folder must
    not decide where documents are sent. A run that is resumed without documents takes from the file how to reach its
    services, and no settings; if it used the embedded models, it does again. Raises InputError.
    """
    options = dict(options)
    path = Path(options.get("config", SETTINGS_FILE))
    settings = settings_of_file(path) if "config" in options or path.is_file() else {}
    if not options.get("documents") and "out" in options and (options["out"] / "run.json").exists():
        settings = {name: value for name, value in settings.items() if name not in NAMES and "_option" not in name}
        if facts_of(options["out"])["service"] == OFFLINE:
            options["offline"] = True
    if "offline" in options:
        if "base_url" in options:
            raise InputError("--offline and --base-url exclude each other; give one of them.")
        settings = {name: value for name, value in settings.items() if name.partition("_")[0] not in {*ROLES, "base"}}
    names = [name for name in settings if name not in options and (used is None or name in used)]
    places = [name for name in names if name.endswith("base_url") or name == "store"]
    if places and "config" not in options:
        raise InputError(
            f"{path} names a place to send documents to ({places[0].replace('_', '-')} {settings[places[0]]}): "
            f"if you trust it, add --config {path}."
        )
    if names:
        say(f"{path}: {', '.join(names).replace('_', '-')}")
    return {**options, **{name: settings[name] for name in names}}


def settings_of(options: Mapping[str, Any], folder: Path, roles: Collection[str] = MODELS) -> Settings:
    """Return the settings that the options give, or without documents those recorded in `folder`, changed by them.

    Raises InputError if one of the `roles` has no model.
    """
    settings = {name: value for name, value in options.items() if name in NAMES}
    for name in ("train_questions", "eval_questions", "prices", "tokenizer"):
        if isinstance(file := settings.get(name), str) and Path(file).exists():
            settings[name] = str(Path(file).absolute())  # a run may be resumed from another folder
    if documents := settings.get("documents"):
        settings["documents"] = [name if "://" in name else str(Path(name).absolute()) for name in documents]
    else:
        recorded = facts_of(folder)["settings"]
        settings = {name: recorded[name] for name in recorded if name in NAMES} | settings
        settings["documents"] = recorded["documents"]
    for role in MODELS:
        if "offline" in options:
            settings.setdefault(role, f"offline-{role}")
        elif role in roles and role not in settings:
            raise InputError(f"No model for --{role}: name one, or use --offline for the embedded models.")
        settings.setdefault(role, "")
    for name in {"documents", "metrics", "free"} & settings.keys():  # lists in JSON
        settings[name] = tuple(settings[name])
    fields_of_requests = {role: dict(options.get(f"{role}_option", ())) for role in (*ROLES, "training")}
    added = {role: values for role, values in fields_of_requests.items() if values}
    return Settings(**{**settings, "options": {**settings.get("options", {}), **added}})


def prices_of(settings: Settings, source: str | None = None) -> Prices:
    """Return the prices of a run, or those of another `source`; the models of free roles cost nothing."""
    free = [model for role in settings.free if (model := getattr(settings, role))]
    return load_prices(source or settings.prices, free)


def facts_of(folder: Path) -> dict[str, Any]:
    """Return what `run.json` holds. Raises InputError if it is missing or cannot be read."""
    path = folder / "run.json"
    try:
        facts: dict[str, Any] = json.loads(path.read_bytes())
        missing = {"documents", *MODELS} - facts["settings"].keys()
        if missing or "service" not in facts or not isinstance(facts["settings"]["documents"], list):
            raise ValueError("it is not complete")
    except FileNotFoundError:
        raise InputError(f"{folder} holds no {path.name}: name a document, or the folder of a run.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}); name the documents again.") from error
    return facts


def check_settings(settings: Settings, *, tuned_elsewhere: bool = False) -> None:
    """Raise InputError for settings that cannot work together, whatever the documents hold."""
    if unknown := set(settings.free) - set(ROLES):
        raise InputError(f"--free {unknown.pop()}: the roles are {', '.join(ROLES)}.")
    check_metrics(settings.metrics)
    primary_of(settings.primary, settings.metrics, [arm for arm in COMPARED if arm != "control" or settings.control])
    compare([], [], margin=settings.margin)  # raises InputError for one that no scores can have
    if "context_recall" in settings.metrics:
        raise InputError("A run has no reference answers, which context_recall needs; evaluate FILE takes them.")
    if tuned_elsewhere and settings.tuned is None:
        raise InputError("--tuned-base-url needs --tuned MODEL, the model that is served there.")
    if settings.tuned == settings.student and not tuned_elsewhere:
        raise InputError("--tuned names the untrained student itself; name the tuned model.")
    if settings.teacher == settings.student:
        raise InputError(f"Teacher and student are both {settings.teacher!r}; name two different models.")
    # each question of a file, and each kind of request without any context, has to fit its window
    system = prompts.CONTROL_SYSTEM if settings.control else prompts.ANSWER_SYSTEM  # the longer one, if it is used
    texts = ["?"]
    for split in SPLITS:
        if isinstance(file := getattr(settings, f"{split}_questions"), str):
            texts += read_questions(Path(file))
    for model in filter(None, (settings.student, settings.teacher, settings.tuned)):
        window = Window(for_model(model, settings.tokenizer), settings.context_window)
        for text in texts:
            room = window.require(prompts.draft(text, [], system), settings.reply_tokens)
            if room < settings.top_k * settings.chunk_size:  # the rest of the chunks goes into refine requests
                window.require(prompts.refine(text, "", [], system), 2 * settings.reply_tokens)
    teacher = Window(for_model(settings.teacher, settings.tokenizer), settings.context_window)
    teacher.require(prompts.questions(Excerpt(""), 2), 3 * TOKENS_PER_QUESTION, prompts.QUESTIONS_SCHEMA)
    judge = Window(for_model(settings.judge, settings.tokenizer), settings.judge_window or settings.context_window)
    judge.require(prompts.verdicts([], ["?"]), reply_tokens(1), prompts.VERDICTS_SCHEMA)


def notes(settings: Settings, prices: Prices, options: Mapping[str, Any], today: date) -> list[str]:
    """Return what to know of the models before they are used: how their tokens are counted, and which go off when.

    OpenAI's dates are known, so the latter is said of models there.
    """
    models = {role: model for role in ROLES if (model := getattr(settings, role))}
    tokenizers = dict.fromkeys(
        for_model(model, settings.tokenizer) for role, model in models.items() if role != "embedding"
    )
    hint = "" if settings.tokenizer else "; --tokenizer FILE counts with the model's own tokenizer.json"
    lines = [f"tokens: counted in {tokenizer.label}{hint}" for tokenizer in tokenizers if not tokenizer.exact]
    at_openai = [role for role in models if address_of(options, role) == OPENAI_ADDRESS]
    base = settings.student if "student" in at_openai and settings.tuned is None else None
    warnings = shutdown_warnings(prices, [models[role] for role in at_openai], today, base)
    return [*(f"warning: {warning}" for warning in warnings), *lines]


def check_pages(settings: Settings, pages: Sequence[Page]) -> None:
    """Raise InputError if the documents have too few pages with text to keep train and eval questions apart."""
    counts = [n if isinstance(n, int) else 0 for n in (settings.train_questions, settings.eval_questions)]
    split_pages([(page.source, page.number) for page in pages if page.text.strip()], *counts)
