"""What our own tables know that bears on a referral. Only what had happened by the order's time counts."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.orm import Session

from loyalty.models import Member
from referrals.attribution import ASIDE, EVERY_ORDER
from referrals.cases import Case
from referrals.fraud import mails
from referrals.models import ReferralClaim, ReferralCode, ReferralPartner, ReferralVisit
from referrals.visits import OWN

HOUR, DAY, MONTH, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=30), timedelta(days=365)
LONGEST_CIRCLE = 6
_AFTER_ALL = 2**63 - 1  # of ids, for orders of one moment


class Traces(Struct, frozen=True):
    """Browsers and networks of somebody, as keyed hashes; never empty ones, which stand for what is not known."""

    visitors: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()


class Emails(Struct, frozen=True):
    """Addresses that members keep, for where Shopify tells none; of a partner only the index is known."""

    friend: tuple[str, ...] = ()
    referrer: tuple[str, ...] = ()
    indices: frozenset[str] = frozenset()


class Marks(Struct, frozen=True):
    """The friend's keyed hashes, by which others are found who share them."""

    email: str | None = None
    stem: str | None = None
    phone: str | None = None
    home: str | None = None
    payment: str | None = None


def emails(session: Session, case: Case) -> Emails:
    """What is kept of both sides' addresses."""
    known = dict(
        session.execute(
            sa.select(Member.id, Member.email).where(
                Member.shop_id == case.shop_id, Member.id.in_([case.friend_member_id, case.referrer_member_id])
            )
        ).all()
    )
    partner = sa.select(ReferralPartner.email_index).where(
        ReferralPartner.shop_id == case.shop_id, ReferralPartner.id == case.partner_id
    )
    friend, referrer = (known.get(one or 0) for one in (case.friend_member_id, case.referrer_member_id))
    return Emails(
        (friend,) if friend else (), (referrer,) if referrer else (), frozenset(session.scalars(partner).all())
    )


def claim_of(session: Session, case: Case) -> ReferralClaim | None:
    """The claim that the order came by."""
    return session.get(ReferralClaim, (case.shop_id, case.claim_id)) if case.claim_id else None


def referrers_traces(session: Session, case: Case, indices: Iterable[str]) -> Traces:
    """Where the referrer has opened their own page, or claimed themselves."""
    member, partner = case.referrer_member_id, case.partner_id
    owner = ReferralCode.partner_id == partner if member is None else ReferralCode.member_id == member
    codes = sa.select(ReferralCode.key).where(ReferralCode.shop_id == case.shop_id, owner)
    opened = sa.select(ReferralVisit.visitor, ReferralVisit.network).where(
        ReferralVisit.shop_id == case.shop_id, ReferralVisit.code_key.in_(codes), ReferralVisit.via == OWN
    )
    claimed = sa.select(ReferralClaim.visitor, ReferralClaim.network).where(
        ReferralClaim.shop_id == case.shop_id, ReferralClaim.email_index.in_(list(indices))
    )
    rows = session.execute(opened.union(claimed)).all()
    return Traces(frozenset(row[0] for row in rows if row[0]), frozenset(row[1] for row in rows if row[1]))


# Orders.

_STANDING = """
    state IS NOT NULL AND deleted_at IS NULL AND state->>'cancelled_at' IS NULL AND state->>'test' = 'false'
    AND state->>'status' NOT IN ('voided', 'expired', 'refunded')
    AND (processed_at, order_id) < (:at, :order)"""

_EARLIER = sa.text(f"""
    SELECT order_id FROM orders WHERE shop_id = :shop AND member_id = :friend AND {_STANDING}
    UNION SELECT order_id FROM orders WHERE shop_id = :shop AND guest_email = ANY(:emails) AND {_STANDING}""")

# Only what a provider ignores is taken away; the part of the shop's people with these domains is read.
_SAME_MAILBOX = """
    lower(split_part({column}, '@', 2)) = ANY(:domains)
    AND translate(split_part(lower(split_part({column}, '@', 1)), '+', 1), :ignored, '') = :local"""
_TWINS = sa.text(f"""
    WITH twins AS MATERIALIZED (
        SELECT DISTINCT coalesce(merged_into, id) AS member_id FROM members
        WHERE shop_id = :shop AND {_SAME_MAILBOX.format(column="email")})
    SELECT order_id FROM twins JOIN orders USING (member_id) WHERE shop_id = :shop AND {_STANDING}
    UNION SELECT order_id FROM orders WHERE shop_id = :shop AND guest_email IS NOT NULL
        AND {_SAME_MAILBOX.format(column="guest_email")} AND {_STANDING}""")


def earlier_orders(session: Session, case: Case, addresses: Iterable[str]) -> frozenset[int]:
    """Ids of the friend's standing orders before this one, as a member or as a guest with one of these addresses."""
    asked = _order(case) | {"friend": case.friend_member_id, "emails": [text.lower() for text in addresses]}
    return frozenset(session.scalars(_EARLIER, asked))


