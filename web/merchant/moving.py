"""Moving in and out: members from another program's spreadsheet, and everything we hold as files to take away."""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from flask import render_template, request

from core.errors import RapportError
from core.i18n import _
from loyalty.importing import operations
from loyalty.importing.rules import MOST_BYTES
from loyalty.models import Member, Posting
from loyalty.rewards.models import MemberReward
from web.merchant import downloads
from web.merchant.desk import ID, Answer, Desk, go, page, post

MEMBERS = (
    "member_id",
    "customer_id",
    "email",
    "name",
    "joined_at",
    "tier",
    "points",
    "pending",
    "lifetime",
    "last_order_at",
)
POSTINGS = (
    "id",
    "member_id",
    "kind",
    "from",
    "to",
    "points",
    "order_id",
    "rule",
    "actor",
    "occurred_at",
    "balance_after",
)
REWARDS = (
    "id",
    "member_id",
    "reward",
    "status",
    "code",
    "points",
    "amount",
    "currency",
    "requested_at",
    "used_at",
    "order_id",
)


@page("/import")
def moving(desk: Desk) -> Answer:
    """Choose a file, see the latest imports, and take everything away."""
    return _shown(desk)


@post("/import")
def check_import(desk: Desk) -> Answer:
    """Read a file and say what it would bring. Nothing changes yet."""
    sent = request.files.get("file")
    try:
        data = sent.read(MOST_BYTES + 1) if sent else b""
        row = operations.check(desk.session, desk.shop_id, (sent and sent.filename) or "", data, actor=desk.actor)
    except RapportError as error:
        return _shown(desk, wrong=error.detail), int(error.status)
    return go("one_import", import_id=row.id)


@page(f"/import/<{ID}:import_id>")
def one_import(desk: Desk, import_id: int) -> Answer:
    """What a file would bring or has brought, its faults by line, and how far it has come."""
    return render_template("merchant/import.html", row=operations.find(desk.session, desk.shop_id, import_id))


@post(f"/import/<{ID}:import_id>/start")
def start_import(desk: Desk, import_id: int) -> Answer:
    """Bring it in."""
    operations.start(desk.session, desk.shop_id, import_id, actor=desk.actor)
    return go("one_import", import_id=import_id)


@post(f"/import/<{ID}:import_id>/cancel")
def cancel_import(desk: Desk, import_id: int) -> Answer:
    """Forget it, or stop it where it is."""
    row = operations.cancel(desk.session, desk.shop_id, import_id, actor=desk.actor)
    said = _("Stopped. What had come in stays.") if row.done else _("Nothing was imported.")
    return go("moving", said=said)


def _shown(desk: Desk, wrong: str | None = None) -> str:
    files = {name: downloads.address(name) for name in ("all-members", "all-postings", "all-rewards")}
    rows = operations.latest(desk.session, desk.shop_id)
    return render_template("merchant/moving.html", rows=rows, wrong=wrong, files=files)


@downloads.offers("all-members")
def all_members(desk: Desk, _asked: Mapping[str, str]) -> downloads.File:
    """Every member with balance and tier."""
    here = sa.select(
        Member.id, Member.customer_id, Member.email, Member.name, Member.joined_at, Member.tier_key, Member.available,
        Member.pending, Member.lifetime, Member.last_order_at,
    ).where(Member.shop_id == desk.shop_id, Member.merged_into.is_(None), Member.erased_at.is_(None))  # fmt: skip
    return downloads.table("members", MEMBERS, _rows(desk, here.order_by(Member.id)))


@downloads.offers("all-postings")
def all_postings(desk: Desk, _asked: Mapping[str, str]) -> downloads.File:
    """The whole ledger."""
    here = sa.select(
        Posting.id, Posting.member_id, Posting.kind, Posting.source, Posting.target, Posting.points, Posting.order_id,
        Posting.rule, Posting.actor, Posting.occurred_at, Posting.available_after,
    ).where(Posting.shop_id == desk.shop_id)  # fmt: skip
    return downloads.table("ledger", POSTINGS, _rows(desk, here.order_by(Posting.id)))


@downloads.offers("all-rewards")
def all_rewards(desk: Desk, _asked: Mapping[str, str]) -> downloads.File:
    """Every reward that was redeemed or given."""
    here = sa.select(
        MemberReward.id, MemberReward.member_id, MemberReward.reward_key, MemberReward.status, MemberReward.code,
        MemberReward.points, MemberReward.amount, MemberReward.currency, MemberReward.requested_at,
        MemberReward.used_at, MemberReward.order_id,
    ).where(MemberReward.shop_id == desk.shop_id)  # fmt: skip
    return downloads.table("rewards", REWARDS, _rows(desk, here.order_by(MemberReward.id)))


def _rows(desk: Desk, asked: Any) -> Iterator[tuple[Any, ...]]:
    found = desk.session.execute(asked.execution_options(yield_per=5000))
    return (tuple(_plain(value) for value in row) for row in found)


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
