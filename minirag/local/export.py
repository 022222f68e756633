"""Write a tuned model as an adapter and, merged, as a whole model that vLLM, transformers and llama.cpp load."""

import shutil
from pathlib import Path

import torch
from peft import PeftModel

from minirag.errors import InputError
from minirag.local.models import dtype_of, load_model, load_tokenizer
from minirag.local.training import read_spec
from minirag.server.files import Records


def export(state: Path, name: str, out: Path) -> None:
    """Write the tuned model of this name, or the last one of a job of this id. Raises InputError if there is none."""
    records = Records(state / "models").newest_first()
    record = next((r for r in records if name == r["id"] or f"/{name}/" in r["adapter"]), None)
    if record is None:
        known = ", ".join(r["id"] for r in records[:3]) or "none"
        raise InputError(f"{state} has no tuned model and no job {name}; it has: {known}.")
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty: name another folder.")
    write(state / record["adapter"], out)


def write(adapter: Path, out: Path) -> None:
    """Write `out/adapter` and `out/merged` from the folder of an adapter, whose base its training's spec names."""
    spec = read_spec(adapter.parent)
    device = torch.device("cpu")
    tokenizer = load_tokenizer(spec.base, spec.chat_template)
    shutil.copytree(adapter, out / "adapter", dirs_exist_ok=True)
    model = PeftModel.from_pretrained(load_model(spec.base, device, dtype_of(spec.dtype, device)), adapter)
    model.merge_and_unload().save_pretrained(out / "merged")
    for folder in ("adapter", "merged"):
        tokenizer.save_pretrained(out / folder)
