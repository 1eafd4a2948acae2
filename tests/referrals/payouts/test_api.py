"""Payouts over the API, and the pages that lead a payee to Stripe and back."""

import re
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as trying
from schemathesis import Case, GenerationMode

from core import clock
from core.config import settings
from core.db import database
from referrals.models import ReferralPartner
from referrals.payouts import links
from tests.referrals.payouts.rig import NOVEMBER, OCTOBER, Payouts
from tests.web.stores import open_store
from tests.web.test_document import path_of
from web.api import payouts as api


@pytest.fixture
def member(payouts: Payouts) -> str:
    store = payouts.store
    store.settle(store.order(1, store.customer(1)))
    return str(store.member_of(store.customer(1))["id"])


def partner(payouts: Payouts) -> int:
    with database().transaction(payouts.shop_id) as session:
        row = ReferralPartner(
            shop_id=payouts.shop_id, partnership="press", name="The Grind", email=b"", email_index="x", actor="test",
            created_at=OCTOBER,
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row.id


def browser(payouts: Payouts) -> httpx.Client:
    return httpx.Client(base_url=payouts.url, trust_env=False)


def onboard(payouts: Payouts, who: str, **body: Any) -> str:
    answer = payouts.store.post(f"{who}/payouts/onboarding", body)
    assert answer.status_code == 200, answer.json
    return str(answer.json["url"])


def test_a_member_goes_to_stripe_comes_back_and_is_paid(payouts: Payouts, member: str) -> None:
    payouts.earn(1, 1)  # somebody else
    with clock.fixed_at(OCTOBER), database().transaction(payouts.shop_id) as session:
        api.operations.earn(
            session, payouts.shop_id, member_id=int(member), amount=40_00, currency="USD", referral_id=1, key="first",
            explanation={}, at=OCTOBER,
        )  # fmt: skip
    url = onboard(payouts, f"/members/{member}")
    assert url.startswith(f"{payouts.url}/payouts/onboarding/")
    with browser(payouts) as client:
        page = client.get(url)
        assert page.status_code == 200
        assert payouts.stripe.calls == {}, "looking changes nothing"
        sent = client.post(url)
        assert sent.status_code == 303
        form = client.get(sent.headers["Location"])
        assert "Set up your account" in form.text
        again = client.get(sent.headers["Location"])
        assert again.headers["Location"] == url, "a link is good once"
        link = client.post(url).headers["Location"]
        client.get(link)
        returned = client.post(link, data={"told": "all"})
        assert returned.headers["Location"] == f"{url}/back"
        payouts.stripe.news.settle()
        assert "set up to be paid" in client.get(returned.headers["Location"]).text
    assert payouts.stripe.calls["accounts.create"] == 1
    who = next(one for one in payees(payouts) if one["member_id"] == member)
    assert (who["state"], who["text"], who["needs"], who["country"]) == ("active", "can be paid", [], "US")
    assert who["balances"] == [{"amount": 40_00, "currency": "USD", "text": "$40.00"}]
    (row,) = [row for row in payouts.close() if str(row.payee_id) == who["id"]]
    approved = payouts.store.post("/payouts/statements/approve", {"ids": [str(row.id)]}, Idempotency_Key="batch 1")
    assert [one["state"] for one in approved.json["items"]] == ["approved"]
    payouts.work()
    (told,) = payouts.store.get("/payouts/statements", state="paid").json["items"]
    assert (told["amount"], told["sent"], told["month"], told["text"]) == (
        40_00, 40_00, "2026-10", "$40.00 for October 2026.",
    )  # fmt: skip
    entries = payouts.store.get(f"/payouts/payees/{who['id']}/entries").json["items"]
    assert [(one["kind"], one["amount"], one["text"]) for one in entries] == [
        ("paid", -40_00, "-$40.00"), ("earned", 40_00, "$40.00"),
    ]  # fmt: skip


def payees(payouts: Payouts, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = payouts.store.get("/payouts/payees", **query).json["items"]
    return found


def test_needs_are_told_in_words(payouts: Payouts, member: str) -> None:
    url = onboard(payouts, f"/members/{member}")
    with browser(payouts) as client:
        link = client.post(url).headers["Location"]
        client.get(link)
        client.post(link, data={"told": "some"})
        payouts.stripe.news.settle()
        (who,) = payees(payouts, state="restricted")
        assert who["needs"] == ["a document that proves identity"]
        for page, title in ((url, "Stripe needs a little more"), (f"{url}/back", "Almost there")):
            text = client.get(page).text
            assert title in text
            assert "a document that proves identity" in text


def test_asking_for_a_link_again_makes_one_payee_and_one_account(payouts: Payouts, member: str) -> None:
    with browser(payouts) as client:
        for _ in range(2):
            assert client.post(onboard(payouts, f"/members/{member}")).status_code == 303
    assert len(payees(payouts)) == 1
    assert len(payouts.stripe.books.accounts()) == 1


def test_an_account_whose_making_got_no_answer_is_made_once(payouts: Payouts, member: str) -> None:
    url = onboard(payouts, f"/members/{member}")
    payouts.stripe.faults.plan("hang_up_after", "accounts.create")
    with browser(payouts) as client:
        away = client.post(url)
        assert away.status_code == 503
        assert "reach Stripe" in away.text
        assert client.post(url).status_code == 303
    assert len(payouts.stripe.books.accounts()) == 1


def test_a_partner_abroad(payouts: Payouts) -> None:
    url = onboard(payouts, f"/referrals/partners/{partner(payouts)}", country="DE")
    with browser(payouts) as client:
        assert client.post(url).status_code == 303
    (account,) = payouts.stripe.books.accounts()
    assert (account["country"], account["tos_acceptance"]["service_agreement"]) == ("DE", "recipient")


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/members/999/payouts/onboarding", {}, 404, "no_member"),
        ("/referrals/partners/999/payouts/onboarding", {}, 404, "no_partner"),
        ("/referrals/partners/999/payouts/onboarding", {"country": "Germany"}, 422, "invalid_input"),
        ("/payouts/statements/approve", {"ids": ["999"]}, 404, "no_statement"),
        ("/payouts/statements/approve", {"ids": []}, 422, "invalid_input"),
        ("/payouts/statements/approve", {"ids": ["9223372036854775808"]}, 422, "invalid_input"),
        ("/payouts/statements/approve", {"ids": [1]}, 422, "invalid_input"),
    ],
)
def test_what_can_not_be(payouts: Payouts, path: str, body: Any, status: int, code: str) -> None:
    answer = payouts.store.post(path, body)
    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_where_nobody_is_paid_all_say_so(payouts: Payouts, environ: pytest.MonkeyPatch, member: str) -> None:
    environ.setenv("STRIPE_SECRET_KEY", "")
    settings.cache_clear()
    paths = ["/payouts/payees", "/payouts/statements", "/payouts/payees/1/entries"]
    answers = [payouts.store.get(path) for path in paths]
    answers += [
        payouts.store.post(f"/members/{member}/payouts/onboarding", {}),
        payouts.store.post("/payouts/statements/approve", {"ids": ["1"]}),
    ]
    assert [(answer.status_code, answer.json["code"]) for answer in answers] == [(404, "no_payouts")] * 5


