"""Friends' pages and the page on which members bring them: who sees what, what counts, and what is refused."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask

from core import clock
from core.config import settings
from core.db import database
from core.effects import Effect
from core.i18n import price
from loyalty import programs
from loyalty.models import Member
from loyalty.privacy import erase_person, find_person
from loyalty.program import Benefit, Partnership, Program, Referral, demo_program
from referrals import links, members, progress, visits
from referrals.models import (
    Referral as Brought,
)
from referrals.models import ReferralClaim, ReferralCode, ReferralCount, ReferralReward, ReferralVisit
from shops import tokens
from shops.models import Shop
from tests.web.stores import DAY, NOW, Store
from wallet_passes.design import contrast, parsed
from web import visitors

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1"


class Friend:
    """A browser on a shop's pages."""

    def __init__(self, app: Flask, store: Store, address: str = "198.51.100.7") -> None:
        self.client, self.store, self.address = app.test_client(), store, address

    def get(self, path: str, **headers: str) -> Any:
        return self.open(path, "GET", **headers)

    def open(self, path: str, method: str, data: Any = None, agent: str = PHONE, **headers: str) -> Any:
        named = {"User-Agent": agent} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.open(
            path, method=method, data=data, headers=named, environ_base={"REMOTE_ADDR": self.address}
        )

    def claim(self, path: str, email: str = "friend@example.org", **form: str) -> Any:
        """Fill in the form as it stands on the page and send it."""
        found = re.search(r'name="token" value="([^"]*)"', self.get(path).text)
        fields = {"token": found[1] if found else "", "email": email, "consent": "1", "website": ""} | form
        return self.open(path, "POST", {name: value for name, value in fields.items() if value is not None})


class Bringer:
    """A member of a store, their code and their page."""

    def __init__(self, store: Store, number: int = 7, name: str = "Noor Haddad") -> None:
        self.store = store
        customer = store.customer(number, f"m{number}@example.com")._replace(name=name)
        store.settle(store.order(number, customer))
        self.id = int(store.member_of(customer)["id"])
        with database().transaction(store.shop_id) as session:
            shop = session.get_one(Shop, store.shop_id)
            self.code = members.code_of(session, shop.id, self.id).code
            self.path = urlsplit(members.link(shop, members.code_of(session, shop.id, self.id))).path
            self.page = urlsplit(links.bring(shop, self.id).url).path


@pytest.fixture
def noor(store: Store) -> Bringer:
    return Bringer(store)


@pytest.fixture
def friend(app: Flask, store: Store) -> Friend:
    return Friend(app, store)


@pytest.fixture
def publish(store: Store) -> Iterator[Any]:
    def publish(**referral: Any) -> Program:
        program = demo_program().model_copy(update={"referral": Referral(**referral)})
        with database().transaction(store.shop_id) as session:
            programs.publish(session, store.shop_id, program, effective_from=NOW - DAY, actor="test")
        return program

    return publish


def rows(store: Store, table: Any) -> list[Any]:
    with database().transaction(store.shop_id) as session:
        return list(session.scalars(sa.select(table)))


def change(store: Store, statement: Any) -> None:
    with database().transaction(store.shop_id) as session:
        session.execute(statement)


# The invitation.


def test_a_friend_sees_who_invites_to_what(friend: Friend, noor: Bringer) -> None:
    answer = friend.get(noor.path)
    assert answer.status_code == 200
    assert "<h1>Noor gives you $10 off</h1>" in answer.text
    assert "Haddad" not in answer.text
    assert "For your first order of $30 or more." in answer.text
    assert "it's yours for 30 days" in answer.text
    assert 'property="og:title" content="Noor gives you $10 off"' in answer.text
    assert "Get my $10 off" in answer.text


GIFTS = [
    (Benefit(kind="percentage", percentage=15), "Noor gives you 15% off", "Get my 15% off"),
    (Benefit(kind="free_shipping"), "Noor gives you free shipping", "Get my free shipping"),
    (Benefit(kind="points", points=500), "Noor gives you 500 points", "Get my 500 points"),
    (Benefit(kind="store_credit", amount=1050), "Noor gives you $10.50 in store credit", "$10.50 in store credit"),
    (Benefit(kind="none"), "Noor invites you to roastery.myshopify.com", "Accept the invitation"),
]


