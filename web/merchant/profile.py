"""One member: where they stand, all that happened, and what may be done about it. Each change is audited."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

import sqlalchemy as sa
from flask import render_template, request

from core import effects, mail
from core.errors import Conflict, InvalidInput, NotFound
from core.events import Happened, record
from core.i18n import _, number, points
from core.money import minor_digits
from loyalty import operations, privacy, queries
from loyalty.activities import giving
from loyalty.expiry import queries as expiry
from loyalty.models import Member, Order
from loyalty.orders import read_orders
from loyalty.queries import SettledOrder, not_earning
from loyalty.rewards import operations as rewards
from loyalty.rewards.models import MemberReward
from loyalty.rewards.queries import rewards_of
from loyalty.rules import eligible_spend
from loyalty.wording import order_text
from loyalty.wording.expiry import due_text
from referrals.models import Referral, ReferralCode
from tiers import operations as tiers
from tiers.ladders import ladder_of
from tiers.queries import Standing, override_of, standings
from tiers.wording import amount_text
from wallet_passes import freshness
from wallet_passes.adding import links
from wallet_passes.freshness import Phone
from wallet_passes.google.queries import object_of
from wallet_passes.queries import devices, pass_of
from web.faces import forms
from web.merchant import downloads, timeline
from web.merchant.desk import ID, Answer, Desk, go, page, post
from web.merchant.mails import EFFECT
from web.merchant.members import by_words, whole
from webhooks import people

ORDERS = 10
REWARDS = 20
# So long is an adjustment's or gift's reason at most.
REASON = 200


class Climb(NamedTuple):
    """A member's way up. `rung` counts from 1, `share` is how far the next tier is, from 0 to 1; None at the top."""

    standing: Standing
    rung: int
    of: int
    share: float | None
    missing: str | None
    keeps: str | None


class Settled(NamedTuple):
    """An order as it was settled: the sentence that says why, and the sum as lines of (what, amount in words)."""

    order_id: int
    name: str
    placed_at: datetime
    points: int
    pending: int
    text: str
    lines: list[tuple[str, str]]
    sums: list[tuple[str, str]]


class Card(NamedTuple):
    """The member's card: on which phones, and the link that adds it to another."""

    phones: list[Phone]
    link: str


class Friends(NamedTuple):
    """Whom a member has brought: their code, and friends by what became of it."""

    code: str | None
    ordered: int
    rewarded: int
    waiting: int
    brought_by: Member | None


# The page.


@page(f"/members/<{ID}:member_id>")
def member(desk: Desk, member_id: int) -> Answer:
    """A member's profile; who was merged leads to whom they became."""
    found = queries.member(desk.session, desk.shop_id, member_id)
    if found.id != member_id:
        return go("member", member_id=found.id)
    return _page(desk, found)


def _page(desk: Desk, found: Member, **more: Any) -> str:
    held = list(rewards_of(desk.session, desk.shop_id, found.id, limit=REWARDS))
    return render_template(
        "merchant/member.html",
        member=found,
        shop=desk.shop,
        zone=desk.zone,
        climb=_climb(desk, found),
        override=override_of(desk.session, desk.shop_id, found.id, desk.now),
        expiring=_expiring(desk, found),
        timeline=timeline.read(desk, found.id),
        orders=_orders(desk, found),
        rewards=held,
        card=_card(desk, found),
        friends=_friends(desk, found),
        tiers=[(rung.key, rung.name) for rung in ladder_of(desk.version).rungs],
        key=uuid.uuid4().hex,
        export=downloads.address("person", member=found.id),
        mails=bool(found.email) and mail.is_on(),
        **more,
    )


@page(f"/members/<{ID}:member_id>/timeline")
def more_timeline(desk: Desk, member_id: int) -> Answer:
    """The next page of a member's timeline."""
    found = queries.member(desk.session, desk.shop_id, member_id)
    told = timeline.read(desk, found.id, request.args.get("after"))
    return render_template("merchant/timeline.html", member=found, timeline=told, zone=desk.zone)


