"""Apart. The question writer: it turns the statements of a passage into questions that the passage answers.

Each sentence gives at most one question, by the most telling pattern that fits it: why, when, how many, under what
conditions, how, what. A sentence that no pattern fits is asked about by its two rarest phrases.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from minirag.offline.clauses import BE, HAVE, MODAL, Clause, parse
from minirag.offline.lexicon import STOP_WORDS, content_words, weight
from minirag.offline.prose import Sentence, prose

_VAGUE = re.compile(
    r"\b(?:it|this|these|those|such|he|she|they|them|him|above|below|following|foregoing|herein|hereof|hereunder|thereof"
    r"|thereunder|here|there|same|former|latter|another|others?|I|my|me|one|table|page|chart|exhibit|note)\b",
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
_CONDITION = re.compile(r",? (?:only if|only when|if|when|unless|provided that|until)\b")
_PARTICIPLE = re.compile(
    r"(?:\w+ly |not )?(\w+ed|\w+en|built|made|held|paid|sold|set|found|kept|sent|known|drawn|met)\b"
)
_MEANS = re.compile(r"(?:by|using|based on|through|at|in accordance with|over|as|under|via|with|on|in)\b")
_CUT = re.compile(r"[,;:]| – | — | whereby | which | who | and (?:is|are|was|were|has|have|will|may|we)\b")


class _Asked(NamedTuple):
    question: str
    worth: float
    words: frozenset[str]  # what the question is about


def questions(text: str, n: int) -> list[str]:
    """Up to `n` different questions that `text` answers, each from a sentence of its own, in their order.

    Fewer where the text says less: a table of figures gives none.

    >>> questions("The city of Bern opened three new schools in 2022.", 2)
    ['When did the city of Bern open three new schools?']
    """
    sentences = [sentence for sentence in prose(text) if _tells(sentence.text)]
    asked = [question for sentence in sentences if (question := _ask(sentence, text))]
    taken: list[_Asked] = []
    for candidate in sorted(asked, key=lambda a: -a.worth):
        if all(len(candidate.words & other.words) * 2 <= len(candidate.words | other.words) for other in taken):
            taken.append(candidate)
    return [candidate.question for candidate in asked if candidate in taken[: max(n, 0)]]


def _tells(sentence: str) -> bool:
    """Whether it is a whole statement in words: no question, list item, caption or row."""
    if not sentence.endswith((".", "!", "。", "！", ".”", '."')) or sentence[0].islower():
        return False
    tokens = sentence.split()
    plain = sum(1 for token in tokens if token.isalpha() or token.rstrip(",.;’'s").isalpha())
    return (len(tokens) >= 6 and plain * 10 >= len(tokens) * 7) or (
        _CJK.search(sentence) is not None and len(sentence) > 9
    )


def _ask(sentence: Sentence, text: str) -> _Asked | None:
    """The best question that one sentence answers; None if it has nothing to name."""
    statement = _in_third_person(sentence.text, text)
    clause = parse(statement) if _language(text) == "en" else None
    if clause and (named := _subject(clause.subject, text)):
        frame = _Frame(clause, named)
        for worth, form in _FORMS:
            question = form(frame)
            if question and _stands_alone(question := " ".join(question.split())):
                return _Asked(question, worth + _told(question), frozenset(content_words(question)))
    question = _about(statement, text)
    return question and _Asked(question, _told(question), frozenset(content_words(question)))


def _told(question: str) -> float:
    """How specific a question is, from 0 to 1."""
    return min(sum(weight(word) for word in set(content_words(question))), 5.0) / 5


def _in_third_person(sentence: str, text: str) -> str:
    """ "We" and "our" named, as far as the text tells who speaks."""
    who = "the company" if re.search(r"\b(?:company|customers|shareholders|revenue|products)\b", text, re.I) else ""
    who = who or ("the authors" if re.search(r"\b(?:paper|study|experiments?|method)\b", text, re.I) else "the writers")
    named = re.sub(r"\b[Oo]ur\b", f"{who}{'’' if who.endswith('s') else '’s'}", sentence)
    return re.sub(r"\b(?:[Ww]e|us)\b", who, named)


def _subject(subject: str, text: str) -> str | None:
    """A subject as it stands inside a question; None if a reader could not tell what it is."""
    words = subject.split()
    if len(words) > 10 or _VAGUE.search(subject) or not content_words(subject) or not words[0][0].isalnum():
        return None
    first = words[0]
    common = first.lower() in {*STOP_WORDS, "an"} or re.search(rf"\b{re.escape(first.lower())}\b", text)
    return " ".join([first.lower() if common and first[1:].islower() or len(first) == 1 else first, *words[1:]])


class _Frame:
    """A clause in question order: `auxiliary subject tail`, with its date and its conditions told apart."""

    def __init__(self, clause: Clause, subject: str) -> None:
        self.clause, self.subject = clause, subject
        first = clause.rest.split(" ", 1)[0]
        if clause.verb in BE | MODAL or (clause.verb in HAVE and _PARTICIPLE.fullmatch(first)):
            self.auxiliary, self.verb, self.object = clause.verb, "", clause.rest
        else:
            plural = clause.verb == clause.base and clause.verb != "has"
            self.auxiliary = "did" if clause.past else "do" if plural else "does"
            self.verb, self.object = "have" if clause.verb in HAVE else clause.base, clause.rest
        if clause.verb == "cannot":
            self.auxiliary, self.object = "can", f"not {self.object}"
        dates = [m.group() for m in _DATE.finditer(f"{clause.lead} | {clause.rest}")]
        self.date = dates[0] if len(dates) == 1 else ""
        self.when = f" {self.date[0].lower()}{self.date[1:]}" if self.date else ""

    def tail(self, end: int | None = None) -> str | None:
        """What follows the subject, up to character `end` of the object, cut to at most 14 words; None if too long."""
        words = f"{self.verb} {_CUT.split(self.object[:end].replace(self.date or '|', ''))[0]}".split()
        if len(words) > 14:
            borders = [
                i for i in range(4, 14) if words[i] in {"for", "to", "with", "in", "on", "at", "from", "by", "and"}
            ]
            words = words[: borders[-1]] if borders else []
        return " ".join(words) if len(words) > 1 or (words and self.auxiliary in BE) else None

    def ask(self, opening: str, tail: str | None, after: str = "") -> str | None:
        """The question, if there is a tail to ask about."""
        return None if tail is None else f"{opening} {self.auxiliary} {self.subject} {tail}{after}?"


def _why(f: _Frame) -> str | None:
    reason = _REASON.search(f.object)
    return f.ask("Why", f.tail(reason.start())) if reason and reason.start() else None


def _how_many(f: _Frame) -> str | None:
    if f.verb and (count := _COUNT.match(f.object)):
        return f.ask(f"How many {count[1]}", f.verb, f.when)
    if f.verb and (sized := re.match(r"(?:an?|the) ([^,;]{3,60}?) of (?=[$€£¥])", f.object)):
        return f"How large was the {sized[1]} that {f.subject} {f.clause.verb}{f.when}?" if f.clause.past else None
    if f.verb in {"increase", "decrease", "rise", "fall", "grow", "decline"} and _AMOUNT.match(
        f.object.removeprefix("by ")
    ):
        return f.ask("By how much", f.verb, f.when)
    if f.auxiliary in BE and (amount := _AMOUNT.match(f.object)) and not _COUNT.match(f.object):
        return f"What {f.auxiliary} {f.subject}{f.when}?" if len(amount.group()) > 1 else None
    return None


def _when(f: _Frame) -> str | None:
    if not f.date or not f.clause.past or not f.date.lower().startswith(("in ", "on ", "during ")):
        return None
    return f.ask("When", f.tail())


def _under(f: _Frame) -> str | None:
    if re.match(r"(?:If|When|Unless)\b", f.clause.lead) and not _VAGUE.search(f.clause.lead):
        condition = f.clause.lead[0].lower() + f.clause.lead[1:]
        return (
            f"What happens {condition}?"
            if len(condition.split()) <= 18 and not condition.startswith("unless")
            else None
        )
    found = _CONDITION.search(f.object)
    return f.ask("Under what conditions", f.tail(found.start())) if found and found.start() else None


def _how(f: _Frame) -> str | None:
    passive = re.match(r"(?:be |been |also |generally |currently )*", f.object)
    start = passive.end() if passive else 0
    done = _PARTICIPLE.match(f.object, start)
    if f.verb or not done or "not" in done.group():
        return None
    rest = f.object[done.end() :].strip()
    told = f.object[: done.end()]
    if done[1] in {"located", "based", "headquartered", "situated", "held", "stored", "kept"} and rest.startswith(
        ("in ", "at ", "on ")
    ):
        return f.ask("Where", told)
    if done[1] in {"used", "intended", "designed", "required", "expected"} and rest.startswith(("to ", "for ")):
        return f.ask("What", told, " for" if rest.startswith("for") or done[1] == "used" else " to do")
    if re.match(r"by (?:the )?[A-Z]", rest):
        return f.ask("By whom", told, f.when)
    return f.ask("How", told) if _MEANS.match(rest) and not re.match(r"(?:by|on|in) (?:the|an?|\d)", rest) else None


def _what(f: _Frame) -> str | None:
    if f.auxiliary in BE and not f.verb:
        return f"What {f.auxiliary} {f.subject}?" if re.match(r"(?:an?|the|one of)\b", f.object) else None
    verb, _, thing = (f.verb, "", f.object) if f.verb else f.object.partition(" ")
    if (
        not thing
        or verb == "be"
        or thing.split()[0] in STOP_WORDS - {"the", "all", "any", "both", "more"} - {"a", "an"}
    ):
        return None
    purpose = re.search(r" (to [a-z]+ [^,;]{3,60}?)(?=,|;| and |$)", thing)
    after = f" {purpose[1]}" if purpose and verb in {"use", "require", "employ", "need"} else f.when
    return f.ask("What", verb, after)


_FORMS: list[tuple[float, Callable[[_Frame], str | None]]] = [
    (5.0, _why),
    (5.0, _how_many),
    (4.5, _when),
    (4.0, _under),
    (4.0, _how),
    (3.0, _what),
]


def _stands_alone(question: str) -> bool:
    """Whether a reader without the passage understands what is asked."""
    words = question.rstrip("?").split()
    hangs = words[-1].lower() in STOP_WORDS - {"do", "for", "have"}
    return 4 <= len(words) <= 26 and not hangs and not _VAGUE.search(question) and _told(question) * 5 >= 1.2


_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_ABOUT = {
    "en": ("What does the document say about {}?", " and "),
    "de": ("Was sagt das Dokument über {}?", " und "),
    "fr": ("Que dit le document sur {} ?", " et "),
    "es": ("¿Qué dice el documento sobre {}?", " y "),
    "zh": ("文件关于{}说了什么？", "和"),
    "ja": ("文書は{}について何と述べていますか？", "と"),
    "ko": ("문서는 {}에 대해 무엇이라고 말합니까?", ", "),
}
_LANGUAGE_SIGNS = {
    "ja": r"[\u3040-\u30ff]",
    "ko": r"[\uac00-\ud7af]",
    "zh": r"[\u3400-\u9fff]",
    "de": r"\b(?:der|die|das|und|ist|nicht|mit|ein|eine|wird|werden|von|für)\b",
    "fr": r"\b(?:le|les|des|une|est|et|dans|pour|sur|avec|du)\b",
    "es": r"\b(?:el|los|las|una|es|y|en|para|con|del|por)\b",
    "en": r"\b(?:the|of|and|is|to|in|for|with|are|was|by)\b",
}


def _language(text: str) -> str:
    """The language of `text`, by its letters or its commonest words; English where nothing tells."""
    counts = {name: len(re.findall(signs, text, re.I)) for name, signs in _LANGUAGE_SIGNS.items()}
    for name in ("ja", "ko", "zh"):
        if counts[name] * 10 > len(text):
            return name
    return max(("en", "de", "fr", "es"), key=lambda name: counts[name])


def _about(statement: str, text: str) -> str | None:
    """The safe form: what the document says about the two most telling phrases of a sentence."""
    language = _language(text)
    template, joint = _ABOUT[language]
    found = sorted(_phrases(statement, language), key=lambda p: -p[0])[:2]
    if len(found) < 2 or (language == "en" and sum(worth for worth, _, _ in found) < 2.0):
        return None
    return template.format(joint.join(phrase for _, _, phrase in sorted(found, key=lambda p: p[1])))


def _phrases(statement: str, language: str) -> Iterator[tuple[float, int, str]]:
    """Runs of at most three content words: (worth, position, phrase)."""
    if language in ("zh", "ja"):
        for match in re.finditer(
            r"[一-鿿㐀-䶿]{2,6}|[ァ-ヺー]{3,}", re.sub("[的了在是和与及也都有为对从到而之]", " ", statement)
        ):
            yield (
                float(len(match.group())),
                match.start(),
                f"「{match.group()}」" if language == "ja" else f"“{match.group()}”",
            )
        return
    for match in re.finditer(r"[^\W\d_][\w’'-]*(?: [^\W\d_][\w’'-]*)*", statement):
        run: list[str] = []
        for word in [*match.group().split(), "the"]:
            stops = not content_words(word) or word.lower() in _FOREIGN_STOPS
            if stops or len(run) == 3:
                if run and len("".join(run)) > 4:
                    yield sum(sum(map(weight, content_words(w))) for w in run), match.start(), " ".join(run)
                run = []
            if not stops:
                run.append(word)


_FOREIGN_STOPS = frozenset(re.findall(r"\w{1,6}", " ".join(_LANGUAGE_SIGNS[name] for name in ("de", "fr", "es"))))
