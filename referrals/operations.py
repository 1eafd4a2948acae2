"""Settles referrals: makes each what it should be by all that is known now, and both sides have what follows from it.

Convergent, as the settlement of orders is: from orders, claims, checks and decisions follows what a referral should be,
and only the difference is written. So it does not matter in what order they come, or how often.

The checks ask Shopify, so they are asked before the transaction that writes. Under the locks everything is read anew;
if it is no longer what the checks were asked about, they are asked again. Locks come in one order: members by id (a
friend who is nobody's member by an advisory lock), then referrals, then rewards.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, crypto, effects
from core.db import Database
from core.errors import Conflict
from core.events import Happened, record
from loyalty import programs
from loyalty.accounts import lock_accounts
from loyalty.program.referring import Benefit
from loyalty.programs import Programs, Version
from referrals import giving, rules
from referrals.attribution import ASIDE, View, stands, view
from referrals.claims.operations import mark_used
from referrals.fraud import facts
from referrals.fraud import rules as checks
from referrals.fraud.rules import Evidence, Reason, Verdict
from referrals.models import Referral, ReferralDecision, ReferralReward
from referrals.rules import Give, Known, Wanted

EFFECT = "referral.order"
REWARD_EFFECT = "referral.rewards"
ACTOR = "system"
# What the checks saw is kept beside what they were asked about.
ASKED = "asked"
TRIES = 5
# As many later referrals of a month are looked at anew when one gives its place away.
PLACES = 500

# The key of the tier a member held at a moment: (session, programs, shop id, member id, moment). Tiers are a room that
# this one does not see; app.py puts the two together.
TierAt = Callable[[Session, Programs, int, int, datetime], str]
tier_at: list[TierAt] = []
# A member or a partner, the other None.
Referrer = tuple[int | None, int | None]


class Moved(Conflict):
    """What a referral is about changed faster than the checks could be asked; it is tried again."""

    code = "referral_moved"


def settle(database: Database, shop_id: int, target: str) -> None:
    """Make the referral of an order (`target` is its id) what it should be. An effect: harmless to repeat.

    Raises what `referrals.fraud.facts.gather` raises while Shopify can't be asked, and Moved; both for another try.
    """
    order_id = int(target)
    for _ in range(TRIES):
        with database.transaction(shop_id) as session:
            seen = view(session, shop_id, order_id)
        if seen is None:
            return
        evidence = facts.gather(database, shop_id, seen.case) if _asks(seen) else None
        with database.transaction(shop_id) as session:
            if _write(session, shop_id, order_id, seen, evidence):
                return
    raise Moved("the friend's orders keep changing")


def follow_rewards(database: Database, shop_id: int, target: str) -> None:
    """Take in how the rewards of a member (`target`) that were being taken back ended. An effect."""
    with database.transaction(shop_id) as session:
        lock_accounts(session, [(shop_id, int(target))])
        request(session, shop_id, giving.follow(session, shop_id, int(target)))


def request(session: Session, shop_id: int, order_ids: Sequence[int]) -> None:
    """Have the referrals of these orders settled after the commit."""
    effects.request(session, [effects.Wanted(shop_id, EFFECT, str(order_id)) for order_id in order_ids])


# What the checks are asked.


def _asks(seen: View) -> bool:
    """Whether the checks must be asked: they were not, or about something else. Nobody is asked of the erased."""
    row = seen.row
    if not _known(seen).asks:
        return False
    if row is not None and (row.decision is not None or (seen.candidate.via == "known" and ASKED in row.evidence)):
        return False
    return row is None or row.evidence.get(ASKED) != _asked(seen)


def _asked(seen: View) -> str:
    return crypto.digest(repr(seen.key))


def _known(seen: View) -> Known:
    state, row = seen.order.state, seen.row
    assert state is not None
    return Known(
        stands=stands(seen.order),
        paid_at=rules.paid_at(state),
        goods=seen.worth.goods,
        minimum=seen.minimum,
        first=seen.chosen.first,
        own=seen.person.member_id is not None and seen.person.member_id == seen.candidate.member_id,
        rewarded=row is not None and row.rewarded_at is not None and _referrer(row) == seen.candidate.referrer,
    )


def _referrer(row: Referral) -> Referrer:
    return row.referrer_member_id, row.partner_id


def _verdict(seen: View, row: Referral) -> Verdict | None:
    """What the checks make of what they saw, under the terms of the order."""
    if row.evidence.get(ASKED) is None:
        return None
    return checks.judge(msgspec.convert(row.evidence, Evidence, strict=False), seen.terms)


# Writing.


def _write(session: Session, shop_id: int, order_id: int, seen: View, evidence: Evidence | None) -> bool:
    """Write what is new of a referral. False when it is no longer what was seen."""
    locked = lock_accounts(session, [(shop_id, member_id) for member_id in seen.members])
    _lock_guest(session, shop_id, seen)
    now_seen = view(session, shop_id, order_id)
    if now_seen is None or now_seen.key != seen.key or not now_seen.members <= {member for _, member in locked}:
        return False
    if evidence is None and _asks(now_seen):
        return False
    taken = _take_row(session, now_seen)
    if evidence is not None:
        taken.row.evidence = msgspec.to_builtins(evidence) | {ASKED: _asked(now_seen)}
    _Settling(session, now_seen, taken).run()
    return True


def _lock_guest(session: Session, shop_id: int, seen: View) -> None:
    """A friend who is no member yet has no row to lock."""
    if seen.person.member_id is None:
        name = {"name": f"referral:{shop_id}:{seen.person.friend}"}
        session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), name)


class _Taken(NamedTuple):
    """A row in hand, with the state and the referrer it had before."""

    row: Referral
    was: str
    before: Referrer


def _take_row(session: Session, seen: View) -> _Taken:
    """The row of a referral, with who and what it is about brought up to date."""
    for other in seen.rows:
        if other is not seen.row and ASIDE not in other.friend:
            other.friend = f"{other.friend}{ASIDE}{other.id}"
    session.flush()
    row, before, was = seen.row, seen.candidate.referrer, "new"
    if row is None:
        now = clock.now()
        row = Referral(
            shop_id=seen.order.shop_id, state="waiting", evidence={}, reasons=[], created_at=now, updated_at=now
        )
    else:
        before, was = _referrer(row), row.state
    _bring_up_to_date(row, seen)
    if before != seen.candidate.referrer:
        row.rewarded_at = None
    if session.is_modified(row):
        row.updated_at = clock.now()
    session.add(row)
    session.flush()
    return _Taken(row, was, before)


def _bring_up_to_date(row: Referral, seen: View) -> None:
    state, candidate = seen.order.state, seen.candidate
    assert state is not None
    row.friend, row.friend_member_id = seen.friend, seen.person.member_id
    row.referrer_member_id, row.partner_id = candidate.referrer
    row.code_key, row.claim_id, row.via = candidate.code_key, candidate.claim_id, seen.via
    row.order_id, row.at, row.currency = seen.order.order_id, state.processed_at, state.currency
    row.amount, row.discount, row.program_version = seen.spent, seen.worth.discount, seen.version.number


class _Settling:
    """One referral under its locks: its state, what both sides have, and what follows for others of its referrer."""

    def __init__(self, session: Session, seen: View, taken: _Taken) -> None:
        self.session, self.seen = session, seen
        self.row, self.was, self.before = taken
        self.now = clock.now()
        self.programs = programs.load(session, [self.row.shop_id])

    def run(self) -> None:
        known, verdict = _known(self.seen), _verdict(self.seen, self.row)
        wanted = rules.decide(known, verdict, self.row.decision, self.seen.terms, self.now)
        over = wanted.referrer_gets and not wanted.kept and self._over_limit()
        self._become(wanted, verdict, _reasons(known, verdict, over), over)
        self._set_aside()
        if not wanted.kept:
            self._settle_sides(wanted, over)
        self._milestones()
        self._free_places()
        self._mark_claim()

    # Its state.

    def _become(self, wanted: Wanted, verdict: Verdict | None, reasons: list[Reason], over: bool) -> None:
        row = self.row
        row.due_at, row.reasons = wanted.due_at, [msgspec.to_builtins(reason) for reason in reasons]
        row.score = max([verdict.score if verdict else 0, *(reason.points for reason in reasons)])
        if wanted.state == "rewarded" and row.rewarded_at is None:
            row.rewarded_at = self.now
        row.state = wanted.state
        if self.session.is_modified(row):
            row.updated_at = self.now
        self.session.flush()
        if (self.was, self.before) != (wanted.state, _referrer(row)):
            note = rules.WHY[wanted.why] + (f" {rules.LIMIT_REACHED}" if over else "")
            self._explain(row, self.was, note)

    def _explain(self, row: Referral, was: str, note: str) -> None:
        self.session.add(
            ReferralDecision(
                shop_id=row.shop_id,
                referral_id=row.id,
                was=was,
                became=row.state,
                score=row.score,
                reasons=row.reasons,
                note=f"{rules.BY[row.via]} {note}",
                actor=ACTOR,
                at=self.now,
            )
        )
        told = {"referral_id": row.id, "was": was, "via": row.via, "partner_id": row.partner_id}
        told |= {"reasons": [reason["key"] for reason in row.reasons]}
        record(self.session, [
            Happened(row.shop_id, f"referral.{row.state}", told, self.now, row.referrer_member_id, row.order_id,
                     row.program_version, ACTOR)
        ])  # fmt: skip

    def _set_aside(self) -> None:
        """Two of whom one turns out to be the other are one friend, and count once."""
        for other in self.seen.rows:
            if other is self.row or other.state == "void":
                continue
            was, other.state, other.due_at, other.updated_at = other.state, "void", None, self.now
            other.friend_member_id = self.row.friend_member_id
            held = giving.held_by(self.session, other)
            for side in ("friend", "referrer"):
                giving.settle_side(self.session, other, _last(held, side), None)
            self._explain(other, was, rules.WHY["counted"])

    # What both sides have.

    def _settle_sides(self, wanted: Wanted, over: bool) -> None:
        held = giving.held_by(self.session, self.row)
        gives = {
            "friend": self._friends_side(held) if wanted.friend_gets else None,
            "referrer": self._referrers_side(held) if wanted.referrer_gets and not over else None,
        }
        for side, give in gives.items():
            giving.settle_side(self.session, self.row, _last(held, side), give)

    def _friends_side(self, held: Sequence[ReferralReward]) -> Give | None:
        benefit, member_id = self.seen.friend_benefit, self.row.friend_member_id
        if benefit.kind not in rules.GIVEN_TO_FRIENDS or not self._takes_part(member_id, _last(held, "friend")):
            return None
        return rules.give("friend", benefit, member_id, None, self.row.amount)

    def _referrers_side(self, held: Sequence[ReferralReward]) -> Give | None:
        row, last = self.row, _last(held, "referrer")
        if row.partner_id is None and not self._takes_part(row.referrer_member_id, last):
            return None
        give = rules.give("referrer", self._benefit(), row.referrer_member_id, row.partner_id, row.amount)
        if give and last and last.state == "given" and not self.seen.terms.clawback:
            # What came is not made less by a refund that came after it.
            give = msgspec.structs.replace(give, amount=max(give.amount, last.amount))
        return give

    def _benefit(self) -> Benefit:
        """What the referrer gets: by their partnership, or by the tier they held when the order was placed."""
        if self.row.partner_id is not None:
            return self.seen.partnership.referrer if self.seen.partnership else Benefit(kind="none")
        terms = self.seen.terms
        return terms.for_referrer(self._tier()) if terms.tiers else terms.referrer

    def _tier(self) -> str:
        (ask,) = tier_at
        assert self.row.referrer_member_id is not None
        return ask(self.session, self.programs, self.row.shop_id, self.row.referrer_member_id, self.row.at)

    def _takes_part(self, member_id: int | None, last: ReferralReward | None) -> bool:
        """Somebody who has left earns nothing any more, but keeps what came before."""
        if member_id is None:
            return False
        holds = last is not None and last.state == "given"
        return holds or giving.takes_part(self.session, self.row.shop_id, member_id)

    # Limits and milestones, which go by all of a referrer's friends.

    def _of_month(self) -> tuple[sa.ColumnElement[bool], ...]:
        begins, ends = rules.month_of(self.row.at, self.seen.version.program.zone)
        return (
            Referral.shop_id == self.row.shop_id,
            Referral.referrer_member_id == self.row.referrer_member_id,
            Referral.at >= begins,
            Referral.at < ends,
        )

    def _over_limit(self) -> bool:
        """Whether as many friends as a month may have ordered before this one: those that may still count do."""
        limit, row = self.seen.terms.monthly_limit, self.row
        if limit is None or row.referrer_member_id is None:
            return False
        earlier = sa.tuple_(Referral.at, Referral.order_id) < sa.tuple_(sa.literal(row.at), sa.literal(row.order_id))
        ahead = sa.select(sa.func.count()).where(*self._of_month(), earlier, Referral.state.in_(rules.IN_PLACE))
        return (self.session.scalar(ahead) or 0) >= limit

    def _free_places(self) -> None:
        """When a place of the month was taken or left, those who come after may gain or lose theirs."""
        row = self.row
        moved = (self.was in rules.IN_PLACE) != (row.state in rules.IN_PLACE)
        if self.seen.terms.monthly_limit is None or row.referrer_member_id is None or not moved:
            return
        later = sa.tuple_(Referral.at, Referral.order_id) > sa.tuple_(sa.literal(row.at), sa.literal(row.order_id))
        after = sa.select(Referral.order_id).where(*self._of_month(), later, Referral.state == "rewarded")
        request(self.session, row.shop_id, self.session.scalars(after.limit(PLACES)).all())

    def _milestones(self) -> None:
        for member_id in sorted({self.before[0] or 0, self.row.referrer_member_id or 0} - {0}):
            Milestones(self.session, self.row.shop_id, member_id, self.programs).settle()

    # The claim.

    def _mark_claim(self) -> None:
        """A claim whose code is on an order has been used."""
        if self.row.via == "discount" and self.seen.claim is not None:
            mark_used(self.session, self.row.shop_id, [self.seen.claim.id])


def _last(held: Sequence[ReferralReward], side: str) -> ReferralReward | None:
    return max((one for one in held if one.side == side), key=lambda one: one.ordinal, default=None)


def _reasons(known: Known, verdict: Verdict | None, over: bool) -> list[Reason]:
    """Why it is so, each reason once: what needs no checks to be seen, what the checks say, and the month's limit."""
    found = [*rules.plain_reasons(known), *(verdict.reasons if verdict else ())]
    found += [Reason("monthly_limit", 0, rules.LIMIT_REACHED)] if over else []
    return list({reason.key: reason for reason in reversed(found)}.values())[::-1]


