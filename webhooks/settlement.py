"""The one place that settles orders, across rooms: tier at order time, then points, then the member's tier.

Settlement is convergent. What an order *should* have earned is computed from its latest known state, and only the
difference to what it *has* earned is posted; so a repeat posts nothing, the order of arrival does not matter, and
create, paid, edit, refund, cancel, claim, release and merge are the same few lines.

A batch runs in one transaction. Locks are taken in one order everywhere (members by id, then orders by id), so two
batches never wait for each other in a circle. (Merges lock members out of turn; PostgreSQL ends such a circle, and the
batch is tried again one delivery at a time.)
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, effects
from core.db import Row, rows_by
from core.errors import Conflict
from core.events import Happened, record
from loyalty import operations, products, programs
from loyalty.accounts import Account, lock_accounts, write_accounts
from loyalty.earning import uses
from loyalty.earning.rules import ORDINARY, Circumstances, target, why, with_points
from loyalty.earning.uses import Use, Uses
from loyalty.expiry.rules import first_look
from loyalty.operations import Customer, Entry, NewPosting
from loyalty.orders import Key, KnownOrder, later_orders, read_orders, write_orders
from loyalty.programs import Programs, Version
from loyalty.rewards import rules as reward_rules
from loyalty.rewards import uses as rewards
from loyalty.rules import (
    Balance,
    Fact,
    Move,
    Spend,
    as_told,
    eligible_spend,
    merge_refunds,
    moves,
    newer,
    orders_at,
    spend_facts,
)
from tiers import courses
from tiers.courses import Courses
from tiers.operations import climb, gifts, set_reviews, write_periods
from tiers.rules import INSTANT
from tiers.spend import read_facts, write_facts
from webhooks import referring
from webhooks.arrivals import Arrival, both, by_telling, claims_of, earliest, owner_of

ACTOR = "shopify"
# How far a shop's clock may run ahead. What is dated later still counts when its time has come.
AHEAD = timedelta(minutes=10)
# What is heard of an order after so long may change what has expired meanwhile.
LATE = timedelta(hours=1)
END_OF_TIME = datetime.max.replace(tzinfo=UTC)


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
        merged[arrival.key] = arrival if held is None else both(held, arrival)
    told = {(c.shop_id, c.customer_id): c for c in sorted(customers, key=by_telling)}
    if merged or told:
        Settlement(session, now or clock.now()).run(merged, told)


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
        self.courses: Courses
        self.uses = Uses()
        self.twins = Counter[tuple[Key, datetime]]()  # orders that were posted already, by member and moment
        self.rewards: list[rewards.Held] = []
        self.postings: list[NewPosting] = []
        self.happened: list[Happened] = []
        self.periods: list[Row] = []
        self.used: list[tuple[int, int, str, int, datetime, int]] = []

    def run(self, arrivals: dict[Key, Arrival], told: dict[Key, Customer]) -> None:
        self.programs = programs.load(self.session, {shop_id for shop_id, _ in (*arrivals, *told)})
        arrivals, owners, members = self._owners(arrivals, told)
        self.rewards = rewards.held(self.session, self._codes(arrivals.values()))
        holders = {(held.shop_id, held.member_id) for held in self.rewards}
        self._lock(arrivals, owners, holders | {(key[0], members[key]) for key in told if key in members})
        operations.update_customers(self.session, told.values())
        for key in sorted(arrivals):
            self._take_in(arrivals[key], owners.get(key))
        self._label()
        self.facts_before = read_facts(self.session, list(self.orders))
        self._compare_facts(self._earning())
        self._bring_in_later()
        for order in sorted(self._earning(), key=_by_time):
            self._post(order)
        self._climb()
        self._use_rewards()
        self._write()
        referring.tell(self.session, self.changed.values(), _emails(arrivals.values()))

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
        arrivals = arrivals | {c.key: both(arrivals[c.key], c) if c.key in arrivals else c for c in claims}
        owners = {key: owner for key, a in arrivals.items() if (owner := owner_of(a, enrolled.members))}
        guests = {a.key: (a.shop_id, a.guest_email) for a in arrivals.values() if a.guest_email and a.key not in owners}
        claimed = operations.members_by_email(self.session, guests.values())
        owners |= {key: member for key, guest in guests.items() if (member := claimed.get(guest))}
        for guest in operations.erased_emails(self.session, set(guests.values()) - claimed.keys()):
            arrivals |= {key: arrivals[key]._replace(guest_email=None) for key, g in guests.items() if g == guest}
        return arrivals, owners, enrolled.members

    def _codes(self, arrivals: Collection[Arrival]) -> list[tuple[int, str]]:
        """The discount codes of these orders. News of a deletion does not tell them: they are known, or not yet."""
        told = [(a.shop_id, a.state) for a in arrivals]
        deleted = read_orders(self.session, sorted(a.key for a in arrivals if a.deleted_at))
        states = told + [(order.shop_id, order.state) for order in deleted]
        return [(shop_id, code.upper()) for shop_id, state in states if state for code in state.discount_codes]

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
            state=state and as_told(state, before.state, arrival.state),
            refunds=merge_refunds(before.refunds, arrival.refunds),
            deleted_at=earliest(before.deleted_at, arrival.deleted_at),
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
        explanation = {**(before.settled or {}), "points": 0, "reason": "moved_to_other_member"}
        made = moves(before.pending, before.available, 0, 0)
        self._make(after, account, made, explanation, self.now)
        if not account.merged_into:
            self._forgive(after, account, made, explanation, self.now)
        after.pending = after.available = 0
        after.settled = None

    def _earning(self) -> list[KnownOrder]:
        return [order for order in self.changed.values() if order.state and order.member]

    def _version(self, order: KnownOrder) -> Version:
        assert order.state is not None
        return self.programs.in_force(order.shop_id, order.state.processed_at)

    def _label(self) -> None:
        """Freeze tags and collections of the products that an order's bonuses ask about; send for those not known."""
        lacking = {
            o.key: missing for o in self._earning() if _asks(self._version(o), o) and (missing := _unlabelled(o))
        }
        wanted = {(shop_id, product) for (shop_id, _), missing in lacking.items() for product in missing}
        known = products.labels_of(self.session, wanted, self.now) if wanted else {}
        for key, missing in lacking.items():
            order = self.changed[key]
            found = {product: known[key[0], product] for product in missing if (key[0], product) in known}
            order.labels, order.labels_wanted = (order.labels or {}) | found, len(found) < len(missing)
        unknown = sorted(wanted - known.keys())
        effects.request(
            self.session, [effects.Wanted(shop, "shopify.product", str(product)) for shop, product in unknown]
        )

    def _facts(self, order: KnownOrder) -> tuple[Fact, ...]:
        return spend_facts(order.state, self._spend(order), order.deleted_at) if order.state else ()

    def _spend(self, order: KnownOrder) -> Spend:
        assert order.state is not None
        held = self.spends.get(order.key)
        if held is None:
            policy = self._version(order).policy
            held = self.spends[order.key] = eligible_spend(order.state, order.refunds, policy)
        return held

    def _compare_facts(self, orders: Iterable[KnownOrder]) -> None:
        """Note when each member's qualifying spend changes, and whether it shrinks."""
        for order in orders:
            facts = self.facts[order.key] = self._facts(order)
            held = self.orders.get(order.key)
            before = self.facts_before.get(order.key, ())
            if held and held.member and held.member != order.member:
                self._note_change(self.accounts[order.shop_id, held.member], before, ())
                before = ()
            self._note_change(self._account(order), before, facts)

    def _note_change(self, account: Account, before: Sequence[Fact], after: Sequence[Fact]) -> None:
        old, new = {_spent(fact) for fact in before}, {_spent(fact) for fact in after}
        account.changed_at += [fact.at for fact in old ^ new]
        account.shrank |= any(fact.amount < 0 for fact in new - old) or bool(old - new)

    def _account(self, order: KnownOrder) -> Account:
        return self.accounts[order.shop_id, order.member or 0]

    # Late facts: older than orders that are settled already, whose tier, number or limits at their time may be others.

    def _bring_in_later(self) -> None:
        later = self._later()
        in_turn = [(row.shop_id, row.order_id) for row in later if self.programs.traits(row.shop_id).sequential]
        if in_turn:
            again = {order.key: order for order in read_orders(self.session, in_turn)}
            self.orders |= {key: replace(order) for key, order in again.items()}
            self.changed |= again
            self.facts_before |= read_facts(self.session, list(again))
            self._compare_facts(again.values())
        self._load_courses(later)
        self._load_uses()
        self._add_moved(later)

    def _later(self) -> list[Any]:
        first: dict[Key, datetime] = {a.key: min(a.changed_at) for a in self.accounts.values() if a.changed_at}
        for key, placed in self._in_turn().items():
            # Orders of one moment have their turns, too.
            first[key] = min(first.get(key, placed), placed - INSTANT)
        asked = [
            (*key, moment, self._until(self.accounts[key]))
            for key, moment in sorted(first.items())
            if (last := self.accounts[key].last_order_at) and moment < last
        ]
        return [row for row in later_orders(self.session, asked) if (row.shop_id, row.order_id) not in self.changed]

    def _in_turn(self) -> dict[Key, datetime]:
        """Members whose later orders depend on more than facts: a held or refused order, too, takes or frees room.

        With the moment from which on they do: that of the first order that changes, as it was and as it will be.
        """
        first: dict[Key, datetime] = {}
        for order in self._earning():
            if self.programs.traits(order.shop_id).sequential:
                for one in filter(None, (order, self.orders.get(order.key))):
                    if one.state and one.member:
                        key, placed = (one.shop_id, one.member), one.state.processed_at
                        first[key] = min(first.get(key, placed), placed)
        return first

    def _until(self, account: Account) -> datetime:
        """How late an order may be placed and still feel what has changed now."""
        traits = self.programs.traits(account.shop_id)
        if traits.sequential or traits.reach is None:
            return END_OF_TIME
        return max(account.changed_at) + traits.reach

    def _add_moved(self, later: Sequence[Any]) -> None:
        """Settle again the later orders whose tier at their time is now another."""
        moved = []
        for row in later:
            if (row.shop_id, row.order_id) in self.changed:
                continue
            version = self.programs.in_force(row.shop_id, row.processed_at)
            held = self.courses.at((row.shop_id, row.member_id), row.processed_at, version)
            if held.rung.key != row.tier_key:
                moved.append((row.shop_id, row.order_id))
        self.changed |= {order.key: order for order in read_orders(self.session, moved)}

    def _load_courses(self, later: Sequence[Any]) -> None:
        """Every account's course from the first moment that matters to this batch on, with the batch's facts in it."""
        since: dict[Key, datetime] = {key: min([self.now, *a.changed_at]) for key, a in self.accounts.items()}
        until = max([self.now, *(at for a in self.accounts.values() for at in a.changed_at)])
        fresh: dict[Key, list[Fact]] = {key: [] for key in self.accounts}
        for order in self._earning():
            assert order.state is not None
            key, facts = self._account(order).key, self.facts[order.key]
            # Points earned are known only once the order is posted; `_post` adds them in order of time.
            fresh[key] += () if self.programs.traits(order.shop_id).by_points else facts
            placed = [order.state.processed_at, *(fact.at for fact in (*facts, *self.facts_before.get(order.key, ())))]
            since[key] = min(since[key], *placed)
            until = max(until, *placed)
        until = max([until, *(row.processed_at for row in later)]) + INSTANT
        self.courses = courses.load(
            self.session, self.programs, since, until, without=frozenset(self.facts), fresh=fresh
        )

    def _load_uses(self) -> None:
        if limited := [order.key for order in self._limited()]:
            self.uses = uses.load(self.session, self._in_turn(), without=limited)

    def _limited(self) -> list[KnownOrder]:
        """The orders of shops where some rule on orders has a limit."""
        return [order for order in self._earning() if self.programs.traits(order.shop_id).limited]

    # Points.

    def _post(self, order: KnownOrder) -> None:
        """Post the difference between what an order should have earned and what it has."""
        assert order.state is not None
        account, version, placed = self._account(order), self._version(order), order.state.processed_at
        rung = self.courses.at(account.key, placed, version).rung
        terms, held = version.terms(rung.key, rung.multiplier), self._circumstances(order, version)
        wanted = target(
            order.state, self._spend(order), terms, now=self.now, deleted_at=order.deleted_at, circumstances=held
        )
        reason = why(order.settled, wanted.explanation)
        explanation = {**wanted.explanation, "reason": reason, **_before(order)}
        made = moves(order.pending, order.available, wanted.pending, wanted.available)
        at = _occurred_at(order, reason)
        if reason == "settled_again" and order.release_at and wanted.available > order.available:
            explanation["reason"], at = "released", order.release_at
        order.tier_key, order.version = rung.key, version.number
        self._make(order, account, made, explanation, at)
        self._forgive(order, account, made, explanation, at)
        order.pending, order.available = wanted.pending, wanted.available
        order.settled, order.release_at = wanted.explanation, wanted.release_at
        self._note_uses(order, wanted.uses)
        if self.programs.traits(order.shop_id).by_points:
            self._note_points(order, with_points(self.facts[order.key], order.state, order.refunds, terms, held))
        if account.last_order_at is None or placed > account.last_order_at:
            account.last_order_at, account.ordered = placed, True
        account.note_activity(placed, self._look_at(order, made) if made else None)

    def _look_at(self, order: KnownOrder, made: Sequence[Move]) -> datetime | None:
        """When what was just posted may matter to expiry.

        At once where points are taken back that may have expired, or an order comes late that would have kept some.
        """
        assert order.state is not None
        placed = order.state.processed_at
        if placed < self.now - LATE or any(move.source == "available" for move in made):
            return self.now
        return first_look(self.programs.in_force(order.shop_id, self.now).program.expiry, placed)

    def _circumstances(self, order: KnownOrder, version: Version) -> Circumstances:
        account = self._account(order)
        if not (version.limited or version.counts_orders or order.labels or account.blocked_at):
            return ORDINARY
        assert order.state is not None
        key, placed, zone = account.key, order.state.processed_at, version.program.zone
        blocked = account.blocked_at is not None and placed >= account.blocked_at
        number = 1 + self._orders_before(order) if version.counts_orders else 1
        used = {rule: self.uses.before(key, rule, placed, order.order_id, zone) for rule in version.limited}
        return Circumstances(number, used, order.labels or {}, blocked)

    def _orders_before(self, order: KnownOrder) -> int:
        """Paid orders that came before; those of the same moment by their numbers, as they are posted."""
        assert order.state is not None
        key, placed = self._account(order).key, order.state.processed_at
        before = self.courses.orders_before(key, placed) + self.twins[key, placed]
        self.twins[key, placed] += orders_at(self.facts[order.key], placed)
        return before

    def _note_uses(self, order: KnownOrder, used: Sequence[tuple[str, int]]) -> None:
        account, placed = self._account(order), order.state.processed_at  # type: ignore[union-attr]
        for rule, points in used:
            if points:
                self.uses.add(account.key, rule, Use(placed, order.order_id, points))
                self.used.append((*order.key, rule, account.member_id, placed, points))

    def _note_points(self, order: KnownOrder, facts: tuple[Fact, ...]) -> None:
        """Points earned are facts, too, where tiers go by them."""
        account, before = self._account(order), set(self.facts_before.get(order.key, ()))
        self.facts[order.key] = facts
        self.courses.add(account.key, facts)
        account.changed_at += [fact.at for fact in before.symmetric_difference(facts)]

    def _forgive(
        self, order: KnownOrder, account: Account, made: Iterable[Move], explanation: dict[str, Any], at: datetime
    ) -> None:
        """Points that were spent already are not asked back: the order is reversed in full, the shortfall forgiven.

        What only waits again is not taken back, and so not forgiven.
        """
        short = _short(account, made)
        if short > 0 and self._version(order).program.clawback == "clamp":
            forgiven = {**explanation, "reason": "spent_points_forgiven"}
            self._append(order, account, Move("adjustment", "adjusted", "available", short), forgiven, at)

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

    # The member's tier now, and what follows from it.

    def _climb(self) -> None:
        moved: list[Happened] = []
        for account in self.accounts.values():
            if account.changed_at:
                moved += self._climb_step_by_step(account, self.programs.in_force(account.shop_id, self.now))
        self.happened += moved
        self._enter(gifts(self.session, moved, self.programs, self.now))

    def _climb_step_by_step(self, account: Account, version: Version) -> list[Happened]:
        """Each move at its own moment, also when a batch brings a year of orders; and where the member stands now."""
        # A shop's clock may run a little ahead of ours: an order it has sent has been placed.
        placed = [at for at in set(account.changed_at) if at <= self.now + AHEAD]
        moved = []
        for moment in [*sorted(at for at in placed if at >= account.tier_since), max([self.now, *placed])]:
            standing = self.courses.at(account.key, moment + INSTANT, version)
            since = max(account.tier_since, min(moment, self.now))
            moved.append(climb(self.periods, account, standing, version, since=since, now=self.now))
        return [event for event in moved if event]

    # Rewards that were used on these orders.

    def _use_rewards(self) -> None:
        if not self.rewards:
            return
        codes = {(held.shop_id, held.code) for held in self.rewards}
        seen = [
            _seen(order, code)
            for order in sorted(self.changed.values(), key=lambda order: order.key)
            if order.state
            for code in order.state.discount_codes
            if (order.shop_id, code.upper()) in codes
        ]
        entries, happened = rewards.settle_uses(self.session, seen, self._rewards_return, self.now)
        self._enter(entries)
        self.happened += happened

    def _rewards_return(self, shop_id: int, moment: datetime) -> bool:
        return self.programs.in_force(shop_id, moment).program.reward_refunds == "return"

    def _enter(self, entries: Iterable[Entry]) -> None:
        """Post what does not come from an order's own points. The accounts are locked."""
        for entry in entries:
            account = self.accounts.get((entry.shop_id, entry.member_id))
            if account is None:
                raise Contended("a reward used here went to another member just now")
            self._enter_one(account, entry)
            short = _short(account, [entry.move])
            if (
                short > 0
                and self.programs.numbered(entry.shop_id, entry.program_version or 0).program.clawback == "clamp"
            ):
                told = {**entry.explanation, "points": short, "reason": "spent_points_forgiven"}
                back = Move("adjustment", "adjusted", "available", short)
                forgiven = entry._replace(move=back, key=f"{entry.key}:forgiven", explanation=told)
                self._enter_one(account, forgiven)

    def _enter_one(self, account: Account, entry: Entry) -> None:
        self.postings.append(operations.enter(account, entry, self.now))
        self.happened.append(operations.entered(account, entry))

    # Writing, set by set.

    def _write(self) -> None:
        write_orders(self.session, self.changed.values(), self.now)
        self._write_facts()
        self._write_uses()
        operations.write_postings(self.session, self.postings)
        write_periods(self.session, self.periods)
        dirty = [account for account in self.accounts.values() if account.dirty]
        set_reviews(self.session, [a for a in dirty if self._needs_review(a)], self.programs, self.now)
        write_accounts(self.session, dirty)
        record(self.session, self.happened)

    def _needs_review(self, account: Account) -> bool:
        """More spend only moves a lapse further away; a new tier or less spend asks for the date anew."""
        ladder = self.programs.in_force(account.shop_id, self.now).program.ladder
        if any(at > self.now for at in account.changed_at):
            return True
        if ladder.period in ("calendar_year", "membership_year"):
            return bool(account.changed_at)
        return account.tier_key != ladder.tiers[0].key and (account.shrank or account.tier_review_at is None)

    def _write_facts(self) -> None:
        moved = [key for key in self.facts if self._facts_moved(key)]
        gone = [(key, fact) for key in moved for fact in self.facts_before.get(key, ())]
        come = [(key, self.changed[key].member or 0, fact) for key in moved for fact in self.facts[key]]
        write_facts(self.session, gone, come)

    def _write_uses(self) -> None:
        limited = [order.key for order in self._limited()]
        if limited:
            uses.write(self.session, limited, self.used)

    def _facts_moved(self, key: Key) -> bool:
        held = self.orders.get(key)
        moved_house = held is not None and held.member != self.changed[key].member
        return moved_house or set(self.facts[key]) != set(self.facts_before.get(key, ()))


