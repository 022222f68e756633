"""Reasons to doubt a verdict whatever its numbers: a judge with a stake, a model that changed, answers cut off, and
questions that were evaluated before."""

import re
from collections.abc import Iterable, Mapping, Sequence

from minirag import prompts
from minirag.message_log import Exchange
from minirag.query import Answer

_RELATIVES = {"chatgpt": "gpt", "o": "gpt", "mixtral": "mistral", "ministral": "mistral", "gemma": "gemini"}
"""Model names of one provider that belong to one family."""


def family(model: str) -> str:
    """Return the family of a model: the first word of its name, without provider, tuning and version.

    >>> family("ft:gpt-4.1-mini:acme::b2"), family("meta-llama/Llama-3.1-8B"), family("o3-mini")
    ('gpt', 'llama', 'gpt')
    """
    name = model.removeprefix("ft:").split(":")[0].rpartition("/")[2].casefold()
    word = re.split(r"[\W\d_]", name)[0] or name
    return _RELATIVES.get(word, word)


def conflicts(teacher: str, student: str, judge: str, served: Mapping[str, Sequence[str]]) -> list[str]:
    """Return one sentence for each reason to doubt; `served` lists the names that each model had in its replies."""
    reasons = []
    for role, model in (("teacher", teacher), ("student", student)):
        if judge == model:
            reasons.append(f"The judge {judge} is the {role} itself: it judges its own answers.")
        elif family(judge) == family(model):
            reasons.append(f"The judge {judge} is of the family of the {role} {model}: judges favour their own kind.")
    for model, names in served.items():
        if len(names) > 1:
            reasons.append(f"{model} was served as {', '.join(names)}: the model changed within the run.")
    return reasons


def cut_off(answers: Mapping[tuple[str, str], Answer], prompts_of_judge: int = 0) -> list[str]:
    """Return a sentence for each arm with answers, by (arm, question id), whose reply or whose prompt was cut.

    `prompts_of_judge` is the number of the judge's prompts that its server has cut.
    """
    sentences = []
    remedy = "give it a longer context and run in a new folder"
    for arm in dict.fromkeys(arm for arm, _ in answers):
        of_arm = [answer for (name, _), answer in answers.items() if name == arm]
        start = f"of {len(of_arm)} answers of {arm}"
        if ended := sum(answer.cut_off for answer in of_arm):
            sentences.append(f"{ended} {start} end at the reply's limit of tokens, and were judged as they are.")
        if cut := sum(answer.prompt_cut for answer in of_arm):
            sentences.append(f"{cut} {start} rest on prompts that the server has cut; {remedy}.")
    if prompts_of_judge:
        sentences.append(f"{prompts_of_judge} prompts of the judge were cut by its server; {remedy}.")
    return sentences


def models_served(log: Iterable[Exchange]) -> dict[str, list[str]]:
    """Return what each requested model called itself in the replies of a log."""
    served: dict[str, set[str]] = {}
    for exchange in log:
        if exchange.error is None and exchange.endpoint in {"chat.completions", "embeddings"}:
            served.setdefault(exchange.model, set()).add(exchange.served_model)
    return {model: sorted(names) for model, names in sorted(served.items())}


def repeated(log: Iterable[Exchange], questions: Iterable[str]) -> list[str]:
    """Return a sentence if the log holds several evaluations of the same questions, given as texts.

    Each evaluation with other settings or models asks an arm for another first draft to some question. Whoever
    evaluates until a result pleases has more chances of a false alarm than one interval tells.
    """
    texts = {" ".join(question.split()) for question in questions}
    drafts: dict[tuple[str, str], set[str]] = {}
    for exchange in log:
        if exchange.stage == "draft" and exchange.error is None and exchange.tags.get("split") == "eval":
            prompt = prompts.parse(exchange.request["messages"])
            if prompt is not None and " ".join(prompt.question.split()) in texts:
                drafts.setdefault((str(exchange.tags.get("arm")), prompt.question), set()).add(exchange.id)
    number = max(map(len, drafts.values()), default=0)
    if number < 2:
        return []
    return [
        f"This is evaluation number {number} of these questions: the log holds answers with other settings or models. "
        "Choosing among several finds differences by chance; confirm a verdict on fresh questions."
    ]
