"""How fresh a phone's card is, in words."""

from datetime import UTC, datetime, timedelta

import pytest

from wallet_passes import freshness
from wallet_passes.google.models import GoogleObject
from wallet_passes.queries import Device

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def before(**past: float) -> datetime:
    return NOW - timedelta(**past)


@pytest.mark.parametrize(
    ("past", "said"),
    [
        ({"seconds": -40}, "just now"),
        ({"seconds": 59}, "just now"),
        ({"minutes": 1}, "1 minute ago"),
        ({"minutes": 5, "seconds": 50}, "6 minutes ago"),
        ({"hours": 2}, "2 hours ago"),
        ({"days": 3}, "3 days ago"),
        ({"days": 15}, "2 weeks ago"),
        ({"days": 800}, "2 years ago"),
    ],
)
def test_how_long_ago(past: dict[str, float], said: str) -> None:
    assert freshness.ago(before(**past), NOW) == said


ADDED = before(days=9)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        (Device("current", ADDED, None, None, None), "iPhone last updated 1 week ago."),
        (Device("current", ADDED, None, before(minutes=6), before(minutes=5)), "iPhone last updated 5 minutes ago."),
        (
            Device("current", ADDED, None, before(minutes=5), before(days=2)),
            "iPhone last updated 2 days ago. It was told of a change 5 minutes ago, and will fetch it when it can.",
        ),
        (
            Device("stale", ADDED, None, before(days=3), before(days=2)),
            "iPhone last updated 2 days ago. The latest change is on its way.",
        ),
        (Device("removed", ADDED, before(hours=3), None, before(days=2)), "Card removed from the iPhone 3 hours ago."),
    ],
)
def test_an_iphone(device: Device, said: str) -> None:
    found = freshness.apple(device, NOW)
    assert (found.wallet, found.state, found.text) == ("apple", device.state, said)


@pytest.mark.parametrize(
    ("saved", "removed", "version", "state", "said"),
    [
        (None, None, 3, None, None),
        (before(days=2), None, 3, "current", "Google Wallet last updated 5 minutes ago."),
        (
            before(days=2), None, 2, "stale",
            "Google Wallet last updated 5 minutes ago. The latest change is on its way.",
        ),
        (before(days=2), before(days=1), 3, "removed", "Card removed from Google Wallet 1 day ago."),
        (before(days=1), before(days=2), 3, "current", "Google Wallet last updated 5 minutes ago."),
    ],
)  # fmt: skip
def test_google_s_wallet(
    saved: datetime | None, removed: datetime | None, version: int, state: str | None, said: str | None
) -> None:
    held = GoogleObject(told_version=version, told_at=before(minutes=5), saved_at=saved, removed_at=removed)
    found = freshness.google(held, 3, NOW)
    assert (found.state if found else None, found.text if found else None) == (state, said)


def test_the_freshest_of_several() -> None:
    old = freshness.apple(Device("stale", ADDED, None, None, before(days=2)), NOW)
    new = freshness.apple(Device("current", ADDED, None, None, before(minutes=2)), NOW)
    gone = freshness.apple(Device("removed", ADDED, before(minutes=1), None, before(minutes=1)), NOW)
    assert freshness.latest([old, new, gone]) is new
    assert freshness.latest([gone]) is gone
    assert freshness.latest([]) is None
