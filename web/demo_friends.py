"""Friends of the demo shop's members: each came by a member's code a few hours ago, and is at another stage.

They come as friends do: a link is shared and looked at, an e-mail is left, Shopify makes a code, an order is placed
with it. What becomes of them is left to the app.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, crypto
from core.db import database
from loyalty import programs
from loyalty.models import Member
from referrals import members, visits
from referrals.claims import operations as claims
from referrals.claims import rules
from referrals.models import Referral, ReferralClaim, ReferralCode

# Longer ago than the live view's news, so that it still begins with what to try.
CLAIMED, ORDERED = timedelta(hours=3), timedelta(hours=2)
PATIENCE = 20  # seconds

# POST and GET of the sandbox store's own controls: (path, body or None to read).
Ask = Callable[[str, Mapping[str, Any] | None], Any]


class Friend(NamedTuple):
    """Whom a member brought. A phone that both use makes the checks ask for a person."""

    referrer: str
    first: str
    last: str
    status: str = "paid"
    phone: str | None = None

    @property
    def email(self) -> str:
        return f"{self.first}.{self.last}@example.com".lower()


FRIENDS = (
    Friend("ada.ferreira@example.com", "Lena", "Voss"),
    Friend("delphine.roux@example.com", "Omar", "Haidari", status="pending"),
    Friend("farah.aziz@example.com", "Samir", "Aziz", phone="+12025550143"),
)


def bring(shop_id: int, ask: Ask) -> bool:
    """Bring the friends of members who are there, and wait a while until what follows is there, too.

    False when somebody has claimed already: then nothing is done.
    """
    now = clock.now()
    with clock.fixed_at(now - CLAIMED), database().transaction(shop_id) as session:
        if session.scalar(sa.select(ReferralClaim.id).where(ReferralClaim.shop_id == shop_id).limit(1)):
            return False
        ids = ids_of(session, shop_id, [friend.referrer for friend in FRIENDS])
        codes = members.ensure_codes(session, shop_id, ids.values())
        brought = [friend for friend in FRIENDS if friend.referrer in ids]
        claimed = {friend: _claim(session, codes[ids[friend.referrer]], friend) for friend in brought}
    if not patiently(lambda session: _made(session, shop_id) == len(claimed), shop_id):
        click.echo("The demo shop's friends have no codes yet, so they place no orders.", err=True)
        return True
    for friend, row in claimed.items():
        _order(ask, friend, row.discount, now - ORDERED)
    patiently(lambda session: _referrals(session, shop_id) == len(claimed), shop_id)
    return True


def ids_of(session: Session, shop_id: int, emails: Iterable[str]) -> dict[str, int]:
    """The members who are there, by their e-mail."""
    rows = sa.select(Member.email, Member.id).where(Member.shop_id == shop_id, Member.email.in_(list(emails)))
    return {row.email: row.id for row in session.execute(rows)}


def _claim(session: Session, code: ReferralCode, friend: Friend) -> ReferralClaim:
    visitor = crypto.blind_index(f"demo visitor:{friend.email}")
    _look(session, code, visitor)
    return claims.claim(
        session, code.shop_id, code.code, friend.email, consent=rules.CONSENT, wants_news=False, visitor=visitor,
        network="", actor="demo",
    )  # fmt: skip


def _look(session: Session, code: ReferralCode, visitor: str) -> None:
    now = clock.now()
    zone = programs.load(session, [code.shop_id]).in_force(code.shop_id, now).program.zone
    seen = visits.Look(code.key, visitor, "", "whatsapp", now, zone)
    visits.shared(session, code.shop_id, code.key, seen.day)
    visits.look(session, code.shop_id, seen)


def _order(ask: Ask, friend: Friend, code: str, at: datetime) -> None:
    """Something that is worth a friend's first order, with the code they got."""
    dear = next(item["variant_id"] for item in ask("products", None)["products"] if item["price"] >= 50_00)
    person = {"first_name": friend.first, "last_name": friend.last, "email": friend.email, "at": at.isoformat()}
    buyer = ask("customers", person)["id"]
    if friend.phone:
        known = {one["email"]: one["id"] for one in ask("customers", None)["customers"]}
        for customer_id in (known[friend.referrer], buyer):
            ask(f"customers/{customer_id}", {"phone": friend.phone})
    order = {"customer_id": buyer, "lines": [{"variant_id": dear}], "codes": [code], "status": friend.status}
    ask("orders", order | {"at": at.isoformat()})


def patiently(done: Callable[[Session], bool], shop_id: int) -> bool:
    """Whether it came about while we waited, a few seconds at most."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with database().transaction(shop_id) as session:
            if done(session):
                return True
        time.sleep(0.1)
    return False


def _made(session: Session, shop_id: int) -> int:
    made = sa.select(sa.func.count()).where(ReferralClaim.shop_id == shop_id, ReferralClaim.state == "made")
    return session.scalar(made) or 0


def _referrals(session: Session, shop_id: int) -> int:
    return session.scalar(sa.select(sa.func.count()).where(Referral.shop_id == shop_id)) or 0
