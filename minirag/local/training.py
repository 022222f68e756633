"""Train a LoRA adapter on chats: a plain loop, resumable after each epoch. `python -m minirag.local.training FOLDER`.

The folder holds `spec.json` (a `Spec`), and gets `step-N/`, an adapter an epoch, and `state.pt`, from which a training
that was cut off goes on. Each line on stdout is a JSON object for the report of the engine, or an error. The process
ends when its stdin ends, so that none outlives its server.
"""

import json
import math
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn.functional import cross_entropy

from minirag.errors import InputError
from minirag.local.models import device_of, dtype_of, left_padded, load_model, load_tokenizer, window_of
from minirag.local.rows import IGNORED, Row, training_row
from minirag.server import Refused, Report

RANK, ALPHA = 16, 32
LEARNING_RATE = 5e-4
"""At a `learning_rate_multiplier` of 1."""
WARMUP = 0.1
"""Share of the steps in which the rate rises to it; then it falls to 0 along a cosine."""
TOKENS_AT_ONCE = {"cuda": 16_384, "cpu": 1024}
"""Tokens of one pass through the model, padding included: a larger batch takes several; halved where memory ends."""
MACHINE = ("device", "dtype", "max_model_len", "chat_template")
"""The options of `minirag serve` and `minirag train` that a `Spec` has as well."""


class Spec(NamedTuple):
    """What to train; `examples` and `validation` are chats."""

    base: str  # a folder, or a model of the hub
    examples: list[list[dict[str, Any]]]
    validation: list[list[dict[str, Any]]]
    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float
    seed: int = 0
    device: str | None = None
    dtype: str | None = None
    max_model_len: int | None = None
    chat_template: str | None = None


def defaults(examples: int) -> dict[str, Any]:
    """Return the settings for a job that leaves them to us: small batches of few examples, for enough steps.

    >>> [(d["n_epochs"], d["batch_size"]) for d in map(defaults, (10, 60, 1000, 20_000))]
    [(3, 1), (3, 1), (3, 4), (1, 16)]
    """
    choices = {100: (3, 1), 2000: (3, 4), 10_000: (2, 8), math.inf: (1, 16)}
    epochs, batch = next(choice for limit, choice in choices.items() if examples < limit)
    return {"n_epochs": epochs, "batch_size": batch, "learning_rate_multiplier": 1.0}


def rows_of(tokenizer: Any, chats: Sequence[Sequence[dict[str, Any]]], window: int, kind: str) -> list[Row]:
    """Return the chats as rows. Raises Refused for one that the template refuses or that is over the window."""
    rows = []
    for place, chat in enumerate(chats, 1):
        try:
            row = training_row(tokenizer, chat)
        except Refused as refused:
            message = f"Line {place} of the {kind} file: {refused}"
            raise Refused(400, message, param=f"{kind}_file", code=f"invalid_{kind}_file") from refused
        if len(row.ids) > window:
            message = f"Line {place} of the {kind} file has {len(row.ids):,} tokens, and the model takes {window:,}."
            raise Refused(400, message, param=f"{kind}_file", code="example_too_long")
        rows.append(row)
    return rows


def parts(rows: Sequence[Row], most: int) -> Iterator[list[Row]]:
    """Yield the rows by length, as many at a time as have at most so many tokens with their padding."""
    part: list[Row] = []
    for row in sorted(rows, key=lambda row: len(row.ids)):
        if part and len(row.ids) * (len(part) + 1) > most:
            yield part
            part = []
        part.append(row)
    if part:
        yield part


def loss_sum(model: Any, rows: Sequence[Row]) -> torch.Tensor:
    """Return the cross-entropy of the rows' labels, all added up.

    With the padding on the left all answers stand at the end: logits are computed there only.
    """
    device, learned = next(model.parameters()).device, max(row.learned for row in rows)
    ids, mask, positions = left_padded([row.ids for row in rows], device)
    labels = torch.tensor([([IGNORED] * learned + row.labels)[-learned:] for row in rows], device=device)
    with torch.autocast(device.type, model.dtype, enabled=model.dtype != torch.float32):  # the adapter is float32
        reply = model(
            input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=learned + 1
        )
    logits = reply.logits[:, -learned - 1 : -1].float()
    return cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")


@torch.no_grad()
def mean_loss(model: Any, rows: Sequence[Row], most: int) -> float:
    """Return the mean cross-entropy, in nats, of the tokens of the rows' answers."""
    model.eval()
    return sum(float(loss_sum(model, part)) for part in parts(rows, most)) / sum(row.learned for row in rows)


def learn(model: Any, rows: Sequence[Row], most: int) -> tuple[float, int]:
    """Add the gradients of one batch; return its mean loss a token, and how many tokens at once fit into memory.

    Raises OutOfMemoryError if not even one row does.
    """
    model.train()
    count, total = sum(row.learned for row in rows), 0.0
    try:
        for part in parts(rows, most):
            loss = loss_sum(model, part) / count
            loss.backward()
            total += loss.item()
        return total, most
    except torch.OutOfMemoryError:
        if len(list(parts(rows, most))) == len(rows):
            raise
    model.zero_grad()
    torch.cuda.empty_cache()
    return learn(model, rows, most // 2)


def rate_at(step: int, total: int) -> float:
    """Return the share of the learning rate at a step, from 1 to `total`."""
    warmup = max(1, round(WARMUP * total))
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup + 1)))


