"""What a prompt consists of: the question, the excerpts, and the answer to refine.

Reads minirag's own prompts and the templates of LlamaIndex and LangChain, so that the training files of other tools
are judged by the same rules. Any other prompt is a question without excerpts.
"""

import re
from collections.abc import Mapping, Sequence
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


class Parts(NamedTuple):
    """A prompt taken apart; `existing` is the answer to refine, None in a draft."""

    question: str
    context: str = ""
    existing: str | None = None


def parts(messages: Sequence[Mapping[str, Any]]) -> Parts:
    """Return the parts of a chat prompt, without its reply.

    >>> parts([{"role": "user", "content": "The city runs it.\\n\\nQuestion: Who runs it?\\nAnswer:"}])
    Parts(question='Who runs it?', context='The city runs it.\\n', existing=None)
    """
    if prompt := prompts.parse(messages):
        context = "\n".join(excerpt.text for excerpt in prompt.excerpts)
        return Parts(prompt.question, context, prompt.answer if prompt.task == "refine" else None)
    text = "\n".join(str(m["content"]) for m in messages if m["role"] in {"user", "tool"} and m.get("content"))
    for template in _TEMPLATES:
        if match := template.search(text):
            return Parts(match["question"], match["context"], match.groupdict().get("existing"))
    return Parts(text)
