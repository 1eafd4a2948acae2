"""A certificate that can't sign is refused with a sentence that says what is wrong with it."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from core import clock
from sandbox.apple import authority
from sandbox.apple.authority import PASS_TYPE, TEAM, Files, Issued, key_pem, pass_certificate, pem
from wallet_passes.apple import certificate
from wallet_passes.apple.certificate import BadCertificate, Certificate

NOW = datetime.now(UTC)


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


def sealed(leaf: Issued) -> bytes:
    return leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame"))


def test_it_names_the_pass_type_and_the_team(leaf: Issued, wwdr: Issued) -> None:
    loaded = load(leaf, wwdr, key=sealed(leaf), password="open sesame")
    assert (loaded.pass_type, loaded.team) == (PASS_TYPE, TEAM)


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


@pytest.mark.parametrize(("password", "why"), [("", "is encrypted"), ("wrong", "password is wrong")])
def test_an_encrypted_key(leaf: Issued, wwdr: Issued, password: str, why: str) -> None:
    with pytest.raises(BadCertificate, match=why):
        load(leaf, wwdr, key=sealed(leaf), password=password)


def test_a_password_for_an_open_key(leaf: Issued, wwdr: Issued) -> None:
    with pytest.raises(BadCertificate, match="not encrypted"):
        load(leaf, wwdr, password="open sesame")


def test_a_key_of_another_kind(leaf: Issued, wwdr: Issued) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(BadCertificate, match="no RSA key"):
        load(leaf, wwdr, key=text)


def test_another_s_intermediate(leaf: Issued) -> None:
    with pytest.raises(BadCertificate, match="not issued by"):
        load(leaf, authority.authority("Somebody else"))


def test_a_certificate_for_something_else(wwdr: Issued) -> None:
    for subject in ([(NameOID.COMMON_NAME, "a web site")], [(NameOID.USER_ID, "com.example.app")]):
        name = x509.Name([x509.NameAttribute(oid, value) for oid, value in subject])
        with pytest.raises(BadCertificate, match="no Pass Type ID"):
            load(authority.issue(name, (), wwdr), wwdr)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_what_is_no_pem_at_all(apple_files: Files, which: int) -> None:
    files = [path.read_bytes() for path in (apple_files.certificate, apple_files.key, apple_files.wwdr)]
    files[which] = b"\x30\x82not pem"
    with pytest.raises(BadCertificate, match="PEM"):
        certificate.load(*files, now=NOW)


def test_the_chain_is_made_once(apple_files: Files) -> None:
    before = [path.read_bytes() for path in apple_files]
    assert [path.read_bytes() for path in authority.files(apple_files.root.parent)] == before
