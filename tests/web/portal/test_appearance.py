"""What a shop chooses of its rewards pages is checked, kept, and read back whatever is there."""

from typing import Any

import pytest
import sqlalchemy as sa

from core.db import database
from core.errors import InvalidInput
from core.events import Event
from shops.appearance import PLAIN, Appearance, appearance_of, checked
from shops.models import Shop
from shops.operations import set_appearance
from tests.web.stores import Store


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"accent": "red"}, "accent"),
        ({"accent": "#12345g"}, "accent"),
        ({"font": "comic"}, "font"),
        ({"corner": 3}, "corner"),
        ({"texts": {"headline": "x" * 81}}, "texts.headline"),
        ({"texts": {"intro": "a\x00b"}}, "texts.intro"),
        ({"texts": {"motto": "x"}}, "texts.motto"),
        ({"translations": {"french": {}}}, "translations.french.[key]"),
        ({"colour": "#123456"}, "colour"),
        ("nonsense", ""),
    ],
)
def test_what_can_not_be_is_refused_by_its_field(given: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked(given)
    assert refused.value.code == "bad_appearance"
    assert list(refused.value.extra["faults"]) == [field]


def test_words_are_in_the_reader_s_language_and_fall_back_one_by_one() -> None:
    chosen = checked(
        {"texts": {"headline": "Sip  and\n earn", "welcome": "Hi"}, "translations": {"fr": {"headline": "Buvez"}}}
    )
    assert chosen.spoken("fr").headline == "Buvez"
    assert chosen.spoken("fr").welcome == "Hi"
    assert chosen.spoken("de").headline == "Sip and earn"


@pytest.mark.parametrize("kept", [None, {}, {"appearance": None}, {"appearance": {"of": "another release"}}])
def test_what_can_not_be_read_is_plain(kept: Any) -> None:
    assert appearance_of(kept) == PLAIN


def test_it_is_kept_beside_the_other_settings_and_told_once(store: Store) -> None:
    with database().transaction(store.shop_id) as session:
        session.get_one(Shop, store.shop_id).settings = {"wallet_colour": "#112233"}
    for _ in range(2):
        with database().transaction(store.shop_id) as session:
            set_appearance(session, store.shop_id, {"accent": "#0a7a5c", "corner": "round"}, actor="merchant:1")
    with database().transaction(store.shop_id) as session:
        settings = session.get_one(Shop, store.shop_id).settings
        told = session.execute(sa.select(Event.data, Event.actor).where(Event.kind == "appearance.set")).all()
    assert settings["wallet_colour"] == "#112233"
    assert appearance_of(settings) == Appearance(accent="#0a7a5c", corner="round")
    assert [tuple(row) for row in told] == [({"changed": ["accent", "corner"]}, "merchant:1")]
