"""Tells referrals of the orders of a batch that concern them: two statements, one where nobody has a code."""

from collections.abc import Collection, Mapping

from sqlalchemy.orm import Session

from core import effects
from loyalty.orders import Key, KnownOrder
from referrals import operations
from referrals.codes import key_of
from referrals.fraud import mails
from referrals.queries import Word, concerned, referring


def tell(session: Session, orders: Collection[KnownOrder], emails: Mapping[Key, str]) -> None:
    """Have the referrals that these orders concern settled after the commit. `emails` are those of their buyers."""
    shops = referring(session, {order.shop_id for order in orders})
    if not shops:
        return
    words = []
    for order in orders:
        if order.shop_id in shops:
            # Guests are known by their address alone. Of others it may name a claim: those come before orders, so it is
            # asked about once.
            claimed = emails.get(order.key) if shops[order.shop_id] and not order.exists else None
            words += _words(order, claimed if order.member else order.guest_email)
    wanted = [effects.Wanted(shop, operations.EFFECT, str(order_id)) for shop, order_id in concerned(session, words)]
    effects.request(session, wanted)


def _words(order: KnownOrder, email: str | None) -> list[Word]:
    """What an order says that may name a referrer, and who placed it."""
    said = [Word(*order.key, order.member, mails.index(email) if email else None)]
    if order.state is not None:
        said += [Word(*order.key, discount=code.strip().upper()) for code in order.state.discount_codes]
        codes = (*order.state.discount_codes, order.state.referral or "")
        said += [Word(*order.key, key=key) for code in codes if (key := key_of(code))]
    return said
