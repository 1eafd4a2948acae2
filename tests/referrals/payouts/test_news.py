"""What Stripe tells: only what it signed just now, each message once, in whatever order, and only about our payees."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask

from core import clock
from core.config import settings
from core.db import database
from referrals.payouts import jobs
from referrals.payouts.models import StripeEvent
from sandbox.stripe.news import signature
from tests.referrals.payouts.conftest import SECRET
from tests.referrals.payouts.rig import Payouts
from tests.web.stores import open_store
from tests.webhooks.rig import at_once

DOOR = "/webhooks/stripe"


def knock(payouts: Payouts, body: bytes, header: str | bytes | None) -> int:
    headers: Any = {} if header is None else {"Stripe-Signature": header}
    return httpx.post(payouts.url + DOOR, content=body, headers=headers, trust_env=False).status_code


def events_kept(payouts: Payouts) -> int:
    with database().transaction(payouts.shop_id) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(StripeEvent)) or 0


@pytest.fixture
def restricted(payouts: Payouts) -> dict[str, Any]:
    """A message that the account of partner 1 was restricted, which nobody has sent yet."""
    payouts.with_account(1)
    payouts.stripe.news.held = True
    payouts.stripe.books.restrict(str(payouts.payee(1).account))
    return payouts.stripe.news.events[-1] | {"created": int(time.time()) + 1}


def test_what_stripe_signed_is_taken_once(payouts: Payouts, restricted: dict[str, Any]) -> None:
    before = events_kept(payouts)
    assert [payouts.stripe.news.send(restricted) for _ in range(3)] == [200, 200, 200]
    assert (payouts.payee(1).state, events_kept(payouts)) == ("restricted", before + 1)


def test_the_same_message_at_once_is_taken_once(payouts: Payouts, restricted: dict[str, Any]) -> None:
    before = events_kept(payouts)
    assert at_once(*[lambda: payouts.stripe.news.send(restricted)] * 5) == []
    assert {status for event, status in payouts.stripe.news.sent if event is restricted} == {200}
    assert events_kept(payouts) == before + 1


def test_forged_and_old_messages_change_nothing(payouts: Payouts, restricted: dict[str, Any]) -> None:
    body, now = json.dumps(restricted).encode(), int(time.time())
    good = signature(SECRET, body, now)
    refused: list[tuple[bytes, str | bytes | None]] = [
        (body, None),
        (body, ""),
        (body, "nonsense"),
        (body, "t=x,v1=y"),
        (body, "t=,v1="),
        (body, f"t={now}"),
        (body, f"t={now},v0={good.rpartition('=')[2]}"),
        (body, f"t={now},v1=\xe9".encode("latin-1")),
        (body, good.replace(f"t={now}", f"t={now + 1}")),
        (body + b" ", good),
        (body, signature("whsec_of_somebody", body, now)),
        (body, signature("", body, now)),
        (body, signature(SECRET, body, now - 301)),
        (b"\xff\xfe", signature(SECRET, b"\xff\xfe", now)),
        (b"", signature(SECRET, b"", now)),
        (b"[]", signature(SECRET, b"[]", now)),
        (b'{"type": 1}', signature(SECRET, b'{"type": 1}', now)),
        (b'{"type": "account.updated", "data": {"object": 5}}',
         signature(SECRET, b'{"type": "account.updated", "data": {"object": 5}}', now)),
    ]  # fmt: skip
    assert [knock(payouts, sent, header) for sent, header in refused] == [400] * len(refused)
    assert payouts.payee(1).state == "active"
    assert knock(payouts, body, good) == 200


def test_either_secret_may_have_signed(payouts: Payouts, restricted: dict[str, Any]) -> None:
    assert payouts.stripe.news.send(restricted, secret="whsec_of_another_endpoint") == 200
    assert payouts.payee(1).state == "restricted"


def test_a_message_too_large_is_not_read(payouts: Payouts) -> None:
    assert knock(payouts, b"x" * (1024 * 1024 + 1), "t=1,v1=1") == 413


def test_where_nobody_is_paid_there_is_no_door(payouts: Payouts, environ: pytest.MonkeyPatch) -> None:
    environ.setenv("STRIPE_SECRET_KEY", "")
    settings.cache_clear()
    assert knock(payouts, b"{}", "t=1,v1=1") == 404


def test_older_news_does_not_undo_newer(payouts: Payouts, restricted: dict[str, Any]) -> None:
    account = str(payouts.payee(1).account)
    payouts.stripe.books.finish(account)
    finished = payouts.stripe.news.events[-1] | {"created": restricted["created"] + 5}
    assert payouts.stripe.news.send(finished) == 200
    assert payouts.stripe.news.send(restricted) == 200
    assert payouts.payee(1).state == "active"


def test_of_two_in_one_second_stripe_itself_is_asked(payouts: Payouts, restricted: dict[str, Any]) -> None:
    payouts.stripe.books.finish(str(payouts.payee(1).account))
    finished = payouts.stripe.news.events[-1] | {"created": restricted["created"]}
    for event in (finished, restricted):  # in the wrong order
        payouts.stripe.news.send(event)
    payouts.work()
    assert payouts.payee(1).state == "active"
    assert payouts.stripe.calls["accounts.retrieve"] == 1


def test_only_a_payees_own_account_is_believed(payouts: Payouts, restricted: dict[str, Any]) -> None:
    """Whoever names our shop and payee must be the payee's account, and the shop of this installation."""
    told = restricted["data"]["object"]
    named = told["metadata"]
    others = [
        {"id": "acct_of_somebody"},
        {"metadata": named | {"payee_id": "999"}},
        {"metadata": named | {"payee_id": "9" * 30}},
        {"metadata": named | {"payee_id": "x"}},
        {"metadata": named | {"shop_id": "999"}},
        {"metadata": named | {"shop_id": "-1"}},
        {"metadata": named | {"shop": "roastery-of-another-installation.myshopify.com"}},
        {"metadata": {}},
        {"metadata": None},
    ]
    for number, change in enumerate(others):
        event = restricted | {"id": f"evt_{number}", "data": {"object": told | change}, "account": None}
        assert payouts.stripe.news.send(event) == 200
    assert payouts.payee(1).state == "active"


