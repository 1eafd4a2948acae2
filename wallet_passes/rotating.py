"""The eight digits that end a Google pass's code and change every thirty seconds. Pure: keys and time are arguments.

They are a TOTP (RFC 6238) of a secret that belongs to one pass: the phone works them out by itself, also without a
network, and so do we. The secret is derived from our keys and the serial, so it is stored nowhere.
"""

import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

PERIOD = 30  # seconds
DIGITS = 8
# Clocks differ and a scan takes its time: a code of the step before or after counts too.
TOLERANCE = 1  # steps
# Where Google puts the digits: `totpDetails.parameters[0]`.
PLACE = "{totp_value_0}"

SECRET = 20  # bytes, the length of SHA-1's output, as RFC 4226 section 4 recommends


class Details(NamedTuple):
    """What Google is told of a rotating barcode (`RotatingBarcode` in the Wallet API's reference).

    `pattern` is its `valuePattern`, `key` the secret in base 16, `digits` the `valueLength`, `period` milliseconds.
    """

    pattern: str
    key: str
    digits: int = DIGITS
    period: int = PERIOD * 1000

    @property
    def code(self) -> str:
        """The code without its digits, which identifies and does not spend."""
        return self.pattern.removesuffix(PLACE)


def details(keys: Sequence[bytes], serial: str, code: str) -> Details:
    """The rotating barcode of a pass whose code without its digits is `code`, under the first of the keys."""
    return Details(code + PLACE, _secret(keys[0], serial).hex().upper())


def step_at(moment: datetime) -> int:
    """The number of the thirty seconds that a moment lies in, counted from 1970."""
    return int(moment.timestamp()) // PERIOD


def step_of(keys: Sequence[bytes], serial: str, digits: str, moment: datetime) -> int | None:
    """The step that these digits of a pass are of; None when it is none around this moment, under any of the keys."""
    now, found = step_at(moment), None
    for key in keys:
        secret = _secret(key, serial)
        for step in range(now - TOLERANCE, now + TOLERANCE + 1):
            # Not left early, so that the time it takes tells nothing.
            if hmac.compare_digest(totp(secret, step), digits):
                found = step
    return found


def totp(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """The code of a step: RFC 6238 with HMAC-SHA-1, cut as RFC 4226 section 5.3 says."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    place = mac[-1] & 0xF
    number = int.from_bytes(mac[place : place + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**digits:0{digits}d}"


def _secret(key: bytes, serial: str) -> bytes:
    return hmac.digest(key, serial.encode(), "sha256")[:SECRET]
