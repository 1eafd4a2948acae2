"""How fresh a phone's card is, in words for merchants and staff. Pure: time is an argument."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from babel.dates import format_timedelta

from wallet_passes.google.models import GoogleObject
from wallet_passes.queries import Device

APPLE, GOOGLE = "apple", "google"
MINUTE = timedelta(minutes=1)


class Phone(NamedTuple):
    """A phone's card: `state` is `current` (it shows the newest, or was told of it), `stale`, `unreachable`, `removed`.

    `updated_at` is when it last showed what was newest then, as far as it can be known from here.
    """

    wallet: str
    state: str
    updated_at: datetime
    text: str


def apple(device: Device, now: datetime) -> Phone:
    """An iPhone tells when it asks for news. That it was told of some does not mean that it has asked since."""
    updated = max(device.added_at, device.asked_at or device.added_at)
    since = f"last updated {ago(updated, now)}"
    if device.removed_at:
        text = f"Card removed from the iPhone {ago(device.removed_at, now)}."
    elif device.problem:
        text = f"iPhone {since}. It can't be told of changes: {device.problem}."
    elif device.state == "stale":
        text = f"iPhone {since}. The latest change is on its way."
    elif device.told_at and device.told_at > updated:
        text = f"iPhone {since}. It was told of a change {ago(device.told_at, now)}, and will fetch it when it can."
    else:
        text = f"iPhone {since}."
    return Phone(APPLE, "removed" if device.removed_at else device.state, updated, text)


def google(held: GoogleObject, version: int, now: datetime) -> Phone | None:
    """Google tells who has saved a card, and passes changes on to the phones itself. None: it was never saved.

    `version` is the pass's newest.
    """
    if held.saved_at is None and held.removed_at is None:
        return None
    since = f"Google Wallet last updated {ago(held.told_at, now)}."
    if held.removed_at and held.removed_at >= (held.saved_at or held.removed_at):
        return Phone(GOOGLE, "removed", held.told_at, f"Card removed from Google Wallet {ago(held.removed_at, now)}.")
    if held.told_version < version:
        return Phone(GOOGLE, "stale", held.told_at, f"{since} The latest change is on its way.")
    return Phone(GOOGLE, "current", held.told_at, since)


def latest(phones: Iterable[Phone]) -> Phone | None:
    """Of several, the one that was updated last and still has the card; a removed one only if all of them are."""
    return max(phones, key=lambda phone: (phone.state != "removed", phone.updated_at), default=None)


def ago(moment: datetime, now: datetime) -> str:
    """How long ago that was: "just now", "5 minutes ago", "2 weeks ago"."""
    past = now - moment
    return (
        "just now" if past < MINUTE else format_timedelta(-past, granularity="minute", add_direction=True, locale="en")
    )
