"""Bringing friends over the API: members' codes, friends' claims, and partners."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.orm import Session

from core import clock, crypto
from core.db import database
from loyalty import programs
from loyalty import queries as loyalty
from loyalty.models import Member
from loyalty.program.referring import BenefitKind
from loyalty.programs import Version
from referrals import invitations, members, offers, partners, sharing, vanity, visits
from referrals.claims import operations as claims
from referrals.claims import rules as claim_rules
from referrals.fraud import network
from referrals.models import CLAIM_STATES, Referral, ReferralClaim, ReferralCode, ReferralPartner
from shops.models import Shop
from web.api import paging, shapes
from web.api.endpoint import Call, Later, Operation, endpoint
from web.api.shapes import Asked, Cursor, Id, PageQuery, Shape

Code = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$", examples=["ANNA10"])]
Email = Annotated[str, Field(min_length=1, max_length=320, pattern=r"^[^\x00]*$", examples=["sam@example.com"])]
PartnerName = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]
Gift = Annotated[str, Field(description="In words; empty for nothing.", examples=["$10 off your first order"])]


class Invitation(Shape):
    """The same invitation for each way to send it. All but `message`, `subject` and `body` are links to open."""

    message: str
    subject: str
    body: str
    email: str
    whatsapp: str
    sms: str
    x: str
    facebook: str


class Reach(Shape):
    """What came of all codes the member had."""

    shared: int
    clicked: int
    claimed: Annotated[int, Field(description="Friends who left their e-mail address.")]
    ordered: Annotated[int, Field(description="Friends with an order that led to a referral, whatever became of it.")]
    rewarded: Annotated[int, Field(description="Referrals that brought the member their side.")]


class MemberCode(Shape):
    """A member's own code and all they need to pass it on."""

    code: str
    url: Annotated[str, Field(description="Where friends go.")]
    chosen: Annotated[bool, Field(description="Whether they chose it; false for one that was made for them.")]
    friend: Annotated[str, Field(description="What a friend gets, in words; empty for nothing.")]
    referrer: Annotated[str, Field(description="What they get for each friend, in words; empty for nothing.")]
    share: Invitation
    counts: Reach


class ChosenCode(Asked):
    code: Code


class NewClaim(Asked):
    """What a friend said. `consent` is that they agree to their address being kept for this."""

    code: Annotated[Code, Field(description="Of the member or partner who invited them, in any spelling.")]
    email: Email
    consent: Literal[True]
    wants_news: Annotated[bool, Field(strict=True, description="Whether they also asked for news.")] = False
    ip: Annotated[
        str | None,
        Field(max_length=45, description="Where they come from, as your server sees it; kept as a keyed hash only."),
    ] = None


class FriendClaim(Shape):
    """A friend who was invited and left an address, and what they get. The address itself is not repeated."""

    id: Id
    state: Annotated[str, Field(json_schema_extra={"enum": list(CLAIM_STATES)})]
    text: Annotated[str, Field(description="What the state means, for the friend.")]
    discount: Annotated[
        str | None,
        Field(description="The code for the checkout: known at once, good once `made`; null for what is no discount."),
    ]
    gift: Gift
    kind: BenefitKind
    minimum_order: Annotated[int, Field(description="What the first order must be worth, in minor units.")]
    currency: str
    member_id: Annotated[Id | None, Field(description="Who invited them; null for a partner.")]
    partner_id: Id | None
    wants_news: bool
    claimed_at: datetime
    expires_at: datetime
    error: Annotated[str | None, Field(description="Why it failed; for the merchant.")]


class NewPartner(Asked):
    """Somebody who brings customers under a partnership of the program."""

    partnership: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[^\x00]*$", examples=["creators"])]
    name: PartnerName
    email: Email
    code: Annotated[
        Code | None, Field(description="Their code of choice; without one they keep theirs, or get one.")
    ] = None


class Partner(Shape):
    id: Id
    partnership: Annotated[str, Field(description="Its key in the program.")]
    name: str
    email: str
    code: Annotated[str | None, Field(description="Good at the checkout and in their link; null once they have left.")]
    url: str | None
    ready: Annotated[bool, Field(description="Whether Shopify has the code as a discount.")]
    error: Annotated[str | None, Field(description="Why Shopify does not have it, if that won't change by itself.")]
    friend: Gift
    added_at: datetime
    ended_at: datetime | None


class PartnerPage(Shape):
    items: list[Partner]
    next: Cursor | None


# Members' codes.


@endpoint("GET", "/members/<id:member_id>/referral", problems=(404, 409))
def read_member_code(call: Call, member_id: int) -> MemberCode:
    """A member's code, link and invitation; the code is made when it is first asked for.

    Refused with 409 `referrals_off` while the program lets nobody bring friends.
    """
    return _member_code(call.session, call.shop_id, member_id)


