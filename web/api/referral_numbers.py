"""What referrals bring and cost, over the API and as a table; docs/referrals.md defines the numbers."""

import csv
import io
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from flask import Response
from pydantic import AfterValidator, Field

from core import clock
from loyalty import programs
from referrals import exports, numbers
from referrals.numbers import Figures, Period
from shops.models import Shop
from web.api.endpoint import Call, File, Operation, endpoint
from web.api.shapes import Asked, Id, Shape

_MINOR = "In minor units."


def _a_day(text: str) -> str:
    date.fromisoformat(text)
    return text


Day = Annotated[
    str,
    Field(pattern=r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}$", json_schema_extra={"format": "date"}, examples=["2026-07-01"]),
    AfterValidator(_a_day),
]


class ReferralFigures(Shape):
    """What came of some days. An order counts on the day it was placed, whatever became of it when."""

    shares: Annotated[int, Field(description="Invites: taps that passed a link on.")]
    clicks: Annotated[int, Field(description="Looks at codes' pages by people, not robots; half an hour is one look.")]
    visitors: Annotated[int, Field(description="Browsers that looked, each counted once a day and code.")]
    claims: Annotated[int, Field(description="Friends who left an e-mail.")]
    waiting: Annotated[int, Field(description="Orders not paid yet.")]
    review: Annotated[int, Field(description="Orders that wait for a person.")]
    refused: Annotated[int, Field(description="Orders the checks or a person refused.")]
    undone: Annotated[int, Field(description="Orders cancelled or refunded.")]
    conversions: Annotated[int, Field(description="Orders of friends that are paid, stand, and were not refused.")]
    customers: Annotated[int, Field(description="Friends behind those orders, each once.")]
    conversion_rate: Annotated[str | None, Field(description="`conversions` for each visitor, as decimal text.")]
    revenue: Annotated[int, Field(description="What those orders count for after refunds, in minor units.")]
    discounts: Annotated[int, Field(description="What friends' codes took off those orders, in minor units.")]
    rewards: Annotated[int, Field(description="What both sides were given and not taken back, in minor units.")]
    commission: Annotated[int, Field(description="Commission earned and not taken back, in minor units.")]
    cost: Annotated[int, Field(description="`discounts`, `rewards` and `commission` together.")]
    cost_per_customer: Annotated[int | None, Field(description="`cost` for each of `customers`, in minor units.")]
    points: Annotated[int, Field(description="Points given and not taken back. They are not in `cost`.")]


class ReferralBucket(ReferralFigures):
    since: date
    until: Annotated[date, Field(description="The last day in it.")]


class TopReferrer(Shape):
    member_id: Id | None
    partner_id: Id | None
    conversions: int
    revenue: Annotated[int, Field(description=_MINOR)]
    cost: Annotated[int, Field(description=_MINOR)]


class ReferralNumbers(Shape):
    since: date
    until: Annotated[date, Field(description="The last day in it.")]
    timezone: Annotated[str, Field(description="Whose days these are: the program's.")]
    currency: str
    total: ReferralFigures
    previous: Annotated[ReferralFigures, Field(description="The same for as many days just before.")]
    series: Annotated[list[ReferralBucket], Field(description="Day by day, week by week or month by month.")]
    top: Annotated[list[TopReferrer], Field(description="Who brought most, by conversions, then by revenue.")]


class DaysQuery(Asked):
    until: Annotated[Day | None, Field(description="The last day; today by default.")] = None
    days: Annotated[int, Field(ge=1, le=366, description="How many, up to the last.")] = 30


class NumbersQuery(DaysQuery):
    by: Annotated[Literal["day", "week", "month"], Field(description="Weeks begin on Monday.")] = "day"


class Spreadsheet(File):
    """Comma-separated values, with a line of names."""

    media: ClassVar[str] = "text/csv"


@endpoint("GET", "/referrals/numbers", problems=(404, 422))
def read_referral_numbers(call: Call, query: NumbersQuery) -> ReferralNumbers:
    """What referrals brought and cost in some days, beside as many days before."""
    asked = _period(call, query)
    found = numbers.by_day(call.session, call.shop_id, asked._replace(first=asked.before.first))
    return ReferralNumbers(
        since=asked.first,
        until=asked.last,
        timezone=asked.zone.key,
        currency=call.session.get_one(Shop, call.shop_id).currency,
        total=ReferralFigures(**_figures(numbers.within(found, asked))),
        previous=ReferralFigures(**_figures(numbers.within(found, asked.before))),
        series=[_bucket(one) for one in numbers.buckets(found, asked, query.by)],
        top=[_referrer(one) for one in numbers.top(call.session, call.shop_id, asked)],
    )


@endpoint("GET", "/referrals/export", problems=(404, 422))
def export_referrals(call: Call, query: DaysQuery) -> Spreadsheet:
    """Every referral of some days as a table for a spreadsheet, oldest first.

    Money in currency units. It holds ids and codes, no names or addresses.
    """
    asked = _period(call, query)
    rows = exports.rows(call.session, call.shop_id, asked)
    headers = {"Content-Disposition": f'attachment; filename="referrals-{asked.first}-{asked.last}.csv"'}
    return Spreadsheet(lambda: Response(_lines(rows), mimetype=Spreadsheet.media, headers=headers))


def _period(call: Call, query: DaysQuery) -> Period:
    now = clock.now()
    zone = programs.load(call.session, [call.shop_id]).in_force(call.shop_id, now).program.zone
    return Period.until(date.fromisoformat(query.until) if query.until else None, query.days, now, zone)


def _figures(figures: Figures) -> dict[str, Any]:
    rate = figures.conversion_rate
    computed = ("cost", "cost_per_customer")
    return {
        **{name: getattr(figures, name) for name in (*figures.__struct_fields__, *computed)},
        "conversion_rate": None if rate is None else str(rate),
    }


def _bucket(bucket: numbers.Bucket) -> ReferralBucket:
    return ReferralBucket(since=bucket.first, until=bucket.last, **_figures(bucket.figures))


def _referrer(found: numbers.Referrer) -> TopReferrer:
    return TopReferrer(
        member_id=None if found.member_id is None else str(found.member_id),
        partner_id=None if found.partner_id is None else str(found.partner_id),
        conversions=found.conversions,
        revenue=found.revenue,
        cost=found.cost,
    )


def _lines(rows: list[tuple[Any, ...]]) -> Iterator[str]:
    """The table, a few hundred lines at a time."""
    for start in range(0, max(1, len(rows)), 500):
        page = io.StringIO()
        writer = csv.writer(page)
        if start == 0:
            writer.writerow(exports.COLUMNS)
        writer.writerows(rows[start : start + 500])
        yield page.getvalue()


OPERATIONS: tuple[Operation, ...] = (read_referral_numbers, export_referrals)