def test_another_shops_payee_is_not_touched(payouts: Payouts, restricted: dict[str, Any]) -> None:
    other = Payouts(open_store(payouts.store.app, "bakery.myshopify.com"), payouts.url, payouts.stripe)
    other.earn(1, 10_00)
    told = restricted["data"]["object"]
    named = {"shop": "bakery.myshopify.com", "shop_id": str(other.shop_id), "payee_id": str(other.payee(1).id)}
    account = {"id": str(payouts.payee(1).account), "metadata": named}
    payouts.stripe.news.send(restricted | {"id": "evt_x", "data": {"object": told | account}})
    assert payouts.payee(1).state == "active"


def test_a_transfer_of_somebody_else_is_not_booked(payouts: Payouts) -> None:
    row = payouts.owing(1, 40_00)
    payouts.approve(row.id)
    payouts.stripe.news.held = True
    payouts.work()
    (made,) = payouts.stripe.books.transfers()
    others: list[dict[str, Any]] = [
        {"id": "tr_2", "destination": "acct_of_somebody"},
        {"id": "tr_2", "transfer_group": "rapport:bakery.myshopify.com:1"},
        {"id": "tr_2", "currency": "eur"},
        {"id": "tr_2", "metadata": made["metadata"] | {"statement_id": "999"}},
        {"id": "tr_2", "metadata": made["metadata"] | {"statement_id": ""}},
        {"id": "tr_2", "metadata": {"shop_id": made["metadata"]["shop_id"]}},
    ]
    for change in others:
        event = payouts.stripe.news.event("transfer.created", made | change)
        assert payouts.stripe.news.send(event) == 200
    assert payouts.entries(1) == [("earned", 40_00), ("paid", -40_00)]


def test_news_of_a_transfer_in_any_order_and_again(payouts: Payouts) -> None:
    row = payouts.owing(1, 40_00)
    payouts.approve(row.id)
    payouts.stripe.news.held = True
    payouts.work()
    made = str(payouts.statement(row.id).transfer)
    payouts.stripe.books.reverse(made, 10_00)
    payouts.stripe.books.reverse(made)
    told = payouts.stripe.news.events[-3:]
    for event in (told[2], told[0], *told, told[1], told[0]):
        payouts.stripe.news.send(event | {"id": f"evt_{time.monotonic_ns()}"})
    assert payouts.entries(1) == [("earned", 40_00), ("paid", -40_00), ("returned", 40_00)]
    assert payouts.statement(row.id).state == "reversed"
    assert payouts.differences() == []


def test_old_news_of_a_transfer_does_not_undo_the_next_one(payouts: Payouts) -> None:
    row = payouts.owing(1, 40_00)
    payouts.approve(row.id)
    payouts.work()
    payouts.stripe.books.reverse(str(payouts.statement(row.id).transfer))
    payouts.stripe.news.settle()
    back = payouts.stripe.news.events[-1]
    payouts.approve(row.id)
    payouts.stripe.news.send(back | {"id": "evt_again"})
    assert payouts.statement(row.id).state == "approved"
    payouts.work()
    payouts.stripe.news.send(back | {"id": "evt_once_more"})
    assert payouts.statement(row.id).state == "paid"
    assert payouts.differences() == []


def test_a_bank_that_refuses_is_told_and_forgotten(payouts: Payouts) -> None:
    account = payouts.with_account(1)
    payouts.stripe.books.bank_refuses(account)
    payouts.stripe.news.settle()
    payouts.work()
    assert (payouts.payee(1).state, payouts.payee(1).needs) == ("active", ["bank_refused"])
    payouts.stripe.news.send(payouts.stripe.news.event("payout.paid", {"id": "po_2", "metadata": {}}, account))
    assert payouts.payee(1).needs == []


def test_a_closed_account_is_known_as_closed(payouts: Payouts) -> None:
    row = payouts.owing(1, 40_00)
    payouts.stripe.books.reject(str(payouts.payee(1).account))
    payouts.stripe.news.settle()
    payouts.work()
    payouts.approve(row.id)
    payouts.work()
    assert payouts.payee(1).state == "rejected"
    assert payouts.statement(row.id).error == "Stripe has closed their account, so it can't be paid"


def test_kinds_we_do_not_know_are_ignored(payouts: Payouts) -> None:
    for kind in ("customer.created", "account.external_account.created", ""):
        assert payouts.stripe.news.send(payouts.stripe.news.event(kind, {"id": "x"})) == 200
    assert payouts.stripe.news.send({"object": "v2.core.event", "type": "v2.core.account.updated", "data": {}}) == 200


def test_news_is_forgotten_when_it_can_not_come_again(payouts: Payouts, restricted: dict[str, Any]) -> None:
    payouts.stripe.news.send(restricted)
    jobs.prune_news()
    assert events_kept(payouts) > 0
    with clock.fixed_at(datetime(2030, 1, 1, tzinfo=UTC)):
        jobs.prune_news()
    assert events_kept(payouts) == 0


def test_the_door_stands_beside_shopifys(payouts: Payouts) -> None:
    app: Flask = payouts.store.app
    assert [rule.rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/webhooks")] == [DOOR]
