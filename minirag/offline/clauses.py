"""Apart. English clauses, taken apart by a list of verbs: who, does, what. No tagger; what it cannot read is None.

>>> parse("In 2022, the city of Bern opened three new schools.")
Clause(lead='In 2022', subject='the city of Bern', verb='opened', base='open', rest='three new schools')
"""

import re
from typing import NamedTuple

BE = frozenset("is are was were".split())
HAVE = frozenset("has have had".split())
MODAL = frozenset("can could may might must shall should will would cannot".split())

# Each verb once, as base or base=past; the other forms follow by rule.
_VERBS = """
accept accelerate achieve acquire add address adopt adjust affect agree=agreed allocate allow announce apply=applied
appoint approve arise=arose assess assign assume attract award become=became begin=began believe belong build=built
buy=bought calculate cause change choose=chose classify=classified close collect combine comply=complied compete
complete comprise conduct consider consist constitute construct contain continue contribute control convert cover
create cut=cut decide declare decline decrease define deliver depend describe design detect determine develop
direct disclose discover discuss dispose distribute donate earn eliminate employ enable encourage enforce ensure enter
establish estimate evaluate exceed exclude expand expect explain expire export express extend face fail fall=fell file
finance find=found fix focus form found fund generate give=gave govern grant grow=grew handle help hire hold=held host
identify=identified impact impair impose improve incorporate include increase incur influence inspect install introduce
invent invest investigate involve issue join keep=kept launch lead=led lease leave=left limit lose=lost maintain make=made
manage manufacture market measure meet=met merge monitor move need negotiate obtain occur=occurred occupy=occupied offer
open operate order outsource own own participate pay=paid perform permit=permitted plan=planned pose prepare present
prevent produce prohibit promote propose protect prove provide publish purchase raise reach receive recognize recommend
record recover reduce reflect refer=referred regulate reject rely=relied remain remove rent repair repay=repaid replace
report repurchase represent request require reserve resolve restrict result retain review rise=rose rule run=ran save
secure see=saw select sell=sold send=sent separate serve set=set settle show=showed sign solve spend=spent specialize
specify=specified stop=stopped store submit=submitted supply=supplied support suspend take=took teach=taught tend
terminate test trade train transfer=transferred transform treat turn use vest visit warn win=won withdraw=withdrew write=wrote
"""
_ALSO_NOUNS = frozenset(
    "award awards purchase purchases change changes cover controls control cost costs decline declines decrease "
    "decreases design designs estimate estimates export exports face file files focus form forms fund funds grant "
    "grants help impact impacts increase increases influence issue issues lead lease leases limit limits market "
    "markets measure measures need needs offer offers order orders pay plan plans present process produce project "
    "record records report reports request requests reserve reserves result results review reviews rise rule rules "
    "run runs set sets show shows sign signs store stores supply supplies support supports test tests trade trades "
    "train trains transfer transfers treat turn turns use uses visit visits work works contract contracts found "
    "left cut close open complete direct separate secure own host hosts returns return lead leads merge win wins".split()
)
_MOVES = frozenset("increase decrease rise fall grow decline begin open close occur expire arise change vest".split())
_PREPOSITIONS = frozenset(
    "by for under with as to in on at from pursuant of within through upon between against during into".split()
)
_RELATIVE = frozenset("that which who whom whose where if when because unless although while".split())
_OPENERS = frozenset("a an the our its their his her his any all each more to that these no".split())


def _forms() -> dict[str, str]:
    """Every form of every verb, with its base."""
    forms: dict[str, str] = {}
    for entry in _VERBS.split():
        base, _, past = entry.partition("=")
        third = base[:-1] + "ies" if re.search("[^aeiou]y$", base) else base + "s"
        forms[base + "es" if base.endswith(("s", "sh", "ch", "x")) else third] = base
        forms[past or base + ("d" if base.endswith("e") else "ed")] = base
    return forms | {base: base for base in forms.values()}


_FORMS = _forms()
_LEAD = re.compile(
    r"(?:In|On|As of|During|Since|By|For|At|Under|After|Before|From|Until|Through|Upon|With|Within|Between|Beginning"
    r"|If|When|While|To|Following|Throughout|Pursuant to|Except as|Subject to|Based on)\b[^,;:]{2,90}(?:, \d{4})?, "
)
_FILLER = re.compile(
    r"(?:Additionally|Further|Furthermore|However|Therefore|Also|Moreover|Finally|For example|In addition|Accordingly"
    r"|As a result|Consequently|Similarly|Generally|Currently|Today|Instead|Thus|First|Second|Third), "
)
_ASIDE = re.compile(r"\s*\([^()]*\)|, or (?:the )?[“\"]?[A-Z][\w.]*(?: [A-Z]\w*){0,3}[”\"]?(?=,)|[“”\"*]")


class Clause(NamedTuple):
    """One main clause; `base` is the verb's infinitive, and `verb` itself for be, have and the modals."""

    lead: str
    subject: str
    verb: str
    base: str
    rest: str

    @property
    def past(self) -> bool:
        """Whether the verb is a past form."""
        return self.verb in {"was", "were", "had"} or (self.verb != self.base and not self.verb.endswith("s"))


def parse(sentence: str) -> Clause | None:
    """The main clause of a declarative sentence; None for anything that is not plainly one."""
    line = " ".join(_ASIDE.sub("", _FILLER.sub("", sentence)).split()).rstrip(" .")
    lead = match.group() if (match := _LEAD.match(line)) else ""
    tokens = line[len(lead) :].split()
    for i, token in enumerate(tokens[:14]):
        word = token.lower()
        if word in _RELATIVE or token.endswith((",", ";", ":")):
            return None
        if i and _is_verb(word, tokens, i):
            base = _FORMS.get(word, word) if word not in BE | HAVE | MODAL else word
            return Clause(lead.rstrip(", "), " ".join(tokens[:i]), word, base, " ".join(tokens[i + 1 :]))
    return None


def _is_verb(word: str, tokens: list[str], i: int) -> bool:
    """Whether token `i` is the main verb: most verb forms are also nouns or participles, and neighbours tell."""
    if word in BE | HAVE | MODAL:
        return True
    if word not in _FORMS or i + 1 >= len(tokens):
        return False
    base, before, after = _FORMS[word], tokens[i - 1].lower(), tokens[i + 1].lower()
    if before in _OPENERS | _PREPOSITIONS | {"and", "or", "not", "to"}:
        return False
    if word == base and not (before.endswith("s") or before in {"we", "you", "they", "i"}):
        return False
    if after in _PREPOSITIONS:
        return base in _MOVES or (base, after) in {("consist", "of"), ("depend", "on"), ("rely", "on"), ("refer", "to")}
    return word not in _ALSO_NOUNS or before in {"we", "you", "they"} or after in _OPENERS
