"""Files that Shopify leaves for us to fetch, read as a stream. No token is sent: the address alone opens them."""

from collections.abc import Iterator

import httpx

from core.errors import InvalidInput
from shops import tokens

CHUNK = 64 * 1024
TIMEOUT = httpx.Timeout(30, connect=5)


class Gone(Exception):
    """The file is there no longer."""


def stream(url: str, start: int = 0) -> Iterator[bytes]:
    """The file from byte `start` on. Raises Gone, httpx.HTTPError, and InvalidInput for an address that is not safe."""
    if not url.startswith("https://") and not tokens.loopback():
        raise InvalidInput("Shopify's files are fetched over HTTPS only", code="unsafe_file")
    headers = {"Range": f"bytes={start}-"} if start else {}
    with (
        httpx.Client(verify=tokens.trusted(), timeout=TIMEOUT, follow_redirects=False) as client,
        client.stream("GET", url, headers=headers) as answer,
    ):
        if answer.status_code == 416:
            return  # nothing is left behind that byte
        if answer.status_code not in (200, 206):
            raise Gone
        yield from _from(answer, 0 if answer.status_code == 206 else start)


def _from(answer: httpx.Response, skip: int) -> Iterator[bytes]:
    """A server that knows no parts sends the whole: what was read before is passed over."""
    for chunk in answer.iter_bytes(CHUNK):
        if skip < len(chunk):
            yield chunk[skip:]
        skip = max(0, skip - len(chunk))
