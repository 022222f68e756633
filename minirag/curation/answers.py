"""Rules about one reply: does it refuse, does it mention its excerpts, does it name what they do not, and does a refine
step add anything?"""

import re

from minirag.curation.quantities import values, without_list_marks
from minirag.prompts import NOT_STATED
from minirag.text import content, sentence_spans, words

MAX_REFUSAL = 240
"""Characters; a longer reply answers something, whatever else it says."""
_GIVEN = r"(?:document|context|text|excerpts?|passages?|(?:provided|given) (?:\w+ )?information)"
_REFUSES = re.compile(
    rf"\b{_GIVEN}s? (?:\w+ ){{0,2}}?(?:does|do|did)(?: not|n['’]t)\b"
    r"|\bnot (?:mentioned|stated|specified|provided|given|disclosed|found) (?:in|by) "
    rf"(?:the|this|these) (?:\w+ )?{_GIVEN}"
    r"|\A(?:it|this|that) is (?:unclear|unknown|not (?:mentioned|stated|specified|known|clear))\b"
    r"|\A(?:i['’]m |i am )?sorry\b|\bI (?:do not|don['’]t) know\b"
    r"|\b(?:cannot|can['’]?t|unable to|not able to) (?:be )?(?:answer|determine|find|help)"
    r"|\A(?:there is )?(?:no|insufficient|not enough) (?:such |specific |relevant )?(?:information|details?)\b"
    r"|\b(?:dokument|text|kontext|auszug|auszüge) \w+ (?:\w+ )?(?:nicht|kein)|\bgeht aus .{3,30} nicht hervor\b"
    r"|(?:文档|文件|上下文|文本|原文|文中)中?(?:没有|未)(?:提到|提及|说明|提供|给出)",
    re.IGNORECASE,
)
_REFERS = re.compile(
    r"\b(?:the|given|provided|above|supplied) (?:given |provided |above |supplied )?"
    r"(?:context(?: information)?|excerpts?|passages?|existing answer|original answer)\b(?! of\b| in which\b)"
    r"|\b(?:according to|based on) the (?:text|document|information|provided|given)\b",
    re.IGNORECASE,
)


def abstains(text: str) -> bool:
    """Return True if a reply says that it cannot answer, instead of answering.

    A sentence about the world ("damage is not covered") is no refusal, one about the excerpts is.

    >>> abstains("The document does not say."), abstains("Damage by water is not provided for.")
    (True, False)
    """
    return text.strip() == NOT_STATED or (len(text) < MAX_REFUSAL and _REFUSES.search(text.strip()) is not None)


def reference(text: str, context: str) -> str:
    """Return the words by which a reply mentions its excerpts, unless the excerpts use them too; "" if none.

    >>> reference("Based on the provided context, it is 3.", "It is 3.")
    'Based on the provided'
    """
    match = _REFERS.search(text)
    return match[0] if match and match[0].casefold() not in context.casefold() else ""


# -- names -------------------------------------------------------------------------------------------------

CAPITALISED = 0.3
"""From this share of capitalised words on, capitals mark no names: German nouns, headlines."""


def unsupported_names(text: str, source: str) -> list[str]:
    """Return the capitalised words of `text`, sentence openings aside, that `source` does not hold in any form.

    >>> unsupported_names("It is run by Nord and by Ostbahn.", "It is run by NORD since last year.")
    ['Ostbahn']
    """
    inner = _inner_words(source)
    if sum(_is_name(word) for word in inner) > CAPITALISED * len(inner):
        return []
    stems = {word[:4] for word in words(source)}
    return sorted({w for w in _inner_words(text) if _is_name(w) and w.casefold()[:4] not in stems})


def _inner_words(text: str) -> list[str]:
    """Return the words of each sentence but its first, which is capitalised anyway."""
    plain = without_list_marks(text)
    return [word for start, end in sentence_spans(plain) for word in re.findall(r"[^\W_]+", plain[start:end])[1:]]


def _is_name(word: str) -> bool:
    return len(word) > 1 and word[0].isupper()


# -- refine steps ------------------------------------------------------------------------------------------

REPEATS, PARAPHRASE, LOSES, ADDS = "repeats", "paraphrase", "loses facts", "adds"
CLASSES = (REPEATS, PARAPHRASE, LOSES, ADDS)
MIN_NEW = 0.15
"""A step adds something if this share of its content words is new and in the new excerpts, or if a new number is."""
MIN_KEPT = 0.4
"""A step that changes much loses facts if less than this share of the earlier answer's content words survives."""
MUCH_NEW, MUCH_SHORTER = 0.5, 0.6
"""A step changes much if this share of its content words is new, or if it is shorter than this share."""


def classify(existing: str, revised: str, question: str, context: str) -> str:
    """Return the one of `CLASSES` for a refine step that made `revised` of `existing` after reading `context`.

    Words of the question say nothing new, and a word that neither the earlier answer nor the excerpts hold is a
    synonym.

    >>> classify("It opens at 9.", "It opens at 9 and closes at 17.", "When is it open?", "Closing time is 17.")
    'adds'
    >>> classify("It opens at 9.", "Opening is at 9.", "When is it open?", "Closing time is 17.")
    'paraphrase'
    """
    if words(existing) == words(revised):
        return REPEATS
    if abstains(existing):
        return REPEATS if abstains(revised) else ADDS
    before, after = content(existing) - content(question), content(revised) - content(question)
    gained = (after - before) & content(context)
    new = len(gained) / len(content(revised)) if gained else 0.0
    surviving = len(before & after) / len(before) if before else 1.0
    much_changed = new >= MUCH_NEW or len(words(revised)) < MUCH_SHORTER * len(words(existing))
    if values(existing) - values(revised) or (surviving < MIN_KEPT and much_changed):
        return LOSES
    new_numbers = (values(revised) - values(existing) - values(question)) & values(context)
    return ADDS if new_numbers or new >= MIN_NEW else PARAPHRASE