def _emails(arrivals: Iterable[Arrival]) -> dict[Key, str]:
    """The addresses of the buyers of these orders, as far as their deliveries tell them."""
    told = {a.key: a.customer.email if a.customer else a.guest_email for a in arrivals}
    return {key: email for key, email in told.items() if email}


def _asks(version: Version, order: KnownOrder) -> bool:
    return bool(version.bonuses) and version.wants_labels(order.state.processed_at)  # type: ignore[union-attr]


def _unlabelled(order: KnownOrder) -> set[int]:
    """Products whose labels the order has not kept: of a new order all, of one that was edited what was added."""
    assert order.state is not None
    return {line.product_id for line in order.state.lines if line.product_id}.difference(order.labels or ())


def _seen(order: KnownOrder, code: str) -> rewards.CodeSeen:
    state = order.state
    assert state is not None
    undone = reward_rules.undone(state, order.deleted_at)
    return rewards.CodeSeen(order.shop_id, code, order.order_id, state.processed_at, undone, state.name)


def _short(account: Account, made: Iterable[Move]) -> int:
    """How many of the points that were just taken back were spent already."""
    taken = sum(move.points for move in made if (move.source, move.target) == ("available", "issued"))
    return min(taken, -account.balance.available)


def _spent(fact: Fact) -> Fact:
    """A fact without its points, which are told only once the order is posted."""
    return msgspec.structs.replace(fact, points=0) if fact.points else fact


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
