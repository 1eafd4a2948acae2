"""The keys that Google publishes for its callbacks, fetched when first needed and kept while they are good."""

import functools
import threading
from datetime import datetime, timedelta

import httpx

from core import clock, logs
from core.config import settings
from core.errors import RapportError, Unavailable
from wallet_passes.google import callbacks
from wallet_passes.google.callbacks import Callback, Root, UnknownRoot

TIMEOUT = 5  # seconds
# A forged callback must not make us ask Google without end.
BETWEEN_FETCHES = timedelta(minutes=1)
LARGEST = 256 * 1024  # bytes

log = logs.logger(__name__)


class Keys:
    """The root keys at one address. Any thread may ask."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._known: tuple[Root, ...] = ()
        self._fetched_at: datetime | None = None
        self._lock = threading.Lock()

    def verified(self, raw: bytes, issuer: str, now: datetime) -> Callback:
        """As `callbacks.verified`, with keys fetched anew when those we have do not fit. Raises Unavailable too."""
        known = self._good(now)
        try:
            return callbacks.verified(raw, known, issuer, now)
        except UnknownRoot:
            newer = self._newer(known, now)
            if newer is known:
                raise
            return callbacks.verified(raw, newer, issuer, now)

    def _good(self, now: datetime) -> tuple[Root, ...]:
        """The keys that are kept, fetched if there are none or any has expired."""
        with self._lock:
            if not self._known or any(root.expires_at <= now for root in self._known):
                self._fetch_seldom(now)
            return self._known

    def _newer(self, known: tuple[Root, ...], now: datetime) -> tuple[Root, ...]:
        """Other keys than `known`, if somebody has fetched them meanwhile or it is time to."""
        with self._lock:
            if self._known is known:
                self._fetch_seldom(now)
            return self._known

    def _fetch_seldom(self, now: datetime) -> None:
        if self._known and self._fetched_at and now < self._fetched_at + BETWEEN_FETCHES:
            return
        self._known, self._fetched_at = _fetched(self._url), now


def _fetched(url: str) -> tuple[Root, ...]:
    """Raises Unavailable."""
    try:
        answer = httpx.get(url, timeout=TIMEOUT).raise_for_status()
        found = callbacks.roots(answer.content[:LARGEST])
    except (httpx.HTTPError, RapportError) as error:
        log.warning("the keys of Google's callbacks can't be fetched", error=str(error))
        found = ()
    if not found:
        raise Unavailable("Google's keys can't be fetched just now; send this again", code="google_keys_unavailable")
    return found


def verified(raw: bytes, issuer: str) -> Callback:
    """What a callback to `issuer` says, by the keys of this installation's Google."""
    return _keys(settings().google_keys_url).verified(raw, issuer, clock.now())


@functools.lru_cache(maxsize=4)
def _keys(url: str) -> Keys:
    return Keys(url)
