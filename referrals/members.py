"""Members' codes: made at first asking, changed by whom they belong to, retired. Takes a session and never commits.

Locks come in one order: the member, then their codes.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import clock, crypto
from core.errors import Conflict, NotFound
from core.events import Happened, record
from core.i18n import _, day
from loyalty import programs
from loyalty.models import Member
from loyalty.operations import acting_member
from referrals import codes, links
from referrals.models import ReferralCode
from shops.models import Shop

# How often a member may choose a code of their own.
CHANGES = 3
CHANGES_WITHIN = timedelta(days=365)
_TABLE: Any = ReferralCode.__table__


def ensure_codes(session: Session, shop_id: int, member_ids: Iterable[int]) -> dict[int, ReferralCode]:
    """The code in use of each of a shop's members, made for those who had none.

    Merged, closed and erased members are left out. Asked for at once by many, all get the same.
    """
    wanted = sorted(set(member_ids))
    found, lacking, tried = current_codes(session, shop_id, wanted), _names(session, shop_id, wanted), 0
    while lacking := {member_id: name for member_id, name in lacking.items() if member_id not in found}:
        _insert(session, [_made(shop_id, member_id, name, tried) for member_id, name in lacking.items()])
        found |= current_codes(session, shop_id, list(lacking))
        tried += 1
    return found


def current_codes(session: Session, shop_id: int, member_ids: Sequence[int]) -> dict[int, ReferralCode]:
    """The code in use of those of these members who have one."""
    mine = ReferralCode.shop_id == shop_id, ReferralCode.member_id == sa.any_(sa.literal(list(member_ids), _IDS))
    rows = session.scalars(sa.select(ReferralCode).where(*mine, ReferralCode.retired_at.is_(None)))
    return {row.member_id: row for row in rows if row.member_id is not None}


_IDS = sa.ARRAY(sa.BigInteger)


def _names(session: Session, shop_id: int, member_ids: Sequence[int]) -> dict[int, str | None]:
    """Of those who can bring friends, in the order of their ids, so that two who make codes at once don't deadlock."""
    rows = session.execute(
        sa.select(Member.id, Member.name)
        .where(
            Member.shop_id == shop_id,
            Member.id == sa.any_(sa.literal(list(member_ids), _IDS)),
            Member.merged_into.is_(None),
            Member.closed_at.is_(None),
            Member.erased_at.is_(None),
        )
        .order_by(Member.id)
    )
    return {row.id: row.name for row in rows}


def _made(shop_id: int, member_id: int, name: str | None, tried: int) -> dict[str, Any]:
    code = codes.make(name, crypto.blind_index(f"referral code:{shop_id}:{member_id}"), tried)
    return _row(shop_id, code, member_id=member_id)


def _row(shop_id: int, code: str, **owner: Any) -> dict[str, Any]:
    return {"shop_id": shop_id, "key": codes.key_of(code), "code": code, "created_at": clock.now(), **owner}


def _insert(session: Session, rows: Sequence[dict[str, Any]]) -> int:
    """Those that nobody has yet. Returns how many that were."""
    made = session.execute(insert(_TABLE).values(rows).on_conflict_do_nothing().returning(_TABLE.c.key))
    return len(made.all())


def choose(session: Session, shop_id: int, member_id: int, text: str, actor: str) -> ReferralCode:
    """Give a member the code they chose. The one they had is retired, and leads to them for the program's window.

    Choosing what they have changes nothing; what they had once they can have again. Whether it is one of the shop's own
    discount codes is not asked here: see `referrals.vanity`. Raises as `may_choose` does.
    """
    code = codes.check_vanity(text)
    member, held = _asked(session, shop_id, member_id, code)
    if held is not None and not _is_new(held, code):
        return held
    was = _retire_current(session, member, besides=held)
    row = _add(session, member, code) if held is None else _take_up(session, held, code)
    _tell(session, member, "referral.code_chosen", actor, was=was)
    return row


def may_choose(session: Session, shop_id: int, member_id: int, text: str) -> bool:
    """Whether a member would have another code by choosing this one; False when they have it.

    Raises InvalidInput (`bad_code`, `reserved_code`), NotFound (`no_member`) and Conflict: `code_taken`,
    `code_changes` (with `again_at`), `referrals_off`, `member_merged`.
    """
    code = codes.check_vanity(text)
    _, held = _asked(session, shop_id, member_id, code)
    return held is None or _is_new(held, code)


def _is_new(held: ReferralCode, code: str) -> bool:
    return held.retired_at is not None or held.code != code


def _asked(session: Session, shop_id: int, member_id: int, code: str) -> tuple[Member, ReferralCode | None]:
    """The member, locked, and the code they ask for if it was theirs before."""
    require_referrals(session, shop_id)
    member = acting_member(session, shop_id, member_id)
    held = session.get(ReferralCode, (shop_id, codes.key_of(code)), populate_existing=True)
    if held is None:
        _check_changes(session, shop_id, member.id)
    elif held.member_id != member.id:
        raise _taken(code)
    return member, held


def _taken(code: str) -> Conflict:
    text = _("%(code)s is somebody else's code already. Please choose another.", code=code)
    return Conflict(text, code="code_taken")


