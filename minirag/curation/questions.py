"""What speaks against a question, found before any answer to it is looked at.

A bad question measures nothing, and dropping it after the scores are known would bend the result. So each doubt is a
flag with its reason, from the question, its page and what is retrieved for it; no model is asked. A flagged question
stays in, and the report says how many are flagged.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from minirag.curation.quantities import content, values
from minirag.questions import PAGE_GUESSED, SPLITS, PageKey, Question, near_duplicate
from minirag.text import words

MIN_ON_PAGE = 0.6
"""Share of a question's content words and numbers that its page must hold if it is to answer the question."""

_PART = r"(?:text|context(?: information)?|passages?|excerpts?|section|paragraph|chapter|table)"
_WHOLE = r"(?:document|report|filing|file|paper|book)"
_POINTS = re.compile(
    rf"\b(?:in|from|by|to|on|under|of|according to|based on)\s+the {_PART}\b(?! of\b)"
    rf"|\b(?:this|these) (?:{_PART}|{_WHOLE})s?\b|\b(?:does|do|did) the {_PART} \w+"
    rf"|\bthe (?:above|(?:given|provided|following|previous) (?:{_PART}|{_WHOLE}))\b"
    r"|\b(?:mentioned|described|shown|listed|stated|given|discussed|provided) (?:above|below|here|earlier)\b",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"\b(?:it|its|they|them|their|he|him|his|she|her|these|those)\b|\bthis \w+", re.IGNORECASE)
_IMPERSONAL = re.compile(
    r"\bit (?:is )?(?:rain|snow|take|cost|possible|necessary|required|allowed|permitted|true|worth|mean)", re.IGNORECASE
)
_ASKING = content(
    "according briefly context define describe detail discuss document example examples excerpt explain given high "
    "information large list long many mention mentioned much name passage provide provided section say says specific "
    "state stated term text"
)
"""Words that only ask, and tell nothing of the subject."""


def flag_questions(
    questions: Sequence[Question],
    *,
    pages: Mapping[PageKey, str],
    page_of: Mapping[str, PageKey],
    retrieved: Mapping[str, Collection[PageKey]],
) -> list[Question]:
    """Return the questions with a flag for each doubt, its reason behind a colon.

    The flags are `not stand-alone`, `not answerable from its page`, `source page not retrieved`, `near-duplicate` and
    `leaked`. `pages` holds the text of each page, `page_of` the page of each chunk id, `retrieved`
    the pages retrieved for each question id.
    """
    flagged: dict[str, Question] = {}
    earlier: list[Question] = []
    subjects: list[set[str]] = []
    for question in sorted(questions, key=lambda q: SPLITS.index(q.split)):
        page = page_of[question.chunk_id]
        flags = text_flags(question.text, pages[page])
        if PAGE_GUESSED not in question.flags and page not in retrieved[question.id]:
            numbers = sorted({number for _, number in retrieved[question.id]})
            listed = ", ".join(f"page {number}" for number in numbers) or "nothing"
            flags.append(f"source page not retrieved: {listed} instead")

        # the same question once more, by the words that carry meaning or, without any, by all its words
        subject = subject_of(question.text) or set(words(question.text))
        if (place := near_duplicate(subject, subjects)) is not None:
            first = earlier[place]
            kind = "near-duplicate: of" if first.split == question.split else "leaked: near-duplicate of train question"
            flags.append(f"{kind} {first.id}")
        earlier.append(question)
        subjects.append(subject)
        flagged[question.id] = replace(question, flags=(*question.flags, *flags))
    return [flagged[question.id] for question in questions]


def text_flags(text: str, page: str) -> list[str]:
    """Return what speaks against a question whatever is retrieved for it; `page` is the text that should answer it.

    >>> text_flags("Who founded the Bern zoo?", "The fee is 3 euros.")
    ['not answerable from its page: bern, found, zoo not on it']
    """
    pointer = points_elsewhere(text)
    flags = [f"not stand-alone: “{pointer}”"] if pointer else []
    subject = subject_of(text)
    missing = subject - content(page) - values(page)
    if missing and 1 - len(missing) / len(subject) < MIN_ON_PAGE:
        flags.append(f"not answerable from its page: {', '.join(sorted(missing)[:6])} not on it")
    return flags


def points_elsewhere(text: str) -> str | None:
    """Return the words by which a question leans on a text that its reader does not see, None if there are none.

    >>> points_elsewhere("What did they agree on?"), points_elsewhere("What did Bern and Basel say they agree on?")
    ('they', None)
    """
    if match := _POINTS.search(text):
        return match[0]
    pronoun = _PRONOUN.search(text)
    if pronoun is None or _IMPERSONAL.search(text):
        return None
    needed = 2 if " " in pronoun[0] else 1  # content words before it that it may refer to
    return pronoun[0] if len(subject_of(text[: pronoun.start()])) < needed else None


def subject_of(text: str) -> set[str]:
    """Return the content words and numbers of a question, without the words that only ask."""
    return (content(text) - _ASKING) | values(text)
