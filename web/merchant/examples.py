"""A program in plain sentences, and what it would do to orders: worked out by the rules themselves, not by a guess."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from core.i18n import _, isolated, listed, money, ngettext, number, points
from core.money import minor_digits
from loyalty.earning.rules import target
from loyalty.program import Program, Tier
from loyalty.programs import Version
from loyalty.publishing.advice import share_given_back
from loyalty.publishing.changes import lasting
from loyalty.publishing.values import Voice
from loyalty.rules import Line, OrderState, eligible_spend

SAMPLE = 80  # currency units, of the order in the examples


def summary(program: Program, currency: str) -> list[str]:
    """What the program says, a sentence a part."""
    one = money(10 ** minor_digits(currency), currency)
    rates = [
        _("%(tier)s %(rate)s", tier=tier.name, rate=_plain(program.rate * Fraction(tier.multiplier)))
        for tier in program.ladder.tiers
    ]
    told = [_("Points for every %(one)s spent: %(rates)s.", one=one, rates=", ".join(rates))]
    if program.joining.points:
        told.append(_("Joining brings %(points)s.", points=points(program.joining.points)))
    told += _beside(program)
    voice = Voice(program, currency)
    climbs = [f"{tier.name} {voice.measured(tier.threshold)}" for tier in program.ladder.tiers[1:]]
    if climbs:
        told.append(_("Tiers begin at: %(tiers)s.", tiers=", ".join(climbs)))
    if program.rewards:
        cheapest = min(program.rewards, key=lambda reward: reward.cost)
        told.append(ngettext("%(num)s reward, from %(points)s.", "%(num)s rewards, from %(points)s.",
                             len(program.rewards), points=points(cheapest.cost)))  # fmt: skip
    referral = program.referral
    if referral.enabled:
        gets = {"friend": voice.benefit(referral.friend), "referrer": voice.benefit(referral.referrer)}
        told.append(_("A friend gets %(friend)s, the member %(referrer)s.", **gets))
    never = program.expiry is None
    told.append(_("Points never expire.") if never else _("Points expire %(when)s.", when=_lasting(program)))
    return told


def _beside(program: Program) -> list[str]:
    """What else brings points, by its name: bonuses, and what members do beside buying."""
    told = []
    if program.bonuses:
        names = listed([isolated(bonus.name) for bonus in program.bonuses])
        told.append(_("More points for orders: %(names)s.", names=names))
    if program.activities:
        each = [
            _("%(name)s %(points)s", name=isolated(one.name), points=number(one.points)) for one in program.activities
        ]
        told.append(_("Points beside buying: %(activities)s.", activities=listed(each)))
    return told


def _lasting(program: Program) -> str:
    return lasting(program.expiry) if program.expiry else ""


def _plain(value: Fraction) -> str:
    return number(Decimal(value.numerator) / Decimal(value.denominator))


def examples(program: Program, currency: str, now: datetime) -> list[str]:
    """What an order would earn in each tier, and what the first rewards take."""
    amount = SAMPLE * 10 ** minor_digits(currency)
    spent = money(amount, currency)
    told = [
        _("%(amount)s spent by a member in %(tier)s earns %(points)s.", amount=spent, tier=tier.name,
          points=points(earned(program, tier, amount, currency, now)))
        for tier in program.ladder.tiers
    ]  # fmt: skip
    if program.rate:
        told += [_reward(program, reward.key, currency) for reward in program.rewards[:2]]
    return told


def earned(program: Program, tier: Tier, amount: int, currency: str, now: datetime) -> int:
    """The points of a paid order of one line, placed now; as the settlement would count them."""
    version = Version(0, datetime.min.replace(tzinfo=UTC), program)
    digits = minor_digits(currency)
    line = Line(id=1, title="", quantity=1, current=1, price=amount, discount=0, tax=0)
    order = OrderState(
        order_id=1, name="", processed_at=now, updated_at=now, status="paid", cancelled_at=None, test=False,
        currency=currency, digits=digits, taxes_included=False, shipping=0, shipping_tax=0, lines=(line,),
        fulfilled_at=now,
    )  # fmt: skip
    terms = version.terms(tier.key, Fraction(tier.multiplier))
    found = target(order, eligible_spend(order, {}, version.policy), terms, now=now)
    return found.pending + found.available


def _reward(program: Program, key: str, currency: str) -> str:
    reward = program.reward(key)
    assert reward is not None
    spend = Fraction(reward.cost) / program.rate * 10 ** minor_digits(currency)
    told = {"reward": reward.name, "spend": money(round(spend), currency)}
    share = share_given_back(reward, program, currency)
    if share is None:
        return _("%(reward)s takes about %(spend)s of orders.", **told)
    percent = f"{float(share * 100):.1f}%"
    return _("%(reward)s takes about %(spend)s of orders: %(percent)s given back.", **told, percent=percent)
