"""Nothing is shown or done for anybody but who Shopify, or our own link, says is there: on every route there is."""

import time
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from itsdangerous import URLSafeTimedSerializer
from werkzeug.routing import Rule

from core import clock, effects
from core.config import settings
from core.db import database
from loyalty.rewards.models import MemberReward
from tests.web.portal.people import PREFIX, link_of, signed
from tests.web.stores import NOW, Store
from web.faces import forms
from web.portal import entering, sessions

OTHERS_SECRET = "somebody-else-has-this-one"


def routes(app: Flask, blueprint: str) -> list[tuple[Rule, str]]:
    """Every route of a blueprint with each of its methods."""
    found = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith(f"{blueprint}.")]
    return [(rule, method) for rule in found for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})]


def bad_queries() -> dict[str, str]:
    good = {"shop": "roastery.myshopify.com", "path_prefix": PREFIX, "timestamp": int(time.time()),
            "logged_in_customer_id": 7}  # fmt: skip
    return {
        "unsigned": "shop=roastery.myshopify.com&logged_in_customer_id=7",
        "by another secret": signed(good, OTHERS_SECRET),
        "for another customer": signed(good).replace("customer_id=7", "customer_id=8"),
        "for another shop": signed(good).replace("roastery", "bakery"),
        "with more said": f"{signed(good)}&got=1",
        "long ago": signed(good | {"timestamp": int(time.time()) - 91}),
        "ahead of time": signed(good | {"timestamp": int(time.time()) + 120}),
        "twice": f"{signed(good)}&logged_in_customer_id=8",
        "nothing": "",
    }


def test_what_shopify_did_not_sign_is_refused_on_every_route(store: Store, other_store: Store, noor: Any) -> None:
    found = routes(store.app, "rewards_inside")
    assert len(found) >= 13
    for rule, method in found:
        for name, query in bad_queries().items():
            answer = store.client.open(f"{rule.rule}?{query}", method=method, data={"sure": "1"})
            assert answer.status_code == 401, (rule.rule, name)
            assert "850" not in answer.get_data(as_text=True)
    assert store.member_of(store.customer(7))["points"]["available"] == 850


def test_a_shop_that_has_not_installed_or_has_left_is_refused(store: Store, inside: Any, noor: Any) -> None:
    for rule, method in routes(store.app, "rewards_inside"):
        visit = inside(7, domain="stranger.myshopify.com")
        form = {forms.FIELD: forms.signed("portal:stranger.myshopify.com:customer-7")}
        answer = store.client.open(f"{rule.rule}?{visit.query()}", method=method, data=form)
        assert answer.status_code in (404, 422), rule.rule


def test_a_form_of_somebody_else_changes_nothing_on_any_route(store: Store, inside: Any, alone: Any, noor: Any) -> None:
    store.settle(store.order(2, store.customer(8, "eve@example.com"), 10_00))
    eve = inside(8).get("/preferences").form("delete")
    outside = alone(store.member_of(store.customer(8))["id"]).get("/preferences").form("delete")
    for blueprint, here in (("rewards_inside", inside(7)), ("rewards", alone(noor["id"]))):
        for rule, method in routes(store.app, blueprint):
            if method != "POST":
                continue
            name = rule.rule.rsplit("/", 1)[1]
            for token in (eve[forms.FIELD], outside[forms.FIELD], "", "x"):
                assert here.post(name, {forms.FIELD: token, "sure": "1"}).status == 403, rule.rule
    assert store.member_of(store.customer(7))["points"]["available"] == 850


def test_who_is_not_signed_in_sees_nobody_s_page_on_any_route(store: Store, inside: Any, alone: Any) -> None:
    for blueprint, here in (("rewards_inside", inside(None)), ("rewards", alone())):
        token = {forms.FIELD: forms.signed("portal:roastery.myshopify.com:"), "sure": "1", "key": "k" * 20}
        free = {"home", "sign_in", "send_link", "leave", "enter"}
        for rule, method in routes(store.app, blueprint):
            if rule.endpoint.split(".")[1] in free:
                continue
            path = rule.rule.rsplit("rewards", 1)[1]
            seen = here.get(path) if method == "GET" else here.post(path[1:], token)
            assert seen.status in (404, 422), rule.rule


