"""What a text consists of: its sentences, its words, and its tokens for chunks, prompts, budgets and prices.

Token counts are exact for OpenAI's models, whose two vocabularies ship with the package, because tiktoken would
download them, and for a `tokenizer.json` of your own. Other families get an upper bound: a bundled vocabulary's count
times a measured factor. Models of unknown families are counted in UTF-8 bytes.
"""

import lzma
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from minirag.errors import InputError

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
_BEFORE_NAMES = frozenset("mr mrs ms dr prof st messrs gov hon rev gen col lt sgt rep sen capt vs cf bzw hr fr".split())
_BEFORE_NUMBERS = frozenset("no nos nr fig figs sec secs art vol pp ch para approx abs".split())
_OTHERS = "jr sr inc ltd co corp etc al dept est eds usw jan feb mar apr jun jul aug sep sept oct nov dec".split()
_ABBREVIATIONS = _BEFORE_NAMES.union(_BEFORE_NUMBERS, _OTHERS)
_OPENERS = frozenset(  # a sentence starts here rather than goes on after "Inc." or "J."
    "the this these those that a an in on at as it its we our he his she her they their there if when while for from "
    "but and however no such any all each see der die das ein eine es er sie wir im".split()
)
_MONTHS = frozenset("Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split())


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the sentences of `text` as (start, end) character offsets.

    The spans are in order, never empty, and tile the text: white space after a sentence belongs to it. List items
    and headings are sentences of their own. After an abbreviation ("Inc. The", "Inc. Annual") the next word decides.

    >>> [text[a:b] for text in ["Dr. Lee paid $3.5 million. Why? 他来了。真的！"] for a, b in sentence_spans(text)]
    ['Dr. Lee paid $3.5 million. ', 'Why? ', '他来了。', '真的！']
    """
    spans: list[tuple[int, int]] = []
    first = len(text) - len(text.lstrip())  # white space before the first sentence belongs to it
    start = last = 0
    ends = (match.span() for mark, end in _SENTENCE_ENDS.items() if mark in text for match in end.finditer(text))
    for stop, after in sorted(ends):
        if stop < last:  # inside the end before it, such as the second mark of "?!"
            continue
        last = after
        if after <= first or after == len(text):
            continue
        mark, following = text[stop], text[after]
        if mark in ".!?…" and (following.islower() or following in ".,;:)"):
            continue
        if mark == "." and _is_abbreviation(text, stop, after):
            continue
        spans.append((start, after))
        start = after
    if start < len(text):
        spans.append((start, len(text)))
    return spans


def _is_abbreviation(text: str, stop: int, after: int) -> bool:
    """Return True if the full stop at `stop` belongs to an abbreviation, an initial, a list number or an ordinal."""
    if stop > 6 and text[stop - 7 : stop].isalpha():  # most words are longer than every abbreviation
        return False
    words = text[max(0, stop - 12) : stop].rsplit(None, 1)
    word = words[-1].lstrip("([{\"'“„‘«").lower() if words else ""
    if len(word) > 1 and word not in _ABBREVIATIONS and not word.isdigit() and word[-2] != ".":
        return False
    following = re.split(r"\W", text[after : after + 20], maxsplit=1)[0]
    if word.isdigit():
        _, newline, line = text[max(0, stop - 8) : stop].rpartition("\n")
        starts_line = line.strip() == word and (newline or stop <= 8)
        return following in _MONTHS or (len(word) <= 2 and bool(starts_line))
    if word in _BEFORE_NUMBERS:
        return following[:1].isdigit()
    return word in _BEFORE_NAMES or following.lower() not in _OPENERS


_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+")


def words(text: str) -> list[str]:
    """Return all words in lower case, in order; CJK text is split into characters.

    >>> words("Tram 7 runs."), words("票价3元")
    (['tram', '7', 'runs'], ['票', '价', '3', '元'])
    """
    return _WORD.findall(text.casefold())


def counted(number: int, noun: str) -> str:
    """Return `1 page`, `2 pages`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def dollars(usd: float | None) -> str:
    """Return US dollars to the cent, below a dollar to a hundredth of a cent; None is unknown.

    >>> dollars(12.5), dollars(0.0123), dollars(0.0000123), dollars(-12.5), dollars(0.0), dollars(None)
    ('$12.50', '$0.0123', '<$0.0001', '-$12.50', '$0', 'unknown')
    """
    if not usd:
        return "unknown" if usd is None else "$0"
    if usd < 0:
        return f"-{dollars(-usd)}"
    if usd < 0.00005:
        return "<$0.0001"
    return f"${usd:,.2f}" if usd >= 1 else f"${usd:.4f}"


BYTES = "bytes"  # the upper bound: a byte-level vocabulary never makes more tokens of a text than it has UTF-8 bytes
TEMPLATE = 64  # tokens that a chat template may add to a request by itself: gpt-oss' adds about 60, Llama's 27
_PATTERNS = {  # how tiktoken (MIT, OpenAI) splits a text into words
    "cl100k_base": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    "o200k_base": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
_PREFIX = re.compile(r"(?:openai/|azure/|openrouter/|ft:)*")
_EXACT = {
    "o200k_base": re.compile(r"(?:(?:chatgpt-|gpt-)4o|gpt-4\.[15]|gpt-[56](?:\.\d+)?|o[134]|offline)(?=[-:]|$)"),
    "cl100k_base": re.compile(r"(?:gpt-4|gpt-3\.?5|text-embedding-3|(?:text-embedding-)?ada-002)(?=[-:]|$)"),
}
# The most tokens that a family makes for each one of cl100k_base, the poorest vocabulary where scripts differ most:
# measured with the families' tokenizer files on 600 characters at a time of a 10-K, its log, CSV, JSON, Python,
# Wikipedia and texts in 36 languages. The highest: Llama 3 1.00, DeepSeek V3 1.30, Qwen 3, Gemma 3 and Gemini 1.48,
# Mistral and Llama 2 1.78, Claude of 2023 1.95, SmolLM2 2.68. Families that were not measured get 2.7 as well.
_FAMILIES = {
    1.0: re.compile(r"llama[-_ ]?3"),
    1.3: re.compile(r"deepseek"),
    1.5: re.compile(r"qwen|qwq|gemma|gemini"),
    1.8: re.compile(r"(?:mi|mini|magi|code|dev)stral|(?:mix|pix)tral|llama[-_ ]?2|codellama|vicuna"),
    2.7: re.compile(
        r"claude|smollm|kimi|moonshot|glm|\bphi-?\d|grok|granite|command-|nova-|minimax|olmo|nemotron|ernie|hunyuan"
        r"|(?<!code)llama(?![-_ ]?[23])"
    ),
}


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """Count the tokens of text and of chat messages; get one from `for_model` or `encoding`.

    `name` is that of a bundled vocabulary, "bytes" or the path of a `tokenizer.json`; `exact` tells whether the counts
    are the model's; `label` says what is counted. A count is `factor` times the vocabulary's, but at most the bytes.
    """

    name: str
    exact: bool
    label: str
    factor: float = 1.0

    @property
    def encode(self) -> Callable[[str], Sequence[int]]:
        """Text → its token numbers; a special token such as `<|endoftext|>` in it is plain text."""
        return _encoder(self.name)

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`.

        >>> encoding("cl100k_base").count("NVIDIA's fiscal year"), for_model("qwen3").count("NVIDIA's fiscal year")
        (5, 8)
        """
        count = len(self.encode(text))
        return count if self.factor == 1 else min(math.ceil(self.factor * count), len(text.encode("utf-8", "replace")))

    def count_messages(self, messages: Iterable[Mapping[str, str]]) -> int:
        """Return the prompt tokens of a chat request: 3 a message, its role and content, and 3 for the reply.

        OpenAI's reasoning models use one less; other models' templates may add `TEMPLATE`. Tools and reply schemas
        add an amount that is not known beforehand.

        >>> for_model("gpt-4o").count_messages([{"role": "user", "content": "What is 2 times 3?"}])
        15
        """
        total = sum(3 + self.count(message["role"]) + self.count(message["content"]) for message in messages) + 3
        return total if self.exact or self.name == BYTES else total + TEMPLATE

    def prefix(self, text: str, limit: int) -> int:
        """Return how many characters from the start of `text` make at most `limit` tokens, cut at a token border.

        At least one character fits where `limit` is 4 or more. Of bundled vocabularies only.

        >>> encoding("o200k_base").prefix("Basic net income per share", 3)
        16
        """
        length, tokens = 0, self.encode("")
        while length < len(text) and len(tokens) < limit + 10:  # the last tokens of a cut text are not its own
            length = min(len(text), 2 * length + 4 * limit + 16)
            tokens = self.encode(text[:length])
        if len(tokens) > limit:
            encoded = _load(self.name).decode_bytes(tokens[:limit])
            length = min(length, max(1, len(encoded.decode("utf-8", "ignore"))))
        while self.count(text[:length]) > limit:  # the cut text may be split differently and have a token more
            length -= 1
        return length


@lru_cache
def encoding(name: str) -> Tokenizer:
    """Return the tokenizer of a bundled vocabulary, `cl100k_base` or `o200k_base`. Raises InputError for another."""
    if name not in _PATTERNS:
        raise InputError(f"No vocabulary is called {name!r}: choose one of {', '.join(_PATTERNS)}.")
    return Tokenizer(name, True, name)


def for_model(model: str, choice: str | None = None) -> Tokenizer:
    """Return the tokenizer of a model, named as any service names it (`gpt-4o`, `ft:gpt-4o:…`, `openai/gpt-4o`).

    `choice` is for models whose own vocabulary is not in the package: a bundled one, or a `tokenizer.json` or a folder
    that holds one. Without it a family's name gives a bound, and any other name UTF-8 bytes. Raises InputError for a
    `choice` that is neither.
    """
    if choice is not None:
        path = Path(choice) / "tokenizer.json" if Path(choice).is_dir() else Path(choice)
        name = str(path) if path.is_file() else encoding(choice).name
        _encoder(name)  # raises InputError for a file that cannot be read
    bare = _PREFIX.sub("", model, count=1)
    if own := next((vocabulary for vocabulary, pattern in _EXACT.items() if pattern.match(bare)), None):
        return Tokenizer(own, True, f"{own}, the vocabulary of {model}")
    if choice is not None:
        return Tokenizer(name, False, f"{choice}, the user's choice for {model}")
    bare = bare.rpartition("/")[2].lower()
    if bare.startswith("gpt-oss"):
        return Tokenizer("o200k_base", False, f"o200k_base, the vocabulary of {model}")
    # a distilled model has the names of two families
    if factors := [factor for factor, pattern in _FAMILIES.items() if pattern.search(bare)]:
        label = f"{max(factors)} × cl100k_base, an upper bound for the family of {model}"
        return Tokenizer("cl100k_base", False, label, max(factors))
    return Tokenizer(BYTES, False, f"UTF-8 bytes, an upper bound: the vocabulary of {model} is not known")


def is_cut(messages: Iterable[Mapping[str, str]], usage: Mapping[str, Any]) -> bool:
    """Return True if a service has read far fewer tokens of a prompt than any family's vocabulary makes of it.

    The smallest counts measured are those of Gemma, 0.83 of o200k_base in Japanese. Tokens from a cache have been read;
    no context is as short as 128 tokens, so a smaller number is just wrong.
    """
    tokens, details = usage.get("prompt_tokens"), usage.get("prompt_tokens_details")
    if not isinstance(tokens, int) or tokens < 128:
        return False
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else 0
    return tokens + (cached or 0) < 0.75 * encoding("o200k_base").count_messages(messages)


@lru_cache
def _encoder(name: str) -> Callable[[str], Sequence[int]]:
    """Return what encodes a text with a tokenizer of this name. Raises InputError for a file that cannot be read."""
    if name == BYTES:
        return lambda text: text.encode("utf-8", "surrogatepass")
    if name in _PATTERNS:
        encode: Callable[[str], Sequence[int]] = _load(name).encode_ordinary
        return encode
    try:
        import tokenizers

        file = tokenizers.Tokenizer.from_file(name)
    except ImportError:
        raise InputError(f"{name} needs a package to be read: pip install tokenizers.") from None
    except Exception as error:  # its parser raises nothing narrower
        raise InputError(f"{name} cannot be read as a tokenizer.json: {error}.") from None
    return lambda text: file.encode(text.encode("utf-8", "replace").decode(), add_special_tokens=False).ids


@lru_cache
def _load(name: str) -> Any:  # a tiktoken.Encoding
    import tiktoken

    return tiktoken.Encoding(name, pat_str=_PATTERNS[name], mergeable_ranks=vocabulary(name), special_tokens={})


@lru_cache
def vocabulary(name: str) -> dict[bytes, int]:
    """Unpack a vocabulary: return its tokens with their numbers, the commonest first.

    Its file has one byte for the length of each token in order of rank, a zero, and all tokens.

    >>> vocabulary("cl100k_base")[b" revenue"]
    13254
    """
    packed = Path(__file__).with_name("data") / f"{name}.xz"
    lengths, _, tokens = lzma.decompress(packed.read_bytes()).partition(b"\0")
    return {tokens[end - n : end]: rank for rank, (n, end) in enumerate(zip(lengths, accumulate(lengths), strict=True))}
