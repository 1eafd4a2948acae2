"""The only writers of members and points. Each takes a session and never commits."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, crypto
from core.db import insert_rows, rows_by
from core.errors import Conflict, InvalidInput, NotFound
from core.events import Happened, record
from core.i18n import _, number
from loyalty.accounts import Account, lock_accounts, write_accounts
from loyalty.activities.points import Earned, note_points
from loyalty.activities.rules import joining_points
from loyalty.models import Member, Posting
from loyalty.programs import Programs, Version
from loyalty.rules import Balance, Move

MAX_ADJUSTMENT = 2**31 - 1
# Kinds of postings that show a member to be active, and so put off expiry by inactivity.
ACTIVITY = frozenset({"earn", "redeem", "bonus", "referral", "adjustment"})


class Customer(NamedTuple):
    """What a delivery says of a customer. `seen_at` is when they came to the shop, as far as it tells."""

    shop_id: int
    customer_id: int
    email: str | None
    email_verified: bool
    name: str | None
    seen_at: datetime
    updated_at: datetime | None = None


class NewPosting(NamedTuple):
    """A posting about to be written; the field order is that of `POSTING_COLUMNS`."""

    shop_id: int
    member_id: int
    kind: str
    source: str
    target: str
    points: int
    key: str
    order_id: int | None
    program_version: int | None
    rule: str
    explanation: str
    actor: str
    occurred_at: datetime
    recorded_at: datetime
    available_after: int
    pending_after: int


POSTING_COLUMNS = NewPosting._fields


def write_postings(session: Session, postings: Sequence[NewPosting]) -> None:
    """Append postings. A key that exists already raises IntegrityError and undoes the transaction's savepoint."""
    insert_rows(session, Posting.__table__, POSTING_COLUMNS, postings)  # type: ignore[arg-type]


class Enrolled(NamedTuple):
    """The member id of each (shop, customer id), and the customers who joined just now."""

    members: dict[tuple[int, int], int]
    new: list[Customer]


def enrol(session: Session, customers: Iterable[Customer], programs: Programs) -> Enrolled:
    """Make every customer a member.

    A person who was erased stays erased and is absent from the answer; a merged member answers for both.
    """
    wanted = {(customer.shop_id, customer.customer_id): customer for customer in customers}
    known = _members_of(session, list(wanted))
    missing = sorted(key for key in wanted if key not in known)
    if not missing:
        return Enrolled(known, [])
    welcome = _not_erased(session, [wanted[key] for key in missing])
    _insert_members(session, welcome, programs)
    return Enrolled(known | _members_of(session, [(c.shop_id, c.customer_id) for c in welcome]), welcome)


