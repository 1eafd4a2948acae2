"""Finding members by whatever is at hand: part of a name or e-mail, a customer's id, an order's number.

Each look-up is a range of one index, so it takes as long among a million members as among a hundred.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from loyalty.models import Member, MemberTerm, Order

MAX_ID = 2**63 - 1
# Beyond so many hits people type on rather than read on.
MOST = 500
MOST_WORDS = 6
_LAST = "\U0010ffff"


def find(session: Session, shop_id: int, said: str) -> list[int]:
    """Ids of the members that fit what was said, the most certain first; merged ones as whom they became."""
    said = said.strip()[:200].replace("\x00", "")
    found = [*_by_number(session, shop_id, said), *_by_words(session, shop_id, said)]
    return list(dict.fromkeys(found))


def _by_number(session: Session, shop_id: int, said: str) -> Sequence[int]:
    """A customer's or an order's id, or an order's number with or without its mark."""
    plain = said.removeprefix("#")
    named = Order.name.in_((said, f"#{plain}"))
    number = int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 20 else 0
    buyers = sa.select(Order.member_id).where(Order.shop_id == shop_id, Order.member_id.is_not(None), named).limit(MOST)
    found = [*filter(None, session.scalars(buyers))]
    if 0 < number <= MAX_ID:
        by_id = sa.select(Order.member_id).where(Order.shop_id == shop_id, Order.order_id == number)
        customers = sa.select(Member.id).where(Member.shop_id == shop_id, Member.customer_id == number)
        found = [*session.scalars(customers), *filter(None, session.scalars(by_id)), *found]
    return found


def _by_words(session: Session, shop_id: int, said: str) -> Sequence[int]:
    """Members of whom every word begins one of theirs; an e-mail counts as one word once it has its sign."""
    words = [said.lower()] if "@" in said else session.scalar(sa.select(sa.func.search_words(said))) or []
    # A letter alone narrows nothing down beside longer words, and there are many.
    words = sorted(words, key=len, reverse=True)[:MOST_WORDS]
    words = [word for word in words if len(word) > 1] or words[:1]
    if not words:
        return []
    first, *others = (_beginning_with(shop_id, word) for word in words)
    if not others:
        one = first.add_columns(MemberTerm.term).order_by(MemberTerm.term, MemberTerm.member_id).limit(MOST)
        return [row.member_id for row in session.execute(one)]
    return session.scalars(sa.intersect(first, *others).limit(MOST)).all()


def _beginning_with(shop_id: int, word: str) -> sa.Select[int]:
    return sa.select(MemberTerm.member_id).where(
        MemberTerm.shop_id == shop_id, MemberTerm.term >= word, MemberTerm.term < word + _LAST
    )
