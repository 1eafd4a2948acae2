"""What orders earned, and why it changed, in words."""

from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from core.i18n import N_, _, day, decimal, money, ngettext, points
from core.money import minor_digits
from loyalty.models import Posting
from loyalty.rules import HOLDING
from loyalty.wording.words import (
    Teller,
    TierNames,
    Told,
    a_tier,
    came_or_went,
    capital,
    ended,
    order_name,
    points_of,
    sentences,
    signed,
    so,
    steps,
    unit,
    went_back,
)

# Why an order earns nothing, as the first half of a sentence.
_BECAUSE = {
    "test_order": N_("%(order)s is a test"),
    "deleted": N_("%(order)s was deleted"),
    "cancelled": N_("%(order)s was cancelled"),
    "voided": N_("The payment for %(order)s was voided"),
    "expired": N_("The payment for %(order)s expired"),
    "unknown_status": N_("%(order)s has a payment status we don't know"),
    "before_start": N_("%(order)s was placed before the program began"),
    "after_end": N_("%(order)s was placed after points for orders ended"),
    "not_this_tier": N_("Points for orders are for other tiers than yours was when %(order)s was placed"),
    "blocked": N_("%(order)s was placed while your membership was on hold"),
    "no_customer": N_("%(order)s has no customer"),
    "nothing_eligible": N_("Nothing in %(order)s counts"),
    "below_one_point": N_("%(order)s comes to less than one point"),
}
_NOT_KNOWN = N_("%(order)s does not count")
_NOT_YET = {
    "guest_held": N_(
        "%(order)s was placed without an account. Its points wait for whoever joins with that e-mail address."
    ),
    "order_unknown": N_("Only a refund of %(order)s is known so far. It counts as soon as the order itself arrives."),
}
_WAITING = {
    "payment": N_("Yours to use once the order is paid."),
    "fulfilment": N_("Yours to use once the order has been sent."),
}

# By whether points were added, and whether somebody said why.
_ADJUSTED = {
    (True, True): N_("%(points)s added by the shop: %(words)s"),
    (True, False): N_("%(points)s added by the shop."),
    (False, True): N_("%(points)s taken off by the shop: %(words)s"),
    (False, False): N_("%(points)s taken off by the shop."),
}


def order_text(name: str, reason: str | None, settled: Told | None, tier_names: TierNames) -> str:
    """Why an order earned what it did: `settled` is its latest explanation, `reason` the code of why it earns nothing.

    Codes are those of `loyalty.rules.refusal` and `loyalty.queries.not_earning`.
    """
    if reason is None:
        return earned_text((settled or {}).get("points", 0), settled or {}, tier_names)
    order = order_name({"order": name})
    if reason in _NOT_YET:
        return capital(_(_NOT_YET[reason], order=order))
    return capital(_("%(why)s, so it earns nothing.", why=_(_BECAUSE.get(reason, _NOT_KNOWN), order=order)))


def earned_text(earned: int, told: Told, tier_names: TierNames) -> str:
    """What an order earned, with the arithmetic: amount, rate, multiplier, bonuses and the one rounding."""
    text = _("%(points)s for %(order)s.", points=points(earned), order=order_name(told))
    return sentences(text, _arithmetic(told, tier_names), _waiting(told))


def _earned(posting: Posting, told: Told, tier_names: TierNames) -> str:
    text = earned_text(posting.points, told, tier_names)
    if posting.target == "pending" and not _waiting(told):
        return sentences(text, _("Yours to use after the waiting time."))
    return text


def _waiting(told: Told) -> str:
    """When points that are not available yet will be."""
    if told.get("available_at"):
        return _("Yours to use from %(day)s.", day=day(datetime.fromisoformat(told["available_at"])))
    waits = told.get("waits") or ("payment" if told.get("status") in HOLDING else "")
    return _(_WAITING[waits]) if waits in _WAITING else ""


