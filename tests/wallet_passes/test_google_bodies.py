"""Every body as Google's discovery document has it, and what stands in which field."""

import json
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from wallet_passes import content, languages
from wallet_passes.content import Card, Facts, NextTier, Offer
from wallet_passes.design import Design, Link, Place, Text, Words, design
from wallet_passes.google import bodies
from wallet_passes.google.bodies import Addresses
from wallet_passes.google.client import given_only
from wallet_passes.google.operations import announcements_left
from wallet_passes.messages.rules import Shown
from wallet_passes.rotating import Details

ISSUER = "3388000000012345678"
WHERE = Addresses(
    "https://rapport.example/logo.png", "https://rapport.example/hero.png", "https://rapport.example/callback"
)
FACTS = Facts(
    shop="Roastery", program="Regulars", member="Noor", points=425, tier="Insider", look="insider", currency="USD",
    next_tier=NextTier("Advocate", "eligible_spend", 120_00), offers=(Offer("$5 off", 500),),
    website="https://roastery.example",
)  # fmt: skip
ROTATING = Details("CODE{totp_value_0}", "0A" * 20)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def schema(name: str) -> dict[str, Any]:
    """A message of Google's discovery document as a JSON schema that lets nothing through that it does not name."""
    path = resources.files("googleapiclient") / "discovery_cache" / "documents" / "walletobjects.v1.json"
    told = json.loads(path.read_text())["schemas"]
    return {"$ref": f"#/$defs/{name}", "$defs": {key: _closed(one) for key, one in told.items()}}


def _closed(told: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _property(one) for name, one in told.get("properties", {}).items()},
    }


def _property(told: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in told:
        return {"$ref": f"#/$defs/{told['$ref']}"}
    if told["type"] == "array":
        return {"type": "array", "items": _property(told["items"])}
    kind = {"type": told["type"]} | ({"enum": told["enum"]} if "enum" in told else {})
    if told.get("format") == "int32":
        kind |= {"minimum": -(2**31), "maximum": 2**31 - 1}
    return kind | ({"pattern": "^-?[0-9]+$"} if told.get("format") == "int64" else {})


CLASS, OBJECT, ADDING = (
    jsonschema_rs.validator_for(schema(name)) for name in ("LoyaltyClass", "LoyaltyObject", "AddMessageRequest")
)


def card(facts: Facts = FACTS, language: str = "en", **changes: Any) -> Card:
    return content.card(replace(facts, **changes), "1ACODE", "1ACOD E", language)


def made_object(card: Card, hidden: tuple[str, ...] = (), rotating: Details | None = ROTATING) -> dict[str, Any]:
    body = bodies.loyalty_object(f"{ISSUER}.1-ab", f"{ISSUER}.1-insider", card, hidden, "HANDLE", rotating)
    OBJECT.validate(given_only(body))
    return body


def made_class(card: Card, look: Design | None = None) -> dict[str, Any]:
    body = bodies.loyalty_class(f"{ISSUER}.1-insider", card, look or design("Roastery"), WHERE)
    CLASS.validate(given_only(body))
    return body


def test_the_validator_refuses_what_google_does_not_name() -> None:
    body = made_object(card())
    for wrong in ({"points": 3}, {"state": "GONE"}, {"loyaltyPoints": {"balance": {"int": 2**31}}}):
        assert not OBJECT.is_valid(given_only(body | wrong))


def test_the_fields_of_a_card_stand_where_google_shows_them() -> None:
    body = made_object(card())
    assert (body["state"], body["accountName"], body["accountId"]) == ("ACTIVE", "Noor", "HANDLE")
    assert body["loyaltyPoints"]["balance"]["int"] == 425
    assert body["loyaltyPoints"]["label"] == "Points"
    assert body["secondaryLoyaltyPoints"]["balance"]["string"] == "$120.00 to Advocate"
    texts = {text["id"]: text["body"] for text in body["textModulesData"]}
    assert texts["reward"] == "75 points to $5 off"
    assert not {"points", "tier", "member", "progress", "website"} & set(texts)
    assert [uri["uri"] for uri in body["linksModuleData"]["uris"]] == ["https://roastery.example"]
    # Where a phone can't rotate, the code without its digits: a picture of it can't spend.
    assert body["barcode"] == {"type": "QR_CODE", "value": "CODE", "alternateText": "CODE"}
    assert made_object(card(), rotating=None)["barcode"]["value"] == "1ACODE"
    assert body["rotatingBarcode"]["valuePattern"] == "CODE{totp_value_0}"
    assert body["rotatingBarcode"]["totpDetails"] == {
        "algorithm": "TOTP_SHA1",
        "periodMillis": "30000",
        "parameters": [{"key": "0A" * 20, "valueLength": 8}],
    }


@pytest.mark.parametrize(
    ("changes", "field", "told"),
    [
        ({"points": 2**31 - 1}, "loyaltyPoints", {"int": 2**31 - 1, "string": None}),
        ({"points": 2**31}, "loyaltyPoints", {"int": None, "string": "2,147,483,648"}),
        ({"points": -25}, "loyaltyPoints", {"int": -25, "string": None}),
    ],
)
def test_a_balance_is_a_number_as_long_as_google_has_room(changes: Any, field: str, told: Any) -> None:
    assert made_object(card(**changes))[field]["balance"] == told


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({"next_tier": None}, "secondaryLoyaltyPoints"),
        ({"member": None}, "accountName"),
        ({}, "heroImage"),
    ],
)
def test_what_a_card_has_no_more_is_taken_away(changes: Any, gone: str) -> None:
    body = made_object(card(**changes))
    assert body.get(gone) is None
    assert gone == "heroImage" or gone in body


