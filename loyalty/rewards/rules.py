"""The thinking behind rewards: who may have one now, what it costs and is worth, its code, and how its life goes on.

    issuing ──▶ issued ──▶ used ◀──▶ returned              an order used it, the order was undone
       │          ├──▶ returning ──▶ returned              given back, or revoked: that also while it is issuing
       │          │            └──▶ issued | used          it could not be taken back
       │          └──▶ expired
       └──▶ failed

An order tells what truly happened, so its word also turns around what seemed over (given back, failed, expired).

Pure functions over frozen values: no database, no HTTP, no clock. Points are integers, money is minor units. Sentences
are in the language spoken now.
"""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from core.i18n import _, day, listed, ngettext, number, points
from loyalty.program import Reward, instant
from loyalty.rules import OrderState

# Crockford's base 32: no I, L, O or U, so that nobody reads a code wrong. https://www.crockford.com/base32.html
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# The statuses in which the points are with us. In all others the member has them back.
PAID = frozenset({"issuing", "issued", "used", "returning", "expired"})
_NEXT = {
    "issuing": frozenset({"issued", "failed", "used", "returning", "returned"}),
    "issued": frozenset({"used", "returning", "returned", "expired"}),
    "returning": frozenset({"returned", "issued", "used"}),
    "used": frozenset({"returned"}),
    "returned": frozenset({"used"}),
    "expired": frozenset({"used", "returned"}),
    "failed": frozenset({"used", "returned"}),
}


def may_become(status: str, following: str) -> bool:
    """Whether a reward may go from one status to another."""
    return following in _NEXT[status]


class Standing(Struct, frozen=True):
    """All that decides whether a member may have a reward: `had` and `taken` count those that were not given back."""

    available: int
    tier_key: str
    had: int
    taken: int
    now: datetime
    zone: ZoneInfo
    tier_names: Mapping[str, str]
    channel: str | None = None


class Refusal(NamedTuple):
    """Why not: a stable code, a sentence for the member, and what a program may want to know."""

    code: str
    text: str
    extra: Mapping[str, Any] = MappingProxyType({})


def refusal(reward: Reward, standing: Standing, cost: int) -> Refusal | None:
    """Why this member can't have this reward for so many points now, or None. Points come last: they can be earned."""
    return (
        _out_of_time(reward, standing)
        or _not_for(reward, standing)
        or _had_enough(reward, standing)
        or _points_short(reward, standing, cost)
    )


def _out_of_time(reward: Reward, standing: Standing) -> Refusal | None:
    starts_at, ends_at = instant(reward.starts_at, standing.zone), instant(reward.ends_at, standing.zone)
    if starts_at is not None and standing.now < starts_at:
        starts = day(starts_at, standing.zone)
        return Refusal("reward_not_yet", _("%(reward)s starts on %(day)s.", reward=reward.name, day=starts))
    if ends_at is not None and standing.now >= ends_at:
        ended = day(ends_at, standing.zone)
        return Refusal("reward_over", _("%(reward)s ended on %(day)s.", reward=reward.name, day=ended))
    return None


def _not_for(reward: Reward, standing: Standing) -> Refusal | None:
    if reward.tiers and standing.tier_key not in reward.tiers:
        tiers = listed([standing.tier_names.get(key, key) for key in reward.tiers])
        text = _("%(reward)s is for %(tiers)s members.", reward=reward.name, tiers=tiers)
        return Refusal("wrong_tier", text, {"tiers": list(reward.tiers)})
    if standing.channel is None or reward.channel in ("both", standing.channel):
        return None
    if reward.channel == "pos":
        return Refusal("wrong_channel", _("%(reward)s can be used in our stores only.", reward=reward.name))
    return Refusal("wrong_channel", _("%(reward)s can be used online only.", reward=reward.name))


def _had_enough(reward: Reward, standing: Standing) -> Refusal | None:
    if reward.per_member is not None and standing.had >= reward.per_member:
        text = ngettext(
            "You can have %(reward)s once, and you've had it.",
            "You can have %(reward)s %(num)s times, and you've had all of them.", reward.per_member, reward=reward.name,
        )  # fmt: skip
        return Refusal("reward_limit", text, {"limit": reward.per_member})
    if reward.stock is not None and standing.taken >= reward.stock:
        return Refusal("out_of_stock", all_gone(reward))
    return None


