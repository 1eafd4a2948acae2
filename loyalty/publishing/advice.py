"""What a merchant should know before publishing a valid program: things that are allowed but seldom meant. Pure."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import combinations, pairwise
from statistics import median

from core.i18n import N_, percent
from core.money import minor_digits
from loyalty.program import Bonus, Expiry, Program, Reward, instant
from loyalty.publishing.changes import lasting
from loyalty.publishing.faults import Fault, Teller
from loyalty.publishing.referring import referring
from loyalty.publishing.values import Voice, days_text, orders_text

# A fifth of what was spent comes back: more than any margin we know of bears.
GENEROUS = Fraction(20, 100)
# How far a reward may stand out from its neighbours.
OUTLIER = 2
_WORTH_MONEY = frozenset({"amount_off", "store_credit", "gift_card", "variable", "free_product"})
_FILTERS = ("products", "variants", "collections", "vendors", "tags")


def advice(program: Program, before: Program | None, starts: datetime, currency: str) -> tuple[Fault, ...]:
    """Warnings about a program that would come into force at `starts` after `before`. None of them refuses it."""
    voice = Voice(program, currency)
    told = Teller(program.model_dump(include={"bonuses", "activities", "ladder", "rewards", "referral"}))
    found = [*_earning(program, told), *_overlaps(program, told), *_over(program, voice, starts, told)]
    found += [*_generosity(program, currency, told), *_unreachable(program, told), *referring(program, voice, told)]
    return (*found, *stricter(before, program, starts, voice, told)) if before else tuple(found)


def _earning(program: Program, told: Teller) -> Iterator[Fault]:
    if program.rate == 0:
        yield told(("orders", "points_per_unit"), N_("%(field)s is 0: orders earn nothing."))
    for below, above in pairwise(program.ladder.tiers):
        if above.multiplier < below.multiplier:
            message = N_("%(field)s is less than that of %(tier)s: members earn less when they climb.")
            yield told(("ladder", "tiers", above.key, "multiplier"), message, tier=below.name)
    for tier in program.ladder.tiers:
        if tier.multiplier == 0:
            place = ("ladder", "tiers", tier.key, "multiplier")
            yield told(place, N_("%(field)s is 0: orders of %(tier)s members earn nothing."), tier=tier.name)


def _overlaps(program: Program, told: Teller) -> Iterator[Fault]:
    """Campaigns of which only the better one counts."""
    if program.stacking == "stack":
        return
    for one, other in combinations(program.bonuses, 2):
        if (one.starts_at or other.starts_at) and _meet(one, other, program):
            message = N_("%(field)s overlaps with %(other)s: where both match, only the one that brings more counts.")
            yield told(("bonuses", one.key), message, other=other.name)


def _meet(one: Bonus, other: Bonus, program: Program) -> bool:
    """Whether one order could match both."""
    starts = [instant(bonus.starts_at, program.zone) for bonus in (one, other)]
    ends = [instant(bonus.ends_at, program.zone) for bonus in (one, other)]
    latest = max((start for start in starts if start), default=None)
    earliest = min((end for end in ends if end), default=None)
    return (
        (latest is None or earliest is None or latest < earliest)
        and ("any" in (one.channel, other.channel) or one.channel == other.channel)
        and (None in (one.order_number, other.order_number) or one.order_number == other.order_number)
        and _share(one.tiers, other.tiers)
        and _match_one_line(one, other)
    )


def _match_one_line(one: Bonus, other: Bonus) -> bool:
    """Different kinds of filters may always meet in one product; filters of one kind only where they share a value."""
    kinds = [{name for name in _FILTERS if getattr(bonus, name)} for bonus in (one, other)]
    if len(kinds[0]) != 1 or kinds[0] != kinds[1]:
        return True
    (name,) = kinds[0]
    return name in ("tags", "collections") or _share(getattr(one, name), getattr(other, name))


def _share(one: Collection[object], other: Collection[object]) -> bool:
    return not one or not other or not set(one).isdisjoint(other)


def _over(program: Program, voice: Voice, starts: datetime, told: Teller) -> Iterator[Fault]:
    """What has ended before it could begin."""
    for name in ("bonuses", "activities", "rewards"):
        for part in getattr(program, name):
            ends_at = instant(part.ends_at, program.zone)
            if ends_at and ends_at <= starts:
                message = N_("%(field)s was over on %(day)s, before this version begins.")
                yield told((name, part.key), message, day=voice.moment(part.ends_at))


def _generosity(program: Program, currency: str, told: Teller) -> Iterator[Fault]:
    """Rewards that give back more of what was spent than shops can afford, or than their neighbours do."""
    shares = {r.key: share for r in program.rewards if (share := share_given_back(r, program, currency))}
    for key, share in shares.items():
        others = [other for name, other in shares.items() if name != key]
        place = ("rewards", key)
        if share > GENEROUS:
            yield told(place, N_("%(field)s gives back %(share)s of what was spent to earn it."), share=_percent(share))
        elif others and share > OUTLIER * median(others):
            typical = _percent(Fraction(median(others)))
            message = N_("%(field)s gives back %(share)s of what was spent to earn it; the others about %(typical)s.")
            yield told(place, message, share=_percent(share), typical=typical)


def share_given_back(reward: Reward, program: Program, currency: str) -> Fraction | None:
    """What part of the spend behind a reward's points it gives back, without multipliers; None if that is unknown."""
    if reward.kind not in _WORTH_MONEY:
        return None
    points = reward.step if reward.kind == "variable" else reward.cost
    worth = Fraction(reward.amount, 10 ** minor_digits(currency))
    return worth * program.rate / (points or reward.cost)


def _percent(share: Fraction) -> str:
    return percent(Decimal(f"{float(share * 100):.1f}".removesuffix(".0")))


def _unreachable(program: Program, told: Teller) -> Iterator[Fault]:
    """What nobody can get: a reward without stock, a tier that needs more than one order every hour."""
    for reward in program.rewards:
        if reward.stock == 0:
            yield told(("rewards", reward.key, "stock"), N_("%(field)s is 0: nobody can have it."))
    if program.ladder.metric != "orders" or program.ladder.period == "lifetime":
        return
    days = program.ladder.window_days if program.ladder.period == "rolling" else 366
    for tier in program.ladder.tiers:
        if tier.threshold > days * 24:
            place = ("ladder", "tiers", tier.key, "threshold")
            message = N_("%(field)s needs %(orders)s in %(days)s: nobody gets there.")
            yield told(place, message, orders=orders_text(tier.threshold), days=days_text(days))


def stricter(before: Program, after: Program, starts: datetime, voice: Voice, told: Teller) -> Iterator[Fault]:
    """An expiry that takes points sooner than before, with the day from which it may."""
    if after.expiry is None or after.expiry == before.expiry or not _sooner(before.expiry, after.expiry):
        return
    first = voice.moment(starts + timedelta(days=after.expiry.notice_days))
    message = N_("%(field)s takes points sooner than before (%(when)s), from %(day)s on.")
    yield told(("expiry",), message, when=lasting(after.expiry), day=first)


def _sooner(before: Expiry | None, after: Expiry) -> bool:
    """Activity saves no lot, so going by lots is sooner, too, unless it gives much longer: we don't weigh that up."""
    if before is None or (before.kind, after.kind) == ("inactivity", "lot"):
        return True
    return _days(after) < _days(before)


def _days(expiry: Expiry) -> Fraction:
    return Fraction(expiry.days) if expiry.days else Fraction(expiry.months or 0) * Fraction(365, 12)
