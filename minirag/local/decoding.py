"""Write the answers to several prompts at once, each with its own limits; waiting requests are brought together."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from random import Random
from threading import Condition, Thread
from typing import Any, NamedTuple

import torch

from minirag.local.models import left_padded
from minirag.server import Refused

GATHERING = 0.02
"""Seconds without a further request after which those that wait are answered."""


class Prompt(NamedTuple):
    """What one answer is made of; `limit` is its most tokens."""

    ids: list[int]
    limit: int
    stop: Sequence[str] = ()
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None


class Written(NamedTuple):
    """An answer, and the tokens that it took, its end token included."""

    text: str
    tokens: int
    is_cut_off: bool


@torch.no_grad()
def write(model: Any, tokenizer: Any, prompts: Sequence[Prompt], end_ids: frozenset[int]) -> list[Written]:
    """Return the answers to the prompts, greedy at temperature 0; each row draws from a generator of its own.

    A row that has ended leaves the batch. A step waits for the device once, however many rows there are.
    """
    device = model.device
    ids, mask, positions = left_padded([prompt.ids for prompt in prompts], device)
    dice = [Random(prompt.seed) for prompt in prompts]
    tokens: list[list[int]] = [[] for _ in prompts]
    done: dict[int, Written] = {}
    rows, cache = list(range(len(prompts))), None
    while True:
        inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
        reply = model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = reply.past_key_values
        chosen = _chosen(reply.logits[:, -1].float(), [prompts[row] for row in rows], [dice[row] for row in rows])
        for token, row in zip(chosen, rows, strict=True):
            tokens[row].append(token)
            if answer := _ended(tokenizer, prompts[row], tokens[row], end_ids):
                done[row] = answer
        places = [place for place, row in enumerate(rows) if row not in done]
        if not places:
            return [done[row] for row in range(len(prompts))]
        if len(places) < len(rows):
            left = torch.tensor(places, device=device)
            cache.batch_select_indices(left)
            mask, positions = mask[left], positions[left]
            rows, chosen = [rows[place] for place in places], [chosen[place] for place in places]
        ids = torch.tensor(chosen, device=device)[:, None]
        mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
        positions = positions[:, -1:] + 1


def _chosen(logits: torch.Tensor, prompts: Sequence[Prompt], dice: Sequence[Random]) -> list[int]:
    """Return a token a row: the likeliest, or one drawn from those likeliest ones that together reach `top_p`."""
    likeliest = logits.argmax(1, keepdim=True)
    if all(prompt.temperature == 0 for prompt in prompts):
        return likeliest[:, 0].tolist()
    # below 1 in float32 too, which is all that some devices have
    draws = [min(die.random(), 1 - 1e-6) for die in dice]
    numbers = [(p.temperature, max(p.top_p, 1e-9), draw) for p, draw in zip(prompts, draws, strict=True)]
    temperature, top_p, drawn = torch.tensor(numbers, device=logits.device).split(1, dim=1)
    probabilities, order = (logits / temperature.clamp(min=1e-9)).softmax(1).sort(1, descending=True)
    before = probabilities.cumsum(1) - probabilities
    reached = probabilities.where(before < top_p, 0).cumsum(1)
    place = (reached <= drawn * reached[:, -1:]).sum(1, keepdim=True)
    return order.gather(1, place).where(temperature > 0, likeliest)[:, 0].tolist()


def _ended(tokenizer: Any, prompt: Prompt, tokens: list[int], end_ids: frozenset[int]) -> Written | None:
    """Return the answer if these tokens end it: by an end token, a stop mark or the limit."""
    is_ended, is_full = tokens[-1] in end_ids, len(tokens) >= prompt.limit
    if not (is_ended or is_full or prompt.stop):
        return None
    text = tokenizer.decode(tokens[:-1] if is_ended else tokens, skip_special_tokens=True)
    before = min((text.partition(mark)[0] for mark in prompt.stop), key=len, default=text)
    if is_ended or is_full or before != text:
        return Written(before, len(tokens), is_full and not is_ended and before == text)
    return None


class Batches:
    """Prompts that wait, in batches of one adapter each, at most `most` at a time.

    `answer(adapter, prompts)` is called from one thread of its own, oldest prompt first.
    """

    def __init__(self, answer: Callable[[str, list[Prompt]], list[Written]], most: int) -> None:
        self._answer, self._most = answer, most
        self._waiting: list[tuple[str, Prompt, Future[Written]]] = []
        self._changed = Condition()
        Thread(target=self._work, daemon=True).start()

    def ask(self, adapter: str, prompts: Sequence[Prompt]) -> list[Written]:
        """Return the answers to the prompts by this adapter, once it is their turn."""
        asked = [(adapter, prompt, Future[Written]()) for prompt in prompts]
        with self._changed:
            self._waiting += asked
            self._changed.notify()
        return [answer.result() for _, _, answer in asked]

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                present = 0
                while present < len(self._waiting) < self._most:
                    present = len(self._waiting)
                    self._changed.wait(GATHERING)
                adapter = self._waiting[0][0]
                batch = [item for item in self._waiting if item[0] == adapter][: self._most]
                self._waiting = [item for item in self._waiting if item not in batch]
            try:
                answers = self._answer(adapter, [prompt for _, prompt, _ in batch])
                for (_, _, future), answer in zip(batch, answers, strict=True):
                    future.set_result(answer)
            except Exception as error:
                if isinstance(error, torch.OutOfMemoryError):
                    torch.cuda.empty_cache()
                    remedy = "serve with a lower --max-batch"
                    error = Refused(503, f"Memory does not suffice for {len(batch)} prompts at once: {remedy}.")
                for _, _, future in batch:
                    future.set_exception(error)
