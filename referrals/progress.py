"""What came of a member's code, for the page on which they pass it on: how many looked, claimed and ordered, in words.

Friends stay nameless: who bought what is nobody else's business.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.i18n import NN_, _, day, ngettext
from loyalty import programs
from loyalty.models import Member
from loyalty.program import Benefit
from loyalty.program import Referral as Terms
from loyalty.programs import Version
from referrals import sharing, visits
from referrals.models import Referral, ReferralClaim, ReferralCode, ReferralReward
from shops.models import Shop

# Days told one by one; what comes later is told together.
MOST_DAYS = 5


class Progress(NamedTuple):
    """How many looks and claims the member's codes had, and a sentence for each thing that came of their friends."""

    clicks: int
    claims: int
    ordered: int
    lines: tuple[str, ...]


class Holding(NamedTuple):
    """So many friends' orders whose rewards come on a day of the shop, by a version of the program."""

    day: date
    version: int
    friends: int


def progress(session: Session, shop: Shop, member: Member, version: Version) -> Progress:
    """Of a member of an open shop; `version` is the one in force."""
    mine = ReferralCode.shop_id == shop.id, ReferralCode.member_id == member.id
    keys = session.scalars(sa.select(ReferralCode.key).where(*mine)).all()
    states = _states(session, member)
    claims = sa.select(sa.func.count()).where(ReferralClaim.shop_id == shop.id, ReferralClaim.code_key.in_(keys))
    lines = [
        *_held(session, shop, member, version),
        *told(states, _given(session, member), version.program.referral, shop.name),
    ]
    looked = visits.counts(session, shop.id, keys).clicks
    return Progress(looked, session.scalar(claims) or 0, sum(states.values()), tuple(lines))


def _states(session: Session, member: Member) -> dict[str, int]:
    theirs = sa.select(Referral.state, sa.func.count()).where(
        Referral.shop_id == member.shop_id, Referral.referrer_member_id == member.id
    )
    return dict(session.execute(theirs.group_by(Referral.state)).all())  # type: ignore[arg-type]


def _given(session: Session, member: Member) -> int:
    """For how many friends they hold a reward."""
    held = sa.select(sa.func.count()).where(
        ReferralReward.shop_id == member.shop_id, ReferralReward.member_id == member.id,
        ReferralReward.side == "referrer", ReferralReward.state.in_(("given", "kept")),
    )  # fmt: skip
    return session.scalar(held) or 0


def _held(session: Session, shop: Shop, member: Member, version: Version) -> list[str]:
    """What is on its way, the soonest first."""
    day = sa.cast(sa.func.timezone(version.program.timezone, Referral.due_at), sa.Date)
    rows = session.execute(
        sa.select(day, Referral.program_version, sa.func.count())
        .where(
            Referral.shop_id == shop.id, Referral.referrer_member_id == member.id, Referral.state == "holding",
            Referral.due_at.is_not(None),
        )
        .group_by(day, Referral.program_version)
        .order_by(day, Referral.program_version)
        .limit(MOST_DAYS)
    )  # fmt: skip
    published = programs.load(session, [shop.id])
    return [_coming(Holding(*row), published, member, shop.currency) for row in rows]


def _coming(held: Holding, published: programs.Programs, member: Member, currency: str) -> str:
    terms = published.numbered(member.shop_id, held.version).program.referral
    return arrives(held, terms.for_referrer(member.tier_key), currency)


def arrives(held: Holding, benefit: Benefit, currency: str) -> str:
    """ "1 friend ordered; your $10 off arrives on 3 December." """
    ordered = ngettext("%(num)s friend ordered", "%(num)s friends ordered", held.friends)
    many, said = benefit.points or 1, {"yours": sharing.yours(benefit, currency), "day": day(held.day, year=False)}
    if held.friends > 1:
        what = ngettext("%(yours)s for each arrives on %(day)s", "%(yours)s for each arrive on %(day)s", many, **said)
    else:
        what = ngettext("%(yours)s arrives on %(day)s", "%(yours)s arrive on %(day)s", many, **said)
    return _("%(ordered)s; %(what)s.", ordered=ordered, what=what)


def told(states: Mapping[str, int], given: int, terms: Terms, shop: str) -> Sequence[str]:
    """A sentence for each state that any friend's order is in, but for what is held. `given` counts rewards."""
    came = min(given, states.get("rewarded", 0))
    counts = dict(states) | {"came": came, "beyond": states.get("rewarded", 0) - came}
    if terms.holding_days:
        counts["waiting_days"] = counts.pop("waiting", 0)
    said = {"shop": shop, "days": ngettext("%(num)s day", "%(num)s days", terms.holding_days)}
    return [ngettext(*words, counts[state], **said) for state, words in _TOLD.items() if counts.get(state, 0) > 0]


_TOLD = {
    "waiting": NN_(
        "%(num)s friend ordered. Your reward comes once that is paid.",
        "%(num)s friends ordered. Your reward comes once that is paid.",
    ),
    "waiting_days": NN_(
        "%(num)s friend ordered. Your reward comes once that is paid and %(days)s have passed.",
        "%(num)s friends ordered. Your reward comes once that is paid and %(days)s have passed.",
    ),
    "review": NN_(
        "%(num)s friend ordered. %(shop)s has a look at it first, which can take a few days.",
        "%(num)s friends ordered. %(shop)s has a look at it first, which can take a few days.",
    ),
    "came": NN_(
        "%(num)s friend ordered, and your reward came.",
        "%(num)s friends ordered, and your reward came each time.",
    ),
    "beyond": NN_(
        "%(num)s friend ordered beyond what brings a reward. Thank you all the same.",
        "%(num)s friends ordered beyond what brings a reward. Thank you all the same.",
    ),
    "void": NN_(
        "%(num)s friend cancelled or returned the order before your reward came.",
        "%(num)s friends cancelled or returned the order before your reward came.",
    ),
    "reversed": NN_(
        "%(num)s friend returned the order, so your reward went back.",
        "%(num)s friends returned the order, so your reward went back.",
    ),
    "blocked": NN_(
        "%(num)s friend ordered, which doesn't count. Ask %(shop)s if that surprises you.",
        "%(num)s friends ordered, which doesn't count. Ask %(shop)s if that surprises you.",
    ),
}
