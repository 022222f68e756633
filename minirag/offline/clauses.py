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
abandon* abolish absorb accelerate accept+ accommodate accompany accuse achieve+ acquire+ activate adapt add address*+
adjust admit=admitted adopt+ advance advise advocate affect afford agree aid* aim* allocate allow+ amend amount*
analyze+ announce+ apply appoint+ approach* approve+ argue arise=arose arrange arrest* arrive assault* assemble assert
assess+ assign assist assume assure attach attack+ attempt* attend+ attract attribute author* authorize avoid+ award*
back* ban=banned* bear=bore* beat=beat become=became begin=began believe belong bind=bound block* bomb* boost* borrow
break=broke bring=brought broadcast=broadcast build=built+ burn* buy=bought+ calculate+ call cancel capture carry
carve cast=cast* catch=caught* cause celebrate+ change* choose=chose cite claim* clarify classify clean clear climb*
close* coach collapse* collect combine+ command* comment* commission* commit=committed compare compensate compete
complain complete*+ comply compose compress comprise+ conceal condemn conduct+ confirm connect conquer consider
consist constitute construct+ construe consult consume contact contain+ continue contribute control*+ convert+ convey
convince cool copy* correct cost=cost* count* cover*+ crash* create+ criticize cross* cultivate cure* cut=cut*
damage*+ deal=dealt* debate* debut* decide declare decline* decrease* dedicate defeat+ defend+ define+ delay* delete
deliver+ demand* demolish demonstrate deny+ depend deploy+ deposit* derail derive describe+ design*+ destroy+ detail*
detect+ determine+ develop+ diagnose direct* discharge disclose+ discover+ discuss display*+ dispose distribute divert
divide+ donate double* draft* drag=dragged* draw=drew drive=drove* drop=dropped* earmark earn eat=ate edit elect
eliminate embrace emerge emphasize employ+ empower enable+ enact encounter encourage+ end* endorse+ enforce+ enhance
enjoy enlarge ensure+ enter equip=equipped escape* establish+ estimate*+ evacuate evaluate evolve examine+ exceed+
exchange* exclude+ execute exempt exercise* exhibit* exist expand+ expect+ experience* expire explain+ exploit*
explore+ export*+ expose express+ extend extract* fabricate+ face* fail fall=fell feature feed=fed fight=fought* file*
fill* filter* finance*+ find=found fire* fit=fitted* fix flow fly=flew* focus* forbid=forbade force*
forecast=forecast* foresee=foresaw forgive=forgave form* found* free* freeze=froze fuel* fulfil=fulfilled fund*+ gain*
gather* generate+ give=gave govern+ grade* graduate grant* greet grow=grew guarantee* guard* guide* handle+ hear=heard
heat* help*+ hide=hid* highlight hire+ hit=hit* hold=held honor host* house* hurt=hurt* identify+ illustrate+ imagine
impact* impair+ imply import* impose+ imprison improve+ inaugurate include+ incorporate+ increase*+ incur indicate+
indict influence* inform inherit inject injure inspect+ inspire install+ instruct insure integrate interpret interrupt
interview* introduce+ invade invent+ invest investigate+ invite involve+ isolate issue* join judge* justify keep=kept
kick* kill* knock* know=knew label* lack land* last* launch+ lay=laid lead=led* learn lease* leave=left lend=lent
lie=lay lift* limit*+ link list*+ load* locate lock* lose=lost love* lower* mail* maintain+ make=made manage+
manufacture+ map=mapped* mark* market* match* mean=meant* measure*+ meet=met mention merge* migrate mine* mix*
mobilize monitor+ mount* move murder* name* need* negotiate+ nominate note* notify number* obey object* oblige observe
obstruct obtain+ occupy occur=occurred offer*+ open*+ operate+ oppose+ order*+ originate outline*+ outsource
overcome=overcame overlook override=overrode oversee=oversaw overturn owe own*+ pack* paint* park* participate pass*
patrol* pay=paid* perceive perform permit=permitted+ persuade phase* pick* place* plan=planned*+ plant* play plead
please* point* poison* police* pose possess postpone pour* praise* preach predict prefer=preferred prepare+ present*
preserve press* presume prevent+ print* process* proclaim produce*+ profit* program* prohibit+ project* promote+
prompt* pronounce propose+ protect+ prove+ provide+ publicize publish+ pull* punish purchase*+ pursue push* put=put
qualify question* quit=quit* quote* race* raise rally* range* rank* rate* reach react read=read* reaffirm
rebuild=rebuilt recall receive+ recognise recognize recommend+ reconsider reconstruct record*+ recover recruit redeem
redesign reduce+ refer=referred reflect+ refuse regain register regulate+ reinforce reinstate reject+ release*+
relieve relocate rely remain remove+ rename renew renovate rent reopen reorganize repair repay=repaid repeal repeat
repel=repelled replace+ report* represent+ repurchase request* require+ rescue* research* resemble reserve*+ resign
resist resolve resort* respect* respond restore+ restrict+ result* retain retire retreat return* reveal+ reverse*
review*+ revise revive revoke ride=rode* ring=rang* rise=rose* ruin* rule* run=ran* sail* sample* sanction* satisfy
save say=said* scan=scanned* schedule* score screen* seal* search* secure* see=saw seek=sought seize select sell=sold+
send=sent sense* sentence* separate*+ serve set=set* settle shape* shift* ship=shipped* shoot=shot* show* shut=shut*
sign*+ signal* simplify sink=sank* sit=sat* skip=skipped slow* smuggle solve span=spanned* spare spark* speak=spoke
specialize specify+ speed=sped* spend=spent split=split* sponsor spread=spread* stage* stall* stand=stood
star=starred* state* steal=stole stem=stemmed* stick=stuck* stop=stopped store*+ stretch* strike=struck*
strip=stripped* structure* struggle* study+ submit=submitted+ subscribe succeed sue suffer suggest summarize summon
supervise supply*+ support*+ suppress surpass surprise* surrender* surround survive suspend+ swear=swore switch*
symbolize synchronize tackle take=took talk* target*+ tax* teach=taught+ tell=told tend terminate test*+ theorize
think=thought* threaten throw=threw tie* tour* trace* track*+ trade* train*+ transfer=transferred*+ transform
trap=trapped* travel treat* trigger* trim=trimmed* triple* try* turn* undergo=underwent understand=understood
undertake=undertook unify unite unveil+ update* upgrade* uphold=upheld urge use*+ utilize validate+ value* vary verify
vest veto view* violate visit*+ volunteer* vote* wait* walk* want* warn warrant* wash* waste* watch* weaken wear=wore
weigh welcome* widen win=won*+ wish* withdraw=withdrew work* worsen wound* wrap=wrapped write=wrote+ yield*
"""
MOVES = frozenset("increase decrease rise fall grow decline begin open close occur expire arise change vest".split())
_PREPOSITIONS = frozenset(
    "by for under with as to in on at from pursuant of within through upon between against during into".split()
)
_BEFORE_ARTICLES = _PREPOSITIONS | {"and", "or", "both", "all"}
_RELATIVE = frozenset("that which who whose where if when because unless although while whether how however".split())
_OPENERS = frozenset("a an the our its their his her his any all each more to that these no".split())
_ADVERB = re.compile(
    r"(?!(?:app|comp|fami|imp|re|supp|multip)ly$)\w+ly|also|now|then|often|always|never|still|only|not|generally|currently|already|thus|therefore"
)
_IRREGULAR = {"am": "is", "are": "is", "were": "was", "have": "has", "do": "does", "go": "goes"}
_LEAD = re.compile(
    r"(?:In|On|As of|During|Since|By|For|At|Under|After|Before|From|Until|Through|Upon|With|Within|Between|Beginning"
    r"|If|When|While|To|Following|Throughout|Pursuant to|Except as|Subject to|Based on|Notwithstanding|Unless|Without"
    r"|Because of|Due to|Although|Except|Where|Once|Prior to|Despite)\b[^,;:]{2,90}(?:, \d{4})?, "
)
_ASIDE = re.compile(r"\s*\([^()]*\)||[“”\"*]|``|''")
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