def members_by_email(session: Session, emails: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """The member with each verified (shop, e-mail); the first who enrolled where several share it."""
    rows = rows_by(
        session,
        "SELECT DISTINCT ON (m.shop_id, m.email) m.shop_id, m.email, coalesce(m.merged_into, m.id) "
        "FROM {keys} AS k(shop_id, email) JOIN members m ON m.shop_id = k.shop_id AND m.email = k.email "
        "WHERE m.email_verified ORDER BY m.shop_id, m.email, m.id",
        ("bigint", "text"),
        sorted(set(emails)),
    )
    return {(row[0], row[1]): row[2] for row in rows}


def erased_emails(session: Session, emails: Iterable[tuple[int, str]]) -> set[tuple[int, str]]:
    """Those of these (shop, e-mail) whose person was erased."""
    subjects = {(shop_id, email_subject(email)): (shop_id, email) for shop_id, email in emails}
    return {subjects[key] for key in _erased(session, subjects)}


def _members_of(session: Session, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    rows = rows_by(
        session,
        "SELECT m.shop_id, m.customer_id, coalesce(m.merged_into, m.id) FROM {keys} AS k(shop_id, customer_id) "
        "JOIN members m ON m.shop_id = k.shop_id AND m.customer_id = k.customer_id",
        ("bigint", "bigint"),
        keys,
    )
    return {(row[0], row[1]): row[2] for row in rows}


def customer_subject(customer_id: int) -> str:
    """The name under which an erased customer is remembered: a keyed hash."""
    return crypto.blind_index(f"customer:{customer_id}")


def email_subject(email: str) -> str:
    """The same for an e-mail address."""
    return crypto.blind_index(f"email:{email}")


def _not_erased(session: Session, customers: list[Customer]) -> list[Customer]:
    subjects = {(c.shop_id, customer_subject(c.customer_id)): c for c in customers}
    erased = _erased(session, subjects)
    return [customer for subject, customer in subjects.items() if subject not in erased]


def _erased(session: Session, subjects: Iterable[tuple[int, str]]) -> set[tuple[int, str]]:
    rows = rows_by(
        session,
        "SELECT e.shop_id, e.subject FROM {keys} AS k(shop_id, subject) "
        "JOIN erasures e ON e.shop_id = k.shop_id AND e.subject = k.subject",
        ("bigint", "text"),
        sorted(subjects),
    )
    return {(row[0], row[1]) for row in rows}


_MEMBER_COLUMNS = (
    "shop_id",
    "customer_id",
    "email",
    "email_verified",
    "name",
    "customer_updated_at",
    "joined_at",
    "available",
    "lifetime",
    "tier_key",
    "tier_since",
    "last_active_at",
    "expiry_look_at",
)


def _insert_members(session: Session, customers: list[Customer], programs: Programs) -> None:
    versions = {(c.shop_id, c.customer_id): programs.in_force(c.shop_id, c.seen_at) for c in customers}
    rows = [_member_row(c, versions[c.shop_id, c.customer_id]) for c in customers]
    inserted = insert_rows(
        session,
        Member.__table__,  # type: ignore[arg-type]
        _MEMBER_COLUMNS,
        rows,
        suffix="ON CONFLICT (shop_id, customer_id) DO NOTHING RETURNING shop_id, customer_id, id, joined_at",
    )
    joined = inserted.fetchall() if inserted else []
    _welcome(session, joined, versions, programs)


def _member_row(customer: Customer, version: Version) -> tuple[Any, ...]:
    points = _joining_points(version, customer.seen_at)
    lowest = version.program.ladder.tiers[0].key
    return (
        customer.shop_id,
        customer.customer_id,
        customer.email,
        customer.email_verified,
        customer.name,
        customer.updated_at,
        customer.seen_at,
        points,
        points,
        lowest,
        customer.seen_at,
        customer.seen_at,
        clock.now(),
    )


def _joining_points(version: Version, at: datetime) -> int:
    return joining_points(version.program.joining, version.program.zone, at)


def _welcome(
    session: Session, joined: Sequence[Any], versions: dict[tuple[int, int], Version], programs: Programs
) -> None:
    recorded_at = clock.now()
    postings, happened = [], []
    for shop_id, customer_id, member_id, joined_at in joined:
        version = versions[shop_id, customer_id]
        rule, points = version.program.joining, _joining_points(version, joined_at)
        told = {"points": points}
        happened.append(Happened(shop_id, "member.joined", told, joined_at, member_id, None, version.number, "shopify"))
        if points:
            explanation = msgspec.json.encode({"rule": rule.key, "points": points, "reason": "joined"}).decode()
            postings.append(
                NewPosting(
                    shop_id, member_id, "bonus", "issued", "available", points, f"joined:{member_id}", None,
                    version.number, rule.key, explanation, "shopify", joined_at, recorded_at, points, 0,
                )
            )  # fmt: skip
    write_postings(session, postings)
    note_points(session, programs, [Earned(p.shop_id, p.member_id, p.key, p.occurred_at, p.points) for p in postings])
    record(session, happened)


def update_customers(session: Session, customers: Iterable[Customer]) -> None:
    """Take over what customers/create and customers/update say, unless something newer is known already.

    The caller has locked their members.
    """
    rows_by(
        session,
        "UPDATE members m SET email = k.email, email_verified = k.verified, name = k.name, "
        "customer_updated_at = coalesce(k.updated_at, m.customer_updated_at), closed_at = NULL "
        "FROM {keys} AS k(shop_id, customer_id, email, verified, name, updated_at) "
        "WHERE m.shop_id = k.shop_id AND m.customer_id = k.customer_id AND (m.customer_updated_at IS NULL "
        "OR k.updated_at IS NULL OR m.customer_updated_at <= k.updated_at) RETURNING m.id",
        ("bigint", "bigint", "text", "boolean", "text", "timestamptz"),
        [(c.shop_id, c.customer_id, c.email, c.email_verified, c.name, c.updated_at) for c in customers],
    )


def locked_member(session: Session, shop_id: int, member_id: int) -> Member:
    """The member, locked until the transaction ends. Raises NotFound."""
    # A settlement may have written past what this session has loaded: read the row anew.
    member = session.scalar(
        sa.select(Member)
        .where(Member.shop_id == shop_id, Member.id == member_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if member is None:
        raise NotFound(_("there is no such member"), code="no_member")
    return member


def acting_member(session: Session, shop_id: int, member_id: int) -> Member:
    """The member, locked, if they may still earn and spend. Raises as `check_acting` does."""
    member = locked_member(session, shop_id, member_id)
    check_acting(member)
    return member


def check_acting(member: Member) -> None:
    """Raises NotFound for an erased member, Conflict (`member_merged`) for one that was merged into another."""
    if member.erased_at is not None:
        raise NotFound(_("there is no such member"), code="no_member")
    if member.merged_into is not None:
        raise Conflict(
            _("this member was merged into another"), code="member_merged", member_id=str(member.merged_into)
        )


def adjust(
    session: Session, shop_id: int, member_id: int, points: int, reason: str, *, actor: str, key: str
) -> Posting:
    """Give (positive) or take (negative) points by hand. Raises InvalidInput, NotFound, Conflict (a merged member).

    `key` makes it count once. The reason is kept in the explanation as `reason_given` and goes with an erased person.
    """
    if not points or abs(points) > MAX_ADJUSTMENT:
        raise InvalidInput(
            _("points must be from 1 to %(most)s, or that many below zero", most=number(MAX_ADJUSTMENT)),
            code="bad_points",
        )
    member = acting_member(session, shop_id, member_id)
    source, target = ("adjusted", "available") if points > 0 else ("available", "adjusted")
    move = Move("adjustment", source, target, abs(points))
    explanation = {"rule": "adjustment", "points": points, "reason": "adjusted", "reason_given": reason}
    return post(session, member, move, rule="adjustment", explanation=explanation, actor=actor, key=key)


def leave(session: Session, shop_id: int, member_id: int, *, actor: str) -> None:
    """Close a member's account at their own wish; what is kept of them is erased after. Doing it again changes nothing.

    Raises as `acting_member` does.
    """
    member = acting_member(session, shop_id, member_id)
    if member.closed_at is None:
        member.closed_at = clock.now()
        record(session, [Happened(shop_id, "member.closed", {}, member.closed_at, member.id, actor=actor)])


def block(session: Session, shop_id: int, member_id: int, *, actor: str) -> bool:
    """Have a member redeem nothing, and earn nothing by what is placed from now on. Points they have stay theirs.

    False when they were blocked already. Raises NotFound, Conflict (a merged member).
    """
    member = acting_member(session, shop_id, member_id)
    if member.blocked_at is not None:
        return False
    member.blocked_at = clock.now()
    record(session, [Happened(shop_id, "member.blocked", {}, member.blocked_at, member_id, actor=actor)])
    return True


def unblock(session: Session, shop_id: int, member_id: int, *, actor: str) -> datetime | None:
    """Let a member earn and redeem again. Returns since when they were blocked, None if they were not.

    What was placed meanwhile earns once it is settled again, which the caller sees to. Raises as `block` does.
    """
    member = acting_member(session, shop_id, member_id)
    since, member.blocked_at = member.blocked_at, None
    if since is not None:
        record(session, [Happened(shop_id, "member.unblocked", {"since": since}, clock.now(), member_id, actor=actor)])
    return since


class Entry(NamedTuple):
    """Points about to move for one member. `key` names the business fact and makes it count once in the shop."""

    shop_id: int
    member_id: int
    move: Move
    key: str
    rule: str
    explanation: dict[str, Any]
    actor: str
    occurred_at: datetime
    program_version: int | None = None
    order_id: int | None = None


def enter(account: Account, entry: Entry, now: datetime) -> NewPosting:
    """Move the points of a locked account and return the posting that says so, for `write_postings`."""
    move = entry.move
    account.balance = account.balance.after(move)
    # What just moved may expire sooner than what was there: have it looked at.
    account.note_activity(entry.occurred_at if move.kind in ACTIVITY else None, now)
    return NewPosting(
        entry.shop_id, entry.member_id, move.kind, move.source, move.target, move.points, entry.key, entry.order_id,
        entry.program_version, entry.rule, msgspec.json.encode(entry.explanation).decode(), entry.actor,
        entry.occurred_at, now, account.balance.available, account.balance.pending,
    )  # fmt: skip


def entered(account: Account, entry: Entry) -> Happened:
    """The event of an entry that was just made."""
    move = entry.move
    change = {
        "kind": move.kind,
        "points": signed_points(move.source, move.target, move.points),
        "rule": entry.rule,
        "balance": account.balance.available,
    }
    return Happened(
        entry.shop_id, "points.posted", change, entry.occurred_at, entry.member_id, entry.order_id,
        entry.program_version, entry.actor,
    )  # fmt: skip


def post_many(session: Session, entries: Iterable[Entry]) -> list[Entry]:
    """Post for many members at once, set by set, with their events. What was posted before is left out.

    Locks the members; merged and blocked ones get nothing. Returns the entries that were posted.
    """
    wanted = {(entry.shop_id, entry.key): entry for entry in entries}
    accounts = lock_accounts(session, sorted({(entry.shop_id, entry.member_id) for entry in wanted.values()}))
    done = _posted_keys(session, list(wanted))
    now = clock.now()
    postings, happened, posted = [], [], []
    for key, entry in wanted.items():
        account = accounts.get((entry.shop_id, entry.member_id))
        if account is None or account.merged_into is not None or account.blocked_at is not None or key in done:
            continue
        postings.append(enter(account, entry, now))
        happened.append(entered(account, entry))
        posted.append(entry)
    write_postings(session, postings)
    write_accounts(session, [account for account in accounts.values() if account.dirty])
    record(session, happened)
    return posted


def _posted_keys(session: Session, keys: Sequence[tuple[int, str]]) -> set[tuple[int, str]]:
    """Those of these (shop, key) that are in the ledger. The caller has locked their members."""
    rows = rows_by(
        session,
        "SELECT p.shop_id, p.key FROM {keys} AS k(shop_id, key) JOIN postings p "
        "ON p.shop_id = k.shop_id AND p.key = k.key",
        ("bigint", "text"),
        sorted(keys),
    )
    return {(row[0], row[1]) for row in rows}


def post(
    session: Session,
    member: Member,
    move: Move,
    *,
    rule: str,
    explanation: dict[str, Any],
    actor: str,
    key: str,
    program_version: int | None = None,
    occurred_at: datetime | None = None,
) -> Posting:
    """Make one move of a member whose row the caller has locked, with its event."""
    now = clock.now()
    at = occurred_at or now
    after = Balance(member.available, member.pending, member.lifetime).after(move)
    member.available, member.pending, member.lifetime = after.available, after.pending, after.lifetime
    if move.kind in ACTIVITY:
        member.last_active_at = max(at, member.last_active_at or at)
    member.expiry_look_at = now
    posting = Posting(
        shop_id=member.shop_id, member_id=member.id, kind=move.kind, source=move.source, target=move.target,
        points=move.points, key=key, rule=rule, explanation=explanation, actor=actor, program_version=program_version,
        occurred_at=at, recorded_at=now, available_after=after.available, pending_after=after.pending,
    )  # fmt: skip
    session.add(posting)
    session.flush()
    change = {"kind": move.kind, "points": signed_points(move.source, move.target, move.points), "rule": rule}
    record(
        session,
        [Happened(member.shop_id, "points.posted", change, posting.occurred_at, member.id, None, None, actor)],
    )
    return posting


def signed_points(source: str, target: str, points: int) -> int:
    """Points as the member sees them: what arrives in a balance is positive, what leaves it negative."""
    return points if target in ("available", "pending") else -points