class Milestones:
    """What a member has for the so-maniest friend. The caller has locked them."""

    def __init__(self, session: Session, shop_id: int, member_id: int, known: Programs) -> None:
        self.session, self.shop_id, self.member_id, self.programs = session, shop_id, member_id, known

    def settle(self) -> None:
        """Give what was reached, take back what no longer is."""
        numbers = {stone.friends for version in self.programs.of(self.shop_id) for stone in _stones(version)}
        if not numbers:
            return
        held = self._held()
        reached, at_place = self._reached(numbers)
        offered = {number: row for number, row in at_place.items() if _stone(self._version(row), number)}
        give_now, take_back = rules.milestones_due(reached, held.keys(), offered.keys())
        for number in take_back:
            self._take_back(held[number])
        if give_now and giving.takes_part(self.session, self.shop_id, self.member_id):
            for number in give_now:
                self._give(offered[number], number)

    def _held(self) -> dict[int, ReferralReward]:
        """The milestones they have by their numbers; one that could not be taken back is theirs for good."""
        rows = self.session.scalars(
            sa.select(ReferralReward).where(
                ReferralReward.shop_id == self.shop_id,
                ReferralReward.member_id == self.member_id,
                ReferralReward.side == "milestone",
                ReferralReward.state != "taken_back",
            )
        )
        return {int(row.benefit["friends"]): row for row in rows}

    def _reached(self, numbers: set[int]) -> tuple[int, dict[int, Referral]]:
        """For how many friends they are rewarded, and the friend at each of these places, by when each counted."""
        theirs = (
            sa.select(
                Referral.id,
                sa.func.row_number().over(order_by=(Referral.due_at, Referral.order_id)).label("place"),
                sa.func.count().over().label("reached"),
            )
            .where(
                Referral.shop_id == self.shop_id,
                Referral.referrer_member_id == self.member_id,
                Referral.state == "rewarded",
            )
            .subquery()
        )
        wanted = theirs.c.place.in_(numbers) | (theirs.c.place == 1)
        rows = self.session.execute(
            sa.select(Referral, theirs.c.place, theirs.c.reached)
            .join(theirs, theirs.c.id == Referral.id)
            .where(Referral.shop_id == self.shop_id, wanted)
        ).all()
        return max((row.reached for row in rows), default=0), {row.place: row[0] for row in rows}

    def _version(self, row: Referral) -> Version:
        return self.programs.numbered(self.shop_id, row.program_version)

    def _give(self, row: Referral, number: int) -> None:
        benefit = _stone(self._version(row), number)
        give = rules.give("milestone", benefit, self.member_id, None, row.amount) if benefit else None
        if give is None:
            return
        brought = [one.ordinal for one in giving.held_by(self.session, row) if one.side == "milestone"]
        giving.hand_out(self.session, row, msgspec.structs.replace(give, friends=number), max(brought, default=0) + 1)

    def _take_back(self, held: ReferralReward) -> None:
        row = self.session.get_one(Referral, (self.shop_id, held.referral_id))
        if held.state == "given" and self._version(row).program.referral.clawback:
            giving.take_back(self.session, row, held)


def _stones(version: Version) -> Sequence[Any]:
    return version.program.referral.milestones


def _stone(version: Version, number: int) -> Benefit | None:
    return next((stone.benefit for stone in _stones(version) if stone.friends == number), None)
