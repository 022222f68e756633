"""The question writer: it turns the statements of a passage into questions that the passage answers.

Each sentence gives at most one question: by its shape (`patterns`), or by the first of `forms.FORMS` that fits its
clause. A sentence that none fits gives none: a bad question is worse than a missing one. Sentences of other languages
are asked about by their two rarest phrases.

>>> questions("The city of Bern opened three new schools in 2022.", 2)
['How many new schools did the city of Bern open in 2022?']
>>> questions("Die Wasserwerke liefern der Stadt Bern seit 1906 sauberes Trinkwasser.", 1)
['Was sagt das Dokument über Wasserwerke liefern und sauberes Trinkwasser?']
"""

import re
from typing import NamedTuple

from minirag.offline.clauses import ALSO_NOUNS, VERB_FORMS, parse, third_person
from minirag.offline.forms import FORMS, VAGUE, Frame, specificity
from minirag.offline.languages import language, what_is_said
from minirag.offline.lexicon import STOP_WORDS, content_words
from minirag.offline.patterns import from_pattern
from minirag.offline.prose import prose

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_WHOLE = (".", "!", "。", "！", ".”", '."')
_DETERMINERS = frozenset(
    "the a an each every all any both some most many several more certain two three four five six seven eight "
    "nine ten".split()
)
_COMMON_ENDINGS = tuple("ions ion ment ments ing ers ity ies ed al ness ces ency".split())
_MAY_END = frozenset("own do for have to of as with into on by after at".split())
_LEADS = frozenset("Pursuant According Following Including Based Subject Due Using Given Meanwhile Next".split())
_ADVERBS = frozenset("again later soon also even now then sometimes therefore".split())
_JOINED = re.compile(r"[a-z][A-Z][a-z]")
"""Two words that lost the space between them."""


class _Question(NamedTuple):
    text: str
    worth: float
    words: frozenset[str]  # what it is about


def questions(text: str, n: int) -> list[str]:
    """Return up to `n` different questions that `text` answers, each from a sentence of its own, in their order.

    Fewer where the text says less: a table of figures gives none.
    """
    sentences = [sentence.text for sentence in prose(text) if _is_statement(sentence.text)]
    candidates = [question for sentence in sentences if (question := _question(sentence, text))]
    chosen: list[int] = []
    for i in sorted(range(len(candidates)), key=lambda i: -candidates[i].worth):
        if len(chosen) < n and not any(_are_alike(candidates[i].words, candidates[j].words) for j in chosen):
            chosen.append(i)
    return [candidates[i].text for i in sorted(chosen)]


def _are_alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) * 2 >= len(one | other)


def _is_statement(sentence: str) -> bool:
    """Return whether it is a whole statement in words: no question, list item, caption or row of a table."""
    if not sentence.endswith(_WHOLE) or sentence[0].islower():
        return False
    tokens = sentence.split()
    plain = sum(1 for token in tokens if token.isalpha() or token.rstrip(",.;’'s").isalpha())
    return (len(tokens) >= 6 and plain * 10 >= len(tokens) * 7) or (
        _CJK.search(sentence) is not None and len(sentence) > 9
    )


def _question(sentence: str, text: str) -> _Question | None:
    """Return the best question that a sentence of `text` answers; None if it has nothing to name."""
    if (spoken := language(text)) != "en":
        asked = what_is_said(sentence, spoken)
        return _Question(asked, specificity(asked), frozenset(content_words(asked))) if asked else None
    statement = _in_third_person(sentence, text)
    if asked := from_pattern(statement):
        return _Question(asked, 4.0 + specificity(asked), frozenset(content_words(asked)))
    clause = parse(statement)
    if clause and (subject := _subject(clause.subject, text)):
        frame = Frame(clause, subject)
        for worth, form in FORMS:
            asked = " ".join((form(frame) or "").split())
            if asked and _stands_alone(asked):
                return _Question(asked, worth + specificity(asked), frozenset(content_words(asked)))
    return None


def _in_third_person(sentence: str, text: str) -> str:
    """Return the sentence with "we" and "our" named, where the text shows who speaks."""
    unquoted = re.sub('[“"][^”"]*[”"]', "", text)
    if len(re.findall(r"\bI\b", unquoted)) > 2:
        sentence = re.sub(r"\bI[’']m\b|\bI am\b", "the speaker is", sentence)
        sentence = re.sub(r"\bI[’']ve\b|\bI have\b", "the speaker has", sentence)
        sentence = re.sub(r"\bI[’']ll\b|\bI will\b", "the speaker will", sentence)
        sentence = re.sub(
            r"\bI(?= [a-z])((?: also| \w+ly)?) (\w+)", lambda m: f"the speaker{m[1]} {third_person(m[2])}", sentence
        )
        return re.sub(r"\b[Mm]y\b", "the speaker’s", sentence)
    if re.search(r"\b(?:company|customers|shareholders|revenue|products|fiscal|income|shares|cash)\b", text, re.I):
        who, whose = "the company", "the company’s"
    elif re.search(r"\b(?:[Tt]his|[Oo]ur) (?:paper|study|work|dataset|experiments?)\b", text):
        who, whose = "the authors", "the authors’"
    else:
        return sentence

    def spoken(match: re.Match[str]) -> str:
        return f"{who}{match[1]} {third_person(match[2]) if who == 'the company' else match[2]}"

    sentence = re.sub(r"\b[Oo]ur\b(?! own)", whose, sentence)
    sentence = re.sub(r"\b[Ww]e((?: also| \w+ly)?) (\w+)", spoken, sentence)
    return re.sub(r"\b(?:[Ww]e|us)\b(?![’'])", who, sentence)


def _subject(subject: str, text: str) -> str | None:
    """Return a subject as it stands inside a question; None if a reader could not tell what it is."""
    first, *others = words = subject.split()
    plain = not others or others[0][0].islower()
    low = first.lower()
    imperative = VERB_FORMS.get(low) == low and low not in ALSO_NOUNS
    opens = low in _DETERMINERS or (low not in STOP_WORDS and not imperative)
    if not opens or len(words) > 10 or VAGUE.search(subject) or not content_words(subject) or not first[0].isalnum():
        return None
    if first in _LEADS or re.search(r"\b[A-Z]{4,} (?:[A-Z]{3,} )?[a-z]", subject) or words[-1].lower() in _ADVERBS:
        return None
    if (
        words[-1].endswith(("’s", "'s", "s’"))
        or _JOINED.search(subject)
        or (len(first) > 4 and first.isupper() and plain and others)
    ):
        return None
    common = low in _DETERMINERS or re.search(rf"\b{re.escape(low)}\b", text) or low.endswith(_COMMON_ENDINGS)
    is_name = re.search(rf"[a-z,] {re.escape(first)}\b", text) is not None
    lowered = low in _DETERMINERS or (common and plain and not is_name and (first[1:].islower() or "-" in first))
    return " ".join([low if lowered else first, *others])


def _stands_alone(question: str) -> bool:
    """Return whether a reader without the passage understands what is asked."""
    words = question.rstrip("?").split()
    hangs = words[-1].lower() in STOP_WORDS - _MAY_END
    return 4 <= len(words) <= 26 and not hangs and not VAGUE.search(question) and specificity(question) >= 0.15
