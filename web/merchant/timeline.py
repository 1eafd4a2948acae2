"""One timeline of all that happened to a member: postings and events, with who, what, when and under which rule."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa

from core.events import Event
from core.i18n import N_, _, day, points
from loyalty import queries
from loyalty.models import Posting
from loyalty.operations import signed_points
from loyalty.rewards.models import MemberReward
from loyalty.wording import sentence
from tiers.models import TierPeriod
from tiers.wording import tier_text
from web.merchant.desk import Desk

PAGE = 40
# Told by the posting, the tier or the reward itself, or of no meaning to people.
SILENT = frozenset(
    {"points.posted", "tier.changed", "tier.ending", "points.expiring", "reward.redeemed", "reward.given_back"}
)


class Moment(NamedTuple):
    """Something that happened. `change` is signed points, None where none moved; `rule` names what they follow from."""

    at: datetime
    text: str
    who: str
    change: int | None = None
    waiting: bool = False
    rule: str | None = None
    balance: int | None = None


class Timeline(NamedTuple):
    """Moments by the days of the shop's clock, newest first, and where the next page begins."""

    days: list[tuple[date, list[Moment]]]
    following: str | None


class _At(NamedTuple):
    """The lowest ids shown so far of each source."""

    posting: int
    event: int
    period: int


_FIRST = _At(2**62, 2**62, 2**62)


def read(desk: Desk, member_id: int, after: str | None = None) -> Timeline:
    """A page of a member's timeline; `after` is the `following` of the page before."""
    at = _position(after)
    found: list[Any] = [*_postings(desk, member_id, at), *_periods(desk, member_id, at), *_events(desk, member_id, at)]
    found.sort(key=lambda row: row.recorded_at, reverse=True)
    shown = found[:PAGE]
    names = _reward_names(desk, shown)
    moments = [_moment(desk, row, names) for row in shown]
    moments.sort(key=lambda moment: moment.at, reverse=True)
    zone = desk.zone
    by_day = [(on, list(group)) for on, group in groupby(moments, key=lambda moment: moment.at.astimezone(zone).date())]
    return Timeline(by_day, _following(at, shown) if len(found) > PAGE else None)


def _position(after: str | None) -> _At:
    parts = (after or "").split("-")
    if len(parts) == len(_FIRST) and all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
        return _At(*(min(int(part), _FIRST.posting) for part in parts))
    return _FIRST


def _following(at: _At, shown: Sequence[Any]) -> str:
    kinds: tuple[Any, ...] = (Posting, Event, TierPeriod)
    lowest = [
        min([row.id for row in shown if isinstance(row, kind)], default=before)
        for kind, before in zip(kinds, at, strict=True)
    ]
    return "-".join(map(str, lowest))


def _rows(desk: Desk, table: Any, member_id: int, below: int, *more: sa.ColumnElement[bool]) -> Sequence[Any]:
    of_member = (table.shop_id == desk.shop_id, table.member_id == member_id, table.id < below)
    return desk.session.scalars(
        sa.select(table).where(*of_member, *more).order_by(table.id.desc()).limit(PAGE + 1)
    ).all()


def _postings(desk: Desk, member_id: int, at: _At) -> Sequence[Posting]:
    return _rows(desk, Posting, member_id, at.posting)


def _periods(desk: Desk, member_id: int, at: _At) -> Sequence[TierPeriod]:
    return _rows(desk, TierPeriod, member_id, at.period)


def _events(desk: Desk, member_id: int, at: _At) -> Sequence[Event]:
    return _rows(desk, Event, member_id, at.event, Event.kind.not_in(SILENT))


def _reward_names(desk: Desk, rows: Sequence[Any]) -> dict[int, str]:
    """What the rewards of these events are called, as they were when they were redeemed."""
    ids = [row.data["reward_id"] for row in rows if isinstance(row, Event) and "reward_id" in (row.data or {})]
    held = sa.select(MemberReward.id, MemberReward.terms["name"].astext).where(
        MemberReward.shop_id == desk.shop_id, MemberReward.id.in_(ids)
    )
    return {row[0]: row[1] for row in desk.session.execute(held)} if ids else {}


def _moment(desk: Desk, row: Any, names: Mapping[int, str]) -> Moment:
    if isinstance(row, Posting):
        return _points(desk, row)
    if isinstance(row, TierPeriod):
        version = desk.programs.numbered(row.shop_id, row.program_version) if row.program_version else None
        return Moment(row.since, tier_text(row, version, desk.shop.currency), _("Rapport"))
    return _event(desk, row, names)


def _points(desk: Desk, row: Posting) -> Moment:
    version = desk.programs.numbered(row.shop_id, row.program_version) if row.program_version else None
    names = queries.tier_names(version.program) if version else {}
    rule = _("rule %(rule)s", rule=row.rule)
    if version:
        rule = _("rule %(rule)s, version %(version)s", rule=row.rule, version=version.number)
    return Moment(
        row.occurred_at, sentence(row, names), who(desk, row.actor), signed_points(row.source, row.target, row.points),
        "pending" in (row.source, row.target) and "available" not in (row.source, row.target), rule,
        row.available_after,
    )  # fmt: skip


