"""Rows, training, decoding and embeddings of local models, on a tiny Llama of random weights."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import tiny_models
from minirag.errors import InputError
from minirag.server import Refused
from tiny_models import CHATS

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the libraries are loaded
torch = pytest.importorskip("torch", reason="needs pip install 'minirag[local]'")
pytest.importorskip("peft")

from minirag.local import decoding, models, rows, training  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_models.save(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def tokenizer(folder: str) -> Any:
    return models.load_tokenizer(folder, None)


@pytest.fixture
def model(folder: str) -> Any:
    return models.load_model(folder, CPU, torch.float32)


def spec(folder: str, **changes: Any) -> training.Spec:
    settings: Any = {"n_epochs": 40, "batch_size": 4, "learning_rate_multiplier": 10}
    return training.Spec(folder, CHATS, **{"validation": [], **settings, **changes})


def test_the_last_answer_and_its_end_token_carry_loss_and_nothing_else_does(tokenizer: Any) -> None:
    chat = [
        {"role": "system", "content": "Say ."},
        {"role": "user", "content": "coal ?"},
        {"role": "assistant", "content": "black"},
        {"role": "user", "content": "snow ?"},
        {"role": "assistant", "content": " white .\n"},
    ]
    row = rows.training_row(tokenizer, chat)
    text = (
        "<|im_start|>system\nSay .<|im_end|>\n<|im_start|>user\ncoal ?<|im_end|>\n<|im_start|>assistant\nblack"
        "<|im_end|>\n<|im_start|>user\nsnow ?<|im_end|>\n<|im_start|>assistant\n<think></think>white .<|im_end|>"
    )
    assert tokenizer.decode(row.ids) == text
    learned = [tokenizer.decode([label]) for label in row.labels if label != rows.IGNORED]
    assert "".join(learned) == "white .<|im_end|>"
    assert learned[-1] == "<|im_end|>"
    assert row.labels[: -row.learned] == [rows.IGNORED] * (len(row.ids) - row.learned)
    assert row.ids[: -row.learned] == rows.prompt_ids(tokenizer, chat[:-1])  # what the model reads when it answers


@pytest.mark.parametrize(
    ("template", "end"),
    [
        (tiny_models.TEMPLATE, "<|im_end|>"),
        (
            "{% for m in messages %}{{ m.content }}{% if loop.last %}<|im_start|>{% endif %}{% endfor %}",
            "<|im_start|>",
        ),
        ("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", "<|im_end|>"),
    ],
    ids=["chatml", "another end token", "no end token: the tokenizer's"],
)
def test_the_end_token_is_what_the_template_writes(tokenizer: Any, template: str, end: str) -> None:
    tokenizer.chat_template = template
    assert tokenizer.decode([rows.end_token(tokenizer)]) == end


def test_a_template_that_refuses_a_chat_and_one_that_is_missing_are_a_sentence(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.chat_template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(Refused, match=r"Line 1 of the training file: .* System role not supported"):
        training.rows_of(tokenizer, CHATS, 100, "training")
    bare = tiny_models.save(tmp_path, template=None)
    with pytest.raises(InputError, match=r"has no chat template: .*--chat-template FILE"):
        models.load_tokenizer(bare, None)
    assert models.load_tokenizer(bare, "{{ messages }}").chat_template == "{{ messages }}"


def test_the_loss_is_that_of_transformers_row_by_row_whatever_the_padding(model: Any, tokenizer: Any) -> None:
    longer = [{"role": "system", "content": "Say what is white ."}, *CHATS[1]]
    batch = training.rows_of(tokenizer, [*CHATS, longer], 256, "training")
    with torch.no_grad():
        alone = [
            float(model(input_ids=torch.tensor([row.ids]), labels=torch.tensor([row.labels])).loss) * row.learned
            for row in batch
        ]
        assert sum(alone) == pytest.approx(float(training.loss_sum(model, batch)), rel=1e-4)
    assert training.mean_loss(model, batch, 64) == pytest.approx(sum(alone) / sum(r.learned for r in batch), rel=1e-4)


def test_a_step_takes_each_row_once_an_epoch_and_parts_hold_their_limit() -> None:
    batch = [rows.Row(list(range(length)), 1) for length in (9, 3, 5, 30, 4)]
    for epoch in range(3):
        steps = [training.batch_at(1 + 3 * epoch + place, batch, 2, seed=5) for place in range(3)]
        assert sorted(len(row.ids) for step in steps for row in step) == [3, 4, 5, 9, 30]
    assert [[len(row.ids) for row in part] for part in training.parts(batch, 12)] == [[3, 4], [5], [9], [30]]
    assert [round(training.rate_at(step, 20), 2) for step in (1, 2, 3, 11, 20)] == [0.5, 1.0, 0.99, 0.54, 0.01]


def test_rows_are_learned_by_heart_and_told_apart_from_the_base_model(
    folder: str, model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    reports: list[dict[str, Any]] = []
    adapter = training.train(spec(folder, validation=CHATS[:2]), tmp_path, lambda **fields: reports.append(fields))
    assert "LoRA of rank 16" in reports[0]["message"]
    assert [report["step"] for report in reports] == list(range(41))
    assert reports[-1]["loss"] < 0.05
    assert reports[1]["loss"] > 1
    assert reports[-1]["valid_loss"] < 0.05
    assert reports[0]["valid_loss"] > 1
    assert reports[-1]["tokens"] == 40 * sum(len(r.ids) for r in training.rows_of(tokenizer, CHATS, 256, ""))
    tuned = training.PeftModel.from_pretrained(model, adapter).eval()
    prompts = [decoding.Prompt(rows.prompt_ids(tokenizer, chat[:1]), 20, temperature=0) for chat in CHATS]
    ends = frozenset({tokenizer.eos_token_id})
    assert [w.text for w in decoding.write(tuned, tokenizer, prompts, ends)] == [chat[1]["content"] for chat in CHATS]
    with tuned.disable_adapter():
        assert not any(w.text.startswith("It is") for w in decoding.write(tuned, tokenizer, prompts, ends))


def test_a_training_that_is_cut_off_goes_on_from_its_last_epoch_to_the_same_adapter(
    folder: str, tmp_path: Path
) -> None:
    class CutOff(Exception): ...

    def cut_off(**fields: Any) -> None:
        if fields["step"] == 3:
            raise CutOff

    settings: Any = {"n_epochs": 4, "batch_size": 3}  # two steps an epoch
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    whole.mkdir()
    halves.mkdir()
    last = training.train(spec(folder, **settings), whole, lambda **_: None)
    with pytest.raises(CutOff):
        training.train(spec(folder, **settings), halves, cut_off)
    steps: list[int] = []
    training.train(spec(folder, **settings), halves, lambda **fields: steps.append(fields["step"]))
    assert steps == [2, 2, *range(3, 9)]
    file = "adapter_model.safetensors"
    assert (last / file).read_bytes() == (halves / last.name / file).read_bytes()


@pytest.fixture
def prompts(tokenizer: Any) -> list[decoding.Prompt]:
    texts = ["coal ?", "What is the colour of snow ?", "sky", "Say what is white , black and blue ."]
    chats = [[{"role": "user", "content": text}] for text in texts]
    return [decoding.Prompt(rows.prompt_ids(tokenizer, c), 5 + 4 * i, temperature=0) for i, c in enumerate(chats)]


def test_greedy_answers_are_those_of_transformers_and_the_same_alone_and_together(
    model: Any, tokenizer: Any, prompts: list[decoding.Prompt]
) -> None:
    together = decoding.write(model, tokenizer, prompts, frozenset())
    assert together == [decoding.write(model, tokenizer, [prompt], frozenset())[0] for prompt in prompts]
    for prompt, written in zip(prompts, together, strict=True):
        ids = torch.tensor([prompt.ids])
        ours = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=prompt.limit, do_sample=False, eos_token_id=None
        )
        assert written.text == tokenizer.decode(ours[0, len(prompt.ids) :], skip_special_tokens=True)
        assert (written.tokens, written.is_cut_off) == (prompt.limit, True)


def test_an_answer_ends_at_an_end_token_or_before_a_stop_mark(
    model: Any, tokenizer: Any, prompts: list[decoding.Prompt]
) -> None:
    [whole] = decoding.write(model, tokenizer, prompts[3:], frozenset())
    third = tokenizer(whole.text, add_special_tokens=False)["input_ids"][2]
    [ended] = decoding.write(model, tokenizer, prompts[3:], frozenset({third}))
    assert (ended.tokens, ended.is_cut_off) == (3, False)
    assert whole.text.startswith(ended.text)
    mark = tokenizer.decode([third])
    [stopped] = decoding.write(model, tokenizer, [prompts[3]._replace(stop=["\0", mark])], frozenset())
    assert stopped.text == whole.text.partition(mark)[0]
    assert not stopped.is_cut_off


def test_drawn_answers_depend_on_their_own_seed_alone(
    model: Any, tokenizer: Any, prompts: list[decoding.Prompt]
) -> None:
    drawn = [prompt._replace(temperature=1.5, seed=seed) for seed, prompt in enumerate(prompts)]
    together = decoding.write(model, tokenizer, drawn, frozenset())
    assert together == [decoding.write(model, tokenizer, [prompt], frozenset())[0] for prompt in drawn]
    narrow = [prompt._replace(top_p=1e-6) for prompt in drawn]
    assert decoding.write(model, tokenizer, narrow, frozenset()) == decoding.write(
        model, tokenizer, prompts, frozenset()
    )
    others = [prompt._replace(seed=prompt.seed + 100) for prompt in drawn if prompt.seed is not None]
    assert decoding.write(model, tokenizer, others, frozenset()) != together


def test_a_batch_that_does_not_fit_into_memory_is_refused_and_the_next_one_answered() -> None:
    def answer(adapter: str, batch: list[decoding.Prompt]) -> list[decoding.Written]:
        if len(batch) > 1:
            raise torch.OutOfMemoryError
        return [decoding.Written(adapter, 1, False)]

    batches = decoding.Batches(answer, most=3)
    with pytest.raises(Refused, match="for 3 prompts at once: serve with a lower --max-batch"):
        batches.ask("a", [decoding.Prompt([1], 1)] * 3)
    assert [answer.text for answer in batches.ask("a", [decoding.Prompt([1], 1)])] == ["a"]


def test_requests_that_arrive_one_by_one_are_answered_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "GATHERING", 2.0)
    sizes = []

    def answer(adapter: str, batch: list[decoding.Prompt]) -> list[decoding.Written]:
        sizes.append(len(batch))
        return [decoding.Written("", 1, False)] * len(batch)

    batches = decoding.Batches(answer, most=4)
    with ThreadPoolExecutor(4) as pool:
        asked = []
        for _ in range(4):
            asked.append(pool.submit(batches.ask, "a", [decoding.Prompt([1], 1)]))
            time.sleep(0.1)
    assert [len(future.result()) for future in asked] == [1, 1, 1, 1]
    assert sizes == [4]


def test_a_model_that_does_not_fit_is_refused_before_its_weights_are_read(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 100_000}))
    monkeypatch.setattr(models.AutoModelForCausalLM, "from_pretrained", lambda **_: pytest.fail("loaded"))
    with pytest.raises(InputError, match=r"does not fit: its 0.00 billion weights take .* as float32"):
        models.load_model(folder, CPU, torch.float32)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("/no/such/folder", "There is no model /no/such/folder"),
        ("missing.gguf", "There is no model missing.gguf"),
        ("an/organisation", "cannot be loaded"),
    ],
)
def test_a_model_that_is_not_there_is_a_sentence(name: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        models.load_tokenizer(models.folder_of(name, tmp_path), None)


def test_embeddings_are_unit_rows_of_the_mean_state_whatever_the_padding(tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    from minirag.local.embedding import Embedder

    folder = tiny_models.save(tmp_path / "tiny")
    embedder = Embedder(folder, "cpu")
    texts = ["snow", "What is the colour of coal ?"]
    vectors = embedder.embed(texts, None)
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for row, text in zip(vectors.rows, texts, strict=True):
        state = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
        assert row == pytest.approx((state / state.norm()).tolist(), abs=1e-5)
    assert vectors.tokens == sum(len(ids) for ids in tokenizer(texts)["input_ids"])
    assert (embedder.embed(texts, 8).rows ** 2).sum(1) == pytest.approx([1, 1], abs=1e-5)
    with pytest.raises(Refused, match="dimensions"):
        embedder.embed(texts, 65)
    with pytest.raises(Refused, match="maximum context length"):
        embedder.embed(["coal " * 300], None)
