"""What the rewards pages show of a member: balance and what it is worth, tier, rewards, what is on its way, history."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

import sqlalchemy as sa

from core import clock, i18n
from core.i18n import _
from core.money import minor_digits
from loyalty import queries as ledger
from loyalty.expiry.queries import expiring
from loyalty.expiry.rules import Due
from loyalty.models import Order, Posting
from loyalty.operations import signed_points
from loyalty.program import Program
from loyalty.program.spending import DISCOUNTS
from loyalty.queries import tier_names
from loyalty.rewards.models import MemberReward
from loyalty.rewards.queries import Offer, offers, offers_for, rewards_of
from loyalty.wording import sentence
from loyalty.wording.expiry import due_text
from loyalty.wording.rewards import status_text
from referrals import links as bringing
from referrals import members as referrers
from referrals import offers as referring
from referrals import sharing
from tiers.queries import standings
from wallet_passes.adding import links as adding
from web import storefronts
from web.portal import rules, words
from web.portal.earning import Earning, earning
from web.portal.visits import Visit

FIRST_LINES = 6
LINES = 15
MOST_WAITING = 10
MOST_REWARDS = 40
# Rewards that are still there to be used, and those that have ended, which fold away.
_OPEN = frozenset({"issuing", "issued", "returning"})
# Points that expire later than this are no news.
SOON = timedelta(days=90)
# An order to show what one earns, in whole units of currencies with and without decimals.
_EXAMPLE = {0: 5000, 2: 50_00, 3: 50_000}


class Rung(NamedTuple):
    """A tier of the ladder as it is shown; `number` counts from 1."""

    name: str
    number: int
    takes: str
    perks: list[str]
    held: bool = False


class Tier(NamedTuple):
    """Where a member stands. `share` of the way to `above` is done, which is None at the top."""

    here: Rung
    above: Rung | None
    rungs: int
    share: float
    said: list[str]


class OfferCard(NamedTuple):
    """A reward to have. `key` makes one form one reward; `amounts` are (points, worth) to choose from."""

    key: str
    reward: str
    name: str
    text: str
    cost: int
    conditions: list[str]
    amounts: list[tuple[int, str]]
    missing: int = 0
    share: float = 1.0
    why_not: str = ""


class Mine(NamedTuple):
    """A reward a member has. `apply` is a link that takes its code to the checkout."""

    id: int
    name: str
    code: str
    status: str
    text: str
    apply: str
    returnable: bool
    points: int


class Waiting(NamedTuple):
    """Points that are not there yet, and when or on what they come."""

    points: int
    order: str
    when: str


class Line(NamedTuple):
    """One line of the history, with its reason."""

    id: int
    at: datetime
    when: str
    text: str
    points: str
    tone: str


class Friend(NamedTuple):
    """The referral card."""

    gives: str
    gets: str
    code: str
    url: str
    subject: str
    message: str
    ways: tuple[sharing.Way, ...]
    more: str


class Home(NamedTuple):
    """The page of a member."""

    name: str
    balance: int
    worth: str
    waiting: list[Waiting]
    pending: int
    expiring: str
    soon: bool
    tier: Tier
    now: list[OfferCard]
    next: list[OfferCard]
    others: list[OfferCard]
    mine: list[Mine]
    ended: list[Mine]
    wallet: str
    friend: Friend | None
    ways: Earning
    rate: str
    lines: list[Line]
    more: bool


def home(visit: Visit) -> Home:
    """Everything a member sees at first."""
    member, shelf = visit.signed_in(), offers_for(visit.session, visit.signed_in(), visit.version, "online")
    placed, mine = rules.shelf(shelf), _mine(visit)
    lines, more = history(visit, None, FIRST_LINES)
    said, soon = _expiring(visit)
    return Home(
        name=words.initial(member.name),
        balance=member.available,
        worth=_worth(visit, shelf),
        waiting=_waiting(visit) if member.pending > 0 else [],
        pending=member.pending,
        expiring=said,
        soon=soon,
        tier=_tier(visit),
        now=[_offer(visit, offer) for offer in placed.now],
        next=[_offer(visit, offer) for offer in placed.next],
        others=[_offer(visit, offer) for offer in placed.others],
        mine=[one for one in mine if one.status in _OPEN],
        ended=[one for one in mine if one.status not in _OPEN],
        wallet=adding.link(visit.shop.id, member.id).url,
        friend=_friend(visit),
        ways=earning(visit),
        rate=words.rate(visit.program, visit.shop),
        lines=lines,
        more=more,
    )


def _worth(visit: Visit, shelf: Sequence[Offer]) -> str:
    """What the balance is worth, or how far the first reward is."""
    if amount := rules.worth(shelf, visit.signed_in().available):
        return _("Worth %(amount)s", amount=words.price(amount, visit.shop.currency))
    if free := next((offer for offer in shelf if offer.refused is None), None):
        return _("Enough for %(reward)s", reward=free.reward.name)
    if nearest := next(iter(rules.shelf(shelf).next), None):
        missing = nearest.reward.cost - visit.signed_in().available
        return _("%(points)s to %(reward)s", points=i18n.points(missing), reward=nearest.reward.name)
    return ""


def _tier(visit: Visit) -> Tier:
    member = visit.signed_in()
    held = standings(visit.session, [member], visit.version, clock.now())[member.id]
    shown = rungs(visit, held.key)
    here = next(rung for rung in shown if rung.held)
    above = shown[here.number] if held.next and here.number < len(shown) else None
    share = rules.share(held.value, held.next.remaining) if held.next else 1.0
    return Tier(here, above, len(shown), share, words.standing(held, visit.program, visit.shop))


def rungs(visit: Visit, held: str = "") -> list[Rung]:
    """The ladder from the lowest tier up."""
    program, shop = visit.program, visit.shop
    return [
        Rung(tier.name, number, words.takes(tier, program, shop), words.perks(tier, program, shop), tier.key == held)
        for number, tier in enumerate(program.ladder.tiers, start=1)
    ]


# Rewards.


def _offer(visit: Visit, offer: Offer) -> OfferCard:
    reward, available = offer.reward, visit.signed_in().available
    missing = max(0, reward.cost - available)
    return OfferCard(
        key=secrets.token_urlsafe(15),
        reward=reward.key,
        name=reward.name,
        text=reward.description,
        cost=reward.cost,
        conditions=words.conditions(reward, visit.shop, offer.left),
        amounts=_amounts(visit, offer) if reward.kind == "variable" and not missing else [],
        missing=missing,
        share=max(0, available) / reward.cost,
        why_not=offer.refused.text if offer.refused else "",
    )


def _amounts(visit: Visit, offer: Offer) -> list[tuple[int, str]]:
    reward = offer.reward
    return [
        (points, words.price(points // (reward.step or 1) * reward.amount, visit.shop.currency))
        for points in rules.amounts(reward, visit.signed_in().available)
    ]


def _mine(visit: Visit) -> list[Mine]:
    rows = rewards_of(visit.session, visit.shop.id, visit.signed_in().id, limit=MOST_REWARDS)
    return [mine(visit, row) for row in rows]


def mine(visit: Visit, row: MemberReward) -> Mine:
    """A reward of the member's, as it stands."""
    ready = row.status == "issued"
    apply = storefronts.with_code(visit.shop, row.code) if ready and row.terms["kind"] in DISCOUNTS else ""
    text = status_text(row, visit.program.zone)
    return Mine(row.id, row.terms["name"], row.code, row.status, text, apply, ready and row.points > 0, row.points)