def test_each_kind_in_its_words(app: Flask, store: Store, noor: Bringer, publish: Any) -> None:
    for number, (benefit, headline, button) in enumerate(GIFTS):
        publish(friend=benefit)
        friend = Friend(app, store, f"192.0.{number}.1")
        text = friend.get(noor.path).text
        assert f"<h1>{headline}</h1>" in text
        assert button in text
        assert friend.claim(noor.path, f"friend{number}@example.org").status_code == 303
        claimed = friend.get(noor.path).text
        assert ("data-code" in claimed) == (benefit.kind in ("percentage", "free_shipping")), benefit.kind
        assert "<form" not in claimed


NAMES = [
    ("noor haddad", "noor"),
    ("Zoë-Anne O’Neil", "Zoë-Anne"),
    ("نور حداد", "نور"),
    ("www.cheap-coffee.example now", None),
    ("Win$1000", None),
    ("<script>alert(1)</script>", None),
    ("N", None),
    ("", None),
]


def test_only_what_looks_like_a_name_is_shown(friend: Friend, noor: Bringer) -> None:
    for name, shown in NAMES:
        change(noor.store, sa.update(Member).values(name=name))
        text = friend.get(noor.path).text
        told = re.search(r"<h1>(.*?) gives you", text)
        assert told is not None
        assert told[1].strip("\u2068\u2069") == (shown or "A friend")
        assert "<script>alert" not in text
        assert "cheap-coffee" not in text


def test_codes_are_read_as_people_type_them(friend: Friend, noor: Bringer) -> None:
    base = noor.path.rsplit("/", 1)[0]
    for typed in (noor.code.lower(), f"{noor.code[:3]}-{noor.code[3:]}", f"%20{noor.code}%20"):
        assert "Noor gives you" in friend.get(f"{base}/{typed}").text


def test_a_slip_is_put_right(friend: Friend, noor: Bringer) -> None:
    answer = friend.get(noor.path[:-1])
    assert answer.status_code == 404
    assert f'Did you mean <strong class="code">{noor.code}</strong>?' in answer.text
    assert f'href="{noor.path}"' in answer.text
    assert "Noor" not in answer.text


def test_what_leads_nowhere_is_a_kind_page(friend: Friend, noor: Bringer) -> None:
    base = noor.path.rsplit("/", 1)[0]
    for path, title in (
        (f"{base}/NOBODY99", "We don&#39;t know this code"),
        (f"{base}/%00", "We don&#39;t know this code"),
        (f"{base}/{'x' * 3000}", "We don&#39;t know this code"),
        (f"{base}/", "This link isn&#39;t complete"),
        ("/s/nobody/r/NOOR42", "This shop isn&#39;t here"),
        ("/s/roastery/bring/made-up", "This link isn&#39;t complete"),
    ):
        answer = friend.get(path)
        assert (answer.status_code, answer.mimetype) == (404, "text/html"), path
        assert title in answer.text, path


def test_a_shop_that_has_left_invites_nobody(friend: Friend, noor: Bringer) -> None:
    change(noor.store, sa.update(Shop).values(uninstalled_at=NOW))
    assert friend.get(noor.path).status_code == 404


def test_an_owner_who_has_left_invites_nobody(friend: Friend, noor: Bringer) -> None:
    shop = noor.store.shop_id
    with database().transaction(shop) as session:
        erase_person(session, shop, find_person(session, shop, customer_id=7))
    for answer in (friend.get(noor.path), friend.get(noor.page)):
        assert answer.status_code == 404
        assert "Noor" not in answer.text


def test_while_nobody_can_bring_friends(friend: Friend, noor: Bringer, publish: Any) -> None:
    publish(enabled=False)
    for answer in (friend.get(noor.path), friend.claim(noor.path), friend.get(noor.page)):
        assert answer.status_code == 409
        assert "No invitations at the moment" in answer.text