@pytest.mark.parametrize(
    ("hidden", "gone"),
    [("points", "loyaltyPoints"), ("progress", "secondaryLoyaltyPoints"), ("member", "accountName")],
)
def test_what_the_shop_hides_is_not_told(hidden: str, gone: str) -> None:
    assert made_object(card(), (hidden,))[gone] is None


def test_a_card_that_is_over_names_nobody() -> None:
    body = made_object(card(ended=True))
    assert body == {"id": f"{ISSUER}.1-ab", "classId": f"{ISSUER}.1-insider", "state": "INACTIVE"}


def test_a_class_is_the_same_for_members_of_every_language() -> None:
    told = [made_class(card(language=language, points=n)) for n, language in enumerate(languages.LANGUAGES)]
    assert len({bodies.digest(body) for body in told}) == 1
    assert {one["language"] for one in told[0]["localizedRewardsTierLabel"]["translatedValues"]} == {
        "fr", "de", "es", "ja", "ar",
    }  # fmt: skip


def test_a_class_says_what_the_shop_says() -> None:
    words = Words(
        title="Bean Club", welcome="Good to see you.", terms="Be kind.", texts=(Text("Hours", "8 to 6"),),
        links=(Link("Menu", "https://roastery.example/menu"),), places=(Place(52.5, 13.4, "Your card"),) * 12,
    )  # fmt: skip
    french = Words(title="Club du Grain", welcome="Bienvenue.", texts=(Text("Horaires", "8 h à 18 h"),))
    body = made_class(card(), design("Roastery")._replace(words=words, translations=(("fr", french),)))
    assert (body["issuerName"], body["programName"], body["rewardsTier"]) == ("Roastery", "Bean Club", "Insider")
    assert body["localizedProgramName"]["translatedValues"] == [{"language": "fr", "value": "Club du Grain"}]
    assert [text["id"] for text in body["textModulesData"]] == ["welcome", "text-1", "terms"]
    assert body["textModulesData"][1]["localizedHeader"]["translatedValues"][0]["value"] == "Horaires"
    assert body["linksModuleData"]["uris"][0]["uri"] == "https://roastery.example/menu"
    assert len(body["merchantLocations"]) == 10
    assert body["localizedRewardsTier"]["translatedValues"] == []
    assert (body["reviewStatus"], body["callbackOptions"]) == ("UNDER_REVIEW", {"url": WHERE.callback})


