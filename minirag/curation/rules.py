"""Which examples are worth training on: each gets the reason why it is not, or none.

The rules read the texts alone, so they judge the log of a run and any chat file alike. No model is asked: whether an
example was rightly dropped can be checked by reading it. minirag's own prompts and the templates of LlamaIndex and
LangChain are taken apart; any other prompt is a question without excerpts.
"""

import os
import re
import zlib
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from minirag import prompts, training
from minirag.curation.quantities import LIST_MARK, content, unsupported, values
from minirag.message_log import MessageLog
from minirag.prompts import NOT_STATED
from minirag.questions import PAGE_GUESSED, PageKey, Question, near_duplicate
from minirag.text import sentence_spans, words
from minirag.training import Example, TrainingFile

# -- what a prompt consists of -----------------------------------------------------------------------------

_TEMPLATES = (
    re.compile(  # LlamaIndex, chat refine
        r"New Context: (?P<context>.*)\nQuery: (?P<question>.*?)\nOriginal Answer: (?P<existing>.*)\nNew Answer:\s*\Z",
        re.DOTALL,
    ),
    re.compile(  # LlamaIndex, first answer; LangChain, and most hand-written ones
        r"(?:\A|\n)(?P<context>.*)\n\s*(?:Question|Query): *(?P<question>[^\n]+)\n*(?:\w+ )*Answer:\s*\Z",
        re.DOTALL | re.IGNORECASE,
    ),
)


class Parts(NamedTuple):
    """A prompt taken apart; `existing` is the answer to refine, None in a draft."""

    question: str
    context: str = ""
    existing: str | None = None


def parts(messages: Sequence[Mapping[str, Any]]) -> Parts:
    """Return the parts of a chat prompt, without its reply.

    >>> parts([{"role": "user", "content": "The city runs it.\\n\\nQuestion: Who runs it?\\nAnswer:"}])
    Parts(question='Who runs it?', context='The city runs it.\\n', existing=None)
    """
    if prompt := prompts.parse(messages):
        context = "\n".join(excerpt.text for excerpt in prompt.excerpts)
        return Parts(prompt.question, context, prompt.answer if prompt.task == "refine" else None)
    text = "\n".join(str(m["content"]) for m in messages if m["role"] in {"user", "tool"} and m.get("content"))
    for template in _TEMPLATES:
        if match := template.search(text):
            return Parts(match["question"], match["context"], match.groupdict().get("existing"))
    return Parts(text)


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


CAPITALISED = 0.3
"""From this share of capitalised words on, capitals mark no names: German nouns, headlines."""


def unsupported_names(text: str, source: str) -> list[str]:
    """Return the capitalised words of `text`, sentence openings aside, that `source` does not hold in any form.

    >>> unsupported_names("It is run by Nord and by Ostbahn.", "It is run by NORD since last year.")
    ['Ostbahn']
    """
    if _names(source)[1] > CAPITALISED:
        return []
    stems = {word[:4] for word in words(source)}
    return sorted({name for name in _names(text)[0] if name.casefold()[:4] not in stems})


def _names(text: str) -> tuple[list[str], float]:
    """Return the capitalised words behind the first of each sentence, and which share of the words there they are."""
    plain = LIST_MARK.sub("", text)
    inner = [word for start, end in sentence_spans(plain) for word in re.findall(r"[^\W_]+", plain[start:end])[1:]]
    names = [word for word in inner if len(word) > 1 and word[0].isupper()]
    return names, len(names) / len(inner) if inner else 0.0


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


# -- which examples are worth training on ------------------------------------------------------------------

MAX_PAGE_SHARE = 0.2
"""Of all examples, for one page; in a document of few pages, twice each page's even share."""
REFINED = ", in the answer that it refines"


def curate(examples: Sequence[Example]) -> list[Example]:
    """Return the examples with `dropped`, `detail` and `refine` filled in, by the first rule that applies.

    Reasons: `refusal`, `refers to the context`, `repeats`, `paraphrase`, `loses facts`, `unsupported number`,
    `unsupported name`, `near-duplicate`, `too much of one page`. Examples that are dropped already stay as they are.
    """
    curated: list[Example] = []
    unsupported_replies: dict[tuple[str, ...], Example] = {}
    near_duplicates = NearDuplicates()
    for number, original in enumerate(examples):
        # 1. what the reply itself shows
        prompt = parts(original.messages[:-1])
        example = original if original.dropped else _by_itself(original, prompt)
        # 2. a refine step whose earlier answer, anywhere along the chain, holds what its excerpts do not
        origin = unsupported_replies.get(tuple(words(prompt.existing or "")))
        if origin is not None and not example.dropped:
            detail = origin.detail.removesuffix(REFINED) + REFINED
            example = replace(example, dropped=origin.dropped, detail=detail)
        if example.dropped.startswith("unsupported"):
            unsupported_replies[tuple(words(example.reply))] = example
        # 3. question and reply again; the rest of the prompt is the same for all questions about a page
        if not example.dropped:
            kind = "" if prompt.existing is None else "refine "  # a refine step does not repeat its draft
            first = near_duplicates.add(number, f"{kind}{prompt.question}\n{example.reply}")
            if first is not None:
                example = replace(example, dropped="near-duplicate", detail=f"of example {first}")
        curated.append(example)
    # 4. the last examples of a page that has too many
    pages = [(number, e.page) for number, e in enumerate(curated) if not e.dropped and e.page is not None]
    counts = Counter(page for _, page in pages)
    limit = max(MAX_PAGE_SHARE, 2 / len(counts)) * len(pages) if len(counts) > 1 else len(pages)
    taken: Counter[Hashable] = Counter()
    for number, page in pages:
        taken[page] += 1
        if taken[page] > limit:
            detail = f"{counts[page]} of {len(pages)} examples"
            curated[number] = replace(curated[number], dropped="too much of one page", detail=detail)
    return curated