def _arithmetic(told: Told, tier_names: TierNames) -> str:
    """$80.00 at 1 point per dollar, × 1.25 because you're an Advocate, plus 50 points for Double points weekend."""
    currency, rate, multiplier = told["currency"], told["rate"], Fraction(told["multiplier"])
    amount = money(told["eligible"], currency)
    said = [_("%(amount)s at %(rate)s per %(unit)s", amount=amount, rate=points_of(rate), unit=unit(currency))]
    if multiplier != 1:
        said.append(_("× %(multiplier)s because you're %(a_tier)s", **_tier(told, tier_names)))
    exact = Fraction(told["eligible"], 10 ** minor_digits(currency)) * Fraction(rate) * multiplier
    if "limited_to" in told:
        exact = Fraction(told["limited_to"])
        said.append(_("of which your limit leaves %(points)s", points=points(told["limited_to"])))
    for bonus in told.get("bonuses", ()):
        exact += Fraction(bonus["points"])
        said.append(_("plus %(points)s for %(bonus)s", points=points_of(bonus["points"]), bonus=bonus["name"]))
    if exact.denominator != 1:
        said.append(_("rounded down"))
    return _("%(steps)s.", steps=steps(said))


def _tier(told: Told, tier_names: TierNames) -> dict[str, str]:
    return {"multiplier": decimal(Decimal(told["multiplier"])), "a_tier": a_tier(told, tier_names)}


def _refunded(posting: Posting, told: Told, _names: TierNames) -> str:
    amount = money(told["refunded"] - told.get("refunded_before", 0), told["currency"])
    why = _("%(amount)s of %(order)s was refunded", amount=amount, order=order_name(told))
    return so(why, went_back(posting.points))


def _merged(posting: Posting, told: Told, _names: TierNames) -> str:
    if signed(posting) > 0:
        return _("%(points)s came along from your other account.", points=points(posting.points))
    return _("%(points)s came along to your other account.", points=points(posting.points))


def _edited(posting: Posting, told: Told, _names: TierNames) -> str:
    amount = money(told["eligible"], told["currency"])
    why = _("%(order)s was changed and now counts %(amount)s", order=order_name(told), amount=amount)
    return so(why, came_or_went(posting))


def _other_tier(posting: Posting, told: Told, tier_names: TierNames) -> str:
    return _(
        "You were %(a_tier)s when you placed %(order)s, so it counts × %(multiplier)s and %(moved)s.",
        order=order_name(told), moved=came_or_went(posting), **_tier(told, tier_names),
    )  # fmt: skip


def _other_bonus(posting: Posting, told: Told, _names: TierNames) -> str:
    return so(_("The bonus points of %(order)s were counted again", order=order_name(told)), came_or_went(posting))


def _other_limit(posting: Posting, told: Told, _names: TierNames) -> str:
    what = {"order": order_name(told), "moved": came_or_went(posting)}
    if signed(posting) > 0:
        return _("Your limit has room again, so for %(order)s %(moved)s.", **what)
    return _("Another order takes its share of your limit, so for %(order)s %(moved)s.", **what)


def _refused(posting: Posting, told: Told, _names: TierNames) -> str:
    why = _BECAUSE[told["reason"]]
    return so(_(why, order=order_name(told)), came_or_went(posting))


def _moved(posting: Posting, told: Told, _names: TierNames) -> str:
    text = _(
        "%(order)s belongs to another account now, and its %(points)s went with it.",
        order=order_name(told), points=points(posting.points),
    )  # fmt: skip
    return capital(text)


def _forgiven(posting: Posting, told: Told, _names: TierNames) -> str:
    name = told.get("tier_name")
    return ngettext(
        "%(num)s point for %(what)s was spent already, so you keep what you got for them.",
        "%(num)s points for %(what)s were spent already, so you keep what you got for them.",
        posting.points, what=_("reaching %(tier)s", tier=name) if name is not None else order_name(told),
    )  # fmt: skip


def _joined(posting: Posting, _told: Told, _names: TierNames) -> str:
    return _("%(points)s for joining.", points=points(posting.points))


def _adjusted(posting: Posting, told: Told, _names: TierNames) -> str:
    why = str(told.get("reason_given", "")).strip()
    text = _ADJUSTED[signed(posting) > 0, bool(why)]
    return capital(_(text, points=points(posting.points), words=ended(why)))


def plain(posting: Posting, told: Told, _names: TierNames) -> str:
    moved = came_or_went(posting)
    if told.get("order"):
        return capital(_("%(moved)s for %(order)s.", moved=moved, order=order_name(told)))
    return capital(_("%(moved)s.", moved=moved))


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
