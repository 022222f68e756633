"""Token counts equal tiktoken's own and what OpenAI billed, without a network; other families' are upper bounds."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given, strategies as st

from minirag import tokens
from minirag.errors import InputError

SHARED = Path(__file__).parents[3] / "shared"
SAMPLES = [
    "",
    " ",
    "\n\n \n  x\r\n\r\n\ty",
    "It's $3.5 million (12,345,678), isn't it?",
    "<|endoftext|><|endofprompt|> is text",
    "年度报告。営業利益は１２％増加しました。",
    "Größenwahn, naïve Ωmega, עברית, العربية, हिन्दी",
    "👩‍👩‍👧‍👦 🇩🇪 é é \u200f\ufeff",
    "a" * 5000 + "Ab" * 500 + "=" * 700 + " " * 900 + "7" * 31,
    "def f(x):\n\treturn {'a': [1, 2]}  # done\n",
]
any_text = st.text(st.one_of(st.characters(), st.sampled_from("\ud800 \n\r\t.,'/aZ09。年本️")), max_size=60)


@pytest.fixture(scope="module")
def cached_tiktoken():
    """tiktoken's own encodings, read from the shared copy of its cache."""
    cache = SHARED / "vocab"
    if not cache.is_dir():
        pytest.skip("needs ../shared/vocab, tiktoken's own vocabulary files")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
        return {name: tiktoken.get_encoding(name) for name in ("cl100k_base", "o200k_base")}


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
def test_a_packed_vocabulary_is_tiktokens_own(cached_tiktoken, name):
    packed, original = tokens._load(name), cached_tiktoken[name]
    assert original._mergeable_ranks == packed._mergeable_ranks
    assert original._pat_str == packed._pat_str
    for text in SAMPLES:
        assert original.encode(text, disallowed_special=()) == tokens.encoding(name).encode(text)


@given(any_text)
def test_any_text_is_encoded_as_tiktoken_does(cached_tiktoken, text):
    for name, original in cached_tiktoken.items():
        assert original.encode(text, disallowed_special=()) == tokens.encoding(name).encode(text)


@given(any_text)
def test_bytes_are_an_upper_bound_of_every_vocabulary(text):
    bound = tokens.encoding("bytes").count(text)
    assert max(tokens.encoding(name).count(text) for name in ("cl100k_base", "o200k_base")) <= bound


@given(any_text, st.integers(4, 30), st.sampled_from(tokens.ENCODINGS))
def test_a_prefix_fits_its_limit_and_is_never_empty(text, limit, name):
    tokenizer = tokens.encoding(name)
    length = tokenizer.prefix(text, limit)
    assert tokenizer.count(text[:length]) <= limit
    assert length == len(text) or length > 0


def test_what_openai_billed_is_what_is_counted():
    """At least 97 % of the recorded plain chat requests have exactly the prompt tokens that OpenAI reported."""
    path = SHARED / "openai" / "recordings" / "chat.jsonl"
    if not path.is_file():
        pytest.skip("needs ../shared/openai/recordings, real recorded traffic")
    differences = []
    for line in path.read_text(encoding="utf-8").splitlines():
        interaction = json.loads(line)
        request, reply = interaction["request"]["body"], interaction["response"]["body"]
        if not (isinstance(request, dict) and isinstance(reply, dict) and reply.get("usage")):
            continue
        messages, model = request.get("messages") or [], reply["model"]
        if {"tools", "functions", "response_format", "web_search_options"} & request.keys():
            continue
        if "chars removed>" in json.dumps(messages):  # the recording's keepers cut it out of the prompt
            continue
        if not messages or any(type(m["content"]) is not str or m.keys() != {"role", "content"} for m in messages):
            continue
        if tokens.for_model(model).exact and not model.startswith(("o1", "o3", "o4", "gpt-5")):
            differences.append(tokens.for_model(model).count_messages(messages) - reply["usage"]["prompt_tokens"])
    assert len(differences) >= 100
    assert differences.count(0) >= 0.97 * len(differences)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o-mini-2024-07-18", "o200k_base"),
        ("chatgpt-4o-latest", "o200k_base"),
        ("ft:gpt-4.1-mini-2025-04-14:acme::Ab1", "o200k_base"),
        ("openai/ft:gpt-4o:acme:tag:Ab1:ckpt-step-90", "o200k_base"),
        ("gpt-6.1-sol", "o200k_base"),
        ("o4-mini", "o200k_base"),
        ("ft:offline-student:acme::1", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("ft:gpt-3.5-turbo-0613:acme::7q", "cl100k_base"),
        ("azure/gpt-35-turbo", "cl100k_base"),
        ("text-embedding-3-large", "cl100k_base"),
        ("text-embedding-ada-002", "cl100k_base"),
        ("gpt-4all", "bytes"),
        ("o10", "bytes"),
        ("", "bytes"),
    ],
)
def test_a_model_name_gives_its_vocabulary(model, name):
    tokenizer = tokens.for_model(model)
    assert (name, name != "bytes") == (tokenizer.name, tokenizer.exact)


