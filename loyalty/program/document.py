"""The program: a validated document that says how points are earned and what they lead to.

A published version never changes. `demo_program` is the program every new shop starts from.
"""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field, model_validator

from loyalty.program.earning import Activity, Bonus, JoiningRule, OrderRule, Review
from loyalty.program.ladder import Ladder, Tier
from loyalty.program.parts import Key, Name, Part
from loyalty.program.spending import Reward

# What the ledger itself writes as a posting's rule.
RESERVED = frozenset({"adjustment", "merge", "gift", "redeem", "expiry", "entry-gift", "referral"})


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is not a time zone such as Europe/Berlin")
    return name


class Expiry(Part):
    """When points expire: after so long without activity, or each so long after it was earned.

    Exactly one of `months` and `days`. A stricter policy takes nobody's points before `notice_days` after it came
    into force.
    """

    kind: Literal["inactivity", "lot"] = "inactivity"
    months: Annotated[int, Field(ge=1, le=120)] | None = None
    days: Annotated[int, Field(ge=30, le=3650)] | None = None
    notice_days: Annotated[int, Field(ge=30, le=365)] = 30

    @model_validator(mode="after")
    def lasts_one_time(self) -> Self:
        if (self.months is None) == (self.days is None):
            raise ValueError("give either months or days")
        return self


class Referral(Part):
    """Give-get, in minor units: what the friend gets on a first order of at least the minimum, and the referrer."""

    friend_amount: int = 1000
    friend_minimum: int = 3000
    referrer_amount: int = 1000


class Program(Part):
    """One version of a shop's program."""

    name: Name
    # The shop's clock: days of limits, campaigns, birthdays and calendar years follow it.
    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    orders: OrderRule = OrderRule()
    bonuses: Annotated[tuple[Bonus, ...], Field(max_length=100)] = ()
    # Where several bonuses match a line: only the one that brings most, or all of them added.
    stacking: Literal["best", "stack"] = "best"
    joining: JoiningRule = JoiningRule()
    activities: Annotated[tuple[Activity, ...], Field(max_length=100)] = ()
    ladder: Ladder
    rewards: Annotated[tuple[Reward, ...], Field(max_length=100)] = ()
    referral: Referral = Referral()
    # Null means that points never expire.
    expiry: Expiry | None = Expiry(days=365)
    # What happens when points that were already spent are clawed back.
    clawback: Literal["negative", "clamp"] = "negative"
    # Whether the points of a reward come back when the order it was used on is cancelled or refunded in full.
    reward_refunds: Literal["keep", "return"] = "return"

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
        _check_unique("earn rule", self.earn_keys)
        _check_unique("reward", [reward.key for reward in self.rewards])
        for key in self.earn_keys:
            if key in RESERVED:
                raise ValueError(f"the key {key!r} has a meaning of its own: choose another")
        return self

    @model_validator(mode="after")
    def names_its_own_tiers(self) -> Self:
        known = {tier.key for tier in self.ladder.tiers}
        for part in (self.orders, *self.bonuses, *self.activities, *self.rewards):
            for key in part.tiers:
                if key not in known:
                    raise ValueError(f"{part.key} is for the tier {key!r}, which the ladder does not have")
        return self

    @model_validator(mode="after")
    def has_one_of_each_that_comes_round(self) -> Self:
        alone = Counter(a.kind for a in self.activities if a.kind in ("birthday", "anniversary", "newsletter", "sms"))
        for kind, count in alone.items():
            if count > 1:
                raise ValueError(f"there can be one {kind} rule only")
        if sum(isinstance(activity, Review) for activity in self.activities) > 1:
            raise ValueError("there can be one review rule only")
        return self

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


def _check_unique(what: str, keys: Iterable[str]) -> None:
    for key, count in Counter(keys).items():
        if count > 1:
            raise ValueError(f"every {what} needs a key of its own: {key!r} is used {count} times")


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
