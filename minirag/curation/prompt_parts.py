"""Row 2. What a prompt is made of, read back from its text: question, excerpts, pages, the answer so far.

minirag's own prompts come first; then the templates that LlamaIndex and LangChain ship, so that logs and training
files of other tools can be judged by the same rules. Anything else counts as a question without excerpts.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from minirag import prompts

_RULE = r"\n-{5,}\n"
_TEMPLATES = (
    re.compile(  # LlamaIndex, chat refine
        r"New Context: (?P<context>.*)\nQuery: (?P<question>.*?)\nOriginal Answer: (?P<existing>.*)\nNew Answer:\s*\Z",
        re.DOTALL,
    ),
    re.compile(  # LlamaIndex, refine as one text
        r"The original query is as follows: (?P<question>.*?)\n"
        r"We have provided an existing answer: (?P<existing>.*?)\nWe have the opportunity to refine"
        rf".*?{_RULE}(?P<context>.*){_RULE}",
        re.DOTALL,
    ),
    re.compile(  # LlamaIndex, first answer
        rf"Context information is below\.{_RULE}(?P<context>.*){_RULE}.*?\nQuery: (?P<question>.*?)\nAnswer:\s*\Z",
        re.DOTALL,
    ),
    re.compile(  # LangChain, and most hand-written ones
        r"(?:\A|\n)(?P<context>.*)\n\s*(?:Question|Query): *(?P<question>[^\n]+)\n*(?:\w+ )*Answer:\s*\Z",
        re.DOTALL | re.IGNORECASE,
    ),
)
_PAGE_LABEL = re.compile(r"(?m)^page_label: (\d+)$")


class Parts(NamedTuple):
    """A prompt taken apart; `existing` is the answer to refine, None in a draft; `pages` are those it shows."""

    question: str
    context: str
    existing: str | None
    pages: tuple[int, ...]


def parts(messages: Sequence[Mapping[str, Any]]) -> Parts:
    """The parts of a chat prompt (without its reply).

    >>> parts([{"role": "user", "content": "The city runs it.\\n\\nQuestion: Who runs it?\\nAnswer:"}])
    Parts(question='Who runs it?', context='The city runs it.\\n', existing=None, pages=())
    """
    if prompt := prompts.parse(messages):
        context, shown = "\n".join(e.text for e in prompt.excerpts), [e.page for e in prompt.excerpts if e.page]
        return Parts(prompt.question, context, prompt.answer if prompt.task == "refine" else None, _pages(shown))
    text = "\n".join(str(m["content"]) for m in messages if m["role"] in {"user", "tool"} and m.get("content"))
    for template in _TEMPLATES:
        if match := template.search(text):
            fields = {"existing": None, **match.groupdict()}
            context = str(fields["context"])
            return Parts(str(fields["question"]), context, fields["existing"], _pages(_PAGE_LABEL.findall(context)))
    return Parts(text, "", None, ())


def _pages(numbers: Iterable[str | int]) -> tuple[int, ...]:
    return tuple(sorted({int(number) for number in numbers}))