@endpoint("PUT", "/members/<id:member_id>/referral", problems=(400, 404, 409, 413, 415, 422))
def choose_member_code(call: Call, member_id: int, body: ChosenCode) -> Later[MemberCode]:
    """Give a member a code of their own choice.

    Three new ones a year. The old one is nobody else's, and leads to them for the program's window. Refused with 422
    `bad_code` or `reserved_code`, and with 409 `code_taken`, `code_changes` (with `again_at`), `referrals_off`,
    `shop_not_connected`.
    """
    shop_id, survivor, actor = call.shop_id, loyalty.member(call.session, call.shop_id, member_id).id, call.actor

    def choose() -> MemberCode:
        vanity.change(database(), shop_id, survivor, body.code, actor=actor)
        with database().transaction(shop_id) as session:
            return _member_code(session, shop_id, survivor)

    return Later(choose)


@endpoint("DELETE", "/members/<id:member_id>/referral", problems=(404, 409))
def retire_member_code(call: Call, member_id: int) -> MemberCode:
    """End a member's code, for one that has spread where it should not, and give them another."""
    survivor = loyalty.member(call.session, call.shop_id, member_id)
    members.retire(call.session, call.shop_id, survivor.id, actor=call.actor)
    return _member_code(call.session, call.shop_id, survivor.id)


def _member_code(session: Session, shop_id: int, member_id: int) -> MemberCode:
    member = loyalty.member(session, shop_id, member_id)
    version, shop = members.require_referrals(session, shop_id), session.get_one(Shop, shop_id)
    code = members.code_of(session, shop_id, member.id)
    offer, url = offers.of_members(version, shop.currency), members.link(shop, code)
    return MemberCode(
        code=code.code,
        url=url,
        chosen=code.vanity,
        friend=offer.gift,
        referrer=sharing.worth(version.program.referral.for_referrer(member.tier_key), shop.currency),
        share=Invitation(**invitations.share(shop.name, url, offer.gift)._asdict()),
        counts=_reach(session, member),
    )


def _reach(session: Session, member: Member) -> Reach:
    shop_id = member.shop_id
    codes = sa.select(ReferralCode.key).where(ReferralCode.shop_id == shop_id, ReferralCode.member_id == member.id)
    keys = session.scalars(codes).all()
    looked = visits.counts(session, shop_id, keys)
    friends = sa.select(sa.func.count(ReferralClaim.email_index.distinct())).where(
        ReferralClaim.shop_id == shop_id, ReferralClaim.code_key.in_(keys)
    )
    ordered, rewarded = session.execute(
        sa.select(sa.func.count(), sa.func.count().filter(Referral.state == "rewarded")).where(
            Referral.shop_id == shop_id, Referral.referrer_member_id == member.id
        )
    ).one()
    claimed = session.scalar(friends) or 0
    return Reach(shared=looked.shares, clicked=looked.clicks, claimed=claimed, ordered=ordered, rewarded=rewarded)


def referral_of(session: Session, shop_id: int, rows: Sequence[Member]) -> dict[int, shapes.Referral]:
    """The code and link of those of a shop's members who can bring friends; nobody's while the program has it off."""
    published = programs.load(session, [shop_id])
    if not published.of(shop_id) or not published.in_force(shop_id, clock.now()).program.referral.enabled:
        return {}
    shop, made = session.get_one(Shop, shop_id), members.ensure_codes(session, shop_id, [row.id for row in rows])
    return {key: shapes.Referral(code=row.code, url=members.link(shop, row)) for key, row in made.items()}


# Friends' claims.


@endpoint("POST", "/referrals/claims", status=201, problems=(400, 404, 409, 413, 415, 422, 429))
def claim_referral(call: Call, body: NewClaim) -> FriendClaim:
    """Keep that a friend came by somebody's code, and make them a code for one use.

    `discount` is known at once and good as soon as `state` is `made`, which takes seconds. The same address by the same
    person gets the same claim; by another person, the last one counts. Refused with 404 `unknown_code` (with
    `suggestion` where a slip explains it) or `code_retired`; with 409 `existing_customer`, `own_code`, `referrals_off`;
    with 422 `bad_email`; with 429 `too_many_claims` after too many from one `ip` or of one code.
    """
    row = claims.claim(
        call.session, call.shop_id, body.code, body.email, consent=claim_rules.CONSENT, wants_news=body.wants_news,
        visitor="", network=network.index(body.ip), actor=call.actor,
    )  # fmt: skip
    return _claim(call, row)


@endpoint("GET", "/referrals/claims/<id:claim_id>", problems=(404,))
def read_claim(call: Call, claim_id: int) -> FriendClaim:
    """A claim as it is now."""
    return _claim(call, claims.find(call.session, call.shop_id, claim_id))


