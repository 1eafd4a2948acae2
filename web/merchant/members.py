"""The list of members: found by anything, narrowed by tier and points, many chosen at once."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from flask import render_template, request
from sqlalchemy.orm import Session

from core.errors import InvalidInput
from core.i18n import _, ngettext
from loyalty import search
from loyalty.activities import giving
from loyalty.models import Member
from referrals.codes import key_of
from referrals.models import ReferralCode
from tiers.ladders import ladder_of
from web.faces import forms
from web.merchant import downloads
from web.merchant.desk import Answer, Desk, go, page, post

PAGE = 50
MOST_EXPORTED = 100_000
# What may be asked of a balance; `reward`: enough for the cheapest reward there is.
POINTS = ("reward", "some", "none", "below")


class Asked(NamedTuple):
    """What the list was asked for. `before` is the id of the last member of the page before."""

    words: str = ""
    tier: str = ""
    points: str = ""
    blocked: bool = False
    before: int = 0

    @property
    def narrowed(self) -> bool:
        return bool(self.words or self.tier or self.points or self.blocked)

    @property
    def filters(self) -> dict[str, str]:
        """The query of an address that asks the same, from its first page on."""
        said = {"q": self.words, "tier": self.tier, "points": self.points, "blocked": "1" if self.blocked else ""}
        return {name: value for name, value in said.items() if value}


class Row(NamedTuple):
    """A member in the list. `rung` counts from 1."""

    member: Member
    tier: str
    rung: int


@page("/members")
def members(desk: Desk) -> Answer:
    """The list, or what of it was asked for."""
    asked = _asked(request.args)
    found = _found(desk, asked, PAGE + 1)
    rows, more = found[:PAGE], len(found) > PAGE
    ladder = ladder_of(desk.version)
    return render_template(
        "merchant/members.html",
        asked=asked,
        rows=[_row(desk, member) for member in rows],
        tiers=[(rung.key, rung.name) for rung in ladder.rungs],
        rungs=len(ladder.rungs),
        following=rows[-1].id if more and not asked.words else None,
        cut=more and bool(asked.words),
        gift_key=uuid.uuid4().hex,
        export=downloads.address("members", **asked.filters),
    )


def _asked(given: Mapping[str, str]) -> Asked:
    points = given.get("points", "")
    return Asked(
        words=given.get("q", "").strip()[:200],
        tier=given.get("tier", "")[:40],
        points=points if points in POINTS else "",
        blocked=given.get("blocked") == "1",
        before=forms.number(given.get("before", "")),
    )


def _found(desk: Desk, asked: Asked, limit: int) -> Sequence[Member]:
    statement = sa.select(Member).where(
        Member.shop_id == desk.shop_id, Member.merged_into.is_(None), Member.erased_at.is_(None),
        *_narrowing(desk, asked),
    )  # fmt: skip
    if asked.words:
        return _in_order(desk.session, statement, by_words(desk, asked.words), limit)
    if asked.before:
        statement = statement.where(Member.id < asked.before)
    return desk.session.scalars(statement.order_by(Member.id.desc()).limit(limit)).all()


def by_words(desk: Desk, words: str) -> list[int]:
    """Ids by name, e-mail, customer or order, and by the code that brings friends."""
    found = search.find(desk.session, desk.shop_id, words)
    key = key_of(words)
    if key and len(words.split()) == 1:
        owner = sa.select(ReferralCode.member_id).where(
            ReferralCode.shop_id == desk.shop_id, ReferralCode.key == key, ReferralCode.member_id.is_not(None)
        )
        found = [*filter(None, desk.session.scalars(owner)), *found]
    return found


def _in_order(session: Session, statement: sa.Select[Member], ids: list[int], limit: int) -> list[Member]:
    """Those members, the most certain first; who was merged is answered by whom they became."""
    if not ids:
        return []
    rank = {member_id: place for place, member_id in reversed(list(enumerate(ids)))}
    survivors = session.execute(sa.select(Member.id, Member.merged_into).where(Member.id.in_(ids))).all()
    became = {row.merged_into or row.id: rank[row.id] for row in survivors}
    found = session.scalars(statement.where(Member.id.in_(list(became)))).all()
    return sorted(found, key=lambda member: became[member.id])[:limit]


def _narrowing(desk: Desk, asked: Asked) -> Iterator[sa.ColumnElement[bool]]:
    if asked.tier:
        yield Member.tier_key == asked.tier
    if asked.blocked:
        yield Member.blocked_at.is_not(None)
    if asked.points == "reward":
        costs = [reward.cost for reward in desk.version.program.rewards]
        yield Member.available >= min(costs) if costs else sa.false()
    elif asked.points:
        yield {"some": Member.available > 0, "none": Member.available == 0, "below": Member.available < 0}[asked.points]


def _row(desk: Desk, member: Member) -> Row:
    ladder = ladder_of(desk.version)
    held = next((rung for rung in ladder.rungs if rung.key == member.tier_key), ladder.rungs[0])
    return Row(member, held.name, ladder.rungs.index(held) + 1)


@post("/members/gift")
def give_many(desk: Desk) -> Answer:
    """Give points to those who were chosen; a job gives them."""
    chosen = [*filter(None, map(forms.number, request.form.getlist("member")))]
    if not chosen:
        raise InvalidInput(_("Choose who should get the points first."), code="bad_recipients")
    gift = giving.gift(
        desk.session, desk.shop_id, points=whole(request.form.get("points", "")), members=chosen,
        reason=request.form.get("reason", "").strip()[:200], actor=desk.actor,
        key=f"gift:{request.form.get('key', '')[:64] or uuid.uuid4().hex}",
    )  # fmt: skip
    said = ngettext("%(num)s member gets the points soon.", "%(num)s members get the points soon.", gift.total)
    return go("members", said=said)


def whole(text: str) -> int:
    """A whole number as people type it: "1,000" or "1 000" or "-50". Raises InvalidInput."""
    plain = "".join(sign for sign in text if sign not in ",. \u00a0\u202f'").replace("−", "-")
    if not plain.removeprefix("-").isascii() or not plain.removeprefix("-").isdigit() or len(plain) > 12:
        raise InvalidInput(_("Write the points as a whole number, such as 100."), code="bad_points")
    return int(plain)


@downloads.offers("members")
def _members_file(desk: Desk, filters: Mapping[str, str]) -> downloads.File:
    """Every member of a list with balance and tier."""
    found = _found(desk, _asked(filters)._replace(before=0), MOST_EXPORTED)
    names = {rung.key: rung.name for rung in ladder_of(desk.version).rungs}
    head = ("member_id", "customer_id", "name", "email", "tier", "available", "pending", "lifetime", "joined_at")
    rows = (
        (one.id, one.customer_id, one.name, one.email, names.get(one.tier_key, one.tier_key), one.available,
         one.pending, one.lifetime, one.joined_at.isoformat())
        for one in found
    )  # fmt: skip
    return downloads.table("members", head, rows)
