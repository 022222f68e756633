"""The engine: one copy of the base model, an adapter a tuned model, switched per batch; jobs train in processes."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from peft import PeftModel

from minirag.local.decoding import Batches, Prompt, Written, write
from minirag.local.embedding import Embedder
from minirag.local.models import device_of, dtype_of, load_model, load_tokenizer, window_of
from minirag.local.remote import Vllm
from minirag.local.rows import end_token, prompt_ids
from minirag.local.training import Spec, defaults
from minirag.message_log import write_json
from minirag.server import ChatRequest, Choice, Completion, Model, Refused, Report, Trained, Training, Vectors
from minirag.server.engine import too_long
from minirag.server.files import Records
from minirag.server.wire import Json, invalid

BASE = ""
"""The adapter's name of the base model, which has none."""


class Local:
    """The base model `name`, loaded from `folder`, and those that were tuned here, which `state` keeps.

    `machine` has the options named in `training.MACHINE`; `remote` answers in place of this process.
    """

    def __init__(
        self,
        name: str,
        folder: str,
        state: Path,
        machine: Mapping[str, Any],
        *,
        max_batch: int = 16,
        embedder: Embedder | None = None,
        remote: Vllm | None = None,
    ) -> None:
        self.name, self._folder, self._state, self._machine = name, folder, state, machine
        self._embedder, self._remote = embedder, remote
        self._created = int(time.time())
        self._tuned = Records(state / "models")  # each {"id", "created", "adapter"}
        self.tokenizer = load_tokenizer(folder, machine.get("chat_template"))
        self.window = window_of(folder, machine.get("max_model_len"))
        if remote:
            return
        device = device_of(machine.get("device"))
        self._model: Any = load_model(folder, device, dtype_of(machine.get("dtype"), device))
        ends = self._model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        own = (self.tokenizer.eos_token_id, end_token(self.tokenizer))
        self._end_ids = frozenset(end for end in (*ends, *own) if end is not None)
        self._batches = Batches(self._written, max_batch)

    def models(self) -> list[Model]:
        """Return the base model, that for embeddings, and the tuned ones with their checkpoints."""
        tuned = [Model(record["id"], record["created"]) for record in reversed(self._tuned.newest_first())]
        embedding = [Model(self._embedder.name, self._created, "embedding")] if self._embedder else []
        return [Model(self.name, self._created, is_trainable=True), *embedding, *tuned]

    def complete(self, model: str, request: ChatRequest) -> Completion:
        """Answer a chat."""
        if request.response_format.get("type", "text") != "text":
            raise invalid("response_format", "the type 'text': this server cannot hold a model to a format")
        ids = prompt_ids(self.tokenizer, request.messages)
        if len(ids) + (request.max_tokens or 1) > self.window:
            raise too_long(self.window, len(ids), request.max_tokens)
        record = self._tuned.get(model)
        adapter = record["adapter"] if record else BASE
        if self._remote:
            fresh = f"{adapter.replace('/', '-')}-{record['created']}" if record else ""
            return self._remote.complete(fresh, self._state / adapter, request)
        temperature = 1.0 if request.temperature is None else request.temperature
        prompt = Prompt(ids, request.max_tokens or self.window - len(ids), request.stop, temperature)
        if request.top_p is not None:
            prompt = prompt._replace(top_p=request.top_p)
        prompts = [prompt] if not temperature else [prompt] * request.n  # greedy ones are all the same
        if request.seed is not None:
            prompts = [prompt._replace(seed=request.seed + place) for place, prompt in enumerate(prompts)]
        answers = self._batches.ask(adapter, prompts)
        answers *= request.n // len(answers)
        choices = [Choice(answer.text, "length" if answer.is_cut_off else "stop") for answer in answers]
        return Completion(choices, len(ids), sum(answer.tokens for answer in answers))

    def _written(self, adapter: str, prompts: list[Prompt]) -> list[Written]:
        """Answer one batch, in the thread of the batches: the only one that touches the model."""
        without_adapter: AbstractContextManager[None] = nullcontext()
        if adapter != BASE:
            key, path = adapter.replace("/", "-"), self._state / adapter
            if not isinstance(self._model, PeftModel):
                self._model = PeftModel.from_pretrained(self._model, path, key, autocast_adapter_dtype=False).eval()
            elif key not in self._model.peft_config:
                self._model.load_adapter(path, key, autocast_adapter_dtype=False)
            if self._model.active_adapter != key:
                self._model.set_adapter(key)
        elif isinstance(self._model, PeftModel):
            without_adapter = self._model.disable_adapter()
        with without_adapter:
            return write(self._model, self.tokenizer, prompts, self._end_ids)

    def embed(self, model: str, texts: Sequence[str], dimensions: int | None) -> Vectors:
        """Embed texts."""
        assert self._embedder is not None  # else no model of this kind is on offer
        return self._embedder.embed(texts, dimensions)

    def defaults(self, examples: int) -> Json:
        """Return what is sensible for LoRA."""
        return defaults(examples)

    def train(self, training: Training, report: Report) -> Trained:
        """Train in a process of its own, which goes on from its last epoch if an earlier server started it."""
        folder = self._state / "training" / training.job_id
        name = f"ft:{self.name}:minirag:{training.suffix}:{training.job_id[-8:]}"
        settings = {**training.hyperparameters, **self._machine}
        spec = Spec(self._folder, training.examples, training.validation, seed=training.seed, **settings)
        write_json(folder / "spec.json", spec._asdict())
        tokens = 0
        with (folder / "trainer.log").open("ab") as log:
            # in a session of its own: Ctrl-C ends the server, and the trainer because its stdin ends
            command = [sys.executable, "-P", "-m", "minirag.local.training", str(folder)]
            pipe = subprocess.PIPE
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, start_new_session=True)
        with process:
            for line in process.stdout or ():
                details = json.loads(line)
                if "error" in details:
                    raise Refused(400, details["error"], code=details["code"], param=details.get("param"))
                step, total, loss = (details.pop(field) for field in ("step", "total", "loss"))
                tokens = details.get("tokens", tokens)
                if checkpoint := details.get("checkpoint"):
                    details["checkpoint"] = name if step == total else f"{name}:ckpt-{checkpoint}"
                    adapter = f"training/{training.job_id}/{checkpoint}"
                    self._tuned.put({"id": details["checkpoint"], "created": int(time.time()), "adapter": adapter})
                report(step, total, loss, details)
            code = process.wait()
        if code != 0:
            reason = "it was killed, usually for lack of memory" if code == -9 else f"exit code {code}"
            raise Refused(500, f"The training process ended early ({reason}); see {folder / 'trainer.log'}.")
        (folder / "state.pt").unlink(missing_ok=True)
        return Trained(name, tokens)

    def delete(self, model: str) -> bool:
        """Delete a tuned model or a checkpoint, with its adapter."""
        if record := self._tuned.get(model):
            self._tuned.remove(model)
            shutil.rmtree(self._state / record["adapter"], ignore_errors=True)
        return record is not None
