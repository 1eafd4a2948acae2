"""The first page: how the program is doing, over a time and beside the time before."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import render_template, request

from core.errors import NotFound
from core.i18n import _
from loyalty import counting
from web.merchant import arrival, downloads
from web.merchant.desk import Answer, Desk, page
from web.merchant.setup import finished
from web.merchant.tiles import span_of, tiles
from webhooks import proof
from webhooks.backfill import Progress

# While a shop's past comes in, numbers that take a look at every member are no older than this.
ARRIVING = timedelta(seconds=15)


@page("")
def home(desk: Desk) -> Answer:
    """How the program is doing."""
    news = arrival.news(desk)
    return render_template(
        "merchant/home.html",
        ranges=[(str(one), _range(one)) for one in counting.SPANS],
        new=not finished(desk),
        **news,
        books=proof.standing(desk.session, desk.shop_id),
        **_numbers(desk, news["past"], ARRIVING),
    )


@page("/numbers")
def numbers(desk: Desk) -> Answer:
    """The numbers alone, for a page that follows them while the past comes in, and once after."""
    return render_template("merchant/numbers.html", **_numbers(desk, arrival.news(desk)["past"], timedelta(0)))


def _numbers(desk: Desk, past: Progress | None, after: timedelta) -> dict[str, Any]:
    """What the tiles show. Once the past is here, a page that followed it looks `after` so long again."""
    length = _length(request.args.get("days", ""))
    comes = arrival.comes(past)
    kept = ARRIVING if comes else after if arrival.fresh(past, desk.now) else None
    standing = counting.standing(desk.session, desk.shop_id, desk.zone, desk.now, kept=kept)
    return {
        "length": length,
        "tiles": tiles(desk, length, standing),
        "empty": standing.members == 0,
        "comes": comes,
        "export": downloads.address,
    }


def _length(asked: str) -> int:
    return int(asked) if asked in {str(one) for one in counting.SPANS} else 30


def _range(days: int) -> str:
    return _("Last 12 months") if days == 365 else _("Last %(days)s days", days=days)


@downloads.offers("number")
def _number_file(desk: Desk, asked: Mapping[str, str]) -> downloads.File:
    """One tile's numbers as a spreadsheet."""
    standing = counting.standing(desk.session, desk.shop_id, desk.zone, desk.now)
    for tile in tiles(desk, _length(asked.get("days", "")), standing):
        if tile.key == asked.get("key"):
            return downloads.table(tile.key, *tile.sheet)
    raise NotFound(_("There is no such file."), code="no_file")


@downloads.offers("numbers")
def _numbers_file(desk: Desk, asked: Mapping[str, str]) -> downloads.File:
    """Every day's numbers as a spreadsheet."""
    span = span_of(desk, _length(asked.get("days", "")))
    head = ("day", "joined", "issued", "redeemed", "expired", "adjusted")
    rows = [
        (one.day, one.joined, one.issued, one.redeemed, one.expired, one.adjusted) for one in (*span.before, *span.now)
    ]
    return downloads.table("numbers", head, rows)
