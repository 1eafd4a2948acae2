"""The thinking behind give and get: who brought a friend, which order counts, and what both sides should have by now.

    waiting ──▶ holding ──▶ rewarded ──▶ reversed       the order is paid, it stood the holding days, it was undone
       │  └──▶ review ──┘                                a person decides; time alone never does
       └──▶ blocked | void                               refused; undone before anything came of it

All of it follows from what is known now, so every arrow also leads back: an undone refund, a decision taken back.

Pure functions over frozen values: no database, no HTTP, no clock. Money is minor units, points are integers.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from msgspec import Struct

from core.i18n import N_
from loyalty.program.referring import Benefit, Referral
from loyalty.rules import PAID, OrderState, Policy, Refunds, eligible_spend
from referrals.fraud.rules import Reason, Verdict

# What an order says most surely of who brought its buyer comes first: a code of the friend's own, what the storefront
# noted, a referrer's code typed at the checkout, the address of a claim, and what was found out once.
VIAS = ("discount", "cart", "code", "email", "known")
# Referrals that take one of a month's places, as long as they may still bring something.
IN_PLACE = ("waiting", "review", "holding", "rewarded")
DISCOUNTS = frozenset({"amount_off", "percentage", "free_shipping"})
GRANTED = DISCOUNTS | {"store_credit"}
# What a friend has is given with the order; discounts came with the claim.
GIVEN_TO_FRIENDS = frozenset({"points", "store_credit"})
# How far a shop's clock may be behind ours.
SKEW = timedelta(minutes=10)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Candidate(Struct, frozen=True):
    """Somebody whom an order names as the referrer. `told_at` is when the friend claimed, where that is known."""

    via: str
    code_key: str
    member_id: int | None
    partner_id: int | None
    claim_id: int | None = None
    told_at: datetime | None = None
    every_order: bool = False

    @property
    def referrer(self) -> tuple[int | None, int | None]:
        """The member and the partner: one of them is None."""
        return self.member_id, self.partner_id


def attribute(candidates: Iterable[Candidate]) -> Candidate | None:
    """Whom an order counts for: the surest word wins, and of words as sure the latest."""
    return max(candidates, key=_sureness, default=None)


def _sureness(candidate: Candidate) -> tuple[int, datetime, str]:
    return -VIAS.index(candidate.via), candidate.told_at or _LONG_AGO, candidate.code_key


def within(told_at: datetime, placed: datetime, days: int) -> bool:
    """Whether a word told at a moment still held when the order was placed."""
    return told_at - SKEW <= placed <= told_at + timedelta(days=days) + SKEW


class Bought(Struct, frozen=True):
    """An order of a friend: when it was placed, whether it stands, and whom it counts for, if anybody."""

    order_id: int
    at: datetime
    stands: bool
    candidate: Candidate | None

    @property
    def turn(self) -> tuple[datetime, int]:
        """Its place among the friend's orders."""
        return self.at, self.order_id


class Chosen(Struct, frozen=True):
    """The order that counts. `first` is false when the friend had one that stands before it."""

    order: Bought
    first: bool


def choose(orders: Collection[Bought]) -> Chosen | None:
    """Which of a friend's orders counts, whatever order they are heard of in.

    The first that names anybody makes that referrer the friend's, for ever. Of the orders that name the same one, the
    first that stands counts.
    """
    named = sorted((one for one in orders if one.candidate), key=lambda one: one.turn)
    if not named:
        return None
    whose = named[0].candidate.referrer  # type: ignore[union-attr]
    theirs = [one for one in named if one.candidate and one.candidate.referrer == whose]
    order = next((one for one in theirs if one.stands), theirs[0])
    return Chosen(order, not any(one.stands and one.turn < order.turn for one in orders))


class Worth(Struct, frozen=True):
    """What is left of an order in minor units: what is paid for its goods, and what the friend's own code took off."""

    left: int
    discount: int

    @property
    def goods(self) -> int:
        """What counts for the minimum: before the friend's own discount."""
        return self.left + self.discount


