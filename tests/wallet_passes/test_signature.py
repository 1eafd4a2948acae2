"""Signatures of manifests: byte for byte what the library writes, whatever the key's length and the manifest."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

from core import clock
from sandbox.apple.authority import Files
from wallet_passes.apple.signature import Mould, mould

MANIFESTS = [b"", b"{}", b"line\nends\r\nand \x00 \xff", b"m" * 100_000]


def as_the_library_writes(
    leaf: x509.Certificate, key: rsa.RSAPrivateKey, issuer: x509.Certificate, data: bytes
) -> bytes:
    builder = PKCS7SignatureBuilder().set_data(data).add_signer(leaf, key, hashes.SHA256()).add_certificate(issuer)
    return builder.sign(Encoding.DER, [PKCS7Options.DetachedSignature, PKCS7Options.Binary])


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_every_byte_is_as_the_library_writes_it(apple_files: Files, bits: int) -> None:
    leaf, issuer = read(apple_files.certificate), read(apple_files.wwdr)
    key = load_pem_private_key(apple_files.key.read_bytes(), None)
    # What is signed with need not be the certificate's own key: a longer one moves every length.
    key = key if bits == 2048 else rsa.generate_private_key(65537, bits)
    assert isinstance(key, rsa.RSAPrivateKey)
    form: Mould = mould(leaf, key, issuer)
    for manifest in MANIFESTS:
        # The second may pass in between.
        ours, theirs = b"", list[bytes]()
        while ours not in theirs and len(theirs) < 5:
            ours = form.cast(key, manifest, clock.now())
            theirs.append(as_the_library_writes(leaf, key, issuer, manifest))
        assert ours in theirs


def test_moulds_of_one_certificate_are_the_same(apple_files: Files) -> None:
    """A certificate is a key of caches, its mould a part of it."""
    leaf, issuer = read(apple_files.certificate), read(apple_files.wwdr)
    key = load_pem_private_key(apple_files.key.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert mould(leaf, key, issuer) == mould(leaf, key, issuer)