@pytest.mark.parametrize(
    ("model", "name", "factor"),
    [
        ("openai/gpt-oss-20b", "o200k_base", 1.0),
        ("gpt-oss:120b", "o200k_base", 1.0),
        ("meta-llama/Llama-3.1-8B", "cl100k_base", 1.0),
        ("llama3.2:1b", "cl100k_base", 1.0),
        ("hf.co/bartowski/Qwen2.5-7B-Instruct-GGUF:Q4_K_M", "cl100k_base", 1.5),
        ("deepseek-chat", "cl100k_base", 1.3),
        ("DeepSeek-R1-Distill-Qwen-7B", "cl100k_base", 1.5),
        ("google/gemma-3-4b-it", "cl100k_base", 1.5),
        ("gemini-3-flash", "cl100k_base", 1.5),
        *((name, "cl100k_base", 1.8) for name in ("mistral-small-latest", "Ministral-8B", "mixtral:8x7b", "codestral")),
        *((name, "cl100k_base", 1.8) for name in ("codellama:7b", "llama2")),
        *((name, "cl100k_base", 2.7) for name in ("claude-sonnet-5", "SmolLM2-135M-Instruct", "kimi-k2", "glm-4.6")),
        *((name, "cl100k_base", 2.7) for name in ("phi4", "microsoft/Phi-3.5-mini", "Llama-4-Scout", "grok-4")),
    ],
)
def test_a_familys_tokens_are_bounded_by_a_bundled_vocabulary(model, name, factor):
    tokenizer = tokens.for_model(model)
    assert (tokenizer.name, tokenizer.factor, tokenizer.exact) == (name, factor, False)
    text = "The fiscal year 2022 ended on January 30, 2022. 年度报告。"
    assert tokenizer.count(text) == min(len(text.encode()), math.ceil(factor * tokens.encoding(name).count(text)))
    alone = [{"role": "user", "content": text}]
    assert tokenizer.count_messages(alone) >= 3 + tokenizer.count(text) + tokens.TEMPLATE


def test_a_users_choice_counts_the_models_that_are_not_known_exactly():
    chosen = tokens.for_model("llama3", "cl100k_base")
    assert (chosen.name, chosen.exact, chosen.factor) == ("cl100k_base", False, 1.0)
    assert chosen.label == "cl100k_base, the user's choice for llama3"
    assert tokens.for_model("gpt-4o", "cl100k_base").name == "o200k_base"


@pytest.fixture
def tokenizer_file(tmp_path):
    """A `tokenizer.json` of words and white space, as the package tokenizers writes it."""
    library = pytest.importorskip("tokenizers", reason="needs the package tokenizers")
    words = library.Tokenizer(library.models.WordLevel({"[UNK]": 0, "net": 1, "income": 2}, unk_token="[UNK]"))
    words.pre_tokenizer = library.pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def test_a_tokenizer_file_or_its_folder_counts_exactly_as_it_says(tokenizer_file):
    for choice in (tokenizer_file, tokenizer_file.parent):
        tokenizer = tokens.for_model("in-house-7b", str(choice))
        assert tokenizer.count("net income per share") == 4
        assert tokenizer.count("net \ud800 income") == 3


def test_a_tokenizer_file_that_cannot_be_read_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "tokenizer.json").write_text("{}")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "tokenizers", None)
        with pytest.raises(InputError, match="pip install tokenizers"):
            tokens.for_model("in-house-7b", str(tmp_path))
    pytest.importorskip("tokenizers", reason="needs the package tokenizers")
    with pytest.raises(InputError, match=r"cannot be read as a tokenizer\.json"):
        tokens.for_model("in-house-7b", str(tmp_path))


def test_an_unknown_encoding_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="No encoding is called 'p99k': choose one of cl100k_base, o200k_base, bytes"):
        tokens.for_model("gpt-4o", "p99k")


def test_lone_surrogates_are_counted_not_raised():
    for name in tokens.ENCODINGS:
        assert tokens.encoding(name).count("a\ud800b\udfff") > 0


def test_a_million_spaces_are_counted_in_parts():
    """tiktoken itself ends in a Rust panic here."""
    assert tokens.encoding("o200k_base").count("x" + " " * 1_200_000 + "y") < 10_000


def test_the_ranks_are_what_the_tokenizer_gives_for_a_token_alone():
    """The offline lexicon looks words up in the ranks, where it would have to encode them."""
    known, encode = tokens.ranks("cl100k_base"), tokens.encoding("cl100k_base").encode
    words = {word: number for word, number in known.items() if word.decode("utf-8", "replace").encode() == word}
    assert len(words) > 0.98 * len(known)
    assert [word for word, number in words.items() if encode(word.decode()) != [number]] == []


def test_counting_reaches_no_network_and_importing_loads_no_tiktoken():
    program = """
import sys
def refuse(event, _):
    if event in {"socket.connect", "socket.getaddrinfo"}: raise AssertionError("network touched")
sys.addaudithook(refuse)
from minirag import tokens
assert "tiktoken" not in sys.modules
print([tokens.encoding(name).count("Hello world") for name in tokens.ENCODINGS])
"""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TIKTOKEN")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment)
    assert (done.stdout, done.stderr) == ("[2, 2, 11]\n", "")
