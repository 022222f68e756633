"""Row 3. Which examples are worth training on: each gets a reason why it is not, or none.

The rules look at the texts alone, so they judge the log of a run and anybody's chat file alike. Nothing here asks a
model: a rule that drops an example can be checked by reading it.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from minirag.curation.prompt_parts import Parts
from minirag.curation.quantities import unsupported, values
from minirag.curation.refinement import ADDS, REPEATS, classify
from minirag.curation.refusals import abstains, reference
from minirag.curation.seen import NearDuplicates
from minirag.curation.wording import unsupported_names
from minirag.text import words

PAGE_SHARE = 0.2
"""Of the examples, that one page may give; a document of few pages may go to twice each page's even share."""


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


def curate(candidates: Sequence[Candidate], *, keep_idle: bool = False) -> list[Finding]:
    """One finding a candidate, in their order. The first rule that holds names the reason.

    Reasons: `refusal`, `refers to the context`, `repeats`, `paraphrase`, `loses facts`, `unsupported number`,
    `unsupported name` (in the answer itself, or in the one that it refines), `near-duplicate`, `contradiction`,
    `too much of one page`. With `keep_idle` a refine step that repeats the earlier answer is no reason.
    """
    findings = [_alone(candidate, keep_idle) for candidate in candidates]
    for rule in (_inherited, _doubles, _contradictions, _crowded_pages):
        kept = [number for number, finding in enumerate(findings) if not finding.reason]
        for number, reason, detail in rule(candidates, kept, findings):
            findings[number] = Finding(reason, detail, findings[number].refine)
    return findings


def _alone(candidate: Candidate, keep_idle: bool) -> Finding:
    """What is wrong with a candidate whatever the others are."""
    prompt, reply = candidate.prompt, candidate.reply
    kind = None
    if prompt.existing is not None:
        kind = classify(prompt.existing, reply, prompt.question, prompt.context)
    if abstains(reply):
        return Finding("refusal", "", kind)
    if said := reference(reply, prompt.context):
        return Finding("refers to the context", said, kind)
    if kind not in {None, ADDS} and not (keep_idle and kind == REPEATS):
        return Finding(str(kind), "", kind)
    source = "\n".join((prompt.context, prompt.existing or ""))
    if prompt.context and (figures := unsupported(reply, source, prompt.question)):
        return Finding("unsupported number", ", ".join(figures), kind)
    if prompt.context and (names := unsupported_names(reply, f"{source}\n{prompt.question}")):
        return Finding("unsupported name", ", ".join(names), kind)
    return Finding("", "", kind)


Drops = list[tuple[int, str, str]]


def _inherited(candidates: Sequence[Candidate], kept: Sequence[int], findings: Sequence[Finding]) -> Drops:
    """Refine steps whose earlier answer, along the chain, holds what no excerpt does: they would teach it after all."""
    spoilt = {
        _key(candidate.reply): finding
        for candidate, finding in zip(candidates, findings, strict=True)
        if finding.reason.startswith("unsupported")
    }
    drops: Drops = []
    for number in kept:
        existing = candidates[number].prompt.existing
        if existing is not None and (finding := spoilt.get(_key(existing))) is not None:
            drops.append((number, finding.reason, f"{finding.detail}, in the answer that it refines"))
            spoilt[_key(candidates[number].reply)] = finding
    return drops


def _key(text: str) -> tuple[str, ...]:
    return tuple(words(text))


def _doubles(candidates: Sequence[Candidate], kept: Sequence[int], _: Sequence[Finding]) -> Drops:
    with NearDuplicates() as seen:
        pairs = [(number, seen.add(number, _said(candidates[number]))) for number in kept]
    return [(number, "near-duplicate", f"of example {first}") for number, first in pairs if first is not None]


def _said(candidate: Candidate) -> str:
    """Question and reply: two questions about one page share the rest of their prompts. Drafts are no refine steps."""
    kind = "" if candidate.prompt.existing is None else "refine "
    return f"{kind}{candidate.prompt.question}\n{candidate.reply}"


def _contradictions(candidates: Sequence[Candidate], kept: Sequence[int], _: Sequence[Finding]) -> Drops:
    """First answers to one question from one text that differ in a number, or in yes and no: which is right?"""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number in kept:
        prompt = candidates[number].prompt
        if prompt.existing is None and (question := _key(prompt.question)):
            groups[question, _key(prompt.context)].append(number)
    return [
        (one, "contradiction", f"of example {other}")
        for group in groups.values()
        for one in group
        for other in [next((n for n in group if _contradict(candidates[one].reply, candidates[n].reply)), None)]
        if other is not None
    ]


def _contradict(one: str, other: str) -> bool:
    figures, its_figures = values(one), values(other)
    answers = {next(iter(words(reply)), "") for reply in (one, other)}
    return answers == {"yes", "no"} or bool(figures and its_figures and figures.isdisjoint(its_figures))


def _crowded_pages(candidates: Sequence[Candidate], kept: Sequence[int], _: Sequence[Finding]) -> Drops:
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
