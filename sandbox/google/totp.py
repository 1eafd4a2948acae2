"""The value of a rotating barcode at a moment, as a phone works it out by itself (RFC 6238). Pure."""

import hmac
import re
from typing import Any


def value(details: dict[str, Any], pattern: str, now: float) -> str:
    """A pattern with its places filled in. `now` is in seconds of the epoch."""
    period = int(details["periodMillis"])
    step = int(now * 1000) // period
    filled = pattern.replace("{totp_timestamp_millis}", str(step * period))
    filled = filled.replace("{totp_timestamp_seconds}", str(step * period // 1000))
    parameters = details["parameters"]

    def digits(match: re.Match[str]) -> str:
        chosen = parameters[int(match[1])]
        return code(bytes.fromhex(chosen["key"]), step, int(chosen["valueLength"]))

    return re.sub(r"\{totp_value_(\d+)\}", digits, filled)


def code(key: bytes, step: int, length: int) -> str:
    """HOTP of RFC 4226 over the step."""
    mac = hmac.digest(key, step.to_bytes(8, "big"), "sha1")
    place = mac[-1] & 15
    number = int.from_bytes(mac[place : place + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**length:0{length}d}"
