"""Which mails a shop has us send to its members, since when, and to whom: kept in its settings under `mails`."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.errors import InvalidInput
from core.events import Happened, record
from shops.models import Shop

KEY = "mails"
EXPIRING, REACHED, ENDING = "points_expiring", "tier_reached", "tier_ending"
REWARD, FRIEND = "reward_issued", "referral_rewarded"
KINDS = (REWARD, EXPIRING, REACHED, ENDING, FRIEND)
# What a member asked for a moment ago is theirs to have, whatever they said about news.
SERVICE = frozenset({REWARD})


class Mailings(NamedTuple):
    """Since when each kind is sent; what happened before is never mailed about. `everyone`: also to members who did
    not agree to news, because the shop says that it may."""

    since: Mapping[str, datetime]
    everyone: bool

    def may_go(self, kind: str, *, agreed: bool) -> bool:
        """Whether a mail of a kind may go to a member who has, or has not, agreed to news."""
        return agreed or self.everyone or kind in SERVICE


def of(settings: Mapping[str, Any] | None) -> Mailings:
    """What a shop's settings hold. Kinds that we don't know, of an older or newer release, are off."""
    held: Mapping[str, Any] = (settings or {}).get(KEY) or {}
    since = {kind: datetime.fromisoformat(at) for kind, at in (held.get("on") or {}).items() if kind in KINDS}
    return Mailings(since, bool(held.get("everyone")))


def switch(session: Session, shop_id: int, on: Collection[str], *, everyone: bool, actor: str) -> Mailings:
    """Send these kinds from now on, and no others; a kind that was on goes on. Raises InvalidInput (`no_mail`)."""
    if unknown := set(on) - set(KINDS):
        raise InvalidInput(f"there is no mail {', '.join(sorted(unknown))}", code="no_mail")
    shop = session.get_one(Shop, shop_id, with_for_update=True)
    now, before = clock.now(), of(shop.settings)
    wanted = Mailings({kind: before.since.get(kind, now) for kind in KINDS if kind in on}, everyone)
    if wanted != before:
        kept = {"on": {kind: at.isoformat() for kind, at in wanted.since.items()}, "everyone": everyone}
        shop.settings = shop.settings | {KEY: kept}
        told = {"on": sorted(wanted.since), "everyone": everyone}
        record(session, [Happened(shop_id, "mails.switched", told, now, actor=actor)])
        session.flush()
    return wanted


def sending(session: Session, shop_ids: Iterable[int], kind: str | None = None) -> set[int]:
    """Those of these shops that have mails of this kind, or of any, sent."""
    found = sa.select(Shop.id, Shop.settings).where(
        Shop.id.in_(sorted(shop_ids)), Shop.uninstalled_at.is_(None), Shop.settings.has_key(KEY)
    )
    return {row.id for row in session.execute(found) if (on := of(row.settings).since) and (kind is None or kind in on)}
