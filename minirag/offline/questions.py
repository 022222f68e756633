"""The question writer: it turns the statements of a passage into questions that the passage answers.

Each sentence gives at most one question, by the first of `forms.FORMS` that fits its clause. A sentence that none fits,
or that is not English, is asked about by its two rarest phrases.

>>> questions("The city of Bern opened three new schools in 2022.", 2)
['How many new schools did the city of Bern open in 2022?']
>>> questions("Die Wasserwerke liefern der Stadt Bern seit 1906 sauberes Trinkwasser.", 1)
['Was sagt das Dokument über Wasserwerke liefern und sauberes Trinkwasser?']
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from minirag.offline.clauses import ALSO_NOUNS, VERB_FORMS, parse, third_person
from minirag.offline.forms import FORMS, VAGUE, Frame, specificity
from minirag.offline.lexicon import STOP_WORDS, content_words, weight
from minirag.offline.prose import prose

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_WHOLE = (".", "!", "。", "！", ".”", '."')
_DETERMINERS = frozenset(
    "the a an each every all any both some most many several more certain two three four five six seven eight "
    "nine ten".split()
)
_COMMON_ENDINGS = tuple("ions ion ment ments ing ers ity ies ed al ness ces ency".split())
_MAY_END = frozenset("own do for have to of as with into on by after at".split())
_EMPTY = frozenset(
    "able above additional adverse adversely aforementioned applicable available based become becomes below certain "
    "company described due effective following foregoing fully hereby herein hereunder including likely otherwise "
    "part previous pursuant regarding related respective set several significant similar subject thereunder various "
    "well whole".split()
)
# Per language: the question about two phrases, what joins them, and what the language is recognised by.
_LANGUAGES = {
    "ja": ("文書は{}について何と述べていますか？", "と", r"[\u3040-\u30ff]"),
    "ko": ("문서는 {}에 대해 무엇이라고 합니까?", ", ", r"[\uac00-\ud7af]"),
    "zh": ("文件关于{}说了什么？", "和", r"[\u3400-\u9fff]"),
    "en": ("What does the document say about {}?", " and ", r"\b(?:the|of|and|is|to|in|for|with|are|was|by)\b"),
    "de": (
        "Was sagt das Dokument über {}?",
        " und ",
        r"\b(?:der|die|das|und|ist|nicht|mit|ein|eine|wird|werden|von|für)\b"
        r"|\b(?:im|zu|den|dem|des|hat|aus|auf|als|auch|sich|wurde|wurden|sind|bei|über|nach)\b",
    ),
    "fr": ("Que dit le document sur {} ?", " et ", r"\b(?:le|les|des|une|est|et|dans|pour|sur|avec|du)\b"),
    "es": ("¿Qué dice el documento sobre {}?", " y ", r"\b(?:el|los|las|una|es|y|en|para|con|del|por)\b"),
}
_FOREIGN_STOPS = frozenset(re.findall(r"\w{1,6}", " ".join(_LANGUAGES[name][2] for name in ("de", "fr", "es"))))


class _Question(NamedTuple):
    text: str
    worth: float
    words: frozenset[str]  # what it is about


def questions(text: str, n: int) -> list[str]:
    """Return up to `n` different questions that `text` answers, each from a sentence of its own, in their order.

    Fewer where the text says less: a table of figures gives none.
    """
    sentences = [sentence.text for sentence in prose(text) if _is_statement(sentence.text)]
    candidates = [question for sentence in sentences if (question := _question(sentence, text))]
    chosen: list[int] = []
    for i in sorted(range(len(candidates)), key=lambda i: -candidates[i].worth):
        if len(chosen) < n and not any(_are_alike(candidates[i].words, candidates[j].words) for j in chosen):
            chosen.append(i)
    return [candidates[i].text for i in sorted(chosen)]


def _are_alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) * 2 >= len(one | other)


def _is_statement(sentence: str) -> bool:
    """Return whether it is a whole statement in words: no question, list item, caption or row of a table."""
    if not sentence.endswith(_WHOLE) or sentence[0].islower():
        return False
    tokens = sentence.split()
    plain = sum(1 for token in tokens if token.isalpha() or token.rstrip(",.;’'s").isalpha())
    return (len(tokens) >= 6 and plain * 10 >= len(tokens) * 7) or (
        _CJK.search(sentence) is not None and len(sentence) > 9
    )


def _question(sentence: str, text: str) -> _Question | None:
    """Return the best question that a sentence of `text` answers; None if it has nothing to name."""
    statement = _in_third_person(sentence, text)
    clause = parse(statement) if language(text) == "en" else None
    if clause and (subject := _subject(clause.subject, text)):
        frame = Frame(clause, subject)
        for worth, form in FORMS:
            asked = " ".join((form(frame) or "").split())
            if asked and _stands_alone(asked):
                return _Question(asked, worth + specificity(asked), frozenset(content_words(asked)))
    asked = _about(statement) or ""
    return _Question(asked, specificity(asked), frozenset(content_words(asked))) if asked else None


def _in_third_person(sentence: str, text: str) -> str:
    """Return the sentence with "we" and "our" named, where the text shows who speaks."""
    if re.search(r"\b(?:company|customers|shareholders|revenue|products|fiscal|income|shares|cash)\b", text, re.I):
        who, whose = "the company", "the company’s"
    elif re.search(r"\b(?:paper|study|experiments?|dataset|results)\b", text, re.I):
        who, whose = "the authors", "the authors’"
    else:
        return sentence

    def spoken(match: re.Match[str]) -> str:
        return f"{who}{match[1]} {third_person(match[2]) if who == 'the company' else match[2]}"

    sentence = re.sub(r"\b[Oo]ur\b(?! own)", whose, sentence)
    sentence = re.sub(r"\b[Ww]e((?: also| \w+ly)?) (\w+)", spoken, sentence)
    return re.sub(r"\b(?:[Ww]e|us)\b", who, sentence)


def _subject(subject: str, text: str) -> str | None:
    """Return a subject as it stands inside a question; None if a reader could not tell what it is."""
    first, *others = words = subject.split()
    low = first.lower()
    imperative = VERB_FORMS.get(low) == low and low not in ALSO_NOUNS
    opens = low in _DETERMINERS or (low not in STOP_WORDS and not imperative)
    if not opens or len(words) > 10 or VAGUE.search(subject) or not content_words(subject) or not first[0].isalnum():
        return None
    if words[-1].endswith(("’s", "'s", "s’")):
        return None
    plain = not others or others[0][0].islower()
    common = low in _DETERMINERS or re.search(rf"\b{re.escape(low)}\b", text) or low.endswith(_COMMON_ENDINGS)
    lowered = low in _DETERMINERS or (common and plain and (first[1:].islower() or "-" in first))
    return " ".join([low if lowered else first, *others])


def _stands_alone(question: str) -> bool:
    """Return whether a reader without the passage understands what is asked."""
    words = question.rstrip("?").split()
    hangs = words[-1].lower() in STOP_WORDS - _MAY_END
    return 4 <= len(words) <= 26 and not hangs and not VAGUE.search(question) and specificity(question) >= 0.15


def language(text: str) -> str:
    """Return the language of a text, by its letters or its commonest words; "en" where nothing tells."""
    counts = {name: len(re.findall(signs, text, re.I)) for name, (_, _, signs) in _LANGUAGES.items()}
    for name in ("ja", "ko", "zh"):
        if counts[name] * 4 > len(text):
            return name
    likeliest = max(("en", "de", "fr", "es"), key=lambda name: counts[name])
    return likeliest if counts[likeliest] * 8 > len(text.split()) else "en"


def _about(statement: str) -> str | None:
    """Return the question what the document says about the two most telling phrases of a sentence."""
    spoken = language(statement)
    template, joint, _ = _LANGUAGES[spoken]
    chosen: list[tuple[float, int, str]] = []
    for phrase in sorted(_phrases(statement, spoken), key=lambda phrase: -phrase[0]):
        if len(chosen) < 2 and not any(set(phrase[2].split()) & set(other[2].split()) for other in chosen):
            chosen.append(phrase)
    if len(chosen) < 2 or (spoken == "en" and sum(worth for worth, _, _ in chosen) < 2.0):
        return None
    return template.format(joint.join(phrase for _, _, phrase in sorted(chosen, key=lambda phrase: phrase[1])))


def _phrases(statement: str, spoken: str) -> Iterator[tuple[float, int, str]]:
    """Yield runs of at most three content words: (worth, position, phrase)."""
    if spoken in ("zh", "ja", "ko"):
        quotes = {"zh": "“{}”", "ja": "「{}」", "ko": "‘{}’"}[spoken]
        if spoken != "ko":
            statement = re.sub("[的了在是和与及也都有为对从到而之]", " ", statement)
        for match in re.finditer(r"[一-鿿㐀-䶿]{2,6}|[ァ-ヺー]{3,}|[\uac00-\ud7af]{3,}", statement):
            yield float(len(match.group())), match.start(), quotes.format(match.group())
        return
    position = 0
    for match in re.finditer(r"[^\W\d_][\w’'-]*(?: [^\W\d_][\w’'-]*)*", statement):
        run: list[str] = []
        for word in [*match.group().split(), "the"]:
            position += 1
            if _is_naming(word):
                run.append(word)
                continue
            run = run[-3:] if run and run[-1][0].isupper() else run[-2:]
            if len(run) > 1 or (run and (len(run[0]) > 8 or spoken == "de")):
                worth = sum(sum(map(weight, content_words(word))) for word in run)
                yield worth, position, re.sub("[’']s?$", "", " ".join(run))
            run = []


def _is_naming(word: str) -> bool:
    """Return whether a word may stand in a phrase that names something: no function word, adverb or plain verb."""
    low = word.lower()
    verb = low in VERB_FORMS and low not in ALSO_NOUNS
    return not (verb or low in _FOREIGN_STOPS or low in _EMPTY or low.endswith("ly") or not content_words(word))
