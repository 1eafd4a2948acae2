"""A certificate that can't sign is refused with a sentence that says what is wrong with it."""

import base64
import contextlib
import os
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from core import clock
from sandbox.apple import authority
from sandbox.apple.authority import PASS_TYPE, TEAM, Files, Issued, key_pem, p12, pass_certificate, pem
from wallet_passes.apple import certificate, push, reading
from wallet_passes.apple.certificate import BadCertificate, Certificate

NOW = datetime.now(UTC)
SESAME = "open sesame"


@pytest.fixture(scope="module")
def wwdr() -> Issued:
    return authority.authority("A WWDR")


@pytest.fixture(scope="module")
def leaf(wwdr: Issued) -> Issued:
    return pass_certificate(wwdr)


def load(
    leaf: Issued, wwdr: Issued, *, key: bytes | None = None, password: str = "", now: datetime = NOW
) -> Certificate:
    return certificate.load(
        pem(leaf.certificate), key or key_pem(leaf.key), pem(wwdr.certificate), password=password, now=now
    )


def sealed(leaf: Issued, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return leaf.key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(SESAME.encode()))


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def exported(leaf: Issued, folder: Path, *options: str) -> bytes:
    """As OpenSSL writes PKCS#12."""
    (folder / "both.pem").write_bytes(pem(leaf.certificate) + key_pem(leaf.key))
    command = ["openssl", "pkcs12", "-export", "-in", str(folder / "both.pem"), "-passout", f"pass:{SESAME}", *options]
    return subprocess.run(command, check=True, capture_output=True).stdout


# What is taken.

