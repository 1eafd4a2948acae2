"""What came of a member's code, for the page on which they pass it on: how many looked, claimed and ordered, in words.

Friends stay nameless: who bought what is nobody else's business.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

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
    what = brings(benefit, currency)
    verb = "arrive" if benefit.kind == "points" and benefit.points != 1 else "arrives"
    each = " for each" if held.friends > 1 else ""
    return f"{friends(held.friends)} ordered; {what}{each} {verb} on {held.day.day} {held.day:%B}."


def brings(benefit: Benefit, currency: str) -> str:
    """ "your $10 off"; what has no fixed worth is "your commission"."""
    if benefit.kind == "commission" and benefit.percentage:
        return "your commission"
    return f"your {sharing.worth(benefit, currency) or 'thank-you'}"


def told(states: Mapping[str, int], given: int, terms: Terms, shop: str) -> Sequence[str]:
    """A sentence for each state that any friend's order is in, but for what is held. `given` counts rewards."""
    came, rewarded = min(given, states.get("rewarded", 0)), states.get("rewarded", 0)
    wait = f" and {days(terms.holding_days)} have passed" if terms.holding_days else ""
    said = {
        "waiting": (states.get("waiting", 0), f"ordered. Your reward comes once that is paid{wait}."),
        "review": (states.get("review", 0), f"ordered. {shop} has a look at it first, which can take a few days."),
        "came": (came, "ordered, and your reward came." if came == 1 else "ordered, and your reward came each time."),
        "beyond": (rewarded - came, "ordered beyond what brings a reward. Thank you all the same."),
        "void": (states.get("void", 0), "cancelled or returned the order before your reward came."),
        "reversed": (states.get("reversed", 0), "returned the order, so your reward went back."),
        "blocked": (states.get("blocked", 0), f"ordered, which doesn't count. Ask {shop} if that surprises you."),
    }
    return [f"{friends(number)} {text}" for number, text in said.values() if number > 0]


def friends(number: int) -> str:
    return f"{number:,} {'friend' if number == 1 else 'friends'}"


def days(number: int) -> str:
    return f"{number:,} {'day' if number == 1 else 'days'}"
