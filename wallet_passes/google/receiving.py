"""What a callback changes: whether somebody has a card in their wallet. Each is taken once, and never out of order."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import clock
from core.events import Happened, record
from wallet_passes.google.callbacks import REMOVED, SAVED, Callback
from wallet_passes.google.models import GoogleCallback, GoogleObject
from wallet_passes.models import Pass

EVENTS = {SAVED: "pass.saved", REMOVED: "pass.removed"}


def take(session: Session, shop_id: int, serial: str, callback: Callback) -> bool:
    """Note that a card was saved or removed; false when it is not ours, was told before, or is of no account.

    Google tells no time of what happened, only until when it will tell: what expires later happened later.
    """
    # The row's lock lets callbacks of one card in one after the other.
    held = session.get(GoogleObject, (shop_id, serial), with_for_update=True)
    if held is None or callback.event not in EVENTS:
        return False
    overtaken = _latest(session, shop_id, serial)
    if not _remember(session, shop_id, serial, callback) or (overtaken and overtaken > callback.expires_at):
        return False
    now = clock.now()
    if callback.event == SAVED:
        held.saved_at, held.removed_at = now, None
    else:
        held.removed_at = now
    _record(session, held, EVENTS[callback.event], now)
    return True


def prune(session: Session) -> int:
    """Forget callbacks that could not be taken again anyway; how many."""
    done = session.execute(sa.delete(GoogleCallback).where(GoogleCallback.expires_at < clock.now()))
    return int(getattr(done, "rowcount", 0))


def _latest(session: Session, shop_id: int, serial: str) -> datetime | None:
    mine = (GoogleCallback.shop_id == shop_id, GoogleCallback.serial == serial)
    return session.scalar(sa.select(sa.func.max(GoogleCallback.expires_at)).where(*mine))


def _remember(session: Session, shop_id: int, serial: str, callback: Callback) -> bool:
    """False when this very callback was taken before."""
    row = {
        "shop_id": shop_id,
        "nonce": callback.nonce,
        "serial": serial,
        "event": callback.event,
        "expires_at": callback.expires_at,
    }
    added = insert(GoogleCallback).values(row).on_conflict_do_nothing().returning(GoogleCallback.nonce)
    return session.scalar(added) is not None


def _record(session: Session, held: GoogleObject, kind: str, now: datetime) -> None:
    member = sa.select(Pass.member_id).where(Pass.shop_id == held.shop_id, Pass.serial == held.serial)
    told = {"serial": held.serial, "wallet": "google"}
    record(session, [Happened(held.shop_id, kind, told, now, session.scalar(member))])
