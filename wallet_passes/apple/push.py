"""Pushes to Apple over HTTP/2: one long-lived connection for a certificate, many requests on it at once.

A push says only "something changed": its body is `{}`, its topic the pass type (Apple, "Adding a Web Service to Update
Passes"; statuses and reasons by "Handling notification responses from APNs").
"""

import contextlib
import functools
import secrets
import select
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import msgspec

from core import logs
from core.config import settings
from core.errors import RapportError, Unavailable
from wallet_passes.apple import certificate
from wallet_passes.apple.certificate import Certificate

TIMEOUT = 10  # seconds without a byte from the other side
# More would cost more: each new request is weighed against all that are open.
AT_ONCE = 100
REST = 1  # seconds after an error of the service's own
MOST_REST = 600  # seconds, whatever the service asks for
UNANSWERED = (503, "no answer")
CHUNK = 65536
# One for each certificate that a process pushes with.
MOST_CONNECTIONS = 64

log = logs.logger(__name__)


class Reply(NamedTuple):
    """What the push service said of one push token. `gone_since` is in milliseconds of the epoch, with a 410."""

    push_token: str
    status: int
    reason: str = ""
    gone_since: int = 0
    retry_after: int = 0

    @property
    def taken(self) -> bool:
        return self.status == 200


class PushRefused(RapportError):
    """The push service would not speak with us: the certificate is wrong, or not for this pass type."""

    code = "push_refused"


class _Lost(Exception):
    """The connection ended. What was not answered can be sent again: telling twice is harmless."""


class Pusher:
    """Tells phones that their passes changed. Safe to share among threads, which take turns."""

    def __init__(self, url: str, topic: str, context: ssl.SSLContext) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 443)
        self._authority = parts.netloc
        self._topic = topic
        self._context = context
        self._lock = threading.Lock()
        self._open: _Connection | None = None
        self._rests_until = 0.0

    def push(self, push_tokens: Sequence[str]) -> list[Reply]:
        """Push to each of these, once. Raises Unavailable when the service answers to none, PushRefused.

        Where it answers to some and then no more, the others have the reply `UNANSWERED`.
        """
        with self._lock:
            if time.monotonic() < self._rests_until:
                raise Unavailable("Apple's push service asks us to wait", code="push_unavailable")
            replies: dict[str, Reply] = {}
            left = list(dict.fromkeys(push_tokens))
            # A connection that idled may have been closed without our noticing: the second try has a new one.
            for last in (False, True):
                try:
                    self._connected().exchange(left, replies)
                    break
                except (_Lost, OSError, h2.exceptions.ProtocolError) as error:
                    self.close()
                    left = [one for one in left if one not in replies]
                    if last and not replies:
                        raise _explained(error) from None
            # One phone that nothing is said of must not have all others told again.
            replies |= {one: Reply(one, *UNANSWERED) for one in left if one not in replies}
            self._rests_until = time.monotonic() + max(map(_rest, replies.values()), default=0)
        return [replies[one] for one in dict.fromkeys(push_tokens)]

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = None

    def _connected(self) -> "_Connection":
        if self._open is not None and not self._open.usable():
            self.close()
        if self._open is None:
            self._open = _Connection(self._address, self._authority, self._topic, self._context)
        return self._open


def _rest(reply: Reply) -> float:
    """Seconds in which nothing more is sent. A 429 is about one device alone, unless it says how long to wait."""
    return min(reply.retry_after, MOST_REST) or (REST if reply.status >= 500 else 0)


def _explained(error: Exception) -> RapportError:
    if isinstance(error, ssl.SSLError):
        return PushRefused(f"the push service and we don't trust each other: {error.reason or 'TLS failed'}")
    return Unavailable("Apple's push service does not answer", code="push_unavailable")


