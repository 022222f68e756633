"""Hand answering over to a vLLM that runs on this machine (`vllm serve MODEL --enable-lora`), adapters included."""

import json
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from minirag.errors import InputError
from minirag.server import ChatRequest, Choice, Completion, Refused

TIMEOUT = 600.0
"""Seconds without a byte of the reply."""


class Vllm:
    """The server at `url`. It must run with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True and see this machine's files."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/").removesuffix("/v1") + "/v1"
        self._loaded: set[str] = set()
        try:
            self._base = str(self._call("/models")["data"][0]["id"])
        except (Refused, LookupError, TypeError) as error:
            raise InputError(f"--engine-url {url} is no vLLM that answers: {error}") from error

    def complete(self, adapter: str, path: Path, request: ChatRequest) -> Completion:
        """Answer a chat by the adapter of this name, or by the base model if the name is empty."""
        if adapter and adapter not in self._loaded:
            try:
                self._call("/load_lora_adapter", {"lora_name": adapter, "lora_path": str(path.resolve())})
            except Refused as refused:
                if "already" not in str(refused):
                    raise
            self._loaded.add(adapter)
        body = {name: value for name, value in request._asdict().items() if value not in (None, (), [], {})}
        reply = self._call("/chat/completions", {**body, "model": adapter or self._base})
        choices = [Choice(choice["message"]["content"] or "", choice["finish_reason"]) for choice in reply["choices"]]
        return Completion(choices, reply["usage"]["prompt_tokens"], reply["usage"]["completion_tokens"])

    def _call(self, path: str, body: Any = None) -> Any:
        """Return the JSON value of a reply; that of loading an adapter is a text. Raises Refused as vLLM does."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._url + path, data, {"Content-Type": "application/json"})
        try:
            with urlopen(request, timeout=TIMEOUT) as reply:
                text = reply.read()
        except HTTPError as error:
            raise Refused(error.code, f"vLLM: {error.read().decode('utf-8', 'replace')[:500]}") from error
        except (URLError, OSError, ValueError) as error:
            raise Refused(503, f"vLLM at {self._url} does not answer: {error}") from error
        return json.loads(text) if text.startswith((b"{", b"[")) else None
