"""Addresses of services: which ones can be used, and what of them may be shown."""

import base64
import ipaddress
import re
from urllib.parse import parse_qsl, unquote, urlsplit

from minirag.errors import InputError, keep_out


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
