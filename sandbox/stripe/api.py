"""Stripe's API over HTTP: forms in, JSON out, a key, idempotency, and errors in Stripe's shape."""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, request

from sandbox.faults import hang_up
from sandbox.stripe import forms
from sandbox.stripe.books import COUNTRY
from sandbox.stripe.faults import Fault
from sandbox.stripe.idempotency import Answer
from sandbox.stripe.refusal import Refusal, planned

if TYPE_CHECKING:
    from sandbox.stripe.world import Stripe

api = Blueprint("stripe_api", __name__, url_prefix="/stripe/v1")
Body = dict[str, Any]
PAGE = 10


def running() -> "Stripe":
    found: Stripe = current_app.extensions["stripe"]
    return found


def answered(call: str, work: Callable[[Mapping[str, Any]], Body]) -> Response:
    """Stripe's answer to a call, unless something was planned to be wrong with it."""
    stripe = running()
    stripe.calls[call] += 1
    fault = stripe.faults.next(call) or Fault("none")
    if fault.kind == "html":
        return Response("<!doctype html><title>Bad gateway</title>", 502, mimetype="text/html")
    if fault.kind == "hang_up_before":
        return hang_up(fault.seconds)
    if fault.kind == "delay":
        time.sleep(fault.seconds)
    answer = _carried_out(call, work, fault)
    return hang_up(fault.seconds) if fault.kind == "hang_up_after" else _sent(answer)


def _carried_out(call: str, work: Callable[[Mapping[str, Any]], Body], fault: Fault) -> Answer:
    """What is wrong with the call itself is not remembered; what the work came to is, be it an error."""
    try:
        given = _given(call)
        if fault.kind.isdecimal() and fault.kind != "500":
            raise planned(int(fault.kind))
        asked = [request.method, request.path, given]
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        return running().keys.once(key, asked, lambda: _worked(work, given, fault))
    except Refusal as refusal:
        return Answer(refusal.status, refusal.body())


def _worked(work: Callable[[Mapping[str, Any]], Body], given: Mapping[str, Any], fault: Fault) -> Answer:
    try:
        if fault.kind == "500":
            raise planned(500)
        return Answer(200, json.loads(json.dumps(work(given))))
    except Refusal as refusal:
        return Answer(refusal.status, refusal.body())


def _given(call: str) -> Body:
    """The call's parameters, by a caller who may make it. Raises Refusal."""
    if request.headers.get("Authorization", "") != f"Bearer {running().key}":
        raise planned(401)
    if not request.headers.get("Stripe-Version"):
        raise Refusal("Tell the version of the API that you mean.")
    pairs = request.form if request.method == "POST" else request.args
    given = forms.parsed(pairs.items(multi=True))
    forms.check(call, given)
    return given


def _sent(answer: Answer) -> Response:
    response = Response(json.dumps(answer.body, indent=2), answer.status, mimetype="application/json")
    response.headers["Request-Id"] = f"req_{secrets.token_hex(7)}"
    if answer.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


@api.get("/account")
def platform() -> Response:
    return answered("account.retrieve", lambda _: {"id": "acct_platform", "object": "account", "country": COUNTRY})


@api.post("/accounts")
def open_account() -> Response:
    return answered("accounts.create", running().books.open_account)


@api.get("/accounts/<key>")
def account(key: str) -> Response:
    return answered("accounts.retrieve", lambda _: running().books.account(key))


@api.post("/account_links")
def link() -> Response:
    def made(given: Mapping[str, Any]) -> Body:
        key = running().books.link(given)
        now = int(running().clock())
        url = f"{request.host_url}stripe/onboarding/{key}"
        return {"object": "account_link", "created": now, "expires_at": now + 300, "url": url}

    return answered("account_links.create", made)


@api.post("/transfers")
def transfer() -> Response:
    return answered("transfers.create", running().books.transfer)


@api.get("/transfers")
def transfers() -> Response:
    def listed(given: Mapping[str, Any]) -> Body:
        found = running().books.transfers(given.get("transfer_group"), given.get("destination"))
        return _page(found, given, "/v1/transfers")

    return answered("transfers.list", listed)


def _page(found: list[Body], given: Mapping[str, Any], url: str) -> Body:
    size = min(int(given.get("limit") or PAGE), 100)
    keys = [one["id"] for one in found]
    start = keys.index(given["starting_after"]) + 1 if given.get("starting_after") in keys else 0
    return {"object": "list", "url": url, "has_more": start + size < len(found), "data": found[start : start + size]}


@api.get("/transfers/<key>")
def one_transfer(key: str) -> Response:
    return answered("transfers.retrieve", lambda _: running().books.one_transfer(key))


@api.post("/transfers/<key>/reversals")
def reverse(key: str) -> Response:
    def reversed_(given: Mapping[str, Any]) -> Body:
        return running().books.reverse(key, forms.whole(given, "amount") if "amount" in given else None)

    return answered("reversals.create", reversed_)


@api.get("/balance")
def balance() -> Response:
    def told(_: Mapping[str, Any]) -> Body:
        held = [{"amount": amount, "currency": currency} for currency, amount in running().books.balance().items()]
        return {"object": "balance", "available": held, "pending": [], "livemode": False}

    return answered("balance.retrieve", told)


@api.get("/events")
def events() -> Response:
    return answered("events.list", lambda given: _page(running().news.events[::-1], given, "/v1/events"))
