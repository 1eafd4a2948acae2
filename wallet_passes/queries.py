"""Cards and the phones that hold them, for pages and the API."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.db import rows_by
from core.effects import Wanted
from core.errors import RapportError
from wallet_passes.apple import certificates
from wallet_passes.apple.certificate import Certificate
from wallet_passes.google.models import GoogleObject
from wallet_passes.models import AppleDevice, AppleRegistration, Pass

_WITH_CARDS = (
    "SELECT p.shop_id, p.member_id FROM {keys} AS k(shop_id, member_id) "
    "JOIN passes p ON p.shop_id = k.shop_id AND p.member_id = k.member_id"
)


class Device(NamedTuple):
    """A phone with a member's card.

    `state` is `current` (it knows of the newest version), `stale` (it was not told yet), `unreachable` (its card's
    certificate is over: `problem` says why) or `removed`. `told_at` is when the push service last took a push for it,
    `asked_at` when it last asked for news.
    """

    state: str
    added_at: datetime
    removed_at: datetime | None
    told_at: datetime | None
    asked_at: datetime | None
    problem: str | None = None


def pass_of(session: Session, shop_id: int, member_id: int) -> Pass | None:
    """The member's card, if one was ever made."""
    return session.scalar(sa.select(Pass).where(Pass.shop_id == shop_id, Pass.member_id == member_id))


def with_cards(session: Session, wanted: Sequence[Wanted]) -> list[Wanted]:
    """Those effects whose member has a card: most members of most shops have none.

    Points are posted under the member's lock, and `operations.issue` takes it too: so either a card is seen here, or
    it is made after the posting and shows it.
    """
    keys = [(one.shop_id, int(one.target)) for one in wanted]
    found = {tuple(row) for row in rows_by(session, _WITH_CARDS, ("bigint", "bigint"), keys)}
    return [one for one, key in zip(wanted, keys, strict=True) if key in found]


def devices(session: Session, row: Pass) -> Sequence[Device]:
    """The phones that hold a card or did, latest first."""
    here = AppleRegistration
    found = session.execute(
        sa.select(here, AppleDevice.asked_at)
        .join(AppleDevice, (AppleDevice.shop_id == here.shop_id) & (AppleDevice.device == here.device))
        .where(here.shop_id == row.shop_id, here.serial == row.serial)
        .order_by(here.registered_at.desc(), here.device)
    )
    rows = found.all()
    signers = certificates.of_types(session, {(row.shop_id, on.pass_type) for on, _ in rows})
    return [_device(row, on, asked_at, signers[row.shop_id, on.pass_type]) for on, asked_at in rows]


def _device(row: Pass, on: AppleRegistration, asked_at: datetime | None, signer: Certificate | RapportError) -> Device:
    state = "removed" if on.removed_at else "current" if on.told_version >= row.version else "stale"
    problem = None if isinstance(signer, Certificate) or on.removed_at else signer.detail
    return Device("unreachable" if problem else state, on.registered_at, on.removed_at, on.told_at, asked_at, problem)


class Live(NamedTuple):
    """Members whose card is on a phone, by wallet; `members` counts who has both once."""

    members: int
    apple: int
    google: int


def live_passes(session: Session, shop_id: int, at: datetime | None = None) -> Live:
    """How many members have their card on a phone now, or had it at a moment."""
    saved, removed = GoogleObject.saved_at, GoogleObject.removed_at
    apple = sa.select(AppleRegistration.serial).where(
        AppleRegistration.shop_id == shop_id,
        *_between(AppleRegistration.registered_at, AppleRegistration.removed_at, at),
    )
    google = sa.select(GoogleObject.serial).where(
        GoogleObject.shop_id == shop_id, saved.is_not(None), (removed < saved) | sa.and_(*_between(saved, removed, at))
    )

    def counted(found: sa.Select[str] | sa.CompoundSelect) -> int:
        rows = found.subquery()
        return session.scalar(sa.select(sa.func.count(rows.c.serial.distinct()))) or 0

    return Live(counted(apple.union(google)), counted(apple), counted(google))


def live_at(session: Session, shop_id: int, moments: Sequence[datetime]) -> list[list[int]]:
    """The numbers of `Live` now, which is the first of the moments, and at each of the others."""
    return [list(live_passes(session, shop_id, at if place else None)) for place, at in enumerate(moments)]


def _between(came: Any, went: Any, at: datetime | None) -> list[sa.ColumnElement[bool]]:
    """What is there, or was at a moment, of what comes and goes."""
    return [went.is_(None)] if at is None else [came <= at, went.is_(None) | (went > at)]
