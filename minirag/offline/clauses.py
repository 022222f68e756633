"""English clauses, taken apart by a list of verbs: who, does, what. There is no tagger; what it cannot read is None.

>>> parse("In 2022, the city of Bern opened three new schools.")
Clause(lead='In 2022', subject='the city of Bern', verb='opened', base='open', rest='three new schools')
"""

import re
from typing import NamedTuple

BE = frozenset("is are was were".split())
HAVE = frozenset("has have had".split())
MODAL = frozenset("do does did can could may might must shall should will would".split())

# Each verb once, as base or base=past; * marks one that is also a noun, + one whose object can be asked for alone.
_VERBS = """
abandon* accelerate accept+ accompany accuse achieve+ acquire+ adapt add address*+ adjust admit=admitted adopt+ advance
advise advocate affect agree aid* aim* allocate allow+ amend amount* analyze+ announce+ apply appoint+ approach*
approve+ argue arise=arose arrange arrest* arrive assemble assert assess+ assign assist assume assure attach attack+
attempt* attend+ attract attribute author* authorize avoid+ award* ban=banned* bear=bore* become=became begin=began
believe belong bind=bound block* break=broke bring=brought build=built+ burn* buy=bought+ calculate+ call capture carry
catch=caught* cause celebrate+ change* choose=chose cite claim* classify close* coach collapse* collect combine+
comment* commission* commit=committed compare compete complete*+ compose comprise+ conduct+ confirm connect conquer
consider consist constitute construct+ consume contain+ continue contribute control*+ convert+ convince copy* correct
cost=cost* cover*+ crash* create+ criticize cross* cultivate cut=cut* damage*+ deal=dealt* debate* debut* decide declare
decline* decrease* dedicate defeat+ defend+ define+ delay* deliver+ demand* demolish deny+ depend deploy+ deposit*
derail derive describe+ design*+ destroy+ detail* detect+ determine+ develop+ direct* disclose+ discover+ discuss
display*+ distribute divide+ donate double* draft* draw=drew drive=drove* drop=dropped* earn edit elect eliminate emerge
emphasize employ+ empower enable+ enact encounter encourage+ end* endorse+ enforce+ enhance enlarge ensure+ enter
equip=equipped escape* establish+ estimate*+ evolve examine+ exceed+ exchange* exclude+ execute exercise* exhibit* exist
expand+ expect+ experience* expire explain+ explore+ export*+ expose express+ extend fabricate+ face* fail fall=fell
feature feed=fed fight=fought* file* fill* finance*+ find=found fire* fix flow focus* force* form* found* free* fuel*
fund*+ gain* generate+ give=gave govern+ graduate grant* grow=grew guarantee* guard* handle+ hear=heard heat* help*+
hide=hid* highlight hire+ hit=hit* hold=held honor host* house* identify+ illustrate+ impact* impair+ imply import*
impose+ improve+ include+ incorporate+ increase*+ indicate+ influence* inform inherit injure inspect+ inspire install+
instruct integrate interpret introduce+ invent+ invest investigate+ invite involve+ issue* join judge* keep=kept kick*
kill* knock* know=knew label* lack land* last* launch+ lead=led* learn lease* leave=left lie=lay lift* limit*+ link
list*+ load* locate lose=lost love* lower* maintain+ make=made manage+ manufacture+ map=mapped* mark* market* match*
mean=meant* measure*+ meet=met mention mine* mix* monitor+ mount* move murder* name* need* negotiate+ nominate note*
number* object* observe obtain+ occupy occur=occurred offer*+ open*+ operate+ oppose+ order*+ originate outline*+
overlook oversee=oversaw overturn own*+ paint* park* participate pass* pay=paid* perceive perform permit=permitted+
phase* pick* place* plan=planned*+ plant* play please* point* pose possess pour* praise* predict prefer=preferred
prepare+ present* preserve press* prevent+ print* process* produce*+ profit* program* prohibit+ project* promote+
prompt* pronounce propose+ protect+ prove+ provide+ publish+ pull* purchase*+ pursue put=put qualify question* quote*
race* raise range* rank* rate* reach read=read* rebuild=rebuilt recall receive+ recognise recognize recommend+ record*+
recover recruit redeem reduce+ refer=referred reflect+ refuse regain register regulate+ reinforce reinstate reject+
release*+ relieve relocate remain remove+ rename renew rent repair repeat replace+ report* represent+ repurchase
request* require+ resemble reserve*+ resign resolve respect* respond restore+ restrict+ result* retain retire return*
reveal+ review*+ revive ride=rode* ring=rang* rise=rose* rule* run=ran* sail* sample* sanction* satisfy save say=said*
schedule* score screen* search* see=saw seek=sought seize select sell=sold+ send=sent sense* sentence* separate*+ serve
set=set* settle shape* shift* ship=shipped* shoot=shot* show* sign*+ sit=sat* span=spanned* speak=spoke specialize
specify+ spend=spent sponsor stage* stall* stand=stood star=starred* state* stem=stemmed* stick=stuck* stop=stopped
store*+ stretch* strike=struck* structure* struggle* study+ submit=submitted+ succeed suffer suggest summarize supervise
supply*+ support*+ surpass surprise* surrender* surround survive suspend+ take=took talk* target*+ tax* teach=taught+
tell=told tend terminate test*+ think=thought* threaten tie* tour* trace* track*+ trade* train*+ transfer=transferred*+
transform travel treat* try* turn* undergo=underwent unify unite unveil+ update* urge use*+ validate+ value* vary vest
view* violate visit*+ vote* walk* want* warn watch* weigh welcome* win=won*+ wish* work* worsen wound* write=wrote+
yield*
"""
MOVES = frozenset("increase decrease rise fall grow decline begin open close occur expire arise change vest".split())
_PREPOSITIONS = frozenset(
    "by for under with as to in on at from pursuant of within through upon between against during into".split()
)
_BEFORE_ARTICLES = _PREPOSITIONS | {"and", "or", "both", "all"}
_RELATIVE = frozenset("that which who whose where if when because unless although while whether how however".split())
_OPENERS = frozenset("a an the our its their his her his any all each more to that these no".split())
_ADVERB = re.compile(r"\w+ly|also|now|then|often|always|never|still|only|not|already|thus|therefore")
_IRREGULAR = {"am": "is", "are": "is", "were": "was", "have": "has", "do": "does", "go": "goes"}
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
ALSO_NOUNS: set[str] = set()
TRANSITIVE: set[str] = set()
"""Verbs whose object can be asked for alone; of the others many need more than an object."""
for _entry in _VERBS.split():
    _base, _, _past = _entry.rstrip("*+").partition("=")
    _present = _inflected(_base, "s")
    VERB_FORMS |= dict.fromkeys((_base, _present, _past or _inflected(_base, "d")), _base)
    ALSO_NOUNS |= {_base, _present} if "*" in _entry else set()
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
    return word not in ALSO_NOUNS or after in _OPENERS or after[0].isdigit()
