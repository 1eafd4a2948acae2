"""What a merchant sets once."""

import re
from typing import Any

import sqlalchemy as sa

from core.db import database
from core.events import Event
from shops import keys
from shops.appearance import appearance_of
from shops.models import ApiKey, Shop
from tests.web.merchant.conftest import Office


def held(office: Office) -> dict[str, Any]:
    with database().transaction(office.store.shop_id) as session:
        return dict(session.get_one(Shop, office.store.shop_id).settings or {})


def told(office: Office, kind: str) -> list[str]:
    with database().transaction(office.store.shop_id) as session:
        here = Event.shop_id == office.store.shop_id, Event.kind == kind
        return [row.actor for row in session.scalars(sa.select(Event).where(*here))]


def test_the_rewards_pages_look_as_chosen(office: Office) -> None:
    good = {"own_accent": "1", "accent": "#7a1f1f", "font": "serif", "corner": "round", "headline": "Ember Club"}
    assert office.post("/settings/appearance", **good).status_code == 303
    found = appearance_of(held(office))
    assert (found.accent, found.font, found.logo, found.texts.headline) == ("#7a1f1f", "serif", False, "Ember Club")
    wrong = office.post("/settings/appearance", **good | {"font": "comic", "headline": "x" * 81})
    assert (wrong.status_code, wrong.text.count("r-said r-error")) == (422, 2)
    assert told(office, "appearance.set") == ["merchant:41"]


def test_a_key_is_shown_once_and_revoked(office: Office, other_office: Office) -> None:
    page = office.post("/settings/keys", name=" Till ").text
    (token,) = set(re.findall(r"rapport_[0-9a-z]+_[A-Za-z0-9_-]{43}", page))
    again = office.text("/settings")
    assert token not in again
    assert "Till" in again
    assert "· you" in again
    with database().transaction(office.store.shop_id) as session:
        key = keys.verify(session, token)
        assert key
    assert other_office.post(f"/settings/keys/{key.key_id}/revoke").status_code == 422
    office.post(f"/settings/keys/{key.key_id}/revoke")
    with database().transaction(office.store.shop_id) as session:
        assert keys.verify(session, token) is None
        assert session.scalar(sa.select(sa.func.count()).where(ApiKey.revoked_at.is_not(None))) == 1
    assert told(office, "api_key.created") == ["test", "merchant:41"]
    assert told(office, "api_key.revoked") == ["merchant:41"]
    assert told(other_office, "api_key.revoked") == []
    assert office.post("/settings/keys", name=" ").status_code == 422


def test_a_shop_says_when_members_are_at_risk(office: Office, other_office: Office) -> None:
    assert 'value="90"' in office.text("/settings")
    for wrong in ("", "13", "366", "-1", "x", "9" * 30):
        answer = office.post("/settings/at-risk", days=wrong)
        assert (answer.status_code, "Choose from 14 to 365 days." in answer.text) == (422, True), wrong
    for _again in range(2):
        assert office.post("/settings/at-risk", days="45").status_code == 303
    assert 'value="45"' in office.text("/settings")
    assert 'value="90"' in other_office.text("/settings")
    assert told(office, "at_risk.days_set") == ["merchant:41"]


def test_channels_are_connected_and_left(office: Office) -> None:
    assert office.post("/settings/connections/klaviyo", key="sk_no").status_code == 422
    office.post("/settings/connections/klaviyo", key="pk_" + "a" * 34)
    office.post("/settings/connections/flow")
    page = office.text("/settings")
    assert page.count(">Connected<") == 2
    assert "pk_aaa" not in page
    for channel in ("klaviyo", "flow"):
        office.post(f"/settings/connections/{channel}", off="1")
    assert {"klaviyo", "flow"} & set(held(office)) == set()
    assert office.post("/settings/connections/pigeon").status_code == 422


def test_there_is_nothing_to_decide_for_a_shop_that_never_left(office: Office) -> None:
    assert office.post("/settings/past", past="keep").status_code == 409
    assert office.post("/settings/past", past="afresh").status_code == 303
    assert "Welcome back" not in office.text("/settings")
