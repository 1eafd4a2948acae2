"""The small words that every sentence about points is made of."""

from collections.abc import Callable, Mapping
from typing import Any

from babel.numbers import get_currency_name

from loyalty.models import Posting
from loyalty.operations import signed_points

Told = Mapping[str, Any]
TierNames = Mapping[str, str]
# A posting, its explanation and the tiers' names, made a sentence.
Teller = Callable[[Posting, Told, TierNames], str]


def came_or_went(posting: Posting) -> str:
    return f"{points_text(posting.points)} came in" if signed(posting) > 0 else went_back(posting.points)


def went_back(points: int) -> str:
    return f"{points_text(points)} went back"


def signed(posting: Posting) -> int:
    return signed_points(posting.source, posting.target, posting.points)


def points_text(points: int) -> str:
    return f"{points:,} {noun(str(points))}"


def noun(number: str) -> str:
    return "point" if number == "1" else "points"


def are(points: int) -> str:
    return "is" if points == 1 else "are"


def order_name(told: Told) -> str:
    return f"order {told['order']}" if told.get("order") else "an order"


def tier_name(told: Told, tier_names: TierNames) -> str:
    key = str(told.get("tier") or "")
    return tier_names.get(key) or key.replace("-", " ").title()


def article(name: str) -> str:
    return f"{'an' if name[:1].lower() in tuple('aeiou') else 'a'} {name}"


def unit(currency: str) -> str:
    """What people call one unit: "dollar" for USD and CAD, "euro" for EUR. CLDR says "Canadian dollar"."""
    name = get_currency_name(currency, count=1, locale="en_US")
    return name.split(" (")[0].rsplit(" ", 1)[-1]


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
