"""A program tried on a shop's real orders: what they would have earned under it, and under the one in force.

Both are replayed by the rules that settle orders, as if each had always been in force: tiers, numbers of orders and
limits follow from a member's whole past, and the orders of the last days are counted. Members come in batches, so
memory stays flat however many there are. Nothing is written.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from statistics import median
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from loyalty import codec, programs
from loyalty.earning.rules import Circumstances, Target, target, with_points
from loyalty.earning.uses import Use, Uses
from loyalty.models import Member, SpendFact
from loyalty.orders import KnownOrder
from loyalty.program import Program, Reward
from loyalty.programs import Version
from loyalty.rules import Fact, Spend, eligible_spend, orders_at, spend_facts
from tiers.ladders import ladder_of
from tiers.models import TierOverride
from tiers.rules import ENDLESS, INSTANT, Measure, Override, Rung, SpendHistory, Years, standing
from tiers.spend import counted

BATCH = 500  # members
TOP = 10  # members whose points differ most
_ORDERS = Measure("orders")


class Person(NamedTuple):
    """A member with all their orders in order of time, the tiers they were given by hand, and what they earned beside
    buying, where it counts for tiers."""

    member_id: int
    joined_at: datetime
    orders: Sequence[KnownOrder]
    overrides: Sequence[Override] = ()
    activities: Sequence[Fact] = ()


class Difference(NamedTuple):
    """What one member's orders earn under either program, in points."""

    member_id: int
    before: int
    after: int


@dataclass
class Tally:
    """What a program's orders earn. `by_rule` holds whole points by each rule's key, `tiers` members by their
    tier now, those that nobody holds included.

    `cost` is what the points are worth in rewards, in minor units; None where no reward is worth money.
    """

    points: int = 0
    by_rule: Counter[str] = field(default_factory=Counter)
    tiers: Counter[str] = field(default_factory=Counter)
    cost: int | None = None


@dataclass
class Backtest:
    """`members` of `of_members` were tried, with so many orders since `since`. `unlabelled` counts those orders of
    which a bonus asks for tags or collections that were never read from the shop, so that it could not match."""

    since: datetime
    until: datetime
    before: Tally = field(default_factory=Tally)
    after: Tally = field(default_factory=Tally)
    members: int = 0
    of_members: int = 0
    orders: int = 0
    unlabelled: int = 0
    gain: int = 0
    lose: int = 0
    top: list[Difference] = field(default_factory=list)


