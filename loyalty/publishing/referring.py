"""What a merchant should know about a program's referrals before publishing it. Pure."""

from collections.abc import Iterator
from fractions import Fraction

from loyalty.program import Benefit, Partnership, Program
from loyalty.program import Referral as Terms
from loyalty.publishing.faults import Fault
from loyalty.publishing.values import Voice

Path = tuple[str, ...]
# What takes money off the friend's own order.
_OFF = ("amount_off", "percentage")


def referring(program: Program, voice: Voice) -> Iterator[Fault]:
    """Warnings about what both sides get, and when. None of them refuses the program."""
    terms = program.referral
    if not terms.enabled:
        return
    yield from _members(terms, voice)
    for held in terms.partnerships:
        yield from _partners(held, voice)
    yield from _checks(terms)


def _members(terms: Terms, voice: Voice) -> Iterator[Fault]:
    sides = [terms.friend, terms.referrer, *(held.referrer for held in terms.tiers)]
    if all(side.kind == "none" for side in sides):
        yield Fault(("referral",), "brings nobody anything: friends have no reason to come")
    yield from _free(("referral",), terms.friend, terms.friend_minimum, voice)
    for place, side in _referrers(terms):
        yield from _too_much(place, terms.friend, side, terms.friend_minimum, voice)
    for reached in terms.milestones:
        if reached.benefit.kind == "none":
            yield Fault(("referral", "milestones", str(reached.friends)), "brings nothing on top")


def _referrers(terms: Terms) -> Iterator[tuple[Path, Benefit]]:
    yield ("referral", "referrer"), terms.referrer
    for held in terms.tiers:
        yield ("referral", "tiers", held.tier, "referrer"), held.referrer


def _partners(held: Partnership, voice: Voice) -> Iterator[Fault]:
    place = ("referral", "partnerships", held.key)
    yield from _free(place, held.friend, held.friend_minimum, voice)
    yield from _too_much((*place, "referrer"), held.friend, held.referrer, held.friend_minimum, voice)
    if held.every_order and held.friend.kind in ("points", "store_credit"):
        yield Fault((*place, "friend"), "comes with every order, not only with a friend's first")


def _checks(terms: Terms) -> Iterator[Fault]:
    if terms.review_score == terms.block_score:
        yield Fault(("referral", "review_score"), "is the score that is refused: nothing ever waits for a person")
    if not terms.clawback and not terms.holding_days:
        reason = "is off and there are no holding days: a refund on the day after payment takes nothing back"
        yield Fault(("referral", "clawback"), reason)


def _free(place: Path, friend: Benefit, minimum: int, voice: Voice) -> Iterator[Fault]:
    """Orders that would cost nothing."""
    least = max(minimum, friend.minimum_order)
    if friend.kind in _OFF and _cost(friend, least) >= least and (friend.amount or friend.percentage == 100):
        order = f"an order of {voice.says('amount', least)}" if least else "a small order"
        yield Fault((*place, "friend"), f"is {voice.benefit(friend)}: {order} would cost nothing")


def _too_much(place: Path, friend: Benefit, referrer: Benefit, minimum: int, voice: Voice) -> Iterator[Fault]:
    """Two sides that cost more than the least order brings. What both are worth in points is not known."""
    least = max(minimum, friend.minimum_order)
    cost = _cost(friend, least) + _cost(referrer, least)
    if least and _cost(friend, least) < least < cost:
        said = f"{voice.says('amount', int(cost))} for an order of {voice.says('amount', least)}"
        yield Fault(place, f"together with what the friend gets may cost {said}")


def _cost(benefit: Benefit, order: int) -> Fraction:
    """What it costs the shop with an order of so much, in minor units."""
    share = Fraction(benefit.percentage or 0) / 100
    return Fraction(benefit.amount) or share * order