def _climb(desk: Desk, found: Member) -> Climb:
    version = desk.version
    standing, rungs = standings(desk.session, [found], version, desk.now)[found.id], ladder_of(version).rungs
    place = [rung.key for rung in rungs].index(standing.key)
    share = missing = keeps = None
    if standing.next:
        goal = rungs[place + 1].threshold
        share = max(0.0, (goal - standing.next.remaining) / goal)
        missing = amount_text(standing.next.remaining, standing.metric, desk.shop.currency)
    if standing.missing:
        keeps = amount_text(standing.missing, standing.metric, desk.shop.currency)
    return Climb(standing, place + 1, len(rungs), share, missing, keeps)


def _expiring(desk: Desk, found: Member) -> str | None:
    policy = expiry.policy(desk.programs, desk.shop_id, desk.now)
    ahead = expiry.expiring(desk.session, [found], desk.programs, desk.now)[desk.shop_id, found.id]
    return due_text(ahead[0], policy.expiry, desk.zone) if policy and ahead else None


def _orders(desk: Desk, found: Member) -> list[Settled]:
    """The newest orders, as they were settled."""
    ids = desk.session.scalars(
        sa.select(Order.order_id)
        .where(Order.shop_id == desk.shop_id, Order.member_id == found.id, Order.processed_at.is_not(None))
        .order_by(Order.processed_at.desc())
        .limit(ORDERS)
    ).all()
    known = read_orders(desk.session, [(desk.shop_id, order_id) for order_id in ids])
    told = [_settled(desk, _as_settled(desk, one)) for one in known if one.state]
    return sorted(told, key=lambda order: order.placed_at, reverse=True)


def _as_settled(desk: Desk, known: Any) -> SettledOrder:
    version = desk.programs.in_force(desk.shop_id, known.state.processed_at)
    spend = eligible_spend(known.state, known.refunds, version.policy)
    return SettledOrder(known, version, spend, not_earning(known, version, spend), ())


def _settled(desk: Desk, found: SettledOrder) -> Settled:
    known, state, spend, version = found.order, found.order.state, found.spend, found.version
    assert state is not None
    assert spend is not None
    assert version is not None
    told, names = known.settled or {}, queries.tier_names(version.program)
    lines = [
        (_("%(title)s (does not count)", title=line.title) if line.excluded else line.title,
         amount_text(line.gross - line.refunded, "eligible_spend", state.currency))
        for line in spend.lines
    ]  # fmt: skip
    return Settled(
        known.order_id, state.name, state.processed_at, known.available + known.pending, known.pending,
        order_text(state.name, found.not_earning, told, names), lines, _sum(told, names, state.currency),
    )  # fmt: skip


def _sum(told: dict[str, Any], names: dict[str, str], currency: str) -> list[tuple[str, str]]:
    """The arithmetic of an order that earns, step by step."""
    if not told or "refused" in told:
        return []
    exact = Fraction(told["eligible"], 10 ** minor_digits(currency)) * Fraction(told["rate"])
    steps = [
        (_("What counts"), amount_text(told["eligible"], "eligible_spend", currency)),
        (_("× %(rate)s points per unit", rate=told["rate"]), _exact(exact)),
    ]
    if told["multiplier"] != "1":
        exact *= Fraction(told["multiplier"])
        tier = names.get(told["tier"], told["tier"])
        steps.append((_("× %(times)s as %(tier)s", times=told["multiplier"], tier=tier), _exact(exact)))
    if "limited_to" in told:
        steps.append((_("The member’s limit leaves"), number(told["limited_to"])))
    steps += [(_("+ %(bonus)s", bonus=bonus["name"]), str(bonus["points"])) for bonus in told.get("bonuses", ())]
    return [*steps, (_("Points, rounded down once"), number(told["points"]))]


def _exact(value: Fraction) -> str:
    return f"{float(value):,.4f}".rstrip("0").rstrip(".")


def _card(desk: Desk, found: Member) -> Card:
    row = pass_of(desk.session, desk.shop_id, found.id)
    phones: list[Phone] = []
    if row is not None:
        phones = [freshness.apple(device, desk.now) for device in devices(desk.session, row)]
        held = object_of(desk.session, row)
        there = freshness.google(held, row.version, desk.now) if held else None
        phones += [there] if there else []
    return Card(phones, links.link(desk.shop_id, found.id).url)


