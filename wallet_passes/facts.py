"""What is known of the members behind passes, read for their cards: of many in a handful of statements."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, aliased

from core import crypto, i18n
from loyalty import programs, queries
from loyalty.expiry import queries as expiry
from loyalty.expiry.queries import Holder
from loyalty.expiry.rules import AHEAD
from loyalty.models import Member, Posting
from loyalty.programs import Programs, Version
from loyalty.rewards.models import MemberReward
from loyalty.rewards.queries import offers_of_many
from loyalty.wording import sentence
from referrals.members import ensure_codes, link
from referrals.models import ReferralCode
from shops.models import Shop
from shops.storefronts import rewards
from tiers.queries import Standing, standings
from wallet_passes import barcode, content, languages
from wallet_passes.content import Card, Expiring, Facts, Latest, NextTier, Offer, Waiting
from wallet_passes.messages.queries import latest_message
from wallet_passes.models import Pass

_CODES = "barcode"

Key = tuple[int, int]  # shop, member


def keys() -> tuple[bytes, ...]:
    """What barcodes are signed with."""
    return crypto.keyring(_CODES)


def _ids(name: str) -> Any:
    return sa.bindparam(name, type_=ARRAY(sa.BigInteger))


# Members to be joined, given by `asked`. Statements are made once: making one costs more than the database asks.
_unnested: Any = sa.func.unnest(_ids("shops"), _ids("members"))
THESE: Any = _unnested.table_valued("shop_id", "member_id", name="these").render_derived()


def asked(wanted: Collection[Key]) -> dict[str, list[int]]:
    """The parameters of a statement that joins THESE."""
    return {"shops": [shop_id for shop_id, _ in wanted], "members": [member_id for _, member_id in wanted]}


_MEMBERS = sa.select(Member).join(THESE, (Member.shop_id == THESE.c.shop_id) & (Member.id == THESE.c.member_id))


def members_of(session: Session, wanted: Collection[Key]) -> dict[Key, Member]:
    """These members as they are now."""
    found = session.scalars(_MEMBERS, asked(wanted), execution_options={"populate_existing": True})
    return {(member.shop_id, member.id): member for member in found}


def cards(
    session: Session, rows: Sequence[Pass], members: Mapping[Key, Member], shops: Mapping[int, Shop], now: datetime
) -> list[Card]:
    """The cards of these passes as they are now, in their order. Their `generation` must be current."""
    known = _facts_of_many(session, [members[_key(row)] for row in rows], shops, now)
    return [_card(row, known[_key(row)]) for row in rows]


def _card(row: Pass, facts: Facts) -> Card:
    code = barcode.write(keys(), row.shop_id, row.handle, row.generation)
    return content.card(facts, code, barcode.grouped(code), languages.chosen(row.language))


def _key(row: Pass) -> Key:
    return row.shop_id, row.member_id


def is_over(member: Member, shop: Shop) -> bool:
    """Whether a member's card is of no use any more."""
    return bool(member.merged_into or member.closed_at or member.erased_at or shop.uninstalled_at)


def _facts_of_many(
    session: Session, members: Sequence[Member], shops: Mapping[int, Shop], now: datetime
) -> dict[Key, Facts]:
    published = programs.load(session, shops)
    found, living = {}, defaultdict[int, list[Member]](list)
    for member in members:
        shop = shops[member.shop_id]
        if is_over(member, shop):
            name = published.in_force(shop.id, now).program.name
            found[member.shop_id, member.id] = Facts(shop.name, name, None, 0, "", None, (), shop.currency, ended=True)
        else:
            living[shop.id].append(member)
    if living:
        known = _Known(session, [member for here in living.values() for member in here], published, now)
        for shop_id, here in living.items():
            found |= known.of_shop(shops[shop_id], here)
    return found


