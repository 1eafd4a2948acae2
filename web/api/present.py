"""From what the rooms know to the shapes of the API."""

from collections.abc import Mapping, Sequence
from typing import Any

from loyalty import models, queries
from loyalty.operations import signed_points
from loyalty.programs import Programs
from loyalty.queries import SettledOrder
from loyalty.wording import order_text, sentence
from tiers.queries import Standing
from web.api import shapes

_BALANCES = ("available", "pending")


def member(
    row: models.Member, standing: Standing, expiring: shapes.Expiring | None, referral: shapes.Referral | None
) -> shapes.Member:
    """A member with balances, what of them expires next, and standing on the ladder."""
    following = standing.next
    return shapes.Member(
        id=str(row.id),
        customer_id=_id(row.customer_id),
        email=row.email,
        points=shapes.Points(available=row.available, pending=row.pending, lifetime=row.lifetime),
        expiring=expiring,
        tier=shapes.Tier(
            key=standing.key,
            name=standing.name,
            since=standing.since,
            next=shapes.NextTier(**following._asdict()) if following else None,
            metric=standing.metric,
            value=standing.value,
            by_hand=standing.by_hand,
            until=standing.until,
            missing=standing.missing,
        ),
        referral=referral,
        joined_at=row.joined_at,
    )


def postings(rows: Sequence[models.Posting], programs: Programs) -> list[shapes.Posting]:
    """Postings, each in the words of its own program version."""
    return [posting(row, _tier_names(programs, row.shop_id, row.program_version)) for row in rows]


def posting(row: models.Posting, tier_names: Mapping[str, str]) -> shapes.Posting:
    """A posting as the member sees it."""
    return shapes.Posting(
        id=str(row.id),
        kind=row.kind,
        points=signed_points(row.source, row.target, row.points),
        bucket=row.target if row.target in _BALANCES else row.source,
        order_id=_id(row.order_id),
        program_version=row.program_version,
        rule=row.rule,
        explanation=shapes.Explanation(text=sentence(row, tier_names), **_stored(row.explanation)),
        actor=row.actor,
        occurred_at=row.occurred_at,
        balance_after=row.available_after,
    )


def order(found: SettledOrder, programs: Programs) -> shapes.Order:
    """An order and how it was settled."""
    known, state, spend = found.order, found.order.state, found.spend
    settled: Mapping[str, Any] = known.settled or {}
    names = queries.tier_names(found.version.program) if found.version else {}
    reason = found.not_earning
    return shapes.Order(
        id=str(known.order_id),
        name=state.name if state else None,
        status=state.status if state else None,
        placed_at=state.processed_at if state else None,
        cancelled_at=state.cancelled_at if state else None,
        member_id=_id(known.member),
        eligible=reason is None,
        reason=reason,
        text=order_text(state.name if state else str(known.order_id), reason, settled, names),
        currency=state.currency if state else None,
        spend=spend.gross if spend else 0,
        refunded=spend.refunded if spend else 0,
        eligible_spend=settled.get("eligible", 0),
        program_version=found.version.number if found.version else None,
        tier=_order_tier(known.tier_key, names),
        rate=settled.get("rate"),
        multiplier=settled.get("multiplier"),
        points=shapes.OrderPoints(available=known.available, pending=known.pending),
        lines=_lines(found),
        postings=postings(found.postings, programs),
    )


def _lines(found: SettledOrder) -> list[shapes.OrderLine]:
    return [
        shapes.OrderLine(
            id=str(line.line_id), title=line.title, spend=line.gross, refunded=line.refunded, excluded=line.excluded
        )
        for line in (found.spend.lines if found.spend else ())
    ]


def _order_tier(key: str | None, names: Mapping[str, str]) -> shapes.OrderTier | None:
    return shapes.OrderTier(key=key, name=names.get(key, key)) if key else None


def _tier_names(programs: Programs, shop_id: int, number: int | None) -> Mapping[str, str]:
    return {} if number is None else queries.tier_names(programs.numbered(shop_id, number).program)


def _stored(explanation: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in explanation.items() if name != "text"}


def _id(number: int | None) -> str | None:
    return None if number is None else str(number)
