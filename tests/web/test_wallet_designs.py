"""Designs over the API: drafted, checked, published, rolled back; pictures uploaded and fetched; cards previewed."""

import base64
import io
import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image

from core import clock
from core.db import database
from core.events import Event
from tests.loyalty.test_program import changed
from tests.web.stores import Store
from wallet_passes.design import design
from wallet_passes.designs import addresses, images, operations
from wallet_passes.designs.models import WalletImage

BLUE = {"colours": {"background": "#14324a"}}


def put(store: Store, document: Any, edits: int) -> Any:
    body = {"document": document, "edits": edits}
    return store.client.put("/api/v1/wallet/design/draft", json=body, headers=store.headers)


def publish(store: Store, document: Any, note: str | None = None) -> Any:
    """Save and publish what has been seen to be the draft."""
    saved = put(store, document, store.get("/wallet/design/draft").json["edits"])
    return store.post("/wallet/design/publish", {"edits": saved.json["edits"], "note": note})


def picture(size: tuple[int, int] = (300, 300), colour: Any = (200, 30, 40)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def upload(store: Store, data: bytes) -> Any:
    return store.post("/wallet/design/draft/images", {"data": base64.b64encode(data).decode()})


def kept(store: Store) -> set[str]:
    with database().transaction(store.shop_id) as session:
        return set(session.scalars(sa.select(WalletImage.digest)))


def age(store: Store, days: int) -> None:
    with database().transaction(store.shop_id) as session:
        session.execute(sa.update(WalletImage).values(created_at=clock.now() - timedelta(days=days)))


# From the draft to the next version.


def test_before_anything_was_said(store: Store) -> None:
    told = store.get("/wallet/design").json
    assert (told["version"], told["rollout"]) == (None, None)
    draft = store.get("/wallet/design/draft").json
    assert (draft["edits"], draft["changed"], draft["valid"]) == (0, False, True)
    assert draft["document"] == told["document"]
    assert [warning["field"] for warning in draft["warnings"]] == ["images › logo", "images › strip"]


def test_from_the_draft_to_the_next_version(store: Store) -> None:
    first = put(store, {"colours": {"background": "sky"}}, 0)
    assert (first.status_code, first.json["edits"], first.json["valid"]) == (200, 1, False)
    assert first.json["errors"] == [{"field": "colours › background", "message": "must be a colour such as #1f4e79"}]
    refused = store.post("/wallet/design/publish", {"edits": 1})
    assert (refused.status_code, refused.json["code"]) == (422, "invalid_design")
    second = put(store, BLUE, 1).json
    assert (second["edits"], second["valid"], second["changed"]) == (2, True, True)
    published = store.post("/wallet/design/publish", {"edits": 2, "note": "Spring"})
    assert (published.status_code, published.json["version"], published.json["note"]) == (201, 1, "Spring")
    told = store.get("/wallet/design").json
    assert (told["version"]["version"], told["document"]["colours"]["background"]) == (1, "#14324a")
    assert told["version"]["actor"].startswith("api:")
    draft = store.get("/wallet/design/draft").json
    assert (draft["edits"], draft["changed"]) == (2, False)


def test_publishing_is_an_event(store: Store) -> None:
    publish(store, BLUE)
    with database().transaction(store.shop_id) as session:
        (event,) = session.scalars(sa.select(Event).where(Event.kind == "wallet.design_published"))
    assert event.data == {"version": 1}
    assert event.actor.startswith("api:")


def test_a_draft_that_somebody_else_changed(store: Store) -> None:
    put(store, BLUE, 0)
    late = put(store, {}, 0)
    assert (late.status_code, late.json["code"], late.json["edits"]) == (409, "draft_changed", 1)
    stale = store.post("/wallet/design/publish", {"edits": 0})
    assert (stale.status_code, stale.json["code"]) == (409, "draft_changed")
    assert store.get("/wallet/design/draft").json["document"] == BLUE
    assert store.get("/wallet/design/versions").json["items"] == []


def test_of_many_who_save_at_once_one_is_heard(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        saved = list(pool.map(lambda number: put(store, {"name": f"Card {number}"}, 0).status_code, range(8)))
    assert sorted(saved) == [200] + [409] * 7
    assert store.get("/wallet/design/draft").json["edits"] == 1


def test_those_who_publish_at_once_take_turns(store: Store) -> None:
    put(store, BLUE, 0)
    with ThreadPoolExecutor(4) as pool:
        published = list(pool.map(lambda _: store.post("/wallet/design/publish", {"edits": 1}), range(4)))
    assert sorted(answer.json["version"] for answer in published) == [1, 2, 3, 4]


def test_a_published_version_never_changes_and_comes_back(store: Store) -> None:
    publish(store, BLUE, "First")
    publish(store, {"name": "Pier Card"})
    put(store, {"name": "Not yet"}, 2)
    back = store.post("/wallet/design/rollback", {"version": 1})
    assert (back.status_code, back.json["version"], back.json["note"]) == (201, 3, "Version 1 again")
    first, third = (store.get(f"/wallet/design/versions/{number}").json for number in (1, 3))
    assert first["document"] == third["document"] == store.get("/wallet/design").json["document"]
    listed = store.get("/wallet/design/versions").json["items"]
    assert [(item["version"], item["note"]) for item in listed] == [(3, "Version 1 again"), (2, ""), (1, "First")]
    assert store.get("/wallet/design/draft").json["document"] == {"name": "Not yet"}
    missing = store.post("/wallet/design/rollback", {"version": 9})
    assert (missing.status_code, missing.json["code"]) == (404, "no_design")


def test_one_publication_however_often_it_is_sent(store: Store) -> None:
    put(store, BLUE, 0)
    answers = [store.post("/wallet/design/publish", {"edits": 1}, Idempotency_Key="spring").json for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert len(store.get("/wallet/design/versions").json["items"]) == 1


def test_a_look_for_a_tier_that_there_is_not(store: Store) -> None:
    document = {"looks": [{"tier": "gold"}]}
    assert put(store, document, 0).json["errors"] == [
        {"field": "looks › gold › tier", "message": "must be a tier of the program, which has no 'gold'"}
    ]
    assert store.post("/wallet/design/publish", {"edits": 1}).json["code"] == "invalid_design"


def test_a_look_for_a_tier_that_is_to_come(store: Store) -> None:
    tiers = changed("ladder.tiers.2.key", "gold")
    store.post("/program/publish", {"document": tiers, "at": (clock.now() + timedelta(days=9)).isoformat()})
    assert publish(store, {"looks": [{"tier": "gold"}, {"tier": "ambassador"}]}).status_code == 201


def test_what_no_database_keeps_is_refused(store: Store) -> None:
    for document in ({"name": "\ud800"}, {"name": "a\x00"}, {"x": float("nan")}):
        assert put(store, document, 0).status_code in (400, 422), document


def test_the_schema_is_open_to_everybody(store: Store) -> None:
    answer = store.client.get("/api/v1/wallet/design/schema.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/schema+json")
    assert {"colours", "images", "looks"} <= set(answer.json["properties"])


def test_a_shop_s_designs_and_pictures_are_its_own(store: Store, other_store: Store) -> None:
    digest = upload(store, picture()).json["digest"]
    publish(store, {"images": {"logo": digest}})
    assert other_store.get("/wallet/design/versions/1").status_code == 404
    assert other_store.get("/wallet/design").json["version"] is None
    theirs = put(other_store, {"images": {"logo": digest}}, 0).json
    assert theirs["errors"] == [{"field": "images › logo", "message": "is no picture of this shop: upload it first"}]


# Pictures.


def test_a_picture_is_uploaded_used_and_fetched_by_anybody(store: Store) -> None:
    answer = upload(store, picture((900, 200)))
    assert (answer.status_code, answer.json["width"], answer.json["height"]) == (201, 900, 200)
    seen = store.client.get(answer.json["url"])
    assert (seen.status_code, seen.mimetype) == (200, "image/png")
    assert seen.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert seen.headers["X-Content-Type-Options"] == "nosniff"
    assert Image.open(io.BytesIO(seen.data)).size == (480, 107)
    again = store.client.get(answer.json["url"], headers={"If-None-Match": seen.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_a_photo_larger_than_other_bodies_may_be(store: Store) -> None:
    photo = io.BytesIO()
    Image.effect_noise((1600, 1600), 90).convert("RGB").save(photo, "JPEG", quality=98)
    assert len(photo.getvalue()) > 1024 * 1024
    assert upload(store, photo.getvalue()).status_code == 201


def test_what_is_no_picture(store: Store) -> None:
    refused = upload(store, b"%PDF-1.4")
    assert (refused.status_code, refused.json["code"]) == (422, "bad_image")
    assert refused.json["detail"] == "this is a PDF; send a PNG, JPEG or WebP picture"
    assert store.post("/wallet/design/draft/images", {"data": "no base64"}).json["code"] == "bad_image"
    huge = store.post("/wallet/design/draft/images", {"data": "A" * (images.MOST_BYTES * 4 // 3 + 400)})
    assert huge.status_code == 422
    assert store.post("/wallet/design/draft/images", {"data": "A" * images.MOST_BYTES * 2}).status_code == 413
    assert kept(store) == set()


def test_the_same_picture_is_kept_once(store: Store) -> None:
    digests = {upload(store, picture()).json["digest"] for _ in range(2)}
    assert kept(store) == digests


def test_pictures_that_no_design_uses_go(store: Store) -> None:
    old, drafted, published, forgotten, new = (
        upload(store, picture(colour=(place, 0, 0))).json["digest"] for place in range(5)
    )
    publish(store, {"images": {"logo": old}})
    publish(store, {"looks": [{"tier": "advocate", "images": {"strip": published}}]})
    put(store, {"images": {"hero": drafted}}, 2)
    age(store, 2)
    upload(store, picture(colour=(4, 0, 0)))
    assert kept(store) == {old, drafted, published, new}
    assert forgotten not in kept(store)


def test_too_many_pictures_wait_to_be_used(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "MOST_UNUSED", 2)
    answers = [upload(store, picture(colour=(place, 9, 9))).status_code for place in range(3)]
    assert answers == [201, 201, 409]
    age(store, 2)
    assert upload(store, picture()).status_code == 201


def test_names_of_pictures_can_t_be_made_up(store: Store, other_store: Store) -> None:
    good = addresses.name(store.shop_id, design("North Pier"), "google-logo")
    path = "/wallet/images/{}/{}/{}.png"
    assert store.client.get(path.format(store.shop_id, good, "google-logo")).status_code == 200
    for shop_id, name, kind in (
        (other_store.shop_id, good, "google-logo"),
        (store.shop_id, good.replace("-", "-0", 1)[: len(good)], "google-logo"),
        (store.shop_id, good[:-1] + ("0" if good[-1] != "0" else "1"), "google-logo"),
        (store.shop_id, good, "passwd"),
        (10**30, good, "google-logo"),
        (store.shop_id, "a" * 64, "google-logo"),
    ):
        assert store.client.get(path.format(shop_id, name, kind)).status_code == 404


def test_a_picture_that_went_is_not_found(store: Store) -> None:
    url = upload(store, picture()).json["url"]
    with database().transaction(store.shop_id) as session:
        session.execute(sa.delete(WalletImage))
    gone = store.client.get(url)
    assert (gone.status_code, gone.json["code"]) == (404, "no_image")
    assert "max-age" not in gone.headers["Cache-Control"]


def test_what_is_drawn_has_an_address_too(store: Store) -> None:
    for name, (kind, made) in itertools.product(("North Pier", "مقهى", ""), images.KINDS.items()):
        look = design(name)
        seen = store.client.get(addresses.address(store.shop_id, look, kind))
        assert seen.data == made(look, {}), (name, kind)


# Previews.


def test_a_preview_of_somebody_made_up(store: Store) -> None:
    put(store, {**BLUE, "looks": [{"tier": "advocate", "colours": {"background": "#f2c14e"}}]}, 0)
    told = store.get("/wallet/design/preview", tier="advocate").json
    assert (told["wallet"], told["tier"], told["colours"]["background"]) == ("apple", "advocate", "#f2c14e")
    assert told["card"]["backgroundColor"] == "rgb(242, 193, 78)"
    assert "authenticationToken" not in told["card"]
    shown = {field["key"]: field["value"] for place in told["card"]["storeCard"].values() for field in place}
    assert (shown["tier"], shown["progress"]) == ("Advocate", "$500.00 to Ambassador")
    for url in told["images"].values():
        assert store.client.get(url).mimetype == "image/png"
    assert store.get("/wallet/design/preview").json["tier"] == "insider"


def test_a_preview_of_a_member(store: Store) -> None:
    store.settle(store.order(1, store.customer(1)))
    member = store.member_of(store.customer(1))["id"]
    publish(store, BLUE)
    put(store, {"colours": {"background": "#f2c14e"}}, 1)
    draft, published = (
        store.get("/wallet/design/preview", wallet="google", member=member, **given).json
        for given in ({}, {"version": 1})
    )
    assert draft["card"]["class"]["hexBackgroundColor"] == "#f2c14e"
    assert published["card"]["class"]["hexBackgroundColor"] == "#14324a"
    assert draft["card"]["object"]["loyaltyPoints"]["balance"]["int"] == 130
    assert store.client.get(draft["card"]["class"]["programLogo"]["sourceUri"]["uri"]).status_code == 200
    assert store.get(f"/members/{member}/wallet").json.get("apple") is None


def test_beside_the_logo_stands_the_shop_s_name_or_what_it_wants(store: Store) -> None:
    said = []
    for edits, document in enumerate(({}, {"logo_text": "Pier"}, {"logo_text": ""})):
        put(store, document, edits)
        said.append(store.get("/wallet/design/preview").json["card"].get("logoText"))
    assert said == ["roastery.myshopify.com", "Pier", None]


def test_a_preview_in_another_language(store: Store) -> None:
    put(store, {"terms": "Be kind.", "translations": [{"language": "fr", "texts": {"Be kind.": "Soyez gentils."}}]}, 0)
    told = store.get("/wallet/design/preview", language="fr").json["card"]
    shown = {field["key"]: field["value"] for field in told["storeCard"]["backFields"]}
    assert shown["terms"] == "Soyez gentils."


def test_a_preview_of_what_there_is_not(store: Store) -> None:
    for given, status in (
        ({"member": "999999"}, 404),
        ({"member": str(2**63)}, 404),
        ({"tier": "gold"}, 404),
        ({"version": 9}, 404),
        ({"wallet": "samsung"}, 422),
        ({"member": "x"}, 422),
    ):
        assert store.get("/wallet/design/preview", **given).status_code == status, given


def test_a_preview_of_a_draft_that_is_wrong(store: Store) -> None:
    put(store, {"colours": {"background": "sky"}}, 0)
    assert store.get("/wallet/design/preview").json["code"] == "invalid_design"
