"""What a student reads and what it learns: chats to tokens, by the model's own template, for training and answering.

A prompt is rendered in the same way for both, with thinking switched off where the template has a switch. An answer is
tokenized on its own and follows the prompt's tokens, exactly as the model will write it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from minirag.prompts import text_of
from minirag.server import Refused

IGNORED = -100
"""The label of a token that carries no loss."""
NO_THINKING = {"enable_thinking": False, "thinking": False}
"""The two names that templates have for the switch; a template without one ignores both."""


class Row(NamedTuple):
    """One training example: the tokens, and how many of them at the end carry loss."""

    ids: list[int]
    learned: int

    @property
    def labels(self) -> list[int]:
        """Return the token to predict at each place, IGNORED in the prompt."""
        start = len(self.ids) - self.learned
        return [IGNORED] * start + self.ids[start:]


def prompt_ids(tokenizer: Any, messages: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the tokens after which the model writes its answer. Raises Refused if the template refuses the chat."""
    return _ids(tokenizer, _rendered(tokenizer, messages, add_generation_prompt=True))


def training_row(tokenizer: Any, messages: Sequence[Mapping[str, Any]]) -> Row:
    """Return a chat as a row whose loss is that of the last answer and its end token, and of nothing else.

    What the template writes after the end token is left out: the model stops there. Raises Refused if the template
    refuses the chat.
    """
    prompt = prompt_ids(tokenizer, messages[:-1])
    answer = _ids(tokenizer, text_of(messages[-1]).strip())
    return Row([*prompt, *answer, end_token(tokenizer)], len(answer) + 1)


def end_token(tokenizer: Any) -> int:
    """Return the token with which the template ends an answer; the tokenizer's own end token if it writes none."""
    mark = "Sphinx"
    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": mark}]
    rest = _rendered(tokenizer, chat, add_generation_prompt=False).rpartition(mark)[2].strip()
    ids = _ids(tokenizer, rest)
    return int(ids[0] if ids else tokenizer.eos_token_id)


def _rendered(tokenizer: Any, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool) -> str:
    plain = [{"role": message["role"], "content": text_of(message)} for message in messages]
    options = {"tokenize": False, "add_generation_prompt": add_generation_prompt, **NO_THINKING}
    try:
        return str(tokenizer.apply_chat_template(plain, **options))
    except Exception as error:  # jinja2's, of a template that knows no system message or wants the roles in turn
        raise Refused(400, f"The model's chat template refuses these messages: {error}", param="messages") from error


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
