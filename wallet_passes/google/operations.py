"""What Google is to be told of cards, worked out and written down. The telling itself happens between the two."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.config import settings
from core.db import delete_rows, insert_rows, rows_by, update_rows
from wallet_passes import scanning
from wallet_passes.designs import addresses
from wallet_passes.google import bodies
from wallet_passes.google.bodies import Addresses, Body
from wallet_passes.google.models import GoogleClass, GoogleObject
from wallet_passes.google.queries import is_removed
from wallet_passes.messages.operations import note_told
from wallet_passes.messages.queries import latest_message
from wallet_passes.messages.rules import Shown
from wallet_passes.models import Pass
from wallet_passes.operations import Current

# The effect that tells Google; its target is the member.
EFFECT = "wallet.google"

# Google announces three changes or messages of a pass in any 24 hours, and no more.
# Source: https://developers.google.com/wallet/retail/loyalty-cards/use-cases/trigger-push-notifications
MOST_ANNOUNCED = 3
DAY = timedelta(days=1)

Key = tuple[int, int]  # shop id, member id
Look = tuple[int, str]  # shop id, the tier's key


class ClassPlan(NamedTuple):
    """A look whose class Google does not have as it is. `known`: it has one that was told before."""

    look: Look
    body: Body
    digest: str
    known: bool


class Plan(NamedTuple):
    """A card at Google: what it should be, what was held of it when that was worked out, and how loud to be.

    `key` is what was asked for, `member_id` whose card it is.
    `message` is one that Google does not have yet, `unsaid` means that it has one which cards no longer show.
    """

    key: Key
    member_id: int
    look: Look
    version: int
    points: int
    ended: bool
    body: Body
    digest: str
    held: GoogleObject
    message: Shown | None
    unsaid: bool
    announce_change: bool
    announce_message: bool

    @property
    def known(self) -> bool:
        return bool(self.held.digest)

    @property
    def changed(self) -> bool:
        return self.digest != self.held.digest

    @property
    def due(self) -> bool:
        return self.changed or self.unsaid or self.message is not None


class Told(NamedTuple):
    """A card that Google has taken as planned, and how often that was announced."""

    plan: Plan
    announced: int


def reserve(session: Session, row: Pass, now: datetime) -> None:
    """Make room for a pass's object before Google has one, so that changes from here on are told.

    The member must be locked, as `wallet_passes.operations.issue` leaves them.
    """
    made = {
        "shop_id": row.shop_id, "serial": row.serial, "look": "", "points": 0, "digest": "", "told_version": 0,
        "told_at": now,
    }  # fmt: skip
    session.execute(insert(GoogleObject).values(made).on_conflict_do_nothing())


def plans(session: Session, issuer: str, found: Mapping[Key, Current], now: datetime) -> list[Plan]:
    """What Google should have of these cards, of those it has any of."""
    held = _held(session, [current.row for current in found.values()])
    shown = latest_message(session, [(one.row.shop_id, one.row.member_id) for one in found.values()], now)
    made = []
    for key, current in found.items():
        here = held.get((current.row.shop_id, current.row.serial))
        if here is not None:
            # A card that went on as another member's shows what is said to them.
            message = shown.get((current.row.shop_id, current.row.member_id))
            made.append(_plan(key, issuer, current, here, None if current.card.ended else message, now))
    return made


def _held(session: Session, rows: Collection[Pass]) -> dict[tuple[int, str], GoogleObject]:
    mine = sa.tuple_(GoogleObject.shop_id, GoogleObject.serial).in_([(row.shop_id, row.serial) for row in rows])
    fresh = sa.select(GoogleObject).where(mine).execution_options(populate_existing=True)
    return {(one.shop_id, one.serial): one for one in session.scalars(fresh)}


def _plan(key: Key, issuer: str, current: Current, held: GoogleObject, shown: Shown | None, now: datetime) -> Plan:
    row, card = current.row, current.card
    look = row.shop_id, held.look if card.ended else card.look
    body = bodies.loyalty_object(
        bodies.object_id(issuer, row.serial), bodies.class_id(issuer, *look), card,
        current.design.hidden, row.handle, scanning.rotating_code(row),
    )  # fmt: skip
    new = shown if shown and shown.id != held.message_id else None
    left = 0 if is_removed(held) else announcements_left(held.notified_at, now)
    loud = bool(held.digest) and new is not None and not new.quiet and left > 0
    worth = bool(held.digest) and not card.ended and (card.points != held.points or card.look != held.look)
    return Plan(
        key, row.member_id, look, row.version, card.points, card.ended, body, bodies.digest(body), held,
        message=new,
        unsaid=held.message_id is not None and shown is None and not card.ended,
        announce_change=worth and left > loud,
        announce_message=loud,
    )  # fmt: skip


def announcements_left(notified_at: Sequence[datetime], now: datetime) -> int:
    """How many changes of a card may still be announced now."""
    return max(0, MOST_ANNOUNCED - len(_of_today(notified_at, now)))


def _of_today(notified_at: Sequence[datetime], now: datetime) -> list[datetime]:
    return [moment for moment in notified_at if moment > now - DAY]


def class_plans(session: Session, issuer: str, found: Collection[Current]) -> list[ClassPlan]:
    """The classes that these cards need and Google does not have as they should be."""
    looks = {(one.row.shop_id, one.card.look): one for one in found if not one.card.ended}
    mine = sa.tuple_(GoogleClass.shop_id, GoogleClass.look).in_(list(looks))
    known = {(one.shop_id, one.look): one.digest for one in session.scalars(sa.select(GoogleClass).where(mine))}
    made = []
    for look, current in sorted(looks.items()):
        body = _class_body(issuer, look, current)
        if bodies.digest(body) != known.get(look):
            made.append(ClassPlan(look, body, bodies.digest(body), bool(known.get(look))))
    return made


def _class_body(issuer: str, look: Look, current: Current) -> Body:
    shop_id, design = current.row.shop_id, current.design
    where = Addresses(
        addresses.address(shop_id, design, "google-logo"),
        addresses.address(shop_id, design, "google-hero"),
        f"{settings().app_url.rstrip('/')}/wallet/google/callback",
    )
    return bodies.loyalty_class(bodies.class_id(issuer, *look), current.card, design, where)


def record_classes(session: Session, told: Sequence[ClassPlan], now: datetime) -> None:
    """Google has these classes as planned."""
    insert_rows(
        session,
        GoogleClass.__table__,  # type: ignore[arg-type]
        ("shop_id", "look", "digest", "told_at"),
        sorted((*plan.look, plan.digest, now) for plan in told),
        suffix="ON CONFLICT (shop_id, look) DO UPDATE SET digest = EXCLUDED.digest, told_at = EXCLUDED.told_at",
    )


# What Google has is written down only where nobody else told it something meanwhile: otherwise nobody can know which
# of the two came last.
_RECORD = """
    UPDATE google_objects AS g SET look = k.look, points = k.points, digest = k.digest, told_version = k.version,
        told_at = k.at, notified_at = k.notified::timestamptz[], message_id = k.message
    FROM {keys} AS k(shop_id, serial, look, points, digest, version, at, notified, message, before)
    WHERE g.shop_id = k.shop_id AND g.serial = k.serial AND g.digest IN (k.before, k.digest)
    RETURNING g.shop_id, g.serial"""
_TYPES = ("bigint", "text", "text", "bigint", "text", "integer", "timestamptz", "text", "bigint", "text")
_HERE = ("bigint", "text")
_UNKNOWN = """
    UPDATE google_objects AS g SET digest = '' FROM {keys} AS k(shop_id, serial)
    WHERE g.shop_id = k.shop_id AND g.serial = k.serial RETURNING g.serial"""


def record(session: Session, told: Sequence[Told], now: datetime) -> list[Key]:
    """Google has these cards as planned. Returns those that somebody else told it of meanwhile: they must be told anew,
    and it is not known any more what Google has of them.
    """
    kept = {tuple(row) for row in rows_by(session, _RECORD, _TYPES, [_row(one, now) for one in told])}
    overtaken = [one.plan for one in told if _here(one.plan) not in kept]
    rows_by(session, _UNKNOWN, _HERE, [_here(plan) for plan in overtaken])
    # `now` is of before the cards were looked at: what came later was not told.
    saved = [one.plan for one in told if one.plan.held.saved_at and not is_removed(one.plan.held)]
    note_told(session, [(plan.key[0], plan.member_id) for plan in saved if not plan.ended], now, now)
    return [plan.key for plan in overtaken]


def record_unchanged(session: Session, same: Sequence[Plan]) -> None:
    """Nothing that Google shows has changed with these versions."""
    rows = [(*_here(plan), plan.version) for plan in same if plan.held.told_version < plan.version]
    table = GoogleObject.__table__
    update_rows(session, table, ("shop_id", "serial"), ("told_version",), rows)  # type: ignore[arg-type]


def forget(session: Session, plans: Sequence[Plan]) -> None:
    """Google turned out to have these cards, or their classes, not as we believed: nothing is known of either."""
    rows_by(session, _UNKNOWN, _HERE, [_here(plan) for plan in plans])
    classes = GoogleClass.__table__
    delete_rows(session, classes, ("shop_id", "look"), sorted({plan.look for plan in plans}))  # type: ignore[arg-type]


def silence(session: Session, plans: Sequence[Plan], now: datetime) -> None:
    """Google says that it announces nothing more of these cards today."""
    for plan in plans:
        here = GoogleObject.shop_id == plan.held.shop_id, GoogleObject.serial == plan.held.serial
        session.execute(sa.update(GoogleObject).where(*here).values(notified_at=[now] * MOST_ANNOUNCED))


def _here(plan: Plan) -> tuple[int, str]:
    return plan.held.shop_id, plan.held.serial


def _row(told: Told, now: datetime) -> tuple[object, ...]:
    plan = told.plan
    notified = [*_of_today(plan.held.notified_at, now), *[now] * told.announced]
    written = "{" + ",".join(moment.isoformat() for moment in notified) + "}"
    message = plan.message.id if plan.message else None if plan.unsaid else plan.held.message_id
    return (*_here(plan), plan.look[1], plan.points, plan.digest, plan.version, now, written, message, plan.held.digest)
