"""Values of a program in words: money, points, moments and choices as a merchant reads them. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from core.i18n import percent
from core.money import money_text
from loyalty.program import Benefit, Program
from loyalty.wording.benefits import benefit_text, conditions_text

_MONEY = frozenset({"amount", "maximum", "minimum_order", "minimum_spend", "friend_minimum", "minimum_payout"})
_POINTS = frozenset(
    {"points", "photo_points", "cost", "step", "most_points", "entry_gift", "points_per_day", "points_ever"}
)
_MEASURED = frozenset({"threshold", "keep"})
_DAYS = frozenset(
    {"waiting_days", "window_days", "grace_days", "valid_days", "days_before", "every_days", "holding_days"}
)
_NOTHING = {
    "keep": "as much as to enter",
    "multiplier": "none",
    "order_number": "any",
    "starts_at": "no start",
    "url": "none",
    "monthly_limit": "any number of friends",
    "landing_title": "the usual one",
}
# What an empty list means, where it is not "none".
_EMPTY = {"tiers": "all", "choices": "any words"}
_CHOICES = {
    "eligible_spend": "money spent",
    "points": "points earned",
    "rolling": "the last days",
    "calendar_year": "the calendar year",
    "membership_year": "the year of membership",
    "lifetime": "all that ever was",
    "one_step": "one tier down",
    "earned": "the tier they have earned",
    "pos": "point of sale",
    "both": "online and point of sale",
    "best": "the best one only",
    "stack": "all of them",
}


@dataclass(frozen=True)
class Voice:
    """How one program's values are spoken: in the shop's currency, on its clock, by its ladder's metric."""

    program: Program
    currency: str

    def says(self, field: str, value: Any) -> str:
        """The value of a field in words."""
        if value is None or value == "":
            return _NOTHING.get(field, "no end" if value is None else "none")
        if isinstance(value, Benefit):
            return self.benefit(value)
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, int):
            return self._number(field, value)
        if isinstance(value, datetime):
            return self.moment(value)
        if isinstance(value, Decimal):
            return percent(value) if field == "percentage" else f"{value.normalize():f}"
        if isinstance(value, str):
            return _CHOICES.get(value, value.replace("_", " ") if value.islower() else value)
        return self._list(field, value)

    def benefit(self, benefit: Benefit) -> str:
        """What one side gets for a friend, with what its code asks for."""
        told = (benefit_text(benefit, self.currency), conditions_text(benefit, self.currency))
        return " ".join(filter(None, told))

    def _number(self, field: str, value: int) -> str:
        if field in _MEASURED:
            return self.measured(value)
        if field in _MONEY:
            return money_text(value, self.currency)
        if field in _POINTS:
            return counted(value, "point")
        if field == "monthly_limit":
            return counted(value, "friend")
        return counted(value, "day") if field in _DAYS else f"{value:,}"

    def measured(self, value: int) -> str:
        """What counts for tiers, in the ladder's metric."""
        metric = self.program.ladder.metric
        if metric == "eligible_spend":
            return money_text(value, self.currency)
        return counted(value, "point" if metric == "points" else "order")

    def _list(self, field: str, values: Collection[Any]) -> str:
        if not values:
            return _EMPTY.get(field, "none")
        if field == "tiers":
            names = {tier.key: tier.name for tier in self.program.ladder.tiers}
            return listed([names.get(key, key) for key in values])
        return listed(sorted(map(str, values)))

    def local(self, moment: datetime) -> datetime:
        """The moment on the shop's clock, without an offset."""
        return (moment.astimezone(self.program.zone) if moment.tzinfo else moment).replace(tzinfo=None)

    def moment(self, moment: datetime) -> str:
        """A moment on the shop's clock; midnight is not spelt out."""
        local = self.local(moment)
        return _day(local) if local.time() == time() else f"{_day(local)}, {local:%H:%M}"

    def span(self, starts_at: datetime | None, ends_at: datetime | None) -> str:
        """From when to when: "27–30 November 2026". A span that ends at midnight ends with the day before."""
        if starts_at is None or ends_at is None:
            edges = [f"from {self.moment(starts_at)}"] if starts_at else []
            return " ".join(edges + ([f"until {self.moment(ends_at)}"] if ends_at else []))
        first, end = self.local(starts_at), self.local(ends_at)
        if first.time() != time() or end.time() != time():
            return f"{self.moment(starts_at)} to {self.moment(ends_at)}"
        last = end - timedelta(days=1)
        if (first.year, first.month) != (last.year, last.month):
            return f"{_day(first)} to {_day(last)}"
        return _day(first) if first == last else f"{first.day}–{_day(last)}"


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def counted(number: int, thing: str) -> str:
    """ "1 point", "1,000 points"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def nth(number: int) -> str:
    """ "1st", "2nd", "13th"."""
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def listed(words: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
