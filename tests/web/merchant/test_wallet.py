"""The wallet designer and the certificate, as merchants use them."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image

from core import clock
from core.db import database
from core.events import Event
from sandbox.apple import authority
from tests.web.merchant.conftest import Office
from wallet_passes.designs.models import WalletDesign, WalletDraft
from wallet_passes.designs.operations import save_draft
from wallet_passes.models import AppleCertificate

SHOWN = ("tier", "progress", "reward", "member", "latest", "waiting", "pending", "expiring", "referral", "portal")


def picture(width: int = 1032, height: int = 336) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "#1f4e79").save(file, "PNG")
    return file.getvalue()


def said(**fields: Any) -> dict[str, Any]:
    """The designer's form with some of its fields filled in."""
    return {"edits": "0", "shown": list(SHOWN), "logo_text": "Ember", **fields}


def rows(office: Office, table: Any) -> list[Any]:
    with database().transaction(office.store.shop_id) as session:
        return list(session.scalars(sa.select(table).where(table.shop_id == office.store.shop_id)))


def spot(page: str, place: str) -> str:
    """What is said at a place of the form."""
    found = re.search(rf'id="said-{place}"[^>]*>(.*?)</div>', page, re.S)
    assert found, place
    return re.sub(r"<[^>]*>", "", found[1]).strip()


def test_a_design_is_drawn_kept_published_and_taken_back(office: Office) -> None:
    first = office.text("/wallet")
    assert "The card in Apple Wallet" in first
    assert "The card in Google Wallet" in first
    colours = {"own_colour": "1", "background": "#7a1f1f"}
    assert 'fill="#7a1f1f"' in office.post("/wallet/preview", **said(**colours)).text
    assert rows(office, WalletDraft) == []
    assert office.post("/wallet", **said(**colours)).status_code == 303
    assert 'value="#7a1f1f"' in office.text("/wallet")
    assert rows(office, WalletDesign) == []
    office.post("/wallet/publish", edits="1", note="Autumn")
    office.post("/wallet", **said(edits="1"))
    office.post("/wallet/publish", edits="2")
    page = office.text("/wallet/history")
    assert "Autumn" in page
    assert office.post("/wallet/history/1").status_code == 303
    designs = {row.version: row for row in rows(office, WalletDesign)}
    assert designs[3].document == designs[1].document
    assert designs[1].document["colours"]["background"] == "#7a1f1f"
    assert designs[2].document["colours"]["background"] is None
    assert [row.actor for row in rows(office, Event) if row.kind == "wallet.design_published"] == ["merchant:41"] * 3


def test_what_is_wrong_stands_beside_its_field_and_can_be_kept_but_not_published(office: Office) -> None:
    wrong = {
        "own_colour": "1", "background": "#ffffff", "own_text": "1", "foreground": "#fefefe", "label": "#000000",
        "links-label": ["Menu"], "links-url": ["http://example.com"],
        "locations-latitude": ["north"], "locations-longitude": ["4,5"], "locations-text": [""],
    }  # fmt: skip
    office.post("/wallet", **said(**wrong))
    page = office.text("/wallet")
    assert "ust be a web address" in spot(page, "links")
    assert "ust be a number" in spot(page, "locations")
    assert 'value="north"' in page
    answer = office.post("/wallet/publish", edits="1")
    assert answer.status_code == 422
    del wrong["links-label"], wrong["locations-latitude"]
    assert "an&#39;t be read on #ffffff" in spot(office.post("/wallet/preview", **said(**wrong)).text, "foreground")


def test_warnings_are_told_and_refuse_nothing(office: Office) -> None:
    page = office.post("/wallet/preview", **said(logo_text="A very long name that no card has room for")).text
    assert "s longer than the 24 characters that fit" in spot(page, "logo_text")
    assert "s missing" in spot(page, "strip")
    assert "250 points" in page


def test_pictures_are_checked_kept_for_the_draft_and_shown(office: Office, other_office: Office) -> None:
    answer = office.post("/wallet/pictures/hero", picture=(io.BytesIO(picture()), "hero.png"))
    (digest,) = re.findall(r'name="image-hero" value="([0-9a-f]{64})"', answer.text)
    assert answer.headers["HX-Trigger-After-Settle"] == "picture"
    (address,) = re.findall(r'<img src="([^"]+)"', answer.text)
    assert office.store.client.get(address).mimetype == "image/png"
    bad = office.post("/wallet/pictures/hero", **{"picture": (io.BytesIO(b"<svg/>"), "x.png"), "image-hero": digest})
    assert digest in bad.text
    assert 'role="alert"' in bad.text
    assert 'value=""' in office.post("/wallet/pictures/hero").text
    assert office.post("/wallet/pictures/nothing").status_code == 422
    fields = said(**{"image-hero": digest})
    office.post("/wallet", **fields)
    assert office.post("/wallet/publish", edits="1").status_code == 303
    other_office.post("/wallet", **fields)
    assert "no picture of this shop" in spot(other_office.text("/wallet"), "hero")


