"""`python -m minirag.local OPTIONS`: the commands `serve` and `train`, with their options as one JSON object."""

import json
import os
import shlex
import shutil
import signal
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from minirag.errors import InputError, MiniragError
from minirag.local.embedding import Embedder
from minirag.local.engine import Local
from minirag.local.models import dtype_of, folder_of, load_model, load_tokenizer
from minirag.local.remote import Vllm
from minirag.local.training import MACHINE, Spec, defaults, read_spec, train
from minirag.message_log import lock_file, write_json
from minirag.server import Api, Refused, Server
from minirag.server.files import Records
from minirag.server.jobs import examples_of
from minirag.server.wire import Reply, Request


def serve(options: dict[str, Any]) -> None:
    """Serve the model until the process is ended, or export one. Raises InputError for what keeps it from starting."""
    state = Path(options.get("state", "local-models"))
    if "export" in options:
        name, out = options["export"]
        export(state, name, Path(out))
        return
    lock = _locked(state)
    if "model" not in options:
        raise InputError("Name the model to serve: one of the hub, a folder or a GGUF file.")
    model, path = options["model"], Path(options["model"]).expanduser()
    own_name = model if not path.exists() else path.stem if path.suffix == ".gguf" else path.resolve().name
    loaded: Future[Api] = Future()

    def answer(request: Request) -> Reply:
        return loaded.result()(request)  # who asks while the model is loaded waits, as `serve … &` and `run` do

    server = Server(answer, options.get("port", 0))  # a port in use is told before the model is loaded
    engine = Local(
        options.get("name", own_name),
        folder_of(model, state),
        state,
        {name: options[name] for name in MACHINE if name in options},
        max_batch=options.get("max_batch", 16),
        embedder=Embedder(options["embedding"], options.get("device")) if "embedding" in options else None,
        remote=Vllm(options["engine_url"]) if "engine_url" in options else None,
    )
    engine.tokenizer.save_pretrained(state / "tokenizer")
    loaded.set_result(Api(engine, state, in_background=True))
    with lock, server:
        print(server.base_url)
        student, tokenizer = shlex.quote(engine.name), shlex.quote(str(state / "tokenizer" / "tokenizer.json"))
        options_to_use = f"--student {student} --student-base-url {server.base_url} --tokenizer {tokenizer}"
        print(f"minirag run DOC {options_to_use} --free student …", flush=True)
        threading.Event().wait()


def export(state: Path, name: str, out: Path) -> None:
    """Write the tuned model of this name, or the last one of a job of this id. Raises InputError if there is none."""
    records = Records(state / "models").newest_first()
    record = next((r for r in records if name == r["id"] or f"/{name}/" in r["adapter"]), None)
    if record is None:
        ids = ", ".join(r["id"] for r in records[:3]) or "none"
        raise InputError(f"{state} has no tuned model and no job {name}; it has: {ids}.")
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty: name another folder.")
    write(state / record["adapter"], out)


def write(adapter: Path, out: Path) -> None:
    """Write `out/adapter` and, merged, `out/merged`, a whole model that vLLM, transformers and llama.cpp load.

    `adapter` is the folder of an adapter, whose base its training's spec names.
    """
    spec, device = read_spec(adapter.parent), torch.device("cpu")
    tokenizer = load_tokenizer(spec.base, spec.chat_template)
    shutil.copytree(adapter, out / "adapter", dirs_exist_ok=True)
    model = PeftModel.from_pretrained(load_model(spec.base, device, dtype_of(spec.dtype, device)), adapter)
    model.merge_and_unload().save_pretrained(out / "merged")
    for folder in (out / "adapter", out / "merged"):
        tokenizer.save_pretrained(folder)
        print(folder)


def train_file(options: dict[str, Any]) -> None:
    """Train on a file of chats, without a server; the same command again goes on after an interruption."""

    def say(step: int, total: int, loss: float | None, **details: Any) -> None:
        parts = [details.get("message") or f"step {step}/{total}"]
        parts += [f"loss {loss:.3f}"] if loss is not None else []
        parts += [f"validation loss {details['valid_loss']:.3f}"] if "valid_loss" in details else []
        parts += [f"{details['seconds_left']:.0f} s left"] if "seconds_left" in details else []
        print(", ".join(parts), file=sys.stderr, flush=True)

    out = Path(options["out"])
    with _locked(out):
        examples = examples_of(_bytes(options["file"]), "training", 1)
        validation = examples_of(_bytes(options["validation"]), "validation") if "validation" in options else []
        options = {"n_epochs" if name == "epochs" else name: value for name, value in options.items()}
        chosen = {name: value for name, value in options.items() if name in Spec._fields and name != "validation"}
        base = folder_of(options["model"], out)
        spec = Spec(base, examples, validation, **{**defaults(len(examples)), **chosen})
        folder = out / "training"
        if (folder / "spec.json").exists() and read_spec(folder) != spec:
            raise InputError(f"{out} holds another training: name another folder with --out.")
        write_json(folder / "spec.json", spec._asdict())
        write(train(spec, folder, say), out)


def _locked(folder: Path) -> Any:
    """Return an open file that locks the folder for this process. Raises InputError if another one has it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (folder / "lock").open("w")
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be used ({error.strerror}): name another.") from error
    try:
        lock_file(file.fileno())
    except OSError as error:
        raise InputError(f"Another process uses {folder}: end it, or name another folder.") from error
    return file


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error


def main() -> None:
    """Run one command; end with its exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell switches it off in what it starts with "&"
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))  # all state is on disk, and a trainer ends with its stdin
    try:
        options = json.loads(sys.argv[1])
        if "chat_template" in options:
            options["chat_template"] = _bytes(options["chat_template"]).decode("utf-8", "replace")
        serve(options) if options["command"] == "serve" else train_file(options)
    except (MiniragError, Refused) as error:
        print(f"minirag: {error}", file=sys.stderr)
        sys.exit(getattr(error, "exit_code", 2))
    except KeyboardInterrupt:
        os._exit(130)


if __name__ == "__main__":
    main()