TAKEN: dict[str, Callable[[Issued, Issued, Path], dict[str, Any]]] = {
    "three PEM files": lambda leaf, wwdr, _: {
        "certificate": pem(leaf.certificate), "key": key_pem(leaf.key), "wwdr": pem(wwdr.certificate)
    },
    "as Apple gives them out": lambda leaf, wwdr, _: {
        "certificate": der(leaf.certificate), "key": key_pem(leaf.key), "wwdr": der(wwdr.certificate)
    },
    "all in one PEM file, the key first": lambda leaf, wwdr, _: {
        "certificate": key_pem(leaf.key) + pem(leaf.certificate) + pem(wwdr.certificate)
    },
    "all in one PEM file, the issuer first": lambda leaf, wwdr, _: {
        "certificate": pem(wwdr.certificate) + pem(leaf.certificate) + key_pem(leaf.key)
    },
    "an encrypted key": lambda leaf, wwdr, _: {
        "certificate": pem(leaf.certificate), "key": sealed(leaf), "wwdr": pem(wwdr.certificate), "password": SESAME
    },
    "a key encrypted in the former way": lambda leaf, wwdr, _: {
        "certificate": pem(leaf.certificate),
        "key": sealed(leaf, PrivateFormat.TraditionalOpenSSL),
        "wwdr": pem(wwdr.certificate),
        "password": SESAME,
    },
    "a password that nothing needs": lambda leaf, wwdr, _: {
        "certificate": pem(leaf.certificate) + key_pem(leaf.key), "wwdr": pem(wwdr.certificate), "password": SESAME
    },
    "PKCS#12 without a password": lambda leaf, wwdr, _: {"certificate": p12(leaf), "wwdr": pem(wwdr.certificate)},
    "PKCS#12 with the issuer in it": lambda leaf, wwdr, _: {
        "certificate": p12(leaf, SESAME, [wwdr.certificate]), "password": SESAME
    },
    "PKCS#12 of OpenSSL": lambda leaf, wwdr, folder: {
        "certificate": exported(leaf, folder), "wwdr": pem(wwdr.certificate), "password": SESAME
    },
    "PKCS#12 of an older Mac": lambda leaf, wwdr, folder: {
        "certificate": exported(leaf, folder, "-legacy"), "wwdr": pem(wwdr.certificate), "password": SESAME
    },
    "an issuer that is known": lambda leaf, wwdr, _: {
        "certificate": pem(leaf.certificate) + key_pem(leaf.key), "issuers": [wwdr.certificate]
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", TAKEN)
def test_every_kind_of_file_is_taken(kind: str, leaf: Issued, wwdr: Issued, tmp_path: Path) -> None:
    loaded = certificate.load(**TAKEN[kind](leaf, wwdr, tmp_path), now=NOW)
    assert (loaded.pass_type, loaded.team, loaded.leaf, loaded.issuer) == (
        PASS_TYPE, TEAM, leaf.certificate, wwdr.certificate
    )  # fmt: skip
    assert loaded.key.private_numbers() == leaf.key.private_numbers()
    assert not loaded.nfc


def test_what_is_written_is_read_again(leaf: Issued, wwdr: Issued) -> None:
    loaded = load(leaf, wwdr)
    again = certificate.load(loaded.pem().encode(), now=NOW)
    assert again._replace(key=loaded.key) == loaded


# What is refused.


def test_an_expired_one(wwdr: Issued) -> None:
    old = pass_certificate(wwdr, lives=-timedelta(days=1))
    with pytest.raises(BadCertificate, match="expired on"):
        load(old, wwdr)


def test_one_that_expires_while_we_run(leaf: Issued, wwdr: Issued) -> None:
    loaded = load(leaf, wwdr)
    with clock.fixed_at(loaded.expires_at), pytest.raises(BadCertificate, match="expired on"):
        loaded.sign(b"{}")


def test_one_of_the_future(leaf: Issued, wwdr: Issued) -> None:
    with pytest.raises(BadCertificate, match="not valid before"):
        load(leaf, wwdr, now=NOW - timedelta(days=30))


def test_another_s_key(leaf: Issued, wwdr: Issued) -> None:
    with pytest.raises(BadCertificate, match="does not belong"):
        load(leaf, wwdr, key=key_pem(wwdr.key))


def plain(key: Any) -> bytes:
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text


def spoilt(key: RSAPrivateKey) -> bytes:
    """Of the same modulus, but it signs nonsense."""
    told = key.private_numbers()
    p, q = told.p, told.q
    wrong = rsa.RSAPrivateNumbers(p, q, told.d + 2, told.dmp1 + 2, told.dmq1 + 2, told.iqmp, told.public_numbers)
    return plain(wrong.private_key(unsafe_skip_rsa_key_validation=True))


WRONG_KEYS: dict[str, tuple[Callable[[Issued], bytes], str, str]] = {
    "encrypted": (sealed, "", "the key is encrypted, and its password is missing"),
    "encrypted under another password": (sealed, "wrong", "the key is encrypted, and its password is wrong"),
    "of another kind": (lambda _: plain(ec.generate_private_key(ec.SECP256R1())), "", "the key is no RSA key"),
    "too weak": (lambda _: plain(rsa.generate_private_key(65537, 1024)), "", "the key has 1024 bits"),
    "damaged": (lambda leaf: spoilt(leaf.key), "", "the key is damaged"),
    "no key": (lambda leaf: pem(leaf.certificate), "", "the key is missing"),
    "a public key": (
        lambda leaf: leaf.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "",
        "the key is missing",
    ),
    "cut off": (lambda leaf: key_pem(leaf.key)[:900], "", "the key is cut off"),
    "rubbish between its lines": (
        lambda leaf: key_pem(leaf.key)[:60] + b"\n!\n" + key_pem(leaf.key)[60:], "", "the key is no PEM key"
    ),
    "rubbish": (lambda _: b"\x30\x82 rubbish", "", "the key is no PEM key"),
    "huge": (lambda _: b"k" * (reading.LARGEST + 1), "", "the key is larger than 64 KB"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG_KEYS)
def test_a_wrong_key(kind: str, leaf: Issued, wwdr: Issued) -> None:
    made, password, why = WRONG_KEYS[kind]
    with pytest.raises(BadCertificate) as refused:
        load(leaf, wwdr, key=made(leaf), password=password)
    assert why in refused.value.detail


WRONG_FILES: dict[str, tuple[Callable[[Issued], bytes], str, str]] = {
    "a signing request": (
        lambda leaf: x509.CertificateSigningRequestBuilder(x509.Name([]))
        .sign(leaf.key, hashes.SHA256())
        .public_bytes(Encoding.PEM),
        "",
        "it is a signing request, so send what Apple made of it",
    ),
    "the key alone": (lambda leaf: key_pem(leaf.key), "", "it is a key"),
    "cut off": (lambda leaf: pem(leaf.certificate)[:700], "", "the pass certificate is cut off"),
    "damaged": (
        lambda leaf: pem(leaf.certificate).replace(b"MII", b"MIJ"), "", "is not a PEM certificate, or it is damaged"
    ),
    "half of PKCS#12": (
        lambda leaf: p12(leaf, SESAME)[:1000], SESAME, "is no PEM, DER or PKCS#12 file (.pem, .cer, .p12, .pfx)"
    ),
    "PKCS#12 and no password": (
        lambda leaf: p12(leaf, SESAME), "", "the pass certificate is encrypted, and its password is missing"
    ),
    "PKCS#12 and a wrong password": (
        lambda leaf: p12(leaf, SESAME), "open barley", "the pass certificate is encrypted, and its password is wrong"
    ),
    "a picture": (lambda _: b"\x89PNG\r\n\x1a\n" + os.urandom(500), "", "is no PEM, DER or PKCS#12 file"),
    "nothing": (lambda _: b"", "", "is no PEM, DER or PKCS#12 file"),
    "huge": (lambda leaf: pem(leaf.certificate) * 60, "", "larger than 64 KB"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG_FILES)
def test_a_file_that_holds_no_certificate(kind: str, leaf: Issued, wwdr: Issued) -> None:
    made, password, why = WRONG_FILES[kind]
    with pytest.raises(BadCertificate) as refused:
        certificate.load(made(leaf), b"", pem(wwdr.certificate), password=password, now=NOW)
    assert why in refused.value.detail


OTHERS = [
    ({NameOID.USER_ID: "com.example.app", NameOID.COMMON_NAME: "Apple Push Services: com.example.app"}, "APNs"),
    ({NameOID.USER_ID: "web.com.example", NameOID.COMMON_NAME: "Website Push ID: web.com.example"}, "web pages"),
    ({NameOID.USER_ID: TEAM, NameOID.COMMON_NAME: f"Developer ID Application: Roastery ({TEAM})"}, "Developer ID"),
    ({NameOID.USER_ID: TEAM, NameOID.COMMON_NAME: f"Apple Distribution: Roastery ({TEAM})"}, "giving out apps"),
    ({NameOID.USER_ID: "merchant.example", NameOID.COMMON_NAME: "Merchant ID: merchant.example"}, "Apple Pay"),
    ({NameOID.COMMON_NAME: "roastery.example"}, "something else"),
    ({NameOID.USER_ID: "pass.", NameOID.COMMON_NAME: "Pass Type ID: pass."}, "does not begin with"),
    ({NameOID.USER_ID: "pass.a/b", NameOID.COMMON_NAME: "Pass Type ID: pass.a/b"}, "does not begin with"),
]


@pytest.mark.parametrize(("named", "what"), OTHERS)
def test_a_certificate_for_something_else(wwdr: Issued, named: dict[Any, str], what: str) -> None:
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in named.items()])
    team = x509.Name([*name, x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, TEAM)])
    with pytest.raises(BadCertificate) as refused:
        load(authority.issue(team, (), wwdr), wwdr)
    assert "no Pass Type ID certificate" in refused.value.detail
    assert what in refused.value.detail


def test_one_without_a_team(wwdr: Issued) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.USER_ID, PASS_TYPE)])
    with pytest.raises(BadCertificate, match="no Pass Type ID"):
        load(authority.issue(name, (), wwdr), wwdr)


