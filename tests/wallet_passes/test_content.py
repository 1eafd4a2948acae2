"""What a card says, to the word."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_passes import content
from wallet_passes.content import Card, Facts, NextTier, Offer, shortened
from wallet_passes.design import INK, WHITE, contrast, design

FIVE, FREE, TEN = Offer("$5 off", 500), Offer("Free shipping", 300), Offer("$10 off", 1000)
NOOR = Facts(
    shop="North Pier",
    program="North Pier Rewards",
    member="Noor Haddad",
    points=425,
    tier="Insider",
    next_tier=NextTier("Advocate", "eligible_spend", 120_00),
    offers=(FIVE, TEN, FREE),
    currency="USD",
    latest="50 points for joining.",
)


def card(**changes: object) -> Card:
    return content.card(msgspec.structs.replace(NOOR, **changes), "CODE", "CO DE")


def texts(one: Card) -> dict[str, str]:
    return {field.key: field.text for field in one.fields}


def test_the_whole_card() -> None:
    made = card()
    assert (made.shop, made.description, made.code) == ("North Pier", "North Pier membership card", "CODE")
    assert texts(made) == {
        "points": "425",
        "tier": "Insider",
        "progress": "$120.00 to Advocate",
        "reward": "75 points to $5 off",
        "member": "Noor Haddad",
        "latest": "50 points for joining.",
        "program": "North Pier Rewards",
    }


def test_balance_tier_and_message_are_announced() -> None:
    announced = {field.key: field.change for field in card(message="Doors open at nine.").fields if field.change}
    assert set(announced) == {"points", "tier", "message"}
    assert all("%@" in change for change in announced.values())


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (None, ""),
        (NextTier("Advocate", "eligible_spend", 1), "$0.01 to Advocate"),
        (NextTier("Advocate", "points", 1), "1 point to Advocate"),
        (NextTier("Advocate", "points", 1200), "1,200 points to Advocate"),
        (NextTier("Gold", "orders", 2), "2 orders to Gold"),
    ],
)
def test_progress(ahead: NextTier | None, said: str) -> None:
    assert content.progress(msgspec.structs.replace(NOOR, next_tier=ahead)) == said


@pytest.mark.parametrize(
    ("points", "offers", "said"),
    [
        (0, (), ""),
        (-20, (FIVE,), "520 points to $5 off"),
        (299, (FIVE, FREE), "1 point to Free shipping"),
        (300, (FIVE, FREE), "200 points to $5 off"),
        (1000, (FIVE, TEN, FREE), "$10 off is ready"),
    ],
)
def test_next_reward(points: int, offers: tuple[Offer, ...], said: str) -> None:
    assert content.next_reward(points, offers) == said


def test_an_ended_card_says_nothing_of_the_person() -> None:
    assert card(ended=True).fields == ()


@pytest.mark.parametrize(
    ("text", "most", "kept"),
    [
        ("Noor", 30, "Noor"),
        ("  Noor \n Haddad ", 30, "Noor Haddad"),
        ("x" * 300, 10, "x" * 9 + "…"),
        ("Wilhelmina Featherstonehaugh", 20, "Wilhelmina Feathers…"),
        ("One two three four", 14, "One two three…"),
        ("One two three four", 13, "One two thre…"),
        ("\u202eevil\u202c", 30, "evil"),
        ("👩\u200d👩\u200d👧" * 3, 8, "👩\u200d👩\u200d👧…"),
        ("🇩🇪🇫🇷🇮🇹", 4, "🇩🇪…"),
        ("👍🏽👍🏽", 3, "👍🏽…"),
    ],
)
def test_shortened(text: str, most: int, kept: str) -> None:
    assert shortened(text, most) == kept


@given(st.text(), st.integers(2, 60))
def test_what_is_shortened_fits_and_has_no_controls(text: str, most: int) -> None:
    short = shortened(text, most)
    assert len(short) <= most
    assert "\n" not in short
    assert "\u202e" not in short


@given(st.text(max_size=40))
def test_text_can_be_read_on_every_generated_colour(name: str) -> None:
    look = design(name)
    assert contrast(look.foreground, look.background) > 7
    assert contrast(look.label, look.background) > 4.5


@pytest.mark.parametrize(
    ("colour", "ink"), [("#ffffff", INK), ("#000000", WHITE), ("#FFEE00", INK), ("#102030", WHITE)]
)
def test_a_shop_s_own_colour(colour: str, ink: tuple[int, int, int]) -> None:
    assert design("Shop", colour).foreground == ink


@pytest.mark.parametrize("colour", ["", "red", "#12345", "#12345g", "javascript:"])
def test_what_is_no_colour_is_not_used(colour: str) -> None:
    assert design("Shop", colour) == design("Shop")
