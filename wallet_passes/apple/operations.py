"""Phones register for passes, ask what has changed, fetch it, and go."""

import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import clock, crypto, effects, metrics
from core.config import settings
from core.db import Database, open_shops
from core.effects import Wanted
from core.errors import NotAuthenticated, NotFound
from core.i18n import _
from wallet_passes import operations
from wallet_passes.apple import certificates, package
from wallet_passes.apple.certificate import Certificate
from wallet_passes.apple.package import Identity
from wallet_passes.designs import queries as designs
from wallet_passes.models import AppleDevice, AppleRegistration, Pass
from wallet_passes.operations import Current

# The effect that tells phones; its target is the member.
EFFECT = "wallet.apple"

SERIAL = re.compile(r"([1-9][0-9]{0,18})-[0-9a-f]{20}")
# A card is one person's. Whoever registers more phones than this pushes the oldest out.
MOST_DEVICES = 20
# Seconds that a link in a mail or on a page can be followed.
LINK_LIVES = 3 * 24 * 3600

_TOKENS = "apple pass"
_ASKING = sa.text("SELECT set_config('rapport.claim', :table, true)")

# The version that whoever has a pass's file has at least.
FIRST = 1

_UNTELL = sa.text("""
    UPDATE apple_registrations AS r SET told_version = :first FROM passes p
    WHERE r.shop_id = :shop_id AND r.device = :device AND r.removed_at IS NULL
        AND p.shop_id = r.shop_id AND p.serial = r.serial AND p.version > :first RETURNING p.member_id""")
# What phones ask after each push is as few statements as it can be.
_CHANGED = sa.text("""
    WITH asking AS (UPDATE apple_devices SET asked_at = :now WHERE shop_id = ANY(:shops) AND device = :device)
    SELECT p.serial, p.tag FROM apple_registrations r JOIN passes p ON p.shop_id = r.shop_id AND p.serial = r.serial
    WHERE r.shop_id = ANY(:shops) AND r.device = :device AND r.pass_type = :kind AND r.removed_at IS NULL
        AND p.tag > :tag ORDER BY p.tag""")
_HANDED_OUT = sa.text("""
    WITH fetching AS (UPDATE passes SET fetched_version = :version, fetched_at = :now
        WHERE shop_id = :shop_id AND serial = :serial AND fetched_version <= :version)
    SELECT file FROM apple_files WHERE shop_id = :shop_id AND serial = :serial AND pass_type = :kind
        AND version = :version AND signer = :signer""")
_KEEP = sa.text("""
    INSERT INTO apple_files (shop_id, serial, pass_type, version, signer, file)
    SELECT shop_id, serial, :kind, version, :signer, :file FROM passes
    WHERE shop_id = :shop_id AND serial = :serial AND version = :version AND ended_at IS NULL FOR UPDATE
    ON CONFLICT (shop_id, serial, pass_type)
    DO UPDATE SET version = EXCLUDED.version, signer = EXCLUDED.signer, file = EXCLUDED.file""")


class File(NamedTuple):
    """A signed pass file and when what it shows last changed (whole seconds)."""

    data: bytes
    modified_at: datetime


class Changes(NamedTuple):
    """Serials of what changed, and the tag to ask with next time."""

    serials: Sequence[str]
    tag: str


def shop_of(serial: str) -> int:
    """The shop that a serial claims to be of; 0, which opens nothing, for what is no serial of ours."""
    match = SERIAL.fullmatch(serial)
    shop_id = int(match[1]) if match else 0
    return shop_id if shop_id < 2**63 else 0


def token(pass_type: str, serial: str) -> str:
    """What a phone shows to be let at this one pass, of this one type."""
    return _tokens(pass_type, serial)[0]


def _tokens(pass_type: str, serial: str) -> list[str]:
    return [hmac.digest(key, f"{pass_type}\n{serial}".encode(), "sha256").hex()[:40] for key in crypto.keyring(_TOKENS)]


def check_token(pass_type: str, serial: str, given: str) -> None:
    """Raises NotAuthenticated, which says nothing of whether there is such a pass. In constant time."""
    right = [hmac.compare_digest(given.encode(), one.encode()) for one in _tokens(pass_type, serial)]
    if not any(right):
        raise NotAuthenticated(_("this token does not open this pass"))


