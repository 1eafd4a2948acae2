"""The only writers of claims. Each takes a session and never commits.

Locks come in one order: a network, then an address, then its claims.
"""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, crypto, effects
from core.errors import Conflict, InvalidInput, NotFound, TooMany
from core.events import Happened, record
from core.i18n import _
from loyalty.models import Member, Order
from loyalty.program import Benefit
from referrals import offers
from referrals.claims import limits, rules
from referrals.fraud import mails
from referrals.invitations import DISCOUNTS
from referrals.models import ReferralClaim, ReferralCode
from referrals.offers import Referrer

EFFECT = "referral.claim"
# New claims that are made for one network, and for one member's code, in so long.
PERIOD = timedelta(hours=1)
MOST_OF_NETWORK, MOST_OF_CODE = 20, 60
EXPIRE_BATCH = 500


def claim(
    session: Session,
    shop_id: int,
    code_text: str,
    email: str,
    *,
    consent: str,
    wants_news: bool,
    visitor: str,
    network: str,
    actor: str,
) -> ReferralClaim:
    """Keep that a friend came by somebody's code, and have Shopify make a code for one use where they get a discount.

    `consent` is the words they agreed to; `visitor` and `network` are keyed hashes, empty where unknown. Who claims
    again by the same person gets the same claim; by another, the last one counts and the earlier code ends. Raises
    InvalidInput (`no_consent`, `bad_email`), NotFound (`unknown_code`, `code_retired`), TooMany (`too_many_claims`) and
    Conflict: `referrals_off`, `own_code`, `existing_customer`.
    """
    limits.spend(shop_id, network=network, visitor=visitor)
    if not consent.strip():
        raise InvalidInput(_("Please agree to what happens with your e-mail address first."), code="no_consent")
    address = rules.address(email)
    index = mails.index(address)
    referrer = offers.referrer_of(session, shop_id, code_text)
    _check_friend(session, referrer, address, index)
    _lock(session, f"referral network:{shop_id}:{network}" if network else None)
    _lock(session, f"referral claim:{shop_id}:{index}")
    if (held := _open(session, shop_id, index)) and _holds(session, held, referrer):
        held.wants_news |= wants_news
        return held
    _check_pace(session, referrer, network)
    if held:
        _end(session, [held], "another_referrer")
    row = ReferralClaim(
        shop_id=shop_id, code_key=referrer.code.key, email=crypto.encrypt(address), email_index=index, visitor=visitor,
        network=network, consent=consent.strip(), wants_news=wants_news, **_promised(referrer.offer),
    )  # fmt: skip
    return _add(session, row, referrer, actor)


def _promised(offer: offers.Offer) -> dict[str, object]:
    now = clock.now()
    return {
        "program_version": offer.version,
        "terms": offer.benefit.model_dump(mode="json"),
        "at": now,
        "expires_at": rules.expires_at(now, offer.days, offer.zone),
    }


def _add(session: Session, row: ReferralClaim, referrer: Referrer, actor: str) -> ReferralClaim:
    makes = row.terms["kind"] in DISCOUNTS
    row.discount, row.state = uuid.uuid4().hex, "making" if makes else "made"
    session.add(row)
    session.flush()
    # Of the row's own, so that whoever makes it in Shopify again makes the same.
    row.discount = rules.discount_code(crypto.blind_index(f"referral claim:{row.shop_id}:{row.id}"))
    session.flush()
    _tell(session, row, "referral.claimed", actor, referrer.owner)
    if makes:
        _ask(session, [row])
    return row


def _check_friend(session: Session, referrer: Referrer, address: str, index: str) -> None:
    own = [referrer.member.email] if referrer.member and referrer.member.email else []
    if index in [mails.index(one) for one in own] or (referrer.partner and referrer.partner.email_index == index):
        text = _("This is your own code. Share it with friends, and you both get something.")
        raise Conflict(text, code="own_code")
    if is_customer(session, referrer.code.shop_id, address):
        raise Conflict(_(rules.ALREADY_HERE), code="existing_customer")


