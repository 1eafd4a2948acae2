"""A shop's own pass certificate comes, goes, and grows old."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from cryptography import x509
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import clock, crypto
from core.errors import InvalidInput, NotFound
from core.events import Happened, record
from wallet_passes import rollouts
from wallet_passes.apple import certificate, certificates
from wallet_passes.apple.certificate import BadCertificate, Certificate, NotSetUp, day
from wallet_passes.models import AppleCertificate, AppleRegistration, Pass

WARNED = timedelta(days=30)
# A shop has one, and for some weeks two.
MOST_KEPT = 20


class Upload(NamedTuple):
    """The files of a certificate: PEM, DER or PKCS#12. The first may hold the others.

    `nfc_key` is the public key of the shop's terminals, PEM or Base64; empty for passes without NFC.
    """

    certificate: bytes
    key: bytes = b""
    wwdr: bytes = b""
    password: str = ""
    nfc_key: str = ""


def add(session: Session, shop_id: int, upload: Upload, *, actor: str) -> AppleCertificate:
    """Keep a certificate: the shop's new cards are signed with it, and those of its pass type go on with it.

    The same one again changes nothing. Raises InvalidInput (`bad_certificate`), which says what is wrong with it.
    """
    try:
        found = _checked(upload)
    except BadCertificate as error:
        raise InvalidInput(error.detail, code="bad_certificate") from None
    before = certificates.kept(session, [shop_id])
    if before and _same(before[0], found):
        return before[0]
    if len(before) >= MOST_KEPT and found.fingerprint not in {row.fingerprint for row in before}:
        _forget_oldest(session, before)
    _keep(session, shop_id, found, actor)
    told = {"pass_type": found.pass_type, "team": found.team, "expires_at": found.expires_at.isoformat()}
    record(session, [Happened(shop_id, "wallet.certificate_added", told, clock.now(), actor=actor)])
    _bring_to_phones(session, shop_id, found, before)
    return certificates.kept(session, [shop_id])[0]


def _checked(upload: Upload) -> Certificate:
    found = certificate.load(
        upload.certificate,
        upload.key,
        upload.wwdr,
        password=upload.password,
        issuers=_known_issuers(),
        now=clock.now(),
    )
    if certificates.kind_of(found.pass_type) == certificates.OPERATORS:
        raise BadCertificate(
            f"your cards are of the pass type {found.pass_type} already: it is this installation's own"
        )
    if not upload.nfc_key:
        return found
    if not found.nfc:
        raise BadCertificate("this certificate is not one for NFC passes: Apple gives those out on request")
    return found._replace(nfc_key=certificate.terminal_key(upload.nfc_key))


def _known_issuers() -> Sequence[x509.Certificate]:
    try:
        return [certificate.loaded().issuer]
    except (BadCertificate, NotSetUp):
        return []


def _same(row: AppleCertificate, found: Certificate) -> bool:
    return certificates.is_valid(row) and (row.fingerprint, row.nfc_key) == (found.fingerprint, found.nfc_key)


def _forget_oldest(session: Session, rows: Sequence[AppleCertificate]) -> None:
    """Of those that do nothing any more. Uploading again and again fills no table."""
    idle = [row for row in rows if not certificates.is_valid(row)] or rows
    session.delete(idle[-1])
    session.flush()


def _keep(session: Session, shop_id: int, found: Certificate, actor: str) -> None:
    key = {"shop_id": shop_id, "fingerprint": found.fingerprint}
    told = {
        "pass_type": found.pass_type,
        "team": found.team,
        "sealed": crypto.encrypt(found.pem()),
        "nfc": found.nfc,
        "nfc_key": found.nfc_key,
        "expires_at": found.expires_at,
        "actor": actor,
        "added_at": clock.now(),
        "retired_at": None,
    }
    statement = insert(AppleCertificate).values(key | told)
    session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=told))


def _bring_to_phones(session: Session, shop_id: int, found: Certificate, before: Sequence[AppleCertificate]) -> None:
    """Phones with cards of its type hear what they missed, and get cards with another key for terminals."""
    former = next((row for row in before if row.pass_type == found.pass_type), None)
    if former is None:
        return
    if former.nfc_key != found.nfc_key:
        on_phones = sa.select(AppleRegistration.serial).where(*_live(shop_id, found.pass_type))
        other = sa.update(Pass).where(Pass.shop_id == shop_id, Pass.serial.in_(on_phones))
        session.execute(other.values(digest=""))
    rollouts.begin(session, shop_id, "certificate")


def _live(shop_id: int, pass_type: str) -> tuple[sa.ColumnElement[bool], ...]:
    here = AppleRegistration
    return here.shop_id == shop_id, here.pass_type == pass_type, here.removed_at.is_(None)


def remove(session: Session, shop_id: int, *, actor: str) -> None:
    """Go back to the operator's. The keys are destroyed: cards on phones of the shop's own types change no more.

    Raises NotFound (`no_certificate`).
    """
    now = clock.now()
    kept = [row for row in certificates.kept(session, [shop_id]) if row.retired_at is None]
    if not kept:
        raise NotFound("this shop has no certificate of its own", code="no_certificate")
    for row in kept:
        row.sealed, row.retired_at = b"", now
    told = [{"pass_type": row.pass_type, "team": row.team} for row in kept]
    record(session, [Happened(shop_id, "wallet.certificate_removed", one, now, actor=actor) for one in told])


def rotate_encryption(session: Session, shop_id: int) -> None:
    """Encrypt the shop's keys under the newest of ENCRYPTION_KEYS. Raises UndecipherableSecret."""
    for row in certificates.kept(session, [shop_id]):
        row.sealed = row.sealed and crypto.rotate(row.sealed)


