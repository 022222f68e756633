"""Row 2. Fetches a document from an http or https address, within a size and a time limit."""

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

    Redirects are followed, at most five and only to http and https. Raises DocumentError for another scheme, a
    name or password in the address, an answer other than 200, more than `max_bytes`, and every network failure.
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
        for _ in range(MAX_REDIRECTS + 1):
            _check(url, address)
            local = url.host in ("localhost", "127.0.0.1", "::1")  # a proxy cannot reach these
            async with (
                httpx.AsyncClient(timeout=timeout, trust_env=not local) as client,
                client.stream("GET", url) as response,
            ):
                if response.has_redirect_location:
                    url = url.join(response.headers["location"])
                    continue
                return await _body(response, address, max_bytes)
    raise DocumentError(f"{address} redirects more than {MAX_REDIRECTS} times; give the last address.")


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
