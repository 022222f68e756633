"""The question writer: it turns the statements of a passage into questions that the passage answers.

Each sentence gives at most one question: by its shape as a whole, or by the first of `FORMS` that fits its clause. A
text of which none fits, in another language for instance, is asked about by the two most telling phrases of each
sentence.

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

from minirag.offline.clauses import BE, HAVE, MODAL, MOVES, NOUNS, TRANSITIVE, VERB_FORMS, Clause, parse, third_person
from minirag.offline.lexicon import CJK, STOP_WORDS, content_words, weight, words
from minirag.offline.prose import prose

# Sentences and subjects
_LATIN_WORD = rf"[^\W\d_{CJK}]+(?:-[^\W\d_{CJK}]+)*"
_PHRASE = re.compile(rf"[㐀-鿿]{{2,6}}|[ァ-ヺー]{{3,}}|[가-힣]{{3,}}|(?=\w{{3}}){_LATIN_WORD}(?: {_LATIN_WORD}){{0,2}}")
_WHOLE = (".", "!", "。", "！", ".”", '."')
_DETERMINERS = frozenset(
    "the a an each every all any both some most many several more certain two three four five six seven eight "
    "nine ten".split()
)
_COMMON_ENDINGS = tuple("ions ion ment ments ing ers ity ies ed al ness ces ency".split())
_VAGUE = re.compile(
    r"\b(?:it|this|these|those|such|he|she|they|them|him|above|below|following|here|there|same|former|latter|another|others?|I|my|me|one|we|our|us|you|your|table|page|chart|exhibit"
    r"|note|section)\b",
    re.IGNORECASE,
)
_PEOPLE = r"(?:(?!numb|own)\w{3,}(?:er|or|ist|ian)|king|queen|president|\w*man|mother|father|chief|captain|official)"
_PERSON = re.compile(rf"(?:an?|the) (?:[\w’'-]+,? ){{0,5}}?{_PEOPLE}\b")
_WHO = re.compile(rf"(?:.* )?(?:[\w-]*{_PEOPLE}|team|court|agency|committee|board|government|administration)s?")

# Instructions, which are asked about as a whole
_BASES = "|".join(sorted(set(VERB_FORMS.values())))
_ACT = rf"(?:(?:please |first |then )?(?:{_BASES}|do|be sure)\b(?! (?:is|are|was|of))|you (?:can|must|should|need))"
_SHAPES = [
    (rf"To ((?:{_BASES}) [^,;:()]{{12,90}}), {_ACT}", "How do you {}?"),
    (rf"If (you [^,;:()]{{8,90}}), {_ACT}", "What should you do if {}?"),
]

# What follows a verb
_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_DATE = re.compile(
    rf"\b(?:in|on|since|during|as of|by|until|before|after|from)(?: (?:the )?(?:early|late|mid|fiscal|fiscal year|year|"
    rf"first|second|third|fourth|quarter of|half of|spring of|summer of|autumn of|end of))*"
    rf" (?:{_MONTH}(?: \d{{1,2}})?,? )?(?:1[5-9]|20)\d\d\b",
    re.IGNORECASE,
)
_NUMBER = r"(?:about |approximately |around |nearly |over |more than |some |up to |at least )?"
_COUNT = re.compile(
    _NUMBER + r"(?:\d[\d,.]*(?: million| billion)?|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve) "
    r"((?:[a-z][\w-]* ){0,2}(?!as\b|is\b|was\b|thirds\b|quarters\b)[a-z][\w-]*s)\b(?! \w+ed\b)"
)
_AMOUNT = re.compile(_NUMBER + r"(?:[$€£¥]|US\$|EUR )?\d[\d,.]*(?: ?%| percent| million| billion|\b)")
_REASON = re.compile(r",? (?:because of|because|due to|as a result of|owing to)\b")
_CONDITION = re.compile(r",? (?:only )?(?:if|when|unless|provided that)\b(?!,)")
_PARTICIPLE = re.compile(
    r"(?:\w+ly |not )?(\w+ed|\w+en|(?:re)?built|made|held|paid|sold|set|found|kept|sent|known|drawn|met)\b"
)
_MEANS = re.compile(r"(?:by (?!(?:an?|one) |default|(?:the )?[A-Z]|(?:\S+ ){1,4}that )|using|based on|through)")
_CUT = re.compile(
    r"[;:(\[]|,(?!\d| \d{4}\b)| – | ?— ?| whereby | which | who "
    r"| and (?:is|are|was|were|has|have|will|may|later|then|subsequently|its|their)\b"
)
_HANGING = frozenset("once while but although since whereas so than either".split())
_PLACED = frozenset("located headquartered situated held stored kept included reflected recorded presented".split())
_THINGS_OPEN_WITH = frozenset("the a an all any both more such its their each several that".split())
_HEAD_ENDS = re.compile(r" (?:of|in|for|to|on|with|from|at|by|that|and|or)\b")
_NOT_ASKED_BY_WHO = frozenset("do does did call consider make have has had include mean".split())
_UNTOLD = frozenset("company authors speaker default size result rest number following".split())
"""Kinds of which nobody would ask "which"."""


class _Question(NamedTuple):
    text: str
    worth: float
    words: frozenset[str]  # what it is about


def questions(text: str, n: int) -> list[str]:
    """Return up to `n` different questions that `text` answers, each from a sentence of its own, in their order.

    Fewer where the text says less: a table of figures gives none.
    """
    stop_words = len(words(text)) - len(content_words(text))
    is_english = stop_words >= 0.15 * len(words(text)) or bool(re.search(r"\b(?:the|and)\b", text))
    statements = [sentence for sentence, _ in prose(text) if _is_statement(sentence)]
    asked = [_question(statement, text) for statement in statements] if is_english else []
    if not any(question for _, question in asked):
        asked = [(0.0, _about(statement, is_english=is_english)) for statement in statements]
    candidates = [
        _Question(question, worth + _specificity(question), frozenset(content_words(question)))
        for worth, question in asked
        if question
    ]
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
    tokens = sentence.split()
    plain = sum(1 for token in tokens if token.isalpha() or token.rstrip(",.;’'s").isalpha())
    return len(tokens) >= 6 and plain * 10 >= len(tokens) * 7


def _about(sentence: str, *, is_english: bool) -> str | None:
    """Return the question that is safe in any language: about the two most telling phrases of a sentence."""

    def tells_little(word: str) -> bool:
        is_verb = word in VERB_FORMS and word not in NOUNS
        return len(word) < 5 if not is_english else is_verb or word.endswith(("ly", "ing")) or not content_words(word)

    named = re.sub(_LATIN_WORD, lambda match: "," if tells_little(match[0].lower()) else match[0], sentence)
    phrases = list(dict.fromkeys(_PHRASE.findall(named)))
    telling = sorted(phrases, key=_specificity, reverse=True)[:2]
    if len(telling) < 2:
        return None
    return "What does the document say about “{}” and “{}”?".format(*sorted(telling, key=phrases.index))


def _question(sentence: str, text: str) -> tuple[float, str | None]:
    """Return the best question that a sentence of `text` answers, and its worth; None if it has nothing to name."""
    statement = re.sub(r"\b([Tt]h)is (?=[A-Z])", r"\1e ", _in_third_person(sentence, text))  # a defined term
    for shape, question in _SHAPES:
        if match := re.match(shape, statement):
            asked = question.format(match[1])
            return (0.0, None) if _VAGUE.search(re.sub(r"\byour?\b", "", asked)) else (4.0, asked)
    clause = parse(statement)
    if clause and (subject := _subject(clause.subject, text)):
        frame = Frame(clause, subject)
        for form, worth in FORMS.items():
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
    if not opens or len(words) > 10 or _VAGUE.search(subject) or not content_words(subject) or not first[0].isalnum():
        return None
    if words[-1].endswith(("’s", "'s", "s’")) or re.match(r"\d+\.\d", first):  # "3.2 Invoking …" begins with a heading
        return None
    plain = not others or others[0][0].islower()
    common = low in _DETERMINERS or re.search(rf"\b{re.escape(low)}\b", text) or low.endswith(_COMMON_ENDINGS)
    is_name = re.search(rf"[a-z,] {re.escape(first)}\b", text) is not None
    lowered = low in _DETERMINERS or (common and plain and not is_name and (first[1:].islower() or "-" in first))
    return " ".join([low if lowered else first, *others])


def _stands_alone(question: str) -> bool:
    """Return whether a reader without the passage understands what is asked."""
    words = question.rstrip("?").split()
    hangs = words[-1].lower() in STOP_WORDS - {"do", "have", "own"} | {"beginning", "even"}
    return 4 <= len(words) <= 26 and not hangs and not _VAGUE.search(question) and _specificity(question) >= 0.15


def _specificity(question: str) -> float:
    """Return how specific a question is, from 0 to 1."""
    return min(sum(weight(word) for word in set(content_words(question))), 5.0) / 5


class Frame:
    """A clause in question order: `auxiliary subject tail`, and its date apart."""

    def __init__(self, clause: Clause, subject: str) -> None:
        self.clause, self.subject = clause, subject
        first = clause.rest.split(" ", 1)[0]
        if clause.verb in BE | MODAL or (clause.verb in HAVE and _PARTICIPLE.fullmatch(first)):
            self.auxiliary, self.verb, self.object = clause.verb, "", clause.rest
        else:
            plural = clause.verb == clause.base and clause.verb != "has"
            self.auxiliary = "did" if clause.past else "do" if plural else "does"
            self.verb, self.object = "have" if clause.verb in HAVE else clause.base, clause.rest
        own = _CUT.split(clause.rest, maxsplit=1)[0]
        dates = [date.group() for date in (_DATE.match(clause.lead), *_DATE.finditer(own)) if date]
        self.date = dates[0] if len(dates) == 1 else ""
        self.when = f" {self.date[0].lower()}{self.date[1:]}" if self.date else ""

    def tail(self, end: int | None = None) -> str | None:
        """Return what follows the subject, up to `end` of the object, at most 14 words; None if that is not clear."""
        text = self.object[:end].split(self.date, 1)[0] if self.date else self.object[:end]
        words = f"{self.verb} {_CUT.split(text, maxsplit=1)[0]}".split()
        if len(words) > 14 or any(word in BE for word in words[1:]):
            return None
        if any(one == "and" and two in VERB_FORMS and two not in NOUNS for one, two in pairwise(words)):
            return None  # a second verb
        if not _HANGING.isdisjoint(words) or not all(word[-1].isalnum() or word[-1] in "%’'\")" for word in words):
            return None
        is_whole = len(words) > 1 or self.auxiliary in BE or self.verb in MOVES
        return " ".join(words) if words and is_whole else None

    def ask(self, opening: str, tail: str | None, after: str = "") -> str | None:
        """Return the question, if there is a tail to ask about; a modal verb in it belongs to another clause."""
        if tail is None or not MODAL.isdisjoint(tail.split()):
            return None
        return f"{opening} {self.auxiliary} {self.subject} {tail}{after}?"


def _why(f: Frame) -> str | None:
    reason = _REASON.search(f.object)
    before = f.object[: reason.start()] if reason else ""
    is_of_another = re.search(r" (?:who|which|that|such|if) |, \w+ing ", before)
    if not before or is_of_another or f.verb in {"have", "detail", "range"}:
        return None
    return f.ask("Why", f.tail(len(before)), f.when)


def _how_many(f: Frame) -> str | None:
    if f.verb not in {"", "spend"} and (count := _COUNT.match(f.object)):
        return f.ask(f"How many {count[1]}", f.verb, f.when)
    if f.verb in MOVES and _AMOUNT.match(f.object.removeprefix("by ")):
        return f.ask("By how much", f.verb, f.when)
    if f.auxiliary in BE and _AMOUNT.match(f.object) and not _COUNT.match(f.object):
        return f"What {f.auxiliary} {f.subject}{f.when}?"
    return None


def _when(f: Frame) -> str | None:
    if not f.date or not f.clause.past or not f.date.lower().startswith(("in ", "on ", "during ")):
        return None
    _, dated, after = f.object.partition(f.date)
    is_last = re.match(r"$|,|;| (?:and|at|with|to|by|after|before) ", after)
    return f.ask("When", f.tail()) if not dated or is_last else None


def _under(f: Frame) -> str | None:
    lead = f.clause.lead
    if re.match(r"(?:If|When) (?:the|an?|any|all|each|no|[A-Z]\w+|\w+s)\b", lead):
        is_past = re.search(r"\b(?:was|were|had|did)\b|[a-z]ed\b(?! by| to| in| with)", lead)
        return f"What happens {lead[0].lower()}{lead[1:]}?" if 4 <= len(lead.split()) <= 14 and not is_past else None
    condition = _CONDITION.search(f.object)
    before = f.object[: condition.start()] if condition else ""
    if not before or _CUT.search(before) or f.auxiliary in {"was", "were", "had", "did"}:
        return None
    is_state = f.auxiliary in BE and not re.match(r"(?:\w+ly |not )?(?:\w+ed|\w+en)\b", f.object)
    return None if is_state else f.ask("Under what conditions", f.tail(len(before)))


def _how(f: Frame) -> str | None:
    start = len(f.object) - len(re.sub(r"^(?:be |been |also |generally |currently )+", "", f.object))
    done = _PARTICIPLE.match(f.object, start)
    if f.verb or not done:
        return None
    rest = f.object[done.end() :].strip()
    done_so = f.object[: done.end()]
    if done[1] in _PLACED and rest.startswith(("in ", "at ", "within ")):
        return f.ask("Where", done_so)
    if re.match(r"by (?:the )?[A-Z][a-z]+ [A-Z]", rest):
        return f.ask("By whom", done_so, f.when)
    somebody = any(map(_WHO.fullmatch, rest.split()[1:5]))
    return f.ask("How", done_so) if _MEANS.match(rest) and not somebody else None


def _what(f: Frame) -> str | None:
    if f.auxiliary in BE and not f.verb:
        words = f.subject.split()
        is_name = len(words) > 1 and all(word[0].isupper() for word in words)
        if (is_name or re.search(" [a-z]{4,} [A-Z]", f.subject)) and not _PERSON.match(f.object):
            return None  # a person or a thing: the list of nouns does not tell
        is_kind = re.match(r"(?:an?|one of) (?!\w+(?:er|or) than)", f.object) and f.auxiliary in {"is", "was"}
        who = "Who" if _PERSON.match(f.object) and is_name else "What"
        return f"{who} {f.auxiliary} {f.subject}?" if is_kind and not re.match("a |the [a-z]+$", f.subject) else None
    if f.verb == "mean" and not f.clause.past:
        return f.ask("What", f.verb)
    verb, _, thing = (f.verb, "", f.object) if f.verb else f.object.partition(" ")
    if not thing or VERB_FORMS.get(verb) not in TRANSITIVE or thing.split()[0] in STOP_WORDS - _THINGS_OPEN_WITH:
        return None
    if f.clause.past and not re.match(r"(?:an?|the|its|their|his|her|all|any|both|more|several)\b|[A-Z$\d]", thing):
        return None  # perhaps no verb, but a participle
    question = f.ask("What", verb, f.when)
    named = len(content_words(f.subject)) > 1 or (f.when and f.subject != "the company")
    return question if question and (named or _specificity(question) >= 0.3) else None


def _which(f: Frame) -> str | None:
    """Ask for the subject, if what is said of it is telling: who did it, which one of its kind, or what."""
    verb = f.clause.verb
    said = _CUT.split(f.clause.rest, maxsplit=1)[0].rstrip()
    words = said.split()
    is_telling = len(content_words(said)) >= 3 and _specificity(said) >= 0.5 and len(words) <= 12
    if not is_telling or words[0] == "that" or not _HANGING.isdisjoint(words) or f.clause.base in _NOT_ASKED_BY_WHO:
        return None
    names = f.subject.split()
    is_name = f.subject[0].isupper() and all(word[0].isupper() or word in {"of", "the"} for word in names)
    is_identity = verb in BE and words[0] in {"the", "a", "an", "to", "one"}
    if is_name and verb not in MODAL and third_person(verb) == verb:
        return None if is_identity and not _PERSON.match(said) else f"Who {verb} {said}?"
    determiner, _, kind = f.subject.partition(" ")
    kind = _HEAD_ENDS.split(kind, maxsplit=1)[0]
    if determiner != "the" or kind in _UNTOLD or not kind.islower() or is_identity:
        return None
    if verb in BE and not _PARTICIPLE.match(said):
        return None
    if kind.isalpha() and not kind.endswith(("al", "ive", "ous", "ic")):
        return f"Which {kind} {verb} {said}?"
    who = "Who" if _WHO.fullmatch(kind) else "What"
    return f"{who} {verb} {said}?" if third_person(verb) == verb else None


FORMS = {_why: 5.0, _how_many: 5.0, _when: 4.5, _under: 4.0, _how: 4.0, _what: 3.0, _which: 2.0}
"""The forms in the order in which they are tried, with what a question of each is worth."""
