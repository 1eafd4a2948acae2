"""What a message may say, when it may be sent, and what becomes of it for one member. Pure."""

import re
import unicodedata
from datetime import datetime, timedelta
from typing import NamedTuple

from wallet_passes import content

# Visible characters: what a lock screen shows of an announcement without cutting it.
TITLE, BODY = 40, 160
# Code points. One visible character may be made of many; this is what a card keeps of them.
MOST_TITLE, MOST_BODY = 120, 370
AHEAD = timedelta(days=366)
# A message whose moment passed while nothing could be sent is better not sent at all than this late.
TOO_LATE = timedelta(days=1)
# How long after a message an order counts as one that may have followed from it.
FOLLOWING = timedelta(days=7)

SHOWN, LIMITED, LEFT = "shown", "limited", "left"

_TAG = re.compile(r"</?[a-zA-Z!][^<>]*>")


class BadText(ValueError):
    """What a message may not say; its text says why."""


class BadTime(ValueError):
    """When a message can't be sent or end; its text says why."""


class Limit(NamedTuple):
    """At most so many messages to one member in so many days."""

    messages: int = 2
    days: int = 7


class Shown(NamedTuple):
    """The message that a card shows."""

    id: int
    title: str
    body: str
    link: str | None = None
    ends_at: datetime | None = None
    quiet: bool = False


def checked(text: str, most: int, most_points: int) -> str:
    """The text on one line without what can't be seen. Raises BadText."""
    plain = content.shortened(text, len(text) * 2 + 1)
    if not any(unicodedata.category(character)[0] in "LNPS" for character in plain):
        raise BadText("must say something that can be seen")
    if _TAG.search(plain):
        raise BadText("holds HTML; cards show plain text, so leave the tags out")
    length = content.visible_length(plain)
    if length > most:
        raise BadText(f"must have at most {most} characters, and has {length:,}")
    if len(plain) > most_points:
        raise BadText("takes more room than a card has; use fewer composed emoji or accents")
    return plain


def sending_time(send_at: datetime | None, ends_at: datetime | None, now: datetime) -> datetime:
    """When a message will be sent: at `send_at`, or now where there is none. Raises BadTime."""
    if send_at is not None and send_at <= now:
        raise BadTime("send_at has passed; choose a later time, or leave it out to send at once")
    when = send_at or now
    if when > now + AHEAD:
        raise BadTime("send_at may be a year ahead at most")
    if ends_at is not None and ends_at <= when:
        raise BadTime("ends_at must come after the message is sent")
    if ends_at is not None and ends_at > when + AHEAD:
        raise BadTime("ends_at may be a year after the message is sent at most")
    return when


def missed(send_at: datetime, ends_at: datetime | None, now: datetime) -> str | None:
    """Why a message that is due is not sent any more: `over`, `too_late`; None when it is."""
    if ends_at is not None and ends_at <= now:
        return "over"
    return "too_late" if now > send_at + TOO_LATE else None


def outcome(*, left: bool, recent: int, limit: Limit) -> str:
    """What becomes of a message for a member who was shown `recent` others in the days of the limit."""
    if left:
        return LEFT
    return LIMITED if recent >= limit.messages else SHOWN
