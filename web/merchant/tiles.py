"""What the first page tells: each number with what it means, what it was before, how it went, and its spreadsheet."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from core.i18n import _, money, ngettext, number, percent, points
from core.money import to_units
from loyalty import counting
from loyalty.counting import Back, Day, Standing
from referrals import numbers
from referrals.numbers import Period
from tiers.ladders import ladder_of
from wallet_passes.queries import Live
from web.merchant import charts
from web.merchant.charts import Chart
from web.merchant.desk import Desk

Sheet = tuple[Sequence[str], Sequence[Sequence[Any]]]  # the names of the columns, and the rows


class Bar(NamedTuple):
    """One of a few numbers that are looked at side by side. `share` of the longest bar, from 0 to 1."""

    name: str
    value: str
    share: float
    note: str = ""


class Tile(NamedTuple):
    """One question and its answer: in words, what it was in the time before, and how it went or what it is made of.

    `change` is the difference in percent where that says something; `good` whether it is good news.
    """

    key: str
    title: str
    definition: str
    sheet: Sheet
    value: str = ""
    then: str | None = None
    change: str | None = None
    good: bool | None = None
    chart: Chart | None = None
    bars: Sequence[Bar] = ()
    note: str = ""


class Span(NamedTuple):
    """The days that are looked at, and as many just before."""

    days: list[date]
    now: list[Day]
    before: list[Day]

    def of(self, value: Callable[[Day], int]) -> tuple[list[int], list[int]]:
        return [value(one) for one in self.now], [value(one) for one in self.before]

    def sheet(self, name: str, values: tuple[Sequence[Any], Sequence[Any]]) -> Sheet:
        """A number of each day with the day it is compared to."""
        days = zip(self.now, values[0], self.before, values[1], strict=True)
        return ("day", name, "day_before", f"{name}_before"), [(one.day, v, was.day, w) for one, v, was, w in days]


def span_of(desk: Desk, length: int) -> Span:
    """The last `length` days of the shop's calendar, today among them, and those before."""
    last = desk.now.astimezone(desk.zone).date()
    found = counting.days(desk.session, desk.shop_id, last - timedelta(2 * length - 1), last, desk.zone)
    return Span([one.day for one in found[length:]], found[length:], found[:length])


def tiles(desk: Desk, length: int, standing: Standing) -> list[Tile]:
    """All of them, over the last `length` days, one of counting.SPANS."""
    span = span_of(desk, length)
    issued, redeemed = span.of(lambda one: one.issued), span.of(lambda one: one.redeemed)
    return [
        _flow("members", _("New members"), _("Customers who joined in this time."), span,
              span.of(lambda one: one.joined), number,
              note=ngettext("%(num)s member in all", "%(num)s members in all", standing.members)),
        _flow("issued", _("Points issued"), _("Points earned or given, less what refunds took back."), span, issued,
              points),
        _flow("redeemed", _("Points redeemed"), _("Points spent on rewards, less what came back."), span, redeemed,
              points),
        _outstanding(standing, span),
        _revenue(desk, span),
        _back(standing, length),
        _rate(span, redeemed, issued),
        _wallets(standing, length),
        _tiers(desk, standing),
    ]  # fmt: skip


def _flow(
    key: str, title: str, definition: str, span: Span, values: tuple[list[int], list[int]],
    says: Callable[[int], str], note: str = "",
) -> Tile:  # fmt: skip
    """What adds up over the time."""
    now, before = sum(values[0]), sum(values[1])
    change, good = _change(now, before)
    chart = charts.line(span.days, *values, says)
    return Tile(key, title, definition, span.sheet(key, values), says(now), says(before), change, good, chart, (), note)


def _change(now: float, before: float) -> tuple[str | None, bool | None]:
    """How a number changed, in percent of what it was, and whether it grew; nothing where there was nothing."""
    if before <= 0 or now == before:
        return None, None
    return f"{round(100 * (now - before) / before):+d}%".replace("-", "−"), now > before


def _outstanding(standing: Standing, span: Span) -> Tile:
    held = standing.available + standing.pending
    flows = [one.issued + one.adjusted - one.redeemed - one.expired for one in (*span.before, *span.now)]
    ends = [held - sum(flows[n + 1 :]) for n in range(len(flows))]
    values = ends[len(span.before) :], ends[: len(span.before)]
    change, _good = _change(held, values[1][-1])
    return Tile(
        "outstanding", _("Points outstanding"),
        _("Points that members hold and may still redeem: what you owe in rewards."),
        span.sheet("outstanding", values), points(held), points(values[1][-1]), change, None,
        charts.line(span.days, *values, points, held=True),
        note=_("%(points)s of them pending", points=number(standing.pending)),
    )  # fmt: skip


