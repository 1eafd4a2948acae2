"""What points were spent on, and what came back, in words; and what a reward's status means for its member."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from core.i18n import N_, _, day, money, ngettext, points
from loyalty.models import Posting
from loyalty.wording.words import Teller, TierNames, Told, order_name, sentences


def _name(told: Told) -> str:
    return str(told.get("name") or _("a reward"))


def _redeemed(posting: Posting, told: Told, _names: TierNames) -> str:
    return _("%(points)s spent on %(reward)s.", points=points(posting.points), reward=_name(told))


def _given_back(posting: Posting, told: Told, _names: TierNames) -> str:
    return ngettext(
        "%(num)s point is back: you returned %(reward)s unused.",
        "%(num)s points are back: you returned %(reward)s unused.", posting.points, reward=_name(told),
    )  # fmt: skip


def _failed(posting: Posting, told: Told, _names: TierNames) -> str:
    return ngettext(
        "%(num)s point is back: we couldn't get %(reward)s ready for you. We're sorry.",
        "%(num)s points are back: we couldn't get %(reward)s ready for you. We're sorry.",
        posting.points, reward=_name(told),
    )  # fmt: skip


def _undone(posting: Posting, told: Told, _names: TierNames) -> str:
    return ngettext(
        "%(num)s point is back: %(order)s, on which you used %(reward)s, was cancelled or refunded.",
        "%(num)s points are back: %(order)s, on which you used %(reward)s, was cancelled or refunded.",
        posting.points, order=order_name(told), reward=_name(told),
    )  # fmt: skip


def _used_after_all(posting: Posting, told: Told, _names: TierNames) -> str:
    return _(
        "%(points)s spent on %(reward)s, which you used on %(order)s.",
        points=points(posting.points), reward=_name(told), order=order_name(told),
    )  # fmt: skip


TELLERS: dict[str, Teller] = {
    "redeemed": _redeemed,
    "given_back": _given_back,
    "reward_failed": _failed,
    "order_undone": _undone,
    "order_used_reward": _used_after_all,
}

_HOW = {
    "store_credit": N_("It's in your store credit, ready for your next order."),
    "gift_card": N_("Your gift card is ready: pay with %(code)s at checkout."),
    "custom": N_("It's yours. Show %(code)s to the shop."),
}
_AT_CHECKOUT = N_("It's ready: enter %(code)s at checkout.")
_ENDED = {
    "issuing": N_("We're getting it ready. This takes a few seconds."),
    "used": N_("You've used it. Enjoy!"),
    "returning": N_("We're taking it back. Your points come back in a few seconds."),
}

# What cost no points brings none back.
_GIFT_ENDED = {
    "returning": N_("It's being taken back, because what it was a thank-you for was undone."),
    "returned": N_("It was taken back unused, because what it was a thank-you for was undone."),
    "failed": N_("We couldn't get it ready. We're sorry."),
}


def status_text(row: Any, zone: ZoneInfo) -> str:
    """What the status of a reward (a `MemberReward`) means for its member. Days are those of the shop's clock."""
    if row.status == "issued":
        return _ready(row, zone)
    if row.status == "expired":
        return _("It could be used until %(day)s.", day=_last_day(row, zone))
    if not row.points and row.status in _GIFT_ENDED:
        return _(_GIFT_ENDED[row.status])
    return _(_ENDED[row.status]) if row.status in _ENDED else _back(row)


def _back(row: Any) -> str:
    if row.status == "failed":
        return ngettext(
            "We couldn't get it ready, so %(num)s point is back. We're sorry.",
            "We couldn't get it ready, so %(num)s points are back. We're sorry.", row.points,
        )  # fmt: skip
    if row.order_id:
        return ngettext(
            "The order you used it on was cancelled or refunded, and %(num)s point is back.",
            "The order you used it on was cancelled or refunded, and %(num)s points are back.", row.points,
        )  # fmt: skip
    return ngettext("You returned it, and %(num)s point is back.", "You returned it, and %(num)s points are back.",
                    row.points)  # fmt: skip


def _ready(row: Any, zone: ZoneInfo) -> str:
    least = row.terms.get("minimum_order")
    return sentences(
        _(_HOW.get(row.terms["kind"], _AT_CHECKOUT), code=row.code),
        _("It's for orders of at least %(amount)s.", amount=money(least, row.currency)) if least else "",
        _("Use it by %(day)s.", day=_last_day(row, zone)) if row.expires_at else "",
    )


def _last_day(row: Any, zone: ZoneInfo) -> str:
    return day(row.expires_at - timedelta(seconds=1), zone)