def is_customer(session: Session, shop_id: int, address: str) -> bool:
    """Whether somebody with this address is known to have ordered, with an account or as a guest."""
    same = sorted({address, mails.normalise(address)})
    members = sa.select(Member.id).where(
        Member.shop_id == shop_id, Member.email.in_(same), Member.last_order_at.is_not(None)
    )
    guests = sa.select(Order.order_id).where(Order.shop_id == shop_id, Order.guest_email.in_(same))
    return bool(session.scalar(sa.select(sa.or_(members.exists(), guests.exists()))))


def _lock(session: Session, name: str | None) -> None:
    """Two requests at once could both believe that there is no claim yet, or that one more is not too many."""
    if name:
        session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


def _open(session: Session, shop_id: int, index: str) -> ReferralClaim | None:
    row = session.scalar(
        sa.select(ReferralClaim)
        .where(ReferralClaim.shop_id == shop_id, ReferralClaim.email_index == index, ReferralClaim.ended_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is not None and row.expires_at <= clock.now():
        _end(session, [row], "over")
        return None
    return row


def _holds(session: Session, row: ReferralClaim, referrer: Referrer) -> bool:
    """Whether an open claim is by the same person, if by another of their codes."""
    code = session.get(ReferralCode, (row.shop_id, row.code_key))
    return code is not None and (code.member_id, code.partner_id) == referrer.owner


def _check_pace(session: Session, referrer: Referrer, network: str) -> None:
    """What is spread over many networks and codes is left to the checks on referrals."""
    since = clock.now() - PERIOD
    made = sa.select(sa.func.count()).where(ReferralClaim.shop_id == referrer.code.shop_id, ReferralClaim.at > since)
    of_network = made.where(ReferralClaim.network == network)
    of_code = made.where(ReferralClaim.code_key == referrer.code.key)
    if network and (session.scalar(of_network) or 0) >= MOST_OF_NETWORK:
        raise TooMany(_(limits.TEXT), code="too_many_claims", retry_after=limits.PERIOD)
    if referrer.member and (session.scalar(of_code) or 0) >= MOST_OF_CODE:
        text = _("Many friends are using this code right now. Please try again in an hour.")
        raise TooMany(text, code="too_many_claims", retry_after=limits.PERIOD)


def benefit_of(row: ReferralClaim) -> Benefit:
    """What the friend was promised."""
    return Benefit.model_validate_json(msgspec.json.encode(row.terms))


def has_discount(row: ReferralClaim) -> bool:
    """Whether the friend gets a code, and not points or nothing at the checkout."""
    return row.terms["kind"] in DISCOUNTS


def find(session: Session, shop_id: int, claim_id: int) -> ReferralClaim:
    """Raises NotFound (`no_claim`)."""
    row = session.get(ReferralClaim, (shop_id, claim_id))
    if row is None:
        raise NotFound(_("there is no such claim"), code="no_claim")
    return row


# How a claim goes on. Each looks under the row's lock whether it still waits for this.


def _locked(session: Session, shop_id: int, claim_id: int) -> ReferralClaim:
    return session.scalars(
        sa.select(ReferralClaim)
        .where(ReferralClaim.shop_id == shop_id, ReferralClaim.id == claim_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def mark_made(session: Session, shop_id: int, claim_id: int, reference: str) -> bool:
    """Shopify has the code: the friend may use it. False when the claim ended meanwhile."""
    row = _locked(session, shop_id, claim_id)
    if row.state == "used":
        row.discount_id = reference
    if row.state != "making":
        return row.state == "used"
    row.state, row.discount_id, row.error = "made", reference, None
    _tell(session, row, "referral.claim_made", "system")
    return True


def mark_failed(session: Session, shop_id: int, claim_id: int, error: str) -> bool:
    """Shopify will never have the code, or must not. `error` is for the merchant. The address may claim again."""
    row = _locked(session, shop_id, claim_id)
    if row.state != "making":
        return False
    row.state, row.error, row.ended_at = "failed", error, clock.now()
    _tell(session, row, "referral.claim_failed", "system", error=error)
    return True


def mark_used(session: Session, shop_id: int, claim_ids: Iterable[int]) -> None:
    """An order has used the codes of these claims, whatever we believed of them. Doing it again changes nothing."""
    for claim_id in sorted(claim_ids):
        row = _locked(session, shop_id, claim_id)
        if row.state != "used":
            row.state, row.ended_at = "used", row.ended_at or clock.now()
            _tell(session, row, "referral.claim_used", "shopify")


def end(session: Session, shop_id: int, claim_ids: Iterable[int], why: str) -> None:
    """End these claims where they are open: their codes stop working in Shopify."""
    rows = [_locked(session, shop_id, claim_id) for claim_id in sorted(claim_ids)]
    _end(session, [row for row in rows if row.ended_at is None], why)


def _end(session: Session, rows: Sequence[ReferralClaim], why: str) -> None:
    for row in rows:
        row.state, row.ended_at = "ended", clock.now()
        _tell(session, row, "referral.claim_ended", "system", why=why)
    session.flush()
    _ask(session, [row for row in rows if has_discount(row)])


def _ask(session: Session, rows: Iterable[ReferralClaim]) -> None:
    effects.request(session, [effects.Wanted(row.shop_id, EFFECT, str(row.id)) for row in rows])


def _tell(
    session: Session,
    row: ReferralClaim,
    kind: str,
    actor: str,
    owner: tuple[int | None, int | None] | None = None,
    **more: object,
) -> None:
    """In the timeline of the member whose code it was. Events hold nothing that says who the friend is."""
    member_id, partner_id = owner or _owner(session, row)
    told = {"claim_id": row.id, "partner_id": partner_id, **more}
    happened = Happened(row.shop_id, kind, told, clock.now(), member_id, None, row.program_version, actor)
    record(session, [happened])


def _owner(session: Session, row: ReferralClaim) -> tuple[int | None, int | None]:
    code = session.get(ReferralCode, (row.shop_id, row.code_key))
    return (code.member_id, code.partner_id) if code else (None, None)


# What is over. Shopify's own end date has ended the codes.


def expire(session: Session, now: datetime) -> int:
    """End one batch of the opened shops' claims whose days are over. Returns how many."""
    over = session.scalars(
        sa.select(ReferralClaim)
        .where(ReferralClaim.ended_at.is_(None), ReferralClaim.expires_at <= now)
        .order_by(ReferralClaim.expires_at)
        .limit(EXPIRE_BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    for row in over:
        row.state, row.ended_at = "ended", row.expires_at
        _tell(session, row, "referral.claim_ended", "system", why="over")
    return len(over)


def give_up(session: Session) -> int:
    """Fail the claims whose effect gave up, with its error, and have what Shopify may have made after all ended."""
    gone = effects.Effect
    stuck = session.execute(
        sa.select(ReferralClaim.shop_id, ReferralClaim.id, gone.error)
        .join(
            gone,
            sa.and_(
                gone.shop_id == ReferralClaim.shop_id,
                gone.kind == EFFECT,
                gone.target == sa.cast(ReferralClaim.id, sa.Text),
                gone.state == "failed",
            ),
        )
        .where(ReferralClaim.state == "making", ReferralClaim.ended_at.is_(None))
        .order_by(ReferralClaim.shop_id, ReferralClaim.id)
        .limit(EXPIRE_BATCH)
    ).all()
    for shop_id, claim_id, error in stuck:
        mark_failed(session, shop_id, claim_id, error or "Shopify could not be reached for too long")
        effects.request(session, [effects.Wanted(shop_id, EFFECT, str(claim_id))])
    return len(stuck)
