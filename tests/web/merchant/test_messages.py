"""Messages to cards, as merchants write, send and cancel them."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock
from core.db import database
from core.events import Event
from tests.web.merchant.conftest import Office
from wallet_passes.messages.models import WalletMessage
from wallet_passes.operations import issue


def rows(office: Office, table: Any) -> list[Any]:
    with database().transaction(office.store.shop_id) as session:
        return list(session.scalars(sa.select(table).where(table.shop_id == office.store.shop_id)))


def member_with_card(office: Office) -> None:
    store = office.store
    store.settle(store.order(1, store.customer(1, "noor@example.com")))
    with database().transaction(store.shop_id) as session:
        issue(session, store.shop_id, int(store.member_of(store.customer(1))["id"]))


def said(**fields: Any) -> dict[str, Any]:
    return {"title": "New roast", "body": "Guji is here.", "whom": "all", "when": "now", **fields}


def drafted(office: Office, **fields: Any) -> int:
    answer = office.post("/wallet/messages", **said(**fields))
    assert answer.status_code == 303, answer.text
    return max(row.id for row in rows(office, WalletMessage))


def test_a_message_is_written_seen_sent_and_cancelled(office: Office) -> None:
    assert "No message yet" in office.text("/wallet/messages")
    member_with_card(office)
    preview = office.post("/wallet/messages/preview", **said()).text
    assert "1 member with a card is in this audience" in preview
    assert "Guji is here." in preview
    assert rows(office, WalletMessage) == []
    number = drafted(office)
    page = office.text(f"/wallet/messages/{number}")
    assert "Send this message?" in page
    office.post(f"/wallet/messages/{number}", **said(edits="1", body="Guji is back."))
    assert office.post(f"/wallet/messages/{number}/send", edits="1").status_code == 409
    assert office.post(f"/wallet/messages/{number}/send", edits="2").status_code == 303
    assert office.post(f"/wallet/messages/{number}/delete").status_code == 409
    office.post(f"/wallet/messages/{number}/cancel")
    (row,) = rows(office, WalletMessage)
    assert (row.state, row.body, row.actor) == ("cancelled", "Guji is back.", "merchant:41")
    assert "Guji is back." in office.text(f"/wallet/messages/{number}")
    office.post(f"/wallet/messages/{number}/delete")
    assert rows(office, WalletMessage) == []


def test_nothing_is_sent_to_nobody(office: Office) -> None:
    number = drafted(office)
    page = office.text(f"/wallet/messages/{number}")
    assert "Nobody has a card yet, so nobody would get this." in page
    assert "Send now" not in page
    assert "Nobody has a card yet" in office.post("/wallet/messages/preview", **said()).text
    member_with_card(office)
    none = said(whom="some", points_at_least="1000000")
    assert "Nobody with a card is in this audience" in office.post("/wallet/messages/preview", **none).text
    assert "Send now" in office.text(f"/wallet/messages/{number}")
    number = drafted(office, whom="some", points_at_least="1000000")
    answer = office.post(f"/wallet/messages/{number}/send", edits="1")
    assert (answer.status_code, "Nobody with a card" in answer.text) == (409, True)


def test_a_message_goes_out_at_its_time_on_the_shop_s_clock(office: Office) -> None:
    later = (clock.now() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    number = drafted(office, when="later", send_at=later)
    office.post(f"/wallet/messages/{number}/send", edits="1")
    assert "Waiting for its time" in office.text(f"/wallet/messages/{number}")
    assert later in office.text(f"/wallet/messages/{number}", edit="1")
    office.post(f"/wallet/messages/{number}", **said(edits="1", when="later", send_at=later, title="Newer"))
    (row,) = rows(office, WalletMessage)
    assert (row.state, row.title) == ("scheduled", "Newer")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"title": " "}, "must say something that can be seen"),
        ({"title": ""}, "Write something here."),
        ({"body": "x" * 161}, "must have at most 160 characters"),
        ({"link": "http://example.com"}, "must be an address that starts with https://"),
        ({"whom": "some"}, "Choose at least one condition"),
        ({"whom": "some", "points_at_least": "many"}, "Write a whole number."),
        ({"whom": "some", "points_at_least": "9", "points_at_most": "1"}, "must not be more than"),
        ({"whom": "some", "tiers": "nobody-s"}, "the ladder has no tier"),
        ({"when": "later", "send_at": "2001-01-01T00:00"}, "That time has passed."),
        ({"when": "later"}, "Say when it is to be sent."),
        ({"ends_at": "yesterday"}, "Choose a day and a time."),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_what_was_written_stays(
    office: Office, fields: dict[str, Any], sentence: str
) -> None:
    answer = office.post("/wallet/messages", **said(**fields))
    assert (answer.status_code, sentence in answer.text, "Guji" in answer.text or "xxx" in answer.text) == (
        422,
        True,
        True,
    )
    assert sentence in office.post("/wallet/messages/preview", **said(**fields)).text
    assert rows(office, WalletMessage) == []


def test_an_audience_is_kept_and_shown_again(office: Office) -> None:
    member_with_card(office)
    number = drafted(office, whom="some", points_at_least="50", quiet_days="3", wallet="apple")
    (row,) = rows(office, WalletMessage)
    assert row.audience == {"points_at_least": 50, "quiet_days": 3, "wallet": "apple"}
    page = office.text(f"/wallet/messages/{number}")
    assert 'value="50"' in page
    assert "Nobody with a card is in this audience" in page


def test_how_many_a_member_gets_is_set(office: Office) -> None:
    office.post("/wallet/messages/limit", messages="1", days="14")
    page = office.text("/wallet/messages")
    assert 'value="14"' in page
    assert office.post("/wallet/messages/limit", messages="0", days="x").status_code == 422
    assert [row.actor for row in rows(office, Event) if row.kind == "wallet.message_limit_changed"] == ["merchant:41"]


def test_another_shop_s_message_is_not_found(office: Office, other_office: Office) -> None:
    number = drafted(office)
    assert other_office.get(f"/wallet/messages/{number}").status_code == 404
    for action in ("", "/send", "/cancel", "/delete"):
        assert other_office.post(f"/wallet/messages/{number}{action}", **said(edits="1")).status_code == 404
    assert [row.state for row in rows(office, WalletMessage)] == ["draft"]
