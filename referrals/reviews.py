"""What a merchant decides on a referral: it stands over the checks until it is undone, and what follows from it is
settled as everything else is. Operations take a session and never commit.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, effects
from core.db import Database
from core.errors import Conflict, InvalidInput, NotAuthenticated, NotFound
from core.events import Happened, record
from core.i18n import N_, _
from loyalty.models import Member
from referrals.cases import Case
from referrals.fraud import people
from referrals.fraud.people import NOBODY, Sides
from referrals.models import Referral, ReferralDecision
from shops.admin import AdminRefused

Decision = Literal["approve", "refuse"]
DECISIONS: tuple[str, ...] = get_args(Decision)
MOST_NOTE = 500
# Of `referrals.operations`, which this room's decisions ask to act.
EFFECT = "referral.order"

_SAID = {"approve": "approved", "refuse": "refused", None: "undecided"}
_TEXTS = {
    "approve": N_("Approved by hand."),
    "refuse": N_("Refused by hand."),
    None: N_("The decision was taken back."),
}


def waiting(session: Session, shop_id: int, *, after: int | None = None, limit: int) -> Sequence[Referral]:
    """Referrals that wait for a person, oldest first, with ids above `after`."""
    queue = sa.select(Referral).where(
        Referral.shop_id == shop_id, Referral.state == "review", Referral.decision.is_(None), Referral.id > (after or 0)
    )
    return session.scalars(queue.order_by(Referral.id).limit(limit)).all()


def decide(session: Session, shop_id: int, referral_id: int, decision: str, note: str, *, actor: str) -> Referral:
    """Approve or refuse a referral, whatever the checks say; both sides follow within seconds.

    The same decision again changes nothing. Raises NotFound (`no_referral`), InvalidInput (`bad_decision`, `bad_note`)
    and Conflict (`already_decided`) when the other was decided: undo that first.
    """
    if decision not in DECISIONS:
        raise InvalidInput(_("a decision is approve or refuse"), code="bad_decision")
    if len(note) > MOST_NOTE:
        raise InvalidInput(_("a note has %(most)s characters at most", most=MOST_NOTE), code="bad_note")
    row = _locked(session, shop_id, referral_id)
    if row.decision == decision:
        return row
    if row.decision is not None:
        was = _SAID[row.decision]
        raise Conflict(f"this referral was {was} already; undo that first", code="already_decided", decision=was)
    return _write(session, row, decision, note, actor)


def undo(session: Session, shop_id: int, referral_id: int, *, actor: str) -> Referral:
    """Take a decision back: the checks hold again. Without one it changes nothing. Raises NotFound (`no_referral`)."""
    row = _locked(session, shop_id, referral_id)
    return row if row.decision is None else _write(session, row, None, "", actor)


def _locked(session: Session, shop_id: int, referral_id: int) -> Referral:
    mine = sa.select(Referral).where(Referral.shop_id == shop_id, Referral.id == referral_id)
    row = session.scalar(mine.with_for_update().execution_options(populate_existing=True))
    if row is None:
        raise NotFound(_("there is no such referral"), code="no_referral")
    return row


def _write(session: Session, row: Referral, decision: str | None, note: str, actor: str) -> Referral:
    now, said = clock.now(), _SAID[decision]
    row.decision, row.updated_at = decision, now
    row.decided_by, row.decided_at = (actor, now) if decision else (None, None)
    reason = {"key": said, "points": 0, "text": _TEXTS[decision]}
    # What it becomes is settled after the commit, and then noted as its own step.
    session.add(
        ReferralDecision(
            shop_id=row.shop_id, referral_id=row.id, was=row.state, became=row.state, score=row.score, reasons=[reason],
            note=note, actor=actor, at=now,
        )
    )  # fmt: skip
    told: dict[str, Any] = {"referral_id": row.id, "decision": said}
    record(
        session,
        [Happened(row.shop_id, "referral.decided", told, now, row.referrer_member_id, row.order_id, None, actor)],
    )
    effects.request(session, [effects.Wanted(row.shop_id, EFFECT, str(row.order_id))])
    session.flush()
    return row


def case_of(session: Session, shop_id: int, referral_id: int) -> Case:
    """What the checks would be asked about a referral. Raises NotFound (`no_referral`)."""
    row = session.get(Referral, (shop_id, referral_id))
    if row is None:
        raise NotFound(_("there is no such referral"), code="no_referral")
    ids = [row.friend_member_id, row.referrer_member_id]
    known = sa.select(Member.id, Member.customer_id).where(Member.shop_id == shop_id, Member.id.in_(ids))
    customers: dict[int | None, int | None] = {one.id: one.customer_id for one in session.execute(known)}
    return Case(
        shop_id, row.order_id, row.at, row.friend, row.friend_member_id, customers.get(row.friend_member_id), None,
        row.referrer_member_id, customers.get(row.referrer_member_id), row.partner_id, row.code_key, row.claim_id,
        row.via, referral_id=row.id,
    )  # fmt: skip


def sides(database: Database, case: Case) -> Sides:
    """Both sides as Shopify knows them now, to be looked at and not kept; nobody, untold, where it lets us see none.

    Raises Unavailable.
    """
    try:
        return people.ask(database, case)
    except (AdminRefused, NotAuthenticated, effects.PermanentFailure):
        return Sides(NOBODY, NOBODY, told=False)
