"""The forms of questions: what can be asked about one English clause, the most telling first.

>>> from minirag.offline.clauses import parse
>>> frame = Frame(parse("The bridge was closed because the river rose."), "the bridge")
>>> [question for _, form in FORMS if (question := form(frame))]
['Why was the bridge closed?']
"""

import re
from collections.abc import Callable

from minirag.offline.clauses import ALSO_NOUNS, BE, HAVE, MODAL, MOVES, VERB_FORMS, Clause, third_person
from minirag.offline.lexicon import STOP_WORDS, content_words, weight

VAGUE = re.compile(
    r"\b(?:it|this|these|those|such|he|she|they|them|him|above|below|following|foregoing|herein|hereof|hereunder|thereof"
    r"|thereunder|here|there|same|former|latter|another|others?|I|my|me|one|we|our|us|you|your|table|page|chart|exhibit"
    r"|note|section|hereby)\b",
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
    r"((?:[a-z][\w-]* ){0,2}[a-z][\w-]*s)\b"
)
_AMOUNT = re.compile(_NUMBER + r"(?:[$€£¥]|US\$|EUR )?\d[\d,.]*(?: ?%| percent| million| billion|\b)")
_REASON = re.compile(r",? (?:because of|because|due to|as a result of|owing to|in order to)\b")
_CONDITION = re.compile(
    r",? (?:only if|only when|if|when|unless|provided that)\b(?! any\b| applicable| necessary| not\b)"
)
_PARTICIPLE = re.compile(
    r"(?:\w+ly |not )?(\w+ed|\w+en|built|made|held|paid|sold|set|found|kept|sent|known|drawn|met)\b"
)
_MEANS = re.compile(r"(?:by|using|based on|through|at|in accordance with|over|as|under|via|with|on|in)\b")
_CUT = re.compile(
    r"[,;:]| – | — | whereby | which | who | and (?:is|are|was|were|has|have|will|may|later|then|subsequently)\b"
)


def specificity(question: str) -> float:
    """Return how specific a question is, from 0 to 1."""
    return min(sum(weight(word) for word in set(content_words(question))), 5.0) / 5


_BORDERS = frozenset("for to with in on at from by and".split())


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
        if not self.verb and subject == "the company":
            self.auxiliary = third_person(self.auxiliary)
        if clause.verb == "cannot":
            self.auxiliary, self.object = "can", f"not {self.object}"
        dates = [m.group() for m in _DATE.finditer(f"{clause.lead} | {clause.rest}")]
        self.date = dates[0] if len(dates) == 1 else ""
        self.when = f" {self.date[0].lower()}{self.date[1:]}" if self.date else ""

    def tail(self, end: int | None = None) -> str | None:
        """Return what follows the subject, up to `end` of the object, cut to 14 words; None if it cannot be cut."""
        text = self.object[:end].split(self.date, 1)[0] if self.date else self.object[:end]
        words = f"{self.verb} {_CUT.split(text, maxsplit=1)[0]}".split()
        if len(words) > 14:
            borders = [i for i in range(4, 14) if words[i] in _BORDERS]
            words = words[: borders[-1]] if borders else []
        is_whole = len(words) > 1 or self.auxiliary in BE or self.verb in MOVES
        return " ".join(words) if words and is_whole else None

    def ask(self, opening: str, tail: str | None, after: str = "") -> str | None:
        """Return the question, if there is a tail to ask about; a modal verb in it belongs to another clause."""
        if tail is None or not MODAL.isdisjoint(tail.split()):
            return None
        return f"{opening} {self.auxiliary} {self.subject} {tail}{after}?"


def _why(f: Frame) -> str | None:
    reason = _REASON.search(f.object)
    return f.ask("Why", f.tail(reason.start()), f.when) if reason and reason.start() else None


def _how_many(f: Frame) -> str | None:
    if f.verb and (count := _COUNT.match(f.object)):
        return f.ask(f"How many {count[1]}", f.verb, f.when)
    if f.verb and (sized := re.match(r"(?:an?|the) ([^,;]{3,60}?) of (?=[$€£¥])", f.object)):
        return f"How large was the {sized[1]} that {f.subject} {f.clause.verb}{f.when}?" if f.clause.past else None
    if f.verb in MOVES and _AMOUNT.match(f.object.removeprefix("by ")):
        return f.ask("By how much", f.verb, f.when)
    if f.auxiliary in BE and (amount := _AMOUNT.match(f.object)) and not _COUNT.match(f.object):
        return f"What {f.auxiliary} {f.subject}{f.when}?" if len(amount.group()) > 1 else None
    return None


