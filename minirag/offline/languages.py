"""The language of a text, and the one question that can be asked safely in languages other than English.

>>> language("Die Stadt hat eine neue Brücke."), language("The city has a new bridge.")
('de', 'en')
"""

import re
from collections.abc import Iterator

from minirag.offline.lexicon import content_words, weight

# Per language: the question about two phrases, what joins them, and what the language is recognised by.
_LANGUAGES = {
    "ja": ("文書は{}について何と述べていますか？", "と", r"[\u3040-\u30ff]"),
    "ko": ("문서는 {}에 대해 무엇이라고 합니까?", ", ", r"[\uac00-\ud7af]"),
    "zh": ("文件关于{}说了什么？", "和", r"[\u3400-\u9fff]"),
    "en": ("", "", r"\b(?:the|of|and|is|to|in|for|with|are|was|by)\b"),
    "de": (
        "Was sagt das Dokument über {}?",
        " und ",
        r"\b(?:der|die|das|und|ist|nicht|mit|ein|eine|wird|werden|von|für)\b"
        r"|\b(?:im|zu|den|dem|des|hat|aus|auf|als|auch|sich|wurde|wurden|sind|bei|über|nach)\b",
    ),
    "fr": ("Que dit le document sur {} ?", " et ", r"\b(?:le|les|des|une|est|et|dans|pour|sur|avec|du)\b"),
    "es": ("¿Qué dice el documento sobre {}?", " y ", r"\b(?:el|los|las|una|es|y|en|para|con|del|por)\b"),
}
_STOPS = frozenset(re.findall(r"\w{1,6}", " ".join(_LANGUAGES[name][2] for name in ("de", "fr", "es"))))
_QUOTES = {"zh": "“{}”", "ja": "「{}」", "ko": "‘{}’"}


def language(text: str) -> str:
    """Return the language of a text, by its letters or its commonest words; "en" where nothing tells."""
    counts = {name: len(re.findall(signs, text, re.I)) for name, (_, _, signs) in _LANGUAGES.items()}
    for name in ("ja", "ko", "zh"):
        if counts[name] * 4 > len(text):
            return name
    likeliest = max(("en", "de", "fr", "es"), key=lambda name: counts[name])
    return likeliest if counts[likeliest] * 8 > len(text.split()) else "en"


def what_is_said(statement: str, spoken: str) -> str | None:
    """Return the question what the document says about the two most telling phrases of a sentence."""
    template, joint, _ = _LANGUAGES[spoken]
    chosen: list[tuple[float, int, str]] = []
    for phrase in sorted(_phrases(statement, spoken), key=lambda phrase: -phrase[0]):
        if len(chosen) < 2 and not any(set(phrase[2].split()) & set(other[2].split()) for other in chosen):
            chosen.append(phrase)
    if len(chosen) < 2 or not template:
        return None
    return template.format(joint.join(phrase for _, _, phrase in sorted(chosen, key=lambda phrase: phrase[1])))


def _phrases(statement: str, spoken: str) -> Iterator[tuple[float, int, str]]:
    """Yield runs of at most three content words: (worth, position, phrase)."""
    if spoken in _QUOTES:
        if spoken != "ko":
            statement = re.sub("[的了在是和与及也都有为对从到而之]", " ", statement)
        for match in re.finditer(r"[一-鿿㐀-䶿]{2,6}|[ァ-ヺー]{3,}|[\uac00-\ud7af]{3,}", statement):
            yield float(len(match.group())), match.start(), _QUOTES[spoken].format(match.group())
        return
    position = 0
    for match in re.finditer(r"[^\W\d_][\w’'-]*(?: [^\W\d_][\w’'-]*)*", statement):
        run: list[str] = []
        for word in [*match.group().split(), "der"]:
            position += 1
            if word.lower() not in _STOPS and content_words(word):
                run.append(word)
                continue
            run = run[-3:] if run and run[-1][0].isupper() else run[-2:]
            if len(run) > 1 or (run and (len(run[0]) > 8 or spoken == "de")):
                yield sum(sum(map(weight, content_words(word))) for word in run), position, " ".join(run)
            run = []
