"""Where members stood at any moment, whatever their ladders count: the one way to ask for a tier."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from core.db import rows_by
from loyalty.programs import Programs, Version
from loyalty.rules import Fact
from tiers.ladders import ladder_of
from tiers.rules import (
    ENDLESS,
    INSTANT,
    Kept,
    Measure,
    Override,
    SpendHistory,
    Standing,
    Years,
    in_force,
    kept,
    next_look,
    standing,
)
from tiers.spend import Changes, Key, counted, window_histories, year_histories

__all__ = ["Courses", "Standing", "load"]

_ORDERS = Measure("orders")


class Courses:
    """The courses of members' tiers from the moments they were loaded for on. Made by `load`."""

    def __init__(
        self,
        histories: Mapping[Measure, Mapping[Key, SpendHistory]],
        years: Mapping[Measure, Mapping[Key, Years]],
        overrides: Mapping[Key, list[Override]],
    ) -> None:
        self._histories = histories
        self._years = years
        self._overrides = overrides

    def at(self, key: Key, moment: datetime, version: Version) -> Standing:
        """Where (shop, member) stood by what had happened strictly before the moment, on the ladder of `version`."""
        ladder = ladder_of(version)
        history, years = self._of(key, ladder.measure)
        return standing(ladder, history, moment, years, self._overrides.get(key, ()))

    def next_look(self, key: Key, tier_key: str, now: datetime, version: Version) -> datetime | None:
        """When the tier of a member may change by itself. Needs courses loaded from `look_back` on."""
        ladder = ladder_of(version)
        history, years = self._of(key, ladder.measure)
        held = in_force(ladder, self._overrides.get(key, ()), now + INSTANT)
        return next_look(history, ladder, tier_key, now, years, held)

    def kept(self, key: Key, tier_key: str, now: datetime, version: Version) -> Kept | None:
        """Until when a year ladder keeps a member in a tier if nothing more counts."""
        ladder = ladder_of(version)
        history, years = self._of(key, ladder.measure)
        return kept(ladder, history, tier_key, now, years) if years else None

    def add(self, key: Key, facts: Iterable[Fact]) -> None:
        """Facts that become known while settling count from now on; none may lie before what was loaded."""
        for fact in facts:
            for measure, histories in self._histories.items():
                if key in histories:
                    histories[key].add(fact.at, counted(fact, measure.metric))

    def orders_before(self, key: Key, moment: datetime) -> int:
        """How many paid orders, less cancelled ones, a member had before the moment.

        Only for shops of which some version has a bonus for an order of a certain number.
        """
        return self._histories[_ORDERS][key].before(moment, ENDLESS)

    def _of(self, key: Key, measure: Measure) -> tuple[SpendHistory, Years | None]:
        return self._histories[measure][key], self._years[measure][key] if measure.by_years else None


def load(
    session: Session,
    programs: Programs,
    since: Mapping[Key, datetime],
    until: datetime,
    *,
    without: frozenset[Key] = frozenset(),
    fresh: Mapping[Key, Iterable[Fact]] | None = None,
) -> Courses:
    """The courses of these (shop, member), for moments from `since` to `until` and every published ladder.

    Stored facts of the orders `without` (shop, order id) are left out and those in `fresh` counted in their stead: what
    a settlement is about to write. None of theirs may lie before `since`.
    """
    changes = Changes(without, fresh or {})
    asked = _asked(programs, since)
    joined = _joined(session, asked)
    histories: dict[Measure, dict[Key, SpendHistory]] = {}
    years: dict[Measure, dict[Key, Years]] = {}
    for measure, moments in asked.items():
        if measure.by_years:
            years[measure] = {key: _years(measure, joined.get(key)) for key in moments}
            histories[measure] = year_histories(session, measure, years[measure], moments, changes)
        else:
            histories[measure] = window_histories(session, measure, moments, until, changes)
    return Courses(histories, years, _overrides(session, since))


def look_back(version: Version, now: datetime) -> datetime:
    """From when on courses must be loaded for `next_look`: a window that ends tells of each change in it."""
    measure = ladder_of(version).measure
    return now if measure.window >= ENDLESS else now - measure.window


def _asked(programs: Programs, since: Mapping[Key, datetime]) -> dict[Measure, dict[Key, datetime]]:
    """What is measured of each member, and from when on."""
    asked: dict[Measure, dict[Key, datetime]] = {}
    measures = {shop_id: _measures(programs, shop_id) for shop_id, _ in since}
    for key, moment in since.items():
        for measure in measures[key[0]]:
            asked.setdefault(measure, {})[key] = moment
    return asked


def _measures(programs: Programs, shop_id: int) -> set[Measure]:
    versions = programs.of(shop_id)
    return {ladder_of(version).measure for version in versions} | {_ORDERS for v in versions if v.counts_orders}


def _years(measure: Measure, joined: datetime | None) -> Years:
    own = measure.period == "membership_year" and joined
    return Years.since(own, measure.zone) if own else Years(measure.zone)


def _joined(session: Session, asked: Mapping[Measure, Mapping[Key, datetime]]) -> dict[Key, datetime]:
    """When the members whose years begin on their own day joined."""
    keys = {key for measure, keys in asked.items() if measure.period == "membership_year" for key in keys}
    rows = rows_by(
        session,
        "SELECT m.shop_id, m.id, m.joined_at FROM {keys} AS k(shop_id, id) "
        "JOIN members m ON m.shop_id = k.shop_id AND m.id = k.id",
        ("bigint", "bigint"),
        sorted(keys),
    )
    return {(row[0], row[1]): row[2] for row in rows}


def _overrides(session: Session, since: Mapping[Key, datetime]) -> dict[Key, list[Override]]:
    """Tiers by hand that hold at some moment asked about, in the order they were given."""
    rows = rows_by(
        session,
        "SELECT o.shop_id, o.member_id, o.tier_key, o.since, o.until FROM {keys} AS k(shop_id, member_id, since) "
        "JOIN tier_overrides o ON o.shop_id = k.shop_id AND o.member_id = k.member_id "
        "WHERE o.until IS NULL OR o.until >= k.since ORDER BY o.id",
        ("bigint", "bigint", "timestamptz"),
        [(*key, moment) for key, moment in since.items()],
    )
    found: dict[Key, list[Override]] = {}
    for shop_id, member_id, *override in rows:
        found.setdefault((shop_id, member_id), []).append(Override(*override))
    return found