def _check_changes(session: Session, shop_id: int, member_id: int) -> None:
    """Whoever changes their code all the time hides where they spread it, and takes all the good ones."""
    since = clock.now() - CHANGES_WITHIN
    chosen = session.scalars(
        sa.select(ReferralCode.created_at)
        .where(
            ReferralCode.shop_id == shop_id,
            ReferralCode.member_id == member_id,
            ReferralCode.vanity,
            ReferralCode.created_at > since,
        )
        .order_by(ReferralCode.created_at)
    ).all()
    if len(chosen) < CHANGES:
        return
    again = chosen[-CHANGES] + CHANGES_WITHIN
    zone = programs.load(session, [shop_id]).in_force(shop_id, clock.now()).program.zone
    text = _(
        "You've chosen a new code %(times)s times in a year. You can choose another from %(day)s.",
        times=CHANGES, day=day(again, zone),
    )  # fmt: skip
    raise Conflict(text, code="code_changes", again_at=again.isoformat())


def _retire_current(session: Session, member: Member, besides: ReferralCode | None = None) -> str | None:
    """The key of the code that was retired, if any was."""
    current = current_codes(session, member.shop_id, [member.id]).get(member.id)
    if current is None or current is besides:
        return None
    current.retired_at = clock.now()
    session.flush()
    return current.key


def _add(session: Session, member: Member, code: str) -> ReferralCode:
    row = _row(member.shop_id, code, member_id=member.id, vanity=True)
    if not _insert(session, [row]):
        raise _taken(code)
    return session.get_one(ReferralCode, (member.shop_id, row["key"]))


def _take_up(session: Session, row: ReferralCode, code: str) -> ReferralCode:
    row.code, row.retired_at = code, None
    session.flush()
    return row


def retire(session: Session, shop_id: int, member_id: int, *, actor: str) -> ReferralCode:
    """End the code of a member, say because a site for coupons spread it, and give them a new one.

    Raises NotFound (`no_member`) and Conflict (`member_merged`, `referrals_off`).
    """
    require_referrals(session, shop_id)
    member = acting_member(session, shop_id, member_id)
    was = _retire_current(session, member)
    _tell(session, member, "referral.code_retired", actor, was=was)
    return _one(ensure_codes(session, shop_id, [member.id]).get(member.id))


def code_of(session: Session, shop_id: int, member_id: int) -> ReferralCode:
    """The code of one member, made if need be. Raises NotFound for who can bring nobody (closed, merged, erased)."""
    return _one(ensure_codes(session, shop_id, [member_id]).get(member_id))


def _one(row: ReferralCode | None) -> ReferralCode:
    if row is None:
        raise NotFound(_("there is no such member"), code="no_member")
    return row


def _tell(session: Session, member: Member, kind: str, actor: str, *, was: str | None) -> None:
    """Codes hold first names, so events only say that there was one."""
    told = {"had_one": was is not None}
    record(session, [Happened(member.shop_id, kind, told, clock.now(), member.id, actor=actor)])


def require_referrals(session: Session, shop_id: int) -> programs.Version:
    """The version in force. Raises Conflict (`referrals_off`) while its members can't bring friends."""
    version = programs.load(session, [shop_id]).in_force(shop_id, clock.now())
    if not version.program.referral.enabled:
        raise Conflict(_("Bringing friends is not on offer here at the moment."), code="referrals_off")
    return version


def link(shop: Shop, code: ReferralCode) -> str:
    """Where a friend goes."""
    return f"{links.home(shop)}/r/{code.code}"


# From what somebody typed, or a link said, to a code.


def find(session: Session, shop_id: int, text: str, *, now: datetime | None = None) -> ReferralCode:
    """The code that was meant: in use, or retired so lately that it still leads to whose it was.

    Raises NotFound (`unknown_code`, with `suggestion` where one slip explains it; `code_retired`).
    """
    key = codes.key_of(text)
    row = session.get(ReferralCode, (shop_id, key)) if key else None
    if row is None:
        raise _unknown(session, shop_id, key)
    if row.retired_at is not None and row.retired_at + _window(session, shop_id) <= (now or clock.now()):
        text = _("This code isn't used any more. Please ask your friend for their new link.")
        raise NotFound(text, code="code_retired")
    return row


def _unknown(session: Session, shop_id: int, key: str) -> NotFound:
    meant = _meant(session, shop_id, codes.neighbours(key))
    if meant is None:
        return NotFound(_("We don't know this code. Please check it with your friend."), code="unknown_code")
    text = _("We don't know this code. Did you mean %(code)s?", code=meant)
    return NotFound(text, code="unknown_code", suggestion=meant)


def _meant(session: Session, shop_id: int, keys: Collection[str]) -> str | None:
    """The one code in use among these keys, as it is shown. Of several nobody can say which was meant."""
    if not keys:
        return None
    wanted = sa.any_(sa.literal(sorted(keys), sa.ARRAY(sa.Text)))
    shown = sa.select(ReferralCode.code).where(
        ReferralCode.shop_id == shop_id, ReferralCode.key == wanted, ReferralCode.retired_at.is_(None)
    )
    found = session.scalars(shown.limit(2)).all()
    return found[0] if len(found) == 1 else None


def _window(session: Session, shop_id: int) -> timedelta:
    terms = programs.load(session, [shop_id]).in_force(shop_id, clock.now()).program.referral
    return timedelta(days=terms.window_days)
