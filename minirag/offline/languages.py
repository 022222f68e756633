"""The language of a text, and the one question that can be asked safely in languages other than English.

>>> language("Die Stadt hat eine neue Brücke."), language("The city has a new bridge.")
('de', 'en')
"""

import re

from minirag.offline.lexicon import content_words, weight

# Per language: what it is recognised by, and the question about two phrases.
_SCRIPTS = {
    "ja": ("[\u3040-\u30ff]", "文書は「{}」と「{}」について何と述べていますか？"),
    "ko": ("[\uac00-\ud7af]", "문서는 ‘{}’, ‘{}’에 대해 무엇이라고 합니까?"),
    "zh": ("[\u3400-\u9fff]", "文件关于“{}”和“{}”说了什么？"),
}
_LATIN = {
    "en": ("the of and is to in for with are was by", ""),
    "de": (
        "der die das und ist nicht mit ein eine wird werden von für im zu den dem des hat aus auf als auch sich wurde "
        "wurden sind bei über nach",
        "Was sagt das Dokument über {} und {}?",
    ),
    "fr": ("le les des une est et dans pour sur avec du", "Que dit le document sur {} et {} ?"),
    "es": ("el los las una es y en para con del por", "¿Qué dice el documento sobre {} y {}?"),
}
_FUNCTION_WORDS = {name: frozenset(words.split()) for name, (words, _) in _LATIN.items()}
_STOPS = frozenset[str]().union(*_FUNCTION_WORDS.values())


def language(text: str) -> str:
    """Return the language of a text, by its letters or its commonest words; "en" where nothing tells."""
    for name, (letters, _) in _SCRIPTS.items():
        if len(re.findall(letters, text)) * 4 > len(text):
            return name
    words = re.findall(r"\w+", text.lower())
    counts = {name: sum(word in function_words for word in words) for name, function_words in _FUNCTION_WORDS.items()}
    likeliest = max(counts, key=counts.__getitem__)
    return likeliest if counts[likeliest] * 8 > len(text.split()) else "en"


def what_is_said(statement: str, spoken: str) -> str | None:
    """Return the question what the document says about the two most telling phrases of a sentence."""
    if spoken in _SCRIPTS:
        question = _SCRIPTS[spoken][1]
        parts = statement if spoken == "ko" else re.sub("[的了在是和与及也都有为对从到而之]", " ", statement)
        worths = {phrase: float(len(phrase)) for phrase in re.findall(r"[㐀-鿿]{2,6}|[ァ-ヺー]{3,}|[가-힣]{3,}", parts)}
    else:
        question = _LATIN[spoken][1]
        worths = {phrase: sum(map(weight, content_words(phrase))) for phrase in _phrases(statement)}
    best = sorted(worths, key=lambda phrase: -worths[phrase])[:2]
    return question.format(*(phrase for phrase in worths if phrase in best)) if len(best) == 2 else None


def _phrases(statement: str) -> list[str]:
    """Return the ends of the runs of words that carry meaning: three words where the last is a noun, else two."""
    runs: list[list[str]] = [[]]
    for word in re.findall(r"[^\W\d_][\w’'-]*|\S", statement):
        if word[0].isalpha() and word.lower() not in _STOPS and content_words(word):
            runs[-1].append(word)
        else:
            runs.append([])
    return [
        " ".join(run[-3:] if run[-1][0].isupper() else run[-2:])
        for run in runs
        if len(run) > 1 or (run and len(run[0]) > 8)
    ]
