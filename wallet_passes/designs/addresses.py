"""Addresses of pictures, for wallets that fetch them: `/wallet/images/<shop>/<name>/<kind>.png`.

A name says all that a picture is made of (whose logo or which initial, on which colours) and is signed, so that what it
shows never changes and nobody has us draw what no card of ours has.
"""

import hmac
import re

from core import crypto
from core.config import settings
from wallet_passes.design import Colour, Design, Pictures, parsed, written
from wallet_passes.designs import drawing

_PURPOSE = "wallet picture"
_NAME = re.compile(r"(?P<source>[0-9a-f]{64}|[0-9a-f]{2}|x)-(?P<back>[0-9a-f]{6})-(?P<fore>[0-9a-f]{6})-[0-9a-f]{20}")
# Of a shop's pictures, the ones that a kind is made of, first choice first: as `images` makes it.
_SOURCES = {
    "google-logo": ("icon", "logo"),
    "google-hero": ("hero", "strip"),
    "icon": ("icon", "logo"),
    "logo": ("logo",),
    "strip": ("strip", "hero"),
}


def address(shop_id: int, design: Design, kind: str) -> str:
    """Where a picture of a look can be fetched by anybody. `kind` is one of `images.KINDS`."""
    return f"{settings().app_url.rstrip('/')}/wallet/images/{shop_id}/{name(shop_id, design, kind)}/{kind}.png"


def name(shop_id: int, design: Design, kind: str) -> str:
    """The signed name of what a picture is made of."""
    digests = (getattr(design.pictures, source) for source in _SOURCES[kind])
    initial = drawing.letter(design.name).encode().hex() or "x"
    source = next(filter(None, digests), initial)
    said = "-".join((source, _plain(design.background), _plain(design.foreground)))
    return f"{said}-{_signature(crypto.keyring(_PURPOSE)[0], shop_id, said)}"


def read(shop_id: int, named: str, kind: str) -> Design | None:
    """As much of a look as the picture is made of; None for a name that is not ours, of this shop."""
    match = _NAME.fullmatch(named)
    if match is None or kind not in _SOURCES:
        return None
    said, _, signature = named.rpartition("-")
    right = [hmac.compare_digest(signature, _signature(key, shop_id, said)) for key in crypto.keyring(_PURPOSE)]
    if not any(right):
        return None
    source, back, fore = match["source"], parsed(f"#{match['back']}"), parsed(f"#{match['fore']}")
    if len(source) == 64:
        return Design("", back, fore, fore, pictures=Pictures(**{_SOURCES[kind][0]: source}))
    return Design("" if source == "x" else bytes.fromhex(source).decode("ascii", "replace"), back, fore, fore)


def _plain(colour: Colour) -> str:
    return written(colour)[1:]


def _signature(key: bytes, shop_id: int, said: str) -> str:
    return hmac.digest(key, f"{shop_id}:{said}".encode(), "sha256").hex()[:20]
