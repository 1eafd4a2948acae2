"""Referrals: what they brought and cost, what waits for a person, and commission to be paid."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from flask import g, render_template, request
from sqlalchemy.orm import Session

from core.db import database
from core.errors import NotFound, RapportError, Unavailable
from core.i18n import N_, _, money, number, percent
from loyalty.models import Member
from referrals import exports, listings, numbers, queries, reviews
from referrals.fraud.people import Sides
from referrals.listings import Wanted
from referrals.models import Referral, ReferralPartner
from referrals.numbers import Figures, Period
from referrals.payouts import operations, rules, stripe
from referrals.payouts import queries as payouts
from referrals.payouts.models import Payee, Statement
from referrals.wording import STATE_NAMES, merchant_text, reason_text, step_text
from web.faces import forms
from web.merchant import downloads, timeline
from web.merchant.desk import ID, Answer, Desk, go, merchant, page, post

RANGES = (30, 90, 365)
ROWS = 50
_TONES = {"rewarded": "good", "holding": "accent", "waiting": "plain", "review": "warn", "blocked": "bad"}
_PAYEE_STATES = {
    "new": N_("No account yet"),
    "onboarding": N_("Setting up"),
    "active": N_("Can be paid"),
    "restricted": N_("Waits for Stripe"),
    "rejected": N_("Closed by Stripe"),
}
_STATEMENT_STATES = {
    "open": N_("To approve"),
    "approved": N_("Being paid"),
    "paying": N_("Being paid"),
    "paid": N_("Paid"),
    "failed": N_("Failed"),
    "reversed": N_("Came back"),
}


class Number(NamedTuple):
    """A figure with its definition, and the same of the days before."""

    label: str
    value: str
    before: str
    means: str


@page("/referrals")
def referrals(desk: Desk) -> Answer:
    """What came of some days, beside as many before, who brought most, and the latest referrals."""
    asked = _period(desk, request.args)
    found = numbers.by_day(desk.session, desk.shop_id, asked._replace(first=asked.before.first))
    now, then = numbers.within(found, asked), numbers.within(found, asked.before)
    top = numbers.top(desk.session, desk.shop_id, asked)
    latest = listings.listing(desk.session, desk.shop_id, Wanted(), before=None, limit=ROWS)
    return render_template(
        "merchant/referrals.html",
        figures=_numbers(now, then, desk.shop.currency), shop_currency=desk.shop.currency, days=asked.days,
        ranges=RANGES, top=top,
        names=_names(desk.session, desk.shop_id, top), latest=latest, state_names=STATE_NAMES, tones=_TONES,
        text=merchant_text, review=_waiting(desk), statements=_to_approve(desk),
        export=downloads.address("referrals", days=asked.days),
    )  # fmt: skip


@downloads.offers("referrals")
def referral_table(desk: Desk, given: Mapping[str, str]) -> downloads.File:
    """Every referral of some days: ids and codes, no names."""
    return downloads.table("referrals", exports.COLUMNS, exports.rows(desk.session, desk.shop_id, _period(desk, given)))


@page("/referrals/review")
def review(desk: Desk) -> Answer:
    """What waits for a person, oldest first."""
    rows = reviews.waiting(desk.session, desk.shop_id, limit=ROWS)
    names = _names(desk.session, desk.shop_id, _owners(rows))
    return render_template("merchant/review.html", rows=rows, names=names, reason_text=reason_text)


@page(f"/referrals/<{ID}:referral_id>")
def referral_case(desk: Desk, referral_id: int) -> Answer:
    """One referral: the reasons, every step so far, and both sides, which come in when Shopify has told of them."""
    row = queries.referral(desk.session, desk.shop_id, referral_id)
    steps = queries.decisions_of(desk.session, desk.shop_id, referral_id)
    return render_template(
        "merchant/case.html", row=row, steps=steps, state_names=STATE_NAMES, tones=_TONES,
        told=listings.one(desk.session, desk.shop_id, referral_id), text=merchant_text,
        reason_text=reason_text, step_text=step_text, who=lambda actor: timeline.who(desk, actor),
    )  # fmt: skip


@merchant.get(f"/referrals/<{ID}:referral_id>/sides")
def referral_sides(referral_id: int) -> str:
    """Both sides as Shopify knows them now, side by side. No transaction is open while it is asked."""
    shop_id = g.visitor.shop_id
    with database().transaction(shop_id) as session:
        case = reviews.case_of(session, shop_id, referral_id)
    try:
        both: Sides | None = reviews.sides(database(), case)
    except Unavailable:
        both = None
    return render_template("merchant/sides.html", sides=both)


@post(f"/referrals/<{ID}:referral_id>/decide")
def decide(desk: Desk, referral_id: int) -> Answer:
    """Approve, refuse, or take the decision back."""
    decision, note = request.form.get("decision", ""), request.form.get("note", "")[: reviews.MOST_NOTE]
    if decision == "undo":
        reviews.undo(desk.session, desk.shop_id, referral_id, actor=desk.actor)
        return go("referral_case", referral_id=referral_id, said=_("Taken back. What the checks say holds again."))
    reviews.decide(desk.session, desk.shop_id, referral_id, decision, note.replace("\x00", ""), actor=desk.actor)
    said = _("Approved. Both sides get theirs.") if decision == "approve" else _("Refused. Nobody gets anything.")
    following = reviews.waiting(desk.session, desk.shop_id, limit=1)
    if following:
        return go("referral_case", referral_id=following[0].id, said=said)
    return go("review", said=said)


@page("/referrals/payouts")
def commission(desk: Desk) -> Answer:
    """Statements to approve, statements that were, and who can be paid."""
    if not stripe.is_set_up():
        return render_template("merchant/payouts.html", set_up=False)
    statements = payouts.statements(desk.session, desk.shop_id, state=None, before=None, limit=2 * ROWS)
    payees = payouts.payees(desk.session, desk.shop_id, state=None, after=0, limit=2 * ROWS)
    return render_template(
        "merchant/payouts.html", set_up=True, statements=statements, payees=payees,
        names=_payee_names(desk, payees, statements), owed=_owed(desk, payees), states=_STATEMENT_STATES,
        payee_states=_PAYEE_STATES, needs=rules.WORDS, to_approve=_to_approve(desk),
    )  # fmt: skip


@post("/referrals/payouts/approve")
def approve(desk: Desk) -> Answer:
    """Have the chosen statements paid."""
    ids = [*filter(None, map(forms.number, request.form.getlist("statement")))][: operations.MOST_APPROVED]
    if not ids:
        return go("commission", said=_("Choose at least one statement."))
    try:
        rows = operations.approve(desk.session, desk.shop_id, ids, actor=desk.actor)
    except RapportError as error:
        if error.status >= 500:
            raise
        raise NotFound(error.detail, code="no_statement") from None
    total = ", ".join(_sums(rows))
    return go("commission", said=_("%(total)s approved. Each is paid within seconds.", total=total))


def _sums(rows: Iterable[Statement]) -> list[str]:
    by_currency: dict[str, int] = {}
    for row in rows:
        by_currency[row.currency] = by_currency.get(row.currency, 0) + row.amount
    return [money(amount, currency) for currency, amount in sorted(by_currency.items())]


def _period(desk: Desk, given: Mapping[str, str]) -> Period:
    days = given.get("days", "")
    return Period.until(None, int(days) if days in map(str, RANGES) else RANGES[0], desk.now, desk.zone)


def _numbers(now: Figures, then: Figures, currency: str) -> list[Number]:
    def paid(minor: int | None) -> str:
        return "–" if minor is None else money(minor, currency)

    def rate(figures: Figures) -> str:
        found = figures.conversion_rate
        return "–" if found is None else percent(round(found * 100, 1))

    counted = (
        (_("Invites"), "shares", _("Taps that passed a link on.")),
        (_("Clicks"), "clicks", _("Looks at codes’ pages by people; half an hour is one look.")),
        (_("Claims"), "claims", _("Friends who left an e-mail.")),
        (_("New customers"), "customers", _("Friends whose paid order stands, each once.")),
    )
    made = [Number(label, number(getattr(now, key)), number(getattr(then, key)), text) for label, key, text in counted]
    made.append(Number(_("Conversion"), rate(now), rate(then), _("Orders for each visitor of a code’s page.")))
    made.append(
        Number(_("Revenue"), paid(now.revenue), paid(then.revenue), _("What those orders count for, after refunds."))
    )
    cost = _("Discounts, rewards and commission together; points are not in it.")
    made.append(Number(_("Cost"), paid(now.cost), paid(then.cost), cost))
    each = _("Cost for each new customer.")
    made.append(Number(_("Cost per customer"), paid(now.cost_per_customer), paid(then.cost_per_customer), each))
    return made


def _waiting(desk: Desk) -> int:
    queue = sa.select(sa.func.count()).where(
        Referral.shop_id == desk.shop_id, Referral.state == "review", Referral.decision.is_(None)
    )
    return desk.session.scalar(queue) or 0


def _to_approve(desk: Desk) -> int:
    here = Statement.shop_id == desk.shop_id, Statement.state == "open"
    return desk.session.scalar(sa.select(sa.func.count()).where(*here)) or 0


class _Owner(NamedTuple):
    member_id: int | None
    partner_id: int | None


def _owners(rows: Iterable[Referral]) -> list[_Owner]:
    return [_Owner(row.referrer_member_id, row.partner_id) for row in rows]


def _names(session: Session, shop_id: int, owners: Iterable[Any]) -> dict[tuple[int | None, int | None], str]:
    """What referrers are called, by member and partner."""
    known = [(one.member_id, one.partner_id) for one in owners]
    people = _called(session, Member, shop_id, [member for member, _partner in known if member])
    partners = _called(session, ReferralPartner, shop_id, [partner for _member, partner in known if partner])
    return {
        (member, partner): (people.get(member or 0) or partners.get(partner or 0) or _("Somebody who left"))
        for member, partner in known
    }


def _called(session: Session, table: Any, shop_id: int, ids: list[int]) -> dict[int, str]:
    rows = session.execute(sa.select(table.id, table.name).where(table.shop_id == shop_id, table.id.in_(ids)))
    return {row.id: row.name for row in rows if row.name}


def _payee_names(desk: Desk, payees: Iterable[Payee], statements: Iterable[Statement]) -> dict[int, str]:
    known = {row.id: row for row in payees}
    missing = {row.payee_id for row in statements} - set(known)
    found = sa.select(Payee).where(Payee.shop_id == desk.shop_id, Payee.id.in_(sorted(missing)))
    known |= {row.id: row for row in desk.session.scalars(found)}
    names = _names(desk.session, desk.shop_id, known.values())
    return {row.id: names[row.member_id, row.partner_id] for row in known.values()}


def _owed(desk: Desk, payees: Iterable[Payee]) -> dict[int, str]:
    sums: dict[int, list[str]] = {}
    for one in payouts.balances(desk.session, desk.shop_id, [row.id for row in payees]):
        sums.setdefault(one.payee_id, []).append(money(one.amount, one.currency))
    return {payee: ", ".join(texts) for payee, texts in sums.items()}
