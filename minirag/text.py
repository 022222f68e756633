"""Sentence borders and token counts, for chunks, prompts, budgets and prices.

Counts are exact for models whose vocabulary is known, and UTF-8 bytes, an upper bound, for all others. The two
vocabularies ship with the package, because tiktoken would download them; which model uses which is decided here,
because tiktoken's own table is wrong for tuned models and lacks the newer ones.

>>> for_model("ft:gpt-4o-mini:acme::9xyz").count("Basic net income per share")
5
"""

import lzma
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain
from pathlib import Path
from typing import TYPE_CHECKING

from minirag.errors import InputError

if TYPE_CHECKING:
    import tiktoken

# A sentence may end where a mark is followed by its pattern. One search per mark is ten times as fast as one for all.
_LATIN_END = r"""(?<![.!?…]{2}) [.!?…]*+ ["'”’»›)\]]*+ \s+"""  # white space is required: not in 3.5 or example.com
_CJK_END = r"[。！？｡]* [」』”’）》】]* \s*"
_LINE_END = r"""
    [ \t]*+ \n \s*                                             # a blank line
    | (?= [ \t]*+ (?: [•●▪◦‣∙] | [*–-][ ] | [#]{1,6}[ ] | \d{1,2}[.)][ ] ) )  # before a list item or a heading
"""
_SENTENCE_ENDS = {
    mark: re.compile(rf"{re.escape(mark)} (?: {rest} )", re.VERBOSE)
    for marks, rest in ((".!?…", _LATIN_END), ("。！？｡", _CJK_END), ("\n", _LINE_END))
    for mark in marks
}
_LETTERS = re.compile(r"\w*")
_BEFORE_NAMES = frozenset("mr mrs ms dr prof st messrs gov hon rev gen col lt sgt rep sen capt vs cf bzw hr fr".split())
_BEFORE_NUMBERS = frozenset("no nos nr fig figs sec secs art vol pp ch para approx abs".split())
_ABBREVIATIONS = _BEFORE_NAMES.union(
    _BEFORE_NUMBERS,
    "jr sr inc ltd co corp etc al dept est eds usw jan feb mar apr jun jul aug sep sept oct nov dec".split(),
)
_OPENERS = frozenset(  # a sentence starts here rather than goes on after "Inc." or "J."
    "the this these those that a an in on at as it its we our he his she her they their there if when while for from "
    "but and however no such any all each see der die das ein eine es er sie wir im".split()
)
_MONTHS = frozenset("Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split())

BYTES = "bytes"
"""The upper bound: a byte-level vocabulary never makes more tokens of a text than it has UTF-8 bytes."""

_PATTERNS = {  # how tiktoken (MIT, OpenAI) splits a text into words
    "cl100k_base": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    "o200k_base": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
ENCODINGS = (*_PATTERNS, BYTES)
_PREFIX = re.compile(r"(?:openai/|azure/|openrouter/|ft:)*")
_MODELS = (
    ("o200k_base", re.compile(r"(?:(?:chatgpt-|gpt-)4o|gpt-4\.[15]|gpt-[56](?:\.\d+)?|o[134]|offline)(?=[-:]|$)")),
    ("cl100k_base", re.compile(r"(?:gpt-4|gpt-3\.?5|text-embedding-3|(?:text-embedding-)?ada-002)(?=[-:]|$)")),
)
_LONG_SPACE = re.compile(r"(\s{500000})")  # tiktoken panics on one run of about a million white-space characters


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the sentences of `text` as (start, end) character offsets.

    The spans are in order, never empty, and tile the text: white space after a sentence belongs to it. List items
    and headings are sentences of their own. After an abbreviation ("Inc. The", "Inc. Annual") the next word decides.

    >>> [text[a:b] for text in ["Dr. Lee paid $3.5 million. Why? 他来了。真的！"] for a, b in sentence_spans(text)]
    ['Dr. Lee paid $3.5 million. ', 'Why? ', '他来了。', '真的！']
    """
    spans: list[tuple[int, int]] = []
    length = len(text)
    start, first = 0, length - len(text.lstrip())  # white space before the first sentence belongs to it
    last = 0
    ends = (match.span() for mark, end in _SENTENCE_ENDS.items() if mark in text for match in end.finditer(text))
    for stop, after in sorted(ends):
        if stop < last:  # inside the end before it, such as the second mark of "?!"
            continue
        last = after
        if after <= first or after == length:
            continue
        mark, following = text[stop], text[after]
        if mark in ".!?…" and (following.islower() or following in ".,;:)"):
            continue
        if mark == "." and _is_abbreviation(text, stop, after):
            continue
        spans.append((start, after))
        start = after
    if start < length:
        spans.append((start, length))
    return spans


def _is_abbreviation(text: str, stop: int, after: int) -> bool:
    """Return True if the full stop at `stop` belongs to an abbreviation, an initial, a list number or an ordinal."""
    if stop > 6 and text[stop - 7 : stop].isalpha():  # most words are longer than every abbreviation
        return False
    words = text[max(0, stop - 12) : stop].rsplit(None, 1)
    word = words[-1].lstrip("([{\"'“„‘«").lower() if words else ""
    if len(word) > 1 and word not in _ABBREVIATIONS and not word.isdigit() and word[-2] != ".":
        return False
    following = _LETTERS.match(text, after).group()  # type: ignore[union-attr]  # it matches the empty string too
    if word.isdigit():
        _, newline, line = text[max(0, stop - 8) : stop].rpartition("\n")
        starts_line = line.strip() == word and (newline or stop <= 8)
        return following in _MONTHS or (len(word) <= 2 and bool(starts_line))
    if word in _BEFORE_NUMBERS:
        return following[:1].isdigit()
    return word in _BEFORE_NAMES or following.lower() not in _OPENERS


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """Counts the tokens of text and of chat messages; get one from `for_model` or `encoding`.

    `name` is one of `ENCODINGS`, `exact` tells whether the counts are the model's own, `label` says what is counted.
    """

    name: str
    exact: bool
    label: str

    def encode(self, text: str) -> list[int]:
        """Return the token numbers of `text`; a special token such as `<|endoftext|>` in it is plain text."""
        if self.name == BYTES:
            return list(text.encode("utf-8", "surrogatepass"))
        encode = _load(self.name).encode_ordinary
        if len(text) < 500_000:
            return encode(text)
        return list(chain.from_iterable(encode(part) for part in _LONG_SPACE.split(text) if part))

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`.

        >>> encoding("cl100k_base").count("NVIDIA's fiscal year"), encoding("bytes").count("年度")
        (5, 6)
        """
        return len(text.encode("utf-8", "surrogatepass")) if self.name == BYTES else len(self.encode(text))

    def count_messages(self, messages: Iterable[Mapping[str, str]]) -> int:
        """Return the prompt tokens of a chat request: 3 a message, its role and content, and 3 for the reply.

        Reasoning models use one less. Tools and reply schemas add an amount that is not known beforehand.

        >>> for_model("gpt-4o").count_messages([{"role": "user", "content": "What is 2 times 3?"}])
        15
        """
        return sum(3 + _count(self, message["role"]) + _count(self, message["content"]) for message in messages) + 3

    def prefix(self, text: str, limit: int) -> int:
        """Return how many characters from the start of `text` make at most `limit` tokens, cut at a token border.

        At least one character fits where `limit` is 4 or more.

        >>> encoding("o200k_base").prefix("Basic net income per share", 3)
        16
        """
        length = 0
        tokens: list[int] = []
        while length < len(text) and len(tokens) < limit + 10:  # the last tokens of a cut text are not its own
            length = min(len(text), 2 * length + 4 * limit + 16)
            tokens = self.encode(text[:length])
        if len(tokens) > limit:
            first = tokens[:limit]
            encoded = bytes(first) if self.name == BYTES else _load(self.name).decode_bytes(first)
            length = min(length, max(1, len(encoded.decode("utf-8", "ignore"))))
        while self.count(text[:length]) > limit:  # the cut text may be split differently and have a token more
            length -= 1
        return length


def encoding(name: str) -> Tokenizer:
    """Return the tokenizer of `cl100k_base`, `o200k_base` or `bytes`; raise InputError for any other name."""
    if name not in ENCODINGS:
        raise InputError(f"No encoding is called {name!r}: choose one of {', '.join(ENCODINGS)}.")
    exact = name != BYTES
    return Tokenizer(name, exact, name if exact else "UTF-8 bytes, an upper bound")


def for_model(model: str, choice: str | None = None) -> Tokenizer:
    """Return the tokenizer of a model, named as any service names it (`gpt-4o`, `ft:gpt-4o:…`, `openai/gpt-4o`).

    `choice` is the encoding that the user wants instead; its counts are called inexact. Without it an unknown model
    is counted in UTF-8 bytes. Raises InputError if `choice` names no encoding.
    """
    bare = _PREFIX.sub("", model, count=1)
    name = next((name for name, pattern in _MODELS if pattern.match(bare)), None)
    if choice is not None and choice != name:
        return Tokenizer(encoding(choice).name, False, f"{choice}, the user's choice for {model}")
    if name is None:
        return Tokenizer(BYTES, False, f"UTF-8 bytes, an upper bound: the vocabulary of {model} is not known")
    return Tokenizer(name, True, f"{name}, the vocabulary of {model}")


def example_limit(model: str) -> int:
    """Return the tokens of the longest training example; OpenAI cuts the end off a longer one.

    >>> example_limit("gpt-4.1-mini"), example_limit("gpt-3.5-turbo-0125")
    (65536, 16385)
    """
    return 16_385 if _PREFIX.sub("", model, count=1).startswith(("gpt-3.5", "gpt-35")) else 65_536


def ranks(name: str) -> Mapping[bytes, int]:
    """Return the tokens of a vocabulary with their numbers, the commonest first.

    >>> ranks("cl100k_base")[b" revenue"]
    13254
    """
    return _load(name)._mergeable_ranks


@lru_cache(64)
def _count(tokenizer: Tokenizer, text: str) -> int:
    """Count with the last results cached: all prompts start with the same system message."""
    return tokenizer.count(text)


@lru_cache
def _load(name: str) -> "tiktoken.Encoding":
    """Unpack a vocabulary: one byte for the length of each token in order of rank, a zero, and all tokens."""
    import tiktoken

    packed = Path(__file__).with_name("data") / f"{name}.xz"
    lengths, _, tokens = lzma.decompress(packed.read_bytes()).partition(b"\0")
    ends = accumulate(lengths)
    numbers = {tokens[end - n : end]: rank for rank, (n, end) in enumerate(zip(lengths, ends, strict=True))}
    return tiktoken.Encoding(name, pat_str=_PATTERNS[name], mergeable_ranks=numbers, special_tokens={})


CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
"""Chinese, Japanese and Korean, as a range for a character class of a regular expression."""
STEM = 5
"""Words are compared by their first five letters, so that "reduce" and "reduction" meet."""
_WORD = re.compile(rf"[{CJK}]|[^\W{CJK}]+")
_FUNCTION_WORDS = frozenset(
    """a about above after again against all also am an and any are as at be because been before being below between
    both but by can could did do does doing during each few for from further had has have having he her here hers him
    his how i if in include included includes including into is it its itself may me might more most must my no nor not
    of off on once only or other our ours out over own s same she should so some such t than that the their theirs them
    then there these they this those through to too under until up very was we were what when where which while who
    whom why will with within would you your yours""".split()
)


def words(text: str) -> list[str]:
    """Return all words in lower case, in order; CJK text is split into characters.

    >>> words("Tram 7 runs."), words("票价3元")
    (['tram', '7', 'runs'], ['票', '价', '3', '元'])
    """
    return _WORD.findall(text.casefold())


def content(text: str) -> set[str]:
    """Return the stems of the words that carry meaning: no function words, no numbers.

    >>> sorted(content("The reduction of 30 fares was reduced."))
    ['fares', 'reduc']
    """
    return {word[:STEM] for word in words(text) if word not in _FUNCTION_WORDS and not word[0].isdigit()}


def jaccard(one: Iterable[str], other: Iterable[str]) -> float:
    """Return the size of the intersection over the size of the union; 1.0 for two empty sets.

    >>> jaccard(["a", "b"], ["b"])
    0.5
    """
    a, b = set(one), set(other)
    return len(a & b) / len(a | b) if a or b else 1.0


def counted(number: int, noun: str) -> str:
    """Return `1 page`, `2 pages`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