def test_a_tier_has_its_name_in_each_language() -> None:
    spoken = design("Roastery")._replace(translations=(("fr", Words(tier="Initié")),))
    body = made_class(card(), spoken)
    assert body["localizedRewardsTier"] == {
        "defaultValue": {"language": "en", "value": "Insider"},
        "translatedValues": [{"language": "fr", "value": "Initié"}],
    }
    # The same in pass.json, which is made for the language of its phone.
    for language, name in (("fr", "Initié"), ("de", "Insider")):
        fields = content.fields(card(language=language), spoken)
        assert next(field.text for field in fields if field.key == "tier") == name


def test_a_shop_that_writes_in_french_gives_its_english_to_english_phones_alone() -> None:
    own, english = Words(title="Club du Grain"), Words(title="Bean Club")
    body = made_class(card(), design("R")._replace(words=own, translations=(("en", english),)))
    told = body["localizedProgramName"]
    assert told["defaultValue"] == {"language": "en", "value": "Bean Club"}
    assert {one["language"]: one["value"] for one in told["translatedValues"]} == dict.fromkeys(
        ("fr", "de", "es", "ja", "ar"), "Club du Grain"
    )


@pytest.mark.parametrize(
    ("shown", "announce", "told"),
    [
        (Shown(7, "Rain", "Two for one.", None, None, False), True, "TEXT_AND_NOTIFY"),
        (Shown(7, "Rain", "Two for one.", "https://roastery.example", NOON, True), False, "TEXT"),
    ],
)
def test_a_message(shown: Shown, announce: bool, told: str) -> None:
    body = bodies.message(shown, announce=announce)
    ADDING.validate(body)
    message = body["message"]
    assert (message["id"], message["header"], message["messageType"]) == ("message-7", "Rain", told)
    assert message["body"] == "Two for one." + ("\nhttps://roastery.example" if shown.link else "")
    assert (message.get("displayInterval") is not None) == (shown.ends_at is not None)
    assert bodies.holds({"messages": [message]}, shown)
    assert not bodies.holds({}, shown)


ANY = st.text(max_size=320)


@settings(max_examples=60, deadline=None)
@given(
    shop=ANY, member=st.none() | ANY, tier=ANY, points=st.integers(-(2**62), 2**62), website=st.none() | ANY,
    language=st.sampled_from(languages.LANGUAGES), offer=ANY, missing=st.integers(0, 10**12),
)  # fmt: skip
def test_whatever_people_are_called_google_can_read_it(
    shop: str, member: str | None, tier: str, points: int, website: str | None, language: str, offer: str, missing: int
) -> None:
    shown = card(
        language=language, shop=shop, member=member, tier=tier, points=points, website=website,
        offers=(Offer(offer, 500),), next_tier=NextTier(tier, "points", missing),
    )  # fmt: skip
    made_object(shown)
    made_class(shown, design(shop))


@pytest.mark.parametrize(
    ("hours_ago", "left"), [((), 3), ((1,), 2), ((1, 2, 3), 0), ((23.9, 24.1, 30), 2), ((1, 2, 3, 4), 0)]
)
def test_three_announcements_a_day(hours_ago: tuple[float, ...], left: int) -> None:
    assert announcements_left([NOON - timedelta(hours=hours) for hours in hours_ago], NOON) == left


@pytest.mark.parametrize(
    ("id_", "serial"), [(f"{ISSUER}.1-ab", "1-ab"), ("99.1-ab", None), (ISSUER, None), (f"{ISSUER}9.1-ab", None)]
)
def test_an_id_leads_back_to_its_serial(id_: str, serial: str | None) -> None:
    assert bodies.serial_of(ISSUER, id_) == serial
    assert serial is None or bodies.object_id(ISSUER, serial) == id_
