"""Apple's push service on loopback: TLS, HTTP/2 and nothing else, and only for who shows a certificate of ours.

What it refuses, it refuses with the statuses and reasons that Apple documents.
"""

import contextlib
import re
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from sandbox.apple.authority import Files
from sandbox.processes import LOOPBACK

TOKEN = re.compile(r"/3/device/([0-9a-f]{64})")
AT_ONCE = 1000


class Answer(NamedTuple):
    """`gone_since` is in milliseconds of the epoch."""

    status: int
    reason: str = ""
    gone_since: int = 0
    retry_after: int = 0


# Asked with a push token: None when it is a phone's, or since when (milliseconds of the epoch) it is none any more;
# 0 when it never was.
Known = Callable[[str], int | None]
OK = Answer(200)


class PushService:
    """Listens on a port of its own. `planned` answers are used up first; `deliver` is called with (token, topic)."""

    def __init__(self, files: Files, known: Known, deliver: Callable[[str, str], None], port: int = 0) -> None:
        self.known = known
        self.deliver = deliver
        self.planned: deque[Answer] = deque()
        self.taken = 0
        self.connections = 0
        self._context = _context(files)
        self._listener = socket.create_server((LOOPBACK, port), reuse_port=False, backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, name="pushes", daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://{LOOPBACK}:{self.port}"

    def close(self) -> None:
        # A blocked accept does not notice its socket closing.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Close every connection without a word, as a network that fails does."""
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def answer(self, headers: Mapping[str, str], body: bytes, topic: str) -> Answer:
        """What Apple says to one request of a certificate for `topic`."""
        if self.planned:
            return self.planned.popleft()
        match = TOKEN.fullmatch(headers.get(":path", ""))
        if headers.get(":method") != "POST":
            return Answer(405, "MethodNotAllowed")
        if not match:
            return Answer(400, "BadDeviceToken")
        if headers.get("apns-topic") != topic:
            return Answer(400, "TopicDisallowed" if "apns-topic" in headers else "MissingTopic")
        if body != b"{}":
            return Answer(400, "PayloadEmpty" if not body else "BadPayload")
        gone = self.known(match[1])
        if gone is not None:
            return Answer(410, "Unregistered", gone) if gone else Answer(400, "BadDeviceToken")
        self.deliver(match[1], topic)
        return OK

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), name="push connection", daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        self._open.add(raw)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with raw, self._context.wrap_socket(raw, server_side=True) as secure:
                self._open.add(secure)
                if secure.selected_alpn_protocol() == "h2":
                    self.connections += 1
                    _Conversation(self, secure).run()
                self._open.discard(secure)
        except (OSError, h2.exceptions.ProtocolError):
            pass
        finally:
            self._open.discard(raw)


class _Conversation:
    """One connection: requests as they come, answered as soon as they are whole."""

    def __init__(self, service: PushService, secure: ssl.SSLSocket) -> None:
        self.service = service
        self.socket = secure
        self.topic = _topic(secure.getpeercert(binary_form=True) or b"")
        config = h2.config.H2Configuration(client_side=False, validate_outbound_headers=False)
        self.http = h2.connection.H2Connection(config)
        limits = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: AT_ONCE}
        self.http.local_settings = h2.settings.Settings(client=False, initial_values=limits)
        self.http.initiate_connection()
        self.requests: dict[int, tuple[dict[str, str], bytearray]] = {}

    def run(self) -> None:
        self.socket.sendall(self.http.data_to_send())
        while data := self.socket.recv(65536):
            for event in self.http.receive_data(data):
                self.take(event)
            self.socket.sendall(self.http.data_to_send())

    def take(self, event: Any) -> None:
        if isinstance(event, h2.events.RequestReceived):
            headers = {_text(name): _text(value) for name, value in event.headers}
            self.requests[event.stream_id] = headers, bytearray()
        elif isinstance(event, h2.events.DataReceived):
            self.requests[event.stream_id][1].extend(event.data or b"")
            self.http.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.reply(event.stream_id)

    def reply(self, stream: int) -> None:
        headers, body = self.requests.pop(stream)
        answer = self.service.answer(headers, bytes(body), self.topic)
        self.service.taken += answer.status == 200
        told = [(":status", str(answer.status)), ("apns-id", f"{stream:032X}")]
        if answer.retry_after:
            told.append(("retry-after", str(answer.retry_after)))
        if answer.status == 200:
            self.http.send_headers(stream, told, end_stream=True)
            return
        why = {"reason": answer.reason} | ({"timestamp": answer.gone_since} if answer.status == 410 else {})
        self.http.send_headers(stream, told)
        self.http.send_data(stream, msgspec.json.encode(why), end_stream=True)


def _context(files: Files) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.push)
    context.verify_mode = ssl.CERT_REQUIRED
    for trusted in (files.root, files.wwdr):
        context.load_verify_locations(trusted)
    context.set_alpn_protocols(["h2"])
    return context


def _topic(certificate: bytes) -> str:
    subject = x509.load_der_x509_certificate(certificate).subject
    return next((str(one.value) for one in subject.get_attributes_for_oid(NameOID.USER_ID)), "")


def _text(raw: bytes | str) -> str:
    return raw.decode("ascii", "replace") if isinstance(raw, bytes) else raw


def milliseconds() -> int:
    return int(time.time() * 1000)
