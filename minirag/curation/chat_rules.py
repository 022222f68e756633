"""Row 3. The rules that one line of a chat training file must keep, whatever the other lines are.

Errors are what a service refuses or cuts off; warnings what it accepts and you may regret. The rules are OpenAI's, from
its API reference and cookbook as of 2026.

>>> for breach in breaches(b'{"messages": [{"role": "user", "content": "Hi"}]}')[1]:
...     print(breach.rule, "-", breach.message)
no assistant - no message is the assistant's, so there is nothing to learn
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from minirag.replies import NotJSON, strict_json

FEWEST_EXAMPLES = 10
"""Below this no service starts a job."""
MOST_LINE_BYTES = 8 << 20
"""A longer line is over the token limit of every model."""
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
LINE_KEYS = {"messages", "tools", "parallel_tool_calls", "functions"}
MESSAGE_KEYS = {"role", "content", "name", "weight", "function_call", "tool_calls", "tool_call_id", "refusal", "audio"}
SPECIAL_TOKENS = ("<|endoftext|>", "<|endofprompt|>", "<|im_start|>", "<|im_end|>")


class Breach(NamedTuple):
    """One rule that a line breaks."""

    rule: str
    message: str
    is_error: bool = True


def breaches(line: bytes) -> tuple[list[Mapping[str, Any]], list[Breach]]:
    """The messages of a line without its newline, and every rule it breaks; no messages where it holds none."""
    try:
        row = _row(line)
    except _Unreadable as unreadable:
        return [], [unreadable.breach]
    found = list(_of_row(row))
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        return [], [*found, Breach("messages", "'messages' is not a list with at least one message")]
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            return [], [*found, Breach("message", f"message {number} is not an object")]
        found += _of_message(message, f"message {number}")
    learned = [m.get("weight") != 0 for m in messages if m.get("role") == "assistant"]
    if learned and not any(learned):
        found.append(
            Breach("weight", "all of the assistant's messages have the weight 0, so there is nothing to learn")
        )
    return messages, [*found, *_of_order([message.get("role") for message in messages])]


class _Unreadable(Exception):
    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.breach = Breach(rule, message)


def _row(line: bytes) -> dict[str, Any]:
    if len(line) > MOST_LINE_BYTES:
        raise _Unreadable("line too long", f"over {MOST_LINE_BYTES >> 20} MiB, and so over every model's token limit")
    if line.startswith(b"\xef\xbb\xbf"):
        raise _Unreadable("byte order mark", "it begins with a byte order mark; save the file as plain UTF-8")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise _Unreadable("encoding", f"byte {error.start + 1} is not UTF-8") from None
    if not text.strip():
        raise _Unreadable("blank line", "the line is blank")
    try:
        row = strict_json(text)
        if "\\u" in text:
            # an escape may stand for half a character, which no service takes
            json.dumps(row, ensure_ascii=False).encode()
    except NotJSON as error:
        raise _Unreadable("json", str(error)) from None
    except UnicodeEncodeError:
        raise _Unreadable("encoding", "an escape stands for half a character (a lone surrogate)") from None
    if not isinstance(row, dict):
        raise _Unreadable("example", "it is not an object with 'messages'")
    return row


def _of_row(row: Mapping[str, Any]) -> Iterator[Breach]:
    for key in ("tools", "functions"):
        if key in row and not isinstance(row[key], list):
            yield Breach("tools", f"{key!r} is not a list")
    for key in sorted(row.keys() - LINE_KEYS):
        yield Breach(
            "unknown key", f"{key[:40]!r} is no part of a chat example; services may refuse it", is_error=False
        )


def _of_message(message: Mapping[str, Any], which: str) -> Iterator[Breach]:
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        said = "has no role" if role is None else f"has the role {str(role)[:40]!r}"
        yield Breach("role", f"{which} {said}; roles are {', '.join(ROLES[:4])} and {ROLES[4]}")
    for key in sorted(message.keys() - MESSAGE_KEYS):
        yield Breach("message key", f"{which} has a key {key[:40]!r}, which no message has")
    calls = message.get("tool_calls") or message.get("function_call")
    if calls and (role != "assistant" or not isinstance(calls, list | dict)):
        yield Breach("calls", f"{which} has calls that are no list, or are not the assistant's")
    elif not (calls and content is None):
        yield from _of_content(content, which)
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        yield Breach("calls", f"{which} is a tool's and names no tool_call_id")
    if "name" in message and not isinstance(message["name"], str):
        yield Breach("name", f"{which} has a name that is no text")
    weight = message.get("weight")
    if weight is not None and (isinstance(weight, bool) or weight not in (0, 1)):
        yield Breach("weight", f"{which} has the weight {str(weight)[:20]}; it must be 0 or 1")
    elif weight is not None and role != "assistant":
        yield Breach("weight", f"{which} is not the assistant's and cannot have a weight")


def _of_content(content: Any, which: str) -> Iterator[Breach]:
    if content is None:
        yield Breach("content", f"{which} has no content")
    elif not isinstance(content, str):
        yield Breach("content", f"{which} has {_kind(content)} as content; a text is wanted")
    elif not content.strip():
        yield Breach("content", f"{which} has a blank content")
    else:
        for token in SPECIAL_TOKENS:
            if token in content:
                yield Breach("special token", f"{which} holds {token} as plain text", is_error=False)


def _kind(value: Any) -> str:
    names = {list: "a list of parts", dict: "an object", bool: "a boolean", int: "a number", float: "a number"}
    return names[type(value)]


def _of_order(roles: Sequence[Any]) -> Iterator[Breach]:
    if "assistant" not in roles:
        yield Breach("no assistant", "no message is the assistant's, so there is nothing to learn")
    elif roles[-1] != "assistant":
        yield Breach("last message", f"the last message is the {str(roles[-1])[:20]}'s; it must be the assistant's")
    for number, role in enumerate(roles[1:], 2):
        if role in ("system", "developer"):
            yield Breach("system first", f"message {number} is a {role} message; it must come first")
