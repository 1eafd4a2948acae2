"""Cards in every language: complete, in the right forms, and to the word."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from babel import Locale

from tests.wallet_passes.test_content import card, texts
from wallet_passes import content, languages
from wallet_passes.content import Expiring, Latest, NextTier, Offer, Waiting
from wallet_passes.languages import ENGLISH, LANGUAGES, catalogue, chosen, counted

KINDS = {"earn", "release", "redeem", "reversal", "reimbursement", "expiry", "adjustment", "bonus", "referral"}
LATE = datetime(2026, 3, 14, 23, 30, tzinfo=UTC)


def marks(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}|%@", text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_the_same_words_with_the_same_places_to_fill(language: str) -> None:
    ours, english = msgspec.to_builtins(catalogue(language)), msgspec.to_builtins(catalogue(ENGLISH))
    for name, said in english.items():
        if isinstance(said, str):
            assert marks(ours[name]) == marks(said), name
        elif name not in ("points", "orders"):
            assert {key: marks(text) for key, text in ours[name].items()} == {
                key: marks(text) for key, text in said.items()
            }, name
    assert set(ours["whys"]) == KINDS


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_plural_form_of_a_language_is_there(language: str) -> None:
    forms = {*Locale.parse(language).plural_form.tags, "other"}
    assert set(catalogue(language).points) == set(catalogue(language).orders) == forms


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", {0: "0 points", 1: "1 point", 2: "2 points", 1200: "1,200 points"}),
        ("fr", {0: "0 point", 1: "1 point", 2: "2 points", 1200: "1\u202f200 points"}),
        ("de", {0: "0 Punkte", 1: "1 Punkt", 1200: "1.200 Punkte"}),
        ("es", {1: "1 punto", 1200: "1.200 puntos", 12000: "12.000 puntos"}),
        ("ja", {1: "1ポイント", 1200: "1,200ポイント"}),
        ("ar", {0: "0 نقطة", 1: "نقطة واحدة", 2: "نقطتان", 3: "3 نقاط", 11: "11 نقطة", 103: "103 نقاط"}),
    ],
)  # fmt: skip
def test_counting(language: str, said: dict[int, str]) -> None:
    assert {number: counted(number, "points", language) for number in said} == said


FIVE = "\u2068$5 off\u2069"


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ("425", "$120.00 to Advocate", "75 points to $5 off", "10 points once your orders are complete.")),
        ("fr", ("425", "120,00\xa0$US avant Advocate", "75 points avant $5 off",
                "10 points dès que vos commandes seront finalisées.")),
        ("de", ("425", "120,00\xa0$ bis Advocate", "75 Punkte bis $5 off",
                "10 Punkte, sobald Ihre Bestellungen abgeschlossen sind.")),
        ("es", ("425", "120,00\xa0US$ para Advocate", "75 puntos para $5 off",
                "10 puntos cuando se completen tus pedidos.")),
        ("ja", ("425", "Advocateまであと$120.00", "$5 offまであと75ポイント",
                "ご注文の完了後に10ポイントが加算されます。")),
        ("ar", ("425", "\u2068\u200f120.00\xa0US$\u2069 حتى \u2068Advocate\u2069", f"75 نقطة حتى {FIVE}",
                "10 نقاط عند اكتمال طلباتك.")),
    ],
)  # fmt: skip
def test_sentences(language: str, said: tuple[str, ...]) -> None:
    found = texts(card(language=language, pending=10))
    assert (found["points"], found["progress"], found["reward"], found["pending"]) == said


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "50 points for joining."),
        ("fr", "+50 · commande #1043"),
        ("de", "+50 · Bestellung #1043"),
        ("es", "+50 · pedido #1043"),
        ("ja", "+50 · 注文 #1043"),
    ],
)
def test_the_latest_change(language: str, said: str) -> None:
    assert texts(card(language=language, last=Latest("earn", 50, "#1043")))["latest"] == said


def test_a_change_without_an_order_leaves_no_gap() -> None:
    assert texts(card(language="de", last=Latest("earn", 50)))["latest"] == "+50 · Bestellung"
    assert texts(card(language="de", last=Latest("redeem", -500)))["latest"] == "-500 · für eine Prämie"


@pytest.mark.parametrize(
    ("language", "until", "expiring", "changed"),
    [
        ("en", "until March 15, 2026", "40 points to use by March 15, 2026.", "Mar 15, 2026 · 8:30\u202fAM"),
        ("fr", "jusqu’au 15 mars 2026", "40 points à utiliser jusqu’au 15 mars 2026.", "15 mars 2026 · 08:30"),
        ("ja", "2026年3月15日まで", "2026年3月15日までに40ポイントをお使いください。", "2026/03/15 · 8:30"),
    ],
)  # fmt: skip
def test_days_are_those_of_the_shop(language: str, until: str, expiring: str, changed: str) -> None:
    found = texts(card(
        language=language, zone="Asia/Tokyo", changed_at=LATE, expiring=Expiring(40, LATE),
        waiting=(Waiting("$5 off", "NP-7KQ2", LATE),),
    ))  # fmt: skip
    assert (found["waiting"], found["expiring"], found["changed"]) == (f"$5 off · NP-7KQ2 · {until}", expiring, changed)


@pytest.mark.parametrize(
    ("points", "language", "said"),
    [
        (1, "en", "You have %@ point now."),
        (2, "en", "You have %@ points now."),
        (1, "de", "Ihr Punktestand ist jetzt %@."),
        (3, "ar", "رصيد نقاطك الآن: %@"),
    ],
)
def test_announcements(points: int, language: str, said: str) -> None:
    assert content.announcement("points", points, language) == said
    assert next(one for one in card(points=points, language=language).fields if one.key == "points").change == said


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        (("fr",), "fr"), (("fr-CA",), "fr"), (("de_AT",), "de"), (("ES",), "es"), ((None, "ja"), "ja"),
        (("pt-BR", "fr"), "fr"), (("pt-BR",), "en"), ((), "en"), (("", None), "en"), (("zz-Latn-x-y",), "en"),
        (("../etc",), "en"),
    ],
)  # fmt: skip
def test_the_language_of_a_card(wanted: tuple[str | None, ...], language: str) -> None:
    assert chosen(*wanted) == language


@pytest.mark.parametrize(
    ("text", "language", "said"),
    [
        ("Noor", "en", "Noor"),
        ("نور", "en", "\u2068نور\u2069"),
        ("Noor", "ar", "\u2068Noor\u2069"),
        ("نور", "ar", "نور"),
        ("75 نقطة", "ar", "75 نقطة"),
        ("#1043", "ar", "\u2068#1043\u2069"),
        ("425", "ar", "425"),
        ("東京", "ar", "\u2068東京\u2069"),
    ],
)
def test_what_runs_the_other_way_is_set_apart(text: str, language: str, said: str) -> None:
    assert content.embedded(text, language) == said


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD"])
def test_numbers_are_never_cut(language: str, currency: str) -> None:
    ahead = NextTier("T" * 200, "eligible_spend", 10**12)
    told = texts(card(language=language, next_tier=ahead, currency=currency, offers=(Offer("R" * 200, 10**9),)))
    assert languages.money(10**12, currency, language) in told["progress"]
    assert counted(10**9 - 425, "points", language) in told["reward"]
    assert max(len(told["progress"]), len(told["reward"])) <= content.FRONT


def test_the_clock_of_a_shop() -> None:
    assert languages.day(LATE, ZoneInfo("Pacific/Auckland"), "en") == "March 15, 2026"
    assert languages.day(LATE, ZoneInfo("America/New_York"), "de") == "14. März 2026"
