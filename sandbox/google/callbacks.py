"""How Google tells an issuer that a card was saved or removed: signed as ECv2SigningOnly, repeated until it is taken.

    root key (published) ── signs ──> intermediate key ── signs ──> message

What is signed is a row of texts, each after its length in bytes as four bytes, the least of them first.
"""

import base64
import contextlib
import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sandbox.google.images import loopback_client

SENDER = "GooglePayPasses"
PROTOCOL = "ECv2SigningOnly"
DAY = 24 * 60 * 60
ROOT_LIVES = 365 * DAY
INTERMEDIATE_LIVES = 7 * DAY
MESSAGE_LIVES = 60 * 60
TRIES = 6

Told = dict[str, Any]


class Callbacks:
    """Signs and sends. `sent` is each message with the status it was answered with, the newest last."""

    def __init__(self, issuer: str, root: EllipticCurvePrivateKey) -> None:
        self.issuer = issuer
        self.roots = [root]
        self.sent: list[tuple[Told, int]] = []
        self.pause = 0.2
        self.clock: Callable[[], float] = time.time
        self.new_intermediate()
        self.client = loopback_client(headers={"User-Agent": "Googlebot"})
        self.workers = ThreadPoolExecutor(2, thread_name_prefix="callbacks")

    def close(self) -> None:
        self.workers.shutdown(wait=True, cancel_futures=True)
        self.client.close()

    # Keys.

    def keys(self) -> Told:
        """What is published: the root keys, with another's among them, as Google keeps more than one."""
        until = str(self._milliseconds(ROOT_LIVES))
        told = [{"keyValue": public(key), "protocolVersion": PROTOCOL, "keyExpiration": until} for key in self.roots]
        return {"keys": [{"keyValue": public(self._other), "protocolVersion": "ECv2"}, *told]}

    def new_root(self) -> None:
        """As when Google changes its root key: the old one is published no more."""
        self.roots = [ec.generate_private_key(ec.SECP256R1())]
        self.new_intermediate()

    def new_intermediate(self, lives: float = INTERMEDIATE_LIVES) -> None:
        self._other = ec.generate_private_key(ec.SECP256R1())
        self.intermediate = ec.generate_private_key(ec.SECP256R1())
        until = str(self._milliseconds(lives))
        self.signed_key = compact({"keyValue": public(self.intermediate), "keyExpiration": until})

    # Messages.

    def message(self, class_id: str, object_id: str, event: str, **changes: Any) -> Told:
        """What is told of one event, `save` or `del`."""
        return {
            "classId": class_id,
            "objectId": object_id,
            "eventType": event,
            "expTimeMillis": self._milliseconds(MESSAGE_LIVES),
            "count": 1,
            "nonce": str(uuid.uuid4()),
        } | changes

    def envelope(self, message: Told | str) -> Told:
        """A message as it is sent."""
        text = message if isinstance(message, str) else compact(message)
        return {
            "signature": signed(self.intermediate, SENDER, self.issuer, PROTOCOL, text),
            "intermediateSigningKey": {
                "signedKey": self.signed_key,
                "signatures": [signed(self.roots[0], SENDER, PROTOCOL, self.signed_key)],
            },
            "protocolVersion": PROTOCOL,
            "signedMessage": text,
        }

    def tell(self, address: str, message: Told) -> None:
        """Send a message soon, and again until it is taken."""
        self.workers.submit(self._tell, address, message)

    def _tell(self, address: str, message: Told) -> None:
        body = compact(self.envelope(message)).encode()
        for attempt in range(TRIES):
            status = 0
            with contextlib.suppress(httpx.HTTPError):
                headers = {"Content-Type": "application/json"}
                status = self.client.post(address, content=body, headers=headers).status_code
            self.sent.append((message, status))
            if 200 <= status < 300:
                return
            time.sleep(self.pause * 2**attempt)

    def _milliseconds(self, ahead: float) -> int:
        return int((self.clock() + ahead) * 1000)


def signed(key: EllipticCurvePrivateKey, *texts: str) -> str:
    said = b"".join(len(part).to_bytes(4, "little") + part for part in (text.encode() for text in texts))
    return base64.b64encode(key.sign(said, ec.ECDSA(hashes.SHA256()))).decode()


def public(key: EllipticCurvePrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def compact(told: Told) -> str:
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)
