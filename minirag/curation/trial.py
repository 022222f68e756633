"""Row 5. Questions on trial: what speaks against a question, found before any answer to it is looked at.

A bad question measures nothing, or the wrong thing, and dropping it after the scores are known is how a result is
made. So every doubt is a flag with its reason, from the question, its page and what is retrieved for it alone; no
model is asked. A flagged question stays in, and the comparison is shown with and without the flagged ones.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from minirag.curation.quantities import values
from minirag.questions import PAGE_GUESSED, SPLITS, PageKey, Question, near_duplicate
from minirag.sentences import sentence_spans
from minirag.text import content, words

ON_PAGE = 0.6
"""Share of a question's content words and numbers that its page must hold if the page is to answer it."""

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
_NAMED = 2
"""Content words from which what stands before a `this …` may be what it means."""
_IMPERSONAL = re.compile(
    r"\bit (?:is )?(?:rain|snow|take|cost|possible|necessary|required|allowed|permitted|true|worth|mean)", re.IGNORECASE
)
_FURNITURE = re.compile(
    rf"\b(?:title|author|file ?name|heading|date) of (?:the|this) {_WHOLE}\b"
    r"|\b(?:which|what) page\b|\bhow many pages\b|\bpage numbers?\b|\btable of contents\b"
    rf"|\bwhat is the {_WHOLE} (?:called|titled|about)\b"
    r"|\bwhat (?:kind|type) of document\b",
    re.IGNORECASE,
)
_YES_OR_NO = re.compile(
    r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|may|must|should)\b", re.IGNORECASE
)
_NEGATION = re.compile(r"\b(?:no|not|never|none|nor|without|cannot)\b|n['’]t\b", re.IGNORECASE)
_ASKING = content(
    "according briefly context define describe detail discuss document example examples excerpt explain given high "
    "information large list long many mention mentioned much name passage provide provided section say says specific "
    "state stated term text"
)
"""Words that ask and tell nothing of what is asked about."""


def on_trial(
    questions: Sequence[Question],
    *,
    pages: Mapping[PageKey, str],
    page_of: Mapping[str, PageKey],
    retrieved: Mapping[str, Collection[PageKey]],
    trained_on: Collection[PageKey] = (),
) -> list[Question]:
    """The questions with a flag for each doubt: `not stand-alone`, `not answerable from its page`, `trivial`, `source
    page not retrieved`, `near-duplicate`, `leaked`, each with its reason behind a colon.

    `pages` is the text of each page, `page_of` the page of each chunk id, `retrieved` the pages of the chunks that are
    retrieved for each question id, and `trained_on` the pages that training prompts may show.
    """
    tried: dict[str, Question] = {}
    asked = Asked()
    for question in sorted(questions, key=lambda q: SPLITS.index(q.split)):
        page = page_of.get(question.chunk_id or "")
        found = [
            *alone(question.text, None if page is None else pages[page]),
            *_retrieval(question, page, retrieved, trained_on),
            *_doubles(question, asked),
        ]
        asked.add(question)
        tried[question.id] = replace(question, flags=(*question.flags, *found))
    return [tried[question.id] for question in questions]


def alone(text: str, page: str | None) -> list[str]:
    """What speaks against a question whatever is retrieved for it; `page` is the text that should answer it.

    >>> alone("What is the fee in this section?", "The fee is 3 euros.")
    ['not stand-alone: “this section”']
    >>> alone("Who founded the Bern zoo?", "The fee is 3 euros.")
    ['not answerable from its page: bern, found, zoo not on it']
    """
    found = [] if (said := points_elsewhere(text)) is None else [f"not stand-alone: “{said}”"]
    if trivial := _FURNITURE.search(text):
        return [*found, f"trivial: asks for “{trivial[0]}”"]
    if page is None:
        return found
    if missing := missing_words(text, page):
        found.append(f"not answerable from its page: {', '.join(sorted(missing)[:6])} not on it")
    elif restated := _restated(text, page):
        found.append(f"trivial: the answer stands in the question (“{restated}”)")
    return found