class _Known:
    """What is read of many members of several shops at once."""

    def __init__(self, session: Session, members: Sequence[Member], published: Programs, now: datetime) -> None:
        self.session, self.published, self.now = session, published, now
        wanted = [(member.shop_id, member.id) for member in members]
        self.latest = _latest(session, wanted)
        self.waiting = _waiting(session, wanted)
        self.expiring = _expiring(session, members, published, now)
        self.messages = latest_message(session, wanted, now)

    def of_shop(self, shop: Shop, members: Sequence[Member]) -> dict[Key, Facts]:
        """The facts of one shop's members."""
        version = self.published.in_force(shop.id, self.now)
        standing = standings(self.session, members, version, self.now)
        offers = offers_of_many(self.session, members, version)
        codes = ensure_codes(self.session, shop.id, list(standing)) if version.program.referral.enabled else {}
        return {
            (shop.id, member.id): self._facts(
                member, shop, version, standing[member.id], _within_reach(offers[member.id]), codes.get(member.id)
            )
            for member in members
        }

    def _facts(
        self,
        member: Member,
        shop: Shop,
        version: Version,
        standing: Standing,
        offers: tuple[Offer, ...],
        code: ReferralCode | None,
    ) -> Facts:
        key, ahead = (member.shop_id, member.id), standing.next
        latest, message = self.latest.get(key), self.messages.get(key)
        return Facts(
            shop=shop.name,
            program=version.program.name,
            member=member.name,
            points=member.available,
            pending=member.pending,
            tier=standing.name,
            look=standing.key,
            next_tier=NextTier(ahead.name, standing.metric, ahead.remaining) if ahead else None,
            offers=offers,
            currency=shop.currency,
            latest=self._told(latest) if latest else None,
            last=_last(latest) if latest else None,
            waiting=self.waiting.get(key, ()),
            expiring=self.expiring.get(key),
            message=message.body if message else None,
            message_title=message.title if message else None,
            message_link=message.link if message else None,
            message_quiet=bool(message and message.quiet),
            website=shop.public_url,
            referral_code=code.code if code else None,
            referral_url=link(shop, code) if code else None,
            portal_url=rewards(shop),
            changed_at=max(latest.recorded_at if latest else member.joined_at, standing.since),
            zone=shop.timezone,
        )

    def _told(self, latest: Posting) -> str:
        """Why points last came or went, in English."""
        number = latest.program_version
        program = self.published.numbered(latest.shop_id, number).program if number else None
        with i18n.speaking(i18n.ENGLISH):
            return sentence(latest, queries.tier_names(program) if program else {})


def _within_reach(offers: Iterable[Any]) -> tuple[Offer, ...]:
    """What the member can have now, or could with more points."""
    return tuple(
        Offer(offer.reward.name, offer.reward.cost)
        for offer in offers
        if offer.refused is None or offer.refused.code == "points_short"
    )


def _last(posting: Posting) -> Latest:
    points = posting.points if posting.target == "available" else -posting.points
    return Latest(posting.kind, points, posting.explanation.get("order"))


_newest = (
    sa.select(Posting)
    .where(Posting.shop_id == THESE.c.shop_id, Posting.member_id == THESE.c.member_id)
    .order_by(Posting.id.desc())
    .limit(1)
    # Said, for SQLAlchemy guesses wrong now and then while two threads are the first to ask.
    .correlate(THESE)
    .lateral()
)
# A subquery indexes its columns when it is first asked for one: of two threads that ask at once, one would see the
# index half made, miss columns, and keep it so. Asked here, before there are any threads.
_newest.corresponding_column(Posting.__table__.c.id)
_LATEST = sa.select(aliased(Posting, _newest)).select_from(THESE).join(_newest, sa.true())


def _latest(session: Session, wanted: Collection[Key]) -> dict[Key, Posting]:
    """Each member's latest posting."""
    return {(one.shop_id, one.member_id): one for one in session.scalars(_LATEST, asked(wanted))}


_WAITING = (
    sa.select(
        MemberReward.shop_id,
        MemberReward.member_id,
        MemberReward.terms["name"].astext,
        MemberReward.code,
        MemberReward.expires_at,
    )
    .join(THESE, (MemberReward.shop_id == THESE.c.shop_id) & (MemberReward.member_id == THESE.c.member_id))
    .where(MemberReward.status == "issued")
    .order_by(MemberReward.id)
)


def _waiting(session: Session, wanted: Collection[Key]) -> dict[Key, tuple[Waiting, ...]]:
    """Rewards that were redeemed and not used yet, the oldest first."""
    found: dict[Key, tuple[Waiting, ...]] = {}
    for shop_id, member_id, *waiting in session.execute(_WAITING, asked(wanted)):
        found[shop_id, member_id] = (*found.get((shop_id, member_id), ()), Waiting(*waiting))
    return found


def _expiring(
    session: Session, members: Sequence[Member], published: Programs, now: datetime
) -> dict[Key, Expiring | None]:
    """The points that expire next, from the first reminder on: `points.expiring` has the card look at them then."""
    holders = [Holder((m.shop_id, m.id), m.available, m.last_active_at or m.joined_at) for m in members]
    policies = {m.shop_id: expiry.policy(published, m.shop_id, now) for m in members}
    ahead = expiry.near(session, holders, policies, now)
    soonest = {key: found.near[0] for key, found in ahead.items() if found.near}
    return {key: Expiring(due.points, due.at) for key, due in soonest.items() if due.at - AHEAD[0] <= now}


_REDEMPTIONS = (
    sa.select(Posting.shop_id, Posting.member_id, sa.func.count())
    .join(THESE, (Posting.shop_id == THESE.c.shop_id) & (Posting.member_id == THESE.c.member_id))
    .where(Posting.kind == "redeem")
    .group_by(Posting.shop_id, Posting.member_id)
)


def generations(session: Session, rows: Collection[Pass]) -> dict[str, int]:
    """The generation that each card's code is of now, by serial: what it carried along and each redemption since."""
    redeemed = {
        (shop, member): times for shop, member, times in session.execute(_REDEMPTIONS, asked([*map(_key, rows)]))
    }
    return {row.serial: max(row.generation, row.carried + redeemed.get(_key(row), 0)) for row in rows}
