"""The effect `wallet.apple`: a member's card may have changed, so make its phones fetch it if it did.

The first change is told at once; what follows within moments is gathered and told together.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, logs
from core.db import Database
from core.effects import NotYet, PermanentFailure
from core.errors import Unavailable
from wallet_passes import operations
from wallet_passes.apple import push
from wallet_passes.apple.certificate import BadCertificate, NotSetUp
from wallet_passes.apple.push import PushRefused, Reply
from wallet_passes.models import AppleDevice, AppleRegistration, Pass

GATHERING = timedelta(seconds=1.5)
# The push token is of no pass of ours, was made up, or belongs to no device any more.
_NEVER = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "MissingDeviceToken"})

log = logs.logger(__name__)


class Due(NamedTuple):
    """Phones that don't know of a pass's newest version."""

    serial: str
    version: int
    push_tokens: Sequence[str]


def tell(database: Database, shop_id: int, target: str) -> None:
    """Bring the pass of member `target` up to date and push to the phones that don't know its newest version.

    Raises NotYet while changes are gathered, Unavailable to be tried again, PermanentFailure for a bad certificate.
    """
    with database.transaction(shop_id) as session:
        current = operations.refresh(session, shop_id, int(target))
        due = _due(session, current.row) if current else None
    if due is None or not due.push_tokens:
        return
    assert current is not None
    told_at, now = current.row.told_at, clock.now()
    if told_at is not None and now < told_at + GATHERING:
        raise NotYet(told_at + GATHERING)
    replies = _pushed(due.push_tokens)
    with database.transaction(shop_id) as session:
        _record(session, shop_id, due, replies, now)
    _raise_what_is_left(replies)


def _due(session: Session, row: Pass) -> Due:
    here = AppleRegistration
    tokens = session.scalars(
        sa.select(AppleDevice.push_token)
        .join(here, (here.shop_id == AppleDevice.shop_id) & (here.device == AppleDevice.device))
        .where(here.shop_id == row.shop_id, here.serial == row.serial, here.removed_at.is_(None))
        .where(here.told_version < row.version)
        .distinct()
    ).all()
    return Due(row.serial, row.version, tokens)


def _pushed(push_tokens: Sequence[str]) -> list[Reply]:
    try:
        return push.pusher().push(push_tokens)
    except (BadCertificate, NotSetUp, PushRefused) as error:
        raise PermanentFailure(error.detail) from error


def _record(session: Session, shop_id: int, due: Due, replies: Sequence[Reply], now: datetime) -> None:
    """Who has been told of which version; devices that are gone lose their registrations."""
    taken = [reply.push_token for reply in replies if reply.taken]
    told = sa.update(AppleRegistration).where(
        AppleRegistration.serial == due.serial, *_on_devices(shop_id, AppleDevice.push_token.in_(taken))
    )
    session.execute(told.values(told_version=due.version, told_at=now))
    if taken:
        session.execute(sa.update(Pass).where(Pass.shop_id == shop_id, Pass.serial == due.serial).values(told_at=now))
    for reply in replies:
        if reply.status == 410 or reply.reason in _NEVER:
            _drop(session, shop_id, reply, now)


def _drop(session: Session, shop_id: int, reply: Reply, now: datetime) -> None:
    """Remove what was registered before the device went; it may have come back since with the same token."""
    gone = datetime.fromtimestamp(reply.gone_since / 1000, UTC) if reply.gone_since else now
    log.info("a device is gone", shop_id=shop_id, reason=reply.reason)
    older = (AppleDevice.push_token == reply.push_token, AppleDevice.token_at <= gone)
    removed = sa.update(AppleRegistration).where(AppleRegistration.removed_at.is_(None), *_on_devices(shop_id, *older))
    session.execute(removed.values(removed_at=now))


def _on_devices(shop_id: int, *which: sa.ColumnElement[bool]) -> tuple[sa.ColumnElement[bool], ...]:
    devices = sa.select(AppleDevice.device).where(AppleDevice.shop_id == shop_id, *which)
    return AppleRegistration.shop_id == shop_id, AppleRegistration.device.in_(devices)


def _raise_what_is_left(replies: Sequence[Reply]) -> None:
    refused = [reply for reply in replies if reply.status == 403]
    if refused:
        raise PermanentFailure(f"Apple refuses our pushes: {refused[0].reason}")
    later = [reply for reply in replies if reply.status == 429 or reply.status >= 500]
    if later:
        raise Unavailable(f"Apple's push service asks us to wait ({later[0].status} {later[0].reason})".rstrip())