def _friends(desk: Desk, found: Member) -> Friends:
    of_shop = Referral.shop_id == desk.shop_id
    code = desk.session.scalar(
        sa.select(ReferralCode.code).where(
            ReferralCode.shop_id == desk.shop_id, ReferralCode.member_id == found.id, ReferralCode.retired_at.is_(None)
        )
    )
    counts = desk.session.execute(
        sa.select(
            sa.func.count(),
            sa.func.count().filter(Referral.state == "rewarded"),
            sa.func.count().filter(Referral.state.in_(("waiting", "holding", "review"))),
        ).where(of_shop, Referral.referrer_member_id == found.id)
    ).one()
    by = sa.select(Referral.referrer_member_id).where(of_shop, Referral.friend_member_id == found.id).limit(1)
    brought = desk.session.scalar(by)
    return Friends(code, *counts, desk.session.get(Member, (desk.shop_id, brought)) if brought else None)


# What may be done.


def _key(kind: str) -> str:
    """The key of what a form does, so that it is done once however often the form is sent."""
    return f"{kind}:{request.form.get('key', '')[:64] or uuid.uuid4().hex}"


def _reason() -> str:
    reason = request.form.get("reason", "").replace("\x00", "").strip()
    if not reason:
        raise InvalidInput(_("Say why in a few words; it stays beside the points for good."), code="no_reason")
    return reason[:REASON]


@post(f"/members/<{ID}:member_id>/adjust")
def adjust(desk: Desk, member_id: int) -> Answer:
    """Add points, or take some off."""
    key, reason, change = _key("adjust"), _reason(), whole(request.form.get("points", ""))
    change = -abs(change) if request.form.get("way") == "take" else abs(change)
    if not queries.posting_exists(desk.session, desk.shop_id, key):
        operations.adjust(desk.session, desk.shop_id, member_id, change, reason, actor=desk.actor, key=key)
    told = _("%(points)s added.") if change > 0 else _("%(points)s taken off.")
    said = told % {"points": points(abs(change))}
    return go("member", member_id=member_id, said=said)


@post(f"/members/<{ID}:member_id>/gift")
def give(desk: Desk, member_id: int) -> Answer:
    """Give points as a gift, which members read about in their history; a job gives it within a minute."""
    key, reason = _key("gift"), request.form.get("reason", "").replace("\x00", "").strip()[:REASON]
    wanted = whole(request.form.get("points", ""))
    giving.gift(
        desk.session, desk.shop_id, points=wanted, reason=reason, members=[member_id], actor=desk.actor, key=key
    )
    return go("member", member_id=member_id, said=_("%(points)s are on their way.", points=points(wanted)))


@post(f"/members/<{ID}:member_id>/tier")
def give_tier(desk: Desk, member_id: int) -> Answer:
    """Give a tier by hand, for good or until a day; or end that."""
    if request.form.get("end"):
        tiers.end_override(desk.session, desk.shop_id, member_id, actor=desk.actor)
        return go("member", member_id=member_id, said=_("Their tier follows what they buy again."))
    tiers.override(
        desk.session, desk.shop_id, member_id, request.form.get("tier", "")[:40], reason=_reason(),
        until=_until(desk), actor=desk.actor,
    )  # fmt: skip
    return go("member", member_id=member_id, said=_("The tier is theirs now."))


def _until(desk: Desk) -> datetime | None:
    """The end of the chosen day on the shop's clock."""
    text = request.form.get("until", "").strip()
    if not text:
        return None
    try:
        chosen = datetime.fromisoformat(text).date()
        return datetime.combine(chosen + timedelta(days=1), time(), desk.zone)
    except (ValueError, OverflowError):
        raise InvalidInput(_("Choose a day on the calendar."), code="bad_until") from None


@post(f"/members/<{ID}:member_id>/rewards/<{ID}:reward_id>/back")
def give_back(desk: Desk, member_id: int, reward_id: int) -> Answer:
    """End an unused reward and bring its points back."""
    held = desk.session.get(MemberReward, (desk.shop_id, reward_id))
    if held is not None and held.member_id == member_id and not held.points:
        rewards.revoke(desk.session, desk.shop_id, reward_id, actor=desk.actor)
    else:
        rewards.give_back(desk.session, desk.shop_id, member_id, reward_id, actor=desk.actor)
    return go("member", member_id=member_id, said=_("The reward ends now, and its points come back in a few seconds."))


@post(f"/members/<{ID}:member_id>/block")
def block(desk: Desk, member_id: int) -> Answer:
    """Have a member earn and redeem nothing."""
    operations.block(desk.session, desk.shop_id, member_id, actor=desk.actor)
    return go("member", member_id=member_id, said=_("Blocked. Nothing is earned or redeemed from now on."))


