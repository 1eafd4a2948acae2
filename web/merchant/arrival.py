"""How a shop arrives: its past comes in, and old orders earn if its merchant wants them to."""

from datetime import date, datetime, timedelta
from typing import Any

from flask import render_template, request

from core.errors import InvalidInput
from core.i18n import _, day
from shops import operations
from web.merchant.desk import Answer, Desk, go, page, post
from webhooks import backfill
from webhooks.backfill import Progress

# Nothing was ever sold in a shop of Shopify's before.
EARLIEST = date(2006, 1, 1)
# How long the home page tells that all of the past has come.
NEWS = timedelta(days=1)
# How long after that what was counted before may lack some of it.
COUNTS = timedelta(minutes=15)


@page("/settings/past")
def arrival(desk: Desk) -> Answer:
    """The shop's past, and what its old orders earn."""
    since = backfill.earns_since(desk.session, desk.shop_id)
    return render_template(
        "merchant/arrival.html",
        past=backfill.progress(desk.session, desk.shop_id),
        since=since and since.astimezone(desk.zone).date(),
        earliest=EARLIEST,
    )


@page("/settings/past/progress")
def arrival_progress(desk: Desk) -> Answer:
    """How far the past has come, for pages that are open."""
    return render_template("merchant/arrival_progress.html", past=backfill.progress(desk.session, desk.shop_id))


def news(desk: Desk) -> dict[str, Any]:
    """What the home page tells of it: the past while it comes and for a day, and a choice that waits."""
    past = backfill.progress(desk.session, desk.shop_id)
    told = past and past.finished_at and past.state == "done" and past.finished_at < desk.now - NEWS
    return {"past": None if told else past, "chooses": operations.returning(desk.shop)}


def comes(past: Progress | None) -> bool:
    """Whether customers and orders of before are still on their way in, or being counted."""
    return past is not None and past.state in ("running", "settling")


def fresh(past: Progress | None, now: datetime) -> bool:
    """Whether the past came in so lately that what was counted before may lack some of it."""
    return past is not None and past.finished_at is not None and past.finished_at > now - COUNTS


@post("/settings/past/retry")
def retry_backfill(desk: Desk) -> Answer:
    """Bring the past in from where that failed."""
    backfill.resume(desk.session, desk.shop_id, actor=desk.actor)
    return go("arrival", said=_("It is being tried again."))


@post("/settings/past/award")
def award_past(desk: Desk) -> Answer:
    """Let orders since a day earn points."""
    chosen = _day(request.form.get("since", ""))
    starts = datetime(chosen.year, chosen.month, chosen.day, tzinfo=desk.zone)
    backfill.award_since(desk.session, desk.shop_id, starts, actor=desk.actor)
    return go("arrival", said=_("Orders since %(day)s earn points now. They are being counted.", day=day(chosen)))


def _day(text: str) -> date:
    try:
        chosen = date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(_("Choose a day."), code="bad_day") from None
    if chosen < EARLIEST:
        raise InvalidInput(_("Choose a day after %(day)s.", day=day(EARLIEST)), code="bad_day")
    return chosen
