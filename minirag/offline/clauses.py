"""English clauses, taken apart by a list of verbs: who, does, what. There is no tagger; what it cannot read is None.

>>> parse("In 2022, the city of Bern opened three new schools.")
Clause(lead='In 2022', subject='the city of Bern', verb='opened', base='open', rest='three new schools')
"""

import re
from typing import NamedTuple

BE = frozenset("is are was were".split())
HAVE = frozenset("has have had".split())
MODAL = frozenset("do does did can could may might must shall should will would cannot".split())

# Each verb once, as base or base=past; the other forms follow by rule.
_VERBS = """
accelerate accept achieve acquire add address adjust adopt affect agree=agreed allocate allow announce apply=applied
appoint approve arise=arose assess assign assume attack attend attract award become=became begin=began believe
belong build=built buy=bought calculate call carry=carried cause celebrate change choose=chose classify=classified
close coach collect combine compete complete comply=complied comprise conduct consider consist constitute construct
contain continue contribute control convert cover create cut=cut decide declare decline decrease defeat define
deliver depend derive describe design destroy detect determine develop direct disclose discover discuss dispose
distribute divide donate earn elect eliminate employ enable encourage enforce ensure enter establish estimate
evaluate exceed exclude expand expect expire explain export express extend face fail fall=fell feature feed=fed file
finance find=found fix flow focus form found fund generate give=gave govern grant grow=grew handle help hire
hold=held honor host identify=identified impact impair impose improve include incorporate increase incur indicate
influence inherit inspect install integrate introduce invent invest investigate involve issue join keep=kept lack
launch lead=led lease leave=left lie=lay limit link lose=lost maintain make=made manage manufacture market measure
meet=met merge monitor move name=named need negotiate obtain occupy=occupied occur=occurred offer open operate order
outsource own participate pay=paid perform permit=permitted plan=planned play pose prepare present prevent produce
prohibit promote propose protect prove provide publish purchase pursue raise reach receive recognize recommend
record recover reduce refer=referred reflect regulate reject rely=relied remain remove rent repair repay=repaid
replace report represent repurchase request require reserve resolve restrict result retain return review rise=rose
rule run=ran save score secure see=saw select sell=sold send=sent separate serve set=set settle show=showed sign
solve specialize specify=specified spend=spent stand=stood stop=stopped store study=studied submit=submitted
supply=supplied support suspend take=took teach=taught tend terminate test trade train transfer=transferred
transform travel treat turn use vest visit warn win=won withdraw=withdrew write=wrote
"""
ALSO_NOUNS = frozenset(
    """
    account accounts award awards benefit benefits change changes close complete contract contracts control controls
    cost costs cover cut decline declines decrease decreases design designs direct estimate estimates export exports
    face file files finance focus form forms found fund funds grant grants help host hosts impact impacts increase
    increases influence interest interests issue issues lead leads lease leases left limit limits market markets
    measure measures merge need needs offer offers open order orders own pay plan plans present process produce
    project purchase purchases record records report reports request requests reserve reserves result results return
    returns review reviews rise risk risks rule rules run runs secure separate service services set sets share
    shares show shows sign signs state states store stores supplies supply support supports test tests trade trades
    train trains transfer transfers treat trust turn turns use uses value values view views visit visits win wins
    work works
    """.split()
)
MOVES = frozenset("increase decrease rise fall grow decline begin open close occur expire arise change vest".split())
_PREPOSITIONS = frozenset(
    "by for under with as to in on at from pursuant of within through upon between against during into".split()
)
_RELATIVE = frozenset("that which who whom whose where if when because unless although while whether how".split())
_OPENERS = frozenset("a an the our its their his her his any all each more to that these no".split())


def _forms() -> dict[str, str]:
    """Return every form of every verb, with its base."""
    forms: dict[str, str] = {}
    for entry in _VERBS.split():
        base, _, past = entry.partition("=")
        forms[base] = base
        forms[past or base + ("d" if base.endswith("e") else "ed")] = base
    return forms


VERB_FORMS = _forms()
_ADVERB = re.compile(
    r"(?!(?:app|comp|imp|re|supp|multip)ly$)\w+ly|also|now|then|often|always|never|still|only|not|generally|currently|already"
)


def third_person(word: str) -> str:
    """Return the form after "it" of a verb as it stands after "they"; other forms stay."""
    if word in _PLURAL:
        return _PLURAL[word]
    if (
        word in BE | HAVE | MODAL
        or VERB_FORMS.get(word, word) != word
        or word.endswith("ed")
        or _ADVERB.fullmatch(word)
    ):
        return word
    if word.endswith(("s", "sh", "ch", "x")):
        return word + "es"
    return word[:-1] + "ies" if re.search("[^aeiou]y$", word) else word + "s"


_PLURAL = {"are": "is", "were": "was", "have": "has", "do": "does", "go": "goes"}
VERB_FORMS |= {third_person(base): base for base in set(VERB_FORMS.values())}
_LEAD = re.compile(
    r"(?:In|On|As of|During|Since|By|For|At|Under|After|Before|From|Until|Through|Upon|With|Within|Between|Beginning"
    r"|If|When|While|To|Following|Throughout|Pursuant to|Except as|Subject to|Based on|Notwithstanding|Unless|Without"
    r"|Because of|Due to|Although|Except|Where|Once|Prior to|Despite)\b[^,;:]{2,90}(?:, \d{4})?, "
)
_ASIDE = re.compile(r"\s*\([^()]*\)|, or (?:the )?[“\"]?[A-Z][\w.]*(?: [A-Z]\w*){0,3}[”\"]?(?=,)|[“”\"*]")


_APPOSED = re.compile(
    r"(?<=\w), (?:which|who|a|an|the|headquartered|based|located|founded|known|born|including|such as)\b"
    r"[^,;:]{2,80},(?= [a-z])"
)


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
        if word in _RELATIVE or token.endswith((",", ";", ":")):
            return None
        if i and _unknown_verb_before(word, tokens, i):
            return None
        if i and _is_verb(word, tokens, i):
            base = VERB_FORMS.get(word, word) if word not in BE | HAVE | MODAL else word
            subject, rest = tokens[:i], tokens[i + 1 :]
            while len(subject) > 1 and _ADVERB.fullmatch(subject[-1]):
                subject.pop()
            while rest and rest[0] not in {"not", "only"} and _ADVERB.fullmatch(rest[0]):
                rest.pop(0)
            return Clause(lead.rstrip(", "), " ".join(subject), word, base, " ".join(rest))
    return None


def _unknown_verb_before(word: str, tokens: list[str], i: int) -> bool:
    """Return whether token `i`, or the one before, is a verb that is not in the list: an article or an -ed shows it."""
    before = tokens[i - 1].lower()
    if word in {"a", "an", "the"}:
        return before not in _PREPOSITIONS | {"and", "or", "both", "all"}
    if word.endswith("ed") and i + 1 < len(tokens) and tokens[i + 1] in {"and", "or"}:
        return True  # two verbs share the object
    participle = before in _OPENERS or (i + 1 < len(tokens) and tokens[i + 1].lower() in _PREPOSITIONS)
    return word.endswith("ed") and word not in VERB_FORMS and not participle


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
        return base in MOVES or (base, after) in {("consist", "of"), ("depend", "on"), ("rely", "on"), ("refer", "to")}
    return word not in ALSO_NOUNS or before in {"we", "you", "they"} or after in _OPENERS or after[0].isdigit()