def points_elsewhere(text: str) -> str | None:
    """The words by which a question leans on a text that its reader does not see.

    >>> points_elsewhere("What did they agree on?"), points_elsewhere("What did Bern and Basel say they agree on?")
    ('they', None)
    """
    if said := _POINTS.search(text):
        return said[0]
    pronoun = _PRONOUN.search(text)
    if pronoun is None or _IMPERSONAL.search(text):
        return None
    enough = _NAMED if " " in pronoun[0] else 1
    return pronoun[0] if len(asked_about(text[: pronoun.start()])) < enough else None


def asked_about(text: str) -> set[str]:
    """The content words and numbers of a question, without the words that only ask."""
    return (content(text) - _ASKING) | values(text)


def share_on_page(text: str, page: str) -> float:
    """Share of a question's content words and numbers that stand on a page; 1.0 where it has none."""
    asked = asked_about(text)
    return len(asked & (content(page) | values(page))) / len(asked) if asked else 1.0


def missing_words(text: str, page: str) -> set[str]:
    """What a question asks about and its page does not hold, where that is too much for the page to answer it."""
    return asked_about(text) - content(page) - values(page) if share_on_page(text, page) < ON_PAGE else set()


def _restated(text: str, page: str) -> str:
    """The sentence or heading of the page to which a question adds nothing, or ""."""
    asked, yes_or_no = asked_about(text), _YES_OR_NO.match(text) is not None
    for told in (page[a:b].strip() for a, b in sentence_spans(page)):
        facts = content(told) | values(told)
        confirmed = yes_or_no and len(asked) > 2 and asked <= facts and len(facts - asked) < 3 and not _denies(told)
        if confirmed or (len(facts) > 4 and facts <= asked and len(asked - facts) < 3 and told.endswith(".")):
            return " ".join(told.split())[:60]
    headings = (line.strip() for line in page.splitlines() if yes_or_no)
    return next((line for line in headings if len(words(line)) <= 8 and asked and asked == asked_about(line)), "")


def _denies(sentence: str) -> bool:
    return _NEGATION.search(sentence) is not None


def _retrieval(
    question: Question,
    page: PageKey | None,
    retrieved: Mapping[str, Collection[PageKey]],
    trained_on: Collection[PageKey],
) -> list[str]:
    found = []
    if page is not None and PAGE_GUESSED not in question.flags and page not in retrieved[question.id]:
        found.append(f"source page not retrieved: {_listed(retrieved[question.id])} instead")
    if question.split == "eval" and page in trained_on:
        found.append("leaked: training prompts show its page")
    return found


def _listed(pages: Collection[PageKey]) -> str:
    return ", ".join(f"page {number}" for _, number in sorted(set(pages))) or "nothing"


def _doubles(question: Question, asked: "Asked") -> list[str]:
    """An eval question that training asks too is leaked; any other double counts the same thing twice."""
    double = asked.first(question.text)
    if double is None:
        return []
    kind = "leaked: near-duplicate of train question" if question.split != double.split else "near-duplicate: of"
    return [f"{kind} {double.id}"]


class Asked:
    """Questions so far, to be found again where another asks the same, by all its words or by those that carry meaning.

    >>> asked = Asked()
    >>> asked.add(Question("t001", "train", "How are fares set by the Bern tram?"))
    >>> [asked.first(text) is None for text in ("How does the Bern tram set its fares?", "Are fares set in Bern?")]
    [False, True]
    """

    def __init__(self) -> None:
        self._questions: list[Question] = []
        self._words: list[set[str]] = []
        self._content: list[set[str]] = []

    def add(self, question: Question) -> None:
        """Remember a question."""
        self._questions.append(question)
        self._words.append(set(words(question.text)))
        self._content.append(asked_about(question.text))

    def first(self, text: str) -> Question | None:
        """The first question that asks what `text` asks; None if none does."""
        content = asked_about(text)
        found = [near_duplicate(words(text), self._words), near_duplicate(content, self._content) if content else None]
        numbers = [number for number in found if number is not None]
        return self._questions[min(numbers)] if numbers else None
