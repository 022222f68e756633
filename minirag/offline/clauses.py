"""English clauses, taken apart by a list of verbs: who, does, what. There is no tagger; what it cannot read is None.

>>> parse("In 2022, the city of Bern opened three new schools.")
Clause(lead='In 2022', subject='the city of Bern', verb='opened', base='open', rest='three new schools')
"""

import re
from typing import NamedTuple

from minirag.offline.lexicon import ENGLISH

BE = frozenset("is are was were".split())
HAVE = frozenset("has have had".split())
MODAL = frozenset("do does did can could may might must shall should will would".split())
MOVES = frozenset("increase decrease rise fall grow decline begin open close occur expire arise change vest".split())
_PREPOSITIONS = frozenset(
    "by for under with as to in on at from pursuant of within through upon between against during into".split()
)
_BEFORE_ARTICLES = _PREPOSITIONS | {"and", "or", "both", "all"}
_RELATIVE = frozenset("that which who whose where if when because unless although while whether how cannot".split())
_OPENERS = frozenset("a an the our its their his her his any all each more to that these no".split())
_ADVERB = re.compile(r"\w+ly|also|now|then|often|always|never|still|only|not|already|thus|therefore")
_IRREGULAR = {"am": "is", "are": "is", "were": "was", "have": "has", "do": "does", "go": "goes", "cannot": "cannot"}
_LEAD = re.compile(
    r"(?:In|On|As of|During|Since|By|For|At|Under|After|Before|From|Until|Through|Upon|With|Within|Between|Beginning"
    r"|If|When|While|To|Following|Throughout|Pursuant to|Except as|Subject to|Based on|Notwithstanding|Unless|Without"
    r"|Because of|Due to|Although|Except|Where|Once|Prior to|Despite)\b[^,;:]{2,90}(?:, \d{4})?, "
)
_ASIDE = re.compile(r"\s*\([^()]*\)|[“”\"*]|``|''")
_APPOSED = re.compile(
    r"(?<=\w), (?:which|who|a|an|the|headquartered|based|located|founded|known|born|including|such as)\b"
    r"[^,;:]{2,80},(?= [a-z])"
)


def _inflected(base: str, ending: str) -> str:
    """Return a regular verb with the ending "s" or "d"."""
    if re.search("[^aeiou]y$", base):
        return f"{base[:-1]}ie{ending}"
    needs_e = base.endswith(("s", "sh", "ch", "x")) or (ending == "d" and not base.endswith("e"))
    return f"{base}e{ending}" if needs_e else base + ending


VERB_FORMS: dict[str, str] = {}
"""Every form of every verb, with its base."""
NOUNS: set[str] = set()
"""Forms of verbs that are nouns as well."""
TRANSITIVE: set[str] = set()
"""Verbs whose object can be asked for alone; of the others many need more than an object."""
for _entry in ENGLISH["verbs"].split():
    _base, _, _past = _entry.rstrip("*+").partition("=")
    _present = _inflected(_base, "s")
    VERB_FORMS |= dict.fromkeys((_base, _present, _past or _inflected(_base, "d")), _base)
    NOUNS |= {_base, _present} if "*" in _entry else set()
    TRANSITIVE |= {_base} if "+" in _entry else set()


def third_person(word: str) -> str:
    """Return the form after "it" of a verb as it stands after "they"; other forms stay."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    is_base = VERB_FORMS.get(word, word) == word and word not in BE | HAVE | MODAL
    return _inflected(word, "s") if is_base and not word.endswith("ed") and not _ADVERB.fullmatch(word) else word


class Clause(NamedTuple):
    """One main clause; `base` is the verb's infinitive, and `verb` itself for be, have and the modals."""

    lead: str
    subject: str
    verb: str
    base: str
    rest: str

    @property
    def past(self) -> bool:
        """Return whether the verb is a past form."""
        return self.verb in {"was", "were", "had"} or (self.verb != self.base and not self.verb.endswith("s"))


def parse(sentence: str) -> Clause | None:
    """Return the main clause of a declarative sentence; None for anything that is not plainly one."""
    line = " ".join(_ASIDE.sub("", sentence).split()).rstrip(" .")
    line = _APPOSED.sub("", line, count=1)
    lead = match.group() if (match := _LEAD.match(line)) else ""
    tokens = line[len(lead) :].split()
    for i, token in enumerate(tokens[:14]):
        word = token.lower()
        if word in _RELATIVE or token.endswith((",", ";", ":", "--")) or (token.islower() and token.endswith(".")):
            return None
        if i and word in {"a", "an", "the"} and tokens[i - 1].lower() not in _BEFORE_ARTICLES:
            return None  # the word before may be a verb that is not in the list
        if i and _is_verb(word, tokens, i):
            base = VERB_FORMS.get(word, word) if word not in BE | HAVE | MODAL else word
            subject, rest = tokens[:i], tokens[i + 1 :]
            while len(subject) > 1 and _ADVERB.fullmatch(subject[-1]):
                subject.pop()
            while rest and rest[0] not in {"not", "only"} and _ADVERB.fullmatch(rest[0]):
                rest.pop(0)
            return Clause(lead.rstrip(", "), " ".join(subject), word, base, " ".join(rest))
    return None


def _is_verb(word: str, tokens: list[str], i: int) -> bool:
    """Return whether token `i` is the main verb: its neighbours tell it from a noun or a participle."""
    if word in BE | HAVE | MODAL:
        return True
    if word not in VERB_FORMS or i + 1 >= len(tokens):
        return False
    base, after = VERB_FORMS[word], tokens[i + 1].lower()
    before = next((t.lower() for t in reversed(tokens[:i]) if not _ADVERB.fullmatch(t)), "")
    if before in _OPENERS | _PREPOSITIONS | {"and", "or", "not", "to"}:
        return False
    if word == base and not (before.endswith("s") or before in {"we", "you", "they", "i"}):
        return False
    if after in _PREPOSITIONS:
        return base in MOVES
    return word not in NOUNS or after in _OPENERS or after[0].isdigit()
