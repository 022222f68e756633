"""Sentences end where readers see it; token counts are tiktoken's own and what OpenAI billed, or upper bounds."""

import json
import math
import sys
from pathlib import Path

import pytest
import tiktoken
from hypothesis import example, given, strategies as st

from minirag.errors import InputError
from minirag.text import TEMPLATE, encoding, for_model, sentence_spans, vocabulary

SHARED = Path(__file__).parents[3] / "shared"
NAMES = ("cl100k_base", "o200k_base")

# -- sentences ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "marked",
    [
        "Revenue rose 3.5%. |Costs fell.",
        "Dr. Lee of Acme Inc. paid Mr. J. R. Smith. |He left.",
        "It is made by Acme Inc. |The firm is old.",
        "See No. 5 and Fig. 3. |Is it? |No. |Then stop.",
        'He said "Stop!" |She did. |"Why?" he asked.',
        "Wait... what? |Well… |Then go. |He paid (a lot.) |Done.",
        "Loss e.g. of U.S. Treasury notes. |Visit example.com. |Bye",
        "Am 3. Oktober fuhr er ab. |Das war 1990. |Dann kam z. B. Herr Dr. Kohl.",
        "他来了。|「真的？」|是的！|好",
        "営業利益は増加した。|次に、費用を見る。",
        "Items:\n|1. Foo is big.\n|2. Bar\n|• One\n|• Two\n|- three\n\n|End",
        "# Title\n\n|Text goes on\nhere. |More",
        "A first line\nthat goes on.\n\n\n|Next paragraph",
        "  Leading space. |Then text.  \n",
        "Contents . . . . 12\nof it",
        "fiscal 2022. |In 2021, less.",
    ],
)
def test_sentences_end_at_the_marked_places(marked):
    text = marked.replace("|", "")
    assert [text[a:b] for a, b in sentence_spans(text)] == marked.split("|")


@given(st.text(st.sampled_from("aB1 .!?…\n\t。！」)\"'•-#NoDr"), max_size=80))
def test_spans_tile_any_text_and_only_the_first_may_start_with_a_space(text):
    spans = sentence_spans(text)
    assert "".join(text[a:b] for a, b in spans) == text
    assert all(a < b for a, b in spans)
    assert all(text[a:b].strip() for a, b in spans) or not text.strip()


# -- tokens ------------------------------------------------------------------------------------------------

any_text = st.text(st.one_of(st.characters(), st.sampled_from("\ud800 \n\r\t.,'/aZ09。年本️")), max_size=60)


@pytest.fixture(scope="module")
def cached_tiktoken():
    """tiktoken's own encodings, read from the shared copy of its cache."""
    cache = SHARED / "vocab"
    if not cache.is_dir():
        pytest.skip("needs ../shared/vocab, tiktoken's own vocabulary files")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
        return {name: tiktoken.get_encoding(name) for name in NAMES}


@given(any_text)
@example("It's $3.5 million (12,345,678), isn't it?\n\n \n  x\r\n\r\n\ty")
@example("<|endoftext|><|endofprompt|> is text")
@example("Größenwahn, naïve Ωmega, עברית, العربية, हिन्दी, 年度报告。営業利益は１２％増加しました。")
@example("👩‍👩‍👧‍👦 🇩🇪 é é \u200f\ufeff")
@example("a" * 5000 + "Ab" * 500 + "=" * 700 + " " * 900 + "7" * 31)
def test_any_text_is_encoded_as_tiktoken_does_and_bytes_are_an_upper_bound(cached_tiktoken, text):
    for name, original in cached_tiktoken.items():
        tokens = original.encode(text, disallowed_special=())
        assert tokens == encoding(name).encode(text)
        assert len(tokens) <= for_model("in-house-7b").count(text)


@pytest.mark.parametrize("name", NAMES)
def test_a_packed_vocabulary_is_tiktokens_own(cached_tiktoken, name):
    assert cached_tiktoken[name]._mergeable_ranks == vocabulary(name)


@given(any_text, st.integers(4, 30), st.sampled_from(NAMES))
def test_a_prefix_fits_its_limit_and_is_never_empty(text, limit, name):
    length = encoding(name).prefix(text, limit)
    assert encoding(name).count(text[:length]) <= limit
    assert length == len(text) or length > 0