def test_a_retired_code_is_still_theirs_for_a_while(friend: Friend, noor: Bringer) -> None:
    with database().transaction(noor.store.shop_id) as session:
        members.choose(session, noor.store.shop_id, noor.id, "NOOR10", "test")
    assert "Noor has a new code by now. This one still works." in friend.get(noor.path).text
    change(noor.store, sa.update(ReferralCode).where(ReferralCode.code == noor.code).values(retired_at=NOW - 31 * DAY))
    answer = friend.get(noor.path)
    assert (answer.status_code, "This invitation has ended" in answer.text) == (404, True)


def test_a_partner_has_a_page_of_their_own(friend: Friend, store: Store, noor: Bringer, publish: Any) -> None:
    terms = Partnership(
        key="press", name="Press", kind="affiliate", friend=Benefit(kind="percentage", percentage=20),
        referrer=Benefit(kind="commission", percentage=5), landing_title="As read in <Slow Mornings>",
        landing_text="The beans from the winter issue.",
    )  # fmt: skip
    publish(partnerships=(terms,))
    body = {"partnership": "press", "name": "Slow Mornings Magazine", "email": "desk@example.com", "code": "SLOW20"}
    made = store.post("/referrals/partners", body)
    assert made.status_code == 201, made.text
    text = friend.get(noor.path.rsplit("/", 1)[0] + "/slow20").text
    assert "As read in &lt;Slow Mornings&gt;" in text
    assert "The beans from the winter issue." in text
    assert "20% off" in text


# The claim.


def test_a_claim_shows_its_code_to_this_browser_alone(app: Flask, friend: Friend, noor: Bringer) -> None:
    asked = friend.get(noor.path).text
    answer = friend.claim(noor.path, " Friend@Example.org ", news="1")
    assert (answer.status_code, answer.location) == (303, noor.path)
    (claim,) = rows(noor.store, ReferralClaim)
    assert claim.wants_news
    assert claim.consent.startswith("roastery.myshopify.com may keep my e-mail address")
    assert claim.consent in asked
    shown = friend.get(noor.path)
    assert claim.discount in shown.text
    assert "We&#39;re getting it ready." in shown.text or "We're getting it ready." in shown.text
    assert claim.discount not in Friend(app, noor.store).get(noor.path).text
    assert [effect.target for effect in rows(noor.store, Effect) if effect.kind == "referral.claim"] == [str(claim.id)]


def test_the_way_to_the_shop_takes_the_code_along(friend: Friend, noor: Bringer) -> None:
    change(noor.store, sa.update(Shop).values(public_url="https://pier.example/"))
    friend.claim(noor.path)
    (claim,) = rows(noor.store, ReferralClaim)
    found = re.search(r'class="action" href="([^"]+)"', friend.get(noor.path).text)
    assert found is not None
    url = urlsplit(found[1].replace("&amp;", "&"))
    assert (url.netloc, url.path) == ("pier.example", f"/discount/{claim.discount}")
    assert parse_qs(url.query) == {"rapport_ref": [noor.code], "redirect": [f"/?rapport_ref={noor.code}"]}


COURSE = {
    "making": "getting it ready",
    "made": "Shop now with $10 off",
    "used": "You've used it.",
    "ended": "The code you had here has ended.",
    "failed": "We couldn't make your code.",
}


def test_what_a_claim_says_as_it_goes_on(friend: Friend, noor: Bringer) -> None:
    friend.claim(noor.path)
    for state, said in COURSE.items():
        change(noor.store, sa.update(ReferralClaim).values(state=state))
        text = friend.get(noor.path).text
        assert said in text
        assert ("<form" in text) == (state in ("ended", "failed"))
        assert friend.get(f"{noor.path}/ready").json == {"state": state}


def test_somebody_else_s_claim_is_not_shown(app: Flask, friend: Friend, noor: Bringer) -> None:
    """The same address, from another browser: it has its code already, which the first browser shows."""
    friend.claim(noor.path)
    (claim,) = rows(noor.store, ReferralClaim)
    other = Friend(app, noor.store, "203.0.113.9")
    answer = other.claim(noor.path)
    assert answer.status_code == 200
    assert "You have this already" in answer.text
    assert claim.discount not in answer.text
    assert claim.discount not in other.get(noor.path).text
    assert other.get(f"{noor.path}/ready").json == {"state": None}


