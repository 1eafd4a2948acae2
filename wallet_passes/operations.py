"""Cards are made, brought up to date, and ended."""

import hashlib
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import clock
from core.effects import Effect
from core.errors import NotFound
from core.events import Happened, record
from core.i18n import _
from loyalty import queries
from shops.models import Shop
from wallet_passes import barcode, facts
from wallet_passes.content import Card
from wallet_passes.design import Design
from wallet_passes.designs.queries import looks
from wallet_passes.facts import THESE
from wallet_passes.models import TAGS, AppleFile, Pass

SECOND = timedelta(seconds=1)
# Shared by all shops; see `_advance`.
_TAG_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtext('rapport pass tags'))")
_NEXT_TAGS = sa.select(TAGS.next_value()).select_from(sa.func.generate_series(1, sa.bindparam("count")))

# The effects that tell wallets; their target is the member.
TELLING = ("wallet.apple", "wallet.google")

_LOCKED = (
    sa.select(Pass)
    .join(THESE, (Pass.shop_id == THESE.c.shop_id) & (Pass.member_id == THESE.c.member_id))
    .order_by(Pass.shop_id, Pass.serial)
    .with_for_update(of=Pass)
)

Key = tuple[int, int]  # shop, member


class Current(NamedTuple):
    """A pass that is up to date, and what it shows."""

    row: Pass
    card: Card
    design: Design
    shop: Shop


def issue(session: Session, shop_id: int, member_id: int) -> Current:
    """The member's pass, made if there is none yet. Raises NotFound (`no_member`, `no_pass` for one who has left)."""
    member = queries.member(session, shop_id, member_id)
    # Whoever posts points holds this lock: see `queries.with_cards`.
    session.refresh(member, with_for_update={"read": True})
    if facts.is_over(member, session.get_one(Shop, shop_id)):
        raise NotFound(_("this member has left the program"), code="no_pass")
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

    Only what changes the card makes a new version. The pass's row stays locked, so that versions follow one another:
    whoever brings several up to date in one transaction does it in one call of `refresh_many`.
    """
    return refresh_many(session, [(shop_id, member_id)]).get((shop_id, member_id))


def refresh_many(session: Session, keys: Collection[Key]) -> dict[Key, Current]:
    """Bring the passes of these (shop id, member id) up to date, as `refresh` does; those without one are left out.

    The session must have the shops opened.
    """
    rows = _locked(session, keys)
    if not rows:
        return {}
    now = clock.now()
    shops = {shop.id: shop for shop in session.scalars(sa.select(Shop).where(Shop.id.in_({key[0] for key in rows})))}
    members = facts.members_of(session, rows)
    _move_codes_on(session, rows.values())
    cards = facts.cards(session, list(rows.values()), members, shops, now)
    dressed = looks(session, list(shops.values()))
    found = {
        key: Current(row, card, dressed.of(row.shop_id, card.look), shops[row.shop_id])
        for (key, row), card in zip(rows.items(), cards, strict=True)
    }
    _advance(session, [current for current in found.values() if _digest(current) != current.row.digest], now)
    _end(session, found.values(), now)
    return found


def merge_cards(session: Session, shop_id: int, deleted: int, kept: int) -> None:
    """A card goes on as the card of whom its member became, unless they have one already.

    The caller has locked both members and posts or records nothing before: whatever follows finds the card where it
    is, and wallets are told of it.
    """
    if session.scalar(sa.select(Pass.serial).where(Pass.shop_id == shop_id, Pass.member_id == kept)):
        return
    theirs = sa.select(Pass).where(Pass.shop_id == shop_id, Pass.member_id == deleted).with_for_update()
    row = session.scalar(theirs.execution_options(populate_existing=True))
    if row is not None:
        # From here on what the other one redeems is counted, and no code that was shown so far may come again.
        row.carried = facts.generations(session, [row])[row.serial] + 1
        row.generation, row.member_id = row.carried, kept
        session.flush()


_asked = sa.select(Effect.target).where(
    Effect.shop_id == Pass.shop_id,
    Effect.kind.in_(TELLING),
    Effect.target == sa.cast(Pass.member_id, sa.Text),
    # What gave up has been worked out: wallets could not be told of it.
    Effect.state == "waiting",
    # What is under lease is being done: when it does change the card, the phone will hear of it.
    Effect.leased_until.is_(None),
)
_CURRENT = (
    sa.select(Pass, Pass.card, Shop, _asked.exists())
    .join(Shop, Shop.id == Pass.shop_id)
    .where(Pass.shop_id == sa.bindparam("shop_id"), Pass.serial == sa.bindparam("serial"))
)


def current(session: Session, shop_id: int, serial: str) -> Current | None:
    """A pass by its serial, up to date; None when there is none.

    It is worked out anew only if something has happened that wallets were not told of.
    """
    found = session.execute(_CURRENT, {"shop_id": shop_id, "serial": serial}).one_or_none()
    if found is None:
        return None
    row, encoded, shop, asked = found
    if asked or encoded is None:
        return refresh(session, shop_id, row.member_id)
    card = msgspec.json.decode(encoded, type=Card)
    return Current(row, card, looks(session, [shop]).of(shop_id, card.look), shop)


def _locked(session: Session, keys: Collection[Key]) -> dict[Key, Pass]:
    """The passes of these members, locked in one order for all, so that no two batches wait for each other."""
    found = session.scalars(_LOCKED, facts.asked(keys), execution_options={"populate_existing": True})
    return {(row.shop_id, row.member_id): row for row in found}


def _move_codes_on(session: Session, rows: Collection[Pass]) -> None:
    moved = facts.generations(session, rows)
    for row in rows:
        row.generation = moved[row.serial]


def _digest(current: Current) -> str:
    return hashlib.sha256(msgspec.json.encode([current.card, current.design])).hexdigest()


def _advance(session: Session, changed: Sequence[Current], now: datetime) -> None:
    """New versions. Tags become visible in their order, or a phone that has seen a later one would miss an earlier: so
    whoever takes some holds this lock until the commit, which follows at once.
    """
    if not changed:
        return
    session.execute(_TAG_LOCK)
    tags = session.scalars(_NEXT_TAGS, {"count": len(changed)})
    for current, tag in zip(changed, tags, strict=True):
        row = current.row
        row.tag = tag
        # HTTP tells times in whole seconds: a second change in the same one is dated to the next.
        row.modified_at = max(_whole(now), row.modified_at + SECOND) if row.version else _whole(now)
        row.version += 1
        row.digest, row.card = _digest(current), msgspec.json.encode(current.card)
    session.flush()


def _end(session: Session, found: Collection[Current], now: datetime) -> None:
    """The last version says nothing of the person, and no file that does is kept. What came back goes on."""
    for row, card, *_rest in found:
        if not card.ended:
            row.ended_at = None
    ended = [row for row, card, *_ in found if card.ended and row.ended_at is None]
    for row in ended:
        row.ended_at = now
        session.execute(sa.delete(AppleFile).where(AppleFile.shop_id == row.shop_id, AppleFile.serial == row.serial))
    told = [Happened(row.shop_id, "pass.ended", {"serial": row.serial}, now, row.member_id) for row in ended]
    record(session, told)


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
