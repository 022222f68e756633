"""Apart. What a prompt asks: the messages that `minirag.prompts` builds, taken apart again.

A language model infers the task from the words; these small models are told it by the instruction that stands after
the last closing fence. Any other conversation is task "chat", read as well as the labels in it allow.

>>> parse(prompts.draft("Who runs it?", [prompts.Excerpt("The city runs it.", 3)]))
Prompt(task='draft', excerpts=[Excerpt(text='The city runs it.', page=3)], question='Who runs it?', answer='', \
statements=[], n=1)
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from minirag import prompts
from minirag.prompts import Excerpt

Task = Literal["draft", "refine", "questions", "statements", "verdicts", "useful", "needed", "reverse", "chat"]


class Prompt(NamedTuple):
    """One request in parts; what its task does not have is empty."""

    task: Task
    excerpts: list[Excerpt]
    question: str = ""
    answer: str = ""
    statements: list[str] = []  # noqa: RUF012  never changed: a Prompt is read only
    n: int = 1


_FENCE = re.compile(
    r"<(?P<tag>excerpt|question|answer|statements|sentences)-(?P<mark>[0-9a-f]{6})"
    r"(?: page=\"(?P<page>-?\d{1,9})\")?(?: n=\"\d{1,9}\")?>\n"
    r"(?P<text>.*?)\n</(?P=tag)-(?P=mark)>\n\n",
    re.DOTALL,
)


def _instruction(template: str) -> re.Pattern[str]:
    again = re.escape(prompts.AGAIN_INSTRUCTION).replace(re.escape("{fault}"), r".*")
    number = re.escape(template).replace(re.escape("{n}"), r"(?P<n>\d{1,4})")
    shape = re.escape(prompts.SHAPE_INSTRUCTION).replace(re.escape("{schema}"), r".*")
    return re.compile(rf"{number}(?:\n\n{again})?(?:\n\n{shape})?", re.DOTALL)


# Per task: its instruction, and the tags that must stand before it, excerpts aside.
_TASKS: list[tuple[Task, re.Pattern[str], list[str]]] = [
    ("draft", _instruction(prompts.DRAFT_INSTRUCTION), ["question"]),
    ("refine", _instruction(prompts.REFINE_INSTRUCTION), ["question", "answer"]),
    ("questions", _instruction(prompts.QUESTIONS_INSTRUCTION), []),
    ("statements", _instruction(prompts.STATEMENTS_INSTRUCTION), ["question", "answer"]),
    ("verdicts", _instruction(prompts.VERDICTS_INSTRUCTION), ["statements"]),
    ("useful", _instruction(prompts.USEFUL_INSTRUCTION), ["question", "answer"]),
    ("needed", _instruction(prompts.NEEDED_INSTRUCTION), ["sentences", "question"]),
    ("reverse", _instruction(prompts.REVERSE_INSTRUCTION), ["answer"]),
]


def parse(messages: Sequence[Mapping[str, Any]]) -> Prompt:
    """Read chat `messages` (as a request holds them) back into the parts they were built from."""
    user = next((text(m.get("content")) for m in reversed(messages) if m.get("role") == "user"), "")
    system = [text(m.get("content")) for m in messages if m.get("role") in ("system", "developer")]
    return _built(user) or _chat(user, system)


def text(content: Any) -> str:
    """The text of a message: its `content` as it is, or the text parts of a list joined.

    >>> text([{"type": "text", "text": "Hello "}, {"type": "image_url"}, {"type": "text", "text": "you"}])
    'Hello you'
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part.get("text") for part in content if isinstance(part, dict)]
    return "".join(part for part in parts if isinstance(part, str))


def _built(user: str) -> Prompt | None:
    """The prompt that `minirag.prompts` built `user` from; None if it did not build it."""
    excerpts: list[Excerpt] = []
    parts: dict[str, str] = {}
    position, mark = 0, None
    while (fence := _FENCE.match(user, position)) and fence["mark"] == (mark or fence["mark"]):
        position, mark = fence.end(), fence["mark"]
        if fence["tag"] == "excerpt":
            excerpts.append(Excerpt(fence["text"], int(fence["page"]) if fence["page"] else None))
        else:
            parts[fence["tag"]] = fence["text"]
    for task, instruction, tags in _TASKS:
        if (match := instruction.fullmatch(user, position)) and list(parts) == tags:
            return Prompt(
                task,
                excerpts,
                parts.get("question", ""),
                parts.get("answer", ""),
                _statements(parts.get("statements") or parts.get("sentences", "")),
                int(match.groupdict().get("n", 1)),
            )
    return None


def _statements(numbered: str) -> list[str]:
    return [line.partition(". ")[2] for line in numbered.split("\n")] if numbered else []


# How other programs mark the parts of a question over documents: LlamaIndex rules its context off with dashes,
# LangChain and most hand-written prompts put a label before each part.
_RULED = re.compile(r"^-{5,}[ \t]*\n(.*?)\n-{5,}[ \t]*$", re.DOTALL | re.MULTILINE)
_LABEL = re.compile(
    r"(?:^[ \t]*|(?<=\.)(?=new context))"  # LlamaIndex forgot the line break before that one
    r"(?P<name>(?:new |retrieved )?context|(?:the )?(?:original |user )?(?:question|query)(?: is as follows)?|"
    r"(?:we have provided an existing |original |existing )answer|(?:new |refined |helpful |final )?answer)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)


def _chat(user: str, system: Sequence[str]) -> Prompt:
    """The question of any other conversation, with the context and the earlier answer that labels in it mark."""
    contexts, question, answer = [], "", ""
    for source in (*system, user):
        contexts += [ruled.strip() for ruled in _RULED.findall(source)]
        rest = _RULED.sub("", source)
        labels = list(_LABEL.finditer(rest))
        ends = [*(label.start() for label in labels), len(rest)][1:]
        for label, end in zip(labels, ends, strict=True):
            part = rest[label.end() : end].strip()
            name = label["name"].lower()
            if "context" in name:
                contexts.append(part)
            elif "answer" not in name:
                question = part.partition("\n\n")[0] if source is user else question
            elif name.startswith(("we ", "original", "existing")):
                answer = part.partition("\nWe have the opportunity to refine")[0]
    return Prompt("chat", [Excerpt(c) for c in contexts if c], question or user.strip(), answer)