def _by_itself(example: Example, prompt: Parts) -> Example:
    """Apply the rules for which the other examples do not matter."""
    reply, kind = example.reply, None
    if prompt.existing is not None:
        kind = classify(prompt.existing, reply, prompt.question, prompt.context)
    reason = detail = ""
    if abstains(reply):
        reason = "refusal"
    elif mention := reference(reply, prompt.context):
        reason, detail = "refers to the context", mention
    elif kind not in (None, ADDS):
        reason = str(kind)
    elif prompt.context:
        source = f"{prompt.context}\n{prompt.existing or ''}\n{prompt.question}"
        if numbers := unsupported(reply, source):
            reason, detail = "unsupported number", ", ".join(numbers)
        elif names := unsupported_names(reply, source):
            reason, detail = "unsupported name", ", ".join(names)
    return replace(example, dropped=reason, detail=detail, refine=kind)


NEAR = 0.8
BANDS, ROWS = 8, 3
"""A text is compared with the first one that has the same 3 smallest hashes, in each of 8 classes of hashes."""


class NearDuplicates:
    """Finds texts that nearly repeat an earlier one: the same numbers, and at least `NEAR` of their word pairs shared.

    Shared as Jaccard has it. Hashes of the pairs choose at most 8 earlier texts to compare a text with (a form of
    MinHash, Broder 1997), so that a line of a long file takes no longer than one of a short file.

    >>> texts = NearDuplicates()
    >>> texts.add(1, "The fare is 3 euros."), texts.add(2, "the fare is 3 Euros"), texts.add(3, "The fare is 4 euros.")
    (None, 1, None)
    """

    def __init__(self) -> None:
        self._hashes: dict[int, set[int]] = {}
        self._first: dict[tuple[str | int, ...], int] = {}

    def add(self, number: int, text: str) -> int | None:
        """Remember a text, whose `number` is above all before; return that of the first nearly the same one, if any."""
        own, numbers = words(text), " ".join(sorted(values(text)))
        pairs = (f"{a} {b}" for a, b in zip(["", *own], [*own, ""], strict=True))
        hashes = {zlib.crc32(pair.encode("utf-8", "surrogatepass")) for pair in pairs}
        self._hashes[number] = hashes
        similar = set()
        for band in range(BANDS):
            smallest = sorted(value for value in hashes if value % BANDS == band)[:ROWS]
            similar.add(self._first.setdefault((numbers, band, *smallest), number))
        for earlier in sorted(similar - {number}):
            other = self._hashes[earlier]
            if len(hashes & other) >= NEAR * len(hashes | other):
                return earlier
        return None


# -- the training file of a run ------------------------------------------------------------------------------


def review_examples(
    examples: Sequence[Example],
    *,
    questions: Sequence[Question] = (),
    page_of: Mapping[str, PageKey] | None = None,
    keep_all: bool = False,
) -> list[Example]:
    """Return the examples with the reason why they are dropped, if they are; a `review` for `write_training_file`.

    Dropped are those that would give away an eval question among `questions` or a page that one is about (`page_of`
    maps chunk ids to pages), then what `curate` finds; with `keep_all` none of these.
    """
    page_of = page_of or {}
    asked_about = {q.id: page_of[q.chunk_id] for q in questions if PAGE_GUESSED not in q.flags}
    reviewed = [replace(example, page=asked_about.get(example.question)) for example in examples]
    if keep_all:
        return reviewed
    eval_questions = [question for question in questions if question.split == "eval"]
    eval_words = [words(question.text) for question in eval_questions]
    leaked = {q.id for q in questions if near_duplicate(words(q.text), eval_words) is not None}
    hidden = {page_of[q.chunk_id] for q in eval_questions}

    def leak(example: Example) -> str:
        if example.question in leaked:
            return "eval question"
        return "eval page in the prompt" if hidden.intersection(map(page_of.get, example.chunks)) else ""

    return curate([replace(example, dropped=example.dropped or leak(example)) for example in reviewed])


def write_training_file(log: MessageLog, path: str | os.PathLike[str], **options: Any) -> TrainingFile:
    """Write the log's answers that are worth training on; `minirag.write_training_file`.

    `options` are those of `training.write_training_file`; without a `review` among them, `review_examples` drops
    refusals, duplicates and the like.
    """
    return training.write_training_file(log, path, **{"review": review_examples, **options})
