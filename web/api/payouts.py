"""Commission in money over the API: who is paid, their links to Stripe, what they earned, and statements to approve."""

from datetime import date, datetime
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import BeforeValidator, Field

from core.errors import NotFound
from core.money import money_text
from loyalty import queries as members
from referrals.models import ReferralPartner
from referrals.payouts import links, operations, queries, rules, stripe
from referrals.payouts.models import PAYEE_STATES, STATEMENT_STATES, CommissionEntry, Payee, Statement
from web.api import paging
from web.api.endpoint import Call, Operation, endpoint
from web.api.shapes import DEFAULT_LIMIT, MAX_ID, After, Asked, Cursor, Id, Limit, PageQuery, Shape

_STATES = {
    "new": "has no account at Stripe yet",
    "onboarding": "is telling Stripe who they are",
    "active": "can be paid",
    "restricted": "can't be paid until Stripe lets their account be paid again",
    "rejected": "can't be paid: Stripe has closed their account",
}


def _id(value: Any) -> Any:
    """Ids are text; one beyond what any row has is refused like any other that is none."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and 0 < int(value[:20]) <= MAX_ID:
        return value
    raise ValueError("must be the id of a statement")


Country = Annotated[str | None, Field(pattern="^[A-Z]{2}$", description="Where they live, as ISO 3166 has it.")]


class Money(Shape):
    amount: Annotated[int, Field(description="In minor units.")]
    currency: str
    text: str


class PayeeDetails(Shape):
    """Somebody who earns commission: a member or a partner."""

    id: Id
    member_id: Id | None
    partner_id: Id | None
    state: Annotated[str, Field(json_schema_extra={"enum": list(PAYEE_STATES)})]
    text: Annotated[str, Field(description="The state in words.")]
    needs: Annotated[list[str], Field(description="What Stripe still needs of them, in words.")]
    country: str | None
    balances: Annotated[list[Money], Field(description="What they are owed, below 0 where more was taken back.")]
    created_at: datetime


class PayeePage(Shape):
    items: list[PayeeDetails]
    next: Cursor | None


class OnboardingLink(Shape):
    url: Annotated[str, Field(description="Keep it theirs: whoever has it can say where the money goes.")]
    expires_at: datetime


class StatementDetails(Shape):
    """What a payee is paid for a month."""

    id: Id
    payee_id: Id
    month: Annotated[str, Field(examples=["2026-10"])]
    amount: Annotated[int, Field(description="What it was closed at, in minor units.")]
    sent: Annotated[int | None, Field(description="What was transferred: less where commission was taken back since.")]
    currency: str
    state: Annotated[str, Field(json_schema_extra={"enum": list(STATEMENT_STATES)})]
    text: str
    error: Annotated[str | None, Field(description="Why it was not paid, or waits.")]
    transfer: Annotated[str | None, Field(description="The transfer at Stripe.")]
    approved_by: str | None
    approved_at: datetime | None
    paid_at: datetime | None
    created_at: datetime


class StatementPage(Shape):
    items: list[StatementDetails]
    next: Cursor | None


class StatementList(Shape):
    items: list[StatementDetails]


class EntryDetails(Shape):
    """A line of the commission ledger, signed as the payee sees it."""

    id: Id
    kind: Annotated[str, Field(description="`earned`, `reversed`, `paid`, or `returned` by Stripe.")]
    amount: Annotated[int, Field(description="In minor units.")]
    currency: str
    text: str
    referral_id: Id | None
    statement_id: Id | None
    explanation: dict[str, Any]
    actor: str
    occurred_at: datetime


class EntryPage(Shape):
    items: list[EntryDetails]
    next: Cursor | None


class PayeesQuery(Asked):
    state: Annotated[str | None, Field(pattern=f"^({'|'.join(PAYEE_STATES)})$")] = None
    limit: Limit = DEFAULT_LIMIT
    cursor: After = None


class StatementsQuery(Asked):
    state: Annotated[str | None, Field(pattern=f"^({'|'.join(STATEMENT_STATES)})$")] = None
    limit: Limit = DEFAULT_LIMIT
    cursor: After = None


class Onboarding(Asked):
    country: Country = None


class Approval(Asked):
    ids: Annotated[
        list[Annotated[Id, BeforeValidator(_id)]],
        Field(min_length=1, max_length=operations.MOST_APPROVED, description="Ids of statements."),
    ]


@endpoint("GET", "/payouts/payees", problems=(400, 404, 422))
def list_payees(call: Call, query: PayeesQuery) -> PayeePage:
    """Who earns commission, and whether they can be paid."""
    _require()
    after = paging.position(call.listing, query.cursor) or 0
    found = queries.payees(call.session, call.shop_id, state=query.state, after=after, limit=query.limit + 1)
    rows, following = paging.cut(call.listing, found, query.limit, lambda row: row.id)
    owed: dict[int, list[Money]] = {row.id: [] for row in rows}
    for one in queries.balances(call.session, call.shop_id, list(owed)):
        owed[one.payee_id].append(_money(one.amount, one.currency))
    return PayeePage(items=[_payee(row, owed[row.id]) for row in rows], next=following)


@endpoint("GET", "/payouts/payees/<id:payee_id>/entries", problems=(400, 404, 422))
def list_commission_entries(call: Call, payee_id: int, query: PageQuery) -> EntryPage:
    """What a payee has earned, and what was taken back, paid and returned; newest first."""
    _require()
    row = queries.payee(call.session, call.shop_id, payee_id)
    before = paging.position(call.listing, query.cursor)
    found = queries.entries(call.session, call.shop_id, row.id, before=before, limit=query.limit + 1)
    rows, following = paging.cut(call.listing, found, query.limit, lambda row: row.id)
    return EntryPage(items=[_entry(row) for row in rows], next=following)


@endpoint("POST", "/members/<id:member_id>/payouts/onboarding", problems=(400, 404, 413, 415, 422))
def start_member_payouts(call: Call, member_id: int, body: Onboarding) -> OnboardingLink:
    """A link for a member to set up being paid. It leads over a page of ours to Stripe, and works for seven days."""
    _require()
    member = members.member(call.session, call.shop_id, member_id)
    return _onboarding(operations.payee_of(call.session, call.shop_id, member_id=member.id), body)


@endpoint("POST", "/referrals/partners/<id:partner_id>/payouts/onboarding", problems=(400, 404, 413, 415, 422))
def start_partner_payouts(call: Call, partner_id: int, body: Onboarding) -> OnboardingLink:
    """A link for a partner to set up being paid. It leads over a page of ours to Stripe, and works for seven days."""
    _require()
    known = (ReferralPartner.shop_id == call.shop_id, ReferralPartner.id == partner_id)
    if call.session.scalar(sa.select(ReferralPartner.id).where(*known)) is None:
        raise NotFound("there is no such partner", code="no_partner")
    return _onboarding(operations.payee_of(call.session, call.shop_id, partner_id=partner_id), body)


@endpoint("GET", "/payouts/statements", problems=(400, 404, 422))
def list_statements(call: Call, query: StatementsQuery) -> StatementPage:
    """Statements of months that are over, newest first."""
    _require()
    before = paging.position(call.listing, query.cursor)
    found = queries.statements(call.session, call.shop_id, state=query.state, before=before, limit=query.limit + 1)
    rows, following = paging.cut(call.listing, found, query.limit, lambda row: row.id)
    return StatementPage(items=[_statement(row) for row in rows], next=following)


@endpoint("POST", "/payouts/statements/approve", problems=(400, 404, 413, 415, 422))
def approve_statements(call: Call, body: Approval) -> StatementList:
    """Have statements paid, also ones that failed or came back.

    What was approved before stays as it is. One that is unknown refuses them all: 404 `no_statement`, with `missing`.
    Each is paid within seconds, or as soon as the payee and your balance at Stripe allow; `error` says what it waits
    for. What was taken back since a month was closed is not paid.
    """
    _require()
    ids = [int(id_) for id_ in body.ids]
    rows = operations.approve(call.session, call.shop_id, ids, actor=call.actor)
    return StatementList(items=[_statement(row) for row in rows])


def _require() -> None:
    if not stripe.is_set_up():
        raise stripe.NotSetUp("payouts are not set up here")


def _money(amount: int, currency: str) -> Money:
    return Money(amount=amount, currency=currency, text=money_text(amount, currency))


def _payee(row: Payee, balances: list[Money]) -> PayeeDetails:
    return PayeeDetails(
        id=str(row.id),
        member_id=_text(row.member_id),
        partner_id=_text(row.partner_id),
        state=row.state,
        text=_STATES[row.state],
        needs=[rules.WORDS.get(key, rules.WORDS["more"]) for key in row.needs],
        country=row.country,
        balances=balances,
        created_at=row.created_at,
    )


def _onboarding(payee: Payee, body: Onboarding) -> OnboardingLink:
    link = links.link(payee.shop_id, payee.id, body.country)
    return OnboardingLink(url=link.url, expires_at=link.expires_at)


def _statement(row: Statement) -> StatementDetails:
    same = ("amount", "sent", "currency", "state", "error", "transfer", "approved_by", "approved_at", "paid_at",
            "created_at")  # fmt: skip
    told = {name: getattr(row, name) for name in same}
    return StatementDetails(
        id=str(row.id), payee_id=str(row.payee_id), month=_month(row.month), text=_sentence(row), **told
    )  # fmt: skip


def _sentence(row: Statement) -> str:
    """ "$40.00 of $50.00 for October 2026: the rest was taken back since.\""""
    amount = money_text(row.amount, row.currency)
    if row.sent is not None and row.sent < row.amount:
        return f"{money_text(row.sent, row.currency)} of {amount} for {row.month:%B %Y}: the rest is not owed any more."
    return f"{amount} for {row.month:%B %Y}."


def _month(first: date) -> str:
    return f"{first:%Y-%m}"


def _entry(row: CommissionEntry) -> EntryDetails:
    return EntryDetails(
        id=str(row.id),
        kind=row.kind,
        amount=row.amount,
        currency=row.currency,
        text=money_text(row.amount, row.currency),
        referral_id=_text(row.referral_id),
        statement_id=_text(row.statement_id),
        explanation=row.explanation,
        actor=row.actor,
        occurred_at=row.occurred_at,
    )


def _text(id_: int | None) -> str | None:
    return None if id_ is None else str(id_)


OPERATIONS: tuple[Operation, ...] = (
    list_payees,
    list_commission_entries,
    start_member_payouts,
    start_partner_payouts,
    list_statements,
    approve_statements,
)
