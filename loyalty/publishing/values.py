"""Values of a program in words: money, points, moments and choices as a merchant reads them. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from babel.dates import format_interval

from core.i18n import (
    ENGLISH,
    N_,
    _,
    day,
    decimal,
    language,
    listed,
    locale,
    money,
    ngettext,
    number,
    percent,
    points,
)
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
    "keep": N_("as much as to enter"),
    "multiplier": N_("none"),
    "order_number": N_("any"),
    "starts_at": N_("no start"),
    "url": N_("none"),
    "monthly_limit": N_("any number of friends"),
    "landing_title": N_("the usual one"),
}
# What an empty list means, where it is not "none".
_EMPTY = {"tiers": N_("all"), "choices": N_("any words")}
_NONE, _NO_END, _FROM_TO = N_("none"), N_("no end"), N_("%(start)s to %(end)s")
# Fields whose text is a choice; other texts are the merchant's own words.
_CHOSEN = frozenset({"metric", "period", "demotion", "available", "stacking", "kind", "per", "channel", "action"})
_CHOICES = {
    "eligible_spend": N_("money spent"),
    "points": N_("points earned"),
    "orders": N_("orders"),
    "rolling": N_("the last days"),
    "calendar_year": N_("the calendar year"),
    "membership_year": N_("the year of membership"),
    "lifetime": N_("all that ever was"),
    "one_step": N_("one tier down"),
    "earned": N_("the tier they have earned"),
    "any": N_("anywhere"),
    "online": N_("online"),
    "pos": N_("point of sale"),
    "both": N_("online and point of sale"),
    "item": N_("each item"),
    "order": N_("each order"),
    "follow": N_("following"),
    "share": N_("sharing"),
    "amount_off": N_("an amount off"),
    "percentage": N_("a percentage off"),
    "free_shipping": N_("free shipping"),
    "free_product": N_("a free product"),
    "store_credit": N_("store credit"),
    "gift_card": N_("a gift card"),
    "variable": N_("an amount of the member’s choice"),
    "custom": N_("something of your own"),
    "inactivity": N_("without activity"),
    "lot": N_("each after it was earned"),
    "influencer": N_("influencers"),
    "affiliate": N_("affiliates"),
    "employee": N_("employees"),
    "partner": N_("partners"),
    "birthday": N_("birthday"),
    "anniversary": N_("anniversary"),
    "newsletter": N_("newsletter"),
    "sms": N_("text messages"),
    "social": N_("social networks"),
    "review": N_("review"),
    "community": N_("community"),
    "nps": N_("recommendation"),
}
# Lists of choices.
_LISTED = {
    "perks": {"free-shipping": N_("free shipping"), "early-access": N_("early access")},
    "combines_with": {
        "order": N_("discounts on orders"),
        "product": N_("discounts on products"),
        "shipping": N_("discounts on shipping"),
    },
}


@dataclass(frozen=True)
class Voice:
    """How one program's values are spoken: in the shop's currency, on its clock, by its ladder's metric."""

    program: Program
    currency: str

    def says(self, field: str, value: Any) -> str:
        """The value of a field in words."""
        if value is None or value == "":
            return _(_NOTHING.get(field) or (_NO_END if value is None else _NONE))
        if isinstance(value, Benefit):
            return self.benefit(value)
        if isinstance(value, bool):
            return _("yes") if value else _("no")
        if isinstance(value, int):
            return self._number(field, value)
        if isinstance(value, datetime):
            return self.moment(value)
        if isinstance(value, Decimal):
            return percent(value) if field == "percentage" else decimal(value.normalize())
        if isinstance(value, str):
            return _(_CHOICES[value]) if field in _CHOSEN and value in _CHOICES else value
        return self._list(field, value)

    def benefit(self, benefit: Benefit) -> str:
        """What one side gets for a friend, with what its code asks for."""
        told = (benefit_text(benefit, self.currency), conditions_text(benefit, self.currency))
        return _("%(before)s %(then)s", before=told[0], then=told[1]) if told[1] else told[0]

    def _number(self, field: str, value: int) -> str:
        if field in _MEASURED:
            return self.measured(value)
        if field in _MONEY:
            return money(value, self.currency)
        if field in _POINTS:
            return points(value)
        if field == "monthly_limit":
            return friends_text(value)
        return days_text(value) if field in _DAYS else number(value)

    def measured(self, value: int) -> str:
        """What counts for tiers, in the ladder's metric."""
        metric = self.program.ladder.metric
        if metric == "eligible_spend":
            return money(value, self.currency)
        return points(value) if metric == "points" else orders_text(value)

    def _list(self, field: str, values: Collection[Any]) -> str:
        if not values:
            return _(_EMPTY.get(field, _NONE))
        if field == "tiers":
            names = {tier.key: tier.name for tier in self.program.ladder.tiers}
            return listed([names.get(key, key) for key in values])
        words = _LISTED.get(field, {})
        return listed([_(words[one]) if one in words else one for one in sorted(map(str, values))])

    def local(self, moment: datetime) -> datetime:
        """The moment on the shop's clock, without an offset."""
        return (moment.astimezone(self.program.zone) if moment.tzinfo else moment).replace(tzinfo=None)

    def moment(self, moment: datetime) -> str:
        """A moment on the shop's clock; midnight is not spelt out."""
        local = self.local(moment)
        return day(local) if local.time() == time() else _("%(day)s, %(time)s", day=day(local), time=f"{local:%H:%M}")

    def span(self, starts_at: datetime | None, ends_at: datetime | None) -> str:
        """From when to when: "27–30 November 2026". A span that ends at midnight ends with the day before."""
        if starts_at is None or ends_at is None:
            if starts_at:
                return _("from %(start)s", start=self.moment(starts_at))
            return _("until %(end)s", end=self.moment(ends_at)) if ends_at else ""
        first, end = self.local(starts_at), self.local(ends_at)
        if first.time() != time() or end.time() != time():
            return _(_FROM_TO, start=self.moment(starts_at), end=self.moment(ends_at))
        last = end - timedelta(days=1)
        if (first.year, first.month) != (last.year, last.month):
            return _(_FROM_TO, start=day(first), end=day(last))
        if first == last or language() == ENGLISH:
            return day(first) if first == last else f"{first.day}–{day(last)}"
        return str(format_interval(first.date(), last.date(), "yMMMMd", locale=locale()))


def days_text(count: int) -> str:
    """ "1 day", "1,000 days"."""
    return ngettext("%(num)s day", "%(num)s days", count)


def orders_text(count: int) -> str:
    """ "1 order", "12 orders"."""
    return ngettext("%(num)s order", "%(num)s orders", count)


def friends_text(count: int) -> str:
    """ "1 friend", "3 friends"."""
    return ngettext("%(num)s friend", "%(num)s friends", count)