def test_a_session_is_of_one_shop_and_one_month(store: Store, other_store: Store, alone: Any, noor: Any) -> None:
    browser = alone(noor["id"])
    cookie = browser.browser.get_cookie(sessions.COOKIE, path="/s/roastery/rewards")
    assert cookie.http_only
    assert cookie.same_site == "Lax"
    assert "850" in browser.get().text
    other = store.app.test_client()
    other.set_cookie(sessions.COOKIE, cookie.value, path="/s/bakery/rewards")
    assert "850" not in other.get("/s/bakery/rewards").get_data(as_text=True)
    assert "Join" in other.get("/s/bakery/rewards").get_data(as_text=True)
    for bad in ("", "x", cookie.value[:-2], forged()):
        browser.browser.set_cookie(sessions.COOKIE, bad, path="/s/roastery/rewards")
        assert "850" not in browser.get().text


def forged() -> str:
    return str(URLSafeTimedSerializer(OTHERS_SECRET, salt="rewards session").dumps(["roastery.myshopify.com", 1]))


def test_links_of_mails_are_of_one_shop_and_end(store: Store, other_store: Store, noor: Any, monkeypatch: Any) -> None:
    link = link_of(store, noor["id"])
    client = store.app.test_client()
    assert client.get(link).status_code == 303
    elsewhere = client.get(link.replace("/s/roastery/", "/s/bakery/"))
    assert elsewhere.status_code == 404
    assert "This link isn't complete" in elsewhere.get_data(as_text=True).replace("&#39;", "'")
    assert client.get(link[:-3]).status_code == 404
    assert client.get("/s/stranger/rewards/enter/x").status_code == 404
    later = time.time() + sessions.LIVES + 60
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
    assert store.app.test_client().get(link).status_code == 410


def test_another_member_s_reward_is_neither_shown_nor_given_back(store: Store, inside: Any, noor: Any) -> None:
    noors = inside(7).get().form("redeem", reward="5-off")
    inside(7).post("redeem", noors)
    with database().transaction(store.shop_id) as session:
        made = session.scalars(sa.select(MemberReward)).one()
    store.settle(store.order(2, store.customer(8, "eve@example.com"), 900_00))
    eve = inside(8)
    page = eve.get(got=str(made.id))
    assert made.code not in page.text
    form = page.form("redeem", reward="5-off")
    assert eve.post("give-back", form | {"id": str(made.id)}).status == 404
    mine = eve.follow(eve.post("redeem", form | {"key": noors["key"]}))
    assert "It's yours" in mine.text
    assert made.code not in mine.text
    for odd in ("0", "-1", "9" * 30, "x", "1'--"):
        assert eve.get(got=odd).status == 200
        assert eve.post("give-back", form | {"id": odd}).status == 404


def test_a_sign_in_link_is_asked_for_with_one_answer_for_all(store: Store, alone: Any, noor: Any) -> None:
    def ask(email: str) -> Any:
        browser = alone()
        return browser.post("sign-in", browser.get("/sign-in").form("sign-in") | {"email": email})

    def wanted() -> list[str]:
        with database().transaction(store.shop_id) as session:
            return list(session.scalars(sa.select(effects.Effect.target).where(effects.Effect.kind == entering.EFFECT)))

    unknown = ask("nobody@example.com")
    assert wanted() == []
    known = ask(" Noor@Example.com")
    assert wanted() == [noor["id"]]
    assert unknown.status == known.status == 303
    assert unknown.answer.headers["Location"] == known.answer.headers["Location"]
    assert "Look into your mail" in alone().get("/sign-in", sent="1").text
    for bad in ("", "noor", "a b@example.com", "x" * 300 + "@example.com", "<script>@x.y z"):
        refused = ask(bad)
        assert refused.status == 422
        assert "That isn't an e-mail address." in refused.text
    assert [ask("noor@example.com").status for _ in range(entering.MOST["address"])][-1] == 429


def test_in_a_demo_who_comes_without_a_signature_is_sent_to_the_store(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO_SHOP", "roastery.myshopify.com")
    monkeypatch.setenv("SANDBOX_URL", "http://127.0.0.1:9")
    settings.cache_clear()
    answer = store.client.get(PREFIX)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "http://127.0.0.1:9/roastery.myshopify.com/apps/rewards"
    assert store.client.get(f"{PREFIX}?shop=roastery.myshopify.com").status_code == 401
    assert store.client.post(f"{PREFIX}/redeem").status_code == 401


def test_the_clock_of_signatures_is_ours(store: Store, inside: Any, noor: Any) -> None:
    query = inside(7).query()
    with clock.fixed_at(NOW.replace(year=NOW.year + 1)):
        assert store.client.get(f"{PREFIX}?{query}").status_code == 401
