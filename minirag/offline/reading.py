"""What a prompt asks of the offline models: minirag's own prompts read back, other conversations by their labels.

A language model infers the task from the words; these models are told it by `prompts.parse`. Any other conversation
is the task "chat": LlamaIndex rules its context off with dashes, LangChain and most hand-written prompts put a label
before each part.

>>> parse([{"role": "user", "content": "Context: The city runs it.\\nQuestion: Who runs it?\\nAnswer:"}])
Prompt(task='chat', excerpts=[Excerpt(text='The city runs it.', page=None)], question='Who runs it?', answer='', \
statements=[], n=1)
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from minirag import prompts
from minirag.prompts import Excerpt, Prompt, text_of

_RULED = re.compile(r"^-{5,}[ \t]*\n(.*?)\n-{5,}[ \t]*$", re.DOTALL | re.MULTILINE)
_LABEL = re.compile(
    r"(?:^[ \t]*|(?<=\.)(?=new context))"  # LlamaIndex forgot the line break before that one
    r"(?P<name>(?:new |retrieved )?context|(?:the )?(?:original |user )?(?:question|query)(?: is as follows)?|"
    r"(?:we have provided an existing |original |existing )answer|(?:new |refined |helpful |final )?answer)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)


def parse(messages: Sequence[Mapping[str, Any]]) -> Prompt:
    """Read chat `messages`, as a request holds them, into the parts they were built from."""
    if prompt := prompts.parse(messages):
        return prompt
    user = next((text_of(message) for message in reversed(messages) if message.get("role") == "user"), "")
    system = [text_of(message) for message in messages if message.get("role") in ("system", "developer")]
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
