"""Which examples are worth training on: each gets the reason why it is not, or none.

The rules read the texts alone, so they judge the log of a run and any chat file alike. No model is asked: whether an
example was rightly dropped can be checked by reading it.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace

from minirag.curation.answers import ADDS, REPEATS, abstains, classify, reference, unsupported_names
from minirag.curation.duplicates import NearDuplicates
from minirag.curation.quantities import unsupported, values
from minirag.curation.templates import Parts, parts
from minirag.text import words
from minirag.training import Example

MAX_PAGE_SHARE = 0.2
"""Of all examples, for one page; in a document of few pages, twice each page's even share."""


def curate(examples: Sequence[Example], *, keep_idle: bool = False) -> list[Example]:
    """Return the examples with `dropped`, `detail` and `refine` filled in, by the first rule that applies.

    Reasons: `refusal`, `refers to the context`, `repeats`, `paraphrase`, `loses facts`, `unsupported number`,
    `unsupported name`, `near-duplicate`, `contradiction`, `too much of one page`. With `keep_idle`, refine steps that
    repeat the earlier answer are kept. Examples that are dropped already stay as they are.
    """
    prompts = [parts(example.messages[:-1]) for example in examples]
    curated = [e if e.dropped else _by_itself(e, p, keep_idle) for e, p in zip(examples, prompts, strict=True)]
    for rule in (_inherited, _duplicates, _contradictions, _crowded_pages):
        for number, reason, detail in list(rule(curated, prompts)):
            curated[number] = replace(curated[number], dropped=reason, detail=detail)
    return curated


def _by_itself(example: Example, prompt: Parts, keep_idle: bool) -> Example:
    """Apply the rules for which the other examples do not matter."""
    reply, kind = example.reply, None
    if prompt.existing is not None:
        kind = classify(prompt.existing, reply, prompt.question, prompt.context)
    source = f"{prompt.context}\n{prompt.existing or ''}"
    reason = detail = ""
    if abstains(reply):
        reason = "refusal"
    elif mention := reference(reply, prompt.context):
        reason, detail = "refers to the context", mention
    elif kind not in (None, ADDS) and not (keep_idle and kind == REPEATS):
        reason = str(kind)
    elif prompt.context and (numbers := unsupported(reply, source, prompt.question)):
        reason, detail = "unsupported number", ", ".join(numbers)
    elif prompt.context and (names := unsupported_names(reply, f"{source}\n{prompt.question}")):
        reason, detail = "unsupported name", ", ".join(names)
    return replace(example, dropped=reason, detail=detail or example.detail, refine=kind)


Drops = Iterator[tuple[int, str, str]]
"""(number of an example, reason, detail)"""


def _inherited(examples: Sequence[Example], prompts: Sequence[Parts]) -> Drops:
    """Drop refine steps whose earlier answer, anywhere along the chain, holds what its excerpts do not."""
    bad = {tuple(words(e.reply)): e for e in examples if e.dropped.startswith("unsupported")}
    for number, (example, prompt) in enumerate(zip(examples, prompts, strict=True)):
        if not example.dropped and prompt.existing is not None:
            earlier = bad.get(tuple(words(prompt.existing)))
            if earlier is not None:
                bad[tuple(words(example.reply))] = earlier
                yield number, earlier.dropped, f"{earlier.detail}, in the answer that it refines"


def _duplicates(examples: Sequence[Example], prompts: Sequence[Parts]) -> Drops:
    """Drop repetitions of question and reply; the rest of the prompt is the same for all questions about a page."""
    earlier = NearDuplicates[int]()
    for number, (example, prompt) in enumerate(zip(examples, prompts, strict=True)):
        if not example.dropped:
            kind = "" if prompt.existing is None else "refine "  # a refine step does not repeat its draft
            first = earlier.add(number, f"{kind}{prompt.question}\n{example.reply}")
            if first is not None:
                yield number, "near-duplicate", f"of example {first}"


def _contradictions(examples: Sequence[Example], prompts: Sequence[Parts]) -> Drops:
    """Drop all drafts for one question and context that differ in a number, or in yes and no."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number, (example, prompt) in enumerate(zip(examples, prompts, strict=True)):
        if not example.dropped and prompt.existing is None and words(prompt.question):
            groups[tuple(words(prompt.question)), tuple(words(prompt.context))].append(number)
    for group in groups.values():
        for one in group:
            other = next((n for n in group if _contradict(examples[one].reply, examples[n].reply)), None)
            if other is not None:
                yield one, "contradiction", f"of example {other}"


def _contradict(one: str, other: str) -> bool:
    numbers, other_numbers = values(one), values(other)
    openings = {next(iter(words(reply)), "") for reply in (one, other)}
    return openings == {"yes", "no"} or bool(numbers and other_numbers and numbers.isdisjoint(other_numbers))


def _crowded_pages(examples: Sequence[Example], _: Sequence[Parts]) -> Drops:
    """Drop the last examples of a page that has too many."""
    pages = [(number, e.page) for number, e in enumerate(examples) if not e.dropped and e.page is not None]
    counts = Counter(page for _, page in pages)
    limit = max(MAX_PAGE_SHARE, 2 / len(counts)) * len(pages) if len(counts) > 1 else len(pages)
    taken: Counter[Hashable] = Counter()
    for number, page in pages:
        taken[page] += 1
        if taken[page] > limit:
            yield number, "too much of one page", f"{counts[page]} of {len(pages)} examples"
