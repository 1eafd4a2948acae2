"""What a storefront, a checkout, an account page or a till shows of the program and of one member, and redeems there.

Small answers: they are fetched while somebody shops. Money is minor units; rates are decimal text, so that scripts
count as exactly as the ledger does.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from core import clock, crypto
from core.errors import InvalidInput, NotFound
from core.i18n import _
from core.money import minor_digits
from loyalty import programs
from loyalty import queries as members
from loyalty.models import Member
from loyalty.program import DISCOUNTS
from loyalty.programs import Version
from loyalty.rewards import operations, queries
from loyalty.rewards.models import MemberReward
from loyalty.wording.rewards import status_text
from shops.models import Shop
from tiers.ladders import ladder_of
from tiers.queries import Standing, standings
from tiers.wording import amount_text

Json = dict[str, Any]
LONGEST_KEY = 64
# How many waiting codes are shown: more than anybody keeps.
WAITING = 20


def member_of(session: Session, shop_id: int, customer_id: int | None) -> Member | None:
    """The member who is this customer; one that was merged is answered by whom they became."""
    if customer_id is None:
        return None
    found = members.members(session, shop_id, customer_id=customer_id, limit=1)
    return found[0] if found and found[0].closed_at is None else None


def about(session: Session, shop: Shop, member: Member | None, channel: str) -> Json:
    """The program, what orders earn, the rewards of a channel (`online`, `pos`), and the member's own standing.

    Raises NotFound (`no_program`).
    """
    version = _version(session, shop.id)
    tier = member.tier_key if member else version.program.ladder.tiers[0].key
    return {
        "program": version.program.name,
        "currency": shop.currency,
        "digits": minor_digits(shop.currency),
        **_earning(version, tier),
        "member": member and _member(session, shop, member, version),
        "rewards": _rewards(session, shop.id, member, version, channel),
        "waiting": _waiting(session, member, version) if member else [],
    }


def _version(session: Session, shop_id: int) -> Version:
    published = programs.load(session, [shop_id])
    if not published.of(shop_id):
        raise NotFound(_("this shop has no program yet"), code="no_program")
    return published.in_force(shop_id, clock.now())


def _earning(version: Version, tier: str) -> Json:
    """Points for a currency unit before bonuses, and what this tier's orders are multiplied by. A rule that does not
    count now, or not for this tier, brings nothing.
    """
    rung, now = ladder_of(version).rung(tier), clock.now()
    multiplier = next(one.multiplier for one in version.program.ladder.tiers if one.key == rung.key)
    terms = version.terms(rung.key, rung.multiplier)
    begun = terms.starts_at is None or now >= terms.starts_at
    counts = begun and (terms.ends_at is None or now < terms.ends_at) and (not terms.tiers or rung.key in terms.tiers)
    rate = version.program.orders.points_per_unit if counts else 0
    return {"rate": str(rate), "multiplier": str(multiplier)}


def _member(session: Session, shop: Shop, member: Member, version: Version) -> Json:
    standing = standings(session, [member], version, clock.now())[member.id]
    return {
        "id": str(member.id),
        "points": member.available,
        "pending": member.pending,
        "tier": {"key": standing.key, "name": standing.name},
        "next": _next(standing, version, shop.currency),
        "perks": list(ladder_of(version).rung(standing.key).perks),
    }


def _next(standing: Standing, version: Version, currency: str) -> Json | None:
    """The tier above, how far it is in words, and how much of the way is done, from 0 to 1."""
    if standing.next is None:
        return None
    goal = next(rung.threshold for rung in ladder_of(version).rungs if rung.key == standing.next.key)
    missing = amount_text(standing.next.remaining, standing.metric, currency)
    done = round(max(0.0, 1 - standing.next.remaining / goal), 4) if goal else 1.0
    return {"name": standing.next.name, "text": f"{missing} to {standing.next.name}", "done": done}


def _rewards(session: Session, shop_id: int, member: Member | None, version: Version, channel: str) -> list[Json]:
    """What can be had in this channel; for a member also whether now, and if not, why."""
    if member:
        offers = queries.offers_for(session, member, version, channel)
    else:
        offers = queries.offers(session, shop_id, version)
    return [_offer(one, member is not None) for one in offers if one.reward.channel in ("both", channel)]


def _offer(offer: queries.Offer, known: bool) -> Json:
    reward, refused = offer.reward, offer.refused
    return {
        "key": reward.key,
        "name": reward.name,
        "cost": reward.cost,
        "discount": reward.kind in DISCOUNTS,
        "available": known and refused is None,
        "why": refused.text if refused else None,
        "missing": refused.extra.get("missing") if refused else None,
    }


def _waiting(session: Session, member: Member, version: Version) -> list[Json]:
    rows = queries.rewards_of(session, member.shop_id, member.id, limit=WAITING)
    return [redeemed(row, version) for row in rows if row.status in ("issuing", "issued")]


def redeemed(row: MemberReward, version: Version) -> Json:
    """A reward that was redeemed. `code` is known at once, and good when `status` is `issued`."""
    kind = row.terms["kind"]
    return {
        "id": str(row.id),
        "key": row.reward_key,
        "name": row.terms["name"],
        "code": None if kind in ("store_credit", "custom") else row.code,
        "discount": kind in DISCOUNTS,
        "status": row.status,
        "text": status_text(row, version.program.zone),
    }


def redeem(session: Session, member: Member, asked: Mapping[str, Any], *, channel: str, actor: str) -> Json:
    """Redeem `asked["reward"]` once for `asked["key"]`, however often it is sent; a variable one for its fewest points.

    Raises InvalidInput for what is no such request, and what `loyalty.rewards.operations.redeem` raises.
    """
    reward, key = _text(asked, "reward", 40), _text(asked, "key", LONGEST_KEY)
    version = _version(session, member.shop_id)
    found = version.program.reward(reward)
    row = operations.redeem(
        session, member.shop_id, member.id, reward, points=found.cost if found and found.kind == "variable" else None,
        channel=channel, actor=actor, key=f"{channel}:{member.id}:{crypto.digest(key)}",
    )  # fmt: skip
    return redeemed(row, version)


def _text(asked: Mapping[str, Any], name: str, longest: int) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest or "\x00" in value:
        raise InvalidInput(f"{name} must be text of 1 to {longest} characters", code=f"bad_{name}")
    return value
