"""Row 3. Which examples are worth training on: each gets a reason why it is not, or none.

The rules look at the texts alone, so they judge the log of a run and anybody's chat file alike. Nothing here asks a
model: a rule that drops an example can be checked by reading it.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from minirag.prompt_parts import Parts
from minirag.prompts import NOT_STATED
from minirag.refinement import ADDS, classify
from minirag.seen import NearDuplicates
from minirag.wording import numbers, unsupported_names, unsupported_numbers, words

LONGEST_REFUSAL = 240
"""Characters: a longer reply answers something, whatever else it says."""
PAGE_SHARE = 0.2
"""Of the examples, that one page may give; a document of few pages may go to twice each page's even share."""

_SOURCE = r"(?:document|context|text|excerpts?|passages?|source|information|filing|report)"
_REFUSES = re.compile(
    rf"\b{_SOURCE}s? (?:\w+ ){{0,2}}?(?:does|do|did)(?: not|n['’]t)\b"
    r"|\bnot (?:mentioned|stated|specified|provided|given|disclosed) (?:in|by|here)\b"
    r"|\b(?:is|are|was|were) not (?:mentioned|stated|specified|provided|disclosed)\b"
    r"|\b(?:cannot|can['’]?t|unable to|not able to) (?:be )?(?:answer|determine|find)"
    r"|\bno (?:such |specific |relevant )?information\b|\bI (?:do not|don['’]t) know\b",
    re.IGNORECASE,
)
_REFERS = re.compile(
    r"\b(?:the|given|provided|above|supplied) (?:given |provided |above |supplied )?"
    r"(?:context(?: information)?|excerpts?|passages?|existing answer|original answer)\b(?! of\b| in which\b)"
    r"|\baccording to the (?:text|provided)\b|\bbased on the (?:text|provided)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A prompt taken apart, its reply, and the page that its question is about, where that is known."""

    prompt: Parts
    reply: str
    page: Hashable | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a candidate is dropped (`reason`, empty if it is kept), what exactly was found, and what kind of refine."""

    reason: str = ""
    detail: str = ""
    refine: str | None = None


def abstains(text: str) -> bool:
    """Whether a reply says that it cannot answer, instead of answering.

    >>> abstains("The document does not say."), abstains("The fee is 3 euros.")
    (True, False)
    """
    return text.strip() == NOT_STATED or (len(text) < LONGEST_REFUSAL and _REFUSES.search(text) is not None)


def curate(candidates: Sequence[Candidate]) -> list[Finding]:
    """One finding a candidate, in their order. The first rule that holds names the reason.

    Reasons: `refusal`, `refers to the context`, `repeats`, `paraphrase`, `loses facts`, `unsupported number`,
    `unsupported name`, `near-duplicate`, `contradiction`, `too much of one page`.
    """
    findings = [_alone(candidate) for candidate in candidates]
    for rule in (_doubles, _contradictions, _crowded_pages):
        kept = [number for number, finding in enumerate(findings) if not finding.reason]
        for number, reason, detail in rule(candidates, kept):
            findings[number] = Finding(reason, detail, findings[number].refine)
    return findings


def _alone(candidate: Candidate) -> Finding:
    """What is wrong with a candidate whatever the others are."""
    prompt, reply = candidate.prompt, candidate.reply
    kind = None
    if prompt.existing is not None:
        kind = classify(prompt.existing, reply, prompt.question, prompt.context)
    if abstains(reply):
        return Finding("refusal", "", kind)
    if (said := _REFERS.search(reply)) and said[0].casefold() not in prompt.context.casefold():
        return Finding("refers to the context", said[0], kind)
    if kind not in {None, ADDS}:
        return Finding(str(kind), "", kind)
    source = "\n".join((prompt.context, prompt.question, prompt.existing or ""))
    if prompt.context and (figures := unsupported_numbers(reply, source)):
        return Finding("unsupported number", ", ".join(figures), kind)
    if prompt.context and (names := unsupported_names(reply, source)):
        return Finding("unsupported name", ", ".join(names), kind)
    return Finding("", "", kind)


Drops = list[tuple[int, str, str]]


def _doubles(candidates: Sequence[Candidate], kept: Sequence[int]) -> Drops:
    with NearDuplicates() as seen:
        pairs = [(number, seen.add(number, _said(candidates[number]))) for number in kept]
    return [(number, "near-duplicate", f"of example {first}") for number, first in pairs if first is not None]


def _said(candidate: Candidate) -> str:
    """Question and reply: two questions about one page share the rest of their prompts."""
    return f"{candidate.prompt.question}\n{candidate.reply}"


def _contradictions(candidates: Sequence[Candidate], kept: Sequence[int]) -> Drops:
    """First answers to one question that differ in a number, or in yes and no: nobody knows which is right."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number in kept:
        if candidates[number].prompt.existing is None:
            groups[tuple(words(candidates[number].prompt.question))].append(number)
    return [
        (one, "contradiction", f"of example {other}")
        for group in groups.values()
        for one in group
        for other in [next((n for n in group if _contradict(candidates[one].reply, candidates[n].reply)), None)]
        if other is not None
    ]


def _contradict(one: str, other: str) -> bool:
    figures, its_figures = numbers(one), numbers(other)
    answers = {next(iter(words(reply)), "") for reply in (one, other)}
    return answers == {"yes", "no"} or bool(figures and its_figures and figures.isdisjoint(its_figures))


def _crowded_pages(candidates: Sequence[Candidate], kept: Sequence[int]) -> Drops:
    known = [(number, page) for number in kept if (page := candidates[number].page) is not None]
    counts = Counter(page for _, page in known)
    limit = max(PAGE_SHARE, 2 / len(counts)) * len(known) if len(counts) > 1 else len(known)
    taken: Counter[Hashable] = Counter()
    drops = []
    for number, page in known:
        taken[page] += 1
        if taken[page] > limit:
            drops.append((number, "too much of one page", f"{counts[page]} of {len(known)} examples"))
    return drops
