"""Row 2. Does a reply say that it cannot answer, or speak of the excerpts instead of what they say?

A sentence about the world ("damage is not covered") is no refusal; one about the text that was given is.
"""

import re

from minirag.prompts import NOT_STATED

LONGEST = 240
"""Characters: a longer reply answers something, whatever else it says."""

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
    """Whether a reply says that it cannot answer, instead of answering.

    >>> abstains("The document does not say."), abstains("Damage by water is not provided for.")
    (True, False)
    """
    return text.strip() == NOT_STATED or (len(text) < LONGEST and _REFUSES.search(text.strip()) is not None)


def reference(text: str, context: str) -> str:
    """The words by which a reply speaks of what it was given, if the context does not use them itself; or "".

    >>> reference("Based on the provided context, it is 3.", "It is 3.")
    'Based on the provided'
    """
    found = _REFERS.search(text)
    return found[0] if found and found[0].casefold() not in context.casefold() else ""
