"""What the live view shows: the newest deliveries, what they did to members' points, and where those members stand."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.errors import NotFound
from loyalty import programs, queries
from loyalty.expiry import queries as expiry
from loyalty.models import Member, Posting
from loyalty.operations import signed_points
from loyalty.orders import read_orders
from loyalty.program import DISCOUNTS
from loyalty.programs import Programs, Version
from loyalty.rewards.models import MemberReward
from loyalty.rewards.queries import rewards_of
from loyalty.wording import order_text, sentence
from loyalty.wording.expiry import due_text
from loyalty.wording.rewards import status_text
from referrals import links as bringing
from shops.models import Shop
from tiers.ladders import ladder_of
from tiers.models import TierPeriod
from tiers.queries import Standing, standings
from tiers.wording import amount_text, tier_text
from wallet_passes.adding import links
from webhooks.models import Delivery

DELIVERIES = 10
REWARDS = 20
MOMENTS = 24
MEMBERS = 24
HISTORY = 100
# Members are those of the newest so many postings: bounded by the index, however large the ledger.
RECENT_POSTINGS = 500
# What happened longer ago than this is no news, and the page suggests what to try instead.
NEWS = timedelta(minutes=15)

_TOPICS = {
    "orders/create": "Order placed",
    "orders/paid": "Order paid",
    "orders/updated": "Order updated",
    "orders/edited": "Order edited",
    "orders/fulfilled": "Order shipped",
    "orders/partially_fulfilled": "Order partly shipped",
    "orders/cancelled": "Order cancelled",
    "orders/delete": "Order deleted",
    "refunds/create": "Refund",
    "customers/create": "New customer",
    "customers/update": "Customer updated",
    "customers/delete": "Customer deleted",
    "customers/merge": "Customers merged",
    "customers/redact": "Erasure asked for",
    "customers/data_request": "Data asked for",
}


class Arrived(NamedTuple):
    """A delivery. `about` names its order or customer; `took` is milliseconds from its arrival to its commit."""

    id: int
    order_id: int | None
    topic: str
    title: str
    about: str
    state: str
    took: int | None
    at: datetime


class Moment(NamedTuple):
    """Something that happened to a member: points that came or went (`points`, signed), or another tier (None).

    `waiting` points are not theirs to use yet.
    """

    id: str
    member_id: int
    name: str
    points: int | None
    waiting: bool
    text: str
    at: datetime
    recorded_at: datetime  # to the second: one settlement's postings may differ by less


class Card(NamedTuple):
    """A member at a glance. `step` of `steps` is their rung from 1 up, `progress` percent of the way to the next.

    `remaining` is what is missing to the next tier, in the ladder's unit, and `missing` says it; None at the top.
    """

    id: int
    customer_id: int | None
    name: str
    available: int
    pending: int
    tier: str
    step: int
    steps: int
    progress: int
    next_tier: str | None
    remaining: int | None
    missing: str | None


class Live(NamedTuple):
    """Everything on the page. `news` is about `star`; without news, `star` is whoever is closest to the next tier.

    `nothing` says why the order of the newest delivery earns nothing, if it does.
    """

    star: Card | None
    news: Sequence[Moment]
    moments: Sequence[Moment]
    members: Sequence[Card]
    deliveries: Sequence[Arrived]
    nothing: str | None


class Held(NamedTuple):
    """A reward of a member; `code` is None when there is none to enter. `over` when it can't be used (any more)."""

    name: str
    code: str | None
    text: str
    over: bool


class History(NamedTuple):
    """A member, what they hold, and what happened to them, newest first; `cut` when there is more.

    `expiring` says what expires next, if anything does; `add_url` adds their card to a phone, `bring_url` is where they
    bring friends.
    """

    member: Card
    add_url: str
    bring_url: str
    expiring: str | None
    rewards: Sequence[Held]
    moments: Sequence[Moment]
    cut: bool


def read(session: Session, shop: Shop) -> Live:
    """The live view of an open shop."""
    published = programs.load(session, [shop.id])
    moments = _moments(session, shop, published, None, MOMENTS)
    members = _members(session, shop, _recent_members(session, shop.id), published)
    news = _news(moments)
    star = next((card for card in members if news and card.id == news[0].member_id), None)
    deliveries = _deliveries(session, shop.id)
    nothing = _nothing(session, shop.id, deliveries, published)
    return Live(star or _closest(members), news if star else (), moments, members, deliveries, nothing)


