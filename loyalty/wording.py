"""What happened to points, in words: one English sentence or two for every posting and every order.

The words follow from the stored explanation alone, so an old posting reads the same for ever. Amounts come in minor
units, rates and multipliers as decimal text.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from babel.numbers import get_currency_name

from core.money import minor_digits, money_text
from loyalty.models import Posting
from loyalty.operations import signed_points
from loyalty.rules import HOLDING

Told = Mapping[str, Any]
TierNames = Mapping[str, str]

# Why an order earns nothing, as the first half of a sentence.
_BECAUSE = {
    "test_order": "{order} is a test",
    "deleted": "{order} was deleted",
    "cancelled": "{order} was cancelled",
    "voided": "The payment for {order} was voided",
    "expired": "The payment for {order} expired",
    "unknown_status": "{order} has a payment status we don't know",
    "before_start": "{order} was placed before the program began",
    "no_customer": "{order} has no customer",
    "nothing_eligible": "Nothing in {order} counts",
    "below_one_point": "{order} comes to less than one point",
}
_NOT_YET = {
    "guest_held": "{order} was placed without an account. Its points wait for whoever joins with that e-mail address.",
    "order_unknown": "Only a refund of {order} is known so far. It counts as soon as the order itself arrives.",
}


def sentence(posting: Posting, tier_names: TierNames = MappingProxyType({})) -> str:
    """Why the points of one posting came or went. `tier_names` holds the names of its program version by key."""
    told = posting.explanation
    if posting.kind == "release":
        return f"{_points(posting.points)} for {_order(told)} {_are(posting.points)} ready to use."
    if (posting.source, posting.target) == ("available", "pending"):
        waiting = "waits" if posting.points == 1 else "wait"
        return f"{_points(posting.points)} for {_order(told)} {waiting} until the payment is complete."
    return _TELLERS.get(told.get("reason", ""), _plain)(posting, told, tier_names)


def order_text(name: str, reason: str | None, settled: Told | None, tier_names: TierNames) -> str:
    """Why an order earned what it did: `settled` is its latest explanation, `reason` the code of why it earns nothing.

    Codes are those of `loyalty.rules.refusal` and `loyalty.queries.not_earning`.
    """
    if reason is None:
        return earned_text((settled or {}).get("points", 0), settled or {}, tier_names)
    order = f"order {name}"
    if reason in _NOT_YET:
        return _capital(_NOT_YET[reason].format(order=order))
    return f"{_because(reason, order)}, so it earns nothing."


def earned_text(points: int, told: Told, tier_names: TierNames) -> str:
    """What an order earned, with the arithmetic: amount, rate, multiplier and the one rounding."""
    waits = " Yours to use once the order is paid." if told.get("status") in HOLDING else ""
    return f"{_points(points)} for {_order(told)}. {_arithmetic(told, tier_names)}{waits}"


def _earned(posting: Posting, told: Told, tier_names: TierNames) -> str:
    text = earned_text(posting.points, told, tier_names)
    if posting.target == "pending" and told.get("status") not in HOLDING:
        return text + " Yours to use after the waiting time."
    return text


def _arithmetic(told: Told, tier_names: TierNames) -> str:
    """$80.00 at 1 point per dollar, × 1.25 because you're an Advocate."""
    currency, rate, multiplier = told["currency"], told["rate"], told["multiplier"]
    parts = [f"{money_text(told['eligible'], currency)} at {rate} {_noun(rate)} per {_unit(currency)}"]
    if multiplier != "1":
        parts.append(f"× {multiplier} because you're {_article(_tier(told, tier_names))}")
    exact = Fraction(told["eligible"], 10 ** minor_digits(currency)) * Fraction(rate) * Fraction(multiplier)
    if exact.denominator != 1:
        parts.append("rounded down")
    return ", ".join(parts) + "."


def _refunded(posting: Posting, told: Told, _: TierNames) -> str:
    this_time = told["refunded"] - told.get("refunded_before", 0)
    amount = money_text(this_time, told["currency"])
    return f"{amount} of {_order(told)} was refunded, so {_went_back(posting.points)}."


def _merged(posting: Posting, told: Told, _: TierNames) -> str:
    points = _points(posting.points)
    return f"{points} came along" + (" from your other account." if _signed(posting) > 0 else " to your other account.")


def _edited(posting: Posting, told: Told, _: TierNames) -> str:
    change = f"{_capital(_order(told))} was changed and now counts {money_text(told['eligible'], told['currency'])}"
    return f"{change}, so {_came_or_went(posting)}."


def _other_tier(posting: Posting, told: Told, tier_names: TierNames) -> str:
    held = f"You were {_article(_tier(told, tier_names))} when you placed {_order(told)}"
    return f"{held}, so it counts × {told['multiplier']} and {_came_or_went(posting)}."


def _refused(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{_because(told['reason'], _order(told))}, so {_came_or_went(posting)}."


def _moved(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{_capital(_order(told))} belongs to another account now, and its {_points(posting.points)} went with it."


def _forgiven(posting: Posting, told: Told, _: TierNames) -> str:
    were = "was" if posting.points == 1 else "were"
    return f"{_points(posting.points)} for {_order(told)} {were} spent already, so you keep what you got for them."


def _joined(posting: Posting, _: Told, __: TierNames) -> str:
    return f"{_points(posting.points)} for joining."


def _adjusted(posting: Posting, told: Told, _: TierNames) -> str:
    done = "added by" if _signed(posting) > 0 else "taken off by"
    given = str(told.get("reason_given", "")).strip()
    end = "" if given.endswith((".", "!", "?", "…")) else "."
    return f"{_points(posting.points)} {done} the shop{': ' + given if given else ''}{end}"


def _plain(posting: Posting, told: Told, _: TierNames) -> str:
    on = f" for {_order(told)}" if told.get("order") else ""
    return f"{_capital(_came_or_went(posting))}{on}."


_Teller = Callable[[Posting, Told, TierNames], str]
_TELLERS: dict[str, _Teller] = {
    "earned": _earned,
    "refund": _refunded,
    "edit": _edited,
    "tier": _other_tier,
    "moved_to_other_member": _moved,
    "spent_points_forgiven": _forgiven,
    "joined": _joined,
    "adjusted": _adjusted,
    "merged": _merged,
    **dict.fromkeys(_BECAUSE, _refused),
}


def _because(reason: str, order: str) -> str:
    return _capital(_BECAUSE.get(reason, "{order} does not count").format(order=order))


def _came_or_went(posting: Posting) -> str:
    return f"{_points(posting.points)} came in" if _signed(posting) > 0 else _went_back(posting.points)


def _went_back(points: int) -> str:
    return f"{_points(points)} went back"


def _signed(posting: Posting) -> int:
    return signed_points(posting.source, posting.target, posting.points)


def _points(points: int) -> str:
    return f"{points:,} {_noun(str(points))}"


def _noun(number: str) -> str:
    return "point" if number == "1" else "points"


def _are(points: int) -> str:
    return "is" if points == 1 else "are"


def _order(told: Told) -> str:
    return f"order {told['order']}" if told.get("order") else "an order"


def _tier(told: Told, tier_names: TierNames) -> str:
    key = str(told.get("tier") or "")
    return tier_names.get(key) or key.replace("-", " ").title()


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in tuple('aeiou') else 'a'} {name}"


def _unit(currency: str) -> str:
    """What people call one unit: "dollar" for USD and CAD, "euro" for EUR. CLDR says "Canadian dollar"."""
    name = get_currency_name(currency, count=1, locale="en_US")
    return name.split(" (")[0].rsplit(" ", 1)[-1]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