# What comes and what goes.


def _waiting(visit: Visit) -> list[Waiting]:
    """Orders whose points are on their way, newest first."""
    member = visit.signed_in()
    rows = visit.session.execute(
        sa.select(Order.posted_pending, Order.release_at, Order.settled)
        .where(Order.shop_id == visit.shop.id, Order.member_id == member.id, Order.posted_pending > 0)
        .order_by(Order.processed_at.desc())
        .limit(MOST_WAITING)
    )
    return [_wait(visit, *row) for row in rows]


def _wait(visit: Visit, points: int, release_at: datetime | None, settled: dict[str, str] | None) -> Waiting:
    told = settled or {}
    if release_at is not None:
        when = _("yours on %(day)s", day=i18n.day(release_at, visit.program.zone))
    elif told.get("waits") == "fulfilment":
        when = _("yours once it has been sent")
    else:
        when = _("yours once it is paid")
    return Waiting(points, str(told.get("order") or ""), when)


def _expiring(visit: Visit) -> tuple[str, bool]:
    """What expires first, and whether that is soon."""
    member, now = visit.signed_in(), clock.now()
    found: list[Due] = expiring(visit.session, [member], visit.published, now)[member.shop_id, member.id]
    expiry = visit.program.expiry
    if not found or expiry is None or found[0].points <= 0:
        return "", False
    return due_text(found[0], expiry, visit.program.zone), found[0].at <= now + SOON


# Friends.


