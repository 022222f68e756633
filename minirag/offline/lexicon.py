"""What a word is to the offline models (its stem, whether it carries meaning, how rare it is), and a text as a vector.

Everything is static: no corpus is read, so a word means the same in every text and in every process, and a question
and the passage that answers it still meet when they are embedded years apart. Texts that share rare words have a high
cosine.

>>> words("NVIDIA's revenues grew 1,234.50%, didn't they?")
['nvidia', 'revenu', 'grow', '1234.5', 'do', 'not', 'they']
>>> question, answer, other = embed(["Who audits the company?", "PwC audits the company.", "Rain fell on the hills."])
>>> bool(question @ answer > 0.2 > 0.1 > question @ other)
True
"""

import hashlib
import math
import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minirag.text import vocabulary

ENGLISH: dict[str, str] = tomllib.loads(Path(__file__).with_name("english.toml").read_text("utf-8"))
"""Lists of words: `verbs`, `irregular` forms, `stop_words` and `opposites`."""
CJK = r"\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff"
"""Chinese, Japanese and Korean, as a range for a character class of a regular expression."""
_TOKEN = re.compile(
    rf"""
      (?P<cjk>[{CJK}]+)
    | (?P<number>\d{{1,3}}(?:,\d{{3}})+(?!\d)(?:\.\d+)? | \d+(?:\.\d+)*)
    | (?P<initials>[^\W\d_](?:\.[^\W\d_])+(?![^\W_]))        # u.s. and e.g. are one word
    | (?P<word>(?:[a-z0-9]+|(?![{CJK}])[^\W_])+(?:'[^\W\d_]+)?)     # so are didn't and company's
    """,
    re.VERBOSE,
)
_SPELLING = {**dict.fromkeys(map(ord, "’‘ʼ`´"), "'"), **dict.fromkeys(map(ord, "™℠"), " "), 0xAD: "", 0x200B: ""}
"""One apostrophe for all; no trade marks, soft hyphens or zero-width spaces."""

_MEASURE = re.compile(r"[aeiouy]+[^aeiouy]+")

_IRREGULAR = dict(pair.split("=") for pair in ENGLISH["irregular"].split())
"""Irregular forms, and number words, which documents and answers mix freely with digits."""

_DERIVED = (
    "ization:is:1 isation:is:1 ational::2 ional:ion:1 ation::2 ative::2 ator::2 ate::2 at::2 bility:ble:1 ize:is:1 "
    "iz:is:1 ment::2 ness::1 cial:c:2 ical:ic:1 able::2 sion:s:2 tion:t:2 ity::2 ful::1"
).split()
"""Suffix, what stands for it, how many vowel-consonant groups must remain (Porter's measure)."""


def _inflected(word: str) -> str:
    """Return a word without its plural s, -ing or -ed."""
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        if word.endswith("ies") and len(word) > 4:
            word = word[:-3] + "y"
        else:
            word = word[:-2] if word.endswith(("sses", "shes", "ches", "xes", "zzes")) else word[:-1]
    for suffix in ("ing", "ied", "ed"):
        rest = word.removesuffix(suffix)
        if rest == word or not re.search("[aeiouy]", rest) or word.endswith("eed"):
            continue
        if suffix == "ied":
            return rest + "y"
        if len(rest) > 3 and rest[-1] == rest[-2] and rest[-1] not in "aeiouylsz":
            return rest[:-1]
        return rest if len(rest) > 2 else rest + "e"
    return word


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """Return the stem of one lower-case word; words with digits or of other scripts stay as they are."""
    if _IRREGULAR.get(word) == word:
        return word
    word = _IRREGULAR.get(word, word)
    if len(word) <= 3 or not word.isascii() or not word.isalpha():
        return word
    word = _inflected(word)
    if word.endswith("ly") and len(word) > 5 and not word.endswith("ply"):
        word = word[:-2]
    for suffix, replacement, measure in (rule.split(":") for rule in _DERIVED):
        rest = word.removesuffix(suffix)
        if rest != word and len(_MEASURE.findall(rest)) >= int(measure):
            word = rest + replacement
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


@lru_cache(maxsize=1 << 16)
def _expand(kind: str, text: str) -> tuple[str, ...]:
    """Return the words that `text`, matched by the group `kind` of `_TOKEN`, stands for."""
    if kind == "number":  # one spelling for equal values
        text = text.replace(",", "")
        text = text.rstrip("0").rstrip(".") if text.count(".") == 1 else text
        return (text if "." in text else text.lstrip("0") or "0",)
    if kind == "initials":
        return (text.replace(".", ""),)
    if kind == "word":
        if text in {"cannot", "can't", "won't", "shan't"}:
            return _IRREGULAR[text], "not"
        head, _, tail = text.partition("'")
        if tail == "t" and head.endswith("n"):  # didn't; a text may also hold "n't" alone
            return (stem(head[:-1]), "not") if len(head) > 1 else ("not",)
        return (stem(head if tail in {"s", "re", "ve", "ll", "d", "m"} else head + tail),)
    return tuple(text[i : i + 2] for i in range(len(text) - 1)) or (text,)