def test_whoever_shops_here_already_is_told_kindly(friend: Friend, noor: Bringer) -> None:
    Bringer(noor.store, 8, "Theo Okafor")
    answer = friend.claim(noor.path, "m8@example.com")
    assert answer.status_code == 409
    assert "You're already with us" in answer.text
    assert "<form" not in answer.text


BAD_FORMS: tuple[tuple[dict[str, Any], int, str], ...] = (
    ({"email": ""}, 422, "an e-mail address"),
    ({"email": "nobody"}, 422, "an e-mail address"),
    ({"email": "a@example.com\r\nBcc: b@example.com"}, 422, "an e-mail address"),
    ({"email": "<script>@example.com"}, 422, "an e-mail address"),
    ({"email": "a" * 5000 + "@example.com"}, 422, "an e-mail address"),
    ({"email": "a\x00@example.com"}, 422, "an e-mail address"),
    ({"consent": ""}, 422, "Please tick the box"),
    ({"email": "m7@example.com"}, 409, "your own code"),
    ({"token": "made-up"}, 403, "Allow cookies"),
    ({"token": None}, 403, "Allow cookies"),
)


def test_a_form_that_is_not_right_comes_back(friend: Friend, noor: Bringer) -> None:
    for form, status, said in BAD_FORMS:
        answer = friend.claim(noor.path, **form)
        assert answer.status_code == status, form
        assert said in answer.text.replace("&#39;", "'")
        assert 'role="alert"' in answer.text
        assert "<script>@" not in answer.text
    assert rows(noor.store, ReferralClaim) == []


def test_another_site_can_claim_in_nobody_s_name(app: Flask, friend: Friend, noor: Bringer) -> None:
    """Neither with a token of the attacker's own page, nor without a cookie."""
    token = re.search(r'name="token" value="([^"]*)"', Friend(app, noor.store).get(noor.path).text)
    assert token is not None
    friend.get(noor.path)
    assert friend.claim(noor.path, token=token[1]).status_code == 403
    stranger = Friend(app, noor.store)
    form = {"token": token[1], "email": "friend@example.org", "consent": "1"}
    assert stranger.open(noor.path, "POST", form).status_code == 403
    assert rows(noor.store, ReferralClaim) == []


def test_a_robot_that_fills_in_everything_claims_nothing(friend: Friend, noor: Bringer) -> None:
    assert friend.claim(noor.path, website="https://example.com").status_code == 303
    assert rows(noor.store, ReferralClaim) == []


def test_a_thousand_claims_from_one_address_end_soon(app: Flask, store: Store, noor: Bringer) -> None:
    answers = [Friend(app, store).claim(noor.path, f"friend{number}@example.org") for number in range(25)]
    late = answers[-1]
    assert late.status_code == 429
    assert int(late.headers["Retry-After"]) > 0
    assert "try again in an hour" in late.text
    assert 0 < len(rows(store, ReferralClaim)) <= 20


def test_the_cookie_says_nothing_of_anybody(friend: Friend, noor: Bringer) -> None:
    friend.claim(noor.path)
    cookie = friend.client.get_cookie(visitors.COOKIE, path="/s/roastery")
    assert cookie is not None
    assert (cookie.http_only, cookie.same_site, cookie.path) == (True, "Lax", "/s/roastery")
    assert cookie.max_age == 30 * 24 * 3600
    assert "friend" not in cookie.value.replace(visitors.COOKIE, "")


def test_a_cookie_of_another_shop_or_a_forged_one_is_none(app: Flask, friend: Friend, noor: Bringer) -> None:
    friend.claim(noor.path)
    (claim,) = rows(noor.store, ReferralClaim)
    cookie = friend.client.get_cookie(visitors.COOKIE, path="/s/roastery")
    assert cookie is not None
    thief = Friend(app, noor.store)
    for value in (cookie.value[:-1], "x", "", "W10.x.y"):
        thief.client.set_cookie(visitors.COOKIE, value, path="/s/roastery")
        assert claim.discount not in thief.get(noor.path).text


