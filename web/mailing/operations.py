"""Mails to members are sent once each, or not at all for a reason that is written down; and members end them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import clock, i18n, mail
from core import events as outbox
from core.db import Database
from core.effects import NotYet, PermanentFailure, Wanted
from core.mail import Mail
from loyalty import programs
from loyalty.activities import operations as activities
from loyalty.activities import queries as told
from loyalty.models import Member
from shops import customers, mailings
from shops.admin import Admin, AdminRefused
from shops.buckets import TRIMMINGS
from shops.customers import Contact
from shops.mailings import Mailings
from shops.models import Shop
from web.mailing import links, rules
from web.mailing.dressing import dressed
from web.mailing.facts import About, letter
from web.mailing.models import MemberMail
from web.mailing.rules import Item, Withheld
from webhooks.models import Backfill

EFFECT = "mail.member"
# Of a member's records so many days stay: long after the fact could come up again.
KEPT = timedelta(days=400)
# A past that was just brought in is still being counted for a while.
SETTLING = timedelta(hours=1)


def wanted(session: Session, asked: Sequence[Wanted]) -> list[Wanted]:
    """Which effects concern a shop that has any mail sent."""
    shops = mailings.sending(session, {one.shop_id for one in asked})
    return [one for one in asked if one.shop_id in shops]


def send_mails(database: Database, shop_id: int, target: str) -> None:
    """An effect: mail the member `target` (an id) what is news and was not mailed yet.

    A mail that was taken and not written down, because we died in between, goes out again under the same Message-ID.
    Raises NotYet while a reward is being made, and PermanentFailure, Unavailable.
    """
    with database.transaction(shop_id) as session:
        member = _reader(session, shop_id, int(target))
        items = _unsent(session, member) if member else []
    if member is None or not items:
        return
    if not mail.is_on():
        raise PermanentFailure("there is no mail server to send members' mails by")
    contact = _contact(database, member)
    later, newest = None, rules.newest(items)
    for item in items:
        try:
            if item in newest:
                _send(database, member, item, contact)
            else:
                _note(database, member, item, "withheld", "newer")
        except NotYet as not_yet:
            later = not_yet
    if later is not None:
        raise later


def _reader(session: Session, shop_id: int, member_id: int) -> Member | None:
    """The member, if they may be written to at all: not one who is erased, closed, blocked or merged into another."""
    member = session.get(Member, (shop_id, member_id))
    if member is None or member.customer_id is None:
        return None
    gone = (member.merged_into, member.blocked_at, member.closed_at, member.erased_at)
    return None if any(gone) else member


def _unsent(session: Session, member: Member) -> list[Item]:
    """What is news of a member, of the kinds that were on when it was recorded, and not written down yet."""
    kept, now = outbox.Event, clock.now()
    since = _mailings(session, member.shop_id).since
    rows = session.scalars(
        sa.select(kept)
        .where(
            kept.shop_id == member.shop_id, kept.member_id == member.id, kept.kind.in_(rules.EVENTS),
            kept.occurred_at > now - rules.NEWS,
        )
        .order_by(kept.id)
    ).all()  # fmt: skip
    found = [one for row in rows if (one := rules.item(row.kind, row.data, row.occurred_at, row.recorded_at))]
    done = {(row.kind, row.fact) for row in session.scalars(_of(member))}
    fresh = [
        one for one in found
        if one.kind in since and one.recorded_at >= since[one.kind] and (one.kind, one.fact) not in done
    ]  # fmt: skip
    return [one for one in fresh if one.kind != mailings.REACHED or not _of_the_past(session, member.shop_id, one)]


def _of(member: Member) -> sa.Select[Any]:
    return sa.select(MemberMail).where(MemberMail.shop_id == member.shop_id, MemberMail.member_id == member.id)


def _mailings(session: Session, shop_id: int) -> Mailings:
    return mailings.of(session.get_one(Shop, shop_id).settings)


def _of_the_past(session: Session, shop_id: int, item: Item) -> bool:
    """Whether it was found while the shop's past was brought in: then it is of some day, and not of today."""
    past = session.get(Backfill, shop_id)
    if past is None or item.recorded_at < past.requested_at:
        return False
    return past.finished_at is None or item.recorded_at < past.finished_at + SETTLING