class _Connection:
    """One HTTP/2 connection and what is under way on it."""

    def __init__(self, address: tuple[str, int], authority: str, topic: str, context: ssl.SSLContext) -> None:
        raw = socket.create_connection(address, TIMEOUT)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(raw, server_hostname=address[0])
        if self._socket.selected_alpn_protocol() != "h2":
            raise _Lost("no HTTP/2")
        config = h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
        self._http = h2.connection.H2Connection(config)
        self._http.initiate_connection()
        self._headers = [(":method", "POST"), (":scheme", "https"), (":authority", authority), ("apns-topic", topic)]
        self._streams: dict[int, _Stream] = {}
        self._leaving = self._ready = False
        self._flush()
        # Only then is it known how many requests it takes at once.
        while not self._ready:
            self._receive({})

    def usable(self) -> bool:
        """Whether more can be sent, having read what came while nobody listened: a goodbye, or the end."""
        try:
            while not self._leaving and (self._socket.pending() or select.select([self._socket], [], [], 0)[0]):
                self._receive({})
        except (_Lost, OSError, h2.exceptions.ProtocolError):
            return False
        return not self._leaving

    def exchange(self, push_tokens: Sequence[str], replies: dict[str, Reply]) -> None:
        """Send to each token and wait for all answers, which go to `replies` as they come. Raises _Lost, OSError."""
        waiting = iter(push_tokens)
        while self._send(waiting) or self._streams:
            self._receive(replies)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def _send(self, waiting: Iterator[str]) -> bool:
        """Fill the free places; true when something was sent."""
        free = min(AT_ONCE, self._http.remote_settings.max_concurrent_streams) - len(self._streams)
        sent = False
        for push_token in _first(waiting, free):
            if self._leaving:
                raise _Lost("the push service said goodbye")
            number = self._http.get_next_available_stream_id()
            self._http.send_headers(number, [(":path", f"/3/device/{quote(push_token, safe='')}"), *self._headers])
            self._http.send_data(number, b"{}", end_stream=True)
            self._streams[number] = _Stream(push_token)
            sent = True
        self._flush()
        return sent

    def _receive(self, replies: dict[str, Reply]) -> None:
        data = self._socket.recv(CHUNK)
        if not data:
            raise _Lost("the push service closed the connection")
        for event in self._http.receive_data(data):
            self._take(event, replies)
        self._flush()

    def _take(self, event: Any, replies: dict[str, Reply]) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            # What it has still taken is answered before it closes.
            self._leaving = True
            log.info("the push service says goodbye", reason=(event.additional_data or b"").decode("ascii", "replace"))
            return
        self._ready |= isinstance(event, h2.events.RemoteSettingsChanged)
        stream = self._streams.get(getattr(event, "stream_id", None) or 0)
        if stream is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            stream.headers = {_text(name): _text(value) for name, value in event.headers}
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data or b""
            self._http.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
            del self._streams[event.stream_id]
            replies[stream.push_token] = stream.reply()

    def _flush(self) -> None:
        data = self._http.data_to_send()
        if data:
            self._socket.sendall(data)


class _Told(msgspec.Struct):
    """Why the service refused a push."""

    reason: str = ""
    timestamp: int = 0


class _Stream:
    def __init__(self, push_token: str) -> None:
        self.push_token = push_token
        self.headers: dict[str, str] = {}
        self.body = b""

    def reply(self) -> Reply:
        """Without a status the stream was reset: as good as a server's error."""
        try:
            told = msgspec.json.decode(self.body or b"{}", type=_Told)
        except msgspec.DecodeError:
            told = _Told()
        wait = self.headers.get("retry-after", "")
        return Reply(
            self.push_token,
            int(self.headers.get(":status", 503)),
            told.reason,
            told.timestamp,
            int(wait) if wait.isdigit() else 0,
        )


def _first(waiting: Iterator[str], count: int) -> Iterator[str]:
    for _ in range(count):
        following = next(waiting, None)
        if following is None:
            return
        yield following


def _text(raw: bytes | str) -> str:
    return raw.decode("ascii", "replace") if isinstance(raw, bytes) else raw


def pusher(signer: Certificate | None = None) -> Pusher:
    """The process's pusher for a certificate, the operator's when none is named. Raises NotSetUp, BadCertificate."""
    config = settings()
    return _pusher(config.apple_push_url, config.apple_push_ca, signer or certificate.current())


@functools.lru_cache(maxsize=MOST_CONNECTIONS)
def _pusher(url: str, authority: Path | None, signer: Certificate) -> Pusher:
    """The one that was asked for longest ago goes, and its connection with it."""
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    _load(context, signer)
    return Pusher(url, signer.pass_type, context)


def _load(context: ssl.SSLContext, signer: Certificate) -> None:
    """Python's TLS reads keys from files alone: one of our own, gone at once, under a password that nobody knows."""
    password = secrets.token_bytes(32)
    with tempfile.NamedTemporaryFile(prefix="rapport-") as file:
        file.write(signer.pem(password).encode())
        file.flush()
        context.load_cert_chain(file.name, password=password)
