"""The program: a validated document that says how points are earned and what they lead to.

A published version never changes. `demo_program` is the program every new shop starts from.
"""

import functools
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field, model_validator

from core.i18n import N_
from loyalty.program.earning import Activity, Bonus, JoiningRule, OrderRule
from loyalty.program.ladder import Ladder, Tier
from loyalty.program.parts import Contradiction, Key, Name, Part, Whole, check_keys
from loyalty.program.referring import Referral
from loyalty.program.spending import Reward

# What the ledger itself writes as a posting's rule.
RESERVED = frozenset({"adjustment", "merge", "gift", "redeem", "expiry", "entry-gift", "referral"})
# Activities of which two would earn for one and the same thing.
ALONE = frozenset({"birthday", "anniversary", "newsletter", "sms", "review", "nps"})


@functools.cache
def time_zones() -> frozenset[str]:
    """Every time zone there is; listing them reads hundreds of files."""
    return frozenset(available_timezones())


def _known_zone(name: str) -> str:
    if name not in time_zones():
        raise Contradiction(N_("%(field)s must be a time zone, such as Europe/Berlin."))
    return name


class Expiry(Part):
    """When points expire: after so long without activity, or each so long after it was earned.

    Exactly one of `months` and `days`. A stricter policy takes nobody's points before `notice_days` after it came
    into force.
    """

    kind: Literal["inactivity", "lot"] = "inactivity"
    """Whether all points expire after a time without activity, or each lot so long after it was earned."""
    months: Annotated[Whole, Field(ge=1, le=120)] | None = None
    """How long points keep, in calendar months."""
    days: Annotated[Whole, Field(ge=30, le=3650)] | None = None
    """How long points keep, in days."""
    notice_days: Annotated[Whole, Field(ge=30, le=365)] = 30
    """How many days a stricter policy is announced before it takes anybody's points."""

    @model_validator(mode="after")
    def lasts_one_time(self) -> Self:
        if (self.months is None) == (self.days is None):
            raise Contradiction(N_("%(field)s must have either months or days."))
        return self


class Program(Part):
    """One version of a shop's program."""

    name: Name
    """What the program is called."""
    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    """The shop's clock: days of limits, campaigns, birthdays and calendar years follow it."""
    orders: OrderRule = OrderRule()
    """Points for orders."""
    bonuses: Annotated[tuple[Bonus, ...], Field(max_length=100)] = ()
    """More points for some orders; campaigns, too."""
    stacking: Literal["best", "stack"] = "best"
    """Where several bonuses match a line: only the one that brings most, or all of them added."""
    joining: JoiningRule = JoiningRule()
    """Points for becoming a member."""
    activities: Annotated[tuple[Activity, ...], Field(max_length=100)] = ()
    """What earns points beside buying."""
    ladder: Ladder
    """The tiers, and how members climb and fall."""
    rewards: Annotated[tuple[Reward, ...], Field(max_length=100)] = ()
    """What points buy."""
    referral: Referral = Referral()
    """What bringing a friend brings."""
    expiry: Expiry | None = Expiry(days=365)
    """When points expire; null means never."""
    clawback: Literal["negative", "clamp"] = "negative"
    """When points that were spent already are taken back: the balance goes below zero, or stops at zero."""
    reward_refunds: Literal["keep", "return"] = "return"
    """Whether the points of a reward come back when its order is cancelled or refunded in full."""

    @model_validator(mode="before")
    @classmethod
    def _of_old(cls, given: Any) -> Any:
        """Versions published before there were kinds of expiry hold `expiry_days`."""
        if isinstance(given, dict) and "expiry_days" in given:
            days = given["expiry_days"]
            given = {name: value for name, value in given.items() if name != "expiry_days"}
            given["expiry"] = None if days is None else {"kind": "inactivity", "days": days}
        return given

    @model_validator(mode="after")
    def keys_are_unique(self) -> Self:
        rules = [("orders", self.orders.key), ("joining", self.joining.key), *_placed("bonuses", self.bonuses)]
        check_keys([*rules, *_placed("activities", self.activities)])
        check_keys(_placed("rewards", self.rewards))
        for *path, key in (*rules, *_placed("activities", self.activities)):
            if key in RESERVED:
                message = N_("%(field)s must not be '%(key)s', which has a meaning of its own.")
                raise Contradiction(message, *path, "key", key=key)
        return self

    @model_validator(mode="after")
    def names_its_own_tiers(self) -> Self:
        known = {tier.key for tier in self.ladder.tiers}
        for path, part in self._parts():
            for key in part.tiers:
                if key not in known:
                    message = N_("%(field)s must be tiers of the ladder, which has no '%(key)s'.")
                    raise Contradiction(message, *path, "tiers", key=key)
        for place, held in enumerate(self.referral.tiers):
            if held.tier not in known:
                path = ("referral", "tiers", place, "tier")
                raise Contradiction(
                    N_("%(field)s must be a tier of the ladder, which has no '%(key)s'."), *path, key=held.tier
                )
        return self

    @model_validator(mode="after")
    def has_one_of_each_that_comes_round(self) -> Self:
        seen: set[str] = set()
        for place, activity in enumerate(self.activities):
            if activity.kind in seen & ALONE:
                message = N_("%(field)s must not be '%(kind)s' twice: one such rule is all.")
                raise Contradiction(message, "activities", place, kind=activity.kind)
            seen.add(activity.kind)
        return self

    def _parts(self) -> Iterator[tuple[tuple[str | int, ...], OrderRule | Bonus | Activity | Reward]]:
        """Everything that may be for some tiers only, with the path to it."""
        yield ("orders",), self.orders
        for name in ("bonuses", "activities", "rewards"):
            for place, part in enumerate(getattr(self, name)):
                yield (name, place), part

    @property
    def earn_keys(self) -> list[str]:
        """The keys of all earn rules."""
        return [self.orders.key, self.joining.key, *(rule.key for rule in (*self.bonuses, *self.activities))]

    @property
    def rate(self) -> Fraction:
        return Fraction(self.orders.points_per_unit)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def reward(self, key: Key) -> Reward | None:
        """The reward with this key."""
        return next((reward for reward in self.rewards if reward.key == key), None)

    def activity(self, key: Key) -> Activity | None:
        """The activity with this key."""
        return next((activity for activity in self.activities if activity.key == key), None)


def _placed(name: str, parts: Sequence[Bonus | Activity | Reward]) -> list[tuple[str | int, ...]]:
    """The path to each part, and last its key."""
    return [(name, place, part.key) for place, part in enumerate(parts)]


def demo_program(name: str = "Rewards") -> Program:
    """Insider, Advocate and Ambassador; a point per currency unit; the rewards of the demo shop."""
    return Program(
        name=name,
        ladder=Ladder(
            tiers=(
                Tier(key="insider", name="Insider", threshold=0, perks=("free-shipping",)),
                Tier(
                    key="advocate",
                    name="Advocate",
                    threshold=500_00,
                    multiplier=Decimal("1.25"),
                    perks=("free-shipping",),
                ),
                Tier(
                    key="ambassador",
                    name="Ambassador",
                    threshold=1500_00,
                    multiplier=Decimal("1.5"),
                    perks=("free-shipping", "early-access"),
                ),
            )
        ),
        rewards=(
            Reward(key="5-off", name="$5 off", cost=500, kind="amount_off", amount=500),
            Reward(key="10-off", name="$10 off", cost=1000, kind="amount_off", amount=1000),
            Reward(key="free-shipping", name="Free shipping", cost=300, kind="free_shipping"),
        ),
    )