def _contact(database: Database, member: Member) -> Contact | None:
    with Admin.of(database, member.shop_id, spared=TRIMMINGS) as admin:
        try:
            return customers.contact(admin, member.customer_id or 0)
        except AdminRefused as error:
            raise PermanentFailure(error.detail) from None


def _send(database: Database, member: Member, item: Item, contact: Contact | None) -> None:
    outcome, why = "sent", None
    try:
        with database.transaction(member.shop_id) as session:
            written = _written(session, member, item, contact)
        mail.send(written)
    except Withheld as withheld:
        outcome, why = "withheld", withheld.why
    except PermanentFailure as refused:
        outcome, why = "refused", refused.detail
    _note(database, member, item, outcome, why)


def _note(database: Database, member: Member, item: Item, outcome: str, why: str | None) -> None:
    row = insert(MemberMail).values(
        shop_id=member.shop_id, member_id=member.id, kind=item.kind, fact=item.fact, outcome=outcome, why=why,
        at=clock.now(),
    )  # fmt: skip
    with database.transaction(member.shop_id) as session:
        session.execute(row.on_conflict_do_nothing())


def _written(session: Session, reader: Member, item: Item, contact: Contact | None) -> Mail:
    """Raises Withheld, NotYet."""
    member, now = _reader(session, reader.shop_id, reader.id), clock.now()
    if member is None or contact is None or not contact.email:
        raise Withheld("no_address")
    shop = session.get_one(Shop, member.shop_id)
    given = {row.channel: row.given for row in told.consents(session, shop.id, member.id)}
    rules.check_consent(
        mailings.of(shop.settings), item.kind, wants_mails=given.get(activities.MAILS),
        told=(contact.news, given.get("newsletter")),
    )  # fmt: skip
    rules.check_quiet(item.kind, _last(session, member, item.kind), now)
    known = programs.load(session, [shop.id])
    with i18n.speaking(contact.locale):
        said, place = letter(About(session, shop, member, known, now), item)
        return dressed(
            session, shop, said, to=contact.email, place=place, stop=links.stop(shop, member.id),
            key=f"{item.kind}:{shop.id}:{member.id}:{item.fact}",
        )  # fmt: skip


def _last(session: Session, member: Member, kind: str) -> Any:
    sent = sa.select(sa.func.max(MemberMail.at)).where(
        MemberMail.shop_id == member.shop_id, MemberMail.member_id == member.id, MemberMail.kind == kind,
        MemberMail.outcome == "sent",
    )  # fmt: skip
    return session.scalar(sent)


# Ending them, and looking back.


def want(session: Session, shop_id: int, member_id: int, *, wanted: bool) -> None:
    """A member ends the shop's mails, or has them again. Raises NotFound for one who is there no more."""
    member = session.get(Member, (shop_id, member_id))
    for _step in range(8):
        if member is None or member.merged_into is None:
            break
        member = session.get(Member, (shop_id, member.merged_into))
    activities.consent(
        session, shop_id, member.id if member else member_id, activities.MAILS, given=wanted, source="mail",
        at=clock.now(), actor=f"member:{member_id}",
    )  # fmt: skip


def lately(session: Session, shop_id: int, days: int = 30) -> dict[str, dict[str, int]]:
    """How many mails of each kind had which outcome in these days."""
    since = clock.now() - timedelta(days=days)
    counted = (
        sa.select(MemberMail.kind, MemberMail.outcome, sa.func.count())
        .where(MemberMail.shop_id == shop_id, MemberMail.at > since)
        .group_by(MemberMail.kind, MemberMail.outcome)
    )
    found: dict[str, dict[str, int]] = {}
    for kind, outcome, count in session.execute(counted):
        found.setdefault(kind, {})[outcome] = count
    return found


def prune(session: Session) -> None:
    """Forget records of the opened shops that nothing asks for any more."""
    session.execute(sa.delete(MemberMail).where(MemberMail.at < clock.now() - KEPT))
