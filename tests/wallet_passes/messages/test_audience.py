"""Whom a message is for, asked of PostgreSQL and worked out by hand."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock
from core.db import database
from loyalty.merging import close_member, merge_members
from loyalty.models import Member
from loyalty.privacy import erase_person, find_person
from tests.wallet_passes.messages.composer import compose, member, outcomes, sent, written
from tests.web.stores import DAY, NOW, Store
from wallet_passes.google.models import GoogleObject
from wallet_passes.models import AppleDevice, AppleRegistration, Pass

MINUTE = timedelta(minutes=1)


@pytest.fixture
def crowd(store: Store) -> dict[str, str]:
    """Members by what they are: with 130, 650 and 1,650 points; one on an iPhone, one on Google, one without a card."""
    found = {
        "new": member(store, 1, at=NOW - 2 * DAY),
        "advocate": member(store, 2, 600_00, at=NOW - 40 * DAY),
        "ambassador": member(store, 3, 1600_00, at=NOW - 10 * DAY),
        "cardless": member(store, 4, card=False),
    }
    with database().transaction(store.shop_id) as session:
        for place, name in enumerate(found):
            joined = NOW - (200 - 50 * place) * DAY
            session.execute(sa.update(Member).where(Member.id == int(found[name])).values(joined_at=joined))
        serials = dict(session.execute(sa.select(Pass.member_id, Pass.serial)).all())
        _put_on_iphone(session, store.shop_id, serials[int(found["new"])])
        saved = GoogleObject(
            shop_id=store.shop_id, serial=serials[int(found["advocate"])], look="", digest="", told_version=1,
            told_at=NOW, saved_at=NOW,
        )  # fmt: skip
        session.add(saved)
    return found


def _put_on_iphone(session: Any, shop_id: int, serial: str) -> None:
    session.add(AppleDevice(shop_id=shop_id, device="d" * 32, push_token="aa", token_at=NOW))
    session.add(AppleRegistration(shop_id=shop_id, device="d" * 32, serial=serial, pass_type="", registered_at=NOW))


FOUND: list[tuple[dict[str, Any], list[str]]] = [
    ({"all": True}, ["new", "advocate", "ambassador"]),
    ({"tiers": ["advocate"]}, ["advocate"]),
    ({"tiers": ["advocate", "ambassador"]}, ["advocate", "ambassador"]),
    ({"points_at_least": 650}, ["advocate", "ambassador"]),
    ({"points_at_least": 651}, ["ambassador"]),
    ({"points_at_most": 650}, ["new", "advocate"]),
    ({"points_at_least": 131, "points_at_most": 649}, []),
    ({"quiet_days": 30}, ["advocate"]),
    ({"quiet_days": 5}, ["advocate", "ambassador"]),
    ({"joined_after": written(NOW - 150 * DAY)}, ["advocate", "ambassador"]),
    ({"joined_before": written(NOW - 150 * DAY)}, ["new"]),
    ({"wallet": "apple"}, ["new"]),
    ({"wallet": "google"}, ["advocate"]),
    ({"wallet": "any"}, ["new", "advocate"]),
    ({"tiers": ["insider", "advocate"], "wallet": "google", "quiet_days": 1}, ["advocate"]),
]


def test_each_condition_narrows(store: Store, crowd: dict[str, str]) -> None:
    for audience, named in FOUND:
        seen = store.post("/wallet/messages/preview", compose(audience)).json
        assert [one["id"] for one in seen["sample"]] == [crowd[name] for name in named], audience
        live = [name for name in named if name in ("new", "advocate")]
        assert (seen["members"], seen["live"], seen["limited"]) == (len(named), len(live), 0), audience


def test_members_by_name(store: Store, crowd: dict[str, str]) -> None:
    named = {"members": [crowd["new"], crowd["cardless"], crowd["new"]]}
    assert outcomes(store, sent(store, named)) == {crowd["new"]: "shown"}


def test_no_other_shop_is_reached(store: Store, neighbour: Store) -> None:
    ours, theirs = member(store, 1), member(neighbour, 1)
    assert outcomes(store, sent(store)) == {ours: "shown"}
    refused = store.post("/wallet/messages", compose({"members": [theirs]}))
    assert (refused.status_code, refused.json["code"]) == (422, "unknown_members")


def test_who_has_left_gets_none(store: Store) -> None:
    stays, closed, erased = (member(store, number) for number in (1, 2, 3))
    shop = store.shop_id
    with database().transaction(shop) as session:
        close_member(session, shop, 2, at=clock.now())
        erase_person(session, shop, find_person(session, shop, customer_id=3))
    assert store.post("/wallet/messages/preview", compose()).json["members"] == 1
    # Their cards are still to be ended, so that they are counted.
    assert outcomes(store, sent(store)) == {stays: "shown", closed: "left", erased: "left"}


def test_named_members_who_left_long_ago_are_counted(store: Store) -> None:
    stays, closed = member(store, 1), member(store, 2)
    with database().transaction(store.shop_id) as session:
        close_member(session, store.shop_id, 2, at=clock.now())
        session.execute(sa.update(Pass).where(Pass.member_id == int(closed)).values(ended_at=clock.now()))
    assert outcomes(store, sent(store)) == {stays: "shown"}
    assert outcomes(store, sent(store, {"members": [stays, closed]})) == {stays: "shown", closed: "left"}


@pytest.mark.parametrize("other_has_card", [True, False])
def test_who_was_merged_is_who_they_became(store: Store, other_has_card: bool) -> None:
    """Whether or not their card has followed already."""
    goes, stays = member(store, 1), member(store, 2, card=other_has_card)
    with database().transaction(store.shop_id) as session:
        merge_members(session, store.shop_id, 2, 1, at=clock.now(), resettle=lambda *_: None)
    assert outcomes(store, sent(store)) == {stays: "shown"}
    assert outcomes(store, sent(store, {"members": [goes]})) == {stays: "shown"}
