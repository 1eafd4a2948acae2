"""The pass file, read by others: Python's zip, the unzip of an iPhone, OpenSSL, and Apple's schemas as npm has them."""

import hashlib
import io
import json
import subprocess
import zipfile
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sandbox.apple import passfile
from sandbox.apple.authority import PASS_TYPE, TEAM, Files
from sandbox.apple.passfile import BadPass
from tests.wallet_passes.graphemes import node
from tests.wallet_passes.test_content import card
from wallet_passes.apple import certificate, images, package
from wallet_passes.apple.certificate import Certificate
from wallet_passes.apple.package import Identity
from wallet_passes.content import Card, Expiring, Waiting
from wallet_passes.design import Design, Link, Pictures, Place, Text, Words, design
from wallet_passes.designs.images import DENSITIES, ICON, LOGO, STRIP
from wallet_passes.languages import LANGUAGES

LOOK = design("North Pier")
IDENTITY = Identity(PASS_TYPE, TEAM, "7-0123456789abcdef0123", "https://rapport.example/wallet/apple", "t" * 40)
ROOT = Path(__file__).parents[2]
EVERYTHING: dict[str, Any] = {
    "message": "Doors open at nine.",
    "message_link": "https://pier.example/hours?a=1&b='2'",
    "pending": 40,
    "waiting": (Waiting("$5 off", "NP-7KQ2", datetime(2026, 3, 14, tzinfo=UTC)),),
    "expiring": Expiring(40, datetime(2026, 3, 14, tzinfo=UTC)),
    "referral_code": "NOOR10",
    "referral_url": "https://pier.example/r/NOOR10",
    "portal_url": "https://pier.example/rewards",
    "website": "https://pier.example",
    "changed_at": datetime(2026, 2, 1, 10, 30, 5, 99, tzinfo=UTC),
}
RICH = LOOK._replace(
    words=Words(
        logo_text="Pier",
        welcome="Good to see you.",
        terms="One.\nTwo & three.",
        texts=(Text("Hours", "Nine to five"),),
        links=(Link("Map", "https://pier.example/map"),),
        places=(Place(52.5, 13.4, ""), Place(-33.86, 151.2, "Flat whites here.")),
    ),
    max_distance=300,
)
CASES = {
    "plain": card(message="Doors open at nine."),
    **{language: card(language=language, **EVERYTHING) for language in LANGUAGES},
    "ended": card(ended=True),
    "long": card(member="Ada " * 75, tier="T" * 300, shop="S" * 300, latest="L" * 3000),
    "emoji": card(member="👩\u200d👩\u200d👧\u200d👦" * 40, shop="☕️ Café"),
    "right to left": card(member="نور حداد", shop="مقهى الميناء"),
    "hostile": card(member='"},{"x":"</script>\u202e\x00', shop="\\\\\"'"),
}


@pytest.fixture(scope="module")
def signer(apple_files: Files) -> Certificate:
    files = (apple_files.certificate, apple_files.key, apple_files.wwdr)
    return certificate.load(*(path.read_bytes() for path in files), now=datetime.now(UTC))


def made(one: Card, signer: Certificate, look: Design = LOOK) -> bytes:
    text = package.pass_json(one, look, IDENTITY)
    return package.package(package.template(look, one.look), text, signer.sign)


@pytest.mark.parametrize("case", CASES)
def test_a_phone_takes_every_card(case: str, signer: Certificate, apple_files: Files) -> None:
    """Zip, manifest, signature by `openssl cms -verify` up to the root, and who signed."""
    found = passfile.opened(made(CASES[case], signer), apple_files.root)
    shown = {field["key"]: field["value"] for field in found.fields()}
    said = {field.key: field.text for field in CASES[case].fields if not field.moment}
    assert shown.items() >= said.items()
    assert found.told.get("voided", False) is CASES[case].ended
    assert ("webServiceURL" in found.told) is not CASES[case].ended