def history(session: Session, shop: Shop, member_id: int) -> History:
    """Raises NotFound for a member the shop doesn't have."""
    published = programs.load(session, [shop.id])
    member = queries.member(session, shop.id, member_id)
    cards = _members(session, shop, [member.id], published)
    if not cards:
        raise NotFound("this shop has no program yet", code="no_program")
    moments = _moments(session, shop, published, member.id, HISTORY + 1)
    # Told as it happened: what became known late stands where it belongs.
    told = sorted(moments[:HISTORY], key=lambda moment: moment.at, reverse=True)
    zone = published.in_force(shop.id, clock.now()).program.zone
    held = [_held(row, zone) for row in rewards_of(session, shop.id, member.id, limit=REWARDS)]
    ways = links.link(shop.id, member.id).url, bringing.bring(shop, member.id).url
    return History(cards[0], *ways, _expiring(session, member, published), held, told, len(moments) > HISTORY)


def _held(row: MemberReward, zone: ZoneInfo) -> Held:
    return Held(
        row.terms["name"], row.code if row.terms["kind"] in DISCOUNTS else None, status_text(row, zone),
        row.status not in ("issuing", "issued"),
    )  # fmt: skip


def _expiring(session: Session, member: Member, published: programs.Programs) -> str | None:
    now = clock.now()
    policy = expiry.policy(published, member.shop_id, now)
    ahead = expiry.expiring(session, [member], published, now)[member.shop_id, member.id]
    if policy is None or not ahead:
        return None
    return due_text(ahead[0], policy.expiry, published.in_force(member.shop_id, now).program.zone)


def _news(moments: Sequence[Moment]) -> list[Moment]:
    """What the newest fact did to its member, all of it, unless that is long ago."""
    recent = [moment for moment in moments if moment.at > clock.now() - NEWS]
    return [m for m in recent if (m.member_id, m.recorded_at) == (recent[0].member_id, recent[0].recorded_at)][:2]


def _closest(members: Sequence[Card]) -> Card | None:
    climbing = [card for card in members if card.remaining]
    return min(climbing, key=lambda card: card.remaining or 0, default=None)


# What happened


def _moments(session: Session, shop: Shop, published: Programs, member_id: int | None, limit: int) -> list[Moment]:
    """Newest first, by when it became known; a promotion stands above the points that came with it."""
    postings: Sequence[Posting] = _newest(session, Posting, shop.id, member_id, limit)
    periods: Sequence[TierPeriod] = _newest(session, TierPeriod, shop.id, member_id, limit)
    owners = {row.member_id for row in postings} | {row.member_id for row in periods}
    names = _names(session, shop.id, owners)
    moments = [_points_moment(row, names, _version(published, row)) for row in postings]
    moments += [_tier_moment(row, names, _version(published, row), shop.currency) for row in periods]
    moments.sort(key=lambda moment: (moment.recorded_at, moment.at, moment.points is None), reverse=True)
    return moments[:limit]


def _newest(session: Session, table: Any, shop_id: int, member_id: int | None, limit: int) -> Sequence[Any]:
    statement = sa.select(table).where(table.shop_id == shop_id)
    if member_id is not None:
        statement = statement.where(table.member_id == member_id)
    return session.scalars(statement.order_by(table.id.desc()).limit(limit)).all()


def _version(published: Programs, row: Posting | TierPeriod) -> Version | None:
    return published.numbered(row.shop_id, row.program_version) if row.program_version else None


def _names(session: Session, shop_id: int, member_ids: Iterable[int]) -> dict[int, str]:
    rows = session.scalars(sa.select(Member).where(Member.shop_id == shop_id, Member.id.in_(list(member_ids))))
    return {row.id: _name(row) for row in rows}


def _name(member: Member) -> str:
    return member.name or member.email or "Somebody without a name"


def _points_moment(row: Posting, names: Mapping[int, str], version: Version | None) -> Moment:
    text = sentence(row, queries.tier_names(version.program) if version else {})
    points = signed_points(row.source, row.target, row.points)
    return Moment(
        f"p{row.id}", row.member_id, names.get(row.member_id, ""), points, row.target == "pending", text,
        row.occurred_at, row.recorded_at.replace(microsecond=0),
    )  # fmt: skip


