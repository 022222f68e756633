"""Open a causal language model of the hub, a folder or a GGUF file; what does not fit is said before it is loaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from minirag.errors import InputError


def device_of(name: str | None) -> torch.device:
    """Return the device of this name; for None a GPU if there is one. Raises InputError for one that is not there."""
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {name} cannot be used here: {_first_line(error)}") from error
    return device


def dtype_of(name: str | None, device: torch.device) -> torch.dtype:
    """Return the type of this name; for None bfloat16 on a GPU and float32 elsewhere: most CPUs are slow in others."""
    dtype = getattr(torch, name or ("bfloat16" if device.type == "cuda" else "float32"), None)
    if dtype not in (torch.bfloat16, torch.float32, torch.float16):
        raise InputError(f"--dtype {name} is none of bfloat16, float16 and float32.")
    return dtype


def folder_of(name: str, state: Path) -> str:
    """Return what transformers loads for a model of this name: it, or the folder into which a GGUF file is converted.

    Raises InputError if there is no such model, or not enough memory to convert it.
    """
    path = Path(name).expanduser()
    if not path.exists() and (path.is_absolute() or name.startswith((".", "~")) or path.suffix == ".gguf"):
        raise InputError(f"There is no model {name}: name a model of the hub, a folder or a GGUF file.")
    if path.suffix != ".gguf":
        return str(path) if path.exists() else name
    converted = state / "converted" / f"{path.stem}-{path.stat().st_size}"
    if not (converted / "config.json").exists():
        file = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
        config = loaded(AutoConfig, name, **file)
        check_memory(name, config, torch.device("cpu"), torch.float32)
        model = loaded(AutoModelForCausalLM, name, **file, dtype=torch.float32)
        loaded(AutoTokenizer, name, **file).save_pretrained(converted)
        model.hf_quantizer = None  # the weights are whole numbers of bits no longer: without this they are not saved
        vars(model.config).pop("quantization_config", None)
        model.save_pretrained(converted)
    return str(converted)


def load_tokenizer(folder: str, template: str | None) -> Any:
    """Return the model's tokenizer; `template` is the text of a chat template in place of its own.

    Raises InputError if there is neither.
    """
    tokenizer = loaded(AutoTokenizer, folder, pretrained_model_name_or_path=folder)
    tokenizer.chat_template = template or tokenizer.chat_template
    if not tokenizer.chat_template:
        raise InputError(
            f"{folder} has no chat template: take the chat variant of the model, or give --chat-template FILE."
        )
    return tokenizer


def load_model(folder: str, device: torch.device, dtype: torch.dtype) -> Any:
    """Return the model on its device. Raises InputError if it cannot be loaded or does not fit into memory."""
    check_memory(folder, loaded(AutoConfig, folder, pretrained_model_name_or_path=folder), device, dtype)
    model = loaded(AutoModelForCausalLM, folder, pretrained_model_name_or_path=folder, dtype=dtype)
    return model.to(device).eval()


def window_of(folder: str, limit: int | None) -> int:
    """Return the most tokens of a prompt and its answer: the model's positions, or `limit` if that is less."""
    config = AutoConfig.from_pretrained(folder).get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or 1 << 20
    return min(positions, limit or positions)


def left_padded(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return rows of tokens as a matrix, padded on the left so that all end at the same place; mask and positions.

    Padding is told by the mask, not by its token: many models use their end token for it.
    """
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + [*row] for row in rows], device=device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask, (mask.cumsum(1) - 1).clamp(min=0)


def check_memory(name: str, config: Any, device: torch.device, dtype: torch.dtype) -> None:
    """Raise InputError if the weights alone take more than the free memory of the device."""
    with torch.device("meta"):
        weights = AutoModelForCausalLM.from_config(config).num_parameters()
    size = weights * dtype.itemsize
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    if size > free:
        kind = str(dtype).removeprefix("torch.")
        raise InputError(
            f"{name} does not fit: its {weights / 1e9:.2f} billion weights take {size / 1e9:.1f} GB as {kind}, and "
            f"{free / 1e9:.1f} GB are free on {device}; name a smaller model or another --device."
        )


def loaded(loader: Any, name: str, **arguments: Any) -> Any:
    """Return what a loader of transformers returns. Raises InputError for whatever keeps it from loading."""
    try:
        return loader.from_pretrained(**arguments)
    except Exception as error:  # a missing file, no network, an unknown architecture, damaged weights: any type
        raise InputError(f"The model {name} cannot be loaded: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
