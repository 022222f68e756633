"""The settings of a command: its options, and what the folder's `run.json` has recorded.

With documents, the options alone count. Without, the recorded settings hold, changed by the options given. Addresses of
services are never taken from a folder: they must be given again.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from itertools import zip_longest
from pathlib import Path
from typing import Any, get_args

from minirag.cli.arguments import ROLES
from minirag.cli.connect import OFFLINE
from minirag.corpus import Settings
from minirag.costs import OLDER_TABLES
from minirag.errors import InputError

SHOWN = 60
"""Characters of a changed value that are shown."""
NOTHING = "nothing"
"""Shown for a value that is missing."""
_MISSING = object()


def settings_of(options: Mapping[str, Any], folder: Path) -> tuple[Settings, bool]:
    """Return the settings of this command, and True if it uses the embedded models. Raises InputError."""
    names = {field.name for field in fields(Settings)}
    settings = {name: value for name, value in options.items() if name in names}
    for name in ("documents", "train_questions", "eval_questions", "prices"):
        if name in settings and settings[name] not in OLDER_TABLES:
            settings[name] = _absolute(settings[name])  # a run may be resumed from another working directory
    is_offline = "offline" in options
    if not settings.get("documents"):
        facts = recorded_facts(folder)
        recorded = {name: value for name, value in facts["settings"].items() if name in names}
        settings = {**recorded, **settings, "documents": recorded["documents"]}
        is_offline = is_offline or facts["service"] == OFFLINE
    for role in ROLES:
        if is_offline:
            settings.setdefault(role, f"offline-{role}")
        elif role not in settings:
            raise InputError(f"No model for --{role}: name one, or use --offline for the embedded models.")
    for name in ("documents", "metrics"):  # lists in JSON and on the command line
        if name in settings:
            settings[name] = tuple(settings[name])
    settings["ef_search"] = settings.get("ef_search") or None  # 0 asks for the exact search
    return Settings(**settings), is_offline


def _absolute(value: Any) -> Any:
    """Return a path, or each of several, as an absolute path; addresses and numbers unchanged."""
    if isinstance(value, list | tuple):
        return [_absolute(item) for item in value]
    return str(Path(value).absolute()) if isinstance(value, str) and "://" not in value else value


def recorded_facts(folder: Path) -> dict[str, Any]:
    """Return what `run.json` holds. Raises InputError if it is missing or its settings cannot be used."""
    path = folder / "run.json"
    try:
        facts: dict[str, Any] = json.loads(path.read_bytes())
        settings = facts["settings"]
        if not isinstance(facts["service"], str):
            raise ValueError("the service is no text")
        for field in fields(Settings):
            if field.name not in settings and field.default is MISSING:
                raise ValueError(f"{field.name} is missing")
            if field.name in settings and not _fits(field.type, settings[field.name]):
                raise ValueError(f"{field.name} is {settings[field.name]!r:.40}")
    except FileNotFoundError:
        raise InputError(f"No document was named, and {folder} holds no run to resume; name a document.") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}); name the documents again.") from error
    return facts


def _fits(kind: Any, value: Any) -> bool:
    """Return True if a value from JSON has the type of a setting."""
    if kind == tuple[str, ...]:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    kinds = get_args(kind) or (kind,)
    return type(value) in kinds or (float in kinds and type(value) is int)


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between the facts of an earlier run and those of now, in words.

    >>> changes({"settings": {"top_k": 2}, "documents": {"/a.pdf": "0"}},
    ...         {"settings": {"top_k": 3}, "documents": {"/a.pdf": "1"}})
    ['top_k 2 → 3', 'document a.pdf changed']
    """
    lines = []
    for name in ("settings", "service", "student_service", "tuned_service", "minirag", "versions"):
        if name in before and name in now:
            for place, old, new in changed_fields(before[name], now[name], name):
                if NOTHING not in {old, new}:  # else a setting that only one of the two versions has
                    lines.append(f"{place.removeprefix('settings.')} {old} → {new}")
    for name, noun in (("documents", "document"), ("question_files", "question file")):
        old_digests, digests = before.get(name, {}), now.get(name, {})
        for path in sorted(old_digests.keys() & digests.keys()):
            if old_digests[path] != digests[path]:
                lines.append(f"{noun} {Path(path).name} changed")
    if "prompt_texts" in before and before["prompt_texts"] != now.get("prompt_texts"):
        lines.append("the prompts changed")
    return lines


def changed_fields(before: Any, now: Any, place: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield each place in which two JSON values differ, with both values there, shortened.

    >>> list(changed_fields({"a": {"b": [1]}}, {"a": {"b": [2]}, "c": None}))
    [('a.b[0]', '1', '2'), ('c', 'nothing', 'null')]
    """
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*before, *now)):
            inner = f"{place}.{key}" if place else key
            yield from changed_fields(before.get(key, _MISSING), now.get(key, _MISSING), inner)
    elif isinstance(before, list) and isinstance(now, list):
        for number, (old, new) in enumerate(zip_longest(before, now, fillvalue=_MISSING)):
            yield from changed_fields(old, new, f"{place}[{number}]")
    elif before != now or type(before) is not type(now):
        yield place, shown(before), shown(now)


def shown(value: Any) -> str:
    """Return a JSON value as text, shortened."""
    text = NOTHING if value is _MISSING else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
