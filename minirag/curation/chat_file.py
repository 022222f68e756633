"""Would a service train on this chat file, whatever wrote it? Each line by itself, then the lines together.

Errors are what a service refuses or cuts off, warnings what it accepts and you may regret. The rules are OpenAI's,
from its API reference and cookbook as of 2026.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minirag.curation.rules import NearDuplicates, curate, parts
from minirag.errors import InputError
from minirag.prompts import Message, text_of
from minirag.text import for_model
from minirag.training import FEWEST_EXAMPLES, Example, example_limit

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
LINE_KEYS = {"messages", "tools", "parallel_tool_calls", "functions"}
MESSAGE_KEYS = {"role", "content", "name", "weight", "function_call", "tool_calls", "tool_call_id", "refusal", "audio"}
ROLES_OF_PARTS = {"text": "any", "image_url": "user", "refusal": "assistant"}
"""Whose messages may have parts of each type."""
WARNINGS = {"unknown key", "near-duplicate"}
"""The rules whose breach is no error."""

Problem = tuple[str, str]
"""The rule that is broken, and how."""


class Finding(NamedTuple):
    """One broken rule, and its line (from 1; 0 stands for the file as a whole)."""

    line: int
    rule: str
    message: str
    is_error: bool


class Checked(NamedTuple):
    """What is wrong with a file; the tokens of each usable example; and these examples after `curate`."""

    findings: list[Finding]
    tokens: list[int]
    curated: list[Example]


def check_file(path: Path, *, model: str = "gpt-4.1-mini") -> Checked:
    """Check a file for training `model`. Raises InputError for one that cannot be read."""
    tokenizer, limit = for_model(model), example_limit(model)
    problems: list[tuple[int, Problem]] = []
    all_tokens: list[int] = []
    examples: list[Example] = []
    near_duplicates = NearDuplicates()
    for line, messages, line_problems in _lines(path):
        problems += [(line, problem) for problem in line_problems]
        if not messages:
            continue
        examples.append(Example(tuple(messages)))
        all_tokens.append(tokens := tokenizer.count_messages(messages))
        if tokens > limit:
            what = f"{tokens:,} tokens; the model takes {limit:,} and cuts off the end"
            problems.append((line, ("tokens", what)))
        earlier = near_duplicates.add(line, f"{parts(messages[:-1]).question}\n{messages[-1]['content']}")
        if earlier is not None:
            problems.append((line, ("near-duplicate", f"nearly that of line {earlier}")))
    if len(all_tokens) < FEWEST_EXAMPLES:
        few = f"{len(all_tokens)} usable examples; services need at least {FEWEST_EXAMPLES}"
        problems.append((0, ("too few", few)))
    findings = [Finding(line, *problem, problem[0] not in WARNINGS) for line, problem in problems]
    return Checked(findings, all_tokens, curate(examples))


def curate_file(path: Path) -> list[tuple[int, Example]]:
    """Return the usable examples of a file after `curate`, with the numbers of their lines from 0."""
    lines = [(number - 1, messages) for number, messages, _ in _lines(path) if messages]
    examples = curate([Example(tuple(messages)) for _, messages in lines])
    return [(index, example) for (index, _), example in zip(lines, examples, strict=True)]


def _lines(path: Path) -> Iterator[tuple[int, list[Message], list[Problem]]]:
    """Yield each line's number, its messages as texts, none if a service would refuse it, and its problems."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                messages, problems = check_line(line.rstrip(b"\r\n"))
                texts = []
                if all(rule in WARNINGS for rule, _ in problems):
                    for message in messages:
                        calls = message.get("tool_calls") or message.get("function_call") or ""
                        texts.append({"role": message["role"], "content": f"{text_of(message)}{calls}"})
                yield number, texts, problems
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error


