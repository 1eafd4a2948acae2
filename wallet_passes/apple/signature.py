"""The detached CMS signature of a manifest, cast in a mould.

Of two signatures with one certificate all but three parts are the same: the digest of what is signed, the moment, and
the RSA signature over both. So `cryptography` writes one, and from then on these three are put in their places: writing
the rest anew, certificates and all, costs a fifth of what the RSA signature itself does.

Source: RFC 5652, sections 5.3 and 5.4.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

# Binary, or line ends would be rewritten before hashing; detached, for the manifest lies beside its signature.
_OPTIONS = [PKCS7Options.DetachedSignature, PKCS7Options.Binary]
_PADDING, _SHA256 = padding.PKCS1v15(), hashes.SHA256()
# The signed attributes stand in the signature as [0]; what is signed has them as a SET OF.
_IN_PLACE, _AS_SIGNED = b"\xa0", b"\x31"
# The attribute `signingTime` up to its value: SEQUENCE, its identifier, a SET OF one UTCTime of 13 characters.
_SIGNING_TIME = bytes.fromhex("301c06092a864886f70d010905310f170d")
_UTC_TIME = 13


class Mould(NamedTuple):
    """What is the same in all signatures with one certificate, in the order in which it stands.

    `head` comes before the signed attributes; their bytes are `before`, the moment, `between`, the digest, `after`;
    then comes `tail`, then the RSA signature.
    """

    head: bytes
    before: bytes
    between: bytes
    after: bytes
    tail: bytes

    def cast(self, key: RSAPrivateKey, manifest: bytes, now: datetime) -> bytes:
        """The signature of a manifest, in DER."""
        moment, digest = now.strftime("%y%m%d%H%M%SZ").encode(), hashlib.sha256(manifest).digest()
        attributes = b"".join((self.before, moment, self.between, digest, self.after))
        signed = key.sign(_AS_SIGNED + attributes, _PADDING, _SHA256)
        return b"".join((self.head, _IN_PLACE, attributes, self.tail, signed))


def mould(leaf: x509.Certificate, key: RSAPrivateKey, issuer: x509.Certificate) -> Mould:
    """The mould of a certificate's signatures, which its own first signature proves right."""
    builder = PKCS7SignatureBuilder().set_data(b"").add_signer(leaf, key, hashes.SHA256())
    # Last, for the builder's other steps forget the certificates that were added.
    made = builder.add_certificate(issuer).sign(Encoding.DER, _OPTIONS)
    signature = len(made) - key.key_size // 8
    start, end = next(_proven(made, signature, key))
    moment, digest = (
        made.index(_SIGNING_TIME, start) + len(_SIGNING_TIME),
        made.index(hashlib.sha256(b"").digest(), start),
    )
    return Mould(
        head=made[:start],
        before=made[start + 1 : moment],
        between=made[moment + _UTC_TIME : digest],
        after=made[digest + hashlib.sha256().digest_size : end],
        tail=made[end:signature],
    )


def _proven(made: bytes, signature: int, key: RSAPrivateKey) -> Iterator[tuple[int, int]]:
    """Where the signed attributes are: what the signature, which begins at `signature`, is of."""
    for start in range(signature):
        if made[start] == _IN_PLACE[0] and (end := _end(made, start)) <= signature:
            try:
                key.public_key().verify(made[signature:], _AS_SIGNED + made[start + 1 : end], _PADDING, _SHA256)
            except InvalidSignature:
                continue
            yield start, end


def _end(made: bytes, start: int) -> int:
    """Where the value of DER that begins at `start` ends: by its length, short or long."""
    length, place = made[start + 1], start + 2
    if length < 0x80:
        return place + length
    size = length & 0x7F
    return place + size + int.from_bytes(made[place : place + size], "big")
