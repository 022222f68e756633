"""Questions from the shape of a whole English sentence: an instruction, reported speech, a wish, an apposition.

>>> from_pattern("To keep your changes, press the green button twice.")
'How do you keep your changes?'
>>> from_pattern("The prize went to Ada Brown, a teacher from Eldmar.")
'Who is Ada Brown?'
"""

import re

from minirag.offline.clauses import VERB_FORMS
from minirag.offline.forms import PERSON

_BASES = "|".join(sorted(set(VERB_FORMS.values())))
_NO_NAME = "Like|But|And|He|She|It|In|On|At|For|As|So|If|When|The|This|That|They|We|You"
_NAME = rf"(?!(?:{_NO_NAME})\b)(?:[A-Z][a-z’'-]+|[A-Z]\.)(?: (?:[A-Z][\w’'-]+|[A-Z]\.|of|de|van))* [A-Z][\w’'-]+"
_THING = rf"(?:[Tt]he (?:[\w°’-]+ ){{1,3}}?[a-z’-]+|{_NAME})"
_SAYS = "said|says|claimed|argued|warned|added|wrote|writes"
_FINITE = r"(?:is|are|was|were|has|have|had|will|would|could|can|may|might|must)\b"
_ACT = rf"(?:(?:please |first |then )?(?:{_BASES}|do|be sure)\b(?! (?:is|are|was|of))|you (?:can|must|should|need))"
_PATTERNS = {
    "How do you {0}?": [
        rf"To ((?:{_BASES}) [^,;:()]{{12,90}}), {_ACT}",
        rf"(?:Use|Set|Select|Press|Run|Choose|Open) [^,;:()]{{3,60}}? to ((?:{_BASES}) [^,;:()]{{12,80}})[.,]",
    ],
    "What should you do if {0}?": [rf"If (you [^,;:()]{{8,90}}), {_ACT}"],
    "What did {0} say about {1}?": [
        rf"((?:the )?{_NAME}) (?:{_SAYS})(?: on \w+day)?(?: that)? ({_THING}) {_FINITE}",
        rf"[“\"](?P<about>{_THING}) {_FINITE}[^“”\"]*[,.?!][”\"](?: (?:{_SAYS}))? (?P<who>{_NAME}|[A-Z][a-z]+)\b",
    ],
    "What does {0} want to {1}?": [rf"({_NAME}|the speaker) wants? to ({_BASES}) (?:the|an?|our|all|every|more)\b"],
}
_COMPILED = [(question, re.compile(shape)) for question, shapes in _PATTERNS.items() for shape in shapes]
_APPOSITION = re.compile(
    rf"(?<!, )\b({_NAME}), "
    r"((?:an?|the) (?:[a-z’'-]+ ){0,6}?[a-z’'-]+(?: (?:of|from|in|for|at|with) [^,;]{3,60})?)(?:,|\.$)"
)


def from_pattern(sentence: str) -> str | None:
    """Return the question that the shape of a sentence gives, or None if it has no such shape."""
    for question, shape in _COMPILED:
        if match := shape.match(sentence):
            named = match.groupdict()
            parts = [named["who"], named["about"]] if named else list(match.groups())
            parts = [re.sub("^The ", "the ", part) for part in parts]
            return question.format(*parts)
    person = _APPOSITION.search(sentence)
    return f"Who is {person[1]}?" if person and PERSON.match(person[2]) else None