def all_gone(reward: Reward) -> str:
    """That a limited stock is."""
    return _("%(reward)s is all gone.", reward=reward.name)


def _points_short(reward: Reward, standing: Standing, cost: int) -> Refusal | None:
    missing = cost - standing.available
    if missing <= 0:
        return None
    text = _(
        "%(reward)s takes %(points)s. You have %(available)s, so you need %(missing)s more.",
        reward=reward.name, points=points(cost), available=number(standing.available), missing=number(missing),
    )  # fmt: skip
    return Refusal("points_short", text, {"missing": missing, "cost": cost, "available": standing.available})


def bad_points(reward: Reward, given: int | None) -> str | None:
    """What is wrong with the points named for a reward, as a sentence, or None. Only a variable one has a choice."""
    if reward.kind != "variable":
        text = _("%(reward)s takes %(points)s, no more and no fewer", reward=reward.name, points=points(reward.cost))
        return None if given is None or given == reward.cost else text
    assert reward.step is not None
    least, most = reward.cost, reward.most_points
    if given is not None and given >= least and (most is None or given <= most) and given % reward.step == 0:
        return None
    said = {"reward": reward.name, "least": number(least), "step": number(reward.step)}
    if most is None:
        return _("say how many points to spend on %(reward)s: %(least)s or more, in steps of %(step)s", **said)
    return _(
        "say how many points to spend on %(reward)s: from %(least)s to %(most)s, in steps of %(step)s",
        most=number(most), **said,
    )  # fmt: skip


def worth(reward: Reward, points: int) -> int | None:
    """What the reward is worth in minor units for so many points; None where that depends on the order."""
    if reward.kind == "variable":
        assert reward.step is not None
        return points // reward.step * reward.amount
    return reward.amount if reward.kind in ("amount_off", "free_product", "store_credit", "gift_card") else None


def last_day(reward: Reward, at: datetime, zone: ZoneInfo) -> date | None:
    """The last day of the shop's calendar on which a reward redeemed `at` may be used; None means it keeps."""
    if reward.valid_days is None:
        return None
    return at.astimezone(zone).date() + timedelta(days=reward.valid_days)


def expires_at(reward: Reward, at: datetime, zone: ZoneInfo) -> datetime | None:
    """When a reward redeemed `at` ends: with its last day, by the shop's clock."""
    last = last_day(reward, at, zone)
    return None if last is None else instant(datetime.combine(last + timedelta(days=1), time()), zone)


def code_of(kind: str, digest: str) -> str:
    """The code of a reward from a keyed hash (hex): RAP-7KQ4-M2XD, and 16 symbols for a gift card, which is money.

    Shopify takes 8 to 20 letters and digits for a gift card.
    Source: https://shopify.dev/docs/api/admin-graphql/latest/input-objects/GiftCardCreateInput
    """
    number = int(digest, 16)
    symbols = "".join(ALPHABET[number >> 5 * place & 31] for place in range(16))
    return symbols if kind == "gift_card" else f"RAP-{symbols[:4]}-{symbols[4:8]}"


class Use(Struct, frozen=True):
    """How an order left a reward: its status, and the order that counts."""

    status: str
    order_id: int | None


def undone(order: OrderState, deleted_at: datetime | None) -> bool:
    """Whether nothing of an order stands: cancelled, void, refunded in full, deleted, or all of its goods came back.

    Shopify calls an order whose shipping was kept, or that a reward paid for whole, never refunded.
    """
    if deleted_at is not None or order.cancelled_at is not None or order.status in ("voided", "expired", "refunded"):
        return True
    left = [line.quantity if line.current is None else line.current for line in order.lines]
    return bool(left) and not any(left)


def after_order(use: Use, order_id: int, *, undone: bool, points_return: bool) -> Use:
    """What becomes of a reward whose code is on an order that stands, or is undone (cancelled, void, refunded whole).

    The same whichever comes first, and however often: an order heard of only when it was undone had used the code
    before. A code can be used once, so of two orders the later one is right.
    """
    other = use.order_id is not None and use.order_id != order_id
    if undone:
        if other:
            return use
        return Use("returned" if points_return else "used", order_id)
    if other and use.status == "used":
        return Use("used", max(order_id, use.order_id or 0))
    return Use("used", order_id)