def register(session: Session, shop_id: int, pass_type: str, serial: str, device: str, push_token: str) -> bool:
    """Have a device told of changes to a pass; true when it was not before.

    Raises NotAuthenticated for a pass type that the shop never had, NotFound.
    """
    kind, row = certificates.known_type(session, shop_id, pass_type), _pass(session, shop_id, serial, lock=True)
    now = clock.now()
    if _keep_device(session, shop_id, device, push_token, now):
        _tell_anew(session, shop_id, device)
    here = _registration(shop_id, device, serial, kind)
    known = session.scalar(sa.select(AppleRegistration).where(*here).with_for_update())
    if known is not None and known.removed_at is None:
        return False
    # Which version its file is of nobody knows: it may have lain in a mail while other phones fetched newer ones.
    fresh = {"registered_at": now, "removed_at": None, "told_version": FIRST, "told_at": None}
    key = {"shop_id": shop_id, "device": device, "serial": serial, "pass_type": kind}
    statement = insert(AppleRegistration).values(key | fresh)
    session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=fresh))
    _drop_oldest(session, shop_id, serial, now)
    if row.version > FIRST:
        effects.request(session, [Wanted(shop_id, EFFECT, str(row.member_id))])
    return True


def _keep_device(session: Session, shop_id: int, device: str, push_token: str, now: datetime) -> bool:
    """Whether it had another push token before."""
    here = AppleDevice.shop_id == shop_id, AppleDevice.device == device
    before = session.scalar(sa.select(AppleDevice.push_token).where(*here).with_for_update())
    told = {"push_token": push_token, "token_at": now}
    statement = insert(AppleDevice).values(shop_id=shop_id, device=device, **told)
    session.execute(statement.on_conflict_do_update(index_elements=["shop_id", "device"], set_=told))
    return before not in (None, push_token)


def _tell_anew(session: Session, shop_id: int, device: str) -> None:
    """What was pushed to a device's former token may never have come."""
    members = session.scalars(_UNTELL, {"shop_id": shop_id, "device": device, "first": FIRST}).all()
    effects.request(session, {Wanted(shop_id, EFFECT, str(member)) for member in members})


def _drop_oldest(session: Session, shop_id: int, serial: str, now: datetime) -> None:
    live = (AppleRegistration.shop_id == shop_id, AppleRegistration.serial == serial)
    oldest = (
        sa.select(AppleRegistration.device)
        .where(*live, AppleRegistration.removed_at.is_(None))
        .order_by(AppleRegistration.registered_at.desc(), AppleRegistration.device)
        .offset(MOST_DEVICES)
    )
    beyond = sa.update(AppleRegistration).where(*live, AppleRegistration.device.in_(oldest))
    session.execute(beyond.values(removed_at=now))


def unregister(session: Session, shop_id: int, pass_type: str, serial: str, device: str) -> bool:
    """The pass was taken off a device; false when it was not on it. Raises NotAuthenticated."""
    kind = certificates.known_type(session, shop_id, pass_type)
    gone = session.scalar(
        sa.update(AppleRegistration)
        .where(*_registration(shop_id, device, serial, kind), AppleRegistration.removed_at.is_(None))
        .values(removed_at=clock.now())
        .returning(AppleRegistration.serial)
    )
    return gone is not None


def changes(session: Session, device: str, pass_type: str, since: str | None) -> Changes | None:
    """Which of a device's passes of a type changed since a tag, of whichever shops they are; None when none did."""
    here = _on_device(device, pass_type)
    session.execute(_ASKING, {"table": AppleRegistration.__tablename__})
    shops = session.scalars(sa.select(AppleRegistration.shop_id).where(*here).distinct()).all()
    session.execute(_ASKING, {"table": ""})
    if not shops:
        return None
    open_shops(session, shops)
    told = {"shops": list(shops), "device": device, "kind": certificates.kind_of(pass_type), "tag": _tag(since)}
    rows = session.execute(_CHANGED, told | {"now": clock.now()}).all()
    return Changes([row.serial for row in rows], str(rows[-1].tag)) if rows else None


def _on_device(device: str, pass_type: str) -> tuple[sa.ColumnElement[bool], ...]:
    here, kind = AppleRegistration, certificates.kind_of(pass_type)
    return here.device == device, here.removed_at.is_(None), here.pass_type == kind


def _tag(since: str | None) -> int:
    """What is no tag of ours is from before all changes."""
    return int(since) if since and since.isascii() and since.isdigit() and len(since) < 19 else 0