def twin_orders(session: Session, case: Case, addresses: Iterable[str]) -> frozenset[int]:
    """The same for whoever has one of these mailboxes, however the address was written."""
    found: set[int] = set()
    for text in addresses:
        found.update(session.scalars(_TWINS, _order(case) | mails.ways(text)._asdict()))
    return frozenset(found)


def mailbox_has_ordered(session: Session, shop_id: int, address: str, now: datetime) -> bool:
    """Whether an order stands of whoever has the mailbox of an address, however theirs is written.

    Reads all of the shop's people with its domains: nothing for a page to wait for.
    """
    asked = {"shop": shop_id, "at": now, "order": _AFTER_ALL} | mails.ways(address)._asdict()
    return session.scalar(_TWINS, asked) is not None


def _order(case: Case) -> dict[str, Any]:
    return {"shop": case.shop_id, "at": case.at, "order": case.order_id}


# Claims.


def claim_counts(session: Session, case: Case, claim: ReferralClaim) -> dict[str, Any]:
    """Other addresses that claimed in the claim's browser, in its network, and of its code."""
    return {
        "visitor_claims": _claimed(session, claim, MONTH, ReferralClaim.visitor == (claim.visitor or None)),
        "network_claims": _claimed(session, claim, DAY, ReferralClaim.network == (claim.network or None)),
        "code_claims": _claimed(session, claim, HOUR, ReferralClaim.code_key == claim.code_key),
    }


def _claimed(session: Session, claim: ReferralClaim, span: timedelta, same: sa.ColumnElement[bool]) -> int:
    others = sa.select(sa.func.count(sa.distinct(ReferralClaim.email_index))).where(
        ReferralClaim.shop_id == claim.shop_id,
        same,
        ReferralClaim.email_index != claim.email_index,
        ReferralClaim.at > claim.at - span,
        ReferralClaim.at <= claim.at,
    )
    return session.scalar(others) or 0


# Referrals.

_SHARED = sa.text("""
    SELECT count(DISTINCT who) FILTER (WHERE evidence->>'phone' = :phone) AS shared_phone,
        count(DISTINCT who) FILTER (WHERE evidence->>'payment' = :payment) AS shared_payment,
        count(DISTINCT who) FILTER (WHERE evidence->>'home' = :home) AS shared_home,
        count(DISTINCT who) FILTER (WHERE evidence->>'stem' = :stem AND evidence->>'email' <> :email
            AND referrer_member_id = :referrer) AS numbered
    FROM (SELECT *, regexp_replace(friend, :after, '') AS who FROM referrals
        WHERE shop_id = :shop AND at > :since AND (at, order_id) < (:at, :order) AND (evidence->>'phone' = :phone
            OR evidence->>'payment' = :payment OR evidence->>'home' = :home OR evidence->>'stem' = :stem)) AS others
    WHERE who <> regexp_replace(:friend, :after, '')""")

_REFERRER = sa.text("""
    SELECT count(*) FILTER (WHERE at > :since) AS day_referrals,
        count(*) FILTER (WHERE state IN ('void', 'reversed')) AS ended, count(*) AS brought
    FROM referrals WHERE shop_id = :shop AND referrer_member_id = :referrer AND (at, order_id) < (:at, :order)
        AND position(:aside IN friend) = 0""")

_CIRCLE = sa.text("""
    WITH RECURSIVE up(member_id, people) AS (
        SELECT referrer_member_id, 2 FROM referrals
        WHERE shop_id = :shop AND friend_member_id = :referrer AND (at, order_id) < (:at, :order)
        UNION SELECT r.referrer_member_id, people + 1 FROM referrals r JOIN up ON r.friend_member_id = up.member_id
        WHERE r.shop_id = :shop AND people < :longest AND (r.at, r.order_id) < (:at, :order))
    SELECT min(people) FROM up WHERE member_id = :friend""")


def shared(session: Session, case: Case, marks: Marks) -> dict[str, Any]:
    """How many other friends of the last year have the friend's marks."""
    asked = {name: getattr(marks, name) for name in marks.__struct_fields__}
    others = _order(case) | {"friend": case.friend, "since": case.at - YEAR, "referrer": case.referrer_member_id}
    others["after"] = f"[{EVERY_ORDER}{ASIDE}].*$"
    return dict(session.execute(_SHARED, asked | others).mappings().one())


def referrers_past(session: Session, case: Case) -> dict[str, Any]:
    """How busy the referrer was in the day before, and how many of their friends' orders were undone.

    A partner's business is to bring many at once: nothing is counted for one.
    """
    asked = _order(case) | {"referrer": case.referrer_member_id, "since": case.at - DAY, "aside": ASIDE}
    row = session.execute(_REFERRER, asked).one()
    percent = 100 * row.ended // row.brought if row.brought else 0
    return {"day_referrals": row.day_referrals, "ended": row.ended, "ended_percent": percent}


def circle(session: Session, case: Case) -> int:
    """How many people the chain has by which the friend brought the referrer; 0 for none, or a very long one."""
    people = {"friend": case.friend_member_id, "referrer": case.referrer_member_id, "longest": LONGEST_CIRCLE}
    return session.scalar(_CIRCLE, _order(case) | people) or 0