def _rate(span: Span, redeemed: tuple[list[int], list[int]], issued: tuple[list[int], list[int]]) -> Tile:
    now, before = (_share(sum(part), sum(whole)) for part, whole in zip(redeemed, issued, strict=True))
    rows = [(one.day, one.redeemed, one.issued, _plain(_share(one.redeemed, one.issued)))
            for one in (*span.before, *span.now)]  # fmt: skip
    return Tile(
        "rate", _("Redemption rate"), _("Points redeemed for every point issued in this time."),
        (("day", "redeemed", "issued", "redemption_rate"), rows), _percent(now), _percent(before), None,
        _better(now, before), bars=_bars([(_("Issued"), sum(issued[0])), (_("Redeemed"), sum(redeemed[0]))]),
    )  # fmt: skip


def _back(standing: Standing, length: int) -> Tile:
    members, others = standing.members_back, standing.others_back
    before = standing.back(length)
    rows = [
        (who, now.buyers, now.again, _plain(now.rate), then.buyers, then.again, _plain(then.rate))
        for who, now, then in (("members", members, before[0]), ("others", others, before[1]))
    ]
    head = ("who", "buyers", "bought_again", "rate", "buyers_before", "bought_again_before", "rate_before")
    return Tile(
        "repeat", _("Members who came back"),
        _("Of those who bought in the last 12 months, how many bought more than once. Others are guests."),
        (head, rows), _percent(members.rate), _percent(before[0].rate), None, _better(members.rate, before[0].rate),
        bars=[_returned(_("Members"), members, before[0]), _returned(_("Others"), others, before[1])],
    )  # fmt: skip


def _returned(name: str, now: Back, before: Back) -> Bar:
    told = {"again": number(now.again), "buyers": number(now.buyers), "before": _percent(before.rate)}
    return Bar(name, _percent(now.rate), now.rate or 0.0, _("%(again)s of %(buyers)s, before: %(before)s", **told))


def _revenue(desk: Desk, span: Span) -> Tile:
    asked = Period(span.days[0], span.days[-1], desk.zone)
    found = numbers.by_day(desk.session, desk.shop_id, asked._replace(first=asked.before.first))
    now, before = (
        [found[one.day].revenue if one.day in found else 0 for one in part] for part in (span.now, span.before)
    )
    currency = desk.shop.currency
    definition = _("What friends’ orders count for after refunds, on the day they were placed.")
    tile = _flow("referrals", _("Referral revenue"), definition, span, (now, before), lambda one: money(one, currency))
    units = tuple([to_units(value, currency) for value in values] for values in (now, before))
    return tile._replace(sheet=span.sheet("revenue", (units[0], units[1])))


def _wallets(standing: Standing, length: int) -> Tile:
    live, before = (Live(*standing.at("cards", ago, (0, 0, 0))) for ago in (0, length))
    change, good = _change(live.members, before.members)
    rows = [(name, getattr(live, name), getattr(before, name)) for name in ("members", "apple", "google")]
    return Tile(
        "wallets", _("Wallet cards live"), _("Members whose card is in Apple Wallet or Google Wallet now."),
        (("wallet", "live", "live_before"), rows), number(live.members), number(before.members), change, good,
        bars=_bars([("Apple Wallet", live.apple), ("Google Wallet", live.google)]),
    )  # fmt: skip


def _tiers(desk: Desk, standing: Standing) -> Tile:
    """Each tier from the top."""
    rungs = [(rung.name, standing.tiers.get(rung.key, 0)) for rung in reversed(ladder_of(desk.version).rungs)]
    return Tile(
        "tiers", _("Members by tier"), _("Members by the tier they hold now."),
        (("tier", "members"), rungs), bars=_bars(rungs),
    )  # fmt: skip


def _bars(parts: Sequence[tuple[str, int]]) -> list[Bar]:
    most = max(1, *(value for _name, value in parts))
    return [Bar(name, number(value), max(0, value) / most) for name, value in parts]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole > 0 else None


def _better(now: float | None, before: float | None) -> bool | None:
    return None if now is None or before is None or now == before else now > before


def _percent(share: float | None) -> str:
    return "–" if share is None else percent(Decimal(round(1000 * share)) / 10)


def _plain(share: float | None) -> str:
    """A share in a spreadsheet, from 0 to 1."""
    return "" if share is None else f"{share:.4f}"
