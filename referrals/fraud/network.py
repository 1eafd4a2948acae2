"""The network somebody comes from, as a keyed hash. Pure, but for the key.

A household or an office has one IPv4 address or an IPv6 prefix of 48 to 64 bits, and neighbours share a range; so a
network tells little, and never decides by itself. The address is Flask's `request.remote_addr`, which believes
forwarded headers of as many proxies as TRUSTED_PROXIES says, and of none by default.
"""

import ipaddress

from core import crypto

IPV4_BITS = 24
IPV6_BITS = 56


def index(address: str | None) -> str:
    """The hash of the network of an IP address, empty for what is none."""
    try:
        found = ipaddress.ip_address((address or "").strip().partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found
    bits = IPV4_BITS if found.version == 4 else IPV6_BITS
    return crypto.blind_index(f"network:{ipaddress.ip_network((found, bits), strict=False)}")
