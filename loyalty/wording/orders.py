"""What orders earned, and why it changed, in words."""

from datetime import datetime
from fractions import Fraction

from babel.dates import format_date

from core.money import minor_digits, money_text
from loyalty.models import Posting
from loyalty.rules import HOLDING
from loyalty.wording.words import (
    Teller,
    TierNames,
    Told,
    article,
    came_or_went,
    capital,
    noun,
    order_name,
    points_text,
    signed,
    tier_name,
    unit,
    went_back,
)

# Why an order earns nothing, as the first half of a sentence.
_BECAUSE = {
    "test_order": "{order} is a test",
    "deleted": "{order} was deleted",
    "cancelled": "{order} was cancelled",
    "voided": "The payment for {order} was voided",
    "expired": "The payment for {order} expired",
    "unknown_status": "{order} has a payment status we don't know",
    "before_start": "{order} was placed before the program began",
    "after_end": "{order} was placed after points for orders ended",
    "not_this_tier": "Points for orders are for other tiers than yours was when {order} was placed",
    "no_customer": "{order} has no customer",
    "nothing_eligible": "Nothing in {order} counts",
    "below_one_point": "{order} comes to less than one point",
}
_NOT_YET = {
    "guest_held": "{order} was placed without an account. Its points wait for whoever joins with that e-mail address.",
    "order_unknown": "Only a refund of {order} is known so far. It counts as soon as the order itself arrives.",
}


def order_text(name: str, reason: str | None, settled: Told | None, tier_names: TierNames) -> str:
    """Why an order earned what it did: `settled` is its latest explanation, `reason` the code of why it earns nothing.

    Codes are those of `loyalty.rules.refusal` and `loyalty.queries.not_earning`.
    """
    if reason is None:
        return earned_text((settled or {}).get("points", 0), settled or {}, tier_names)
    order = f"order {name}"
    if reason in _NOT_YET:
        return capital(_NOT_YET[reason].format(order=order))
    return f"{_because(reason, order)}, so it earns nothing."


def earned_text(points: int, told: Told, tier_names: TierNames) -> str:
    """What an order earned, with the arithmetic: amount, rate, multiplier, bonuses and the one rounding."""
    return f"{points_text(points)} for {order_name(told)}. {_arithmetic(told, tier_names)}{_waiting(told)}"


def _earned(posting: Posting, told: Told, tier_names: TierNames) -> str:
    text = earned_text(posting.points, told, tier_names)
    if posting.target == "pending" and not _waiting(told):
        return text + " Yours to use after the waiting time."
    return text


def _waiting(told: Told) -> str:
    """When points that are not available yet will be."""
    if told.get("available_at"):
        day = format_date(datetime.fromisoformat(told["available_at"]), "d MMMM y", locale="en")
        return f" Yours to use from {day}."
    return _WAITING.get(told.get("waits") or ("payment" if told.get("status") in HOLDING else ""), "")


_WAITING = {
    "payment": " Yours to use once the order is paid.",
    "fulfilment": " Yours to use once the order has been sent.",
}


def _arithmetic(told: Told, tier_names: TierNames) -> str:
    """$80.00 at 1 point per dollar, × 1.25 because you're an Advocate, plus 50 points for Double points weekend."""
    currency, rate, multiplier = told["currency"], told["rate"], told["multiplier"]
    parts = [f"{money_text(told['eligible'], currency)} at {rate} {noun(rate)} per {unit(currency)}"]
    if multiplier != "1":
        parts.append(f"× {multiplier} because you're {article(tier_name(told, tier_names))}")
    exact = Fraction(told["eligible"], 10 ** minor_digits(currency)) * Fraction(rate) * Fraction(multiplier)
    if "limited_to" in told:
        exact = Fraction(told["limited_to"])
        parts.append(f"of which your limit leaves {points_text(told['limited_to'])}")
    for bonus in told.get("bonuses", ()):
        exact += Fraction(bonus["points"])
        parts.append(f"plus {bonus['points']} {noun(bonus['points'])} for {bonus['name']}")
    if exact.denominator != 1:
        parts.append("rounded down")
    return ", ".join(parts) + "."


def _refunded(posting: Posting, told: Told, _: TierNames) -> str:
    this_time = told["refunded"] - told.get("refunded_before", 0)
    amount = money_text(this_time, told["currency"])
    return f"{amount} of {order_name(told)} was refunded, so {went_back(posting.points)}."


def _merged(posting: Posting, told: Told, _: TierNames) -> str:
    points = points_text(posting.points)
    return f"{points} came along" + (" from your other account." if signed(posting) > 0 else " to your other account.")


def _edited(posting: Posting, told: Told, _: TierNames) -> str:
    change = f"{capital(order_name(told))} was changed and now counts {money_text(told['eligible'], told['currency'])}"
    return f"{change}, so {came_or_went(posting)}."


def _other_tier(posting: Posting, told: Told, tier_names: TierNames) -> str:
    held = f"You were {article(tier_name(told, tier_names))} when you placed {order_name(told)}"
    return f"{held}, so it counts × {told['multiplier']} and {came_or_went(posting)}."


def _other_bonus(posting: Posting, told: Told, _: TierNames) -> str:
    return f"The bonus points of {order_name(told)} were counted again, so {came_or_went(posting)}."


def _other_limit(posting: Posting, told: Told, _: TierNames) -> str:
    why = "Your limit has room again" if signed(posting) > 0 else "Another order takes its share of your limit"
    return f"{why}, so for {order_name(told)} {came_or_went(posting)}."


def _refused(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{_because(told['reason'], order_name(told))}, so {came_or_went(posting)}."


def _moved(posting: Posting, told: Told, _: TierNames) -> str:
    points = points_text(posting.points)
    return f"{capital(order_name(told))} belongs to another account now, and its {points} went with it."


def _forgiven(posting: Posting, told: Told, _: TierNames) -> str:
    were = "was" if posting.points == 1 else "were"
    earned_for = f"reaching {told['tier_name']}" if "tier_name" in told else order_name(told)
    return f"{points_text(posting.points)} for {earned_for} {were} spent already, so you keep what you got for them."


def _joined(posting: Posting, _: Told, __: TierNames) -> str:
    return f"{points_text(posting.points)} for joining."


def _adjusted(posting: Posting, told: Told, _: TierNames) -> str:
    done = "added by" if signed(posting) > 0 else "taken off by"
    given = str(told.get("reason_given", "")).strip()
    end = "" if given.endswith((".", "!", "?", "…")) else "."
    return f"{points_text(posting.points)} {done} the shop{': ' + given if given else ''}{end}"


def plain(posting: Posting, told: Told, _: TierNames) -> str:
    on = f" for {order_name(told)}" if told.get("order") else ""
    return f"{capital(came_or_went(posting))}{on}."


TELLERS: dict[str, Teller] = {
    "earned": _earned,
    "refund": _refunded,
    "edit": _edited,
    "tier": _other_tier,
    "bonus": _other_bonus,
    "limit": _other_limit,
    "moved_to_other_member": _moved,
    "spent_points_forgiven": _forgiven,
    "joined": _joined,
    "adjusted": _adjusted,
    "merged": _merged,
    **dict.fromkeys(_BECAUSE, _refused),
}


def _because(reason: str, order: str) -> str:
    return capital(_BECAUSE.get(reason, "{order} does not count").format(order=order))
