"""Making and signing a card's file: beside the RSA signature in it, and beside other libraries with the same content.

All rates are per second of processor time.
"""

import itertools
import json
import shutil
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench import wallet_rivals
from bench.measure import Effort, Goal, Result, alternate, medians, ratios
from bench.world import World
from core.db import database
from sandbox.apple import authority, passfile
from shops.models import Shop
from wallet_passes import barcode, content
from wallet_passes.apple import certificate, images, operations, package
from wallet_passes.apple.certificate import Certificate
from wallet_passes.content import Facts, NextTier, Offer
from wallet_passes.design import design
from wallet_passes.models import Pass
from wallet_passes.operations import Current

SIGNED = Goal("signed cards ÷ RSA-2048 signatures of `openssl speed`", 0.75, True)
RIVAL = Goal("signed cards ÷ {}", 20, True)
ROUNDS = 5
RIVAL_SECONDS = 1
CARDS = 500
LOOK = "advocate"
DESIGN = design("North Pier Coffee")
SHOP = Shop(id=7, name=DESIGN.name)
FACTS = Facts(
    shop=DESIGN.name,
    program="Pier Points",
    member="Noor Haddad",
    points=1840,
    tier="Advocate",
    look=LOOK,
    next_tier=NextTier("Ambassador", "eligible_spend", 120_00),
    offers=(Offer("$5 off", 500), Offer("$25 off", 2500)),
    currency="USD",
    latest="100 points for order #1043. $80.00 at 1 point per dollar, × 1.25 because you're an Advocate.",
    website="https://northpier.example",
)


def measure(world: World, effort: Effort) -> list[Result]:
    signer, parts = _signer(world.folder), world.folder / "card"
    cards = itertools.cycle([_current(number) for number in range(CARDS)])
    _write_parts(parts, world.folder, operations.signed(database(), next(cards), signer))
    rivals = list(wallet_rivals.fetched(world.folder / "rivals"))
    measured = alternate(
        max(ROUNDS, effort.rounds),
        openssl=partial(_openssl, effort.seconds // 2),
        ours=partial(_ours, cards, signer, effort.seconds // 2),
        **{rival.name: partial(rival.rate, parts, RIVAL_SECONDS) for rival in rivals},
    )
    figures = medians(measured)
    for rival in rivals:
        _check_same(rival.last(parts), parts / "ours.pkpass", authority.files(world.folder / "apple").root)
    ahead = [
        Result(RIVAL._replace(name=RIVAL.name.format(rival.name)), ratios(measured["ours"], measured[rival.name]))
        for rival in rivals
    ]
    return [Result(SIGNED, ratios(measured["ours"], measured["openssl"]), figures), *ahead]


def _signer(folder: Path) -> Certificate:
    files = authority.files(folder / "apple")
    return certificate.load(*(path.read_bytes() for path in (files.certificate, files.key, files.wwdr)), now=None)


def _current(number: int) -> Current:
    """The card of one of many members, worked out as it is when it changes."""
    code = barcode.write((b"bench",), SHOP.id, barcode.new_handle(), 0)
    card = content.card(FACTS, code, barcode.grouped(code), "en")
    row = Pass(shop_id=SHOP.id, serial=f"{SHOP.id}-{number:020x}", member_id=number, version=1)
    return Current(row, card, DESIGN, SHOP)


def _ours(cards: Iterator[Current], signer: Certificate, seconds: int) -> float:
    return _rate(lambda: operations.signed(database(), next(cards), signer), seconds)


def _rate(make: Callable[[], object], seconds: int) -> float:
    made, began = 0, time.process_time()
    while (spent := time.process_time() - began) < seconds:
        make()
        made += 1
    return made / spent


def _openssl(seconds: int) -> float:
    """By OpenSSL's own account: it counts the processor time of the program itself."""
    command = ["openssl", "speed", "-mr", "-seconds", str(seconds), "rsa2048"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = next(line for line in said.splitlines() if line.startswith("+F2:"))
    return float(line.split(":")[3])


def _write_parts(parts: Path, folder: Path, ours: bytes) -> None:
    """A card's parts, for others to make the same of."""
    for name, data in (images.files(DESIGN, LOOK, {}) | package.strings()).items():
        path = parts / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (parts / "ours.pkpass").write_bytes(ours)
    (parts / "pass.json").write_text(json.dumps(passfile.read(ours).told))
    files = authority.files(folder / "apple")
    for path in (files.certificate, files.key, files.wwdr):
        shutil.copy(path, parts)


def _check_same(theirs: Path, ours: Path, root: Path) -> None:
    """Both are cards that a phone takes, and say the same."""
    with warnings.catch_warnings():
        # One of them writes its signature in an order that is not DER's; phones take it.
        warnings.simplefilter("ignore")
        one, other = (passfile.opened(path.read_bytes(), root) for path in (theirs, ours))
    serial = {"serialNumber": ""}
    if (one.told | serial, one.images, one.languages) != (other.told | serial, other.images, other.languages):
        raise SystemExit(f"{theirs.name} is another card than ours")
