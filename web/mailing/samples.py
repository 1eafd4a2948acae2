"""A mail of each kind as a shop's members might get it, for its merchant to look at. Pure."""

from datetime import datetime, timedelta

from core.i18n import _, day
from loyalty.expiry.rules import Due
from loyalty.program import Expiry, Program
from referrals.giving import as_reward
from shops import mailings
from shops.models import Shop
from web.mailing import letters
from web.mailing.letters import Letter
from web.portal import words

CODE = "RWD-4K7M-2QXA"


def sample(kind: str, shop: Shop, program: Program, now: datetime) -> Letter:
    """In the language spoken now, of the shop's own tiers and rewards."""
    if kind == mailings.EXPIRING:
        return _expiring(program, now)
    if kind == mailings.REACHED:
        return _reached(shop, program)
    if kind == mailings.ENDING:
        return _ending(shop, program, now)
    if kind == mailings.REWARD:
        return letters.reward(*_reward(program), _how(), CODE, discount=True)
    return _friend(shop, program)


def _how() -> str:
    return _("It's ready: enter %(code)s at checkout.", code=CODE)


def _reward(program: Program) -> tuple[str, int]:
    offered = sorted(program.rewards, key=lambda one: one.cost)
    return (offered[0].name, offered[0].cost) if offered else (_("a reward"), 500)


def _expiring(program: Program, now: datetime) -> Letter:
    name, cost = _reward(program)
    earned = now - timedelta(days=300)
    due = Due(now + timedelta(days=14), 180, earned, earned)
    return letters.expiring([due], program.expiry or Expiry(days=365), cost + 40, [name], program.zone)


def _reached(shop: Shop, program: Program) -> Letter:
    tiers = program.ladder.tiers
    tier = tiers[min(1, len(tiers) - 1)]
    amount = words.metric_text(tier.threshold, program.ladder.metric, shop)
    said = {"tier": tier.name, "counted": amount, "threshold": amount}
    why = _("You reached %(tier)s with %(counted)s. It takes %(threshold)s.", **said)
    return letters.reached(tier.name, why, words.perks(tier, program, shop), [])


def _ending(shop: Shop, program: Program, now: datetime) -> Letter:
    tier, until = program.ladder.tiers[-1], now + timedelta(days=21)
    more = words.metric_text(tier.threshold // 4, program.ladder.metric, shop)
    said = {"amount": more, "day": day(until, program.zone), "tier": tier.name}
    ahead = _("%(amount)s more by %(day)s keeps you %(tier)s.", **said)
    return letters.ending(tier.name, until, ahead, program.zone)


def _friend(shop: Shop, program: Program) -> Letter:
    benefit = program.referral.referrer
    if benefit.kind == "points":
        return letters.friend("", benefit.points or 100, "", "", discount=False)
    return letters.friend(as_reward(benefit, shop.currency).name, 0, _how(), CODE, discount=True)
