"""The forms of questions: what can be asked about one English clause, the most telling first.

>>> from minirag.offline.clauses import parse
>>> frame = Frame(parse("The bridge was closed because the river rose."), "the bridge")
>>> [question for _, form in FORMS if (question := form(frame))]
['Why was the bridge closed?']
"""

import re
from collections.abc import Callable
from itertools import pairwise

from minirag.offline.clauses import ALSO_NOUNS, BE, HAVE, MODAL, MOVES, TRANSITIVE, VERB_FORMS, Clause, third_person
from minirag.offline.lexicon import STOP_WORDS, content_words, weight

VAGUE = re.compile(
    r"\b(?:it|this|these|those|such|he|she|they|them|him|above|below|following|foregoing|herein|hereof|hereunder|thereof"
    r"|thereunder|here|there|same|former|latter|another|others?|I|my|me|one|we|our|us|you|your|table|page|chart|exhibit"
    r"|note|section|hereby|in that|of that)\b",
    re.IGNORECASE,
)
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
_CONDITION = re.compile(r",? (?:only )?(?:if|when|unless|provided that)\b(?!,| (?:any|not|necessary|present|\w+ble)\b)")
_BEFORE_NO_CONDITION = tuple(" even, as, determine, detect, check, see, know, tell".split(","))
_PARTICIPLE = re.compile(
    r"(?:\w+ly |not )?(\w+ed|\w+en|(?:re)?built|made|held|paid|sold|set|found|kept|sent|known|drawn|met)\b"
)
_MEANS = re.compile(
    r"(?:by (?!(?:an?|one) |default|(?:the )?[A-Z]|(?:\S+ ){1,4}that )|using|based on|through|in accordance|via)"
)
_CUT = re.compile(
    r"[;:(\[]|,(?!\d| \d{4}\b)| – | ?— ?| whereby | which | who "
    r"| and (?:is|are|was|were|has|have|will|may|later|then|subsequently|its|their)\b"
)

_HANGING = frozenset("once while but although since whereas so than either".split())
_PLACED = frozenset("located headquartered situated held stored kept included reflected recorded presented".split())
_PEOPLE = r"(?:(?!numb|own)\w{3,}(?:er|or|ist|ian)|king|queen|president|\w*man|mother|father|chief|captain|official)"
PERSON = re.compile(rf"(?:an?|the) (?:[\w’'-]+,? ){{0,5}}?{_PEOPLE}\b(?! than)")
_WHO = re.compile(rf"(?:.* )?(?:[\w-]*{_PEOPLE}|team|court|agency|committee|board|government|administration)s?")
_THINGS_OPEN_WITH = frozenset("the a an all any both more such its their each several".split())
_HEAD_ENDS = re.compile(r" (?:of|in|for|to|on|with|from|at|by|that|about|against|between|under|who|which|and|or)\b")
_NOT_ASKED_BY_WHO = frozenset("do does did call consider make have has had include mean".split())
_UNTOLD = frozenset("company authors speaker default size result rest number following".split())
"""Kinds of which nobody would ask "which"."""


def specificity(question: str) -> float:
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
        if any(one == "and" and two in VERB_FORMS and two not in ALSO_NOUNS for one, two in pairwise(words)):
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
    if f.verb and (sized := re.match(r"(?:an?|the) ([^,;]{3,60}?) of (?=[$€£¥])", f.object)):
        return f"How large was the {sized[1]} that {f.subject} {f.clause.verb}{f.when}?" if f.clause.past else None
    if f.verb in MOVES - {"vest"} and _AMOUNT.match(f.object.removeprefix("by ")):
        return f.ask("By how much", f.verb, f.when)
    if f.auxiliary in BE and (amount := _AMOUNT.match(f.object)) and not _COUNT.match(f.object):
        is_clear = len(amount.group()) > 1 and not f.when.startswith(" from") and "fiscal year" not in f.subject
        return f"What {f.auxiliary} {f.subject}{f.when}?" if is_clear else None
    return None


def _when(f: Frame) -> str | None:
    if not f.date or not f.clause.past or not f.date.lower().startswith(("in ", "on ", "during ")):
        return None
    if f.object.startswith("not ") or (f.auxiliary in BE and not f.verb and not _PARTICIPLE.match(f.object)):
        return None
    before, dated, after = f.object.partition(f.date)
    is_last = re.match(r"$|,|;| (?:and|at|with|to|by|after|before) ", after)
    return f.ask("When", f.tail()) if not dated or (is_last and "that " not in before) else None


