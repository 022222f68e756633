"""Apart. The safe question about any sentence in any language: what the document says about its rarest phrases.

>>> about("Wasserwerke liefern der Stadt Bern Trinkwasser.")
'Was sagt das Dokument über Wasserwerke liefern und Stadt Bern Trinkwasser?'
"""

import re
from collections.abc import Iterator

from minirag.offline.clauses import ALSO_NOUNS, VERB_FORMS
from minirag.offline.lexicon import content_words, weight

CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_ABOUT = {
    "en": ("What does the document say about {}?", " and "),
    "de": ("Was sagt das Dokument über {}?", " und "),
    "fr": ("Que dit le document sur {} ?", " et "),
    "es": ("¿Qué dice el documento sobre {}?", " y "),
    "zh": ("文件关于{}说了什么？", "和"),
    "ja": ("文書は{}について何と述べていますか？", "と"),
    "ko": ("문서는 {}에 대해 무엇이라고 합니까?", ", "),
}
_LANGUAGE_SIGNS = {
    "ja": r"[\u3040-\u30ff]",
    "ko": r"[\uac00-\ud7af]",
    "zh": r"[\u3400-\u9fff]",
    "de": r"\b(?:der|die|das|und|ist|nicht|mit|ein|eine|wird|werden|von|für)\b"
    r"|\b(?:im|zu|den|dem|des|hat|aus|auf|als|auch|sich|wurde|wurden|sind|bei|über|nach)\b",
    "fr": r"\b(?:le|les|des|une|est|et|dans|pour|sur|avec|du)\b",
    "es": r"\b(?:el|los|las|una|es|y|en|para|con|del|por)\b",
    "en": r"\b(?:the|of|and|is|to|in|for|with|are|was|by)\b",
}


def language(text: str) -> str:
    """The language of `text`, by its letters or its commonest words; English where nothing tells."""
    counts = {name: len(re.findall(signs, text, re.I)) for name, signs in _LANGUAGE_SIGNS.items()}
    for name in ("ja", "ko", "zh"):
        if counts[name] * 4 > len(text):
            return name
    likeliest = max(("en", "de", "fr", "es"), key=lambda name: counts[name])
    return likeliest if counts[likeliest] * 8 > len(text.split()) else "en"


def about(statement: str) -> str | None:
    """The safe form: what the document says about the two most telling phrases of a sentence."""
    spoken = language(statement)
    template, joint = _ABOUT[spoken]
    found: list[tuple[float, int, str]] = []
    for phrase in sorted(_phrases(statement, spoken), key=lambda p: -p[0]):
        if len(found) < 2 and not any(set(phrase[2].split()) & set(other[2].split()) for other in found):
            found.append(phrase)
    if len(found) < 2 or (spoken == "en" and sum(worth for worth, _, _ in found) < 2.0):
        return None
    return template.format(joint.join(phrase for _, _, phrase in sorted(found, key=lambda p: p[1])))


def _phrases(statement: str, spoken: str) -> Iterator[tuple[float, int, str]]:
    """Runs of at most three content words: (worth, position, phrase)."""
    if spoken in ("zh", "ja"):
        for match in re.finditer(
            r"[一-鿿㐀-䶿]{2,6}|[ァ-ヺー]{3,}", re.sub("[的了在是和与及也都有为对从到而之]", " ", statement)
        ):
            yield (
                float(len(match.group())),
                match.start(),
                f"「{match.group()}」" if spoken == "ja" else f"“{match.group()}”",
            )
        return
    if spoken == "ko":
        for match in re.finditer("[\uac00-\ud7af]{3,}", statement):
            yield float(len(match.group())), match.start(), f"‘{match.group()}’"
        return
    position = 0
    for match in re.finditer(r"[^\W\d_][\w’'-]*(?: [^\W\d_][\w’'-]*)*", statement):
        run: list[str] = []
        for word in [*match.group().split(), "the"]:
            position += 1
            if _joins(word):
                run.append(word)
                continue
            run = run[-3:] if run and run[-1][0].isupper() else run[-2:]
            if len(run) > 1 or (run and (len(run[0]) > 8 or spoken == "de")):
                yield (
                    sum(sum(map(weight, content_words(w))) for w in run),
                    position,
                    re.sub("[’']s?$", "", " ".join(run)),
                )
            run = []


def _joins(word: str) -> bool:
    """Whether a word may stand in a phrase that names something: no function word, adverb or plain verb."""
    low = word.lower()
    verb = low in VERB_FORMS and low not in ALSO_NOUNS
    return not (verb or low in _FOREIGN_STOPS or low in _EMPTY or low.endswith("ly") or not content_words(word))


_EMPTY = frozenset(
    """
    able above additional adverse adversely aforementioned applicable available based become becomes below certain
    company described due effective following foregoing fully hereby herein hereunder including likely otherwise
    part previous pursuant regarding related respective set several significant similar subject thereunder various
    well whole
    """.split()
)
_FOREIGN_STOPS = frozenset(re.findall(r"\w{1,6}", " ".join(_LANGUAGE_SIGNS[name] for name in ("de", "fr", "es"))))
