"""Row 2. Fetches a document from an http or https address, within a size and a time limit.

The address that the user names is read wherever it is, also on this machine or in a private network. Where a server
leads from there is another matter, for what is read is sent to a model service and shown: a redirect may not lead from
a public address to a private one (the user's router, a cloud's metadata service), nor from https to http. Behind a
proxy it is the proxy that knows where a name leads; only numeric addresses are looked at then. Each request carries
nothing but the address: no cookie, no referrer, no password.
"""

import ipaddress
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from minirag.errors import DocumentError

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 5


class Download(NamedTuple):
    """The bytes at an address, what the server calls them, and the ending of the last address's path (".md")."""

    data: bytes
    media_type: str
    charset: str | None
    suffix: str


def download(address: str, *, timeout: float, max_bytes: int) -> Download:
    """The document at `address`, within `timeout` seconds from the first byte sent to the last received.

    Redirects are followed, at most five and as said above. Raises DocumentError for another scheme, a name or
    password in the address, an answer other than 200, more than `max_bytes`, and every network failure.
    """
    import asyncio  # it takes as long to load as all of minirag, and few runs fetch anything

    import httpx

    work = _limited(address, timeout, max_bytes)
    try:
        if (
            asyncio._get_running_loop() is not None
        ):  # a notebook has a loop in this thread already, and a thread has only one
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(asyncio.run, work).result()
        return asyncio.run(work)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise DocumentError(
            f"{address} did not arrive within {timeout:g} seconds; download it yourself and give the file."
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DocumentError(f"{address} cannot be fetched ({reason}); check the address and the network.") from error


async def _limited(address: str, timeout: float, max_bytes: int) -> Download:
    """Asynchronous, because only that ends a server which sends one byte a second on time."""
    import asyncio

    import httpx

    async with asyncio.timeout(timeout):
        url = httpx.URL(address)
        public = False
        for _ in range(MAX_REDIRECTS + 1):
            _check(url, address)
            local = url.host in ("localhost", "127.0.0.1", "::1")  # a proxy cannot reach these
            if public and is_private(url.host):
                raise _leads_inside(address, url.host)
            async with (
                httpx.AsyncClient(timeout=timeout, trust_env=not local) as client,
                client.stream("GET", url) as response,
            ):
                private = is_private(url.host) or is_private(_peer(response))
                if public and private:  # a name may stand for a private number
                    raise _leads_inside(address, url.host)
                public = public or not private
                if not response.has_redirect_location:
                    return await _body(response, address, max_bytes)
                url = _next(url, response.headers["location"], address)
    raise DocumentError(f"{address} redirects more than {MAX_REDIRECTS} times; give the last address.")


def is_private(host: str) -> bool:
    """Whether a numeric address, or the name localhost, belongs to this machine or a network of its own.

    >>> [is_private(host) for host in ("169.254.169.254", "::ffff:10.0.0.1", "localhost", "1.1.1.1", "example.org")]
    [True, True, True, False, False]
    """
    try:
        number = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:  # a name
        return host == "localhost" or host.endswith(".localhost")
    return not (getattr(number, "ipv4_mapped", None) or number).is_global


def _peer(response: "httpx.Response") -> str:
    """The number of whoever answered, which is the proxy where there is one."""
    stream = response.extensions.get("network_stream")
    address = stream and stream.get_extra_info("server_addr")
    return str(address[0]) if address else ""


def _next(url: "httpx.URL", location: str, address: str) -> "httpx.URL":
    """Where a redirect leads."""
    following = url.join(location)
    if url.scheme == "https" and following.scheme == "http":
        raise DocumentError(f"{address} redirects from https to http, which anybody may change; give the last address.")
    return following


def _leads_inside(address: str, host: str) -> DocumentError:
    return DocumentError(
        f"{address} redirects into a private network ({host}); give that address itself if you mean it."
    )


def _check(url: "httpx.URL", address: str) -> None:
    if url.scheme not in ("http", "https"):
        raise DocumentError(f"{address} leads to a {url.scheme or 'nameless'} address; only http and https are read.")
    if not url.host:
        raise DocumentError(f"{address} names no host; check the address.")
    if url.userinfo:
        raise DocumentError(
            f"The address at {url.host} holds a name or password; download the document yourself and give the file."
        )


async def _body(response: "httpx.Response", address: str, max_bytes: int) -> Download:
    if response.status_code != 200:
        raise DocumentError(f"{address} answers {response.status_code}, not a document; check the address.")
    data = bytearray()
    async for piece in response.aiter_bytes():
        data += piece
        if len(data) > max_bytes:
            raise DocumentError(
                f"{address} is larger than {max_bytes / 2**20:g} MiB; download it yourself and give the file."
            )
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    suffix = PurePosixPath(response.url.path).suffix.lower()
    return Download(bytes(data), media_type, response.charset_encoding, suffix)
