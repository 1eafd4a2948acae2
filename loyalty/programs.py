"""Published programs of the shops at hand, compiled once: which version was in force when, and its terms and ladder."""

import functools
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.errors import NotFound
from core.i18n import _
from loyalty import program as document
from loyalty.earning.rules import Bonus, Limit, Terms
from loyalty.models import ProgramVersion
from loyalty.program import OrderRule, Program, demo_program, instant
from loyalty.program.document import time_zones
from loyalty.rules import Policy
from shops.models import Shop


@dataclass(frozen=True, eq=False)
class Version:
    """A published version, ready for use. Compared by identity: each is compiled once per process."""

    number: int
    effective_from: datetime
    program: Program

    @functools.cached_property
    def policy(self) -> Policy:
        rule = self.program.orders
        return Policy(rule.include_tax, rule.include_shipping)

    @functools.cached_property
    def waiting(self) -> timedelta:
        return timedelta(days=self.program.orders.waiting_days)

    @functools.cached_property
    def bonuses(self) -> tuple[Bonus, ...]:
        return tuple(_bonus(bonus, self.program.zone) for bonus in self.program.bonuses)

    @functools.cached_property
    def limited(self) -> frozenset[str]:
        """The rules on orders that have a limit."""
        base, bonuses = self.program.orders, self.program.bonuses
        limits = {base.key: base.limit} | {bonus.key: bonus.limit for bonus in bonuses}
        return frozenset(key for key, limit in limits.items() if limit.limits)

    @functools.cached_property
    def counts_orders(self) -> bool:
        """Whether it matters how many orders a member placed before."""
        return any(bonus.order_number is not None for bonus in self.bonuses)

    @functools.cached_property
    def by_points(self) -> bool:
        """Whether tiers go by points earned."""
        return self.program.ladder.metric == "points"

    @functools.cached_property
    def sequential(self) -> bool:
        """Whether what an order earns depends on what earlier ones earned, and not on their spend alone."""
        return bool(self.limited) or self.counts_orders or self.by_points

    @functools.cached_property
    def reach(self) -> timedelta | None:
        """How long spend keeps counting for tiers; None where it may matter for ever."""
        ladder = self.program.ladder
        return timedelta(days=ladder.window_days) if ladder.period == "rolling" else None

    def terms(self, tier_key: str, multiplier: Fraction) -> Terms:
        """The terms for an order whose member held this tier when it was placed."""
        held = self._terms.get(tier_key)
        if held is None:
            held = self._terms[tier_key] = self._compile(tier_key, multiplier)
        return held

    @functools.cached_property
    def _terms(self) -> dict[str, Terms]:
        return {}

    def _compile(self, tier_key: str, multiplier: Fraction) -> Terms:
        rule, zone = self.program.orders, self.program.zone
        return Terms(
            version=self.number,
            rule=rule.key,
            rate=self.program.rate,
            tier_key=tier_key,
            multiplier=multiplier,
            policy=self.policy,
            waiting=self.waiting,
            starts_at=instant(rule.starts_at, zone),
            ends_at=instant(rule.ends_at, zone),
            tiers=frozenset(rule.tiers),
            on_fulfilled=rule.available == "fulfilled",
            limit=_limit(rule.limit),
            bonuses=self.bonuses,
            best=self.program.stacking == "best",
        )

    def wants_labels(self, moment: datetime) -> bool:
        """Whether a bonus that runs at this moment asks for products' tags or collections."""
        return any(bonus.wants_labels and bonus.runs(moment) for bonus in self.bonuses)


def _bonus(rule: document.Bonus, zone: ZoneInfo) -> Bonus:
    return Bonus(
        rule=rule.key,
        name=rule.name,
        points=rule.points,
        per_item=rule.per == "item",
        multiplier=None if rule.multiplier is None else Fraction(rule.multiplier),
        products=frozenset(rule.products),
        variants=frozenset(rule.variants),
        collections=frozenset(rule.collections),
        vendors=frozenset(vendor.casefold() for vendor in rule.vendors),
        tags=frozenset(tag.casefold() for tag in rule.tags),
        minimum_spend=rule.minimum_spend,
        order_number=rule.order_number,
        channel=None if rule.channel == "any" else rule.channel,
        tiers=frozenset(rule.tiers),
        starts_at=instant(rule.starts_at, zone),
        ends_at=instant(rule.ends_at, zone),
        limit=_limit(rule.limit),
    )


