"""Whom a friend was brought by, read from their orders, the codes on them, and the claims they made."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from loyalty import programs
from loyalty.models import Member, Order
from loyalty.orders import KnownOrder, read_orders
from loyalty.program.referring import Benefit, Partnership
from loyalty.program.referring import Referral as Terms
from loyalty.programs import Programs, Version
from loyalty.rewards.rules import undone
from loyalty.rules import eligible_spend
from referrals import rules
from referrals.cases import Case
from referrals.codes import key_of
from referrals.fraud import mails
from referrals.models import Referral, ReferralClaim, ReferralCode, ReferralPartner
from referrals.rules import Bought, Candidate, Chosen, Worth

# Of a friend's orders the first few tell whether they were new; nobody needs the thousandth.
FIRST_ORDERS = 20
# Parts of `Referral.friend` that follow what names the person.
EVERY_ORDER, ASIDE = ":", "#"


class Person(NamedTuple):
    """A friend: what the referral is kept under, their member and address, and Shopify's customer."""

    friend: str
    member_id: int | None
    email: str | None
    customer_id: int | None

    @property
    def email_index(self) -> str | None:
        return mails.index(self.email) if self.email else None


@dataclass(frozen=True)
class View:
    """All there is to know of one referral but what the checks say. `rows` are those kept of this friend so far."""

    person: Person
    friend: str
    order: KnownOrder
    chosen: Chosen
    version: Version
    partnership: Partnership | None
    claim: ReferralClaim | None
    referrer: Member | None
    rows: tuple[Referral, ...]
    # The friend's orders before the one that counts, and whether they stand.
    earlier: tuple[tuple[int, bool], ...] = ()

    @property
    def terms(self) -> Terms:
        return self.version.program.referral

    @property
    def candidate(self) -> Candidate:
        assert self.chosen.order.candidate is not None
        return self.chosen.order.candidate

    @property
    def row(self) -> Referral | None:
        """The row to go on with: the one of the order that counts, else the oldest."""
        at_order = (row for row in self.rows if row.order_id == self.order.order_id)
        return next(at_order, self.rows[0] if self.rows else None)

    @property
    def via(self) -> str:
        """How the order told of the referrer, also when its words were erased since."""
        return self.row.via if self.candidate.via == "known" and self.row else self.candidate.via

    @property
    def members(self) -> set[int]:
        """All whose points or rewards may change."""
        every = {self.person.member_id, self.candidate.member_id, *(row.referrer_member_id for row in self.rows)}
        return {member for member in every | {row.friend_member_id for row in self.rows} if member}

    @property
    def friend_benefit(self) -> Benefit:
        """What the friend was promised by the claim, else by the terms."""
        if self.claim is not None:
            return Benefit.model_validate(self.claim.terms)
        if self.candidate.partner_id is None:
            return self.terms.friend
        return self.partnership.friend if self.partnership else Benefit(kind="none")

    @property
    def minimum(self) -> int:
        return self.partnership.friend_minimum if self.partnership else self.terms.friend_minimum

    @property
    def worth(self) -> Worth:
        assert self.order.state is not None
        own = self.friend_benefit if self.via == "discount" else None
        return rules.worth(self.order.state, self.order.refunds, own)

    @property
    def spent(self) -> int:
        """What the order counts for, in minor units."""
        assert self.order.state is not None
        return eligible_spend(self.order.state, self.order.refunds, self.version.policy).net

    @property
    def key(self) -> tuple[Any, ...]:
        """What must still be so when it is written, and what the checks are asked about."""
        whom = self.friend, self.person.email_index, self.candidate.referrer
        return *whom, self.order.order_id, self.via, self.earlier

    @property
    def case(self) -> Case:
        """What the checks are asked about."""
        candidate, row = self.candidate, self.row
        referrers_customer = self.referrer.customer_id if self.referrer else None
        return Case(
            self.order.shop_id, self.order.order_id, self.chosen.order.at, self.friend, self.person.member_id,
            self.person.customer_id, self.person.email_index, candidate.member_id, referrers_customer,
            candidate.partner_id, candidate.code_key, candidate.claim_id, self.via, not candidate.every_order,
            row.id if row else None,
        )  # fmt: skip