def _claim(call: Call, row: ReferralClaim) -> FriendClaim:
    benefit, currency = claims.benefit_of(row), offers.currency_of(call.session, call.shop_id)
    zone = programs.load(call.session, [call.shop_id]).numbered(call.shop_id, row.program_version).program.zone
    discount, gift = row.discount if claims.has_discount(row) else None, sharing.gift(benefit, currency)
    code = call.session.get(ReferralCode, (call.shop_id, row.code_key))
    return FriendClaim(
        id=str(row.id),
        state=row.state,
        text=claim_rules.state_text(row.state, row.error, discount, gift, row.expires_at, zone),
        discount=discount,
        gift=gift,
        kind=benefit.kind,
        minimum_order=benefit.minimum_order,
        currency=currency,
        member_id=_id(code.member_id if code else None),
        partner_id=_id(code.partner_id if code else None),
        wants_news=row.wants_news,
        claimed_at=row.at,
        expires_at=row.expires_at,
        error=row.error,
    )


def _id(number: int | None) -> str | None:
    return None if number is None else str(number)


# Partners.


@endpoint("GET", "/referrals/partners", problems=(400, 422))
def list_partners(call: Call, query: PageQuery) -> PartnerPage:
    """Partners, newest first, those who have left among them."""
    before = paging.position(call.listing, query.cursor)
    found = partners.page(call.session, call.shop_id, before=before, limit=query.limit + 1)
    rows, following = paging.cut(call.listing, found, query.limit, lambda row: row.id)
    return PartnerPage(items=_partners(call, rows), next=following)


@endpoint("POST", "/referrals/partners", status=201, problems=(400, 404, 409, 413, 415, 422))
def add_partner(call: Call, body: NewPartner) -> Partner:
    """Take in somebody who brings customers, or take back who was a partner before.

    Their code becomes a discount in Shopify within seconds: for as many friends as like, each once. Refused with 422
    `unknown_partnership`, `bad_email`, `bad_code`, `reserved_code`, and with 409 `partner_exists`, `code_taken`,
    `referrals_off`.
    """
    row = partners.add(call.session, call.shop_id, **body.model_dump(), actor=call.actor)
    return _partners(call, [row])[0]


@endpoint("GET", "/referrals/partners/<id:partner_id>", problems=(404,))
def read_partner(call: Call, partner_id: int) -> Partner:
    """One partner."""
    return _partners(call, [partners.find(call.session, call.shop_id, partner_id)])[0]


@endpoint("PUT", "/referrals/partners/<id:partner_id>", problems=(400, 404, 409, 413, 415, 422))
def change_partner(call: Call, partner_id: int, body: NewPartner) -> Partner:
    """Change what is known of a partner. With another `code`, the old one ends in Shopify.

    Refused as adding one is, and with 409 `partner_ended` for one who has left.
    """
    row = partners.change(call.session, call.shop_id, partner_id, **body.model_dump(), actor=call.actor)
    return _partners(call, [row])[0]


@endpoint("DELETE", "/referrals/partners/<id:partner_id>", problems=(404,))
def end_partner(call: Call, partner_id: int) -> Partner:
    """Part with a partner: their codes end. What they earned stays theirs."""
    row = partners.end(call.session, call.shop_id, partner_id, actor=call.actor)
    return _partners(call, [row])[0]


def _partners(call: Call, rows: Sequence[ReferralPartner]) -> list[Partner]:
    if not rows:
        return []
    ids, shop = [row.id for row in rows], call.session.get_one(Shop, call.shop_id)
    codes = partners.current_codes(call.session, call.shop_id, ids)
    faults = partners.faults(call.session, call.shop_id, ids)
    published = programs.load(call.session, [call.shop_id])
    version = published.in_force(call.shop_id, clock.now())
    return [_partner(row, shop, version, codes.get(row.id), faults.get(row.id)) for row in rows]


def _partner(
    row: ReferralPartner, shop: Shop, version: Version, code: ReferralCode | None, fault: str | None
) -> Partner:
    terms = version.program.referral.partnership(row.partnership)
    return Partner(
        id=str(row.id),
        partnership=row.partnership,
        name=row.name,
        email=crypto.decrypt(row.email),
        code=code.code if code else None,
        url=members.link(shop, code) if code else None,
        ready=bool(code and code.discount_id),
        error=fault,
        friend=offers.of_partnership(version, terms, shop.currency).gift if terms else "",
        added_at=row.created_at,
        ended_at=row.ended_at,
    )


OPERATIONS: tuple[Operation, ...] = (
    read_member_code,
    choose_member_code,
    retire_member_code,
    claim_referral,
    read_claim,
    list_partners,
    add_partner,
    read_partner,
    change_partner,
    end_partner,
)