def _when(f: Frame) -> str | None:
    if not f.date or not f.clause.past or not f.date.lower().startswith(("in ", "on ", "during ")):
        return None
    return f.ask("When", f.tail()) if not f.object.startswith("not ") else None


def _under(f: Frame) -> str | None:
    lead = f.clause.lead
    if re.match(r"(?:If|When) (?:the|an?|any|all|each|no|[A-Z]\w+|\w+s)\b", lead):
        return f"What happens {lead[0].lower()}{lead[1:]}?" if 4 <= len(lead.split()) <= 18 else None
    condition = _CONDITION.search(f.object)
    return f.ask("Under what conditions", f.tail(condition.start())) if condition and condition.start() else None


_PLACED = frozenset(
    "located based headquartered situated held stored kept included reflected recorded presented".split()
)


def _how(f: Frame) -> str | None:
    passive = re.match(r"(?:be |been |also |generally |currently )*", f.object)
    start = passive.end() if passive else 0
    done = _PARTICIPLE.match(f.object, start)
    if f.verb or not done or "not" in done.group():
        return None
    rest = f.object[done.end() :].strip()
    done_so = f.object[: done.end()]
    if done[1] in _PLACED and rest.startswith(("in ", "at ", "on ", "within ")):
        return f.ask("Where", done_so)
    if done[1] in {"used", "intended", "designed", "required", "expected"} and rest.startswith(("to ", "for ")):
        return f.ask("What", done_so, " for" if rest.startswith("for") or done[1] == "used" else " to do")
    if re.match(r"by (?:the )?[A-Z]", rest):
        return f.ask("By whom", done_so, f.when)
    return f.ask("How", done_so) if _MEANS.match(rest) and not re.match(r"(?:on|in) (?:the|an?|\d)", rest) else None


_ATTACHED = re.compile(
    r"(?:also )?(?:(?:subject|equal|similar|entitled|eligible|able|exposed|limited|available|sensitive|related) to"
    r"|(?:responsible|known|eligible|available|important|famous) for|(?:composed|made|comprised|part) of|based on"
    r"|dependent on|committed to|known as|named after|divided into|aimed at|required by|home to)\b"
)
_PERSON = re.compile(r"an? (?:[\w-]+,? ){0,5}?(?:\w{3,}(?:er|or|ist|ian)|king|queen|president|(?:wo)?man)\b")
_SCENE = re.compile(r" ((?:in|at|during) (?:the )?[A-Z]\w+(?: (?:of |the )?[A-Z]\w+){0,5})")


def _acts(rest: str) -> bool:
    """Return whether a verb comes next."""
    first = rest.strip().partition(" ")[0]
    return first == "be" or (VERB_FORMS.get(first) == first and first not in ALSO_NOUNS)


_THINGS_OPEN_WITH = frozenset("the a an all any both more such its their each several".split())


def _what(f: Frame) -> str | None:
    if f.auxiliary in BE and not f.verb:
        if attached := _ATTACHED.match(f.object):
            acts = attached.group().endswith(" to") and _acts(f.object[attached.end() :])
            return f.ask("What", attached.group(), " do" if acts else "")
        who = "Who" if _PERSON.match(f.object) and all(word[0].isupper() for word in f.subject.split()) else "What"
        return f"{who} {f.auxiliary} {f.subject}?" if re.match(r"(?:an?|the|one of)\b", f.object) else None
    verb, _, thing = (f.verb, "", f.object) if f.verb else f.object.partition(" ")
    if not thing or (verb not in VERB_FORMS and f.verb != "have") or thing.split()[0] in STOP_WORDS - _THINGS_OPEN_WITH:
        return None
    purpose = re.search(r" (to [a-z]+ [^,;]{3,60}?)(?=,|;| and |$)", thing)
    after = f" {purpose[1]}" if purpose and verb in {"use", "require", "employ", "need"} else f.when
    if not after and (scene := _SCENE.search(_CUT.split(thing, maxsplit=1)[0])):
        after = f" {scene[1]}"
    question = f.ask("What", verb, after)
    named = len(content_words(f.subject)) > 1 or (after and f.subject != "the company")
    return question if question and (named or specificity(question) >= 0.3) else None


FORMS: list[tuple[float, Callable[[Frame], str | None]]] = [
    (5.0, _why),
    (5.0, _how_many),
    (4.5, _when),
    (4.0, _under),
    (4.0, _how),
    (3.0, _what),
]
