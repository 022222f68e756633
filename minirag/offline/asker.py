"""Apart. The question writer: it turns the statements of a passage into questions that the passage answers.

Each sentence gives at most one question, by the most telling pattern that fits it: why, when, how many, under what
conditions, how, what. A sentence that no pattern fits is asked about by its two rarest phrases.
"""

import re
from typing import NamedTuple

from minirag.offline.clauses import ALSO_NOUNS, VERB_FORMS, parse, third_person
from minirag.offline.lexicon import STOP_WORDS, content_words
from minirag.offline.phrases import CJK, about, language
from minirag.offline.prose import Sentence, prose
from minirag.offline.question_forms import FORMS, VAGUE, Frame, told


class _Asked(NamedTuple):
    question: str
    worth: float
    words: frozenset[str]  # what the question is about


def questions(text: str, n: int) -> list[str]:
    """Up to `n` different questions that `text` answers, each from a sentence of its own, in their order.

    Fewer where the text says less: a table of figures gives none.

    >>> questions("The city of Bern opened three new schools in 2022.", 2)
    ['How many new schools did the city of Bern open in 2022?']
    """
    sentences = [sentence for sentence in prose(text) if _tells(sentence.text)]
    asked = [question for sentence in sentences if (question := _ask(sentence, text))]
    taken: list[int] = []
    for i in sorted(range(len(asked)), key=lambda i: -asked[i].worth):
        if len(taken) < n and not any(_alike(asked[i].words, asked[j].words) for j in taken):
            taken.append(i)
    return [asked[i].question for i in sorted(taken)]


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) * 2 >= len(one | other)


def _tells(sentence: str) -> bool:
    """Whether it is a whole statement in words: no question, list item, caption or row."""
    if not sentence.endswith((".", "!", "。", "！", ".”", '."')) or sentence[0].islower():
        return False
    tokens = sentence.split()
    plain = sum(1 for token in tokens if token.isalpha() or token.rstrip(",.;’'s").isalpha())
    return (len(tokens) >= 6 and plain * 10 >= len(tokens) * 7) or (
        CJK.search(sentence) is not None and len(sentence) > 9
    )


def _ask(sentence: Sentence, text: str) -> _Asked | None:
    """The best question that one sentence answers; None if it has nothing to name."""
    statement = _in_third_person(sentence.text, text)
    clause = parse(statement) if language(text) == "en" else None
    if clause and (named := _subject(clause.subject, text)):
        frame = Frame(clause, named)
        for worth, form in FORMS:
            question = form(frame)
            if question and _stands_alone(question := " ".join(question.split())):
                return _Asked(question, worth + told(question), frozenset(content_words(question)))
    question = about(statement)
    return _Asked(question, told(question), frozenset(content_words(question))) if question else None


def _in_third_person(sentence: str, text: str) -> str:
    """We and our named, where the text tells who speaks."""
    if re.search(r"\b(?:company|customers|shareholders|revenue|products|fiscal|income|shares|cash)\b", text, re.I):
        who, whose = "the company", "the company’s"
    elif re.search(r"\b(?:paper|study|experiments?|dataset|results)\b", text, re.I):
        who, whose = "the authors", "the authors’"
    else:
        return sentence

    def spoken(match: re.Match[str]) -> str:
        return f"{who}{match[1]} {third_person(match[2]) if who == 'the company' else match[2]}"

    named = re.sub(r"\b[Oo]ur\b(?! own)", whose, sentence)
    named = re.sub(r"\b[Ww]e((?: also| \w+ly)?) (\w+)", spoken, named)
    return re.sub(r"\b(?:[Ww]e|us)\b", who, named)


_DETERMINERS = frozenset(
    "the a an each every all any both some most many several more certain two three four five six seven eight "
    "nine ten".split()
)
_COMMON_ENDINGS = tuple("ions ion ment ments ing ers ity ies ed al ness ces ency".split())


def _subject(subject: str, text: str) -> str | None:
    """A subject as it stands inside a question; None if a reader could not tell what it is."""
    first, *others = words = subject.split()
    low = first.lower()
    imperative = VERB_FORMS.get(low) == low and low not in ALSO_NOUNS
    opens = low in _DETERMINERS or (low not in STOP_WORDS and not imperative)
    if not opens or len(words) > 10 or VAGUE.search(subject) or not content_words(subject) or not first[0].isalnum():
        return None
    if words[-1].endswith(("’s", "'s", "s’")):
        return None
    plain = not others or others[0][0].islower()
    common = low in _DETERMINERS or re.search(rf"\b{re.escape(low)}\b", text) or low.endswith(_COMMON_ENDINGS)
    lowered = low in _DETERMINERS or (common and plain and (first[1:].islower() or "-" in first))
    return " ".join([low if lowered else first, *others])


_MAY_END = frozenset("own do for have to of as with into on by after at".split())


def _stands_alone(question: str) -> bool:
    """Whether a reader without the passage understands what is asked."""
    words = question.rstrip("?").split()
    hangs = words[-1].lower() in STOP_WORDS - _MAY_END
    return 4 <= len(words) <= 26 and not hangs and not VAGUE.search(question) and told(question) >= 0.15
