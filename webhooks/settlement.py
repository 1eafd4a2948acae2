"""The one place that settles orders, across rooms: tier at order time, then points, then the member's tier.

Settlement is convergent. What an order *should* have earned is computed from its latest known state, and only the
difference to what it *has* earned is posted; so a repeat posts nothing, the order of arrival does not matter, and
create, paid, edit, refund, cancel, claim, release and merge are the same few lines.

A batch runs in one transaction. Locks are taken in one order everywhere (members by id, then orders by id), so two
batches never wait for each other in a circle. (Merges lock members out of turn; PostgreSQL ends such a circle, and the
batch is tried again one delivery at a time.)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.db import Row, rows_by
from core.errors import Conflict
from core.events import Happened, record
from loyalty import operations, programs
from loyalty.accounts import Account, lock_accounts, write_accounts
from loyalty.operations import Customer, NewPosting
from loyalty.orders import Key, KnownOrder, guest_orders, later_orders, read_orders, write_orders
from loyalty.programs import Programs, Version
from loyalty.rules import (
    Balance,
    Fact,
    Move,
    OrderState,
    Refund,
    Spend,
    eligible_spend,
    merge_refunds,
    moves,
    newer,
    spend_facts,
    target,
    why,
)
from tiers.ladders import ladder_of
from tiers.operations import climb, set_reviews, write_periods
from tiers.rules import INSTANT, Ladder, Rung, SpendHistory
from tiers.spend import HistoryKey, histories, read_facts, write_facts

ACTOR = "shopify"
# How far a shop's clock may run ahead. What is dated later still counts when its time has come.
AHEAD = timedelta(minutes=10)


class Arrival(NamedTuple):
    """What is newly known of one order; every part may be missing.

    `owner` names the member its points belong to (a claim, a merge); `again` settles it although nothing is new.
    """

    shop_id: int
    order_id: int
    state: OrderState | None = None
    refunds: tuple[Refund, ...] = ()
    deleted_at: datetime | None = None
    customer: Customer | None = None
    guest_email: str | None = None
    owner: int | None = None
    again: bool = False

    @property
    def key(self) -> Key:
        return self.shop_id, self.order_id


class Contended(Conflict):
    """Another transaction moved an order to a member this batch has not locked; the delivery is tried again."""

    code = "contended"


def settle(
    session: Session,
    arrivals: Iterable[Arrival],
    customers: Iterable[Customer] = (),
    now: datetime | None = None,
) -> None:
    """Settle everything newly known of these orders, and take in what customers say of themselves.

    The caller has opened their shops and commits.
    """
    merged: dict[Key, Arrival] = {}
    for arrival in arrivals:
        held = merged.get(arrival.key)
        merged[arrival.key] = arrival if held is None else _both(held, arrival)
    told = {(c.shop_id, c.customer_id): c for c in sorted(customers, key=_by_telling)}
    if merged or told:
        Settlement(session, now or clock.now()).run(merged, told)


def _by_telling(customer: Customer) -> tuple[bool, float]:
    return customer.updated_at is not None, customer.updated_at.timestamp() if customer.updated_at else 0.0


def _both(one: Arrival, other: Arrival) -> Arrival:
    """Two arrivals of one order as one: the newer state, all refunds, the earlier deletion."""
    state = one.state if other.state is None else newer(one.state, other.state)
    lead, follow = (other, one) if state is other.state else (one, other)
    return lead._replace(
        refunds=tuple(merge_refunds({r.id: r for r in one.refunds}, other.refunds).values()),
        deleted_at=_earliest(one.deleted_at, other.deleted_at),
        customer=lead.customer or follow.customer,
        guest_email=lead.guest_email or follow.guest_email,
        owner=one.owner or other.owner,
        again=one.again or other.again,
    )


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment), default=None)


class Settlement:
    """One batch: read and lock, think, write. Everything is keyed by (shop, id), so a batch may span shops."""

    def __init__(self, session: Session, now: datetime) -> None:
        self.session = session
        self.now = now
        self.programs = Programs({})
        self.accounts: dict[Key, Account] = {}
        self.orders: dict[Key, KnownOrder] = {}  # as they were
        self.changed: dict[Key, KnownOrder] = {}  # as they will be
        self.facts_before: dict[Key, tuple[Fact, ...]] = {}
        self.facts: dict[Key, tuple[Fact, ...]] = {}
        self.spends: dict[Key, Spend] = {}
        self.postings: list[NewPosting] = []
        self.happened: list[Happened] = []
        self.periods: list[Row] = []

    def run(self, arrivals: dict[Key, Arrival], told: dict[Key, Customer]) -> None:
        self.programs = programs.load(self.session, {shop_id for shop_id, _ in (*arrivals, *told)})
        arrivals, owners, members = self._owners(arrivals, told)
        self._lock(arrivals, owners, {(key[0], members[key]) for key in told if key in members})
        operations.update_customers(self.session, told.values())
        self.facts_before = read_facts(self.session, list(self.orders))
        for key in sorted(arrivals):
            self._take_in(arrivals[key], owners.get(key))
        self._compare_facts()
        later = self._later()
        history = self._histories(later)
        self._add_late(later, history)
        for order in sorted(self._earning(), key=_by_time):
            self._post(order, history)
        self._climb(history)
        self._write()

    # Whose an order is.

    def _owners(
        self, arrivals: dict[Key, Arrival], told: dict[Key, Customer]
    ) -> tuple[dict[Key, Arrival], dict[Key, int], dict[Key, int]]:
        """The arrivals, joined by guest orders that a member claims; the member of each; and of each customer."""
        buyers = {
            (a.shop_id, a.customer.customer_id): a.customer
            for a in arrivals.values()
            if a.customer and not (a.state and a.state.test)
        }
        enrolled = operations.enrol(self.session, (buyers | told).values(), self.programs)
        claims = claims_of(self.session, [*enrolled.new, *told.values()], enrolled.members)
        arrivals = arrivals | {c.key: _both(arrivals[c.key], c) if c.key in arrivals else c for c in claims}
        owners = {key: owner for key, a in arrivals.items() if (owner := _owner(a, enrolled.members))}
        guests = {a.key: (a.shop_id, a.guest_email) for a in arrivals.values() if a.guest_email and a.key not in owners}
        claimed = operations.members_by_email(self.session, guests.values())
        owners |= {key: member for key, guest in guests.items() if (member := claimed.get(guest))}
        for guest in operations.erased_emails(self.session, set(guests.values()) - claimed.keys()):
            arrivals |= {key: arrivals[key]._replace(guest_email=None) for key, g in guests.items() if g == guest}
        return arrivals, owners, enrolled.members

    # Locks: members, then orders.

    def _lock(self, arrivals: Mapping[Key, Arrival], owners: Mapping[Key, int], members: set[Key]) -> None:
        keys = sorted(arrivals)
        holders = rows_by(
            self.session,
            "SELECT o.shop_id, o.order_id, o.member_id FROM {keys} AS k(shop_id, order_id) "
            "JOIN orders o ON o.shop_id = k.shop_id AND o.order_id = k.order_id WHERE o.member_id IS NOT NULL",
            ("bigint", "bigint"),
            keys,
        )
        held = {(row[0], row[1]): row[2] for row in holders}
        members = members | {(key[0], member) for source in (owners, held) for key, member in source.items()}
        self.accounts = lock_accounts(self.session, list(members))
        self._lock_ownerless([key for key in keys if key not in owners and key not in held])
        self.orders = {order.key: order for order in read_orders(self.session, keys, lock=True)}
        if any(order.member and (order.shop_id, order.member) not in self.accounts for order in self.orders.values()):
            raise Contended("another delivery moved this order to a new member just now")
        if any(self.accounts[key[0], member].merged_into for key, member in owners.items()):
            raise Contended("its member was merged into another just now")

    def _lock_ownerless(self, keys: Sequence[Key]) -> None:
        """Without a member to lock, two batches could both believe an order new: an advisory lock stands in."""
        for shop_id, order_id in keys:
            name = {"name": f"order:{shop_id}:{order_id}"}
            self.session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), name)

    # What is new.

    def _take_in(self, arrival: Arrival, owner: int | None) -> None:
        """Bring what is known of an order up to date; one of which nothing is new is left alone."""
        before = self.orders.get(arrival.key) or KnownOrder(*arrival.key)
        state = before.state if arrival.state is None else newer(before.state, arrival.state)
        # What an older snapshot says of the buyer counts no more than what it says of the order.
        believed = arrival.owner is not None or state is arrival.state or before.member is None
        after = replace(
            before,
            state=state,
            refunds=merge_refunds(before.refunds, arrival.refunds),
            deleted_at=_earliest(before.deleted_at, arrival.deleted_at),
            member=(believed and owner) or before.member,
        )
        after.guest_email = None if after.member else (believed and arrival.guest_email) or before.guest_email
        if before.exists and after == before and not arrival.again:
            return
        self.changed[arrival.key] = after
        if before.member and before.member != after.member:
            self._give_up(before, after)

    def _give_up(self, before: KnownOrder, after: KnownOrder) -> None:
        """The order's points leave the member who held them; the new owner earns them anew."""
        account = self.accounts[before.shop_id, before.member or 0]
        account.changed_at += [fact.at for fact in self.facts_before.get(before.key, ())]
        account.shrank = True
        explanation = {**(before.settled or {}), "points": 0, "reason": "moved_to_other_member"}
        self._make(after, account, moves(before.pending, before.available, 0, 0), explanation, self.now)
        after.pending = after.available = 0
        after.settled = None

    def _earning(self) -> list[KnownOrder]:
        return [order for order in self.changed.values() if order.state and order.member]

    def _version(self, order: KnownOrder) -> Version:
        assert order.state is not None
        return self.programs.in_force(order.shop_id, order.state.processed_at)

    def _facts(self, order: KnownOrder) -> tuple[Fact, ...]:
        if order.state is None:
            return ()
        return spend_facts(order.state, self._spend(order), order.deleted_at)

    def _spend(self, order: KnownOrder) -> Spend:
        assert order.state is not None
        held = self.spends.get(order.key)
        if held is None:
            policy = self._version(order).policy
            held = self.spends[order.key] = eligible_spend(order.state, order.refunds, policy)
        return held

    def _compare_facts(self) -> None:
        """Note when each member's qualifying spend changes, and whether it shrinks."""
        for order in self._earning():
            facts = self.facts[order.key] = self._facts(order)
            held = self.orders.get(order.key)
            before = self.facts_before.get(order.key, ()) if held and held.member == order.member else ()
            account = self._account(order)
            account.changed_at += [fact.at for fact in set(before).symmetric_difference(facts)]
            account.shrank |= any(fact.amount < 0 for fact in set(facts) - set(before)) or bool(
                set(before) - set(facts)
            )

    def _account(self, order: KnownOrder) -> Account:
        return self.accounts[order.shop_id, order.member or 0]

    # Late facts: older than orders that are settled already, whose tier at their time may now be another.

    def _later(self) -> list[Any]:
        asked = [
            (*account.key, min(account.changed_at), max(account.changed_at) + self._longest_window(account.shop_id))
            for account in self.accounts.values()
            if account.changed_at and account.last_order_at and min(account.changed_at) < account.last_order_at
        ]
        return [row for row in later_orders(self.session, asked) if (row.shop_id, row.order_id) not in self.changed]

    def _longest_window(self, shop_id: int) -> timedelta:
        return max(ladder_of(version).window for version in self.programs.of(shop_id))

    def _add_late(self, later: Sequence[Any], history: Mapping[HistoryKey, SpendHistory]) -> None:
        """Settle again the later orders whose tier at their time is now another."""
        moved = []
        for row in later:
            ladder = ladder_of(self.programs.in_force(row.shop_id, row.processed_at))
            spend = history[row.shop_id, row.member_id, ladder.window].before(row.processed_at, ladder.window)
            if ladder.reached(spend).key != row.tier_key:
                moved.append((row.shop_id, row.order_id))
        self.changed |= {order.key: order for order in read_orders(self.session, moved)}

    def _histories(self, later: Sequence[Any]) -> dict[HistoryKey, SpendHistory]:
        """Every account's spend from the first moment that matters to this batch on, with the batch's facts in it."""
        since: dict[Key, datetime] = {key: min([self.now, *a.changed_at]) for key, a in self.accounts.items()}
        until = max([self.now, *(at for a in self.accounts.values() for at in a.changed_at)])
        fresh: dict[Key, list[tuple[datetime, int]]] = {key: [] for key in self.accounts}
        for order in self._earning():
            assert order.state is not None
            key, facts = self._account(order).key, self.facts[order.key]
            fresh[key] += [(fact.at, fact.amount) for fact in facts]
            placed = [order.state.processed_at, *(fact.at for fact in (*facts, *self.facts_before.get(order.key, ())))]
            since[key] = min(since[key], *placed)
            until = max(until, *placed)
        until = max([until, *(row.processed_at for row in later)]) + INSTANT
        asked = {(*key, w): at for key, at in since.items() for w in self._windows(key[0])}
        return histories(self.session, asked, until, without=frozenset(self.facts), fresh=fresh)

    def _windows(self, shop_id: int) -> set[timedelta]:
        return {ladder_of(version).window for version in self.programs.of(shop_id)}

    # Points.

    def _post(self, order: KnownOrder, history: Mapping[HistoryKey, SpendHistory]) -> None:
        """Post the difference between what an order should have earned and what it has."""
        assert order.state is not None
        account, version = self._account(order), self._version(order)
        rung = self._rung(account, ladder_of(version), history, order.state.processed_at)
        terms = version.terms(rung.key, rung.multiplier)
        spend = self._spend(order)
        wanted = target(order.state, spend, terms, now=self.now, deleted_at=order.deleted_at)
        reason = why(order.settled, wanted.explanation)
        explanation = {**wanted.explanation, "reason": reason, **_before(order)}
        made = moves(order.pending, order.available, wanted.pending, wanted.available)
        at, before = _occurred_at(order, reason), account.balance.available
        if reason == "settled_again" and order.release_at and wanted.available > order.available:
            explanation["reason"], at = "released", order.release_at
        order.tier_key, order.version = rung.key, version.number
        self._make(order, account, made, explanation, at)
        if version.program.clawback == "clamp":
            self._forgive(order, account, before, explanation, at)
        order.pending, order.available = wanted.pending, wanted.available
        order.settled, order.release_at = wanted.explanation, wanted.release_at
        if account.last_order_at is None or order.state.processed_at > account.last_order_at:
            account.last_order_at, account.ordered = order.state.processed_at, True

    def _forgive(
        self, order: KnownOrder, account: Account, before: int, explanation: dict[str, Any], at: datetime
    ) -> None:
        """Points that were spent already are not asked back: the order is reversed in full, the shortfall forgiven."""
        short = min(before - account.balance.available, -account.balance.available)
        if short > 0:
            forgiven = {**explanation, "reason": "spent_points_forgiven"}
            self._append(order, account, Move("adjustment", "adjusted", "available", short), forgiven, at)

    @staticmethod
    def _rung(account: Account, ladder: Ladder, history: Mapping[HistoryKey, SpendHistory], moment: datetime) -> Rung:
        return ladder.reached(history[(*account.key, ladder.window)].before(moment, ladder.window))

    def _make(
        self, order: KnownOrder, account: Account, made: Sequence[Move], explanation: dict[str, Any], at: datetime
    ) -> None:
        before = account.balance
        for move in made:
            self._append(order, account, move, explanation, at)
        if made:
            self.happened.append(_points_posted(order, account, before, explanation, at))

    def _append(
        self, order: KnownOrder, account: Account, move: Move, explanation: dict[str, Any], at: datetime
    ) -> None:
        account.balance = account.balance.after(move)
        self.postings.append(
            NewPosting(
                order.shop_id, account.member_id, move.kind, move.source, move.target, move.points,
                f"order:{order.order_id}:{order.count}", order.order_id, order.version, explanation["rule"],
                msgspec.json.encode(explanation).decode(), ACTOR, at, self.now, account.balance.available,
                account.balance.pending,
            )
        )  # fmt: skip
        order.count += 1

    # The member's tier now.

    def _climb(self, history: Mapping[HistoryKey, SpendHistory]) -> None:
        for account in self.accounts.values():
            if account.changed_at:
                version = self.programs.in_force(account.shop_id, self.now)
                self._climb_step_by_step(account, version, history[(*account.key, ladder_of(version).window)])

    def _climb_step_by_step(self, account: Account, version: Version, history: SpendHistory) -> None:
        """Each move at its own moment, also when a batch brings a year of orders; and where the member stands now."""
        window = ladder_of(version).window
        # A shop's clock may run a little ahead of ours: an order it has sent has been placed.
        placed = [at for at in set(account.changed_at) if at <= self.now + AHEAD]
        for moment in [*sorted(at for at in placed if at >= account.tier_since), max([self.now, *placed])]:
            spend = history.before(moment + INSTANT, window)
            since = max(account.tier_since, min(moment, self.now))
            moved = climb(self.periods, account, spend, version, since=since, now=self.now)
            if moved:
                self.happened.append(moved)

    # Writing, set by set.

    def _write(self) -> None:
        write_orders(self.session, self.changed.values(), self.now)
        self._write_facts()
        operations.write_postings(self.session, self.postings)
        write_periods(self.session, self.periods)
        dirty = [account for account in self.accounts.values() if account.dirty]
        set_reviews(self.session, [a for a in dirty if self._needs_review(a)], self.programs, self.now)
        write_accounts(self.session, dirty)
        record(self.session, self.happened)

    def _needs_review(self, account: Account) -> bool:
        """More spend only moves a lapse further away; a new tier or less spend asks for the date anew."""
        lowest = self.programs.in_force(account.shop_id, self.now).program.ladder.tiers[0].key
        if any(at > self.now for at in account.changed_at):
            return True
        return account.tier_key != lowest and (account.shrank or account.tier_review_at is None)

    def _write_facts(self) -> None:
        moved = [key for key in self.facts if self._facts_moved(key)]
        gone = [(key, fact) for key in moved for fact in self.facts_before.get(key, ())]
        come = [(key, self.changed[key].member or 0, fact) for key in moved for fact in self.facts[key]]
        write_facts(self.session, gone, come)

    def _facts_moved(self, key: Key) -> bool:
        held = self.orders.get(key)
        moved_house = held is not None and held.member != self.changed[key].member
        return moved_house or set(self.facts[key]) != set(self.facts_before.get(key, ()))


