"""Embeddings by transformers, with the pooling that the model's folder names."""

import json
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer
from transformers.utils import cached_file

from minirag.errors import InputError
from minirag.local.models import device_of, loaded
from minirag.server import Vectors
from minirag.server.engine import too_long
from minirag.server.wire import invalid

AT_ONCE = 32
"""Texts of one pass through the model."""
POOLINGS = ("mean_tokens", "cls_token", "lasttoken")


class Embedder:
    """The embedding model `name`, of the hub or a folder. Texts are embedded as they come, prefixes included.

    Raises InputError if the model cannot be loaded, or pools in another way than these three.
    """

    def __init__(self, name: str, device: str | None) -> None:
        self.name = Path(name).name if Path(name).exists() else name
        self._device, self._lock = device_of(device), Lock()
        self._tokenizer = loaded(AutoTokenizer, name, pretrained_model_name_or_path=name, padding_side="right")
        model = loaded(AutoModel, name, pretrained_model_name_or_path=name, dtype=torch.float32)
        self._model = model.to(self._device).eval()
        file = cached_file(name, "1_Pooling/config.json", _raise_exceptions_for_missing_entries=False)
        modes = json.loads(Path(file).read_bytes()) if file else {"pooling_mode_mean_tokens": True}
        prefix = "pooling_mode_"
        self._pooling = ", ".join(m.removeprefix(prefix) for m in modes if m.startswith(prefix) and modes[m])
        if self._pooling not in POOLINGS:
            raise InputError(f"The embedding model {name} pools by {self._pooling}, which is not known here.")
        self._window = min(self._tokenizer.model_max_length, self._model.config.max_position_embeddings)

    def embed(self, texts: Sequence[str], dimensions: int | None) -> Vectors:
        """Return unit rows, of the first `dimensions` numbers each. Raises Refused for a text over the limit."""
        counts = [len(ids) for ids in self._tokenizer(list(texts))["input_ids"]]
        if max(counts) > self._window:
            raise too_long(self._window, max(counts), None)
        with self._lock, torch.no_grad():
            parts = [self._rows(list(texts[start : start + AT_ONCE])) for start in range(0, len(texts), AT_ONCE)]
        rows = np.concatenate(parts)
        if dimensions and dimensions > rows.shape[1]:
            raise invalid("dimensions", f"an integer from 1 to {rows.shape[1]}")
        rows = rows[:, :dimensions]
        lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return Vectors((rows / lengths).astype(np.float32), sum(counts))

    def _rows(self, texts: list[str]) -> Any:
        batch = self._tokenizer(texts, padding=True, return_tensors="pt").to(self._device)
        states, mask = self._model(**batch).last_hidden_state, batch["attention_mask"]
        if self._pooling == "mean_tokens":
            states = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        else:
            places = mask.sum(1) - 1 if self._pooling == "lasttoken" else torch.zeros_like(mask[:, 0])
            states = states[torch.arange(len(texts)), places]
        return states.cpu().numpy()
