"""Cards are made, brought up to date, ended, and read at the counter."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import clock
from core.errors import NotFound
from core.events import Happened, record
from loyalty import queries
from loyalty.models import Member
from shops.models import Shop
from wallet_passes import barcode, facts
from wallet_passes.barcode import BadCode
from wallet_passes.content import Card
from wallet_passes.design import Design
from wallet_passes.designs.queries import design_of
from wallet_passes.models import TAGS, AppleFile, Pass

SECOND = timedelta(seconds=1)
# Shared by all shops; see `_advance`.
_TAG_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtext('rapport pass tags'))")

IDENTIFY, EARN, SPEND = "identify", "earn", "spend"
# What a code may do, by its validity. Only the newest code of a card may spend.
MAY: Mapping[str, frozenset[str]] = {
    "current": frozenset({IDENTIFY, EARN, SPEND}),
    "outdated": frozenset({IDENTIFY, EARN}),
}


class Current(NamedTuple):
    """A pass that is up to date, and what it shows."""

    row: Pass
    card: Card
    design: Design
    shop: Shop


class Scan(NamedTuple):
    """What a scanned code is good for.

    `validity` is `current`, `outdated` (of before a redemption), `ended`, `unknown`, `forged` or `unreadable`.
    """

    validity: str
    member_id: int | None
    may: frozenset[str]


def issue(session: Session, shop_id: int, member_id: int) -> Current:
    """The member's pass, made if there is none yet. Raises NotFound (`no_member`, `no_pass` for one who has left)."""
    member = queries.member(session, shop_id, member_id)
    # Whoever posts points holds this lock: see `queries.with_cards`.
    session.refresh(member, with_for_update={"read": True})
    if facts.is_over(member, session.get_one(Shop, shop_id)):
        raise NotFound("this member has left the program", code="no_pass")
    now = clock.now()
    made = {
        "shop_id": shop_id,
        "member_id": member.id,
        "serial": f"{shop_id}-{secrets.token_hex(10)}",
        "handle": barcode.new_handle(),
        "created_at": now,
        "modified_at": _whole(now),
    }
    session.execute(insert(Pass).values(made).on_conflict_do_nothing(index_elements=["shop_id", "member_id"]))
    current = refresh(session, shop_id, member.id)
    assert current is not None
    return current


def refresh(session: Session, shop_id: int, member_id: int) -> Current | None:
    """Bring a member's pass up to date with what is known now; None when the member has none.

    Only what changes the card makes a new version. The pass's row stays locked, so that versions follow one another.
    """
    mine = sa.select(Pass).where(Pass.shop_id == shop_id, Pass.member_id == member_id)
    row = session.scalar(mine.with_for_update().execution_options(populate_existing=True))
    if row is None:
        return None
    shop, now = session.get_one(Shop, shop_id), clock.now()
    _follow_merge(session, row)
    row.generation = max(row.generation, facts.redemptions(session, row))
    card = facts.card_of(session, row, shop, now)
    design = design_of(session, shop, card.look)
    digest = hashlib.sha256(msgspec.json.encode([card, design])).hexdigest()
    if digest != row.digest:
        _advance(session, row, digest, now)
    if card.ended and row.ended_at is None:
        _end(session, row, now)
    return Current(row, card, design, shop)


def _follow_merge(session: Session, row: Pass) -> None:
    """A card goes on as the card of whom its member became, unless they have one already."""
    into = session.scalar(
        sa.select(Member.merged_into).where(Member.shop_id == row.shop_id, Member.id == row.member_id)
    )
    taken = sa.select(Pass.serial).where(Pass.shop_id == row.shop_id, Pass.member_id == into)
    if into is not None and session.scalar(taken) is None:
        row.member_id = into
        row.generation += 1


def _advance(session: Session, row: Pass, digest: str, now: datetime) -> None:
    """A new version. Tags become visible in their order, or a phone that has seen a later one would miss an earlier:
    so whoever takes one holds this lock until the commit, which follows at once.
    """
    session.execute(_TAG_LOCK)
    row.tag = session.scalar(sa.select(TAGS.next_value())) or 0
    # HTTP tells times in whole seconds: a second change in the same one is dated to the next.
    row.modified_at = max(_whole(now), row.modified_at + SECOND) if row.version else _whole(now)
    row.version += 1
    row.digest = digest
    session.flush()


def _end(session: Session, row: Pass, now: datetime) -> None:
    """The last version says nothing of the person, and no file that does is kept."""
    row.ended_at = now
    session.execute(sa.delete(AppleFile).where(AppleFile.shop_id == row.shop_id, AppleFile.serial == row.serial))
    record(session, [Happened(row.shop_id, "pass.ended", {"serial": row.serial}, now, row.member_id)])


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def scan(session: Session, shop_id: int, code: str, *, actor: str) -> Scan:
    """Whose card a code is of and what it may do here. Every scan is recorded (`pass.scanned`), whatever it was."""
    found = _scanned(session, shop_id, code)
    told = {"validity": found.validity}
    record(session, [Happened(shop_id, "pass.scanned", told, clock.now(), found.member_id, actor=actor)])
    return found


def _scanned(session: Session, shop_id: int, code: str) -> Scan:
    try:
        said = barcode.read(facts.keys(), shop_id, code)
    except BadCode as bad:
        return Scan(bad.reason, None, frozenset())
    row = session.scalar(sa.select(Pass).where(Pass.shop_id == shop_id, Pass.handle == said.handle))
    if row is None:
        return Scan("unknown", None, frozenset())
    member, shop = session.get_one(Member, (shop_id, row.member_id)), session.get_one(Shop, shop_id)
    if row.ended_at or facts.is_over(member, shop):
        return Scan("ended", row.member_id, frozenset())
    # Counted here, not read from the pass: from the redemption's commit on, the code that made it can't spend again.
    generation = max(row.generation, facts.redemptions(session, row))
    validity = "current" if said.generation == generation % barcode.GENERATIONS else "outdated"
    return Scan(validity, row.member_id, MAY[validity])
