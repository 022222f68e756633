"""Row 6. What makes a verdict suspect whatever its numbers: a judge with a stake, another model, answers cut off."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from minirag.query import Answer

_SIBLINGS = {
    "chatgpt": "gpt",
    "o": "gpt",
    "davinci": "gpt",
    "mixtral": "mistral",
    "ministral": "mistral",
    "gemma": "gemini",
}
"""Names that one maker gives to models of one descent."""


def family(model: str) -> str:
    """What a model's name says of its descent: its first word, without provider, tuning and version.

    >>> family("ft:gpt-4.1-mini:acme::b2"), family("meta-llama/Llama-3.1-8B"), family("o3-mini")
    ('gpt', 'llama', 'gpt')
    """
    name = model.removeprefix("ft:").split(":")[0].rpartition("/")[2].casefold()
    first = re.match(r"[^\W\d_]+", name)
    word = first[0] if first else name
    return _SIBLINGS.get(word, word)


def conflicts(teacher: str, student: str, judge: str, served: Mapping[str, Sequence[str]]) -> list[str]:
    """One sentence for each reason to doubt; `served` is what each requested model called itself in its replies.

    >>> conflicts("gpt-4.1", "llama-3.1-8b", "gpt-6.1-sol", {"gpt-4.1": ["gpt-4.1-a", "gpt-4.1-b"]})
    ['The judge gpt-6.1-sol is of the family of the teacher gpt-4.1: judges favour their own kind.', \
'gpt-4.1 was served as gpt-4.1-a, gpt-4.1-b: the model changed within the run.']
    """
    found = []
    for role, model in (("teacher", teacher), ("student", student)):
        if judge == model:
            found.append(f"The judge {judge} is the {role} itself: it judges its own answers.")
        elif family(judge) == family(model):
            found.append(f"The judge {judge} is of the family of the {role} {model}: judges favour their own kind.")
    for model, names in served.items():
        if len(names) > 1:
            found.append(f"{model} was served as {', '.join(names)}: the model changed within the run.")
    return found


def cut_off(answers: Mapping[tuple[str, str], Answer]) -> list[str]:
    """One sentence for each arm of whose answers, by (arm, question id), some end at the reply's limit."""
    asked = Counter(arm for arm, _ in answers)
    cut = Counter(arm for (arm, _), answer in answers.items() if answer.cut_off)
    return [
        f"{count} of {asked[arm]} answers of {arm} end at the reply's limit of tokens, and were judged as they are."
        for arm, count in cut.items()
    ]
