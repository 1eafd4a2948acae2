"""Points for a purchase in a store whose till does not tell Shopify, given at the counter by the order rule.

Such a purchase is no order: it does not count for a tier by spend. Its receipt counts once.
"""

import itertools
import re
from datetime import datetime
from fractions import Fraction
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.errors import Conflict, InvalidInput
from core.i18n import _, number
from core.money import minor_digits
from loyalty import programs
from loyalty.activities.points import Earned, note_points
from loyalty.earning.rules import Terms, decimal_text
from loyalty.models import Posting, SpendFact
from loyalty.operations import acting_member, post
from loyalty.programs import Version
from loyalty.rules import Move

# In currency units: a slip of the finger is likelier than such a purchase.
MOST = 20_000
LONGEST_RECEIPT = 40


class Purchase(NamedTuple):
    """`amount` is in minor units of `currency`. `receipt` is what the till calls it."""

    amount: int
    currency: str
    receipt: str


def worth(purchase: Purchase, terms: Terms) -> int:
    """Points, rounded down once. Pure."""
    exact = Fraction(purchase.amount, 10 ** minor_digits(purchase.currency)) * terms.rate * terms.multiplier
    return exact.numerator // exact.denominator


def give(session: Session, shop_id: int, member_id: int, purchase: Purchase, *, actor: str) -> Posting:
    """Give the points of a purchase. The same receipt of the same day counts once, and answers with its posting.

    Raises InvalidInput (`bad_amount`, `bad_receipt`, `below_one_point`), NotFound, Conflict (`member_merged`,
    `receipt_used` by another member or amount, `not_your_tier`, `not_open`, `over`).
    """
    _check(purchase)
    member = acting_member(session, shop_id, member_id)
    now, published = clock.now(), programs.load(session, [shop_id])
    version = published.in_force(shop_id, now)
    day = now.astimezone(version.program.zone)
    key, made = _standing(session, shop_id, f"purchase:{day:%Y-%m-%d}:{_normal(purchase.receipt)}")
    terms = terms_for(version, member.tier_key)
    explanation = _explained(purchase, terms)
    if made:
        if (made.member_id, made.explanation["amount"]) != (member.id, purchase.amount):
            raise Conflict(_("This receipt has brought points already today."), code="receipt_used")
        return made
    _refuse(terms, now)
    if explanation["points"] < 1:
        raise InvalidInput(_("This comes to less than one point."), code="below_one_point")
    move = Move("bonus", "issued", "available", explanation["points"])
    posting = post(
        session, member, move, rule=terms.rule, explanation=explanation, actor=actor, key=key,
        program_version=version.number,
    )  # fmt: skip
    note_points(session, published, [Earned(shop_id, member.id, key, now, move.points)])
    return posting


def take_back(session: Session, shop_id: int, posting_id: int, *, actor: str) -> Posting:
    """Undo a purchase that was a mistake; once. Raises NotFound, Conflict (`no_purchase`)."""
    made = session.get(Posting, (shop_id, posting_id))
    if made is None or made.explanation.get("reason") != "store_purchase":
        raise Conflict(_("There is no such purchase to undo."), code="no_purchase")
    member = acting_member(session, shop_id, made.member_id)
    key = f"{made.key}:undone"
    if undone := _posted(session, shop_id, key):
        return undone
    explanation = made.explanation | {"reason": "store_purchase_undone"}
    facts = SpendFact.shop_id == shop_id, SpendFact.order_id == 0, SpendFact.cause == made.key
    session.execute(sa.delete(SpendFact).where(*facts))
    return post(
        session, member, Move("reversal", "available", "issued", made.points), rule=made.rule, explanation=explanation,
        actor=actor, key=key, program_version=made.program_version,
    )  # fmt: skip


def _standing(session: Session, shop_id: int, key: str) -> tuple[str, Posting | None]:
    """The posting of a receipt that was not undone; else the key under which it may count (again)."""
    for times in itertools.count():
        tried = f"{key}:{times}" if times else key
        made = _posted(session, shop_id, tried)
        if made is None or not _posted(session, shop_id, f"{tried}:undone"):
            return tried, made
    raise AssertionError


def _posted(session: Session, shop_id: int, key: str) -> Posting | None:
    return session.scalar(sa.select(Posting).where(Posting.shop_id == shop_id, Posting.key == key))


def terms_for(version: Version, tier_key: str) -> Terms:
    """What a purchase of a member of this tier is worth."""
    multipliers = {tier.key: Fraction(str(tier.multiplier)) for tier in version.program.ladder.tiers}
    return version.terms(tier_key, multipliers.get(tier_key, Fraction(1)))


def _check(purchase: Purchase) -> None:
    if not 0 < purchase.amount <= MOST * 10 ** minor_digits(purchase.currency):
        raise InvalidInput(_("Please give an amount of at most %(most)s.", most=number(MOST)), code="bad_amount")
    if not _normal(purchase.receipt) or len(purchase.receipt) > LONGEST_RECEIPT:
        raise InvalidInput(
            _("Please give the receipt's number, at most %(most)s characters.", most=LONGEST_RECEIPT),
            code="bad_receipt",
        )


def _refuse(terms: Terms, now: datetime) -> None:
    if terms.tiers and terms.tier_key not in terms.tiers:
        raise Conflict(_("Points for purchases are for other tiers."), code="not_your_tier")
    if terms.starts_at and now < terms.starts_at:
        raise Conflict(_("Points for purchases have not begun yet."), code="not_open")
    if terms.ends_at and now >= terms.ends_at:
        raise Conflict(_("Points for purchases have ended."), code="over")


def _explained(purchase: Purchase, terms: Terms) -> dict[str, Any]:
    return {
        "reason": "store_purchase",
        "rule": terms.rule,
        "amount": purchase.amount,
        "eligible": purchase.amount,
        "currency": purchase.currency,
        "rate": decimal_text(terms.rate),
        "multiplier": decimal_text(terms.multiplier),
        "tier": terms.tier_key,
        "receipt": purchase.receipt.replace("\x00", "").strip(),
        "points": worth(purchase, terms),
    }


def _normal(receipt: str) -> str:
    """As the till prints it or as somebody types it."""
    return re.sub(r"[\W_]+", "", receipt).casefold()