def view(session: Session, shop_id: int, order_id: int) -> View | None:
    """What is known of the referral that an order belongs to; None when it belongs to none."""
    orders = read_orders(session, [(shop_id, order_id)])
    person = _person(session, orders[0]) if orders and orders[0].state else None
    if person is None:
        return None
    known = programs.load(session, [shop_id])
    rows = _rows(session, shop_id, person, order_id)
    theirs = _orders_of(session, orders[0], [row.order_id for row in rows])
    named = _named(session, known, person, theirs.values(), rows)
    of_this = named.get(order_id)
    if of_this is not None and of_this.every_order:
        return _single(session, known, person, theirs[order_id], of_this)
    bought = [_bought(order, named.get(order.order_id)) for order in theirs.values()]
    chosen = rules.choose(bought)
    if chosen is None:
        return None
    found = _view(session, known, person, person.friend, theirs[chosen.order.order_id], chosen, rows)
    before = tuple((one.order_id, one.stands) for one in sorted(bought, key=lambda one: one.turn))
    place = [order for order, _ in before].index(chosen.order.order_id)
    return found and replace(found, earlier=before[:place])


def _single(session: Session, known: Programs, person: Person, order: KnownOrder, named: Candidate) -> View | None:
    """Where every order counts, each is a referral of its own."""
    friend = f"{person.friend}{EVERY_ORDER}{order.order_id}"
    at_order = sa.select(Referral).where(Referral.shop_id == order.shop_id, Referral.order_id == order.order_id)
    chosen = Chosen(Bought(order.order_id, _placed(order), stands(order), named), True)
    return _view(session, known, person, friend, order, chosen, session.scalars(at_order).all())


def _view(
    session: Session, known: Programs, person: Person, friend: str, order: KnownOrder, chosen: Chosen,
    rows: Sequence[Referral],
) -> View | None:  # fmt: skip
    version, candidate = known.in_force(order.shop_id, chosen.order.at), chosen.order.candidate
    assert candidate is not None
    # Where members could not bring friends when the order was placed, it brought nobody.
    if not version.program.referral.enabled and not rows:
        return None
    claim = session.get(ReferralClaim, (order.shop_id, candidate.claim_id)) if candidate.claim_id else None
    referrer = session.get(Member, (order.shop_id, candidate.member_id)) if candidate.member_id else None
    partnership = _partnership(session, version, order.shop_id, candidate)
    return View(person, friend, order, chosen, version, partnership, claim, referrer, tuple(rows))


def _partnership(session: Session, version: Version, shop_id: int, candidate: Candidate) -> Partnership | None:
    partner = session.get(ReferralPartner, (shop_id, candidate.partner_id)) if candidate.partner_id else None
    return version.program.referral.partnership(partner.partnership) if partner else None


def stands(order: KnownOrder) -> bool:
    """Whether anything is left of an order that shoppers placed."""
    assert order.state is not None
    return not order.state.test and not undone(order.state, order.deleted_at)


def _placed(order: KnownOrder) -> datetime:
    assert order.state is not None
    return order.state.processed_at


def _bought(order: KnownOrder, named: Candidate | None) -> Bought:
    counts = None if named is None or named.every_order else named
    return Bought(order.order_id, _placed(order), stands(order), counts)


# The friend and what is kept of them.


def _person(session: Session, order: KnownOrder) -> Person | None:
    """Whose order it is; nobody's brings nobody."""
    if order.member:
        member = session.get_one(Member, (order.shop_id, order.member))
        return Person(f"m{member.id}", member.id, member.email, member.customer_id)
    if order.guest_email:
        return Person(mails.index(order.guest_email), None, order.guest_email, None)
    return None


def _rows(session: Session, shop_id: int, person: Person, order_id: int) -> list[Referral]:
    """What is kept of this friend and this order, oldest first; not of other orders that count each by itself."""
    of_person = Referral.friend == person.friend
    if person.member_id:
        of_person |= Referral.friend_member_id == person.member_id
    theirs = sa.and_(of_person, ~Referral.friend.contains(EVERY_ORDER)) | (Referral.order_id == order_id)
    kept = sa.select(Referral).where(Referral.shop_id == shop_id, theirs)
    return list(session.scalars(kept.order_by(Referral.id).execution_options(populate_existing=True)))


def _orders_of(session: Session, order: KnownOrder, also: Iterable[int]) -> dict[int, KnownOrder]:
    """The first orders of whoever placed this one, with this one and those that referrals were kept of."""
    whose = Order.member_id == order.member if order.member else Order.guest_email == order.guest_email
    first = session.scalars(
        sa.select(Order.order_id)
        .where(Order.shop_id == order.shop_id, whose, Order.state.is_not(None))
        .order_by(Order.processed_at, Order.order_id)
        .limit(FIRST_ORDERS)
    )
    keys = {(order.shop_id, one) for one in (*first, *also, order.order_id)}
    found = read_orders(session, sorted(keys))
    # An order that was moved to another customer is theirs now.
    same = (one for one in found if (one.member, one.guest_email) == (order.member, order.guest_email))
    return {one.order_id: one for one in same if one.state}


# Who is named.