def test_what_openai_billed_is_what_is_counted(recordings):
    """At least 97 % of the recorded plain chat requests have exactly the prompt tokens that OpenAI reported."""
    differences = []
    for interaction in recordings("chat"):
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
        if for_model(model).exact and not model.startswith(("o1", "o3", "o4", "gpt-5")):
            differences.append(for_model(model).count_messages(messages) - reply["usage"]["prompt_tokens"])
    assert len(differences) >= 100
    assert differences.count(0) >= 0.97 * len(differences)


@pytest.mark.parametrize(
    ("models", "name", "is_exact", "factor"),
    [
        ("gpt-4o-mini-2024-07-18 chatgpt-4o-latest gpt-6.1-sol o4-mini", "o200k_base", True, 1),
        ("ft:gpt-4.1-mini-2025-04-14:acme::Ab1 openai/ft:gpt-4o:acme:tag:Ab1:ckpt-step-90", "o200k_base", True, 1),
        ("ft:offline-student:acme::1", "o200k_base", True, 1),
        ("gpt-4 ft:gpt-3.5-turbo-0613:acme::7q azure/gpt-35-turbo", "cl100k_base", True, 1),
        ("text-embedding-3-large text-embedding-ada-002", "cl100k_base", True, 1),
        ("gpt-4all o10 in-house-7b", "bytes", False, 1),
        ("openai/gpt-oss-20b gpt-oss:120b", "o200k_base", False, 1),
        ("meta-llama/Llama-3.1-8B llama3.2:1b", "cl100k_base", False, 1),
        ("deepseek-chat", "cl100k_base", False, 1.3),
        ("hf.co/bartowski/Qwen2.5-7B-Instruct-GGUF:Q4_K_M gemini-3-flash", "cl100k_base", False, 1.5),
        ("DeepSeek-R1-Distill-Qwen-7B google/gemma-3-4b-it", "cl100k_base", False, 1.5),
        ("mistral-small-latest Ministral-8B mixtral:8x7b codestral codellama:7b llama2", "cl100k_base", False, 1.8),
        ("claude-sonnet-5 SmolLM2-135M-Instruct kimi-k2 glm-4.6 phi4 grok-4", "cl100k_base", False, 2.7),
        ("microsoft/Phi-3.5-mini Llama-4-Scout", "cl100k_base", False, 2.7),
    ],
)
def test_a_model_name_gives_its_vocabulary_or_that_of_a_bound(models, name, is_exact, factor):
    text = "The fiscal year 2022 ended on January 30, 2022. 年度报告。"
    for model in models.split():
        tokenizer = for_model(model)
        assert (tokenizer.name, tokenizer.exact, tokenizer.factor) == (name, is_exact, factor)
        if name != "bytes":
            assert tokenizer.count(text) == min(len(text.encode()), math.ceil(factor * encoding(name).count(text)))
            template = 0 if is_exact else TEMPLATE
            alone = [{"role": "user", "content": text}]
            assert tokenizer.count_messages(alone) == 6 + tokenizer.count("user") + tokenizer.count(text) + template


def test_a_users_choice_counts_the_models_that_are_not_known_exactly():
    chosen = for_model("llama3", "cl100k_base")
    assert (chosen.name, chosen.exact, chosen.factor) == ("cl100k_base", False, 1.0)
    assert chosen.label == "cl100k_base, the user's choice for llama3"
    assert for_model("gpt-4o", "cl100k_base").name == "o200k_base"
    with pytest.raises(InputError, match="No vocabulary is called 'p99k': choose one of cl100k_base, o200k_base"):
        for_model("gpt-4o", "p99k")


def test_a_tokenizer_file_or_its_folder_counts_exactly_as_it_says(tmp_path):
    library = pytest.importorskip("tokenizers", reason="needs the package tokenizers")
    words = library.Tokenizer(library.models.WordLevel({"[UNK]": 0, "net": 1, "income": 2}, unk_token="[UNK]"))
    words.pre_tokenizer = library.pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    for choice in (tmp_path / "tokenizer.json", tmp_path):
        tokenizer = for_model("in-house-7b", str(choice))
        assert tokenizer.count("net income per share") == 4
        assert tokenizer.count("net \ud800 income") == 3


def test_a_tokenizer_file_that_cannot_be_read_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "tokenizer.json").write_text("{}")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "tokenizers", None)
        with pytest.raises(InputError, match="pip install tokenizers"):
            for_model("in-house-7b", str(tmp_path))
    pytest.importorskip("tokenizers", reason="needs the package tokenizers")
    with pytest.raises(InputError, match=r"cannot be read as a tokenizer\.json"):
        for_model("in-house-7b", str(tmp_path))