def fetch(database: Database, shop_id: int, pass_type: str, serial: str, since: datetime | None = None) -> File | None:
    """The file of a pass as it is now; None when nothing changed after `since`.

    What is asked for is brought up to date first. Signing waits outside of any transaction. Raises NotAuthenticated for
    a pass type that the shop never had, NotFound, and BadCertificate when no certificate for it is left.
    """
    with database.transaction(shop_id) as session:
        kind, current = (
            certificates.known_type(session, shop_id, pass_type),
            operations.current(session, shop_id, serial),
        )
        if current is None:
            raise _no_pass()
        if since is not None and current.row.modified_at <= since:
            return None
        signer = certificates.of_type(session, shop_id, kind)
        kept = _handed_out(session, current.row, signer)
    return File(kept or _made(database, current, signer), current.row.modified_at)


def file_of(database: Database, current: Current) -> bytes:
    """The signed file of a pass for a new phone: the kept one, or signed now and kept.

    Raises BadCertificate, NotSetUp.
    """
    shop_id = current.row.shop_id
    with database.transaction(shop_id) as session:
        signer = certificates.signer(session, shop_id)
        kept = _handed_out(session, current.row, signer)
    return kept or _made(database, current, signer)


def _handed_out(session: Session, row: Pass, signer: Certificate) -> bytes | None:
    """Note that this version is fetched. Its file, if it is kept."""
    now, kind = clock.now(), certificates.kind_of(signer.pass_type)
    asked = {"shop_id": row.shop_id, "serial": row.serial, "version": row.version, "now": now}
    return session.scalar(_HANDED_OUT, asked | {"kind": kind, "signer": signer.mark})


def _made(database: Database, current: Current, signer: Certificate) -> bytes:
    """Signed now, and kept: but a slower signer of an older version does not replace what is newer, and an ended card
    keeps no file.
    """
    row, made = current.row, signed(database, current, signer)
    if not current.card.ended:
        key = {"shop_id": row.shop_id, "serial": row.serial, "kind": certificates.kind_of(signer.pass_type)}
        with database.transaction(row.shop_id) as session:
            session.execute(_KEEP, key | {"version": row.version, "signer": signer.mark, "file": made})
    return made


def signed(database: Database, current: Current, signer: Certificate) -> bytes:
    """A new file of a pass, kept by nobody yet. Raises BadCertificate."""
    metrics.SIGNATURES.inc()
    row, card, design = current.row, current.card, current.design
    service = f"{settings().app_url.rstrip('/')}/wallet/apple"
    own_token = token(signer.pass_type, row.serial)
    identity = Identity(signer.pass_type, signer.team, row.serial, service, own_token, signer.nfc_key)

    def pictures(digests: Collection[str]) -> Mapping[str, bytes]:
        with database.transaction(row.shop_id) as session:
            return designs.files(session, row.shop_id, design)

    shared = package.template(design, card.look, pictures)
    return package.package(shared, package.pass_json(card, design, identity), signer.sign)


def _pass(session: Session, shop_id: int, serial: str, *, lock: bool = False) -> Pass:
    found = sa.select(Pass).where(Pass.shop_id == shop_id, Pass.serial == serial)
    row = session.scalar(found.with_for_update() if lock else found)
    if row is None:
        raise _no_pass()
    return row


def _no_pass() -> NotFound:
    return NotFound(_("there is no such pass"), code="no_pass")


def _registration(shop_id: int, device: str, serial: str, kind: str) -> tuple[sa.ColumnElement[bool], ...]:
    table = AppleRegistration
    return table.shop_id == shop_id, table.device == device, table.serial == serial, table.pass_type == kind


# Links. A link opens one member's card for a while; nobody can guess or make one from an id.


class Link(NamedTuple):
    """Where a member's card can be downloaded, and until when."""

    url: str
    expires_at: datetime


def download_link(shop_id: int, member_id: int) -> Link:
    """A link for a mail or a page."""
    signed = _links().dumps([shop_id, member_id])
    url = f"{settings().app_url.rstrip('/')}/wallet/apple/download/{signed}"
    return Link(url, datetime.fromtimestamp(int(clock.now().timestamp()) + LINK_LIVES, UTC))


def opened_link(signed: str) -> tuple[int, int]:
    """The shop and member that a link is for. Raises NotFound once it has expired, or was made by somebody else."""
    try:
        shop_id, member_id = _links().loads(signed, max_age=LINK_LIVES)
    except BadSignature:
        raise NotFound(_("this link has expired; open your rewards page for a new one"), code="link_expired") from None
    return shop_id, member_id


def _links() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt="apple pass download")