def test_a_tier_looks_its_own_way(office: Office) -> None:
    tiers = re.findall(r'name="look-([a-z0-9-]+)-own_colour"', office.text("/wallet"))
    top = tiers[-1]
    own = {f"look-{top}-own_colour": "1", f"look-{top}-background": "#0b3d2e", f"look-{top}-welcome": "Thank you"}
    assert 'fill="#0b3d2e"' not in office.post("/wallet/preview", **said(**own)).text
    assert 'fill="#0b3d2e"' in office.post("/wallet/preview", **said(**own, tier=top)).text
    office.post("/wallet", **said(**own))
    (draft,) = rows(office, WalletDraft)
    (look,) = draft.document["looks"]
    assert (look["tier"], look["welcome"]) == (top, "Thank you")


def test_a_phone_of_another_language_reads_the_shops_words_and_its_own_labels(office: Office) -> None:
    english = said(welcome="Good morning")
    office.post("/wallet", **english)
    page = office.text("/wallet")
    assert page.count('name="of-fr"') == 2  # beside the logo, and the line for members
    tiers = page.count('name="tier-fr"')
    french = {
        "of-fr": ["Ember", "Good morning"], "say-fr": ["Braise", " Bonjour "],
        "tier-fr": ["Initié", *[""] * (tiers - 1)], "of-ja": ["Ember"], "say-ja": [""], "tier-ja": [""] * tiers,
    }  # fmt: skip
    shown = office.post("/wallet/preview", **english, **french, language="fr").text
    for text in ("Braise", "Initié", "avantage"):
        assert text.lower() in shown.lower(), text
    assert "Braise" not in office.post("/wallet/preview", **english, **french, language="en").text
    office.post("/wallet", **(english | french | {"edits": "1", "welcome": "Good evening"}))
    (draft,) = rows(office, WalletDraft)
    # A line that was changed keeps what it was in French, to be looked through.
    assert draft.document["translations"] == [
        {"language": "fr", "texts": {"Ember": "Braise", "Good evening": "Bonjour"}, "tiers": {"insider": "Initié"}}
    ]
    # What a form does not show stays.
    office.post("/wallet", **said(edits="2", welcome="Good evening"))
    (draft,) = rows(office, WalletDraft)
    assert len(draft.document["translations"]) == 1
    wrong = office.post("/wallet/preview", **english, **{"of-xx-yy": ["Ember"], "say-xx-yy": ["X"]}).text
    assert "ust be a language" in spot(wrong, "translations")


def test_two_who_change_the_draft_don_t_overwrite_each_other(office: Office) -> None:
    office.post("/wallet", **said())
    assert office.post("/wallet", **said(logo_text="Mine")).status_code == 409
    assert office.post("/wallet", **said(edits="x")).status_code == 409
    assert office.post("/wallet/publish", edits="7").status_code == 409


def test_hidden_fields_leave_the_card_and_rows_are_added(office: Office) -> None:
    page = office.post("/wallet/preview", **said(shown=["tier"])).text
    assert "To next tier" not in page
    assert 'name="links-url"' in office.text("/wallet/rows/links")
    assert office.get("/wallet/rows/other").status_code == 422


@pytest.mark.parametrize("document", [[], "x", {"colours": 7, "looks": [3, {"tier": 5}], "links": [1], "hidden": {}}])
def test_a_draft_of_any_shape_opens(office: Office, document: Any) -> None:
    with database().transaction(office.store.shop_id) as session:
        if isinstance(document, dict):
            save_draft(session, office.store.shop_id, document, edits=0, actor="api:1")
        else:
            session.add(_draft(office, document))
    assert "to put right" in office.text("/wallet")
    assert office.post("/wallet", **said(edits="1")).status_code == 303


def _draft(office: Office, document: Any) -> WalletDraft:
    shop_id = office.store.shop_id
    return WalletDraft(shop_id=shop_id, document=document, edits=1, actor="api:1", updated_at=clock.now())


def test_another_shop_s_versions_are_not_found(office: Office, other_office: Office) -> None:
    office.post("/wallet", **said(logo_text="Other"))
    office.post("/wallet/publish", edits="1")
    assert other_office.post("/wallet/history/1").status_code == 404
    assert office.post(f"/wallet/history/{2**40}").status_code in (404, 422)


def test_a_certificate_is_uploaded_and_removed_when_one_is_sure(office: Office, tmp_path: Path) -> None:
    issuer = authority.wwdr(authority.files(tmp_path / "chain"))
    leaf = authority.pass_certificate(issuer, "pass.com.ember.card", "EMBERTEAM1", authority.LIVES)
    file = authority.p12(leaf, "s3cret", [issuer.certificate])

    def upload(password: str) -> Any:
        return office.post("/wallet/certificate", certificate=(io.BytesIO(file), "card.p12"), password=password)

    assert upload("wrong").status_code == 422
    assert office.post("/wallet/certificate", certificate=(io.BytesIO(b"no"), "x.pem")).status_code == 422
    assert office.post("/wallet/certificate").status_code == 422
    assert upload("s3cret").status_code == 303
    page = office.text("/wallet/certificate")
    assert "/static/tokens.css" in page
    assert "pass.com.ember.card" in page
    office.post("/wallet/certificate/remove")
    assert [row.retired_at for row in rows(office, AppleCertificate)] == [None]
    office.post("/wallet/certificate/remove", sure="1")
    assert [row.sealed for row in rows(office, AppleCertificate)] == [b""]
    assert office.post("/wallet/certificate/remove", sure="1").status_code == 404