def _under(f: Frame) -> str | None:
    lead = f.clause.lead
    if re.match(r"(?:If|When) (?:the|an?|any|all|each|no|[A-Z]\w+|\w+s)\b", lead):
        is_past = re.search(r"\b(?:was|were|had|did)\b|[a-z]ed\b(?! by| to| in| with)", lead)
        return f"What happens {lead[0].lower()}{lead[1:]}?" if 4 <= len(lead.split()) <= 14 and not is_past else None
    condition = _CONDITION.search(f.object)
    before = f.object[: condition.start()] if condition else ""
    is_none = before.endswith(_BEFORE_NO_CONDITION) or _CUT.search(before)
    if not before or is_none or f.auxiliary in {"was", "were", "had", "did"}:
        return None
    is_state = f.auxiliary in BE and not re.match(r"(?:\w+ly |not )?(?:\w+ed|\w+en)\b", f.object)
    return None if is_state else f.ask("Under what conditions", f.tail(len(before)))


def _how(f: Frame) -> str | None:
    start = len(f.object) - len(re.sub(r"^(?:be |been |also |generally |currently )+", "", f.object))
    done = _PARTICIPLE.match(f.object, start)
    if f.verb or not done or "not" in done.group():
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
        if (is_name or re.search(" [a-z]{4,} [A-Z]", f.subject)) and not PERSON.match(f.object):
            return None  # a person or a thing: the list of nouns does not tell
        is_kind = re.match(r"(?:an?|one of) (?!\w+(?:er|or) than)", f.object) and f.auxiliary in {"is", "was"}
        who = "Who" if PERSON.match(f.object) and is_name else "What"
        return f"{who} {f.auxiliary} {f.subject}?" if is_kind and not re.match("a |the [a-z]+$", f.subject) else None
    verb, _, thing = (f.verb, "", f.object) if f.verb else f.object.partition(" ")
    if not thing or VERB_FORMS.get(verb) not in TRANSITIVE or thing.split()[0] in STOP_WORDS - _THINGS_OPEN_WITH:
        return None
    if f.clause.past and not re.match(r"(?:an?|the|its|their|his|her|all|any|both|more|several)\b|[A-Z$\d]", thing):
        return None  # perhaps no verb, but a participle
    question = f.ask("What", verb, f.when)
    named = len(content_words(f.subject)) > 1 or (f.when and f.subject != "the company")
    return question if question and (named or specificity(question) >= 0.3) else None


def _which(f: Frame) -> str | None:
    """Ask for the subject, if what is said of it is telling: who did it, which one of its kind, or what."""
    verb = f.clause.verb
    said = _CUT.split(f.clause.rest, maxsplit=1)[0].rstrip()
    if not re.match(r"$| ?,(?! [A-Z])| (?:and|which|who|whereby) ", f.clause.rest[len(said) :]):
        return None  # it is cut inside a phrase
    words = said.split()
    is_telling = len(content_words(said)) >= 3 and specificity(said) >= 0.5 and len(words) <= 12
    if not is_telling or words[0] == "that" or not _HANGING.isdisjoint(words) or f.clause.base in _NOT_ASKED_BY_WHO:
        return None
    finite = [i for i, word in enumerate(words) if word in BE | HAVE | MODAL or word in {"when", "where", "if"}]
    if finite and (finite[0] or verb not in MODAL):  # another clause follows
        return None
    names = f.subject.split()
    is_name = f.subject[0].isupper() and all(word[0].isupper() or word in {"of", "the"} for word in names)
    is_identity = verb in BE and words[0] in {"the", "a", "an", "to", "one"}
    if is_name and verb not in MODAL and third_person(verb) == verb:
        return None if is_identity and not PERSON.match(said) else f"Who {verb} {said}?"
    determiner, _, kind = f.subject.partition(" ")
    kind = _HEAD_ENDS.split(kind, maxsplit=1)[0]
    if determiner != "the" or kind in _UNTOLD or not kind.islower() or is_identity:
        return None
    if (verb in BE and not _PARTICIPLE.match(said)) or not {"his", "her"}.isdisjoint(words):
        return None
    if kind.isalpha() and not re.search("(?:al|ive|ous|ic)$", kind):
        return f"Which {kind} {verb} {said}?"
    who = "Who" if _WHO.fullmatch(kind) else "What"
    return f"{who} {verb} {said}?" if third_person(verb) == verb else None


FORMS: list[tuple[float, Callable[[Frame], str | None]]] = [
    (5.0, _why),
    (5.0, _how_many),
    (4.5, _when),
    (4.0, _under),
    (4.0, _how),
    (3.0, _what),
    (2.0, _which),
]