def g4() -> Issued:
    """An issuer named as Apple's is."""
    named = {NameOID.COMMON_NAME: "Developer Relations", NameOID.ORGANIZATIONAL_UNIT_NAME: "G4"}
    return authority.issue(
        x509.Name([x509.NameAttribute(*one) for one in named.items()]), authority._AUTHORITY, None
    )  # fmt: skip


def test_the_file_of_the_issuer_that_is_missing_is_named() -> None:
    leaf = pass_certificate(g4())
    with pytest.raises(BadCertificate, match=r"is missing: send AppleWWDRCAG4\.cer"):
        certificate.load(pem(leaf.certificate), key_pem(leaf.key), now=NOW)


def test_another_s_intermediate(leaf: Issued) -> None:
    with pytest.raises(BadCertificate, match="not issued by"):
        load(leaf, authority.authority("Somebody else"))


def test_nobody_issues_for_themselves(leaf: Issued, wwdr: Issued) -> None:
    with pytest.raises(BadCertificate, match="was not issued by this"):
        load(leaf, leaf)
    child = pass_certificate(leaf)  # signed by a pass certificate, as anybody who has one could
    with pytest.raises(BadCertificate, match="was not issued by this"):
        load(child, leaf)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_what_is_no_pem_at_all(apple_files: Files, which: int) -> None:
    files = [path.read_bytes() for path in (apple_files.certificate, apple_files.key, apple_files.wwdr)]
    files[which] = b"\x30\x82not pem"
    with pytest.raises(BadCertificate, match="PEM"):
        certificate.load(*files, now=NOW)


