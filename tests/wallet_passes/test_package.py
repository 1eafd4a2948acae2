"""The pass file, read by others: Python's zip, the unzip of an iPhone, OpenSSL, and Apple's schemas as npm has them."""

import hashlib
import io
import json
import shutil
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sandbox.apple import passfile
from sandbox.apple.authority import PASS_TYPE, TEAM, Files
from sandbox.apple.passfile import BadPass
from tests.wallet_passes.test_content import card
from wallet_passes.apple import certificate, images, package
from wallet_passes.apple.certificate import Certificate
from wallet_passes.apple.package import Identity
from wallet_passes.content import Card
from wallet_passes.design import design

LOOK = design("North Pier")
IDENTITY = Identity(PASS_TYPE, TEAM, "7-0123456789abcdef0123", "https://rapport.example/wallet/apple", "t" * 40)
CASES = {
    "plain": card(message="Doors open at nine."),
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


def made(one: Card, signer: Certificate) -> bytes:
    text = package.pass_json(one, LOOK, IDENTITY)
    return package.package(package.template(LOOK), text, signer.sign)


@pytest.mark.parametrize("case", CASES)
def test_a_phone_takes_every_card(case: str, signer: Certificate, apple_files: Files) -> None:
    """Zip, manifest, signature by `openssl cms -verify` up to the root, and who signed."""
    found = passfile.opened(made(CASES[case], signer), apple_files.root)
    assert [(field["key"], field["value"]) for field in found.fields()] == [
        (field.key, field.text) for field in CASES[case].fields
    ]
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


@pytest.mark.parametrize("name", ["North Pier", "مقهى", "", "☕️"])
def test_images_have_apple_s_sizes(name: str) -> None:
    drawn = {file: Image.open(io.BytesIO(data)) for file, data in images.generated(design(name)).items()}
    wanted = {"icon": images.ICON, "logo": images.LOGO, "strip": images.STRIP}
    assert {file: image.size for file, image in drawn.items()} == {
        f"{file}{suffix}.png": (width * times, height * times)
        for file, (width, height) in wanted.items()
        for suffix, times in images.DENSITIES
    }
    assert {image.format for image in drawn.values()} == {"PNG"}


GENERATOR = "passkit-generator@3.6.1"
VALIDATE = """
const { PassProps } = require(process.cwd() + "/node_modules/passkit-generator/lib/cjs/schemas/index.js");
const told = JSON.parse(require("fs").readFileSync(0, "utf8"));
const checked = Object.entries(told).map(([name, pass]) => [name, PassProps.validate(pass).error]);
console.log(JSON.stringify(checked.filter(([, error]) => error).map(([name, error]) => `${name}: ${error}`)));
"""


@pytest.fixture(scope="session")
def generator(pytestconfig: pytest.Config) -> Path:
    """The npm package `passkit-generator`, which knows Apple's schemas; kept for the next run."""
    folder = Path(str(pytestconfig.cache.mkdir("passkit")))  # type: ignore[union-attr]
    if not (folder / "node_modules/passkit-generator").is_dir():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is not here")
        # Told where, or it would look for a project in the folders above.
        command = [npm, "install", "--prefix", str(folder), "--silent", "--ignore-scripts", "--no-audit", GENERATOR]
        if subprocess.run(command, cwd=folder, capture_output=True, timeout=100).returncode != 0:
            pytest.skip("npm could not fetch passkit-generator")
    return folder


def test_every_pass_fits_the_schemas_of_passkit_generator(generator: Path) -> None:
    passes: dict[str, Any] = {name: json.loads(package.pass_json(one, LOOK, IDENTITY)) for name, one in CASES.items()}
    assert faults(generator, passes) == []
    passes["plain"]["storeCard"]["headerFields"][0]["changeMessage"] = 7
    assert faults(generator, passes) != []


def faults(generator: Path, passes: dict[str, Any]) -> list[str]:
    done = subprocess.run(
        ["node", "-e", VALIDATE], cwd=generator, input=json.dumps(passes), capture_output=True, text=True, check=True
    )
    found: list[str] = json.loads(done.stdout)
    return found
