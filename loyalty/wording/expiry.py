"""Points that expired or are about to, in words."""

from datetime import datetime
from zoneinfo import ZoneInfo

from core.i18n import _, day, ngettext, points
from loyalty.expiry.rules import Due
from loyalty.models import Posting
from loyalty.program import Expiry
from loyalty.wording.words import Teller, TierNames, Told


def due_text(due: Due, expiry: Expiry, zone: ZoneInfo) -> str:
    """What expires when, and what the member can do about it."""
    if expiry.kind == "inactivity":
        return ngettext(
            "%(num)s point expires on %(day)s, unless you earn or spend points before then.",
            "%(num)s points expire on %(day)s, unless you earn or spend points before then.",
            due.points, day=day(due.at, zone),
        )  # fmt: skip
    return ngettext(
        "%(num)s point expires on %(day)s.", "%(num)s points expire on %(day)s.", due.points, day=day(due.at, zone)
    )


def _expired(posting: Posting, told: Told, _names: TierNames) -> str:
    zone = ZoneInfo(told["timezone"])
    since, until = (day(datetime.fromisoformat(told[end]), zone) for end in ("since", "until"))
    said = {"since": since, "until": until, "length": _length(told)}
    if told["kind"] == "inactivity":
        return _(
            "%(points)s expired: you last earned or spent points on %(since)s, and points stay %(length)s after that.",
            points=points(posting.points), **said,
        )  # fmt: skip
    if since == until:
        return ngettext(
            "%(num)s point expired: it was earned on %(since)s, and points stay %(length)s.",
            "%(num)s points expired: they were earned on %(since)s, and points stay %(length)s.",
            posting.points, **said,
        )  # fmt: skip
    return ngettext(
        "%(num)s point expired: it was earned between %(since)s and %(until)s, and points stay %(length)s.",
        "%(num)s points expired: they were earned between %(since)s and %(until)s, and points stay %(length)s.",
        posting.points, **said,
    )  # fmt: skip


def _length(told: Told) -> str:
    if told.get("months"):
        return ngettext("%(num)s month", "%(num)s months", told["months"])
    return ngettext("%(num)s day", "%(num)s days", told["days"])


def _undone(posting: Posting, _told: Told, _names: TierNames) -> str:
    return ngettext(
        "%(num)s point came back: it had expired already when a refund or a change of the order took them back, "
        "and nothing is taken twice.",
        "%(num)s points came back: they had expired already when a refund or a change of the order took them back, "
        "and nothing is taken twice.",
        posting.points,
    )


TELLERS: dict[str, Teller] = {"points_expired": _expired, "expiry_undone": _undone}
