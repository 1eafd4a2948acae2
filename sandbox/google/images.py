"""Google fetches an image once, when it first hears of it, and shows its own copy from then on."""

import base64
import io
import ssl
import warnings
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from PIL import Image, UnidentifiedImageError

from sandbox.google import rules, schema
from sandbox.google.refusal import invalid
from sandbox.google.rules import Body
from sandbox.store import Store

SHOP = "google"  # the sandbox's documents belong to a shop; Google's to none
LARGEST = 8 * 1024 * 1024  # bytes


class Held(msgspec.Struct):
    kind: str
    data: bytes


def loopback_client(**more: Any) -> httpx.Client:
    """Nothing on loopback is behind TLS, and reading the machine's certificates takes longer than a whole test."""
    return httpx.Client(timeout=10, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), **more)


class Images:
    """The images that classes and objects name by their addresses."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.client = loopback_client()

    def close(self) -> None:
        self.client.close()

    def take(self, name: str, body: Body) -> None:
        """Fetch those of a body that are not held yet. Raises Refusal for what is no image."""
        for message in schema.messages(name, body):
            if message.name == "ImageUri" and not self.store.exists(SHOP, "image", message.value["uri"]):
                self.store.put(SHOP, "image", message.value["uri"], self._fetched(message.value["uri"]))

    def shown(self, image: Body | None) -> str:
        """An image as a data address; empty when there is none."""
        address = ((image or {}).get("sourceUri") or {}).get("uri", "")
        held = self.store.get(SHOP, "image", address, Held)
        return f"data:{held.kind};base64,{base64.b64encode(held.data).decode()}" if held else ""

    def _fetched(self, address: str) -> Held:
        if not rules.loopback(urlsplit(address).hostname or ""):
            raise invalid(f"Image cannot be loaded: {address} is not on this machine.", "imageNotLoaded")
        try:
            data = self.client.get(address).raise_for_status().content
            return Held(_kind(data), data)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise invalid(f"Image cannot be loaded: {address} ({error}).", "imageNotLoaded") from None


def _kind(data: bytes) -> str:
    """The media type of a PNG, JPEG or WebP image that can be read. Raises OSError or ValueError."""
    if len(data) > LARGEST:
        raise ValueError("it is too large")
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
                image.load()
                return Image.MIME[image.format or "PNG"]
        except (UnidentifiedImageError, Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise ValueError("it is no image") from None
