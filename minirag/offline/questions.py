"""The question writer: it turns the statements of a passage into questions that the passage answers.

Each sentence gives at most one question: by its shape as a whole, or by the first of `forms.FORMS` that fits its
clause. A sentence that none fits gives none: a bad question is worse than a missing one. Sentences of other languages
are asked about by their two longest phrases.

>>> questions("The city of Bern opened three new schools in 2022.", 2)
['How many new schools did the city of Bern open in 2022?']
>>> questions("To keep your changes, press the green button twice.", 1)
['How do you keep your changes?']
>>> questions("Die Wasserwerke liefern der Stadt Bern seit 1906 sauberes Trinkwasser.", 1)
['What does the document say about “Wasserwerke liefern” and “sauberes Trinkwasser”?']
"""

import re
from itertools import pairwise
from typing import NamedTuple

from minirag.offline.clauses import VERB_FORMS, parse, third_person
from minirag.offline.forms import FORMS, PERSON, VAGUE, Frame, specificity
from minirag.offline.lexicon import CJK, STOP_WORDS, content_words, words
from minirag.offline.prose import prose
from minirag.text import vocabulary

_PHRASE = re.compile(rf"[㐀-鿿]{{2,6}}|[ァ-ヺー]{{3,}}|[가-힣]{{3,}}|[^\W\d_{CJK}]{{5,}}(?: [^\W\d_{CJK}]{{5,}})?")
_WHOLE = (".", "!", "。", "！", ".”", '."')
_DETERMINERS = frozenset(
    "the a an each every all any both some most many several more certain two three four five six seven eight "
    "nine ten".split()
)
_COMMON_ENDINGS = tuple("ions ion ment ments ing ers ity ies ed al ness ces ency".split())
_MAY_END = frozenset("own do for have to of as with into on by after at".split())
_LEADS = frozenset("Pursuant According Following Including Based Subject Since Using Yet Otherwise Normally".split())

_BASES = "|".join(sorted(set(VERB_FORMS.values())))
_NO_NAME = "Like|But|And|He|She|It|In|On|At|For|As|So|If|When|The|This|That|They|We|You"
_NAME = rf"(?!(?:{_NO_NAME})\b)(?:[A-Z][a-z’'-]+|[A-Z]\.)(?: (?:[A-Z][\w’'-]+|[A-Z]\.|of|de|van))* [A-Z][\w’'-]+"
_SAYS = "(?:said|says|claimed|argued|warned|added|wrote|writes)"
_ABOUT = (
    rf"(?P<about>[Tt]he (?:[\w°’-]+ ){{1,3}}?[a-z’-]+|{_NAME}) (?:is|are|was|were|ha[sd]|have|will|would|can|may)\b"
)
_ACT = rf"(?:(?:please |first |then )?(?:{_BASES}|do|be sure)\b(?! (?:is|are|was|of))|you (?:can|must|should|need))"
_SHAPES = [
    (rf"To (?P<aim>(?:{_BASES}) [^,;:()]{{12,90}}), {_ACT}", "How do you {aim}?"),
    (
        rf"(?:Use|Select|Press|Run|Choose|Open) [^,;:()]{{3,60}}? to (?P<aim>(?:{_BASES}) [^,;:()]{{12,80}})[.,]",
        "How do you {aim}?",
    ),
    (rf"If (?P<case>you [^,;:()]{{8,90}}), {_ACT}", "What should you do if {case}?"),
    (rf"(?P<who>{_NAME}) {_SAYS}(?: on \w+day)?(?: that)? {_ABOUT}", "What did {who} say about {about}?"),
    (
        rf"[“\"]{_ABOUT}[^“”\"]*[,.?!][”\"](?: {_SAYS})? (?P<who>{_NAME}|[A-Z][a-z]+)\b",
        "What did {who} say about {about}?",
    ),
    (
        rf".*?(?<!, )(?<![A-Z] )\b(?P<name>{_NAME}), {PERSON.pattern}(?: (?:of|from|in|for|at|with) [^,;]+)?(?:,|\.$)",
        "Who is {name}?",
    ),
]
"""Instructions, reported speech and people introduced in passing, and what these answer."""


class _Question(NamedTuple):
    text: str
    worth: float
    words: frozenset[str]  # what it is about


def questions(text: str, n: int) -> list[str]:
    """Return up to `n` different questions that `text` answers, each from a sentence of its own, in their order.

    Fewer where the text says less: a table of figures gives none.
    """
    stop_words = len(words(text)) - len(content_words(text))
    is_english = stop_words >= 0.15 * len(words(text)) or re.search(r"\b(?:the|and)\b", text)
    candidates = []
    for sentence, _ in prose(text):
        if not _is_statement(sentence):
            continue
        worth, asked = _question(sentence, text) if is_english else (0.0, _about(sentence))
        if asked:
            candidates.append(_Question(asked, worth + specificity(asked), frozenset(content_words(asked))))
    chosen: list[int] = []
    for i in sorted(range(len(candidates)), key=lambda i: -candidates[i].worth):
        own = candidates[i].words
        is_new = all(2 * len(own & candidates[j].words) < len(own | candidates[j].words) for j in chosen)
        if is_new and len(chosen) < n:
            chosen.append(i)
    return [candidates[i].text for i in sorted(chosen)]


