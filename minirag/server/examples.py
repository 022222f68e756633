"""Apart. A training file, read and checked the way the real service does before a job starts.

>>> epochs(40), epochs(10), epochs(20_000)
(3, 10, 1)
"""

import json

from minirag import text as tokens
from minirag.offline.catalogue import STUDENT_MODEL
from minirag.prompts import text_of
from minirag.server.wire import Json

_FEWEST = 10
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


class BadFile(Exception):
    """A file that no job can use; `code` and `param` are those of the failed job's error."""

    def __init__(self, code: str, message: str, param: str) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


def read_examples(content: bytes, kind: str) -> list[list[Json]]:
    """The messages of each example of a file that has one JSON object with `messages` per line.

    `kind` is "training" or "validation". Raises BadFile if a line is something else, or for fewer than ten to train on.
    """
    examples = []
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        problem, messages = _messages(line)
        if problem:
            message = f"The job failed due to an invalid {kind} file. Invalid file format. Line {number}: {problem}"
            raise BadFile(f"invalid_{kind}_file", message, f"{kind}_file")
        examples.append(messages)
    if kind == "training" and len(examples) < _FEWEST:
        message = f"Training file has {len(examples)} example(s), but must have at least {_FEWEST} examples."
        raise BadFile("invalid_n_examples", message, "training_file")
    return examples


def _messages(line: str) -> tuple[str, list[Json]]:
    """What is wrong with a line, if anything, and its messages."""
    try:
        example = json.loads(line)
        json.dumps(example, ensure_ascii=False).encode()  # an escape may stand for half a character
    except (ValueError, RecursionError):
        return "this is not JSON", []
    messages = example.get("messages") if isinstance(example, dict) else None
    if not isinstance(messages, list) or not messages:
        return "there is no list 'messages'", []
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            return "a message has no known 'role'", []
        if not isinstance(message.get("content"), str | list) and message["role"] != "assistant":
            return "a message has no 'content'", []
    if messages[-1]["role"] != "assistant" or not text_of(messages[-1]):
        return "the last message is not the assistant's reply", []
    return "", messages


def epochs(examples: int) -> int:
    """How often the service goes through so many examples when it is left to choose."""
    if examples * 3 < 100:
        return min(25, 100 // examples)
    return 3 if examples * 3 <= 25_000 else max(1, 25_000 // examples)


def trained_tokens(examples: list[list[Json]]) -> int:
    """The tokens that one epoch is billed for: 3 per message, its role and its content."""
    tokenizer = tokens.for_model(STUDENT_MODEL)
    plain = [[{"role": m["role"], "content": text_of(m)} for m in messages] for messages in examples]
    return sum(tokenizer.count_messages(messages) - 3 for messages in plain)
