"""People who bring customers under a partnership of the program: added, changed and ended. Never commits.

A partner's code is a discount code in Shopify that many friends may use, each once; see `referrals.standing`.
"""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import clock, crypto, effects
from core.errors import Conflict, InvalidInput, NotFound
from core.events import Happened, record
from core.i18n import _
from referrals import codes, members
from referrals.claims import rules
from referrals.fraud import mails
from referrals.models import ReferralCode, ReferralPartner

EFFECT = "referral.partner"
_CODES: Any = ReferralCode.__table__


def add(
    session: Session, shop_id: int, *, partnership: str, name: str, email: str, code: str | None = None, actor: str
) -> ReferralPartner:
    """Take somebody in. Without a code of their choice they get one that is made from their name.

    Who was a partner once is one again, under what is said now. Raises InvalidInput (`unknown_partnership`,
    `bad_email`, `bad_code`, `reserved_code`) and Conflict: `partner_exists` (with `partner_id`), `code_taken`,
    `referrals_off`.
    """
    _check_partnership(session, shop_id, partnership)
    address, chosen = rules.address(email), _checked(code)
    row = _by_address(session, shop_id, address)
    if row is None:
        row = ReferralPartner(shop_id=shop_id, email_index=mails.index(address), created_at=clock.now())
        session.add(row)
    elif row.ended_at is None:
        text = _("Somebody with this address is a partner already.")
        raise Conflict(text, code="partner_exists", partner_id=str(row.id))
    row.partnership, row.name, row.email, row.actor = partnership, name.strip(), crypto.encrypt(address), actor
    row.ended_at = None
    session.flush()
    _give_code(session, row, chosen)
    _changed(session, row, "referral.partner_added", actor)
    return row


def change(
    session: Session,
    shop_id: int,
    partner_id: int,
    *,
    partnership: str,
    name: str,
    email: str,
    code: str | None = None,
    actor: str,
) -> ReferralPartner:
    """Change what is known of a partner. A new code retires the old one; without one the code stays.

    Raises NotFound (`no_partner`), Conflict (`partner_ended`), and as `add` does.
    """
    _check_partnership(session, shop_id, partnership)
    address, chosen = rules.address(email), _checked(code)
    row = _active(session, shop_id, partner_id)
    other = _by_address(session, shop_id, address)
    if other is not None and other.id != row.id:
        text = _("Somebody else with this address is a partner.")
        raise Conflict(text, code="partner_exists", partner_id=str(other.id))
    row.partnership, row.name, row.actor = partnership, name.strip(), actor
    row.email, row.email_index = crypto.encrypt(address), mails.index(address)
    session.flush()
    if chosen is not None:
        _give_code(session, row, chosen)
    _changed(session, row, "referral.partner_changed", actor)
    return row


def end(session: Session, shop_id: int, partner_id: int, *, actor: str) -> ReferralPartner:
    """End a partnership with somebody: their codes stop working. Doing it again changes nothing. Raises NotFound."""
    row = _locked(session, shop_id, partner_id)
    if row.ended_at is None:
        row.ended_at = clock.now()
        _retire(session, row)
        _changed(session, row, "referral.partner_ended", actor)
    return row


def forget(session: Session, shop_id: int, indices: Collection[str]) -> None:
    """Forget the names and addresses of former partners by the hashes of their addresses, as the law asks. Of those
    who are partners the shop needs them still.
    """
    former = sa.select(ReferralPartner).where(
        ReferralPartner.shop_id == shop_id,
        ReferralPartner.email_index.in_(indices),
        ReferralPartner.ended_at.is_not(None),
    )
    for row in session.scalars(former.with_for_update()):
        row.name, row.email, row.email_index = "", crypto.encrypt(""), f"erased-{row.id}"


def _check_partnership(session: Session, shop_id: int, key: str) -> None:
    terms = members.require_referrals(session, shop_id).program.referral
    if terms.partnership(key) is None:
        known = ", ".join(held.key for held in terms.partnerships)
        there = f"It has {known}." if known else "It has none yet."
        raise InvalidInput(f"The program has no partnership {key}. {there}", code="unknown_partnership")


def _by_address(session: Session, shop_id: int, address: str) -> ReferralPartner | None:
    this = ReferralPartner.shop_id == shop_id, ReferralPartner.email_index == mails.index(address)
    return session.scalar(sa.select(ReferralPartner).where(*this).with_for_update())


def _locked(session: Session, shop_id: int, partner_id: int) -> ReferralPartner:
    this = ReferralPartner.shop_id == shop_id, ReferralPartner.id == partner_id
    row = session.scalar(sa.select(ReferralPartner).where(*this).with_for_update())
    if row is None:
        raise NotFound(_("there is no such partner"), code="no_partner")
    return row


def _active(session: Session, shop_id: int, partner_id: int) -> ReferralPartner:
    row = _locked(session, shop_id, partner_id)
    if row.ended_at is not None:
        raise Conflict(_("This partnership has ended. Add them again to take it up."), code="partner_ended")
    return row