@post(f"/members/<{ID}:member_id>/unblock")
def unblock(desk: Desk, member_id: int) -> Answer:
    """Let them earn and redeem again, with what they bought meanwhile."""
    people.unblock(desk.session, desk.shop_id, member_id, actor=desk.actor)
    return go("member", member_id=member_id, said=_("Unblocked. What they bought meanwhile has been counted."))


@post(f"/members/<{ID}:member_id>/pass")
def send_pass(desk: Desk, member_id: int) -> Answer:
    """Mail them the link to their card."""
    found = queries.member(desk.session, desk.shop_id, member_id)
    if not found.email or not mail.is_on():
        raise Conflict(_("There is no address or no mail server: copy the link instead."), code="no_mail")
    effects.request(desk.session, [effects.Wanted(desk.shop_id, EFFECT, str(found.id))])
    record(desk.session, [Happened(desk.shop_id, "pass.sent", {}, desk.now, found.id, actor=desk.actor)])
    return go("member", member_id=found.id, said=_("The link is on its way to them."))


@page(f"/members/<{ID}:member_id>/merge")
def choose_merge(desk: Desk, member_id: int) -> Answer:
    """Whom to merge into this member: found by anything, both shown side by side before it is done."""
    kept, words = queries.member(desk.session, desk.shop_id, member_id), request.args.get("q", "").strip()[:200]
    ids = [one for one in by_words(desk, words) if one != kept.id][:10] if words else []
    found = {one.id: one for one in _living(desk, ids)}
    others = [found[one] for one in ids if one in found and found[one].customer_id]
    return render_template("merchant/merge.html", kept=kept, words=words, others=others, zone=desk.zone)


def _living(desk: Desk, ids: Sequence[int]) -> Sequence[Member]:
    return desk.session.scalars(
        sa.select(Member).where(
            Member.shop_id == desk.shop_id, Member.id.in_(ids), Member.merged_into.is_(None),
            Member.erased_at.is_(None),
        )
    ).all()  # fmt: skip


@post(f"/members/<{ID}:member_id>/merge")
def merge(desk: Desk, member_id: int) -> Answer:
    """Make another member part of this one, for good."""
    kept = queries.member(desk.session, desk.shop_id, member_id)
    gone = _living(desk, [forms.number(request.form.get("other", ""))])
    if not gone:
        raise NotFound(_("there is no such member"), code="no_member")
    if not kept.customer_id or not gone[0].customer_id or kept.id == gone[0].id:
        raise Conflict(_("Only two members who are both customers in Shopify can be merged."), code="no_customer")
    people.merge_customers(
        desk.session, desk.shop_id, kept.customer_id, gone[0].customer_id, at=desk.now, actor=desk.actor
    )
    return go("member", member_id=kept.id, said=_("The two are one member now."))


@post(f"/members/<{ID}:member_id>/erase")
def erase(desk: Desk, member_id: int) -> Answer:
    """Forget who they are, for good. The numbers stay, for the books must add up."""
    found = queries.member(desk.session, desk.shop_id, member_id)
    if request.form.get("sure", "").strip().casefold() != _("erase").casefold():
        raise InvalidInput(_("Type the word to confirm; this can’t be undone."), code="not_confirmed")
    people.forget(desk.session, desk.shop_id, people.person_of(desk.session, found), actor=desk.actor)
    return go("members", said=_("Everything that says who they are is gone."))


@downloads.offers("person")
def _person_file(desk: Desk, asked: Mapping[str, str]) -> downloads.File:
    """All we keep of a person, to hand over to them."""
    found = queries.member(desk.session, desk.shop_id, forms.number(asked.get("member", "")))
    request_id = f"merchant-{uuid.uuid4().hex}"
    person = people.person_of(desk.session, found)
    people.tell(desk.session, desk.shop_id, person, request_id=request_id, actor=desk.actor)
    record(desk.session, [Happened(desk.shop_id, "member.exported", {}, desk.now, found.id, actor=desk.actor)])
    told = privacy.read_export(desk.session, desk.shop_id, request_id)
    return downloads.File(f"member-{found.id}.json", "application/json", json.dumps(told, indent=2, ensure_ascii=False))