def claims_of(session: Session, customers: Iterable[Customer], members: Mapping[Key, int]) -> list[Arrival]:
    """Guest orders that wait for these customers' verified addresses, to be settled as theirs."""
    verified = {(c.shop_id, c.email): c for c in customers if c.email and c.email_verified}
    owners = {key: members.get((c.shop_id, c.customer_id)) for key, c in verified.items()}
    return [
        Arrival(shop_id, order_id, owner=owner, again=True)
        for shop_id, order_id, email in guest_orders(session, verified)
        if (owner := owners.get((shop_id, email)))
    ]


def _owner(arrival: Arrival, members: Mapping[Key, int]) -> int | None:
    if arrival.owner or not arrival.customer:
        return arrival.owner
    return members.get((arrival.shop_id, arrival.customer.customer_id))


def _before(order: KnownOrder) -> dict[str, int]:
    """What the explanation is compared with, so that one change can be told from those before it."""
    return {
        "points_before": order.pending + order.available,
        "refunded_before": (order.settled or {}).get("refunded", 0),
    }


def _by_time(order: KnownOrder) -> tuple[Any, ...]:
    return order.shop_id, order.member, order.state and order.state.processed_at, order.order_id


def _occurred_at(order: KnownOrder, reason: str) -> datetime:
    """When the fact behind a posting happened, as Shopify dates it."""
    assert order.state is not None
    if reason == "earned":
        return order.state.processed_at
    if reason == "refund" and order.refunds:
        return max(refund.created_at for refund in order.refunds.values())
    return order.state.cancelled_at or order.deleted_at or order.state.updated_at


def _points_posted(
    order: KnownOrder, account: Account, before: Balance, explanation: Mapping[str, Any], at: datetime
) -> Happened:
    change = {
        "order": explanation.get("order"),
        "reason": explanation["reason"],
        "available": account.balance.available - before.available,
        "pending": account.balance.pending - before.pending,
        "balance": account.balance.available,
    }
    return Happened(order.shop_id, "points.posted", change, at, account.member_id, order.order_id, order.version, ACTOR)
