"""The training file and TRL: it loads in `datasets`, the loss is on the answers alone, and none is cut off.

On a tiny model from random weights, without a network. Skipped where TRL is not installed.
"""

import runpy
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from minirag import MessageLog, prompts, write_training_file
from minirag.message_log import Exchange
from minirag.prompts import Excerpt
from minirag.testing import completion

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_with_trl"
ANSWERS = {
    "How much is the fee?": "The fee is £31 a year, or £3 a month.",
    "What does the Linnet measure?": "It measures flow – and pressure, too.",
    "When was hall 4 opened?": "Hall 4 was opened in June.\n\nIt was rebuilt in May.",
    "Who runs the water works?": "The city of Marlow Bay runs them.",
}
SFT_LIMIT = 1024
"""Tokens that TRL keeps of an example unless told otherwise."""

pytestmark = [
    pytest.mark.skipif(
        find_spec("trl") is None or find_spec("peft") is None, reason="TRL is not installed: pip install '.[train]'"
    ),
    pytest.mark.filterwarnings("ignore"),  # what torch and its friends say of each other is not this project's
]


@pytest.fixture(scope="module", autouse=True)
def _surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No hub is asked, and the user's caches stay as they are; read when the libraries are first imported."""
    with pytest.MonkeyPatch.context() as surroundings:
        surroundings.setenv("HF_HUB_OFFLINE", "1")
        surroundings.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        surroundings.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def script(_surroundings: None) -> dict[str, Any]:
    """The names of scripts/train_with_trl."""
    return runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training file of the four answers, in the order of `ANSWERS`."""
    folder = tmp_path_factory.mktemp("files")
    log = MessageLog(folder / "log.jsonl")
    for number, (question, answer) in enumerate(ANSWERS.items()):
        request = {"model": "big", "messages": prompts.draft(question, [Excerpt(answer, number + 1)])}
        tags = {"question": f"t{number}", "split": "train", "draft": 1}
        log.append(Exchange("draft", "chat.completions", "s", request, completion(answer), tags=tags))
    return write_training_file(log, folder / "chat.jsonl").path


def labels(training: Any) -> list[list[int]]:
    return [row["labels"] for row in training.train_dataset]


def learned(training: Any, tokenizer: Any) -> list[str]:
    """The text of each example that the loss is taken on."""
    return [tokenizer.decode([token for token in row if token != -100]) for row in labels(training)]


def test_the_loss_is_on_the_answers_and_on_nothing_else(script: dict[str, Any], file: Path, tmp_path: Path) -> None:
    rows = script["examples"](file)
    tokenizer = script["tiny_tokenizer"](rows)
    training = script["trainer"](script["tiny_model"](tokenizer), tokenizer, rows, tmp_path)
    assert learned(training, tokenizer) == [f"{answer}<|im_end|>\n" for answer in ANSWERS.values()]


def test_an_answer_behind_a_long_prompt_is_not_cut_off(script: dict[str, Any], tmp_path: Path) -> None:
    asked, answer = {"role": "user", "content": "Pipes leak. " * 1500}, {"role": "assistant", "content": "They do."}
    rows = script["Dataset"].from_list([{"prompt": [asked], "completion": [answer]}])
    tokenizer = script["tiny_tokenizer"](rows)
    training = script["trainer"](script["tiny_model"](tokenizer), tokenizer, rows, tmp_path)
    assert len(labels(training)[0]) > SFT_LIMIT
    assert learned(training, tokenizer) == ["They do.<|im_end|>\n"]
