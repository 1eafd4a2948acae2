"""What a member sees on the rewards page, and who is not signed in, in both places."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from core.db import database
from loyalty import programs
from loyalty.models import Member
from loyalty.program import Program, demo_program
from shops import operations
from shops.models import Shop
from tests.web.stores import DAY, NOW, Store, refund

PLACES = ("inside", "alone")


@pytest.fixture(params=PLACES)
def open_page(request: pytest.FixtureRequest, inside: Any, alone: Any, noor: Any) -> Callable[[], Any]:
    """Noor's pages in each of the two places."""
    return lambda: inside(7) if request.param == "inside" else alone(noor["id"])


def publish(store: Store, **changes: Any) -> None:
    document = demo_program().model_dump(mode="json") | changes
    with database().transaction(store.shop_id) as session:
        program = Program.model_validate(document)
        programs.publish(session, store.shop_id, program, effective_from=NOW - DAY, actor="test")


def test_the_balance_is_there_with_its_worth_the_tier_and_what_comes_next(open_page: Any) -> None:
    page = open_page().get()
    assert page.status == 200, page.text
    assert "850 points" in page.text
    assert "Worth $5" in page.text
    assert "Advocate" in page.text
    assert "You're $700 away from Ambassador." in page.text
    assert "800 points for order #1. $800.00 at 1 point per dollar." in page.text
    assert "$10 off 1,000 points 150 points to go" in page.text
    assert "Give $10 off, get $10 off" in page.text


def test_inside_it_is_a_part_of_the_theme_and_outside_a_whole_page(inside: Any, alone: Any, noor: Any) -> None:
    part, whole = inside(7).get(), alone(noor["id"]).get()
    assert part.answer.headers["Content-Type"] == "application/liquid; charset=utf-8"
    # What the theme's page may load is the shop's to say.
    assert "Content-Security-Policy" not in part.answer.headers
    assert "Set-Cookie" not in part.answer.headers
    assert "<html" not in part.html
    assert 'href="http://127.0.0.1:5000/static/portal.css' in part.html
    assert 'href="/apps/rewards/history"' in part.html
    assert whole.answer.mimetype == "text/html"
    assert "<html" in whole.html
    assert 'href="/s/roastery/rewards/history"' in whole.html
    policy = whole.answer.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    for page in (part, whole):
        assert "style=" not in page.html
        assert "noindex" in page.answer.headers["X-Robots-Tag"]
        assert page.answer.headers["Cache-Control"] == "private, no-store"
    # A policy of ours would be the whole theme's, and stop its styles.
    assert "Content-Security-Policy" not in inside(7).get().answer.headers
    assert "Content-Security-Policy" in alone(noor["id"]).get().answer.headers


def test_what_people_typed_is_never_liquid(store: Store, inside: Any) -> None:
    name = "{{ shop.email }}{%render 'x'%}{{{% raw"
    store.settle(store.order(1, store.customer(8, "liquid@example.com")._replace(name=name)))
    with database().transaction(store.shop_id) as session:
        shop = session.get_one(Shop, store.shop_id)
        shop.name = "{{ settings }}"
        operations.set_appearance(session, shop.id, {"texts": {"headline": "{{ content_for_header }}"}}, actor="test")
    for path in ("", "/history", "/preferences"):
        page = inside(8).get(path)
        assert page.status == 200
        assert "{{" not in page.html
        assert "{%" not in page.html
    greeting = inside(8).get()
    assert "Hello {{" in greeting.text
    assert "{{ content_for_header }}" in inside(None).get().text


def test_who_is_not_signed_in_is_told_the_program_in_one_screen(inside: Any, alone: Any, store: Store) -> None:
    for page in (inside(None).get(), alone().get()):
        assert page.status == 200
        assert "A first order of $50 brings 50 points, and joining 50 more: 100 in all." in page.text
        assert "200 points more, and Free shipping is yours." in page.text
        for tier in ("Insider From the start", "Advocate From $500 in 365 days", "Ambassador From $1,500 in 365 days"):
            assert tier in page.text
        assert "1.25 × the points on every order" in page.text
        assert "Join and get 50 points" in page.text
    assert 'href="/s/roastery/rewards/sign-in"' in alone().get().html
    assert "customer_authentication/login?return_to=%2Fapps%2Frewards" in inside(None).get().html


def test_a_customer_whom_no_order_made_a_member_joins_with_one_tap(inside: Any, store: Store) -> None:
    page = inside(99).get()
    assert "Join and get 50 points" in page.text
    joined = inside(99).follow(inside(99).post("join", page.form("join")))
    assert "Welcome. You're in." in joined.text
    assert "50 points" in joined.text
    again = inside(99).post("join", page.form("join"))
    assert again.status in (200, 409)
    assert store.member_of(store.customer(99))["points"]["available"] == 50


def test_points_on_their_way_say_when_they_come(store: Store, inside: Any, noor: Any) -> None:
    store.settle(store.order(2, store.customer(7), 40_00, status="pending"))
    page = inside(7).get()
    assert "40 points more on the way" in page.text
    assert "Order #2 yours once it is paid +40" in page.text