def backtest(
    session: Session,
    shop_id: int,
    program: Program,
    *,
    days: int,
    now: datetime,
    sample: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Backtest:
    """Try a program on the orders of the last `days`, beside the one in force.

    With `sample`, on so many members picked evenly. Raises NotFound for a shop that has published no program.
    """
    held = programs.load(session, [shop_id]).in_force(shop_id, now)
    wanted = Version(0, now, program)
    found = Backtest(now - timedelta(days=days), now)
    for tally, version in ((found.before, held), (found.after, wanted)):
        tally.tiers = Counter({rung.key: 0 for rung in ladder_of(version).rungs})
    found.of_members, batches = _members(session, shop_id, found.since, sample)
    for batch in batches:
        for person in _people(session, shop_id, batch):
            _try(found, person, held, wanted)
        progress(found.members)
    for tally, tried in ((found.before, held.program), (found.after, program)):
        tally.cost = _cost(tally.points, tried)
    return found


def _try(found: Backtest, person: Person, held: Version, wanted: Version) -> None:
    """Add one member to the sums."""
    found.members += 1
    recent = [order for order in person.orders if order.state and order.state.processed_at >= found.since]
    found.orders += len(recent)
    found.unlabelled += sum(_unlabelled(order, wanted) for order in recent)
    before = _add(found.before, found, person, held)
    after = _add(found.after, found, person, wanted)
    found.gain += after > before
    found.lose += after < before
    if before != after:
        top = [*found.top, Difference(person.member_id, before, after)]
        found.top = heapq.nlargest(TOP, top, key=lambda difference: abs(difference.after - difference.before))


def _add(tally: Tally, found: Backtest, person: Person, version: Version) -> int:
    """Add what one program gives a member, and return the points."""
    replayed = Replay(person, version, found.until)
    points = 0
    for order, earned in replayed.run():
        assert order.state is not None
        if order.state.processed_at >= found.since:
            points += earned.pending + earned.available
            tally.by_rule.update(by_rule(earned))
    tally.points += points
    tally.tiers[replayed.tier(found.until + INSTANT).key] += 1
    return points


def by_rule(earned: Target) -> dict[str, int]:
    """The points of each rule in whole ones; the order rule has what the bonuses leave of the sum."""
    bonuses = {told["rule"]: int(Fraction(told["points"])) for told in earned.explanation.get("bonuses", ())}
    base = earned.pending + earned.available - sum(bonuses.values())
    return {rule: points for rule, points in {earned.explanation["rule"]: base, **bonuses}.items() if points}


class Replay:
    """A member's past under one version alone."""

    def __init__(self, person: Person, version: Version, now: datetime) -> None:
        self.person, self.version, self.now = person, version, now
        self.ladder = ladder_of(version)
        self.uses = Uses()
        self.twins = Counter[datetime]()  # orders run already, by their moment
        self.spends: dict[int, Spend] = {}
        self.facts: dict[int, tuple[Fact, ...]] = {}
        for order in person.orders:
            assert order.state is not None
            spend = eligible_spend(order.state, order.refunds, version.policy)
            self.spends[order.order_id] = spend
            self.facts[order.order_id] = spend_facts(order.state, spend, order.deleted_at)
        self.orders = self._history(_ORDERS, self._ordered())
        measure = self.ladder.measure
        # Points of an order are facts only once it is worked out.
        known = [] if version.by_points else self._ordered()
        self.history = self._history(measure, [*known, *person.activities])
        zone = measure.zone
        self.years = Years.since(person.joined_at, zone) if measure.period == "membership_year" else Years(zone)

    def run(self) -> Iterator[tuple[KnownOrder, Target]]:
        """Each order in order of time, with what it earns."""
        for order in self.person.orders:
            yield order, self._earned(order)

    def tier(self, moment: datetime) -> Rung:
        """The tier by what had happened before the moment, as far as orders are run."""
        years = self.years if self.ladder.measure.by_years else None
        return standing(self.ladder, self.history, moment, years, self.person.overrides).rung

    def _ordered(self) -> list[Fact]:
        return [fact for facts in self.facts.values() for fact in facts]

    def _history(self, measure: Measure, facts: Sequence[Fact]) -> SpendHistory:
        first = min((fact.at for fact in (*self._ordered(), *self.person.activities)), default=self.now)
        return SpendHistory(first, 0, [(fact.at, counted(fact, measure.metric)) for fact in facts])

    def _earned(self, order: KnownOrder) -> Target:
        state, spend = order.state, self.spends[order.order_id]
        assert state is not None
        rung = self.tier(state.processed_at)
        terms, held = self.version.terms(rung.key, rung.multiplier), self._circumstances(order)
        earned = target(state, spend, terms, now=self.now, deleted_at=order.deleted_at, circumstances=held)
        for rule, points in earned.uses:
            self.uses.add((0, 0), rule, Use(state.processed_at, order.order_id, points))
        if self.version.by_points:
            for fact in with_points(self.facts[order.order_id], state, order.refunds, terms, held):
                self.history.add(fact.at, fact.points)
        return earned

    def _circumstances(self, order: KnownOrder) -> Circumstances:
        assert order.state is not None
        placed, zone = order.state.processed_at, self.version.program.zone
        used = {rule: self.uses.before((0, 0), rule, placed, order.order_id, zone) for rule in self.version.limited}
        before = self.orders.before(placed, ENDLESS) + self.twins[placed]
        self.twins[placed] += orders_at(self.facts[order.order_id], placed)
        return Circumstances(1 + before, used, order.labels or {})


def _unlabelled(order: KnownOrder, version: Version) -> bool:
    assert order.state is not None
    if not version.wants_labels(order.state.processed_at):
        return False
    return any(line.product_id and line.product_id not in (order.labels or {}) for line in order.state.lines)


def _cost(points: int, program: Program) -> int | None:
    """What points are worth if they are spent like the median reward that is worth money."""
    worth = [_worth(reward) for reward in program.rewards if reward.amount]
    return int(points * median(worth)) if worth else None


def _worth(reward: Reward) -> Fraction:
    return Fraction(reward.amount, reward.step if reward.kind == "variable" and reward.step else reward.cost)


def _members(session: Session, shop_id: int, since: datetime, sample: int | None) -> tuple[int, Iterable[list[int]]]:
    """How many members ordered since a moment, and their ids in batches; `sample` of them where that is given."""
    ordered = (Member.shop_id == shop_id, Member.merged_into.is_(None), Member.last_order_at >= since)
    many = session.scalar(sa.select(sa.func.count()).select_from(Member).where(*ordered)) or 0
    if sample is None or sample >= many:
        return many, _by_id(session, ordered)
    # The hash is that of the id alone, so that the same members are tried again after a change of the program.
    picked = sa.select(Member.id).where(*ordered).order_by(sa.func.hashint8(Member.id), Member.id).limit(sample)
    ids = sorted(session.scalars(picked))
    return many, (ids[place : place + BATCH] for place in range(0, len(ids), BATCH))


def _by_id(session: Session, ordered: tuple[Any, ...]) -> Iterator[list[int]]:
    last = 0
    while True:
        query = sa.select(Member.id).where(*ordered, Member.id > last).order_by(Member.id).limit(BATCH)
        ids = list(session.scalars(query))
        if not ids:
            return
        yield ids
        last = ids[-1]


_PEOPLE = sa.text(
    "SELECT o.member_id, o.order_id, o.state::text, o.refunds::text, o.deleted_at, o.labels::text FROM orders o "
    "WHERE o.shop_id = :shop AND o.member_id = ANY(:ids) AND o.state IS NOT NULL "
    "ORDER BY o.member_id, o.processed_at, o.order_id"
)


def _people(session: Session, shop_id: int, ids: list[int]) -> Iterator[Person]:
    orders: dict[int, list[KnownOrder]] = {member: [] for member in ids}
    for member, order_id, state, refunds, deleted_at, labels in session.execute(_PEOPLE, {"shop": shop_id, "ids": ids}):
        known = KnownOrder(shop_id, order_id, True, member, deleted_at=deleted_at, labels=codec.decode_labels(labels))
        known.state, known.refunds = codec.decode_state(state), codec.decode_refunds(refunds)
        orders[member].append(known)
    overrides, activities = _overrides(session, shop_id, ids), _activities(session, shop_id, ids)
    joined = sa.select(Member.id, Member.joined_at).where(Member.shop_id == shop_id, Member.id.in_(ids))
    for member, joined_at in session.execute(joined.order_by(Member.id)):
        yield Person(member, joined_at, orders[member], overrides.get(member, ()), activities.get(member, ()))


def _overrides(session: Session, shop_id: int, ids: list[int]) -> dict[int, list[Override]]:
    given = sa.select(TierOverride).where(TierOverride.shop_id == shop_id, TierOverride.member_id.in_(ids))
    found: dict[int, list[Override]] = {}
    for row in session.scalars(given.order_by(TierOverride.id)):
        found.setdefault(row.member_id, []).append(Override(row.tier_key, row.since, row.until))
    return found


def _activities(session: Session, shop_id: int, ids: list[int]) -> dict[int, list[Fact]]:
    """What members earned beside buying; such facts belong to no order."""
    beside = (SpendFact.shop_id == shop_id, SpendFact.member_id.in_(ids), SpendFact.order_id == 0)
    found: dict[int, list[Fact]] = {}
    for row in session.scalars(sa.select(SpendFact).where(*beside)):
        found.setdefault(row.member_id, []).append(Fact(row.cause, row.at, row.amount, row.orders, row.points))
    return found
