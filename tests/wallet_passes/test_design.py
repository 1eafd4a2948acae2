"""Designs: what a document says, what is wrong with it, which look comes of it, and what to know before publishing."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_passes.design import ANY_TEXT, INK, LARGE_TEXT, WHITE, Design, Place, contrast, design, parsed, readable
from wallet_passes.designs import dressing
from wallet_passes.designs.advice import Measures, advice
from wallet_passes.designs.document import CardDesign, Hideable
from wallet_passes.designs.faults import InvalidDesign, faults, read, schema
from wallet_passes.languages import ENGLISH, catalogue

LOGO, STRIP = "a" * 64, "b" * 64
TIERS = {"insider": "Insider", "advocate": "Advocate"}
WHOLE: dict[str, Any] = {
    "name": "Pier Card",
    "logo_text": "",
    "colours": {"background": "#14324A", "foreground": "#ffffff", "label": "#b9d3e6"},
    "images": {"logo": LOGO},
    "welcome": "Good to see you.",
    "terms": "Points are worth nothing\r\nin cash.",
    "texts": [{"label": "Birthdays", "text": "A coffee is on us."}],
    "links": [{"label": "Menu", "url": "https://northpier.example/menu"}],
    "locations": [{"latitude": 52.52, "longitude": 13.405, "text": "Your card is ready."}],
    "max_distance": 200,
    "hidden": ["latest"],
    "looks": [
        {
            "tier": "advocate",
            "colours": {"background": "#f2c14e"},
            "images": {"strip": STRIP},
            "welcome": "Dear you.",
        }
    ],
    "translations": [{"language": "fr", "texts": {"A coffee is on us.": "Un café offert.", "Menu": "La carte"}}],
}


def changed(path: str, value: Any) -> Any:
    """The whole design with one value changed: `links.0.url`."""
    document = json.loads(json.dumps(WHOLE))
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    part = document
    for step in way:
        part = part[step]
    part[last] = value
    return document


def found(document: Any) -> list[tuple[str, str]]:
    return [(fault.field, fault.reason) for fault in faults(document, TIERS, {LOGO, STRIP})]


def look(document: Any, tier: str = "insider", shop: str = "North Pier") -> Design:
    return dressing.look(CardDesign.model_validate(document), tier, shop)


# What is wrong.


def test_a_whole_design_and_an_empty_one_are_right() -> None:
    assert found(WHOLE) == found({}) == []


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("colours.background", "red", "colours › background must be a colour such as #1f4e79"),
        ("colours.background", "#12345", "colours › background must be a colour such as #1f4e79"),
        ("colours.background", 7, "colours › background must be text"),
        (
            "colours.foreground", "#14324b",
            "colours › foreground can't be read on #14324a: their contrast is 1.0 to 1, and 3 is the least",
        ),
        ("colours.background", None, "colours › foreground needs a background to be read on: name both or neither"),
        ("colors", {}, "colors is no field here: did you mean colours?"),
        ("images.logo", "x.png", "images › logo must be the digest of a picture that was uploaded"),
        ("images.logo", "c" * 64, "images › logo is no picture of this shop: upload it first"),
        (
            "looks.0.images.strip", "c" * 64,
            "looks › advocate › images › strip is no picture of this shop: upload it first",
        ),
        ("looks.0.tier", "gold", "looks › gold › tier must be a tier of the program, which has no 'gold'"),
        ("links.0.label", " \u202e ", "links ›  \u202e  › label must not be blank"),
        ("locations", [{"latitude": 1, "longitude": 1}] * 11, "locations must have at most 10"),
        ("locations.0.latitude", 90.5, "locations › no. 1 › latitude must be at most 90.0"),
        ("locations.0.latitude", "52", "locations › no. 1 › latitude must be a number, such as 1.25"),
        ("locations.0.longitude", True, "locations › no. 1 › longitude must be a number, such as 1.25"),
        ("max_distance", 5, "max_distance must be at least 10"),
        ("max_distance", 10.5, "max_distance must be a whole number"),
        ("terms", "x" * 4001, "terms must have at most 4000 characters"),
        ("welcome", "a\x00b", "welcome must not hold a character that is no text"),
        ("texts.0.text", "", "texts › Birthdays › text must not be empty"),
        ("looks", WHOLE["looks"] * 2, "looks › advocate › tier must not be 'advocate' twice"),
        ("translations", WHOLE["translations"] * 2, "translations › fr › language must not be 'fr' twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(path: str, value: Any, said: str) -> None:
    assert [" ".join(fault) for fault in found(changed(path, value))] == [said]


@pytest.mark.parametrize(
    "url",
    [
        "http://northpier.example", "https://", "https://[", "https://pier", "javascript:alert(1)", "//pier.example",
        "https://a.example/'><script>", "https://ours.example@evil.example", "https://a.example/\u202etxt",
        "https://a.example:0",
    ],
)  # fmt: skip
def test_links_are_https(url: str) -> None:
    assert found(changed("links.0.url", url)) == [
        ("links › Menu › url", "must be a web address that starts with https://")
    ]


@pytest.mark.parametrize("language", ["klingon", "../../etc", "", "fr FR", "f"])
def test_languages_are_known_ones(language: str) -> None:
    ((_, reason),) = found(changed("translations.0.language", language))
    assert reason == "must be a language such as fr or pt-BR"


def test_points_can_t_be_hidden() -> None:
    ((field, reason),) = found(changed("hidden", ["points"]))
    assert field == "hidden › no. 1"
    assert reason.startswith("must be 'tier'")


@pytest.mark.parametrize("document", [None, 7, [], "text", {"looks": 3}, {"looks": [3]}, {"translations": {"fr": {}}}])
def test_what_is_no_design_at_all(document: Any) -> None:
    with pytest.raises(InvalidDesign) as refused:
        read(document, TIERS, set())
    assert refused.value.code == "invalid_design"
    assert "program" not in refused.value.detail


def test_what_can_be_hidden_are_fields_of_cards() -> None:
    assert set(Hideable.__args__) < set(catalogue(ENGLISH).labels)  # type: ignore[attr-defined]


def test_every_field_is_described() -> None:
    parts = [schema(), *schema()["$defs"].values()]
    assert all("description" in field or "$ref" in field for part in parts for field in part["properties"].values())


# From a document to a look.


def test_a_design_that_says_nothing_is_the_one_a_shop_has_without_any() -> None:
    assert look({}) == design("North Pier")


def test_the_whole_look() -> None:
    made = look(WHOLE)
    assert (made.background, made.foreground, made.label) == ((0x14, 0x32, 0x4A), WHITE, (0xB9, 0xD3, 0xE6))
    assert (made.words.title, made.words.logo_text, made.words.welcome) == ("Pier Card", "", "Good to see you.")
    assert made.words.terms == "Points are worth nothing\nin cash."
    assert made.words.places == (Place(52.52, 13.405, "Your card is ready."),)
    assert (made.pictures.logo, made.pictures.strip) == (LOGO, "")
    assert (made.max_distance, made.hidden) == (200, ("latest",))


def test_a_tier_s_look_changes_what_it_says_and_nothing_else() -> None:
    made, shared = look(WHOLE, "advocate"), look(WHOLE)
    assert (made.background, made.foreground) == ((0xF2, 0xC1, 0x4E), INK)
    assert (made.pictures.logo, made.pictures.strip) == (LOGO, STRIP)
    assert made.words == shared.words._replace(welcome="Dear you.")


def test_words_in_other_languages() -> None:
    made = look(WHOLE)
    french = made.spoken("fr-CA")
    assert (french.texts[0].text, french.texts[0].label) == ("Un café offert.", "Birthdays")
    assert french.links[0].label == "La carte"
    assert french.terms == made.words.terms
    assert made.spoken("de") == made.words


def test_a_look_is_a_key_and_can_be_written_down() -> None:
    made = look(WHOLE)
    assert hash(made) == hash(look(WHOLE))
    assert msgspec.json.encode(made) == msgspec.json.encode(look(WHOLE))
    assert msgspec.json.encode(made) != msgspec.json.encode(look(changed("terms", "New.")))


def test_what_is_long_is_cut_and_what_is_hostile_is_harmless() -> None:
    made = look({"name": "N" * 120, "logo_text": "\u202eevil" + "L" * 99, "terms": "a\u202eb\x07c\nd"})
    assert (len(made.words.title), len(made.words.logo_text)) == (30, 24)
    assert made.words.terms == "a b c\nd"
    assert "\u202e" not in made.words.logo_text


# Colours.

COLOURS = st.tuples(*[st.integers(0, 255)] * 3)


@given(COLOURS, COLOURS)
def test_every_colour_is_moved_until_it_can_be_read(colour: Any, background: Any) -> None:
    made = readable(colour, background)
    assert contrast(made, background) >= ANY_TEXT
    assert made == colour or contrast(colour, background) < ANY_TEXT


def hexed(colour: Any) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


@given(COLOURS, st.none() | COLOURS, st.none() | COLOURS)
def test_every_card_can_be_read(background: Any, foreground: Any, label: Any) -> None:
    """A design is refused, or its cards have readable text; and it is refused only for what is below 3 to 1."""
    asked = {"foreground": foreground, "label": label}
    document = {"colours": {"background": hexed(background)} | {n: c and hexed(c) for n, c in asked.items()}}
    hard = [name for name, colour in asked.items() if colour and contrast(colour, background) < LARGE_TEXT]
    assert [field for field, _ in found(document)] == [f"colours › {name}" for name in hard[:1]]
    if not hard:
        made = look(document)
        assert made.background == background
        assert min(contrast(made.foreground, background), contrast(made.label, background)) >= ANY_TEXT


@given(st.text(max_size=30), st.none() | COLOURS)
def test_every_shop_has_a_card_that_can_be_read(name: str, colour: Any) -> None:
    made = design(name, colour and hexed(colour))
    assert min(contrast(made.foreground, made.background), contrast(made.label, made.background)) >= ANY_TEXT


# Advice.


def advised(document: Any, pictures: dict[str, Measures] | None = None) -> dict[str, str]:
    told = advice(CardDesign.model_validate(document), pictures or {}, TIERS)
    return {fault.field: fault.reason for fault in told}


def test_nothing_to_say_of_a_good_design() -> None:
    good = changed("translations", []) | {"images": {"logo": LOGO, "strip": STRIP}}
    assert advised(good, {LOGO: Measures(300, 300), STRIP: Measures(1200, 480)}) == {}


def test_what_is_drawn_is_said() -> None:
    assert advised({}) == {
        "images › logo": "is missing: the shop's initial is drawn in its place",
        "images › strip": "is missing: a quiet pattern in the card's colour is drawn in its place",
    }


def test_what_will_be_cut_is_shown_as_it_will_be() -> None:
    said = advised({"name": "The North Pier Coffee Roasters Card", "logo_text": "North Pier Coffee Roasters"})
    assert said["name"].endswith("fit: cards show “The North Pier Coffee…”")
    assert said["logo_text"].endswith("fit: cards show “North Pier Coffee…”")


def test_colours_that_are_moved_are_said() -> None:
    document = {"colours": {"background": "#777777", "foreground": "#e0e0e0"}}
    shown = look(document).foreground
    assert contrast(parsed("#e0e0e0"), parsed("#777777")) < ANY_TEXT <= contrast(shown, parsed("#777777"))
    assert advised(document)["colours › foreground"] == (
        f"is hard to read on #777777: cards show {hexed(shown)} in its place"
    )
    tier = {"looks": [{"tier": "advocate", **document}]}
    assert "looks › Advocate › colours › foreground" in advised(tier)


def test_a_wide_logo_wants_an_icon_beside_it() -> None:
    images = {"logo": LOGO, "strip": STRIP}
    assert "images › icon" in advised({"images": images}, {LOGO: Measures(900, 200)})
    assert "images › icon" not in advised({"images": images}, {LOGO: Measures(300, 200)})
    assert "images › icon" not in advised({"images": images | {"icon": STRIP}}, {LOGO: Measures(900, 200)})


def test_small_pictures_are_said() -> None:
    said = advised({"images": {"logo": LOGO, "strip": STRIP}}, {LOGO: Measures(40, 40), STRIP: Measures(1125, 400)})
    assert said["images › logo"] == "has 40 × 40 pixels and will look soft: at least 150 pixels high is best"
    assert said["images › strip"].endswith("at least 1125 × 432 pixels is best")


def test_gaps_in_translations_are_said() -> None:
    texts = {"Menu": "La carte", "Gone": "Parti"}
    document = {"welcome": "Hello.", "links": WHOLE["links"], "translations": [{"language": "fr", "texts": texts}]}
    told = [fault.reason for fault in advice(CardDesign.model_validate(document), {}, TIERS) if "fr" in fault.field]
    assert told == ["lacks 1 of 2 texts, such as “Hello.”", "translates “Gone”, which the design does not say"]
