"""Mails that people ask for: an invitation to the counter, and the link that signs a member in."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from core import mail
from core.config import load
from core.db import database
from core.effects import Effect, PermanentFailure
from loyalty.models import Member
from sandbox import mailbox
from sandbox.mailbox import Letter
from sandbox.processes import free_port
from sandbox.store import Store as Kept
from shops.staff import operations
from shops.staff.mails import send_invitation
from shops.staff.models import Staff
from tests.web.stores import Store
from web.portal.mails import send_link

Letters = Callable[[], list[Letter]]


@pytest.fixture
def letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Letters]:
    kept, port = Kept(tmp_path / "mail.sqlite"), free_port()
    config = load(smtp_host="127.0.0.1", smtp_port=port, smtp_security="none", mail_from="rewards@rapport.example")
    monkeypatch.setattr(mail, "settings", lambda: config)
    controller = mailbox.start(kept, port)
    yield lambda: mailbox.letters(kept)
    controller.stop()
    kept.close()


def invited(store: Store, email: str | None) -> Staff:
    with database().transaction(store.shop_id) as session:
        return operations.invite(session, store.shop_id, "Sam", email=email, actor="merchant:1")


def test_an_invitation_reaches_whom_it_names(store: Store, letters: Letters) -> None:
    person = invited(store, "sam@example.com")
    with database().transaction(store.shop_id) as session:
        asked = sa.select(Effect.target).where(Effect.kind == operations.EFFECT)
        assert session.scalars(asked).all() == [str(person.id)]
    for _ in range(2):
        send_invitation(database(), store.shop_id, str(person.id))
    (letter,) = letters()
    assert letter.to == "sam@example.com"
    assert operations.invitation(person) in letter.text

    with database().transaction(store.shop_id) as session:
        operations.join(session, store.shop_id, person.id, person.generation)
    send_invitation(database(), store.shop_id, str(person.id))
    assert len(letters()) == 1


def test_without_an_address_nothing_is_asked_for(store: Store, letters: Letters) -> None:
    person = invited(store, None)
    with database().transaction(store.shop_id) as session:
        assert session.scalars(sa.select(Effect.target).where(Effect.kind == operations.EFFECT)).all() == []
    send_invitation(database(), store.shop_id, str(person.id))
    assert letters() == []


def test_a_link_goes_to_the_members_own_address(store: Store, letters: Letters) -> None:
    store.settle(store.order(1, store.customer(7), 600_00))
    with database().transaction(store.shop_id) as session:
        member = session.scalars(sa.select(Member)).one()
        member.email, number = "noor@example.com", member.id
    send_link(database(), store.shop_id, str(number))
    (letter,) = letters()
    assert letter.to == "noor@example.com"
    link = next(line for line in letter.text.splitlines() if line.startswith("http"))
    assert store.client.get(link).status_code == 303

    with database().transaction(store.shop_id) as session:
        session.execute(sa.update(Member).values(email=None))
    send_link(database(), store.shop_id, str(number))
    assert len(letters()) == 1


def test_a_shop_hears_that_there_is_no_mail_server(store: Store) -> None:
    person = invited(store, "sam@example.com")
    with pytest.raises(PermanentFailure):
        send_invitation(database(), store.shop_id, str(person.id))
