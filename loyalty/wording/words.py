"""The small words that every sentence about points is made of."""

import functools
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from babel.numbers import get_currency_name

from core.i18n import ENGLISH, _, decimal, language, locale, ngettext, points, price
from core.money import minor_digits
from loyalty.models import Posting
from loyalty.operations import signed_points

Told = Mapping[str, Any]
TierNames = Mapping[str, str]
# A posting, its explanation and the tiers' names, made a sentence.
Teller = Callable[[Posting, Told, TierNames], str]


def so(why: str, moved: str) -> str:
    """A reason and what it did, as one sentence."""
    return capital(_("%(why)s, so %(moved)s.", why=why, moved=moved))


def came_or_went(posting: Posting) -> str:
    if signed(posting) > 0:
        return _("%(points)s came in", points=points(posting.points))
    return went_back(posting.points)


def went_back(taken: int) -> str:
    return _("%(points)s went back", points=points(taken))


def signed(posting: Posting) -> int:
    return signed_points(posting.source, posting.target, posting.points)


def points_of(text: str) -> str:
    """Points that may be a fraction, from their decimal text: "0.5 points"."""
    value = Decimal(text)
    # A fraction takes the form of one, as in French, or the last.
    form = int(value) if value == int(value) else 1 if locale().plural_form(value) == "one" else 100
    return ngettext("%(num)s point", "%(num)s points", form, num=decimal(value))


def order_name(told: Told) -> str:
    return _("order %(name)s", name=told["order"]) if told.get("order") else _("an order")


def tier_name(told: Told, tier_names: TierNames) -> str:
    key = str(told.get("tier") or "")
    return tier_names.get(key) or key.replace("-", " ").title()


def a_tier(told: Told, tier_names: TierNames) -> str:
    """ "an Advocate" in English; what other languages put before a name, their sentences do."""
    name = tier_name(told, tier_names)
    return name if language() != ENGLISH else f"{'an' if name[:1].lower() in tuple('aeiou') else 'a'} {name}"


def unit(currency: str) -> str:
    """What people call one unit: "dollar" for USD and CAD, where CLDR says "Canadian dollar"; elsewhere "1 €"."""
    if language() != ENGLISH:
        return price(10 ** minor_digits(currency), currency)
    name = get_currency_name(currency, count=1, locale="en_US")
    return name.split(" (")[0].rsplit(" ", 1)[-1]


def sentences(*said: str) -> str:
    """Whole sentences, one after the other; empty ones are none."""
    return functools.reduce(lambda before, then: _("%(before)s %(then)s", before=before, then=then), filter(None, said))


def steps(said: list[str]) -> str:
    """Steps of one thought, with commas between them."""
    return functools.reduce(lambda before, then: _("%(before)s, %(then)s", before=before, then=then), said)


def ended(words: str) -> str:
    """Somebody's words, as a sentence that ends."""
    return words if words.endswith((".", "!", "?", "…", "。", "！", "？", "؟")) else _("%(words)s.", words=words)


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
