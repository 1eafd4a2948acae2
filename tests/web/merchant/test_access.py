"""Nobody gets in without a token of their own shop, whatever the route; pages are framed by that shop's admin only."""

import time
from typing import Any

import jwt
from flask import Flask
from werkzeug.routing import IntegerConverter, Rule

from core.config import settings
from tests.web.merchant.conftest import Office, session_token
from web.merchant.access import BY_LINK

SHOP = "roastery.myshopify.com"


def routes(app: Flask) -> list[tuple[str, str]]:
    """Every route of the merchant's with a path that fits it."""
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("merchant.") and rule.endpoint.partition(".")[2] not in BY_LINK:
            values = {name: _fitting(rule, name) for name in rule.arguments}
            with app.test_request_context():
                path = app.url_for(rule.endpoint, **values)
            found += [(method, path) for method in sorted(rule.methods or ()) if method in ("GET", "POST")]
    return found


def _fitting(rule: Rule, name: str) -> int | str:
    """A value that the route takes."""
    return 1 if isinstance(rule._converters[name], IntegerConverter) else "members"


def tokens() -> dict[str, str]:
    now, secret = int(time.time()), "another secret that is long enough"
    good = {"iss": f"https://{SHOP}/admin", "dest": f"https://{SHOP}", "aud": settings().shopify_api_key, "sub": "1"}
    return {
        "none": "",
        "expired": session_token(SHOP, exp=now - 60),
        "other secret": jwt.encode(good | {"exp": now + 60, "nbf": now}, secret, algorithm="HS256"),
        "unsigned": jwt.encode(good | {"exp": now + 60, "nbf": now}, "", algorithm="none"),
        "other app": session_token(SHOP, aud="another-app"),
        "two shops": session_token(SHOP, iss="https://bakery.myshopify.com/admin"),
        "cut off": session_token(SHOP)[:-4],
    }


def test_every_route_refuses_whoever_has_no_good_token(office: Office) -> None:
    client, asked = office.store.client, routes(office.store.app)
    assert len(asked) >= 15
    for name, token in tokens().items():
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        for method, path in asked:
            answer = client.open(path, method=method, query_string={"shop": SHOP}, headers=headers)
            assert answer.status_code == 401, (name, method, path)


def test_every_change_needs_a_form_of_the_same_person(office: Office, other_office: Office) -> None:
    from web.faces import forms

    client = office.store.client
    for owner in ("", f"merchant:{other_office.domain}:41", f"merchant:{office.domain}:42"):
        for method, path in routes(office.store.app):
            if method == "POST":
                sent: dict[str, Any] = {"form_token": forms.signed(owner)} if owner else {}
                assert client.post(path, data=sent, headers=office.headers).status_code == 403, path


def test_a_page_without_a_token_has_one_made_once(office: Office) -> None:
    client = office.store.client
    first = client.get("/merchant/members", query_string={"shop": SHOP, "host": "abc"})
    assert first.status_code == 401
    assert "merchant-bounce.js" in first.text
    assert settings().shopify_app_bridge_url in first.text
    again = client.get("/merchant/members", query_string={"shop": SHOP, "host": "abc", "tried": "1"})
    assert "merchant-bounce.js" not in again.text
    assert "open the app from your Shopify admin again" in again.text


def test_outside_the_admin_a_sentence_says_where_it_is(office: Office) -> None:
    answer = office.store.client.get("/merchant/members", query_string={"shop": "evil.example"})
    assert answer.status_code == 401
    assert "Open this from your Shopify admin" in answer.text
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_the_token_may_come_in_the_address_and_the_policy_names_the_shop(office: Office) -> None:
    answer = office.store.client.get("/merchant/members", query_string={"id_token": session_token(SHOP), "shop": SHOP})
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert f"frame-ancestors https://{SHOP} https://admin.shopify.com" in policy
    assert "script-src 'self' https://cdn.shopify.com;" in policy
    assert "Set-Cookie" not in answer.headers


def test_what_is_refused_of_a_form_is_a_notice(office: Office) -> None:
    answer = office.post("/members/999/adjust", points="5", reason="x")
    assert answer.status_code == 404
    assert answer.headers["HX-Retarget"] == "#notices"
    assert office.get("/members/999").status_code == 404


def test_what_is_not_there_is_not_found(office: Office) -> None:
    for path in ("/nothing", "/members/0", f"/members/{2**64}"):
        assert office.get(path).status_code == 404, path


def test_nothing_said_comes_from_an_address_of_somebody_else(office: Office) -> None:
    assert "Send me your password" not in office.text("/members", said="Send me your password")