def test_another_shop_sees_and_approves_nothing(payouts: Payouts) -> None:
    row = payouts.owing(1, 40_00)
    other = open_store(payouts.store.app, "bakery.myshopify.com")
    assert other.get("/payouts/payees").json["items"] == []
    assert other.get("/payouts/statements").json["items"] == []
    assert other.get(f"/payouts/payees/{row.payee_id}/entries").status_code == 404
    assert other.post("/payouts/statements/approve", {"ids": [str(row.id)]}).status_code == 404
    assert payouts.statement(row.id).state == "open"


def test_lists_are_paged(payouts: Payouts) -> None:
    for number in range(1, 6):
        payouts.earn(number, 30_00)
    payouts.close(NOVEMBER)
    for path, size in (("/payouts/payees", 5), ("/payouts/statements", 5)):
        seen, cursor = [], None
        while cursor or not seen:
            page = payouts.store.get(path, limit=2, **({"cursor": cursor} if cursor else {})).json
            seen += [one["id"] for one in page["items"]]
            cursor = page["next"]
        assert len(set(seen)) == len(seen) == size


# Links that are not good.


def test_links_that_are_not_good(payouts: Payouts, member: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = onboard(payouts, f"/members/{member}")
    with browser(payouts) as client:
        assert client.get(url[:-1]).status_code == 404
        assert client.post(f"{payouts.url}/payouts/onboarding/x").status_code == 404
        monkeypatch.setattr(links, "LIVES", -1)
        late = client.post(url)
        assert late.status_code == 410
        assert "too old" in late.text
    assert payouts.stripe.calls == {}


def test_pages_are_kept_to_themselves(payouts: Payouts, member: str) -> None:
    with browser(payouts) as client:
        page = client.get(onboard(payouts, f"/members/{member}"))
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "private, no-store"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert re.search("noindex", page.headers["X-Robots-Tag"])


def test_a_closed_account_is_not_opened_again(payouts: Payouts) -> None:
    payouts.stripe.books.reject(payouts.with_account(1))
    payouts.stripe.news.settle()
    payouts.work()
    with browser(payouts) as client:
        url = links.link(payouts.shop_id, payouts.payee(1).id).url
        assert "closed this account" in client.get(url).text
        assert "closed this account" in client.get(f"{url}/back").text
        page = client.post(url)
    assert page.status_code == 409
    assert "closed this account" in page.text


def test_the_app_does_what_its_document_says(payouts: Payouts, member: str) -> None:
    """As for all other operations, but with Stripe set up."""
    row = payouts.owing(partner(payouts), 40_00)
    ids = {"member_id": member, "partner_id": "1", "payee_id": str(row.payee_id)}
    document = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", payouts.store.app)
    document.config.generation.update(with_security_parameters=False)
    for declared in api.OPERATIONS:
        for mode in GenerationMode:
            _try(payouts, document[path_of(declared)][declared.method], mode, ids)
    assert payouts.differences() == []


def _try(payouts: Payouts, operation: Any, mode: GenerationMode, ids: dict[str, str]) -> None:
    refused = [] if operation.method == "get" else [schemathesis.checks.CHECKS.get_one("positive_data_acceptance")]

    @trying(
        max_examples=5, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(mode))
    def each(case: Case) -> None:
        if mode is GenerationMode.POSITIVE:
            case.path_parameters = {key: ids.get(key, value) for key, value in case.path_parameters.items()}
            (case.query or {}).pop("cursor", None)
            (case.headers or {}).pop("Idempotency-Key", None)
        case.call_and_validate(headers=payouts.store.headers, excluded_checks=refused)

    each()