@dataclass(frozen=True)
class Owners:
    """Codes by their keys, and under which partnership each of the partners behind them brings friends."""

    codes: Mapping[str, ReferralCode]
    partnerships: Mapping[int | None, str]

    def candidate(self, via: str, key: str, terms: Terms, claim: ReferralClaim | None = None) -> Candidate:
        code = self.codes[key]
        held = terms.partnership(self.partnerships.get(code.partner_id, ""))
        return Candidate(
            via, key, code.member_id, code.partner_id, claim.id if claim else None, claim.at if claim else None,
            every_order=held is not None and held.every_order,
        )  # fmt: skip


def _owners(session: Session, shop_id: int, keys: Collection[str]) -> Owners:
    named = sa.select(ReferralCode).where(ReferralCode.shop_id == shop_id, ReferralCode.key.in_(keys))
    codes = {code.key: code for code in session.scalars(named)}
    partners = {code.partner_id for code in codes.values() if code.partner_id}
    theirs = sa.select(ReferralPartner.id, ReferralPartner.partnership).where(
        ReferralPartner.shop_id == shop_id, ReferralPartner.id.in_(partners)
    )
    return Owners(codes, {row.id: row.partnership for row in session.execute(theirs)} if partners else {})


def _named(
    session: Session, known: Programs, person: Person, orders: Collection[KnownOrder], rows: Iterable[Referral]
) -> dict[int, Candidate]:
    """The referrer that each of these orders counts for."""
    found = {order.order_id: _remembered(order.order_id, rows) for order in orders}
    shop_id = next((order.shop_id for order in orders), 0)
    claims = _claims(session, shop_id, person, orders)
    keys = {key for order in orders for key in keys_on(order)} | {claim.code_key for claim in claims}
    owners = _owners(session, shop_id, keys)
    for order in orders:
        terms = known.in_force(shop_id, _placed(order)).program.referral
        found[order.order_id] += _by_claims(order, claims, owners, terms)
        found[order.order_id] += _by_codes(order, owners, terms)
    best = {order_id: rules.attribute(candidates) for order_id, candidates in found.items()}
    return {order_id: candidate for order_id, candidate in best.items() if candidate}


def _remembered(order_id: int, rows: Iterable[Referral]) -> list[Candidate]:
    """What was found out once stays, also when the person was erased with the words that told it."""
    return [
        Candidate(
            "known",
            row.code_key,
            row.referrer_member_id,
            row.partner_id,
            row.claim_id,
            every_order=EVERY_ORDER in row.friend,
        )
        for row in rows
        if row.order_id == order_id
    ]


def discounts_on(order: KnownOrder) -> set[str]:
    """The discount codes of an order, as Shopify compares them: without regard to case."""
    assert order.state is not None
    return {text.strip().upper() for text in order.state.discount_codes}


def keys_on(order: KnownOrder) -> set[str]:
    """The words of an order, as our codes are compared."""
    assert order.state is not None
    told = (*order.state.discount_codes, order.state.referral or "")
    return {key for text in told if (key := key_of(text))}


def _claims(session: Session, shop_id: int, person: Person, orders: Iterable[KnownOrder]) -> Sequence[ReferralClaim]:
    """The claims whose code is on one of these orders, and those made with the person's address."""
    told = {text for order in orders for text in discounts_on(order)}
    by_either = ReferralClaim.discount.in_(told) | (ReferralClaim.email_index == (person.email_index or ""))
    theirs = sa.select(ReferralClaim).where(ReferralClaim.shop_id == shop_id, by_either)
    return session.scalars(theirs.order_by(ReferralClaim.id)).all()


def _by_claims(order: KnownOrder, claims: Iterable[ReferralClaim], owners: Owners, terms: Terms) -> list[Candidate]:
    told, placed = discounts_on(order), _placed(order)
    return [
        owners.candidate("discount" if claim.discount.upper() in told else "email", claim.code_key, terms, claim)
        for claim in claims
        if claim.code_key in owners.codes and rules.within(claim.at, placed, terms.window_days)
    ]


def _by_codes(order: KnownOrder, owners: Owners, terms: Terms) -> list[Candidate]:
    """By a partner's code, which is a discount of the shop's, or a member's: in the cart, or typed at the checkout."""
    assert order.state is not None
    noted, found = key_of(order.state.referral or ""), []
    for key in sorted(keys_on(order) & owners.codes.keys()):
        code = owners.codes[key]
        if _in_use(code, _placed(order), terms.window_days):
            via = "cart" if key == noted else "discount" if code.discount_id else "code"
            found.append(owners.candidate(via, key, terms))
    return found


def _in_use(code: ReferralCode, placed: datetime, days: int) -> bool:
    """A code that was retired leads to whose it was for as long as a click on it counts."""
    if placed < code.created_at - rules.SKEW:
        return False
    return code.retired_at is None or placed <= code.retired_at or rules.within(code.retired_at, placed, days)
