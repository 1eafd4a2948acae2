"""The page that a payee is sent to, and an overview for whoever runs the sandbox."""

from typing import TYPE_CHECKING, Any

import msgspec
from babel.numbers import format_currency
from flask import Blueprint, current_app, redirect, render_template, request, url_for

from sandbox.stripe.faults import Fault
from sandbox.stripe.refusal import Refusal

if TYPE_CHECKING:
    from sandbox.stripe.world import Stripe

pages = Blueprint("stripe_pages", __name__, url_prefix="/stripe")


def running() -> "Stripe":
    found: Stripe = current_app.extensions["stripe"]
    return found


@pages.errorhandler(Refusal)
def refused(refusal: Refusal) -> Any:
    return render_template("stripe/refused.html", why=refusal.message), refusal.status


@pages.app_template_filter("stripe_money")
def money(amount: int, currency: str) -> str:
    """The sandbox shows what Stripe counts in as it is paid out: hundredths, but for yen and their like."""
    digits = 0 if currency in ("jpy", "krw", "clp", "vnd") else 2
    return format_currency(amount / 10**digits, currency.upper(), locale="en_US")


@pages.get("/onboarding/<key>")
def onboarding(key: str) -> Any:
    """A link is good once, and for five minutes: whoever comes again is sent for a new one."""
    stripe = running()
    link = stripe.books.linked(key)
    if link["opened"] or link["expires_at"] < stripe.clock():
        return redirect(link["refresh"], 303)
    stripe.books.opened(link)
    return render_template("stripe/onboarding.html", key=key, account=stripe.books.account(link["account"]))


@pages.post("/onboarding/<key>")
def told(key: str) -> Any:
    """`told` is `all`, `some` (a document is missing), or `nothing`: leaving."""
    books = running().books
    link = books.linked(key)
    if request.form.get("told") == "all":
        books.finish(link["account"])
    elif request.form.get("told") == "some":
        books.restrict(link["account"], "individual.verification.document")
    return redirect(link["back"], 303)


@pages.get("/")
def overview() -> str:
    books = running().books
    return render_template(
        "stripe/overview.html", accounts=books.accounts(), transfers=books.transfers(), balance=books.balance(),
        totals=books.totals(),
    )  # fmt: skip


@pages.post("/accounts/<key>/<any(finish, restrict, reject, bank_refuses):how>")
def change(key: str, how: str) -> Any:
    getattr(running().books, how)(key)
    return redirect(url_for(".overview"), 303)


@pages.post("/transfers/<key>/reverse")
def reverse(key: str) -> Any:
    running().books.reverse(key)
    return redirect(url_for(".overview"), 303)


@pages.post("/faults")
def plan() -> Any:
    """Plan what goes wrong next: see `sandbox.stripe.faults`."""
    try:
        fault = msgspec.json.decode(request.get_data(), type=Fault)
        running().faults.plan(fault.kind, fault.call, times=fault.times, seconds=fault.seconds)
    except (msgspec.DecodeError, ValueError) as error:
        raise Refusal(str(error)) from None
    return "", 204


@pages.delete("/faults")
def calm() -> Any:
    running().faults.clear()
    return "", 204