def test_a_file_that_takes_half_an_hour_to_open(
    leaf: Issued, wwdr: Issued, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PATIENCE", 1)
    slow = patient(exported(leaf, tmp_path, "-iter", "65535"))
    with pytest.raises(BadCertificate, match="takes too long to open"):
        certificate.load(slow, b"", pem(wwdr.certificate), password=SESAME, now=NOW)


def patient(file: bytes) -> bytes:
    """A PKCS#12 file that asks for 2^31 rounds. Its end says how many: a byte of the salt before makes room."""
    found = re.fullmatch(rb"(.*\x04)(\x08.{8}|\x10.{16})\x02\x03\x00\xff\xff", file, re.DOTALL)
    assert found
    return found[1] + bytes([found[2][0] - 1]) + found[2][2:] + b"\x02\x04\x7f\xff\xff\xff"


@given(st.data())
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_what_is_damaged_is_refused_and_never_breaks_us(apple_files: Files, data: st.DataObject) -> None:
    """One byte of the certificate changed: it is refused in words, or it was no change."""
    good = der(x509.load_pem_x509_certificate(apple_files.certificate.read_bytes()))
    place, value = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(0, 255))
    spoilt = good[:place] + bytes([value]) + good[place + 1 :]
    broken = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(spoilt) + b"-----END CERTIFICATE-----\n"
    refused: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    if spoilt != good:
        refused = pytest.raises(BadCertificate)
    with refused:
        certificate.load(broken, apple_files.key.read_bytes(), apple_files.wwdr.read_bytes(), now=NOW)


# NFC.


def test_a_certificate_for_nfc_is_known_by_its_mark(wwdr: Issued) -> None:
    assert load(pass_certificate(wwdr, nfc=True), wwdr).nfc


def test_keys_of_terminals_are_compressed() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    as_pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    told = certificate.terminal_key(as_pem)
    assert len(told) == 80
    assert certificate.terminal_key(told) == told


@pytest.mark.parametrize("given_key", ["", "A", "é", "-----BEGIN PUBLIC KEY-----", "MDkwEwYHKoZIzj0CAQ=="])
def test_what_is_no_key_of_terminals(given_key: str) -> None:
    with pytest.raises(BadCertificate, match="key of the terminals"):
        certificate.terminal_key(given_key)


def test_terminals_take_p256_alone() -> None:
    for key in (ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)):
        text = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        with pytest.raises(BadCertificate, match="P-256"):
            certificate.terminal_key(text)


# Keys and files.


def test_no_key_is_ever_readable_on_disk(
    leaf: Issued, wwdr: Issued, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the TLS context reads it, the file is ours alone and encrypted; afterwards it is gone."""
    seen = []

    class Context:
        def load_cert_chain(self, name: str, password: bytes) -> None:
            assert Path(name).stat().st_mode & 0o077 == 0
            seen.append(Path(name).read_bytes())

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    push._load(Context(), load(leaf, wwdr))  # type: ignore[arg-type]
    assert b"ENCRYPTED PRIVATE KEY" in seen[0]
    assert b"BEGIN " + b"PRIVATE KEY" not in seen[0]
    assert list(tmp_path.iterdir()) == []


def test_the_chain_is_made_once(apple_files: Files) -> None:
    before = [path.read_bytes() for path in apple_files]
    assert [path.read_bytes() for path in authority.files(apple_files.root.parent)] == before
