"""One call to a model service: its address, what was sent, what came back, and its line in the log."""

import base64
import hashlib
import ipaddress
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from minirag.errors import InputError, keep_out

VERSION = 1
_LINE = "id stage tags endpoint service repeat request response error started seconds".split()
_TEXT_PARTS = ("text", "output_text", None)
_THINKING = re.compile(r"(?is)(?:<think(?:ing)?>|\[think\]).*?(?:</think(?:ing)?>|\[/think\]|\Z)|\A.*?</think(?:ing)?>")
"""Thinking in a text: between its tags, behind the first if it was cut off, before the second if the prompt had one."""


def is_loopback(address: str) -> bool:
    """Return True if an address is this machine itself.

    >>> is_loopback("http://127.0.0.1:8000/v1"), is_loopback("https://api.openai.com/v1")
    (True, False)
    """
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


def is_openai(address: str) -> bool:
    """Return True if an address is OpenAI's own, in any region."""
    host = urlsplit(address).hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com")


def split_address(address: str) -> tuple[str, dict[str, str]]:
    """Return the base of an address, as the SDK wants it, and its query; the path of one endpoint is cut off.

    >>> split_address("https://host/openai/deployments/d/chat/completions?api-version=2024-10-21")
    ('https://host/openai/deployments/d', {'api-version': '2024-10-21'})
    """
    base, _, query = address.partition("?")
    return re.sub(r"/+(chat/completions|completions|embeddings|responses|models)?/*$", "", base), dict(parse_qsl(query))


def public_address(base_url: str) -> str:
    """Return scheme, host, port and path of an address; its password is kept out of every message from now on."""
    shown = "The address" if "@" in base_url else repr(base_url)
    try:
        parts = urlsplit(base_url)
        is_usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port)
    except ValueError:  # the port is no number
        is_usable = False
    if not is_usable:
        raise InputError(f"{shown} is no service address; it must look like https://host/v1.")
    if parts.password:
        keep_out(unquote(parts.password))
        basic = unquote(f"{parts.username}:{parts.password}").encode()
        keep_out(base64.b64encode(basic).decode())  # as the header of basic authentication has it
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def canonical(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def exchange_id(service: str, endpoint: str, request: Mapping[str, Any], repeat: int = 0) -> str:
    """Return the identity of a call: a versioned sha256 of its address, everything it sends, and its repeat number."""
    text = canonical([VERSION, service, endpoint, request, repeat])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def visible(content: Any) -> str:
    """Return the text of a message's `content`, a text or a list of parts, without any thinking in it.

    >>> visible("<think>1 + 1?</think> Two."), visible([{"type": "thinking"}, {"type": "text", "text": "Two."}])
    ('Two.', 'Two.')
    """
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, Mapping) and part.get("type") in _TEXT_PARTS]
        content = "".join(str(part.get("text") or "") for part in parts)
    text = str(content or "")
    shown = _THINKING.sub("", text)
    return text if shown == text else shown.strip()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call to a model service, raw: `request` as sent, `response` as received.

    A completed call has a response, an error, or both (a reply that was billed but cannot be used). A call that is
    still to be sent has neither. Text, usage and model are read from these two and never stored a second time.
    """

    stage: str
    endpoint: str
    service: str
    request: Mapping[str, Any]
    response: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    repeat: int = 0
    tags: Mapping[str, Any] = field(default_factory=dict)
    started: str = ""
    seconds: float = 0.0
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", exchange_id(self.service, self.endpoint, self.request, self.repeat))

    @property
    def _choice(self) -> Mapping[str, Any]:
        choices = (self.response or {}).get("choices")
        return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], Mapping) else {}

    @property
    def text(self) -> str:
        """The reply's visible text, without what the model thought before it; empty if there is none."""
        message = self._choice.get("message")
        return visible(message.get("content")) if isinstance(message, Mapping) else ""

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped: `stop`, `length`, `content_filter`, …"""
        reason = self._choice.get("finish_reason")
        return None if reason is None else str(reason)

    @property
    def model(self) -> str:
        """The model that was requested."""
        return str(self.request.get("model", ""))

    @property
    def served_model(self) -> str:
        """The model that answered, as the service names it."""
        return str((self.response or {}).get("model") or self.model)

    @property
    def usage(self) -> Mapping[str, Any]:
        """The tokens billed, as the service counts them; empty if it does not say."""
        usage = (self.response or {}).get("usage")
        return usage if isinstance(usage, Mapping) else {}

    def to_line(self) -> bytes:
        """Return the exchange as one line of the log, checksum and newline included."""
        body = {"v": VERSION, **{name: getattr(self, name) for name in _LINE}}
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        data = text.encode("utf-8", "backslashreplace")[:-1]
        return data + b',"crc":"%08x"}\n' % zlib.crc32(data)

    @classmethod
    def from_line(cls, line: bytes) -> "Exchange":
        """Return the exchange of a line that `to_line` wrote. Raises ValueError, KeyError or TypeError for another."""
        body = json.loads(line)
        return cls(**{name: body[name] for name in cls.__dataclass_fields__})
