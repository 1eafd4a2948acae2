"""What merchants call the parts and fields of a program: "The cost of $10 off", where the document says
`rewards › 10-off › cost`. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from core.i18n import N_, _, number

Path = tuple[str, ...]

_SECTIONS = {
    "orders": N_("points for orders"),
    "bonuses": N_("bonuses"),
    "joining": N_("joining"),
    "activities": N_("activities"),
    "ladder": N_("tiers"),
    "rewards": N_("rewards"),
    "referral": N_("referrals"),
    "expiry": N_("expiry"),
}
# Fields that are only once in a program, and so are named without a part.
_OWN = {
    ("name",): N_("The name of the program"),
    ("timezone",): N_("The time zone"),
    ("stacking",): N_("The rule for several bonuses"),
    ("clawback",): N_("The rule for points that are taken back"),
    ("reward_refunds",): N_("The rule for rewards of cancelled orders"),
    ("orders", "points_per_unit"): N_("The rate of points"),
    ("orders", "waiting_days"): N_("The waiting time of points"),
    ("orders", "available"): N_("The time when points arrive"),
    ("joining", "points"): N_("The gift for joining"),
    ("ladder", "metric"): N_("The measure of tiers"),
    ("ladder", "period"): N_("The period of tiers"),
    ("ladder", "window_days"): N_("The length of the period of tiers"),
    ("ladder", "grace_days"): N_("The time of grace"),
    ("ladder", "demotion"): N_("The rule for falling"),
    ("referral", "friend"): N_("The gift for a friend"),
    ("referral", "friend_minimum"): N_("The least first order of a friend"),
    ("referral", "referrer"): N_("The gift for a referrer"),
    ("referral", "holding_days"): N_("The waiting time of referrals"),
    ("referral", "window_days"): N_("The time in which a click counts"),
    ("referral", "monthly_limit"): N_("The monthly limit of referrals"),
    ("referral", "clawback"): N_("Taking back what a referrer got"),
    ("referral", "review_score"): N_("The score for a review"),
    ("referral", "block_score"): N_("The score for a refusal"),
    ("referral", "minimum_payout"): N_("The least payout"),
    ("expiry", "months"): N_("The number of months until points expire"),
    ("expiry", "days"): N_("The number of days until points expire"),
    ("expiry", "notice_days"): N_("The notice before points expire"),
}
_FIELDS = {
    "key": N_("The key"),
    "name": N_("The name"),
    "kind": N_("The kind"),
    "description": N_("The description"),
    "starts_at": N_("The start"),
    "ends_at": N_("The end"),
    "tiers": N_("The list of tiers"),
    "limit": N_("The limit"),
    "points_per_day": N_("The limit of points a day"),
    "points_ever": N_("The limit of points in all"),
    "times_per_day": N_("The limit of times a day"),
    "times_ever": N_("The limit of times in all"),
    "points": N_("The number of points"),
    "per": N_("The unit of the points"),
    "multiplier": N_("The multiplier"),
    "products": N_("The list of products"),
    "variants": N_("The list of variants"),
    "collections": N_("The list of collections"),
    "vendors": N_("The list of vendors"),
    "tags": N_("The list of product tags"),
    "minimum_spend": N_("The least spend"),
    "order_number": N_("The number of the order"),
    "channel": N_("The place of sale"),
    "threshold": N_("The threshold"),
    "keep": N_("The threshold to stay"),
    "perks": N_("The list of perks"),
    "entry_gift": N_("The gift on entry"),
    "birthday_boost": N_("The birthday multiplier"),
    "cost": N_("The cost"),
    "amount": N_("The amount"),
    "percentage": N_("The percentage"),
    "maximum": N_("The highest discount"),
    "step": N_("The step of points"),
    "most_points": N_("The most points at once"),
    "minimum_order": N_("The least order"),
    "valid_days": N_("The time for use"),
    "combines_with": N_("The list of discounts beside it"),
    "stock": N_("The stock"),
    "per_member": N_("The limit for each member"),
    "days_before": N_("The time before the birthday"),
    "question": N_("The question"),
    "choices": N_("The list of answers"),
    "network": N_("The network"),
    "action": N_("The action"),
    "url": N_("The web address"),
    "photo_points": N_("The extra for a photo"),
    "every_days": N_("The time between two answers"),
    "tier": N_("The tier"),
    "friends": N_("The number of the friend"),
    "benefit": N_("The gift on top"),
    "friend": N_("The gift for a friend"),
    "referrer": N_("The gift for a referrer"),
    "friend_minimum": N_("The least first order of a friend"),
    "every_order": N_("The choice of orders"),
    "landing_title": N_("The headline of the friends’ page"),
    "landing_text": N_("The text of the friends’ page"),
    "include_tax": N_("The choice whether tax counts"),
    "include_shipping": N_("The choice whether shipping counts"),
    "enabled": N_("The choice whether members bring friends"),
}
# What these hold is told of them.
_GIFTS = frozenset({"friend", "referrer", "benefit"})
_LISTS = frozenset(
    {
        ("bonuses",), ("activities",), ("rewards",), ("ladder", "tiers"),
        ("referral", "tiers"), ("referral", "milestones"), ("referral", "partnerships"),
    }
)  # fmt: skip


def named(document: Any, path: Path) -> str:
    """What a merchant calls the field or part at a path by keys, in a document (JSON) that may be no program."""
    if not path:
        return _("The program")
    if path in _OWN:
        return _(_OWN[path])
    held = next((path[: len(name) + 1] for name in _LISTS if path[: len(name)] == name and len(path) > len(name)), ())
    room, rest = (held or path[:1], path[len(held) or 1 :])
    if path[:2] in _OWN and not held:
        return _(_OWN[path[:2]])
    part = _part(document, held) if held else _(_SECTIONS[room[0]]) if room[0] in _SECTIONS else f"“{room[0]}”"
    if not rest:
        return part
    step = rest[0] if rest[0] in _GIFTS else rest[-1]
    label = _(_FIELDS[step]) if step in _FIELDS else f"“{step}”"
    return _("%(label)s of %(part)s", label=label, part=part)


def friend_name(friends: int | str) -> str:
    """What a milestone is called."""
    return _("friend no. %(number)s", number=number(friends) if isinstance(friends, int) else friends)


def referrers_name(tier: str) -> str:
    """What those are called who get more for a friend by their tier's name."""
    return _("%(tier)s referrers", tier=tier)


def _part(document: Any, path: Path) -> str:
    *room, key = path
    if room == ["referral", "milestones"]:
        return friend_name(int(key) if key.isdecimal() else key)
    if room == ["referral", "tiers"]:
        return referrers_name(_called(document, ("ladder", "tiers"), key))
    return _called(document, tuple(room), key)


def _called(document: Any, room: Path, key: str) -> str:
    for part in _parts(document, room):
        if part.get("key") == key and isinstance(part.get("name"), str) and part["name"].strip():
            return str(part["name"])
    return key


def _parts(document: Any, room: Path) -> Iterator[Mapping[str, Any]]:
    for step in room:
        document = document.get(step) if isinstance(document, Mapping) else None
    for part in document if isinstance(document, list | tuple) else ():
        if isinstance(part, Mapping):
            yield part
