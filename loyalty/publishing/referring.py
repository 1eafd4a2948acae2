"""What a merchant should know about a program's referrals before publishing it. Pure."""

from collections.abc import Iterator
from fractions import Fraction

from core.i18n import N_
from loyalty.program import Benefit, Partnership, Program
from loyalty.program import Referral as Terms
from loyalty.publishing.faults import Fault, Teller
from loyalty.publishing.values import Voice

Path = tuple[str, ...]
# What takes money off the friend's own order.
_OFF = ("amount_off", "percentage")


def referring(program: Program, voice: Voice, told: Teller) -> Iterator[Fault]:
    """Warnings about what both sides get, and when. None of them refuses the program."""
    terms = program.referral
    if not terms.enabled:
        return
    yield from _members(terms, voice, told)
    for held in terms.partnerships:
        yield from _partners(held, voice, told)
    yield from _checks(terms, told)


def _members(terms: Terms, voice: Voice, told: Teller) -> Iterator[Fault]:
    sides = [terms.friend, terms.referrer, *(held.referrer for held in terms.tiers)]
    if all(side.kind == "none" for side in sides):
        yield told(("referral",), N_("%(field)s brings nobody anything: friends have no reason to come."))
    yield from _free(("referral",), terms.friend, terms.friend_minimum, voice, told)
    for place, side in _referrers(terms):
        yield from _too_much(place, terms.friend, side, terms.friend_minimum, voice, told)
    for reached in terms.milestones:
        if reached.benefit.kind == "none":
            yield told(("referral", "milestones", str(reached.friends)), N_("%(field)s brings nothing on top."))


def _referrers(terms: Terms) -> Iterator[tuple[Path, Benefit]]:
    yield ("referral", "referrer"), terms.referrer
    for held in terms.tiers:
        yield ("referral", "tiers", held.tier, "referrer"), held.referrer


def _partners(held: Partnership, voice: Voice, told: Teller) -> Iterator[Fault]:
    place = ("referral", "partnerships", held.key)
    yield from _free(place, held.friend, held.friend_minimum, voice, told)
    yield from _too_much((*place, "referrer"), held.friend, held.referrer, held.friend_minimum, voice, told)
    if held.every_order and held.friend.kind in ("points", "store_credit"):
        message = N_("%(field)s comes with every order, not only with a friend's first.")
        yield told((*place, "friend"), message)


def _checks(terms: Terms, told: Teller) -> Iterator[Fault]:
    if terms.review_score == terms.block_score:
        message = N_("%(field)s is the score that is refused: nothing ever waits for a person.")
        yield told(("referral", "review_score"), message)
    if not terms.clawback and not terms.holding_days:
        message = N_(
            "%(field)s is off and there are no holding days: a refund on the day after payment takes nothing back."
        )
        yield told(("referral", "clawback"), message)


def _free(place: Path, friend: Benefit, minimum: int, voice: Voice, told: Teller) -> Iterator[Fault]:
    """Orders that would cost nothing."""
    least = max(minimum, friend.minimum_order)
    if friend.kind in _OFF and _cost(friend, least) >= least and (friend.amount or friend.percentage == 100):
        message = N_("%(field)s is %(benefit)s: a small order would cost nothing.")
        if least:
            message = N_("%(field)s is %(benefit)s: an order of %(least)s would cost nothing.")
        yield told((*place, "friend"), message, benefit=voice.benefit(friend), least=voice.says("amount", least))


def _too_much(
    place: Path, friend: Benefit, referrer: Benefit, minimum: int, voice: Voice, told: Teller
) -> Iterator[Fault]:
    """Two sides that cost more than the least order brings. What both are worth in points is not known."""
    least = max(minimum, friend.minimum_order)
    cost = _cost(friend, least) + _cost(referrer, least)
    if least and _cost(friend, least) < least < cost:
        message = N_("%(field)s together with what the friend gets may cost %(cost)s for an order of %(least)s.")
        yield told(place, message, cost=voice.says("amount", int(cost)), least=voice.says("amount", least))


def _cost(benefit: Benefit, order: int) -> Fraction:
    """What it costs the shop with an order of so much, in minor units."""
    share = Fraction(benefit.percentage or 0) / 100
    return Fraction(benefit.amount) or share * order
