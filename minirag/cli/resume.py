"""Row 9. The settings of a command: those that its options name, on top of those that the folder's run recorded.

With documents the command line says everything; without, the folder's own settings stand and the options given change
them. The address of a service never comes from a folder.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, get_args

from minirag.cli.arguments import ROLES
from minirag.cli.connect import OFFLINE
from minirag.cli.differences import changed_fields
from minirag.costs import OLDER_TABLES as DATED
from minirag.errors import InputError
from minirag.replies import no_constant
from minirag.settings import Settings


def positive(given: Mapping[str, Any], name: str, default: int) -> int:
    """The whole number that an option names; InputError where it is not at least 1."""
    value = int(given.get(name, default))
    if value < 1:
        raise InputError(f"--{name} is {value}; it must be at least 1.")
    return value


def settings_of(given: Mapping[str, Any], folder: Path) -> tuple[Settings, bool]:
    """The settings of this command, and whether the embedded models are used. Raises InputError."""
    known = {f.name for f in fields(Settings)}
    options = {name: value for name, value in given.items() if name in known}
    options["documents"] = tuple(given.get("documents", ()))
    for name in ("documents", "train_questions", "eval_questions", "prices"):
        if name in options and options[name] not in DATED:
            options[name] = _absolute(options[name])  # a run is resumed from any folder
    is_offline = "offline" in given
    if not options["documents"]:
        recorded, service = _recorded(folder)
        options = {**recorded, **{k: v for k, v in options.items() if k != "documents"}}
        is_offline = is_offline or service == OFFLINE
    for role in ROLES:
        if is_offline:
            options.setdefault(role, f"offline-{role}")
        elif role not in options:
            raise InputError(f"No model for --{role}: name one, or use --offline for the embedded models.")
    return _with_tuples(Settings(**options)), is_offline


def _absolute(value: Any) -> Any:
    """A path, or each of several, from the root on; addresses and numbers as they are."""
    if isinstance(value, tuple):
        return tuple(map(_absolute, value))
    return str(Path(value).absolute()) if isinstance(value, str) and "://" not in value else value


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between the facts of an earlier run and those of now, in words.

    >>> changes({"settings": {"top_k": 2}, "documents": {"/a.pdf": "0"}},
    ...         {"settings": {"top_k": 3}, "documents": {"/a.pdf": "1"}})
    ['top_k 2 → 3', 'document a.pdf changed']
    """
    told = [f"{name.removeprefix('settings.')} {old} → {new}" for name, old, new in _fields("settings", before, now)]
    for kind, noun in (("documents", "document"), ("question_files", "question file")):
        same_names = before.get(kind, {}).keys() & now.get(kind, {}).keys()
        told += [f"{noun} {Path(n).name} changed" for n in sorted(same_names) if before[kind][n] != now[kind][n]]
    for name in ("service", "student_service", "tuned_service", "minirag", "versions"):
        told += [f"{place} {old} → {new}" for place, old, new in _fields(name, before, now)]
    if "prompt_texts" in before and before["prompt_texts"] != now.get("prompt_texts"):
        told.append("the prompts changed")
    return told


def _fields(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The places under `name` in which both facts have a value, and not the same."""
    if name not in before or name not in now:
        return []
    return list(changed_fields(before[name], now[name], name))


def recorded_facts(folder: Path) -> dict[str, Any]:
    """What `run.json` says. Raises InputError where it says nothing that can be used."""
    path = folder / "run.json"
    try:
        facts = json.loads(path.read_bytes(), parse_constant=no_constant)
        required = {f.name for f in fields(Settings) if f.default is MISSING}
        if not required <= set(facts["settings"]) or not isinstance(facts["service"], str):
            raise ValueError("settings are missing")
        wrong = [name for name, value in facts["settings"].items() if not _is_of_kind(name, value)]
        if wrong:
            raise ValueError(f"{wrong[0]} is {facts['settings'][wrong[0]]!r:.40}")
    except FileNotFoundError:
        raise InputError(f"No document was named, and {folder} holds no run to resume; name a document.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}); name the documents again.") from error
    return dict(facts)


def _is_of_kind(name: str, value: Any) -> bool:
    """Whether a recorded setting has a type that this version gives it; what it does not know is left alone."""
    kind: Any = {f.name: f.type for f in fields(Settings)}.get(name)
    if kind is None:
        return True
    if kind == tuple[str, ...]:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    kinds = get_args(kind) or (kind,)
    return type(value) in kinds or (float in kinds and type(value) is int)


def _recorded(folder: Path) -> tuple[dict[str, Any], str]:
    """The recorded settings that this version knows, and the service's name."""
    facts, names = recorded_facts(folder), {f.name for f in fields(Settings)}
    return {name: value for name, value in facts["settings"].items() if name in names}, facts["service"]


def _with_tuples(settings: Settings) -> Settings:
    """JSON has no tuples: the settings with theirs back."""
    return replace(settings, documents=tuple(settings.documents), metrics=tuple(settings.metrics))
