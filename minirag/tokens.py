"""Token counts, for chunks, prompts, budgets and prices.

Counts are exact for OpenAI's models, whose two vocabularies ship with the package, because tiktoken would download
them, and for a `tokenizer.json` of your own. Other families get an upper bound: a bundled vocabulary's count times a
measured factor. Models of unknown families are counted in UTF-8 bytes.

>>> for_model("ft:gpt-4o-mini:acme::9xyz").count("Basic net income per share")
5
"""

import lzma
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minirag.errors import InputError

if TYPE_CHECKING:
    import tiktoken

BYTES = "bytes"
"""The upper bound: a byte-level vocabulary never makes more tokens of a text than it has UTF-8 bytes."""
TEMPLATE = 64
"""Tokens that a chat template may add to a request by itself: gpt-oss' adds about 60, Llama's 27."""
_PATTERNS = {  # how tiktoken (MIT, OpenAI) splits a text into words
    "cl100k_base": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    "o200k_base": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
ENCODINGS = (*_PATTERNS, BYTES)
_PREFIX = re.compile(r"(?:openai/|azure/|openrouter/|ft:)*")
_EXACT = {
    "o200k_base": re.compile(r"(?:(?:chatgpt-|gpt-)4o|gpt-4\.[15]|gpt-[56](?:\.\d+)?|o[134]|offline)(?=[-:]|$)"),
    "cl100k_base": re.compile(r"(?:gpt-4|gpt-3\.?5|text-embedding-3|(?:text-embedding-)?ada-002)(?=[-:]|$)"),
}
# The most tokens that a family makes for each one of cl100k_base, the poorest vocabulary where scripts differ most.
# Measured with the families' tokenizer files (from packages on npm and PyPI) on 600 characters at a time of a 10-K, its
# log, CSV, JSON, Python, Wikipedia and Django's texts in 36 languages. The highest of all: Llama 3 1.00, DeepSeek V3
# 1.30, Qwen 3, Gemma 3 and Gemini 1.48 (a CSV's digits; else 1.30), Mistral and Llama 2 1.78, Claude's published
# vocabulary (2023) 1.95, SmolLM2 2.68. Families whose files were not at hand, and newer Claudes, get 2.7 as well.
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
_LONG_SPACE = re.compile(r"(\s{500000})")  # tiktoken panics on one run of about a million white-space characters


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """Counts the tokens of text and of chat messages; get one from `for_model` or `encoding`.

    `name` is one of `ENCODINGS` or the path of a `tokenizer.json`; `exact` tells whether the counts are the model's;
    `label` says what is counted. A count is `factor` times that of the vocabulary, but at most the bytes.
    """

    name: str
    exact: bool
    label: str
    factor: float = 1.0

    def encode(self, text: str) -> list[int]:
        """Return the token numbers of `text`; a special token such as `<|endoftext|>` in it is plain text."""
        encode = _encoder(self.name)
        if len(text) < 500_000:
            return encode(text)
        return list(chain.from_iterable(encode(part) for part in _LONG_SPACE.split(text) if part))

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`.

        >>> encoding("cl100k_base").count("NVIDIA's fiscal year"), for_model("qwen3").count("NVIDIA's fiscal year")
        (5, 8)
        """
        count = len(text.encode("utf-8", "surrogatepass")) if self.name == BYTES else len(self.encode(text))
        return count if self.factor == 1 else min(math.ceil(self.factor * count), len(text.encode("utf-8", "replace")))

    def count_messages(self, messages: Iterable[Mapping[str, str]]) -> int:
        """Return the prompt tokens of a chat request: 3 a message, its role and content, and 3 for the reply.

        OpenAI's reasoning models use one less; other models' templates may add `TEMPLATE`. Tools and reply schemas
        add an amount that is not known beforehand.

        >>> for_model("gpt-4o").count_messages([{"role": "user", "content": "What is 2 times 3?"}])
        15
        """
        total = sum(3 + _count(self, message["role"]) + _count(self, message["content"]) for message in messages) + 3
        return total if self.exact or self.name == BYTES else total + TEMPLATE

    def prefix(self, text: str, limit: int) -> int:
        """Return how many characters from the start of `text` make at most `limit` tokens, cut at a token border.

        At least one character fits where `limit` is 4 or more. Of `encoding`'s vocabularies only.

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

    `choice` is for models whose own vocabulary is not in the package: an encoding, or a `tokenizer.json` or a folder
    that holds one. Without it a family's name gives a bound, and any other name UTF-8 bytes. Raises InputError for a
    `choice` that is neither.
    """
    if choice is not None:
        path = Path(choice) / "tokenizer.json" if Path(choice).is_dir() else Path(choice)
        if path.is_file():
            _encoder(name := str(path))
        else:
            name = encoding(choice).name
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


def example_limit(model: str) -> int:
    """Return the tokens of the longest training example; OpenAI cuts the end off a longer one.

    >>> example_limit("gpt-4.1-mini"), example_limit("gpt-3.5-turbo-0125")
    (65536, 16385)
    """
    return 16_385 if _PREFIX.sub("", model, count=1).startswith(("gpt-3.5", "gpt-35")) else 65_536


def is_cut(messages: Iterable[Mapping[str, str]], usage: Mapping[str, Any]) -> bool:
    """Return True if a service has read far fewer tokens of a prompt than any family's vocabulary makes of it.

    The smallest counts measured are those of Gemma, 0.83 of o200k_base in Japanese. Tokens from a cache have been read;
    no context is as short as 128 tokens, so a smaller number is just wrong.
    """
    read, details = usage.get("prompt_tokens"), usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else 0
    if not isinstance(read, int) or read < 128:
        return False
    return read + (cached or 0) < 0.75 * encoding("o200k_base").count_messages(messages)


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
def _encoder(name: str) -> Callable[[str], list[int]]:
    """Return what encodes: bytes, a bundled vocabulary, or the `tokenizer.json` at a path. Raises InputError."""
    if name == BYTES:
        return lambda text: list(text.encode("utf-8", "surrogatepass"))
    if name in _PATTERNS:
        return _load(name).encode_ordinary
    try:
        import tokenizers

        file = tokenizers.Tokenizer.from_file(name)
    except ImportError:
        raise InputError(f"{name} needs a package to be read: pip install tokenizers.") from None
    except Exception as error:  # its parser raises nothing narrower
        raise InputError(f"{name} cannot be read as a tokenizer.json: {error}.") from None
    return lambda text: list(file.encode(text.encode("utf-8", "replace").decode(), add_special_tokens=False).ids)


@lru_cache
def _load(name: str) -> "tiktoken.Encoding":
    """Unpack a vocabulary: one byte for the length of each token in order of rank, a zero, and all tokens."""
    import tiktoken

    packed = Path(__file__).with_name("data") / f"{name}.xz"
    lengths, _, tokens = lzma.decompress(packed.read_bytes()).partition(b"\0")
    ends = accumulate(lengths)
    numbers = {tokens[end - n : end]: rank for rank, (n, end) in enumerate(zip(lengths, ends, strict=True))}
    return tiktoken.Encoding(name, pat_str=_PATTERNS[name], mergeable_ranks=numbers, special_tokens={})
