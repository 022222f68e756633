"""Row 1. Token counts: exact where the model's vocabulary is known, a safe upper bound where it is not.

The vocabularies ship with the package and are unpacked at the first count, so nothing is ever downloaded.
Which model uses which is decided here: tiktoken's own map is wrong for tuned models and lacks the newer ones.

>>> for_model("ft:gpt-4o-mini:acme::9xyz").count("Basic net income per share")
5
>>> print(for_model("llama3").label)
UTF-8 bytes, an upper bound: the vocabulary of llama3 is not known
"""

import hashlib
import lzma
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, wraps
from itertools import accumulate, chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from minirag.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import tiktoken
    from numpy.typing import NDArray

T = TypeVar("T")

BYTES = "bytes"
"""Name of the upper bound: a byte-level vocabulary never makes more tokens of a text than it has UTF-8 bytes."""


class _Loaded(NamedTuple):
    encoding: "tiktoken.Encoding"
    begun: "NDArray[np.uint8]"
    """How many characters begin in each token."""


class _Vocabulary(NamedTuple):
    sha256: str  # of the unpacked content
    pattern: str
    special_tokens: dict[str, int]


# Patterns and special tokens are tiktoken's (MIT, OpenAI); ours to spell out because asking it for them downloads.
_VOCABULARIES = {
    "cl100k_base": _Vocabulary(
        "c7e7106fd92b40e97081e469b7da33921c15ab3600c2e99c62fd9aa455b3af98",
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
        r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
        {
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
    "o200k_base": _Vocabulary(
        "4ac8cc5794dfb635720f059d45ea08a8d5cf68e3665bc94c51febc54b3b7c01a",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        {"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
    ),
}
ENCODINGS = (*_VOCABULARIES, BYTES)

_PREFIX = re.compile(r"(?:openai/|azure/|openrouter/|ft:)*")
_MODELS = (
    ("o200k_base", re.compile(r"(?:(?:chatgpt-|gpt-)4o|gpt-4\.[15]|gpt-[56](?:\.\d+)?|o[134]|offline)(?=[-:]|$)")),
    ("cl100k_base", re.compile(r"(?:gpt-4|gpt-3\.?5|text-embedding-3|(?:text-embedding-)?ada-002)(?=[-:]|$)")),
)

# tiktoken's regex runs out of stack, with a Rust panic, on one run of about a million white-space characters.
_ENDLESS_SPACE = re.compile(r"(\s{500000})")


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """Counts the tokens of text and of chat messages; get one from `for_model` or `encoding`.

    `name` is one of `ENCODINGS`; `exact` says whether the counts are the model's own; `label` says in a clause
    what is counted and why. Making one costs nothing: the vocabulary is read at the first count.
    """

    name: str
    exact: bool
    label: str

    def encode(self, text: str) -> list[int]:
        """The token numbers of `text`; a special token such as `<|endoftext|>` in it is plain text."""
        if self.name == BYTES:
            return list(text.encode("utf-8", "surrogatepass"))
        vocabulary = _load(self.name).encoding
        if len(text) < 500_000:
            return vocabulary.encode_ordinary(text)
        parts = filter(None, _ENDLESS_SPACE.split(text))
        return list(chain.from_iterable(map(vocabulary.encode_ordinary, parts)))

    def count(self, text: str) -> int:
        """The number of tokens of `text`.

        >>> encoding("cl100k_base").count("NVIDIA's fiscal year"), encoding("bytes").count("年度")
        (5, 6)
        """
        return len(text.encode("utf-8", "surrogatepass")) if self.name == BYTES else len(self.encode(text))

    def ends(self, text: str) -> "NDArray[np.int32]":
        """For each token of `text`, how many characters begin before its end.

        The last of them is `len(text)`, but where two surrogates that make one character stand in it.

        >>> encoding("o200k_base").ends("net income"), encoding("bytes").ends("é!")
        (array([ 3, 10], dtype=int32), array([1, 1, 2], dtype=int32))
        """
        if self.name == BYTES:
            begun = _begin(bytes(self.encode(text)))
        else:
            begun = _load(self.name).begun.take(self._numbers(text))
        ends: NDArray[np.int32] = begun.cumsum(dtype="int32")
        return ends

    def _numbers(self, text: str) -> "NDArray[np.uint32]":
        """What `encode` gives, as an array, which takes an eighth less time."""
        import numpy as np

        if len(text) < 500_000:
            with suppress(UnicodeEncodeError):  # surrogates, which `encode` replaces
                numbers: NDArray[np.uint32] = _load(self.name).encoding.encode_to_numpy(text, disallowed_special=())
                return numbers
        return np.array(self.encode(text), np.uint32)

    def count_messages(self, messages: Iterable[Mapping[str, str]]) -> int:
        """The prompt tokens of a chat request of plain text messages: 3 each, role and content, 3 for the reply.

        Reasoning models use one less. Tools and reply schemas add an amount that is not known beforehand.

        >>> for_model("gpt-4o").count_messages([{"role": "user", "content": "What is 2 times 3?"}])
        15
        """
        return sum(3 + _count(self, message["role"]) + _count(self, message["content"]) for message in messages) + 3

    def prefix(self, text: str, limit: int) -> int:
        """How many characters from the start of `text` make at most `limit` tokens, cut at a token border.

        Never inside a character. At least one character fits where `limit` is 4 or more.

        >>> encoding("o200k_base").prefix("Basic net income per share", 3)
        16
        """
        length = 0
        tokens: list[int] = []
        while length < len(text) and len(tokens) <= limit:
            length = min(len(text), 2 * length + 4 * limit + 16)
            tokens = self.encode(text[:length])
        if len(tokens) > limit:
            kept = tokens[:limit]
            encoded = bytes(kept) if self.name == BYTES else _load(self.name).encoding.decode_bytes(kept)
            length = min(length, max(1, len(encoded.decode("utf-8", "ignore"))))
        while self.count(text[:length]) > limit:  # a shorter text may be split differently, and have a token more
            length -= 1
        return length


def encoding(name: str) -> Tokenizer:
    """The tokenizer of an encoding by its name: `cl100k_base`, `o200k_base` or `bytes`.

    Raises InputError for any other name.
    """
    if name not in ENCODINGS:
        raise InputError(f"No encoding is called {name!r}: choose one of {', '.join(ENCODINGS)}.")
    exact = name != BYTES
    return Tokenizer(name, exact, name if exact else "UTF-8 bytes, an upper bound")


def for_model(model: str, choice: str | None = None) -> Tokenizer:
    """The tokenizer of a model, named as any service names it (`gpt-4o`, `ft:gpt-4o:…`, `openai/gpt-4o`).

    `choice` is the user's own word for which encoding to count with; it wins, and is then called inexact.
    Without it an unknown model is counted in UTF-8 bytes. Raises InputError if `choice` names no encoding.
    """
    bare = model[_PREFIX.match(model).end() :]  # type: ignore[union-attr]  # it matches the empty string too
    known = next((name for name, pattern in _MODELS if pattern.match(bare)), None)
    if choice is not None and choice != known:
        return Tokenizer(encoding(choice).name, False, f"{choice}, the user's choice for {model}")
    if known is None:
        return Tokenizer(BYTES, False, f"UTF-8 bytes, an upper bound: the vocabulary of {model} is not known")
    return Tokenizer(known, True, f"{known}, the vocabulary of {model}")


def example_limit(model: str) -> int:
    """Tokens of the longest example that a model is trained on; the end of a longer one is cut off (OpenAI).

    >>> example_limit("gpt-4.1-mini"), example_limit("gpt-3.5-turbo-0125")
    (65536, 16385)
    """
    return 16_385 if _PREFIX.sub("", model, count=1).startswith(("gpt-3.5", "gpt-35")) else 65_536


@lru_cache(64)
def _count(tokenizer: Tokenizer, text: str) -> int:
    """The last counts are kept: the same system message stands before all prompts, and some are counted twice."""
    return tokenizer.count(text)


def _once(read: Callable[[str], T]) -> Callable[[str], T]:
    """`read`, called once a name: threads that ask together must not each spend the time and memory."""
    known: dict[str, T] = {}
    reading = threading.Lock()

    @wraps(read)
    def get(name: str) -> T:
        if name not in known:
            with reading:
                if name not in known:
                    known[name] = read(name)
        return known[name]

    return get


@_once
def _load(name: str) -> _Loaded:
    import numpy as np
    import tiktoken

    vocabulary, numbers = _VOCABULARIES[name], ranks(name)
    starts = np.cumsum([0, *map(len, numbers)])[:-1]
    encoding = tiktoken.Encoding(
        name, pat_str=vocabulary.pattern, mergeable_ranks=numbers, special_tokens=vocabulary.special_tokens
    )
    return _Loaded(encoding, np.add.reduceat(_begin(b"".join(numbers)), starts))


@_once
def ranks(name: str) -> dict[bytes, int]:
    """The tokens of a vocabulary, the commonest first, with their numbers: what a tokenizer is made of.

    >>> ranks("cl100k_base")[b" revenue"]
    13254
    """
    path = Path(__file__).with_name("data") / f"{name}.xz"
    try:
        content = lzma.decompress(path.read_bytes())
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise InputError(f"Reinstall minirag: its vocabulary {path} cannot be read ({error}).") from error
    if hashlib.sha256(content).hexdigest() != _VOCABULARIES[name].sha256:
        raise InputError(f"Reinstall minirag: its vocabulary {path} is damaged.")
    lengths, _, words = content.partition(b"\0")
    ends = accumulate(lengths)
    return {words[end - length : end]: number for number, (length, end) in enumerate(zip(lengths, ends, strict=True))}


def _begin(encoded: bytes) -> "NDArray[np.uint8]":
    """1 for each byte of UTF-8 that is the first one of a character, 0 for the others."""
    import numpy as np

    first: NDArray[np.bool_] = (np.frombuffer(encoded, np.uint8) & 0xC0) != 0x80
    return first.astype(np.uint8)


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