def words(text: str) -> list[str]:
    """Return the normalised words of `text` in order, stop words included.

    Letters are casefolded, accents dropped, English inflections stemmed; numbers keep their value
    ("1,234.50" is "1234.5"); hyphens separate; Chinese, Japanese and Korean runs become overlapping pairs
    of characters; punctuation gives nothing.

    >>> words("The U.S. year-end 10-K"), words("会社法")
    (['the', 'us', 'year', 'end', '10', 'k'], ['会社', '社法'])
    """
    if not text.isascii():  # fold compatibility forms and accents; Japanese voicing marks stay
        text = unicodedata.normalize("NFKD", text.translate(_SPELLING))
        letters = (c for c in text if c in "\u3099\u309a" or unicodedata.category(c)[0] != "M")
        text = unicodedata.normalize("NFC", "".join(letters))
    matches = _TOKEN.finditer(text.casefold())
    return [word for match in matches for word in _expand(match.lastgroup or "", match.group())]


STOP_WORDS = frozenset(stem(word) for word in ENGLISH["stop_words"].split())
"""Words that carry grammar rather than meaning, as `words` gives them ("us" is not one: it may be the U.S.)."""


def content_words(text: str) -> list[str]:
    """Return the `words` of `text` that are no stop words, in order."""
    return [word for word in words(text) if word not in STOP_WORDS]


_ENDINGS = ("", "e", "s", "ed", "ing", "ation", "ion", "y")
"""A stem is seldom a vocabulary entry itself; one of its commonest forms is."""

_COMMONEST, _RAREST = 250, 100_000
"""Ranks of the first whole words and of the last entry."""


@lru_cache(maxsize=1 << 16)
def weight(word: str) -> float:
    """Return how much `word` (as `words` gives it) tells, from about 0 (function words) to 1 (rare ones).

    An idf without a corpus: a byte-pair vocabulary is ordered by frequency, and by Zipf's law the logarithm
    of a word's rank is its information. A word that needs several tokens is rarer than all that need one.

    >>> weight("the") < weight("revenu") < weight("indemnif")
    True
    """
    if word in STOP_WORDS:
        return 0.05
    if word[0].isdigit():
        return min(1.0, 0.4 + 0.1 * len(word))  # every number up to 999 is one token: its length tells more
    tokens = vocabulary("cl100k_base")
    forms = (f" {word}{ending}".encode() for ending in (_ENDINGS if word.isascii() else ("",)))
    ranks = [tokens[form] for form in forms if form in tokens]
    if not ranks:
        return 1.0
    rank = max(min(ranks), _COMMONEST + 25)
    return min(1.0, math.log(rank / _COMMONEST) / math.log(_RAREST / _COMMONEST))


DIMENSIONS = 4096
"""Length of a vector unless the caller asks for another; with fewer, more words fall on the same number."""

_PAIR = 0.5  # what two neighbouring words count beside the two alone: they add word order
_OWN_LENGTH, _TITLE = 4.0, 12
"""A text that is not a question gets a part of this length that it shares with no other; shorter texts have less of it.

Without it a title of ten words would be closer to any question with two of them than the page that answers it."""


@lru_cache(maxsize=1 << 17)
def _feature(*pair: str) -> tuple[bytes, float]:
    """Return 16 fixed bytes that say where a word or a pair of words goes, and what it counts there."""
    value = math.prod(map(weight, pair)) ** (0.5 / len(pair))  # a root, because a shared feature counts in both texts
    return hashlib.blake2b(" ".join(pair).encode(), digest_size=16).digest(), value if len(pair) == 1 else _PAIR * value


def embed(texts: Sequence[str], dimensions: int = DIMENSIONS) -> NDArray[np.float32]:
    """Return one row per text: float32 of shape (len(texts), dimensions), each of unit length.

    A row depends on its own text's words in order, and on whether it ends with a question mark. All texts without a
    word share one row.
    """
    rows = np.empty((len(texts), dimensions), np.float32)
    for i, text in enumerate(texts):
        all_words = words(text)
        content = [word for word in all_words if word not in STOP_WORDS] or all_words

        # The features of all words. A repeated one counts more, but never twice as much; each goes to four places,
        # with a sign each, so that two features seldom meet in more than one.
        counts = Counter[tuple[str, ...]]([(word,) for word in content])
        counts.update(pairwise(content))
        features = [_feature(*pair) for pair in counts]
        codes = np.frombuffer(b"".join(code for code, _ in features), "<u4").reshape(-1, 4)
        times = np.array(list(counts.values()), float)
        values = np.array([value for _, value in features]) * 2 * times / (1 + times)
        signed = np.where(codes & 1, 0.5, -0.5) * values[:, None]
        vector = np.bincount(((codes >> 1) % dimensions).ravel(), signed.ravel(), dimensions).astype(float)

        # A unit vector that points elsewhere for any other words.
        stream = hashlib.shake_128(" ".join(content).encode()).digest(dimensions // 8 + 1)
        bits = np.unpackbits(np.frombuffer(stream, np.uint8), count=dimensions)
        own = np.where(bits, 1.0, -1.0) / math.sqrt(dimensions)
        if not text.rstrip().endswith(("?", "？", "؟")):
            vector += _OWN_LENGTH * min(1.0, len(content) / _TITLE) * own
        if not vector.any():  # a text without a word, or all of few dimensions cancel
            vector = own
        rows[i] = vector / np.linalg.norm(vector)
    return rows