Teller = Callable[[Desk, Mapping[str, Any]], str]


def _joined(_desk: Desk, _told: Mapping[str, Any]) -> str:
    return _("Became a member.")


def _merged(_desk: Desk, told: Mapping[str, Any]) -> str:
    if "into" in told:
        return _("Was merged into member %(id)s.", id=told["into"])
    return _("Took over member %(id)s with %(points)s.", id=told["from"], points=points(told["points"]))


def _overridden(desk: Desk, told: Mapping[str, Any]) -> str:
    name = _tier(desk, told["tier"])
    if told.get("until"):
        until = day(datetime.fromisoformat(told["until"]), desk.zone)
        return _("Was given %(tier)s by hand, until %(day)s.", tier=name, day=until)
    return _("Was given %(tier)s by hand.", tier=name)


def _tier(desk: Desk, key: str) -> str:
    return queries.tier_names(desk.version.program).get(key, key)


_REWARDS = {
    "reward.issued": N_("%(name)s is ready to use."),
    "reward.used": N_("Used %(name)s."),
    "reward.kept": N_("Kept %(name)s: it was used before it could be taken back."),
    "reward.returned": N_("%(name)s ended, and its points are back."),
    "reward.revoked": N_("%(name)s is being taken back."),
    "reward.granted": N_("Was given %(name)s."),
    "reward.failed": N_("%(name)s could not be made; its points are back."),
    "reward.expired": N_("The days of %(name)s are over."),
}
_PLAIN = {
    "member.closed": N_("The customer was deleted in Shopify."),
    "member.erased": N_("Everything that says who they are was erased."),
    "member.blocked": N_("Was blocked: earns and redeems nothing."),
    "member.unblocked": N_("Was unblocked: earns and redeems again."),
    "member.exported": N_("Their data was exported."),
    "tier.override_ended": N_("The tier given by hand was ended."),
    "pass.saved": N_("Added their card to a phone."),
    "pass.removed": N_("Removed their card from a phone."),
    "pass.ended": N_("Their card ended."),
    "pass.scanned": N_("Their card was scanned."),
    "pass.sent": N_("The link to their card was sent."),
    "consent.given": N_("May be written to over %(channel)s."),
    "consent.withdrawn": N_("May no longer be written to over %(channel)s."),
    "referral.code_chosen": N_("Chose a code for friends."),
    "referral.code_retired": N_("Their code for friends was ended."),
    "referral.decided": N_("A referral was decided."),
    "referral.claimed": N_("A friend claimed their gift."),
    "referral.claim_made": N_("A friend’s code was made."),
    "referral.claim_used": N_("A friend used their code."),
    "referral.claim_ended": N_("A friend’s code ended unused."),
    "referral.claim_failed": N_("A friend’s code could not be made."),
    "referral.rewarded": N_("A friend’s order brought its reward."),
    "referral.waiting": N_("A friend’s order waits for its payment."),
    "referral.holding": N_("A friend’s order was paid; the holding days run."),
    "referral.review": N_("A friend’s order waits for your decision."),
    "referral.blocked": N_("A friend’s order was refused."),
    "referral.void": N_("A friend’s order was undone before its reward came."),
    "referral.reversed": N_("A friend’s order was undone, and its reward taken back."),
}
_TELLERS: dict[str, Teller] = {
    "member.joined": _joined,
    "member.merged": _merged,
    "tier.overridden": _overridden,
}


def _event(desk: Desk, row: Event, names: Mapping[int, str]) -> Moment:
    told: Mapping[str, Any] = row.data or {}
    if row.kind in _TELLERS:
        text = _TELLERS[row.kind](desk, told)
    elif row.kind in _REWARDS:
        text = _(_REWARDS[row.kind], name=names.get(told.get("reward_id", 0)) or _("A reward"))
    elif row.kind in _PLAIN:
        text = _(_PLAIN[row.kind], channel=told.get("channel", ""))
    else:
        text = row.kind.replace(".", " ").replace("_", " ").capitalize() + "."
    return Moment(row.occurred_at, text, who(desk, row.actor))


def who(desk: Desk, actor: str) -> str:
    """Who did something, in words: one actor of the ledger or the events."""
    kind, _sign, of = actor.partition(":")
    if kind == "merchant" and of == desk.visitor.user:
        return _("you")
    if kind == "staff" and (called := desk.staff_name(actor)):
        return called
    words = {
        "merchant": N_("your team (user %(id)s)"),
        "staff": N_("staff (%(id)s)"),
        "api": N_("API key %(id)s"),
        "shopify": N_("Shopify"),
        "member": N_("the member"),
        "portal": N_("the member"),
        "system": N_("Rapport"),
        "referrals": N_("Rapport"),
        "install": N_("Rapport"),
        "demo": N_("Rapport"),
    }
    return _(words[kind], id=of) if kind in words else actor
