"""The first page: how the program is doing, over a time and beside the time before."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from flask import render_template, request

from core.i18n import _, money, ngettext, number, points
from loyalty import counting
from loyalty.counting import Day, Standing
from referrals import numbers
from referrals.numbers import Period
from tiers.ladders import ladder_of
from wallet_passes.queries import live_passes
from web.merchant import arrival, charts, downloads
from web.merchant.charts import Chart
from web.merchant.desk import Answer, Desk, page
from web.merchant.setup import finished
from webhooks import proof

RANGES = (7, 30, 90, 365)


class Tile(NamedTuple):
    """One question and its answer: the number in words, how it changed, and the line over time."""

    key: str
    title: str
    definition: str
    value: str
    change: str | None
    good: bool | None
    chart: Chart | None
    note: str = ""


class Span(NamedTuple):
    """The days that are looked at, and as many just before."""

    days: list[date]
    now: list[Day]
    before: list[Day]

    def of(self, value: Callable[[Day], int]) -> tuple[list[int], list[int]]:
        return [value(one) for one in self.now], [value(one) for one in self.before]


@page("")
def home(desk: Desk) -> Answer:
    """How the program is doing."""
    length = _length(request.args.get("days", ""))
    tiles, standing = _tiles(desk, length)
    return render_template(
        "merchant/home.html",
        length=length,
        ranges=[(str(one), _range(one)) for one in RANGES],
        tiles=tiles,
        standing=standing,
        tiers=_tiers(desk, standing),
        live=live_passes(desk.session, desk.shop_id),
        new=not finished(desk),
        **arrival.news(desk),
        books=proof.standing(desk.session, desk.shop_id),
        export=downloads.address,
        empty=standing.members == 0,
        desk=desk,
    )


def _length(asked: str) -> int:
    return int(asked) if asked in {str(one) for one in RANGES} else 30


def _range(days: int) -> str:
    return _("Last 12 months") if days == 365 else _("Last %(days)s days", days=days)


def _span(desk: Desk, length: int) -> Span:
    last = desk.now.astimezone(desk.zone).date()
    found = counting.days(desk.session, desk.shop_id, last - timedelta(2 * length - 1), last, desk.zone)
    return Span([one.day for one in found[length:]], found[length:], found[:length])


def _tiles(desk: Desk, length: int) -> tuple[list[Tile], Standing]:
    span, standing = _span(desk, length), counting.standing(desk.session, desk.shop_id, desk.now)
    issued, redeemed = span.of(lambda one: one.issued), span.of(lambda one: one.redeemed)
    flow = span.of(lambda one: one.issued + one.adjusted - one.redeemed - one.expired)
    return [
        _flow("members", _("New members"), _("Customers who joined in this time."), span,
              span.of(lambda one: one.joined), number,
              note=_("%(members)s members in all", members=number(standing.members))),
        _flow("issued", _("Points issued"), _("Points earned or given, less what refunds took back."), span, issued,
              points),
        _flow("redeemed", _("Points redeemed"), _("Points spent on rewards, less what came back."), span, redeemed,
              points),
        _rate(_("Redemption rate"), _("Points redeemed for every point issued in this time."), redeemed, issued),
        _outstanding(standing, flow),
        _back(standing),
        _revenue(desk, span),
    ], standing  # fmt: skip


def _flow(
    key: str, title: str, definition: str, span: Span, values: tuple[list[int], list[int]],
    says: Callable[[int], str], note: str = "",
) -> Tile:  # fmt: skip
    now, before = sum(values[0]), sum(values[1])
    change, good = _change(now, before)
    return Tile(key, title, definition, says(now), change, good, charts.line(span.days, *values, says), note)


def _change(now: float, before: float) -> tuple[str | None, bool | None]:
    """How a number changed, in percent of what it was; nothing to say where there was nothing."""
    if before <= 0 or now == before:
        return None, None
    percent = round(100 * (now - before) / before)
    return f"{percent:+d}%".replace("-", "−"), percent > 0


def _rate(title: str, definition: str, some: tuple[list[int], list[int]], of: tuple[list[int], list[int]]) -> Tile:
    now, before = (_share(sum(part), sum(whole)) for part, whole in zip(some, of, strict=True))
    change, good = _change(now or 0, before or 0)
    return Tile("rate", title, definition, _percent(now), change, good, None)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole > 0 else None


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.1f}%"


def _outstanding(standing: Standing, flow: tuple[list[int], list[int]]) -> Tile:
    held = standing.available + standing.pending
    change, _good = _change(held, held - sum(flow[0]))
    note = _("%(points)s of them pending", points=number(standing.pending))
    definition = _("Points that members hold and may still redeem: what you owe in rewards.")
    return Tile("outstanding", _("Points outstanding"), definition, points(held), change, None, None, note)


def _back(standing: Standing) -> Tile:
    members, others = standing.members_back, standing.others_back
    note = ngettext(
        "Others: %(rate)s of %(num)s buyer", "Others: %(rate)s of %(num)s buyers", others.buyers,
        rate=_percent(others.rate),
    )  # fmt: skip
    definition = _("Of those who bought in the last 12 months, how many bought more than once. Others are guests.")
    return Tile("repeat", _("Members who came back"), definition, _percent(members.rate), None, None, None, note)


def _revenue(desk: Desk, span: Span) -> Tile:
    asked = Period(span.days[0], span.days[-1], desk.zone)
    found = numbers.by_day(desk.session, desk.shop_id, asked._replace(first=asked.before.first))
    every = [found[day].revenue if day in found else 0 for day in (*(one.day for one in span.before), *span.days)]
    length = len(span.days)
    currency = desk.shop.currency
    definition = _("What friends’ orders count for after refunds, on the day they were placed.")
    return _flow("referrals", _("Referral revenue"), definition, span, (every[length:], every[:length]),
                 lambda value: money(value, currency))  # fmt: skip


def _tiers(desk: Desk, standing: Standing) -> list[tuple[str, int, float]]:
    """Each tier from the top: its name, its members, and their share of the largest."""
    rungs = ladder_of(desk.version).rungs
    most = max([*standing.tiers.values(), 1])
    return [(rung.name, n := standing.tiers.get(rung.key, 0), n / most) for rung in reversed(rungs)]


@downloads.offers("numbers")
def _numbers_file(desk: Desk, days: str = "30") -> downloads.File:
    """Every day's numbers as a spreadsheet."""
    span = _span(desk, _length(days))
    head = ("day", "joined", "issued", "redeemed", "expired", "adjusted")
    rows: Sequence[Sequence[Any]] = [
        (one.day, one.joined, one.issued, one.redeemed, one.expired, one.adjusted) for one in (*span.before, *span.now)
    ]
    return downloads.table("numbers", head, rows)
