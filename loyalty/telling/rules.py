"""What of an event is worth telling others, and how Flow and Klaviyo are told it. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

Data = Mapping[str, Any]
Values = dict[str, str | int]

# Handles of extensions/flow/shopify.extension.toml, and what Klaviyo calls the same.
SIGNALS = {
    "points-earned": "Points Earned",
    "tier-changed": "Tier Changed",
    "reward-redeemed": "Reward Redeemed",
    "referral-converted": "Referral Converted",
    "points-expiring": "Points Expiring",
    "member-at-risk": "Member At Risk",
}


class Event(NamedTuple):
    """An event of a member, as the outbox keeps it."""

    id: int
    kind: str
    data: Data
    order_id: int | None
    occurred_at: datetime


class Standing(NamedTuple):
    """What is known of the member at the moment of telling. Tiers are named, points can be spent."""

    customer_id: int
    email: str | None
    points: int
    pending: int
    tier_key: str
    tier: str


class Signal(NamedTuple):
    """One thing worth telling: a key of `SIGNALS`, and its values by the names merchants see."""

    handle: str
    values: Values


def told(event: Event, tier_names: Mapping[str, str]) -> Signal | None:
    """The signal of an event, or None. Points that were taken back or spent are no news here."""
    say = _SAY.get(event.kind)
    return say(event, tier_names) if say else None


def _earned(event: Event, _: Mapping[str, str]) -> Signal | None:
    data = event.data
    if "kind" in data:
        points = data["points"] if data["kind"] in ("bonus", "referral", "earn") else 0
        reason = str(data.get("rule") or data["kind"])
    else:
        # An order's points may wait, and be released later: they are earned once, when they come to be.
        points, reason = data.get("available", 0) + data.get("pending", 0), "order"
    return Signal("points-earned", {"Points": points, "Reason": reason}) if points > 0 else None


def _tier(event: Event, names: Mapping[str, str]) -> Signal | None:
    now, before = str(event.data["tier"]), str(event.data.get("before", ""))
    direction = "up" if event.data.get("rose") else "down"
    values: Values = {"Tier": names.get(now, now), "Previous tier": names.get(before, before), "Direction": direction}
    return Signal("tier-changed", values)


def _redeemed(event: Event, _: Mapping[str, str]) -> Signal | None:
    return Signal("reward-redeemed", {"Reward": str(event.data["reward"]), "Points": int(event.data["points"])})


def _referred(event: Event, _: Mapping[str, str]) -> Signal | None:
    return Signal("referral-converted", {"Via": str(event.data.get("via") or "")})


def _expiring(event: Event, _: Mapping[str, str]) -> Signal | None:
    day = str(event.data["expires_at"])[:10]
    return Signal(
        "points-expiring", {"Points": int(event.data["points"]), "Days": int(event.data["days"]), "Expires": day}
    )


def _at_risk(event: Event, _: Mapping[str, str]) -> Signal | None:
    return Signal("member-at-risk", {"Days": int(event.data["days"])})


_SAY: dict[str, Callable[[Event, Mapping[str, str]], Signal | None]] = {
    "points.posted": _earned,
    "tier.changed": _tier,
    "reward.redeemed": _redeemed,
    "referral.rewarded": _referred,
    "points.expiring": _expiring,
    "member.at_risk": _at_risk,
}
KINDS = tuple(_SAY)


# In the words of each channel.


def flow_payload(signal: Signal, standing: Standing) -> dict[str, Any]:
    """What `flowTriggerReceive` takes: the customer, the signal's fields, and the balance as it is now."""
    return {"customer_id": standing.customer_id, **signal.values, "Balance": standing.points}


def klaviyo_profile(standing: Standing) -> dict[str, Any]:
    """A profile's attributes: who it is, and how they stand with us."""
    named = {"external_id": str(standing.customer_id), **({"email": standing.email} if standing.email else {})}
    properties = {
        "Rapport points": standing.points,
        "Rapport pending points": standing.pending,
        "Rapport tier": standing.tier,
        "Rapport tier key": standing.tier_key,
    }
    return {**named, "properties": properties}


def klaviyo_event(event: Event, signal: Signal, standing: Standing) -> dict[str, Any]:
    """The body of Klaviyo's Create Event. `unique_id` lets Klaviyo count it once, however often it is sent.

    Source: https://developers.klaviyo.com/en/reference/create_event
    """
    profile = klaviyo_profile(standing)
    attributes = {
        "properties": {**signal.values, "Balance": standing.points},
        "time": event.occurred_at.isoformat(),
        "unique_id": f"rapport-{event.id}-{signal.handle}",
        "metric": {"data": {"type": "metric", "attributes": {"name": f"Rapport {SIGNALS[signal.handle]}"}}},
        "profile": {"data": {"type": "profile", "attributes": profile}},
    }
    return {"data": {"type": "event", "attributes": attributes}}
