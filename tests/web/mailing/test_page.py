"""The merchant's page of mails: switches, previews in every language, tests; and what members see of it."""

import re

import pytest

from core import i18n
from core.db import database
from core.effects import Effect
from loyalty.expiry.rules import Due
from loyalty.program import Expiry
from shops import mailings
from shops.models import Shop
from tests.web.mailing.conftest import Post
from tests.web.merchant.conftest import Office
from tests.web.stores import DAY, NOW
from web.mailing import letters, testing


@pytest.fixture
def office(post: Post) -> Office:
    with database().transaction() as session:
        return Office(post.store, session.get_one(Shop, post.store.shop_id).domain)


def held(post: Post) -> mailings.Mailings:
    with database().transaction(post.store.shop_id) as session:
        return mailings.of(session.get_one(Shop, post.store.shop_id).settings)


def test_all_are_off_until_somebody_switches_them_on(post: Post, office: Office) -> None:
    assert "checked" not in office.text("/settings/mails").split("What members hear of")[1].split("Who gets them")[0]
    answer = office.post("/settings/mails", on=[mailings.REWARD, mailings.REACHED, "nonsense"], everyone="0")
    assert answer.status_code in (200, 303)
    now = held(post)
    assert (set(now.since), now.everyone) == ({mailings.REWARD, mailings.REACHED}, False)
    # What stays on keeps since when; what is switched off and on again begins anew.
    office.post("/settings/mails", on=[mailings.REWARD], everyone="1")
    assert held(post).since[mailings.REWARD] == now.since[mailings.REWARD]
    office.post("/settings/mails", on=[mailings.REWARD, mailings.REACHED], everyone="1")
    assert held(post).since[mailings.REACHED] > now.since[mailings.REACHED]


def test_what_was_sent_is_counted(post: Post, office: Office) -> None:
    post.switch(everyone=False)
    post.order(1, 600_00)
    post.deliver()
    assert "1 withheld" in office.text("/settings/mails")


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_every_mail_previews_in_every_language(post: Post, language: str) -> None:
    with database().transaction(post.store.shop_id) as session:
        shop = session.get_one(Shop, post.store.shop_id)
        places = [testing.preview_link(shop, kind, language) for kind in mailings.KINDS]
    titles = set()
    for place in places:
        answer = post.store.client.get(place[place.index("/s/") :])
        assert answer.status_code == 200
        assert f'lang="{language}" dir="{i18n.LANGUAGES[language].direction}"' in answer.text
        assert "script" not in answer.text
        titles.add(re.findall(r"<title>(.*)</title>", answer.text)[0])
    assert len(titles) == len(mailings.KINDS)


def test_another_shops_preview_is_not_shown(post: Post) -> None:
    other = Shop(id=post.store.shop_id + 1, domain="rapport-demo.myshopify.com")
    place = testing.preview_link(other, mailings.REWARD, "en")
    assert post.store.client.get(place[place.index("/s/") :]).status_code == 404


def test_a_test_goes_to_the_merchant(post: Post, office: Office) -> None:
    answer = office.post("/settings/mails/test", kind=mailings.REWARD, language="fr", to=" me@shop.example ")
    assert answer.status_code in (200, 303)
    (letter,) = post.deliver()
    assert letter.to == "me@shop.example"
    assert "RWD-4K7M-2QXA" in letter.text
    assert letter.stop == ""
    with database().transaction(post.store.shop_id) as session:
        assert session.query(Effect).filter(Effect.kind == testing.EFFECT).all() == []


@pytest.mark.parametrize(
    "to", ["", "me", "me@shop", "a b@shop.example", "me@shop.example\nBcc: all@shop.example", "é@x.y"]
)
def test_a_test_to_no_address_is_refused(post: Post, office: Office, to: str) -> None:
    answer = office.post("/settings/mails/test", kind=mailings.REWARD, language="fr", to=to)
    assert (answer.status_code, "Check the e-mail address." in answer.text) == (422, True)
    assert post.deliver() == []


def test_what_is_no_mail_is_no_server_error(post: Post, office: Office) -> None:
    for kind, language in (("nonsense", "fr"), (mailings.REWARD, "xx"), ("", "")):
        answer = office.post("/settings/mails/test", kind=kind, language=language, to="me@shop.example")
        assert 400 <= answer.status_code < 500, (kind, language)


def test_words_of_several_days() -> None:
    """Each day's points by themselves; the soonest in the title."""
    dues = [Due(NOW + n * DAY, n, NOW - 300 * DAY, NOW - 300 * DAY) for n in (1, 20)]
    said = letters.expiring(dues, Expiry(kind="lot", days=365), 21, [], NOW.tzinfo)  # type: ignore[arg-type]
    assert said.title.startswith("1 point expires on ")
    assert len(said.items) == 2