def test_refunds_and_history_say_why(store: Store, inside: Any, noor: Any) -> None:
    store.settle(store.order(1, store.customer(7), 800_00)._replace(refunds=(refund(1, 100_00),)))
    assert "$100.00 of order #1 was refunded, so 100 points went back." in inside(7).get().text


def test_history_goes_back_page_by_page_to_the_beginning(store: Store, inside: Any, noor: Any) -> None:
    store.settle(*(store.order(n, store.customer(7), 10_00) for n in range(2, 42)))
    first = inside(7).get("/history")
    assert first.html.count("r-happening") == 15
    before = first.html.split("before=")[1].split('"')[0].split("&")[0]
    second = inside(7).get("/history", before=before)
    assert second.html.count("r-happening") == 15
    last = inside(7).get("/history", before=second.html.split("before=")[1].split('"')[0].split("&")[0])
    assert last.html.count("r-happening") == 12
    assert "That's everything" in last.text
    assert "50 points for joining." in last.text
    assert inside(7).get("/history", before="x'--").status == 200
    assert "That's everything" in inside(7).get("/history", before="0").text


def test_points_that_expire_soon_are_said_above_everything(store: Store, inside: Any, noor: Any) -> None:
    with database().transaction(store.shop_id) as session:
        session.get_one(Member, (store.shop_id, int(noor["id"]))).last_active_at = NOW - timedelta(days=300)
    assert "850 points expire on" in inside(7).get().text


def test_every_language_is_spoken_and_kept(inside: Any, alone: Any, noor: Any) -> None:
    for language, direction in (("fr", "ltr"), ("de", "ltr"), ("es", "ltr"), ("ja", "ltr"), ("ar", "rtl")):
        for page in (inside(7).get(lang=language), alone(noor["id"]).get(lang=language)):
            assert f'lang="{language}" dir="{direction}"' in page.html
            assert f"history?lang={language}" in page.html
        reader = inside(7)
        reader.headers["Accept-Language"] = f"{language};q=0.9, en;q=0.5"
        assert f'lang="{language}" dir="{direction}"' in reader.get().html
    assert 'lang="en"' in inside(7).get(lang="xx").html


def test_the_shop_s_look_and_words_are_the_page_s(store: Store, inside: Any, alone: Any) -> None:
    chosen = {
        "accent": "#0a7a5c", "font": "serif", "corner": "square",
        "texts": {"headline": "Sip. Earn. Repeat.", "welcome": "Good to see you"},
        "translations": {"fr": {"headline": "Un café, des points."}},
    }  # fmt: skip
    with database().transaction(store.shop_id) as session:
        operations.set_appearance(session, store.shop_id, chosen, actor="staff:1")
    page = inside(None).get()
    assert "Sip. Earn. Repeat." in page.text
    assert "--ticket: #0a7a5c;" in page.html
    assert "corner-square font-serif" in page.html
    assert "Georgia" in page.html
    assert "Un café, des points." in alone().get(lang="fr").text


def test_every_kind_of_reward_shows_what_it_takes(store: Store, inside: Any, noor: Any) -> None:
    publish(store, rewards=[
        {"key": "any", "name": "Money off", "cost": 100, "kind": "variable", "step": 50, "amount": 50},
        {"key": "mug", "name": "A mug", "cost": 200, "kind": "custom", "description": "With our bird.", "stock": 3},
        {"key": "top", "name": "Tasting", "cost": 10, "kind": "custom", "tiers": ["ambassador"]},
        {"key": "far", "name": "A grinder", "cost": 5000, "kind": "custom"},
        {"key": "off", "name": "Ten percent", "cost": 300, "kind": "percentage", "percentage": "10",
         "minimum_order": 2000, "valid_days": 30},
    ])  # fmt: skip
    page = inside(7).get()
    assert "Worth $8.50" in page.text
    assert "$8.50 for 850 points" in page.text
    assert "With our bird. 3 left" in page.text
    assert "Tasting is for Ambassador members." in page.text
    assert "4,150 points to go" in page.text
    assert "For orders of $20 or more · Use it within 30 days" in page.text


def test_a_program_without_anything_extra_says_so(store: Store, inside: Any, noor: Any) -> None:
    publish(store, rewards=[], referral={"enabled": False}, expiry=None)
    page = inside(7).get()
    assert "There are no rewards at the moment." in page.text
    assert "Copy link" not in page.text


def test_huge_and_negative_balances_hold(store: Store, inside: Any, noor: Any) -> None:
    for points, shown in ((1_999_999_999_999, "1,999,999,999,999"), (-120, "-120")):
        with database().transaction(store.shop_id) as session:
            session.get_one(Member, (store.shop_id, int(noor["id"]))).available = points
        page = inside(7).get()
        assert page.status == 200
        assert f"{shown} points" in page.text


def test_a_merged_member_is_whom_they_became(store: Store, inside: Any, alone: Any, noor: Any) -> None:
    store.settle(store.order(2, store.customer(8, "old@example.com"), 10_00))
    old = store.member_of(store.customer(8))
    with database().transaction(store.shop_id) as session:
        session.get_one(Member, (store.shop_id, int(old["id"]))).merged_into = int(noor["id"])
    assert "850 points" in inside(8).get().text
    assert "850 points" in alone(old["id"]).get().text