def _is_statement(sentence: str) -> bool:
    """Return whether it is a whole statement in words: no question, list item, caption or row of a table."""
    if not sentence.endswith(_WHOLE) or sentence[0].islower():
        return False
    if re.search(f"[{CJK}]", sentence) and len(sentence) > 9:
        return True
    known = vocabulary("cl100k_base")
    for one, other in pairwise(sentence.lower().split()):
        if f" {one}{other}".encode() in known and not {f" {one}".encode(), f" {other}".encode()} <= known.keys():
            return False  # "residen ts" is a broken word
    tokens = sentence.split()
    plain = sum(1 for token in tokens if token.isalpha() or token.rstrip(",.;’'s").isalpha())
    return len(tokens) >= 6 and plain * 10 >= len(tokens) * 7


def _about(sentence: str) -> str | None:
    """Return the one question that is safe in any language: about the two longest phrases of a sentence."""
    phrases = list(dict.fromkeys(_PHRASE.findall(sentence)))
    longest = sorted(phrases, key=len, reverse=True)[:2]
    if len(longest) < 2:
        return None
    return "What does the document say about “{}” and “{}”?".format(*sorted(longest, key=phrases.index))


def _question(sentence: str, text: str) -> tuple[float, str | None]:
    """Return the best question that a sentence of `text` answers, and its worth; None if it has nothing to name."""
    statement = _in_third_person(sentence, text)
    for shape, question in _SHAPES:
        if match := re.match(shape, statement):
            parts = {name: re.sub("^The ", "the ", part) for name, part in match.groupdict().items()}
            asked = question.format(**parts)
            return (0.0, None) if VAGUE.search(re.sub(r"\byour?\b", "", asked)) else (4.0, asked)
    clause = parse(statement)
    if clause and (subject := _subject(clause.subject, text)):
        frame = Frame(clause, subject)
        for worth, form in FORMS:
            asked = " ".join((form(frame) or "").split())
            if asked and _stands_alone(asked):
                return worth, asked
    return 0.0, None


def _in_third_person(sentence: str, text: str) -> str:
    """Return the sentence with "I" or "we" named, where the text shows who speaks."""
    if len(re.findall(r"\bI\b", re.sub('[“"][^”"]*[”"]', "", text))) > 2:
        who, subject, others, possessive = "the speaker", "I", "me", "[Mm]y"
    elif re.search(r"\b(?:company|customers|shareholders|revenue|products|fiscal|income|shares|cash)\b", text, re.I):
        who, subject, others, possessive = "the company", "[Ww]e", "us", "[Oo]ur"
    else:
        return sentence
    sentence = re.sub(rf"\b{possessive}\b(?! own)", f"{who}’s", sentence)
    sentence = re.sub(rf"\b({subject})[’']ve\b", r"\1 have", sentence)
    sentence = re.sub(
        rf"\b{subject}((?: also| \w+ly)?) (\w+)", lambda match: f"{who}{match[1]} {third_person(match[2])}", sentence
    )
    return re.sub(rf"\b(?:{subject}|{others})\b(?![’'])", who, sentence)


def _subject(subject: str, text: str) -> str | None:
    """Return a subject as it stands inside a question; None if a reader could not tell what it is."""
    first, *others = words = subject.split()
    low = first.lower()
    opens = low in _DETERMINERS or low not in STOP_WORDS
    if not opens or len(words) > 10 or VAGUE.search(subject) or not content_words(subject) or not first[0].isalnum():
        return None
    is_heading = re.search(
        r"\b[A-Z]{4,} (?:[A-Z]{3,} )?(?:[a-z]|[A-Z]+$)|^[Tt]he (?:first|second|last|next|default)(?: [a-z]|$)", subject
    )
    is_order = VERB_FORMS.get(low) == low and others and (others[0] in _DETERMINERS or others[0][-1] == "s")
    if first in _LEADS or is_order or is_heading or words[-1].endswith(("’s", "'s", "s’")):
        return None
    plain = not others or others[0][0].islower()
    common = low in _DETERMINERS or re.search(rf"\b{re.escape(low)}\b", text) or low.endswith(_COMMON_ENDINGS)
    is_name = re.search(rf"[a-z,] {re.escape(first)}\b", text) is not None
    lowered = low in _DETERMINERS or (common and plain and not is_name and (first[1:].islower() or "-" in first))
    return " ".join([low if lowered else first, *others])


def _stands_alone(question: str) -> bool:
    """Return whether a reader without the passage understands what is asked."""
    words = question.rstrip("?").split()
    hangs = words[-1].lower() in STOP_WORDS - _MAY_END | {"beginning"}
    return 4 <= len(words) <= 26 and not hangs and not VAGUE.search(question) and specificity(question) >= 0.15