def batch_at(step: int, rows: Sequence[Row], size: int, seed: int) -> list[Row]:
    """Return the rows of a step: each epoch goes through all of them once, in an order of its own."""
    epoch, place = divmod(step - 1, math.ceil(len(rows) / size))
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed * 1000 + epoch)).tolist()
    return [rows[index] for index in order[place * size : (place + 1) * size]]


def train(spec: Spec, folder: Path, report: Report) -> Path:
    """Train, or go on with what the folder holds; return the folder of the last adapter.

    `report(step=…, total=…, loss=…, …)` hears each step. Raises InputError for the model and Refused for the examples.
    """
    device = device_of(spec.device)
    tokenizer = load_tokenizer(spec.base, spec.chat_template)
    window = window_of(spec.base, spec.max_model_len)
    rows = rows_of(tokenizer, spec.examples, window, "training")
    held_out = rows_of(tokenizer, spec.validation, window, "validation")
    most = TOKENS_AT_ONCE.get(device.type, 1024)
    an_epoch = math.ceil(len(rows) / spec.batch_size)
    total, rate = an_epoch * spec.n_epochs, LEARNING_RATE * spec.learning_rate_multiplier

    # 1. the model with a fresh adapter, or that of the last epoch
    base = load_model(spec.base, device, dtype_of(spec.dtype, device))
    torch.manual_seed(spec.seed)
    state: dict[str, Any] = {"step": 0, "epochs": []}
    if (folder / "state.pt").exists():
        state = torch.load(folder / "state.pt", map_location=device)
    done = int(state["step"])
    if done:
        model: Any = PeftModel.from_pretrained(base, folder / f"step-{done}", is_trainable=True)
    else:
        lora = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(base, lora)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0)
    if done:
        optimizer.load_state_dict(state["optimizer"])
        for epoch in state["epochs"]:  # again: the server may have ended before it heard of the last ones
            report(**epoch)
        report(step=done, total=total, loss=None, message=f"Resumed after step {done}/{total}")
    else:
        lengths = [len(row.ids) for row in rows]
        message = (
            f"LoRA of rank {RANK} on all linear layers, learning rate {rate:.1e}, {spec.n_epochs} epochs of {an_epoch} "
            f"steps; {len(rows)} examples of {min(lengths)} to {max(lengths)} tokens on {device}"
        )
        before = {"valid_loss": mean_loss(model, held_out, most)} if held_out else {}
        report(step=0, total=total, loss=None, message=message, **before)

    # 2. the steps
    started, tokens = time.monotonic(), done // an_epoch * sum(len(row.ids) for row in rows)
    for step in range(done + 1, total + 1):
        batch = batch_at(step, rows, spec.batch_size, spec.seed)
        loss, most = learn(model, batch, most)
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate * rate_at(step, total)
        optimizer.step()
        optimizer.zero_grad()
        tokens += sum(len(row.ids) for row in batch)
        seconds_left = (time.monotonic() - started) / (step - done) * (total - step)
        progress: dict[str, Any] = {"step": step, "total": total, "loss": loss, "tokens": tokens}
        progress["seconds_left"] = round(seconds_left, 1)
        if step % an_epoch == 0:
            if held_out:
                progress["valid_loss"] = mean_loss(model, held_out, most)
            progress["checkpoint"] = f"step-{step}"
            state = {"step": step, "optimizer": optimizer.state_dict(), "epochs": [*state["epochs"], progress]}
            _save(model, state, folder)
        report(**progress)
    return folder / f"step-{total}"


def _save(model: Any, state: dict[str, Any], folder: Path) -> None:
    """Write the adapter, then the state that names it: a crash between the two repeats an epoch."""
    adapter, unfinished = folder / f"step-{state['step']}", folder / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(unfinished)
    shutil.rmtree(adapter, ignore_errors=True)
    unfinished.rename(adapter)
    torch.save(state, folder / "state.tmp")
    (folder / "state.tmp").replace(folder / "state.pt")


def read_spec(folder: Path) -> Spec:
    """Return what is trained in a folder."""
    return Spec(**json.loads((folder / "spec.json").read_bytes()))


def main(folder: Path) -> None:
    """Train what `spec.json` says; print the report, and what went wrong, as lines of JSON."""

    def end_with_parent() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    def tell(**fields: Any) -> None:
        print(json.dumps(fields), flush=True)

    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        train(read_spec(folder), folder, tell)
    except (Refused, InputError) as error:
        tell(error=str(error), code=getattr(error, "code", None), param=getattr(error, "param", None))
    except torch.OutOfMemoryError:
        message = "Memory does not suffice for the longest example: take a smaller model, or shorter examples."
        tell(error=message, code="out_of_memory")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
