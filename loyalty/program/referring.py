"""What bringing a friend brings, to both of them."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from core.i18n import N_
from loyalty.program.parts import Award, Contradiction, Key, Money, Name, Part, Text, Whole, check_keys
from loyalty.program.spending import Percentage

BenefitKind = Literal["none", "amount_off", "percentage", "free_shipping", "points", "store_credit", "commission"]
# What each kind must say besides its name.
_SAYS: dict[str, tuple[str, ...]] = {
    "amount_off": ("amount",),
    "percentage": ("percentage",),
    "points": ("points",),
    "store_credit": ("amount",),
}
# What else says how much, and has no meaning beside another kind.
_ONLY_FOR: dict[str, tuple[str, ...]] = {
    "amount": ("amount_off", "store_credit", "commission"),
    "percentage": ("percentage", "commission"),
    "points": ("points",),
}
MOST_SCORE = 100
Score = Annotated[Whole, Field(ge=1, le=MOST_SCORE)]


class Benefit(Part):
    """What one side gets. Discounts become a code for one use.

    A commission is cash: `percentage` of what the friend's order counts for, or `amount` for each friend.
    """

    kind: BenefitKind
    """What it is."""
    amount: Money = 0
    """What is off, credited or paid, in minor units."""
    percentage: Percentage | None = None
    """How much is off, or the share of the order that is paid, in percent."""
    points: Award | None = None
    """How many points it brings."""
    minimum_order: Money = 0
    """The least an order must be worth to use its code, in minor units."""
    valid_days: Annotated[Whole, Field(ge=1, le=3660)] | None = None
    """Days in which its code must be used; null means it keeps."""

    @model_validator(mode="after")
    def says_how_much(self) -> Self:
        for field in _SAYS.get(self.kind, ()):
            if not getattr(self, field):
                raise Contradiction(N_("%(field)s is missing: say how much it brings."), field)
        if self.kind == "commission" and bool(self.amount) == bool(self.percentage):
            raise Contradiction(N_("%(field)s must be a commission of either an amount or a percentage."), "amount")
        for field, kinds in _ONLY_FOR.items():
            if self.kind not in kinds and getattr(self, field):
                raise Contradiction(N_("%(field)s has no meaning for the kind '%(kind)s'."), field, kind=self.kind)
        return self


class TierBenefit(Part):
    """What members of one tier get for a friend."""

    tier: Key
    """The tier's key."""
    referrer: Benefit
    """What they get in place of what others get."""


class Milestone(Part):
    """Something more for the so-maniest friend."""

    friends: Annotated[Whole, Field(ge=1, le=10_000)]
    """For which friend."""
    benefit: Benefit
    """What it brings, beside what the friend brings."""


class Partnership(Part):
    """Terms for people who bring customers without being customers like others: their own rates and landing page."""

    key: Key
    """What it is called over the API. It must never change its meaning."""
    name: Name
    """What the merchant calls it."""
    kind: Literal["influencer", "affiliate", "employee", "partner"]
    """Who they are."""
    friend: Benefit
    """What the friend gets on a first order."""
    friend_minimum: Money = 0
    """The least that order must be worth, in minor units."""
    referrer: Benefit
    """What they get for each friend."""
    every_order: bool = False
    """Whether every order with their code counts, not only a friend's first."""
    landing_title: Text = ""
    """The headline of their friends' page; empty for the usual one."""
    landing_text: Text = ""
    """What that page says below it."""


class Referral(Part):
    """Give-get: what a friend gets on a first order of at least the minimum, and what the referrer gets for it.

    The referrer's side comes when that order is paid and the holding days are over.
    """

    enabled: bool = True
    """Whether members can bring friends."""
    friend: Benefit = Benefit(kind="amount_off", amount=1000)
    """What the friend gets on the first order."""
    friend_minimum: Money = 3000
    """The least that order must be worth, in minor units, before the friend's own discount."""
    referrer: Benefit = Benefit(kind="amount_off", amount=1000)
    """What the referrer gets for a friend."""
    tiers: Annotated[tuple[TierBenefit, ...], Field(max_length=20)] = ()
    """What members of some tiers get instead."""
    milestones: Annotated[tuple[Milestone, ...], Field(max_length=20)] = ()
    """What some friends bring on top: the fifth, the tenth."""
    holding_days: Annotated[Whole, Field(ge=0, le=180)] = 0
    """Days after payment before the referrer's side comes; a cancelled or refunded order brings nothing."""
    window_days: Annotated[Whole, Field(ge=1, le=365)] = 30
    """How long after a friend's last click or claim an order still counts for the referrer."""
    monthly_limit: Annotated[Whole, Field(ge=1, le=100_000)] | None = None
    """For how many friends a month a member is rewarded; null means no end."""
    clawback: bool = True
    """Whether the referrer's side is taken back when the order is refunded after it came."""
    review_score: Score = 40
    """From which score of the fraud checks on a referral waits for a person."""
    block_score: Score = 80
    """From which score on it is refused."""
    minimum_payout: Money = 2500
    """The least commission that is paid out, in minor units."""
    partnerships: Annotated[tuple[Partnership, ...], Field(max_length=50)] = ()
    """Terms for influencers, employees and partners."""

    @model_validator(mode="before")
    @classmethod
    def _of_old(cls, given: Any) -> Any:
        """Versions published before there were kinds of benefits hold two amounts off."""
        if not isinstance(given, dict) or not {"friend_amount", "referrer_amount"} & given.keys():
            return given
        sides = {"friend_amount": "friend", "referrer_amount": "referrer"}
        kept = {name: value for name, value in given.items() if name not in sides}
        return kept | {side: _amount_off(given[name]) for name, side in sides.items() if name in given}

    @model_validator(mode="after")
    def makes_sense(self) -> Self:
        if self.friend.kind == "commission":
            raise Contradiction(
                N_("%(field)s must not be a commission: friends are thanked in the shop."), "friend", "kind"
            )
        if self.review_score > self.block_score:
            raise Contradiction(N_("%(field)s must not be above the score that is refused."), "review_score")
        for place, held in enumerate(self.partnerships):
            if held.friend.kind == "commission":
                path = ("partnerships", place, "friend", "kind")
                raise Contradiction(N_("%(field)s must not be a commission: friends are thanked in the shop."), *path)
        check_keys([("partnerships", place, held.key) for place, held in enumerate(self.partnerships)])
        _check_once("tiers", "tier", [held.tier for held in self.tiers])
        _check_once("milestones", "friends", [held.friends for held in self.milestones])
        return self

    def for_referrer(self, tier: Key | None) -> Benefit:
        """What a member of this tier gets for a friend."""
        return next((held.referrer for held in self.tiers if held.tier == tier), self.referrer)

    def partnership(self, key: Key) -> Partnership | None:
        """The terms with this key."""
        return next((held for held in self.partnerships if held.key == key), None)


def _check_once(part: str, field: str, values: Sequence[str | int]) -> None:
    for place, value in enumerate(values):
        if value in values[:place]:
            raise Contradiction(N_("%(field)s must not be %(value)s twice."), part, place, field, value=repr(value))


def _amount_off(amount: Any) -> dict[str, Any]:
    return {"kind": "amount_off", "amount": amount} if amount else {"kind": "none"}