def test_every_byte_is_proven(signer: Certificate, apple_files: Files) -> None:
    good = made(CASES["plain"], signer)
    for place in range(40, len(good), len(good) // 60):
        bad = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
        try:
            told = passfile.opened(bad, apple_files.root).told
        except BadPass:
            continue
        # A date or an attribute of the zip itself, which no phone looks at.
        assert told == passfile.read(good).told


def test_a_stranger_s_signature_is_refused(signer: Certificate, apple_files: Files, tmp_path: Path) -> None:
    from sandbox.apple import authority

    other = authority.files(tmp_path / "other")
    with pytest.raises(BadPass, match="signature"):
        passfile.opened(made(CASES["plain"], signer), other.root)


def test_zip_and_manifest(signer: Certificate) -> None:
    with zipfile.ZipFile(io.BytesIO(made(CASES["plain"], signer))) as archive:
        assert archive.testzip() is None
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        files = {name: archive.read(name) for name in archive.namelist()}
    sums = json.loads(files["manifest.json"])
    del files["manifest.json"], files["signature"]
    assert sums == {name: hashlib.sha1(data).hexdigest() for name, data in files.items()}


@pytest.mark.parametrize("name", ["North Pier", "مقهى", "北の珈琲", "", "☕️"])
def test_images_have_apple_s_sizes(name: str) -> None:
    drawn = {file: Image.open(io.BytesIO(data)) for file, data in images.files(design(name), "insider", {}).items()}
    square = (LOGO[1], LOGO[1])
    assert {file: image.size for file, image in drawn.items()} == {
        f"{file}{suffix}.png": (width * times, height * times)
        for file, (width, height) in {"icon": ICON, "logo": square, "strip": STRIP}.items()
        for suffix, times in DENSITIES
    }
    assert {image.format for image in drawn.values()} == {"PNG"}


def test_every_tier_has_a_strip_of_its_own_and_keeps_it() -> None:
    drawn = {tier: images.strip(LOOK, tier) for tier in ("insider", "advocate", "ambassador")}
    assert len(set(drawn.values())) == 3
    assert images.strip(LOOK, "insider") == drawn["insider"]


def test_a_shop_s_own_strip_is_taken_for_every_tier() -> None:
    own = io.BytesIO()
    Image.new("RGB", (1125, 432), (200, 30, 30)).save(own, "PNG")
    look, asked = LOOK._replace(pictures=Pictures(strip="d" * 64)), []

    def read(digests: Collection[str]) -> dict[str, bytes]:
        asked.append(set(digests))
        return {"d" * 64: own.getvalue()}

    made = {package.template(look, tier, read).records for tier in ("insider", "advocate", "insider")}
    assert len(made) == 1
    # Read once for each tier's template, and never for a pass.
    assert asked == [{"d" * 64}] * 2


# Words.


def test_a_phone_looks_every_label_and_announcement_up(signer: Certificate, apple_files: Files) -> None:
    found = passfile.opened(made(CASES["ar"], signer, RICH), apple_files.root)
    own = {"Hours", "Map"}
    for language in LANGUAGES:
        words = found.words(language)
        told = [field.get(part) for field in found.fields() for part in ("label", "changeMessage")]
        assert {text for text in told if text and text != "%@" and text not in own} <= set(words)
    french = {field["key"]: field for field in found.spoken("fr")}
    assert french["reward"]["label"] == "Prochain avantage"
    assert french["points"]["changeMessage"] == "Votre solde de points est maintenant de %@."
    assert french["text-0"]["label"] == "Hours"


def test_strings_survive_what_they_hold() -> None:
    assert passfile.strings(b'/* why */ "a \\"b\\"" = "c\\\\d\\n"; // so\n"e"="\xc3\xa9";') == {
        'a "b"': "c\\d\n",
        "e": "é",
    }


@pytest.mark.parametrize("bad", [b'"a" = "b"', b'"a" "b";', b'"a" = b;', b'"a = "b";', b"\xff", b"<plist/>"])
def test_bad_strings_are_refused(bad: bytes) -> None:
    with pytest.raises(BadPass, match="strings"):
        passfile.strings(bad)


def test_links_on_the_back() -> None:
    told = json.loads(package.pass_json(CASES["en"], RICH, IDENTITY))
    back = {field["key"]: field for field in told["storeCard"]["backFields"]}
    assert all(field["dataDetectorTypes"] == [] for field in back.values())
    assert back["website"]["attributedValue"] == "<a href='https://pier.example'>https://pier.example</a>"
    address = "https://pier.example/hours?a=1&amp;b=&#x27;2&#x27;"
    assert back["message"]["attributedValue"] == f"<a href='{address}'>Doors open at nine.</a>"
    assert back["referral"]["attributedValue"] == (
        "Your code: NOOR10\n<a href='https://pier.example/r/NOOR10'>https://pier.example/r/NOOR10</a>"
    )
    assert "attributedValue" not in back["member"]


def test_a_moment_is_written_by_the_phone() -> None:
    told = json.loads(package.pass_json(CASES["fr"], LOOK, IDENTITY))
    (changed,) = (field for field in told["storeCard"]["backFields"] if field["key"] == "changed")
    assert changed["value"] == "2026-02-01T10:30:05Z"
    assert (changed["dateStyle"], changed["timeStyle"]) == ("PKDateStyleMedium", "PKDateStyleShort")


def test_places_for_the_lock_screen() -> None:
    told = json.loads(package.pass_json(card(language="de"), RICH, IDENTITY))
    assert told["maxDistance"] == 300
    assert told["locations"] == [
        {
            "latitude": 52.5,
            "longitude": 13.4,
            "relevantText": "North Pier ist ganz in der Nähe. Ihre Karte ist bereit.",
        },
        {"latitude": -33.86, "longitude": 151.2, "relevantText": "Flat whites here."},
    ]
    assert "locations" not in json.loads(package.pass_json(CASES["plain"], LOOK, IDENTITY))
    many = RICH._replace(words=Words(places=(Place(1, 1, ""),) * 14))
    assert len(json.loads(package.pass_json(CASES["plain"], many, IDENTITY))["locations"]) == 10


@pytest.mark.parametrize(
    ("changes", "look", "said"),
    [
        ({"message": "At nine."}, RICH, ("At nine.", "%@")),
        ({"message": "At nine.", "message_quiet": True}, RICH, ("At nine.", None)),
        ({}, RICH, ("Good to see you.", None)),
        ({}, LOOK, ("No news right now.", None)),
    ],
)
def test_there_is_always_a_message_field_for_the_next_one(
    changes: dict[str, Any], look: Design, said: tuple[str, str | None]
) -> None:
    told = json.loads(package.pass_json(card(**changes), look, IDENTITY))
    first = told["storeCard"]["backFields"][0]
    assert (first["key"], first["value"], first.get("changeMessage")) == ("message", *said)


VALIDATE = """
const { PassProps } = require(process.cwd() + "/node_modules/passkit-generator/lib/cjs/schemas/index.js");
const told = JSON.parse(require("fs").readFileSync(0, "utf8"));
const checked = Object.entries(told).map(([name, pass]) => [name, PassProps.validate(pass).error]);
console.log(JSON.stringify(checked.filter(([, error]) => error).map(([name, error]) => `${name}: ${error}`)));
"""


def faults(passes: dict[str, Any]) -> list[str]:
    """What the npm package `passkit-generator`, which knows Apple's schemas, finds wrong."""
    done = subprocess.run(
        [node(), "-e", VALIDATE], cwd=ROOT, input=json.dumps(passes), capture_output=True, text=True, check=True
    )
    found: list[str] = json.loads(done.stdout)
    return found


def test_every_pass_fits_the_schemas_of_passkit_generator() -> None:
    passes: dict[str, Any] = {name: json.loads(package.pass_json(one, LOOK, IDENTITY)) for name, one in CASES.items()}
    passes |= {f"{name}, dressed": json.loads(package.pass_json(one, RICH, IDENTITY)) for name, one in CASES.items()}
    assert faults(passes) == []
    passes["en"]["storeCard"]["headerFields"][0]["changeMessage"] = 7
    assert faults(passes) != []