def worth(order: OrderState, refunds: Refunds, own: Benefit | None) -> Worth:
    """What an order is worth now. `own` is what the friend's own code promised, None where the order has none."""
    left = eligible_spend(order, refunds, Policy(include_tax=order.taxes_included)).net
    lines = [line for line in order.lines if not line.excluded and line.quantity > 0]
    gross, off = sum(line.price * line.quantity for line in lines), sum(line.discount for line in lines)
    taken = min(off, _off(own, gross)) if own else 0
    return Worth(left, taken * left // (gross - off) if gross > off else 0)


def _off(benefit: Benefit, gross: int) -> int:
    if benefit.kind == "amount_off":
        return benefit.amount
    return share(gross, benefit) if benefit.kind == "percentage" else 0


def share(amount: int, benefit: Benefit) -> int:
    """A benefit's percentage of an amount, floored to the minor unit."""
    exact = amount * Fraction(benefit.percentage or 0) / 100
    return exact.numerator // exact.denominator


def paid_at(order: OrderState) -> datetime | None:
    """When an order was paid, None while it never was. An edit that adds to it later does not make it unpaid."""
    return order.paid_at if order.status in PAID or order.first_paid else None


class Known(Struct, frozen=True):
    """What decides over a referral besides the checks. `goods` and `minimum` are minor units.

    `own`: friend and referrer are one. `first`: the friend is new. `rewarded`: the referrer's side came before.
    """

    stands: bool
    paid_at: datetime | None
    goods: int
    minimum: int
    first: bool
    own: bool
    rewarded: bool

    @property
    def fallen(self) -> bool:
        return not self.stands or self.goods < self.minimum

    @property
    def asks(self) -> bool:
        """Whether it depends on the checks at all."""
        return self.first and not self.own and not self.fallen and self.paid_at is not None


class Wanted(Struct, frozen=True):
    """What a referral should be, from when on its referrer's side is due, and why: a key of `WHY`.

    `kept`: what was given stays as it is, though the order does not stand.
    """

    state: str
    due_at: datetime | None
    why: str
    kept: bool = False

    @property
    def friend_gets(self) -> bool:
        return self.state in ("holding", "rewarded")

    @property
    def referrer_gets(self) -> bool:
        return self.state == "rewarded"


WHY = {
    "refused": N_("Refused by hand."),
    "own": N_("Friend and referrer are the same customer."),
    "not_new": N_("The friend had ordered before."),
    "checks": N_("The checks refuse it."),
    "undone": N_("The friend's order was cancelled or refunded."),
    "below_minimum": N_("What is left of the friend's order is less than it must be worth."),
    "kept": N_("The friend's order was undone after the reward came; the program leaves the reward."),
    "unpaid": N_("The friend's order is not paid yet."),
    "review": N_("The checks ask for a person's look."),
    "holding": N_("The friend's order is paid. It counts if it still stands when the holding days are over."),
    "stood": N_("The friend's order is paid and stood the holding days."),
    "counted": N_("The friend was counted already."),
}
LIMIT_REACHED = N_("No reward: as many friends as a month may were ahead of this one.")
BY = {
    "discount": N_("The order was placed with the friend's own code."),
    "cart": N_("The friend came by the referrer's link."),
    "code": N_("The referrer's code was typed at the checkout."),
    "email": N_("The friend had claimed with this address."),
}


def decide(known: Known, verdict: Verdict | None, decision: str | None, terms: Referral, now: datetime) -> Wanted:
    """What a referral should be by all that is known. `decision` is a person's: `approve`, `refuse` or None.

    `verdict` is None where the checks were not asked. Nothing in review moves on by time.
    """
    due_at = known.paid_at and known.paid_at + timedelta(days=terms.holding_days)
    if refused := _refused(known, verdict, decision):
        return Wanted("blocked", due_at, refused)
    if known.fallen:
        return _fallen(known, terms, due_at)
    if due_at is None:
        return Wanted("waiting", None, "unpaid")
    if not known.rewarded and decision != "approve" and verdict and verdict.outcome == "review":
        return Wanted("review", due_at, "review")
    if not known.rewarded and now < due_at:
        return Wanted("holding", due_at, "holding")
    return Wanted("rewarded", due_at, "stood")


def _refused(known: Known, verdict: Verdict | None, decision: str | None) -> str | None:
    if decision is not None:
        return "refused" if decision == "refuse" else None
    if known.own or not known.first:
        return "own" if known.own else "not_new"
    return "checks" if verdict and verdict.outcome == "block" else None


def _fallen(known: Known, terms: Referral, due_at: datetime | None) -> Wanted:
    if known.rewarded and not terms.clawback:
        return Wanted("rewarded", due_at, "kept", kept=True)
    return Wanted("reversed" if known.rewarded else "void", due_at, "below_minimum" if known.stands else "undone")


def plain_reasons(known: Known) -> tuple[Reason, ...]:
    """What needs no checks to be seen, as they would say it."""
    found = (("same_customer", known.own, "own"), ("not_new", not known.first, "not_new"))
    return tuple(Reason(key, 100, WHY[why]) for key, true, why in found if true)


class Give(Struct, frozen=True):
    """What one side should have: for a member or a partner, so many points or so much in minor units."""

    side: str
    benefit: Benefit
    member_id: int | None
    partner_id: int | None
    points: int = 0
    amount: int = 0
    friends: int = 0


def give(side: str, benefit: Benefit, member_id: int | None, partner_id: int | None, spent: int) -> Give | None:
    """What a benefit brings for an order that counts for `spent`, or None where it brings nothing."""
    amount = benefit.amount if benefit.kind in ("amount_off", "store_credit", "commission") else 0
    if benefit.kind == "commission" and benefit.percentage:
        amount = share(spent, benefit)
    # A partner is no customer of the shop: there is no account to put anything but money in.
    nothing = benefit.kind == "none" or (benefit.kind == "commission" and amount <= 0)
    if nothing or (member_id is None and benefit.kind != "commission"):
        return None
    return Give(side, benefit, member_id, partner_id, benefit.points or 0 if benefit.kind == "points" else 0, amount)


def month_of(moment: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The calendar month a moment lies in by the shop's clock: its beginning and the next one's."""
    local = moment.astimezone(zone)
    begins = datetime(local.year, local.month, 1, tzinfo=zone)
    following = datetime(local.year + local.month // 12, local.month % 12 + 1, 1, tzinfo=zone)
    return begins.astimezone(UTC), following.astimezone(UTC)


def milestones_due(reached: int, held: Collection[int], offered: Collection[int]) -> tuple[list[int], list[int]]:
    """Which milestones to give and which to take back, by their numbers of friends.

    `reached` is how many friends count for a member, `held` the milestones they have, `offered` those of the programs
    of the friends at these places. One that is held stays while as many friends still count, whoever they are.
    """
    give_now = sorted(number for number in set(offered) - set(held) if number <= reached)
    return give_now, sorted(number for number in held if number > reached)
