"""The rules that one line of a chat training file must keep, whatever the other lines are.

Errors are what a service refuses or cuts off, warnings what it accepts and you may regret. The rules are OpenAI's,
from its API reference and cookbook as of 2026.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

MAX_LINE_BYTES = 8 << 20
"""A longer line is over the token limit of every model."""
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
LINE_KEYS = {"messages", "tools", "parallel_tool_calls", "functions"}
MESSAGE_KEYS = {"role", "content", "name", "weight", "function_call", "tool_calls", "tool_call_id", "refusal", "audio"}
SPECIAL_TOKENS = ("<|endoftext|>", "<|endofprompt|>", "<|im_start|>", "<|im_end|>")
WARNINGS = {"unknown key", "special token", "near-duplicate", "duplicate", "contradiction", "mixed system messages"}
"""The rules whose breach is no error."""

Message = Mapping[str, Any]
Problem = tuple[str, str]
"""The rule that is broken, and how."""


def check_line(line: bytes) -> tuple[list[Message], list[Problem]]:
    """Return the messages of a line without its newline, and every rule it breaks; no messages if it has none.

    >>> check_line(b'{"messages": [{"role": "user", "content": "Hi"}]}')[1]
    [('no assistant', 'no message is from the assistant, so there is nothing to learn')]
    """
    row, problems = _row(line)
    if row is None:
        return [], problems
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        return [], [*problems, ("messages", "'messages' is not a list with at least one message")]
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            return [], [*problems, ("message", f"message {number} is not an object")]
        problems += [(rule, f"message {number} {what}") for rule, what in _message_problems(message)]
    roles = [message.get("role") for message in messages]
    if "assistant" not in roles:
        problems.append(("no assistant", "no message is from the assistant, so there is nothing to learn"))
    elif roles[-1] != "assistant":
        problems.append(("last message", f"the last message has the role {str(roles[-1])[:20]}; it must be assistant"))
    elif all(message.get("weight") == 0 for message in messages if message.get("role") == "assistant"):
        problems.append(("weight", "all assistant messages have weight 0, so there is nothing to learn"))
    for number, role in enumerate(roles[1:], 2):
        if role in ("system", "developer"):
            problems.append(("system first", f"message {number} is a {role} message; it must come first"))
    return messages, problems


def _row(line: bytes) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Return the JSON object of a line, None if it holds none, and what is wrong with it."""
    if len(line) > MAX_LINE_BYTES:
        return None, [("line too long", f"over {MAX_LINE_BYTES >> 20} MiB, more than any model's token limit")]
    if line.startswith(b"\xef\xbb\xbf"):
        return None, [("byte order mark", "it begins with a byte order mark; save the file as plain UTF-8")]
    if not line.strip():
        return None, [("blank line", "the line is blank")]
    try:
        text = line.decode()
        row = json.loads(text, parse_constant=_reject_constant, object_pairs_hook=_unique)
        if "\\u" in text:
            json.dumps(row, ensure_ascii=False).encode()  # fails for half a character, which no service takes
    except UnicodeDecodeError as error:
        return None, [("encoding", f"byte {error.start + 1} is not UTF-8")]
    except UnicodeEncodeError:
        return None, [("encoding", "an escape stands for half a character (a lone surrogate)")]
    except json.JSONDecodeError as error:
        return None, [("json", f"the JSON breaks at character {error.pos} ({error.msg})")]
    except (ValueError, RecursionError) as error:
        return None, [("json", f"the JSON cannot be read: {error}")]
    if not isinstance(row, dict):
        return None, [("example", "it is not an object with 'messages'")]
    problems = [
        ("tools", f"{key!r} is not a list") for key in ("tools", "functions") if not isinstance(row.get(key, []), list)
    ]
    for key in sorted(row.keys() - LINE_KEYS):
        problems.append(("unknown key", f"{key[:40]!r} is not part of a chat example; services may refuse it"))
    return row, problems


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("an object has one key twice")
    return row


def _message_problems(message: Message) -> Iterator[Problem]:
    role, content, weight = message.get("role"), message.get("content"), message.get("weight")
    if role not in ROLES:
        has = "no role" if role is None else f"the role {str(role)[:40]!r}"
        yield "role", f"has {has}; roles are {', '.join(ROLES[:4])} and {ROLES[4]}"
    for key in sorted(message.keys() - MESSAGE_KEYS):
        yield "message key", f"has an unknown key {key[:40]!r}"
    yield from _content_problems(role, content, message.get("tool_calls") or message.get("function_call"))
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        yield "calls", "is from a tool and has no tool_call_id"
    if not isinstance(message.get("name", ""), str):
        yield "name", "has a name that is not a text"
    if weight is not None and (isinstance(weight, bool) or weight not in (0, 1)):
        yield "weight", f"has the weight {str(weight)[:20]}; it must be 0 or 1"
    elif weight is not None and role != "assistant":
        yield "weight", "has a weight, which only assistant messages may have"


def _content_problems(role: Any, content: Any, calls: Any) -> Iterator[Problem]:
    if calls and (role != "assistant" or not isinstance(calls, list | dict)):
        yield "calls", "has calls that are not a list, or is not from the assistant"
    elif content is None and not calls:
        yield "content", "has no content"
    elif content is not None and not isinstance(content, str):
        yield "content", f"has content of the type {type(content).__name__}; it must be a text"
    elif isinstance(content, str) and not content.strip():
        yield "content", "has blank content"
    elif isinstance(content, str):
        for token in SPECIAL_TOKENS:
            if token in content:
                yield "special token", f"holds {token} as plain text"