def warn(session: Session, shop_ids: Sequence[int]) -> int:
    """Record `wallet.certificate_expiring` for what expires within 30 days and has no successor, once each."""
    now = clock.now()
    live = [row for row in certificates.kept(session, shop_ids) if row.retired_at is None]
    last = {(row.shop_id, row.pass_type): row for row in sorted(live, key=lambda row: row.expires_at)}
    due = [row for row in last.values() if row.warned_at is None and row.expires_at - now < WARNED]
    for row in due:
        row.warned_at = now
    record(session, [Happened(row.shop_id, "wallet.certificate_expiring", _expiring(row, now), now) for row in due])
    return len(due)


def _expiring(row: AppleCertificate, now: datetime) -> dict[str, str | int]:
    return {
        "pass_type": row.pass_type,
        "expires_at": row.expires_at.isoformat(),
        "days_left": days_left(row.expires_at, now),
    }


def days_left(expires_at: datetime, now: datetime) -> int:
    """Whole days until then; below zero once it is over."""
    return (expires_at - now) // timedelta(days=1)


# What is told of them.


class Held(NamedTuple):
    """A certificate as people are told of it.

    `phones` hold cards of its type. `warning` says what is to be done, and None that nothing is. `added_at` and `actor`
    are of a shop's own.
    """

    pass_type: str
    team: str
    expires_at: datetime
    days_left: int
    nfc: bool
    nfc_key: str
    phones: int
    warning: str | None
    added_at: datetime | None = None
    actor: str | None = None


class Standing(NamedTuple):
    """`signs` signs the shop's new cards; None where nothing can, and `problem` says why.

    `others` are the shop's own that cards on phones were signed with, newest first: one for each pass type.
    """

    signs: Held | None
    own: bool
    others: Sequence[Held]
    problem: str | None


def standing(session: Session, shop_id: int) -> Standing:
    """Which certificate signs a shop's cards now, and which others phones still depend on."""
    rows, phones = certificates.kept(session, [shop_id]), _phones(session, shop_id)
    try:
        signer = certificates.signer(session, shop_id)
    except (BadCertificate, NotSetUp) as error:
        return Standing(None, False, _others(rows, phones, None), error.detail)
    mine = next((row for row in rows if row.fingerprint == signer.fingerprint), None)
    signs = _own(mine, phones) if mine else _operators(signer, phones)
    return Standing(signs, mine is not None, _others(rows, phones, mine), None)


def _others(
    rows: Sequence[AppleCertificate], phones: Mapping[str, int], mine: AppleCertificate | None
) -> Sequence[Held]:
    """Of each other pass type what goes on with it, if phones lean on it, or it should sign and has expired."""
    types = dict[str, AppleCertificate]()
    for row in sorted(rows, key=certificates.is_valid, reverse=True):
        types.setdefault(row.pass_type, row)
    others = [_own(row, phones) for row in types.values() if mine is None or row.pass_type != mine.pass_type]
    return [one for one in others if one.phones or (one.warning and mine is None)]


def _phones(session: Session, shop_id: int) -> dict[str, int]:
    """How many devices hold cards of each type."""
    here = AppleRegistration
    counted = sa.select(here.pass_type, sa.func.count(here.device.distinct()))
    live = counted.where(here.shop_id == shop_id, here.removed_at.is_(None))
    return dict(session.execute(live.group_by(here.pass_type)).all())


def _own(row: AppleCertificate, phones: Mapping[str, int]) -> Held:
    now, many = clock.now(), phones.get(row.pass_type, 0)
    return Held(
        row.pass_type,
        row.team,
        row.expires_at,
        days_left(row.expires_at, now),
        row.nfc,
        row.nfc_key,
        many,
        _warning(row, many, now),
        row.added_at,
        row.actor,
    )


def _operators(signer: Certificate, phones: Mapping[str, int]) -> Held:
    now = clock.now()
    left, many = days_left(signer.expires_at, now), phones.get(certificates.OPERATORS, 0)
    about = f"{_in(left)}: whoever runs Rapport for you renews it" if signer.expires_at - now < WARNED else None
    return Held(signer.pass_type, signer.team, signer.expires_at, left, signer.nfc, signer.nfc_key, many, about)


def _warning(row: AppleCertificate, phones: int, now: datetime) -> str | None:
    held = f"{phones:,} phone{'' if phones == 1 else 's'}"
    if row.retired_at is not None:
        return f"Removed on {day(row.retired_at)}. {held} with its cards can't be updated." if phones else None
    if now >= row.expires_at:
        waiting = f" {held} with its cards can't be updated until then." if phones else ""
        return f"Expired on {day(row.expires_at)}. Upload a new certificate for {row.pass_type}.{waiting}"
    if row.expires_at - now < WARNED:
        return f"{_in(days_left(row.expires_at, now))}. Make a new one for {row.pass_type} and upload it before then."
    return None


def _in(days: int) -> str:
    if days < 1:
        return "Expires today" if days == 0 else "Expired"
    return f"{days} day{'' if days == 1 else 's'} until it expires"