def _limit(limit: document.Limit) -> Limit | None:
    return Limit(**limit.model_dump()) if limit.limits else None


class Traits(NamedTuple):
    """What is true of any of a shop's versions; see the properties of `Version`. `reach` is the longest."""

    sequential: bool
    by_points: bool
    limited: bool
    reach: timedelta | None


class Programs:
    """The versions of several shops, each in order of when it came into force."""

    def __init__(self, versions: dict[int, list[Version]]) -> None:
        self._versions = versions
        self._traits: dict[int, Traits] = {}

    def traits(self, shop_id: int) -> Traits:
        """What a settlement must mind in this shop."""
        held = self._traits.get(shop_id)
        if held is None:
            held = self._traits[shop_id] = _traits(self.of(shop_id))
        return held

    def in_force(self, shop_id: int, moment: datetime) -> Version:
        """The version in force at a moment; before the first, the first. Raises NotFound for a shop without one."""
        versions = self._versions.get(shop_id)
        if not versions:
            raise NotFound(_("this shop has published no program yet"), code="no_program")
        place = bisect_right(versions, moment, key=lambda version: version.effective_from)
        return versions[max(0, place - 1)]

    def of(self, shop_id: int) -> list[Version]:
        """All versions of a shop, oldest first."""
        return self._versions.get(shop_id, [])

    def numbered(self, shop_id: int, number: int) -> Version:
        """A version by its number. Raises NotFound."""
        found = next((v for v in self._versions.get(shop_id, ()) if v.number == number), None)
        if found is None:
            raise NotFound(_("program version %(version)s does not exist", version=number), code="no_program")
        return found


def _traits(versions: Sequence[Version]) -> Traits:
    reach = [version.reach for version in versions]
    return Traits(
        any(version.sequential for version in versions),
        any(version.by_points for version in versions),
        any(version.limited for version in versions),
        None if None in reach else max(filter(None, reach), default=None),
    )


@functools.lru_cache(maxsize=4096)
def _compiled(shop_id: int, number: int, effective_from: datetime, document: str) -> Version:
    return Version(number, effective_from, Program.model_validate_json(document))


def load(session: Session, shop_ids: Iterable[int]) -> Programs:
    """The published versions of these shops. Documents are parsed once per process: a version never changes."""
    rows = session.execute(
        sa.select(
            ProgramVersion.shop_id,
            ProgramVersion.version,
            ProgramVersion.effective_from,
            sa.cast(ProgramVersion.document, sa.Text),
        )
        .where(ProgramVersion.shop_id.in_(sorted(set(shop_ids))))
        .order_by(ProgramVersion.shop_id, ProgramVersion.effective_from, ProgramVersion.version)
    )
    versions: dict[int, list[Version]] = {}
    for row in rows:
        versions.setdefault(row[0], []).append(_compiled(*row))
    return Programs(versions)


def publish_first(session: Session, shop_id: int) -> None:
    """The program every new shop starts from, by its own clock. What was bought before it came to us earns nothing."""
    if not load(session, [shop_id]).of(shop_id):
        zone = session.scalar(sa.select(Shop.timezone).where(Shop.id == shop_id))
        orders = OrderRule(starts_at=clock.now())
        first = demo_program().model_copy(
            update={"orders": orders, "timezone": zone if zone in time_zones() else "UTC"}
        )
        publish(session, shop_id, first, effective_from=clock.now(), actor="install")


def publish(
    session: Session,
    shop_id: int,
    program: Program,
    *,
    effective_from: datetime,
    actor: str,
    note: str | None = None,
) -> int:
    """Publish the next version of a shop's program and return its number."""
    number = 1 + (
        session.scalar(sa.select(sa.func.max(ProgramVersion.version)).where(ProgramVersion.shop_id == shop_id)) or 0
    )
    session.add(
        ProgramVersion(
            shop_id=shop_id,
            version=number,
            document=msgspec.json.decode(program.model_dump_json()),
            effective_from=effective_from,
            published_at=clock.now(),
            actor=actor,
            note=note,
        )
    )
    session.flush()
    return number