def _friend(visit: Visit) -> Friend | None:
    terms, member, shop = visit.program.referral, visit.signed_in(), visit.shop
    if not terms.enabled:
        return None
    code = referrers.code_of(visit.session, shop.id, member.id)
    offer = referring.of_members(visit.version, shop.currency)
    gift, url = sharing.gift(offer.benefit, offer.currency), referrers.link(shop, code)
    shared = sharing.invitations.share(shop.name, url, gift)
    return Friend(
        gives=sharing.worth(offer.benefit, offer.currency),
        gets=sharing.worth(terms.for_referrer(member.tier_key), offer.currency),
        code=code.code,
        url=url,
        subject=shared.subject,
        message=shared.message.removesuffix(f" {url}"),
        ways=sharing.ways(shop.name, url, gift),
        more=bringing.bring(shop, member.id).url,
    )


# History.


def history(visit: Visit, before: int | None, limit: int) -> tuple[list[Line], bool]:
    """A page of the member's history, newest first, and whether there is more."""
    rows = ledger.postings(visit.session, visit.shop.id, visit.signed_in().id, before=before, limit=limit + 1)
    return [_line(visit, row) for row in rows[:limit]], len(rows) > limit


def _line(visit: Visit, row: Posting) -> Line:
    zone = visit.program.zone
    local = row.occurred_at.astimezone(zone)
    moved = signed_points(row.source, row.target, row.points)
    return Line(
        row.id, local, i18n.day(local), sentence(row, _tier_names(visit, row)), *_change(row, moved),
    )  # fmt: skip


def _change(row: Posting, moved: int) -> tuple[str, str]:
    """The points as they stand at the end of the line, and their tone."""
    if row.target == "pending":
        return f"+{i18n.number(row.points)}", "wait"
    if row.kind == "release" or not moved:
        return i18n.number(row.points), ""
    sign, tone = ("+", "gain") if moved > 0 else ("−", "loss")
    return f"{sign}{i18n.number(row.points)}", tone


def _tier_names(visit: Visit, row: Posting) -> dict[str, str]:
    known = (one for one in visit.published.of(visit.shop.id) if one.number == row.program_version)
    return tier_names(next(known, visit.version).program)


# Who is not signed in.


class Outside(NamedTuple):
    """The program in one screen. `first` is what a first order brings, in sentences."""

    headline: str
    intro: str
    first: list[str]
    ladder: list[Rung]
    rewards: list[OfferCard]
    join: str
    sign_in: str
    joining: int
    rate: str
    gives: str


def outside(visit: Visit, texts: tuple[str, str]) -> Outside:
    """What somebody who is not signed in reads. `texts` are the shop's own headline and introduction."""
    shop, program = visit.shop, visit.program
    shown = offers(visit.session, shop.id, visit.version)
    benefit = referring.of_members(visit.version, shop.currency) if program.referral.enabled else None
    return Outside(
        headline=texts[0] or _("Every order brings you closer to something good."),
        intro=texts[1] or _("%(program)s is free. Buy, and your points are there.", program=program.name),
        first=_first(visit),
        ladder=rungs(visit),
        rewards=[
            OfferCard("", o.reward.key, o.reward.name, o.reward.description, o.reward.cost, [], [])
            for o in sorted(shown, key=lambda offer: offer.reward.cost)
            if o.left != 0
        ],
        join=storefronts.join(shop),
        sign_in=storefronts.sign_in(shop),
        joining=program.joining.points,
        rate=words.rate(program, shop),
        gives=sharing.gift(benefit.benefit, benefit.currency) if benefit else "",
    )  # fmt: skip


def _first(visit: Visit) -> list[str]:
    """A first order of a round amount, with its arithmetic, and what that leads to."""
    program, shop = visit.program, visit.shop
    digits = minor_digits(shop.currency)
    spend = _EXAMPLE[digits]
    exact = program.rate * Fraction(program.ladder.tiers[0].multiplier) * Fraction(spend, 10**digits)
    earned = exact.numerator // exact.denominator
    total = earned + program.joining.points
    amount = words.price(spend, shop.currency)
    if program.joining.points:
        first = _(
            "A first order of %(amount)s brings %(points)s, and joining %(joining)s more: %(total)s in all.",
            amount=amount, points=i18n.points(earned), joining=i18n.number(program.joining.points),
            total=i18n.number(total),
        )  # fmt: skip
    else:
        first = _("A first order of %(amount)s brings %(points)s.", amount=amount, points=i18n.points(earned))
    return [first, *_leads_to(program, total)]


def _leads_to(program: Program, total: int) -> list[str]:
    costs = sorted((reward.cost, reward.name) for reward in program.rewards if not reward.tiers)
    had = [cost for cost in costs if cost[0] <= total]
    if had:
        return [_("That's enough for %(reward)s.", reward=had[-1][1])]
    if costs:
        far = i18n.points(costs[0][0] - total)
        return [_("%(points)s more, and %(reward)s is yours.", points=far, reward=costs[0][1])]
    return []
