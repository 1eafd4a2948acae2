"""What referrals keep of a person: told to them, and forgotten, when the law asks.

What was decided and given stays, for the books must still add up; it names nobody.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, crypto, effects
from loyalty.privacy import Person
from referrals import partners
from referrals.fraud import mails
from referrals.models import Referral, ReferralClaim, ReferralCode

CLAIM_EFFECT = "referral.claim"
# Keyed hashes of the friend's in the evidence; what was made of them, as booleans and counts, may stay.
_MARKS = ("email", "stem", "phone", "home", "payment", "network", "visitor")
# Codes may be made of a name. No code that anybody types is compared as one with a hyphen.
_UNNAME = (
    "UPDATE {table} SET code_key = r.after FROM unnest(CAST(:before AS text[]), CAST(:after AS text[])) "
    "AS r(before, after) "
    "WHERE shop_id = :shop_id AND code_key = r.before"
)
_NAMING = ("referral_visits", "referral_counts", "referral_claims", "referrals")


def forget(session: Session, shop_id: int, person: Person) -> None:
    """Forget a person as a friend and as a referrer. Doing it again, or to somebody unknown, is fine."""
    _forget_claims(session, shop_id, person)
    _unname_codes(session, shop_id, sorted(person.members))
    partners.forget(session, shop_id, [mails.index(email) for email in sorted(person.emails)])
    theirs = Referral.shop_id == shop_id, _of(person)
    for row in session.scalars(sa.select(Referral).where(*theirs)):
        row.evidence = {name: value for name, value in row.evidence.items() if name not in _MARKS}
    session.flush()


def _of(person: Person) -> sa.ColumnElement[bool]:
    indices = [mails.index(email) for email in sorted(person.emails)]
    return Referral.friend_member_id.in_(sorted(person.members)) | Referral.friend.in_(indices)


def _claims(session: Session, shop_id: int, person: Person) -> list[ReferralClaim]:
    indices = {mails.index(email) for email in person.emails}
    mine = sa.select(ReferralClaim).where(ReferralClaim.shop_id == shop_id, ReferralClaim.email_index.in_(indices))
    return list(session.scalars(mine.order_by(ReferralClaim.id).with_for_update()))


def _forget_claims(session: Session, shop_id: int, person: Person) -> None:
    """The claim of somebody who is forgotten ends, and with it the code that was made for it."""
    for claim in _claims(session, shop_id, person):
        if claim.ended_at is None:
            claim.state, claim.ended_at = "ended", clock.now()
            effects.request(session, [effects.Wanted(shop_id, CLAIM_EFFECT, str(claim.id))])
        claim.email, claim.email_index = b"", f"erased-{claim.id}"
        claim.visitor = claim.network = claim.consent = ""


def _unname_codes(session: Session, shop_id: int, members: list[int]) -> None:
    mine = sa.select(ReferralCode).where(
        ReferralCode.shop_id == shop_id, ReferralCode.member_id.in_(members), ~ReferralCode.key.contains("-")
    )
    codes = {
        code.key: f"erased-{crypto.blind_index(f'code:{shop_id}:{code.key}')[:16]}" for code in session.scalars(mine)
    }
    if not codes:
        return
    bound = {"shop_id": shop_id, "before": list(codes), "after": list(codes.values())}
    for table in _NAMING:
        session.execute(sa.text(_UNNAME.format(table=table)), bound)
    for before, after in codes.items():
        session.execute(
            sa.update(ReferralCode)
            .where(ReferralCode.shop_id == shop_id, ReferralCode.key == before)
            .values(key=after, code="", retired_at=sa.func.coalesce(ReferralCode.retired_at, clock.now()))
            .execution_options(synchronize_session=False)
        )


def told(session: Session, shop_id: int, person: Person) -> dict[str, Any]:
    """What is kept of a person beside the rows that bear their member's number, for their export."""
    members = sorted(person.members)
    either = _of(person) | Referral.referrer_member_id.in_(members)
    rows = session.scalars(sa.select(Referral).where(Referral.shop_id == shop_id, either).order_by(Referral.id))
    return {
        "referral_claims": [_claim(claim) for claim in _claims(session, shop_id, person)],
        "referrals": [_referral(row, row.referrer_member_id in person.members) for row in rows],
    }


def _claim(claim: ReferralClaim) -> dict[str, Any]:
    return {
        "id": claim.id,
        "email": crypto.decrypt(claim.email),
        "consent": claim.consent,
        "wants_news": claim.wants_news,
        "discount": claim.discount,
        "state": claim.state,
        "at": claim.at.isoformat(),
    }


def _referral(row: Referral, as_referrer: bool) -> dict[str, Any]:
    """Whoever brought somebody is told that, and not whom."""
    seen = {"id": row.id, "as": "referrer" if as_referrer else "friend", "state": row.state, "at": row.at.isoformat()}
    return seen if as_referrer else seen | {"order_id": row.order_id, "via": row.via, "evidence": row.evidence}