def check_line(line: bytes) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Return the messages of a line without its newline, and every rule it breaks; no messages if it has none.

    >>> check_line(b'{"messages": [{"role": "user", "content": "Hi"}]}')[1]
    [('no assistant', 'no message is from the assistant, so there is nothing to learn')]
    """
    try:
        row = json.loads(line.decode())
        if b"\\u" in line:
            json.dumps(row, ensure_ascii=False).encode()  # fails for half a character, which no service takes
    except json.JSONDecodeError as error:
        return [], [("json", f"the JSON breaks at character {error.pos} ({error.msg})")]
    except (ValueError, RecursionError) as error:
        return [], [("json", f"the line cannot be read: {error}")]
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        return [], [("messages", "the line has no 'messages', a list of at least one object")]

    problems = [
        ("unknown key", f"{key[:40]!r} is not part of a chat example; services may refuse it")
        for key in sorted(row.keys() - LINE_KEYS)
    ]
    for number, message in enumerate(messages, 1):
        problems += [(rule, f"message {number} {what}") for rule, what in _message_problems(message)]
    problems += _call_problems(messages)
    answers = [message for message in messages if message.get("role") == "assistant"]
    if any(message.get("tool_calls") for message in answers) and not row.get("tools"):
        problems.append(("calls", "the line has calls, but no 'tools' that declare what may be called"))
    if not answers:
        problems.append(("no assistant", "no message is from the assistant, so there is nothing to learn"))
    elif messages[-1] is not answers[-1]:
        problems.append(("last message", "the last message is not from the assistant"))
    elif all(message.get("weight") == 0 for message in answers):
        problems.append(("weight", "all assistant messages have weight 0, so there is nothing to learn"))
    return messages, problems


def _message_problems(message: Mapping[str, Any]) -> Iterator[Problem]:
    role, content, weight = message.get("role"), message.get("content"), message.get("weight")
    calls = message.get("tool_calls") or message.get("function_call")
    if role not in ROLES:
        yield "role", f"has the role {str(role)[:40]!r}; roles are {', '.join(ROLES)}"
    for key in sorted(message.keys() - MESSAGE_KEYS):
        yield "message key", f"has an unknown key {key[:40]!r}"
    if calls and role != "assistant":
        yield "calls", "has calls, which only assistant messages may have"
    pieces = content if isinstance(content, list) else [{"type": "text"}] if isinstance(content, str) else []
    kinds = [str(piece.get("type")) if isinstance(piece, dict) else "none" for piece in pieces]
    for kind in kinds:
        if ROLES_OF_PARTS.get(kind) not in (role, "any"):
            yield "content", f"has a part of the type {kind[:40]!r}; training takes texts, and images from users"
    is_blank = not calls and set(kinds) <= {"text"} and not text_of(message).strip()
    if is_blank or not isinstance(content, str | list | None):
        yield "content", "has no content: it takes a text, or a list of parts that are not blank"
    if weight is not None and (role != "assistant" or weight not in (0, 1) or isinstance(weight, bool)):
        yield "weight", "has a weight; only assistant messages may have one, and it must be 0 or 1"


def _call_problems(messages: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Yield what is wrong with tool calls: each is complete, and a tool replies to each but the last turn's."""
    open_calls: dict[str, int] = {}  # the calls that wait for a reply, and the numbers of their messages
    for number, message in enumerate(messages, 1):
        replied, calls = str(message.get("tool_call_id")), message.get("tool_calls")
        if message.get("role") == "tool" and open_calls.pop(replied, None) is None:
            yield "calls", f"message {number} is a tool's reply to {replied[:40]!r}, which is no call before it"
        for call in calls if isinstance(calls, list) and message.get("role") == "assistant" else ():
            try:
                open_calls[str(call["id"])] = number
                is_named = call["id"] and call["function"]["name"]
                is_complete = is_named and isinstance(json.loads(call["function"]["arguments"]), dict)
            except (KeyError, TypeError, ValueError, RecursionError):
                is_complete = False
            if not is_complete:
                needed = "an id, a function's name, and arguments that are the JSON of an object"
                yield "calls", f"message {number} has a call that is not complete; it takes {needed}"
    for id, number in open_calls.items():
        if number < len(messages):
            yield "calls", f"message {number} has the call {id[:40]!r}, to which no tool replies"