# Their codes.


def code_of(session: Session, shop_id: int, partner_id: int) -> ReferralCode | None:
    """The code in use of a partner, None once they have left."""
    return session.scalar(_codes(shop_id, partner_id).where(ReferralCode.retired_at.is_(None)))


def _codes(shop_id: int, partner_id: int) -> sa.Select[ReferralCode]:
    return sa.select(ReferralCode).where(ReferralCode.shop_id == shop_id, ReferralCode.partner_id == partner_id)


def all_codes(session: Session, shop_id: int, partner_id: int) -> Sequence[ReferralCode]:
    """Every code they have had, in the order of their keys."""
    return session.scalars(_codes(shop_id, partner_id).order_by(ReferralCode.key)).all()


def _checked(code: str | None) -> str | None:
    return None if code is None else codes.check_vanity(code)


def _give_code(session: Session, row: ReferralPartner, code: str | None) -> None:
    if code is None:
        _make_code(session, row)
        return
    held = session.get(ReferralCode, (row.shop_id, codes.key_of(code)))
    if held is not None and held.partner_id != row.id:
        raise _taken(code)
    if held is None or held.retired_at is not None:
        _retire(session, row)
    if held is not None:
        held.code, held.retired_at = code, None
    elif not _insert(session, row, code, vanity=True):
        raise _taken(code)


def _make_code(session: Session, row: ReferralPartner) -> None:
    digest, tried = crypto.blind_index(f"partner code:{row.shop_id}:{row.id}"), 0
    while not _insert(session, row, codes.make(row.name, digest, tried), vanity=False):
        tried += 1


def _insert(session: Session, row: ReferralPartner, code: str, *, vanity: bool) -> bool:
    values = {
        "shop_id": row.shop_id, "key": codes.key_of(code), "code": code, "partner_id": row.id, "vanity": vanity,
        "created_at": clock.now(),
    }  # fmt: skip
    made = insert(_CODES).values(values).on_conflict_do_nothing().returning(_CODES.c.key)
    return session.scalar(made) is not None


def _taken(code: str) -> Conflict:
    return Conflict(_("%(code)s is somebody else's code already. Please choose another.", code=code), code="code_taken")


def _retire(session: Session, row: ReferralPartner) -> None:
    session.execute(
        sa.update(ReferralCode)
        .where(
            ReferralCode.shop_id == row.shop_id,
            ReferralCode.partner_id == row.id,
            ReferralCode.retired_at.is_(None),
        )
        .values(retired_at=clock.now())
    )


def _changed(session: Session, row: ReferralPartner, kind: str, actor: str) -> None:
    told = {"partner_id": row.id, "partnership": row.partnership}
    record(session, [Happened(row.shop_id, kind, told, clock.now(), actor=actor)])
    effects.request(session, [effects.Wanted(row.shop_id, EFFECT, str(row.id))])


def ask_all(session: Session) -> None:
    """Have the codes of all of the opened shops' partners looked at."""
    rows = session.execute(
        sa.select(ReferralPartner.shop_id, ReferralPartner.id).where(ReferralPartner.ended_at.is_(None))
    )
    effects.request(session, [effects.Wanted(row.shop_id, EFFECT, str(row.id)) for row in rows], patient=True)


# Reading.


def find(session: Session, shop_id: int, partner_id: int) -> ReferralPartner:
    """Raises NotFound (`no_partner`)."""
    row = session.get(ReferralPartner, (shop_id, partner_id))
    if row is None:
        raise NotFound(_("there is no such partner"), code="no_partner")
    return row


def page(session: Session, shop_id: int, *, before: int | None, limit: int) -> Sequence[ReferralPartner]:
    """Partners, newest first, from those with ids below `before`; those who have left too."""
    statement = sa.select(ReferralPartner).where(ReferralPartner.shop_id == shop_id)
    if before is not None:
        statement = statement.where(ReferralPartner.id < before)
    return session.scalars(statement.order_by(ReferralPartner.id.desc()).limit(limit)).all()


def current_codes(session: Session, shop_id: int, partner_ids: Sequence[int]) -> dict[int, ReferralCode]:
    """The codes in use of these partners."""
    rows = session.scalars(
        sa.select(ReferralCode).where(
            ReferralCode.shop_id == shop_id,
            ReferralCode.partner_id.in_(partner_ids),
            ReferralCode.retired_at.is_(None),
        )
    )
    return {row.partner_id: row for row in rows if row.partner_id is not None}


def faults(session: Session, shop_id: int, partner_ids: Sequence[int]) -> dict[int, str]:
    """Why the codes of some of these partners do not stand in Shopify as they should."""
    table = effects.Effect
    rows = session.execute(
        sa.select(table.target, table.error).where(
            table.shop_id == shop_id,
            table.kind == EFFECT,
            table.target.in_([str(partner_id) for partner_id in partner_ids]),
            table.state == "failed",
        )
    )
    return {int(target): error or "Shopify could not be reached for too long" for target, error in rows}
