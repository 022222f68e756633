"""Row 2. What a refine step did to the answer it was given: repeat it, paraphrase it, lose its facts, or add some.

>>> classify("It opens at 9.", "It opens at 9 and closes at 17.", "When is it open?", "Closing time is 17.")
'adds'
>>> classify("It opens at 9.", "Opening is at 9.", "When is it open?", "Closing time is 17.")
'paraphrase'
"""

from minirag.curation.quantities import values
from minirag.curation.refusals import abstains
from minirag.text import content, words

REPEATS, PARAPHRASE, LOSES, ADDS = "repeats", "paraphrase", "loses facts", "adds"
CLASSES = (REPEATS, PARAPHRASE, LOSES, ADDS)
IDLE_REFINES = ("drop", "verbatim")
"""What a training file may do with steps that added nothing: leave them out, or teach the earlier answer unchanged."""

ADDED = 0.15
"""Share of an answer's content words that must be new and in the new excerpts, if no new number is."""
KEPT = 0.4
"""Share of the earlier answer's content words that must survive where much is added, or much is left out."""
REPLACED = 0.5
"""Share of new words from which "much is added"."""
SHORTENED = 0.6
"""Share of the earlier answer's words below which "much is left out"."""


def classify(existing: str, revised: str, question: str, context: str) -> str:
    """One of `CLASSES`, for the answer `existing` that became `revised` after reading `context`.

    Words of the question say nothing new. Synonyms are told from news by where they come from: a word that neither
    the earlier answer nor the new excerpts hold is the model's own.
    """
    if words(existing) == words(revised):
        return REPEATS
    if abstains(existing):
        return REPEATS if abstains(revised) else ADDS
    asked = content(question)
    before, after = content(existing) - asked, content(revised) - asked
    gained = (after - before) & content(context)
    news = len(gained) / len(content(revised)) if gained else 0.0
    kept = len(before & after) / len(before) if before else 1.0
    missing = values(existing) - values(revised)
    much_changed = news >= REPLACED or len(words(revised)) < SHORTENED * len(words(existing))
    if missing or (kept < KEPT and much_changed):
        return LOSES
    added = (values(revised) - values(existing) - values(question)) & values(context)
    return ADDS if added or news >= ADDED else PARAPHRASE