def test_the_link_without_its_end_leads_back(friend: Friend, noor: Bringer) -> None:
    friend.get(noor.path)
    answer = friend.get(noor.path.rsplit("/", 1)[0] + "/")
    assert (answer.status_code, answer.location) == (303, noor.path)


# What counts.


NOBODY: tuple[dict[str, str], ...] = (
    {"Sec_Purpose": "prefetch;prerender"},
    {"Purpose": "prefetch"},
    {"X_Moz": "prefetch"},
    {"agent": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"},
    {"agent": "WhatsApp/2.23.20.0"},
    {"agent": "facebookexternalhit/1.1"},
    {"agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"},
    {"agent": "TelegramBot (like TwitterBot)"},
    {"agent": "Mozilla/5.0 (Macintosh) AppleWebKit (KHTML, like Gecko) Version/17 Safari (Applebot/0.1)"},
    {"agent": "curl/8.5.0"},
    {"agent": "python-httpx/0.28"},
    {"agent": ""},
)
PEOPLE = (
    PHONE,
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 [FBAN/FBIOS;FBAV/440.0]",
    "Mozilla/5.0 (Linux; Android 13; CUBOT NOTE 50) AppleWebKit/537.36 Chrome/130.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:131.0) Gecko/20100101 Firefox/131.0",
)


def test_robots_and_previews_count_for_nothing(friend: Friend, noor: Bringer) -> None:
    for headers in NOBODY:
        answer = friend.get(noor.path, **headers)
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers, headers
    assert friend.open(noor.path, "HEAD").status_code == 200
    assert (rows(noor.store, ReferralVisit), rows(noor.store, ReferralCount)) == ([], [])


def test_people_count_once_in_a_while(app: Flask, friend: Friend, noor: Bringer) -> None:
    for agent in PEOPLE:
        Friend(app, noor.store).open(f"{noor.path}?via=whatsapp", "GET", agent=agent)
    for _ in range(3):
        friend.get(f"{noor.path}?via=<b>")
    assert counted(noor) == (0, len(PEOPLE) + 1, len(PEOPLE) + 1)
    assert sorted(visit.via for visit in rows(noor.store, ReferralVisit)) == ["link", *["whatsapp"] * len(PEOPLE)]
    with clock.fixed_at(clock.now() + visits.AGAIN + timedelta(minutes=1)):
        friend.get(noor.path)
    shares, clicks, seen = counted(noor)
    assert (shares, clicks) == (0, len(PEOPLE) + 2)
    # Around midnight the same visitor is one of two days.
    assert seen in (len(PEOPLE) + 1, len(PEOPLE) + 2)


def counted(bringer: Bringer) -> tuple[int, ...]:
    with database().transaction(bringer.store.shop_id) as session:
        keys = session.scalars(sa.select(ReferralCount.code_key)).all()
        return visits.counts(session, bringer.store.shop_id, keys)


def test_only_hashes_are_kept(friend: Friend, noor: Bringer) -> None:
    friend.get(noor.path)
    (visit,) = rows(noor.store, ReferralVisit)
    assert re.fullmatch("[0-9a-f]{64}", visit.visitor)
    assert re.fullmatch("[0-9a-f]{64}", visit.network)


def test_a_flood_from_one_network_is_cut_off(app: Flask, noor: Bringer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visits, "MOST_AN_HOUR", 5)
    for _ in range(8):
        assert Friend(app, noor.store).get(noor.path).status_code == 200
    Friend(app, noor.store, "203.0.113.9").get(noor.path)
    assert counted(noor) == (0, 6, 6)


def test_looks_are_forgotten_and_their_counts_stay(friend: Friend, noor: Bringer) -> None:
    friend.get(noor.path)
    with database().transaction(noor.store.shop_id) as session:
        assert visits.prune(session, clock.now() + timedelta(days=89)) == 0
        assert visits.prune(session, clock.now() + timedelta(days=91)) == 1
    assert counted(noor) == (0, 1, 1)


# The member's page.


def test_a_member_passes_the_code_on(friend: Friend, noor: Bringer) -> None:
    text = friend.get(noor.page).text
    for said in (
        noor.code,
        noor.path,
        "Bring a friend, give $10 off",
        "They get $10 off on a first order of $30 or more.",
        "You get $10 off when it is paid.",
        "Nobody has opened your link yet.",
        "<svg",
    ):
        assert said in text, said
    hrefs = [href.replace("&amp;", "&") for href in re.findall(r'<a href="([^"]+)" data-via', text)]
    assert [href.split(":")[0] for href in hrefs] == ["https", "sms", "mailto", "https", "https"]
    assert all("via" in href for href in hrefs)


def test_the_member_s_own_look_counts_for_nothing_and_is_known(friend: Friend, noor: Bringer) -> None:
    friend.get(noor.page)
    assert [visit.via for visit in rows(noor.store, ReferralVisit)] == [visits.OWN]
    assert rows(noor.store, ReferralCount) == []
    assert "This is your own link." in friend.get(noor.path).text


def test_a_tap_is_counted(friend: Friend, noor: Bringer) -> None:
    assert friend.open(f"{noor.page}/shared", "POST", {"via": "whatsapp"}).status_code == 204
    assert counted(noor) == (1, 0, 0)


def test_no_more_taps_count_than_somebody_makes_in_a_day(
    friend: Friend, noor: Bringer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "MOST_SHARES", 2)
    for _tap in range(4):
        assert friend.open(f"{noor.page}/shared", "POST").status_code == 204
    assert counted(noor) == (2, 0, 0)


def test_the_page_of_another_shop_s_member(friend: Friend, noor: Bringer, other_store: Store) -> None:
    """The signature holds the shop, too."""
    for path in (noor.page.replace("/s/roastery/", "/s/bakery/"), noor.page[:-2], "/s/bakery/bring/x"):
        for method, way in (("GET", ""), ("POST", "/code"), ("POST", "/shared")):
            assert friend.open(path + way, method, {"code": "NOOR10"}).status_code == 404
    assert [row.code for row in rows(noor.store, ReferralCode)] == [noor.code]


def test_an_old_link_says_where_to_get_another(friend: Friend, noor: Bringer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "LIVES", -1)
    answer = friend.get(noor.page)
    assert answer.status_code == 410
    assert "Your rewards page has a new one." in answer.text


def test_a_code_that_can_t_be_comes_back_with_why(friend: Friend, noor: Bringer) -> None:
    for text, said in (("1", "letters and digits"), ("ADMIN", "can't be anybody's code"), ("", "3 to")):
        answer = friend.open(f"{noor.page}/code", "POST", {"code": text})
        assert answer.status_code == 422
        assert said in answer.text.replace("&#39;", "'")
        assert 'aria-invalid="true"' in answer.text
        assert noor.code in answer.text


@pytest.mark.parametrize(
    ("away", "status", "said"),
    [(True, 503, "try again in a minute"), (False, 409, "until the shop has been connected")],
)
def test_while_shopify_can_t_be_asked_the_code_stays(
    friend: Friend, noor: Bringer, monkeypatch: pytest.MonkeyPatch, away: bool, status: int, said: str
) -> None:
    """It may not answer for a while, or let us ask no more."""
    if away:
        monkeypatch.setattr(tokens, "access_token", lambda *asked, **more: "a token")
        elsewhere = settings().model_copy(update={"shopify_store_url": "http://127.0.0.1:1/{shop}"})
        monkeypatch.setattr(tokens, "settings", lambda: elsewhere)
    answer = friend.open(f"{noor.page}/code", "POST", {"code": "NOOR10"})
    assert answer.status_code == status
    assert said in answer.text
    assert [row.code for row in rows(noor.store, ReferralCode)] == [noor.code]


def test_what_came_is_told_in_words(friend: Friend, noor: Bringer) -> None:
    with database().transaction(noor.store.shop_id) as session:
        for number, (state, due) in enumerate(
            [("holding", NOW + 3 * DAY), ("holding", NOW + 3 * DAY), ("review", None), ("rewarded", None)]
        ):
            session.add(referral(noor, number, state, due))
        session.flush()
        paid = session.scalars(sa.select(Brought).where(Brought.state == "rewarded")).one()
        session.add(reward(noor, paid.id))
    text = friend.get(noor.page).text
    day = NOW + 3 * DAY
    assert f"2 friends ordered; your $10 off for each arrives on {day.day} {day:%B}." in text
    assert "1 friend ordered, and your reward came." in text
    assert "1 friend ordered. roastery.myshopify.com has a look at it first" in text


def referral(bringer: Bringer, number: int, state: str, due: Any) -> Brought:
    return Brought(
        shop_id=bringer.store.shop_id, friend=f"f{number}", referrer_member_id=bringer.id, code_key=bringer.code,
        via="discount", order_id=number + 1, at=NOW, amount=5000, currency="USD", program_version=1, state=state,
        due_at=due, created_at=NOW, updated_at=NOW,
    )  # fmt: skip


def reward(bringer: Bringer, referral_id: int) -> ReferralReward:
    return ReferralReward(
        shop_id=bringer.store.shop_id, referral_id=referral_id, side="referrer", ordinal=1, member_id=bringer.id,
        benefit={"kind": "amount_off", "amount": 1000}, state="given", amount=1000, at=NOW,
    )  # fmt: skip


STATES = [
    ({"waiting": 1}, 0, ["1 friend ordered. Your reward comes once that is paid and 14 days have passed."]),
    ({"rewarded": 3}, 3, ["3 friends ordered, and your reward came each time."]),
    (
        {"rewarded": 3},
        2,
        ["2 friends ordered, and your reward came each time.",
         "1 friend ordered beyond what brings a reward. Thank you all the same."],
    ),
    ({"void": 2}, 0, ["2 friends cancelled or returned the order before your reward came."]),
    ({"reversed": 1}, 0, ["1 friend returned the order, so your reward went back."]),
    ({"blocked": 1}, 0, ["1 friend ordered, which doesn't count. Ask Pier if that surprises you."]),
    ({}, 0, []),
]  # fmt: skip


@pytest.mark.parametrize(("states", "given", "said"), STATES)
def test_each_state_in_words(states: dict[str, int], given: int, said: list[str]) -> None:
    assert list(progress.told(states, given, Referral(holding_days=14), "Pier")) == said


PRICES = [
    (1000, "USD", "$10"),
    (1050, "USD", "$10.50"),
    (1000, "JPY", "¥1,000"),
    (1500, "KWD", "KWD1.500"),
    (100_000_000, "USD", "$1,000,000"),
]


@pytest.mark.parametrize(("amount", "currency", "said"), PRICES)
def test_prices_are_short(amount: int, currency: str, said: str) -> None:
    assert price(amount, currency).replace("\xa0", " ") == said


# Safe pages.


def test_nothing_from_elsewhere_runs_and_nobody_is_told(friend: Friend, noor: Bringer) -> None:
    for path in (noor.path, noor.page, noor.path[:-1], "/s/nobody/r/x"):
        headers = friend.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["Cache-Control"] == "private, no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "noindex" in headers["X-Robots-Tag"]


def test_names_are_text_and_never_markup(friend: Friend, noor: Bringer) -> None:
    change(noor.store, sa.update(Shop).values(name="<script>alert(1)</script>{name}"))
    for path in (noor.path, noor.page):
        answer = friend.get(path)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text


def test_colours_of_any_shop_can_be_read(friend: Friend, noor: Bringer) -> None:
    for colour in ("#ffffff", "#000000", "#ffe000", "#808080", "#2446c8"):
        change(noor.store, sa.update(Shop).values(settings={"wallet_colour": colour}))
        text = friend.get(noor.path).text
        names = ("ticket", "ticket-ink", "ticket-label", "accent", "on-accent")
        schemes = re.findall(" ".join(rf"--{name}: (\S+);" for name in names), text)
        assert len(schemes) == 2
        for card, (ticket, ink, label, accent, on_accent) in zip(("#ffffff", "#191f2b"), schemes, strict=True):
            for one, other in ((ticket, ink), (ticket, label), (accent, card), (accent, on_accent)):
                assert contrast(parsed(one), parsed(other)) >= 4.5, (colour, one, other)