def _tier_moment(row: TierPeriod, names: Mapping[int, str], version: Version | None, currency: str) -> Moment:
    return Moment(
        f"t{row.id}", row.member_id, names.get(row.member_id, ""), None, False, tier_text(row, version, currency),
        row.since, row.recorded_at.replace(microsecond=0),
    )  # fmt: skip


# Where members stand


def _recent_members(session: Session, shop_id: int) -> list[int]:
    """Ids of the members of the newest postings, the latest first."""
    newest = _newest_owners(shop_id)
    latest = sa.func.max(newest.c.id)
    statement = sa.select(newest.c.member_id).group_by(newest.c.member_id).order_by(latest.desc()).limit(MEMBERS)
    return list(session.scalars(statement))


def _newest_owners(shop_id: int) -> sa.Subquery:
    statement = sa.select(Posting.id, Posting.member_id).where(Posting.shop_id == shop_id)
    return statement.order_by(Posting.id.desc()).limit(RECENT_POSTINGS).subquery()


def _members(session: Session, shop: Shop, ids: Sequence[int], published: Programs) -> list[Card]:
    """Cards of these members, in this order; none while the shop has no program."""
    if not published.of(shop.id):
        return []
    living = sa.select(Member).where(Member.id.in_(ids), Member.merged_into.is_(None), Member.erased_at.is_(None))
    rows = sorted(session.scalars(living.where(Member.shop_id == shop.id)), key=lambda row: ids.index(row.id))
    version = published.in_force(shop.id, clock.now())
    standing = standings(session, rows, version, clock.now())
    return [_card(row, standing[row.id], version, shop.currency) for row in rows]


def _card(member: Member, standing: Standing, version: Version, currency: str) -> Card:
    rungs = ladder_of(version).rungs
    keys = [rung.key for rung in rungs]
    step, following = keys.index(standing.key), standing.next
    progress = 100
    if following:
        goal = rungs[step + 1].threshold
        progress = max(0, 100 * (goal - following.remaining) // goal)
    return Card(
        id=member.id,
        customer_id=member.customer_id,
        name=_name(member),
        available=member.available,
        pending=member.pending,
        tier=standing.name,
        step=step + 1,
        steps=len(rungs),
        progress=progress,
        next_tier=following.name if following else None,
        remaining=following.remaining if following else None,
        missing=amount_text(following.remaining, standing.metric, currency) if following else None,
    )


# What arrived


_Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class _Body(msgspec.Struct):
    """As much of a body as says what it is about; `id` may be an order's or any other's."""

    id: _Id | None = None
    name: str | None = None
    order_id: _Id | None = None
    first_name: str | None = None
    last_name: str | None = None


def _deliveries(session: Session, shop_id: int) -> list[Arrived]:
    """The newest deliveries first."""
    rows: Sequence[Delivery] = _newest(session, Delivery, shop_id, None, DELIVERIES)
    bodies = [_read_body(row.body) for row in rows]
    wanted = sorted({(shop_id, number) for body in bodies if (number := body.order_id or body.id)})
    orders = {known.order_id: known.state.name for known in read_orders(session, wanted) if known.state}
    return [_arrived(row, body, orders) for row, body in zip(rows, bodies, strict=True)]


def _read_body(body: bytes) -> _Body:
    try:
        return msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Body()


def _arrived(row: Delivery, body: _Body, orders: Mapping[int, str]) -> Arrived:
    person = " ".join(filter(None, (body.first_name, body.last_name)))
    order_id = body.order_id or (body.id if row.topic.startswith("orders/") else None)
    about = body.name or orders.get(order_id or 0) or person
    took = max(1, round((row.done_at - row.received_at).total_seconds() * 1000)) if row.done_at else None
    title = _TOPICS.get(row.topic, row.topic)
    return Arrived(row.id, order_id, row.topic, title, about, row.state, took, row.received_at)


def _nothing(session: Session, shop_id: int, deliveries: Sequence[Arrived], published: Programs) -> str | None:
    if not deliveries or not deliveries[0].order_id or not published.of(shop_id):
        return None
    with suppress(NotFound):
        found = queries.order(session, shop_id, deliveries[0].order_id, published)
        if found.not_earning and found.order.state:
            return order_text(found.order.state.name, found.not_earning, None, {})
    return None
