"""A design that is published reaches the phones: each tier's colours, pictures and words, on every card of the shop."""

import base64
import io
from typing import Any

from PIL import Image

from core.db import database
from tests.wallet_passes.rig import Wallet
from tests.wallet_passes.test_images import plain, saved
from wallet_passes import rollouts
from wallet_passes.designs import images

PURPLE, YELLOW = (120, 30, 140), (242, 193, 78)


def upload(wallet: Wallet, colour: Any, size: tuple[int, int] = (1200, 480)) -> str:
    data = base64.b64encode(saved(plain(size, colour))).decode()
    return str(wallet.store.post("/wallet/design/draft/images", {"data": data}).json["digest"])


def publish(wallet: Wallet, document: Any) -> Any:
    edits = wallet.store.get("/wallet/design/draft").json["edits"]
    body = {"document": document, "edits": edits}
    saved = wallet.store.client.put("/api/v1/wallet/design/draft", json=body, headers=wallet.store.headers).json
    assert saved["errors"] == []
    return wallet.store.post("/wallet/design/publish", {"edits": saved["edits"]}).json


def roll_out(wallet: Wallet, *, until: Any) -> None:
    def reached() -> bool:
        rollouts.work(database())
        return bool(until())

    wallet.wait(reached)


def strip(wallet: Wallet, serial: str, phone: str) -> Any:
    """The colour in the middle of the strip of the card on a phone."""
    file = wallet.phones.phone(phone).passes[serial].read().images["strip@2x.png"]
    image = Image.open(io.BytesIO(file))
    assert image.size == (750, 288)
    return image.convert("RGB").getpixel((375, 144))


def two_cards(wallet: Wallet) -> tuple[str, str]:
    """Of an Insider on one phone, of an Advocate on another."""
    insider, advocate = wallet.store.customer(7), wallet.store.customer(8)
    wallet.buy(1, insider)
    wallet.buy(2, advocate, 600_00)
    return wallet.card(wallet.member(insider), "one"), wallet.card(wallet.member(advocate), "other")


def test_each_tier_s_look_reaches_its_phones(wallet: Wallet) -> None:
    one, other = two_cards(wallet)
    shared, own = upload(wallet, PURPLE), upload(wallet, YELLOW)
    told = publish(
        wallet,
        {
            "logo_text": "Pier",
            "colours": {"background": "#14324a"},
            "images": {"strip": shared},
            "terms": "Be kind.",
            "locations": [{"latitude": 52.52, "longitude": 13.405, "text": "Your card is ready."}],
            "max_distance": 200,
            "hidden": ["member"],
            "looks": [{"tier": "advocate", "colours": {"background": "#3b0d2c"}, "images": {"strip": own}}],
        },
    )
    assert (told["rollout"]["cause"], told["rollout"]["total"]) == ("design:1", 2)
    roll_out(
        wallet,
        until=lambda: (
            (wallet.told(one, "one")["backgroundColor"], wallet.told(other, "other")["backgroundColor"])
            == ("rgb(20, 50, 74)", "rgb(59, 13, 44)")
        ),
    )
    assert strip(wallet, one, "one") == PURPLE
    assert strip(wallet, other, "other") == YELLOW
    for serial, phone in ((one, "one"), (other, "other")):
        card = wallet.told(serial, phone)
        assert (card["logoText"], card["maxDistance"]) == ("Pier", 200)
        assert card["locations"][0]["relevantText"] == "Your card is ready."
        assert wallet.shows(serial, "terms", phone) == "Be kind."
        assert wallet.shows(serial, "member", phone) is None
    progress = wallet.store.get("/wallet/design").json["rollout"]
    assert (progress["done"], progress["total"]) == (2, 2)


def test_a_member_who_climbs_gets_the_look_of_the_new_tier(wallet: Wallet) -> None:
    noor = wallet.store.customer(7)
    publish(wallet, {"looks": [{"tier": "advocate", "colours": {"background": "#3b0d2c"}}]})
    wallet.buy(1, noor)
    serial = wallet.card(wallet.member(noor))
    before = wallet.told(serial)["backgroundColor"]
    wallet.buy(2, noor, 600_00)
    wallet.wait(lambda: wallet.told(serial)["backgroundColor"] != before)
    assert wallet.told(serial)["backgroundColor"] == "rgb(59, 13, 44)"


def test_what_shows_the_same_is_sent_to_nobody(wallet: Wallet) -> None:
    one, _ = two_cards(wallet)
    publish(wallet, {"colours": {"background": "#14324a"}})
    roll_out(wallet, until=lambda: wallet.told(one, "one")["backgroundColor"] == "rgb(20, 50, 74)")
    pushed = wallet.apple.pushes.taken
    publish(wallet, {"colours": {"background": "#14324A"}, "looks": [{"tier": "ambassador", "terms": "New."}]})
    roll_out(wallet, until=lambda: wallet.store.get("/wallet/design").json["rollout"]["finished_at"])
    while wallet.work():
        pass
    assert wallet.apple.pushes.taken == pushed


def test_rolling_back_reaches_phones_too(wallet: Wallet) -> None:
    one, _ = two_cards(wallet)
    publish(wallet, {"colours": {"background": "#14324a"}})
    publish(wallet, {"colours": {"background": "#3b0d2c"}})
    roll_out(wallet, until=lambda: wallet.told(one, "one")["backgroundColor"] == "rgb(59, 13, 44)")
    wallet.store.post("/wallet/design/rollback", {"version": 1})
    roll_out(wallet, until=lambda: wallet.told(one, "one")["backgroundColor"] == "rgb(20, 50, 74)")


def test_the_drawn_pictures_are_those_of_the_design_s_colours(wallet: Wallet) -> None:
    one, _ = two_cards(wallet)
    publish(wallet, {"colours": {"background": "#14324a"}})
    roll_out(wallet, until=lambda: wallet.told(one, "one")["backgroundColor"] == "rgb(20, 50, 74)")
    files = wallet.phones.phone("one").passes[one].read().images
    assert set(files) == {f"{name}{suffix}.png" for name in ("icon", "logo", "strip") for suffix, _ in images.DENSITIES}
