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

from core import clock, crypto, effects
from core.config import settings
from core.db import Database, open_shops
from core.effects import Wanted
from core.errors import NotAuthenticated, NotFound
from wallet_passes import operations
from wallet_passes.apple import certificates, package
from wallet_passes.apple.certificate import Certificate
from wallet_passes.apple.package import Identity
from wallet_passes.designs import queries as designs
from wallet_passes.models import AppleDevice, AppleFile, AppleRegistration, Pass
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
        raise NotAuthenticated("this token does not open this pass")


def register(session: Session, shop_id: int, pass_type: str, serial: str, device: str, push_token: str) -> bool:
    """Have a device told of changes to a pass; true when it was not before.

    Raises NotAuthenticated for a pass type that the shop never had, NotFound.
    """
    kind, row = certificates.known_type(session, shop_id, pass_type), _pass(session, shop_id, serial, lock=True)
    now = clock.now()
    _keep_device(session, shop_id, device, push_token, now)
    here = _registration(shop_id, device, serial, kind)
    known = session.scalar(sa.select(AppleRegistration).where(*here).with_for_update())
    if known is not None and known.removed_at is None:
        return False
    # What changed since the file was fetched was told to nobody yet.
    fresh = {"registered_at": now, "removed_at": None, "told_version": row.fetched_version, "told_at": None}
    key = {"shop_id": shop_id, "device": device, "serial": serial, "pass_type": kind}
    statement = insert(AppleRegistration).values(key | fresh)
    session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=fresh))
    _drop_oldest(session, shop_id, serial, now)
    if row.fetched_version < row.version:
        effects.request(session, [Wanted(shop_id, EFFECT, str(row.member_id))])
    return True


def _keep_device(session: Session, shop_id: int, device: str, push_token: str, now: datetime) -> None:
    told = {"push_token": push_token, "token_at": now}
    statement = insert(AppleDevice).values(shop_id=shop_id, device=device, **told)
    session.execute(statement.on_conflict_do_update(index_elements=["shop_id", "device"], set_=told))


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
    asked = sa.update(AppleDevice).where(AppleDevice.shop_id.in_(shops), AppleDevice.device == device)
    session.execute(asked.values(asked_at=clock.now()))
    rows = session.execute(_changed(shops, here, _tag(since))).all()
    return Changes([row.serial for row in rows], str(rows[-1].tag)) if rows else None


def _on_device(device: str, pass_type: str) -> tuple[sa.ColumnElement[bool], ...]:
    here, kind = AppleRegistration, certificates.kind_of(pass_type)
    return here.device == device, here.removed_at.is_(None), here.pass_type == kind


def _changed(shops: Sequence[int], on_device: tuple[sa.ColumnElement[bool], ...], tag: int) -> sa.Select[str, int]:
    here = AppleRegistration
    return (
        sa.select(Pass.serial, Pass.tag)
        .join(here, (here.shop_id == Pass.shop_id) & (here.serial == Pass.serial))
        .where(here.shop_id.in_(shops), *on_device, Pass.tag > tag)
        .order_by(Pass.tag)
    )


def _tag(since: str | None) -> int:
    """What is no tag of ours is from before all changes."""
    return int(since) if since and since.isascii() and since.isdigit() and len(since) < 19 else 0


def fetch(database: Database, shop_id: int, pass_type: str, serial: str, since: datetime | None = None) -> File | None:
    """The file of a pass as it is now; None when nothing changed after `since`.

    What is asked for is brought up to date first. Signing waits outside of any transaction. Raises NotAuthenticated for
    a pass type that the shop never had, NotFound, and BadCertificate when no certificate for it is left.
    """
    with database.transaction(shop_id) as session:
        kind, row = certificates.known_type(session, shop_id, pass_type), _pass(session, shop_id, serial)
        current = operations.known(session, row) or operations.refresh(session, shop_id, row.member_id)
        assert current is not None
    if since is not None and current.row.modified_at <= since:
        return None
    return File(file_of(database, current, kind), current.row.modified_at)


def file_of(database: Database, current: Current, kind: str | None = None) -> bytes:
    """The signed file of a pass: the kept one, or signed now and kept. Raises BadCertificate, NotSetUp.

    `kind` is the type of a card that a phone has already (see `certificates`); a new one is of the shop's newest.
    """
    row = current.row
    with database.transaction(row.shop_id) as session:
        signer = (
            certificates.signer(session, row.shop_id)
            if kind is None
            else certificates.of_type(session, row.shop_id, kind)
        )
        _note_fetched(session, row)
        kept = session.scalar(
            sa.select(AppleFile.file).where(
                *_file(row, signer), AppleFile.version == row.version, AppleFile.signer == signer.mark
            )
        )
    if kept is not None:
        return kept
    made = _signed(database, current, signer)
    if current.card.ended:
        return made
    with database.transaction(row.shop_id) as session:
        _keep(session, row, signer, made)
    return made


def _signed(database: Database, current: Current, signer: Certificate) -> bytes:
    row, card, design = current.row, current.card, current.design
    service = f"{settings().app_url.rstrip('/')}/wallet/apple"
    own_token = token(signer.pass_type, row.serial)
    identity = Identity(signer.pass_type, signer.team, row.serial, service, own_token, signer.nfc_key)

    def pictures(digests: Collection[str]) -> Mapping[str, bytes]:
        with database.transaction(row.shop_id) as session:
            return designs.files(session, row.shop_id, design)

    shared = package.template(design, card.look, pictures)
    return package.package(shared, package.pass_json(card, design, identity), signer.sign)


def _keep(session: Session, row: Pass, signer: Certificate, made: bytes) -> None:
    """A slower signer of an older version does not replace what is newer, and an ended card keeps no file."""
    now = session.scalar(sa.select(Pass.version).where(*_this(row), Pass.ended_at.is_(None)).with_for_update())
    if now != row.version:
        return
    key = {"shop_id": row.shop_id, "serial": row.serial, "pass_type": certificates.kind_of(signer.pass_type)}
    told = {"version": row.version, "signer": signer.mark, "file": made}
    statement = insert(AppleFile).values(key | told)
    session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=told))


def _note_fetched(session: Session, row: Pass) -> None:
    newer = sa.update(Pass).where(*_this(row), Pass.fetched_version <= row.version)
    session.execute(newer.values(fetched_version=row.version, fetched_at=clock.now()))


def _pass(session: Session, shop_id: int, serial: str, *, lock: bool = False) -> Pass:
    found = sa.select(Pass).where(Pass.shop_id == shop_id, Pass.serial == serial)
    row = session.scalar(found.with_for_update() if lock else found)
    if row is None:
        raise NotFound("there is no such pass", code="no_pass")
    return row


def _this(row: Pass) -> tuple[sa.ColumnElement[bool], ...]:
    return Pass.shop_id == row.shop_id, Pass.serial == row.serial


def _file(row: Pass, signer: Certificate) -> tuple[sa.ColumnElement[bool], ...]:
    table, kind = AppleFile, certificates.kind_of(signer.pass_type)
    return table.shop_id == row.shop_id, table.serial == row.serial, table.pass_type == kind


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
        raise NotFound("this link has expired; open your rewards page for a new one", code="link_expired") from None
    return shop_id, member_id


def _links() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt="apple pass download")
