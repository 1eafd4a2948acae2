"""Points that expired or are about to, in words."""

from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_date

from loyalty.expiry.rules import Due
from loyalty.models import Posting
from loyalty.program import Expiry
from loyalty.wording.words import Teller, TierNames, Told, points_text


def due_text(due: Due, expiry: Expiry, zone: ZoneInfo) -> str:
    """What expires when, and what the member can do about it."""
    expires = "expires" if due.points == 1 else "expire"
    text = f"{points_text(due.points)} {expires} on {day_text(due.at, zone)}"
    if expiry.kind == "inactivity":
        return f"{text}, unless you earn or spend points before then."
    return f"{text}."


def day_text(moment: datetime, zone: ZoneInfo) -> str:
    """The day of a moment on the shop's calendar: 5 January 2026."""
    return str(format_date(moment.astimezone(zone).date(), "d MMMM y", locale="en_US"))


def _expired(posting: Posting, told: Told, _: TierNames) -> str:
    expired, zone = f"{points_text(posting.points)} expired", ZoneInfo(told["timezone"])
    since, until = (day_text(datetime.fromisoformat(told[end]), zone) for end in ("since", "until"))
    if told["kind"] == "inactivity":
        return f"{expired}: you last earned or spent points on {since}, and points stay {_length(told)} after that."
    were = "it was" if posting.points == 1 else "they were"
    earned = f"on {since}" if since == until else f"between {since} and {until}"
    return f"{expired}: {were} earned {earned}, and points stay {_length(told)}."


def _length(told: Told) -> str:
    number, unit = (told["months"], "month") if told.get("months") else (told["days"], "day")
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _undone(posting: Posting, _: Told, __: TierNames) -> str:
    had = "it had" if posting.points == 1 else "they had"
    return (
        f"{points_text(posting.points)} came back: {had} expired already when a refund or a change of the order "
        "took them back, and nothing is taken twice."
    )


TELLERS: dict[str, Teller] = {"points_expired": _expired, "expiry_undone": _undone}
