"""The judge: an answer to statements, statements to verdicts, an answer to the questions it answers.

It knows words, not meaning: `entailment` scores each statement against the excerpts, and sentences are cut by closed
lists of English words. `scripts/quality` measures it and counts what it cannot see.

>>> statements("What is Acme?", "Acme is a bakery in Delhi. It was founded in 1990.")
['Acme is a bakery in Delhi.', 'Acme was founded in 1990.']
>>> verdicts(["Acme is a bakery. It was founded in 1990."], ["Acme was founded in 1991."])[0].reason
'number not found: 1991'
"""

import re
from collections.abc import Sequence
from math import fsum

from minirag import prompts
from minirag.offline.clauses import BE, HAVE, MODAL
from minirag.offline.entailment import Passage, Verdict
from minirag.offline.lexicon import content_words, weight
from minirag.text import sentence_spans

RELEVANT = 0.4
"""A sentence that holds this share of the weight of a question's words has to do with it."""

_AUXILIARY = "|".join(sorted(BE | HAVE | MODAL))
_VERB = re.compile(rf"\b(?:{_AUXILIARY}|be|been|became|becomes?)\b|n['’]t\b|\w+['’](?:s|re|ve|ll|m) ", re.IGNORECASE)
_CLAUSE = re.compile(
    rf"(?P<subject>[^,;:]{{1,80}}?)\s(?P<verb>{_AUXILIARY})\b(?!\s*not\W*$)\s*(?P<rest>.+)", re.DOTALL | re.IGNORECASE
)
_PRONOUN = re.compile(r"(?i:it|they|he|she|the company)(?=\s+[a-z])")
_OPENING = re.compile(
    r"^(?:(?:yes|yeah|no|well|sure|of course|indeed|oh|ok(?:ay)?)\s*[,.!…]+|yes|yeah)\s+(?:and\s+)?(?=\S)",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    rf"""
      {re.escape(prompts.NOT_STATED.rstrip("."))}
    | \bi\s(?:do\snot|don['’]t|cannot|can['’]t|could\snot|couldn['’]t)\s(?:know|say|tell|answer|find|determine)\b
    | \bi(?:\sam|['’]m)\s(?:not\s(?:sure|certain|able)|unable|afraid|sorry)\b | \bi\shave\sno\s(?:idea|information)
    | \b(?:document|text|excerpt|context|passage)s?\s(?:provided\s)?(?:do(?:es)?|did)(?:\snot|n['’]t)\s
        (?:say|state|mention|specify|provide|contain|include|give|answer|tell)
    | \b(?:not\senough|insufficient|no)\s(?:information|context)\b | ^(?:unknown|n/?a|not\s(?:stated|mentioned))\W*$
    | 不知道|无法(?:确定|回答)|(?:没有|未)(?:提到|提及|说明) | わかりません|記載(?:されていません|がありません)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_DETERMINERS = frozenset("the a an our its their his her this these all in on".split())
_LEAD = re.compile(
    r"^(?:In|On|At|By|Since|After|Before|During|Unlike|As|Over|Of|When|While|If|For|Under|Although|Later|Then)\b"
    r"[^,]{1,60}, (?=\S)"
)
_LETTER = re.compile(r"\w")
_ASKS = re.compile(r"[?？][\"'”’」』)]*$")


def statements(question: str, answer: str) -> list[str]:
    """Return the standalone statements of `answer`, in order; none for an answer that asserts nothing.

    An answer without a verb of its own is joined to the question, because a verdict sees statements only.
    """
    asserted: list[str] = []
    subject = ""
    for start, end in sentence_spans(answer):
        sentence = _OPENING.sub("", " ".join(answer[start:end].split()), count=1)
        if not _LETTER.search(sentence) or _REFUSAL.search(sentence) or _ASKS.search(sentence):
            continue
        pronoun = _PRONOUN.match(sentence)
        clause = None if pronoun else _clause(sentence)
        if clause and content_words(clause["subject"]):
            subject = clause["subject"]
        asserted.append(subject + sentence[pronoun.end() :] if pronoun and subject else sentence)
    question = " ".join(question.split())
    if len(asserted) == 1 and question and _is_fragment(asserted[0]):
        return [f"{question.rstrip('?？.! ')}? {asserted[0]}"]
    return asserted


def verdicts(excerpts: Sequence[str], statements: Sequence[str]) -> list[Verdict]:
    """Return one verdict per statement: does it follow from the excerpts together?"""
    passage = Passage(excerpts)
    return [passage.judge(statement) for statement in statements]


def reverse(answer: str, n: int) -> list[tuple[str, bool]]:
    """Return `n` different questions that `answer` answers, each with whether the answer evades.

    They are spread over the statements of the answer, so that a rambling answer gets rambling questions.
    """
    asserted = statements("", answer)
    sources = asserted or [" ".join(answer.split())[:200] or "it"]
    if len(sources) > n > 1:
        sources = [sources[i * (len(sources) - 1) // (n - 1)] for i in range(n)]
    forms = [_questions(source) for source in sources]
    turns = [form[(turn + i) % len(form)] for turn in range(4) for i, form in enumerate(forms)]
    questions = list(dict.fromkeys(turns))
    while len(questions) < n:
        questions.append(f"{questions[0].rstrip('?？')} ({len(questions) + 1})?")
    return [(question, not asserted) for question in questions[:n]]


def _clause(text: str) -> re.Match[str] | None:
    """Return the subject, auxiliary verb and rest of a clause; None if it has none that is safe to repeat."""
    match = _CLAUSE.match(text)
    return match if match and len(match["subject"].split()) <= 12 else None


def _is_fragment(sentence: str) -> bool:
    """Return whether a sentence has no verb of its own: "Delhi", "in 1990", "yes" (but "Sales rose." is one)."""
    words = sentence.split()
    is_ended = sentence.endswith(".") and sentence[0].isupper() and len(words) > 1 and words[-1][0].islower()
    return not (_VERB.search(sentence) or sentence.endswith("。") or is_ended) and len(words) <= 8


def _questions(sentence: str) -> list[str]:
    """Return questions about one sentence, the most specific first."""
    text = sentence.rstrip(" .!?。！？")
    text = _LEAD.sub("", text) or "it"
    if text.split()[0].lower() in _DETERMINERS:
        text = text[0].lower() + text[1:]
    words = text.split()
    weights = [max(map(weight, content_words(word)), default=0.0) for word in words]
    telling = sorted(sorted(range(len(words)), key=lambda i: -weights[i])[:10])
    whole = f"What about {' '.join(words[i].strip(',;:') for i in telling)}?"
    if not (match := _clause(text)):
        topic = re.split(r"[,;:] ", text, maxsplit=1)[0].split()
        return [whole, f"What is {' '.join(topic[:8])}?", f"Why {' '.join(topic[:12])}?"]
    subject, verb = match["subject"], match["verb"].lower()
    rest = match["rest"].split()
    done = next((i for i, word in enumerate(rest[:3]) if word.endswith(("ed", "en"))), None)
    opening, head = ("What", rest[:4]) if done is None else ("How", rest[: done + 1])
    how = f"{opening} {verb} {subject} {' '.join(head)}?"
    return [how, whole, f"What {verb if verb in BE else 'is'} {subject}?"]


def needed(sentences: Sequence[str], question: str) -> list[int]:
    """Return the numbers (from 1) of the sentences that a question asks about."""
    return [number for number, text in enumerate(sentences, 1) if _share(question, text) >= RELEVANT]


def useful(excerpts: Sequence[str], question: str, answer: str) -> list[tuple[bool, str]]:
    """Return for each excerpt whether one of its sentences holds much of the answer or the question, and why."""
    verdicts = []
    for excerpt in excerpts:
        sentences = [excerpt[start:end] for start, end in sentence_spans(excerpt)]
        shares = [(max(_share(answer, text), _share(question, text)), text) for text in sentences]
        share, sentence = max(shares, key=lambda pair: pair[0], default=(0.0, ""))
        says, silent = f"says: {' '.join(sentence.split()[:9])}", "no sentence shares enough with question or answer"
        verdicts.append((share >= RELEVANT, says if share >= RELEVANT else silent))
    return verdicts


def _share(question: str, text: str) -> float:
    """Return the weight of the words of `question` that `text` holds ÷ the weight of all of them."""
    words, held = set(content_words(question)), set(content_words(text))
    total = fsum(map(weight, words))  # the order of a set differs from process to process, an exact sum does not
    return fsum(weight(word) for word in words & held) / total if total else 0.0
