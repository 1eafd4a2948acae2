"""A shop of the sandbox that has members and mails, and a mailbox that takes them over SMTP."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask

from core import effects, mail
from core.config import load, settings
from core.db import database
from core.effects import Effect
from loyalty import programs
from loyalty.models import Member
from loyalty.program import demo_program
from sandbox import mailbox
from sandbox.catalogue import DEMO
from sandbox.mailbox import Letter
from sandbox.orders import Customer as Shopper
from sandbox.outbox import Weather
from sandbox.processes import free_port
from sandbox.store import Store as Kept
from sandbox.testing import Running, in_process
from shops import keys, mailings, operations
from tests.web.conftest import app  # noqa: F401
from tests.web.stores import DAY, NOW, Store

QUIET = Weather(withhold=1.0)


@pytest.fixture(scope="module")
def shopify(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with in_process(tmp_path_factory.mktemp("store"), "http://127.0.0.1:1", weather=QUIET) as running:
        yield running


@dataclass(frozen=True)
class Post:
    """A shop whose customers get mail. `shopper` is one of them, whose language and consent a test may change."""

    store: Store
    shopify: Running
    letters: Callable[[], list[Letter]]
    shopper: Shopper

    @property
    def customer(self) -> Any:
        return self.store.customer(self.shopper.id, self.shopper.email)

    @property
    def member_id(self) -> int:
        return int(self.store.member_of(self.customer)["id"])

    def switch(self, *kinds: str, everyone: bool = True) -> None:
        with database().transaction(self.store.shop_id) as session:
            mailings.switch(session, self.store.shop_id, kinds or mailings.KINDS, everyone=everyone, actor="test")

    def set(self, **changes: Any) -> None:
        """Change the shopper at Shopify."""
        world = self.shopify.sandbox.world
        with world.store.transaction():
            for name, value in changes.items():
                setattr(self.shopper, name, value)
            world.store.put(DEMO.domain, "customer", self.shopper.id, self.shopper, self.shopper.id)

    def change(self, **columns: Any) -> None:
        """Change the member's row."""
        with database().transaction(self.store.shop_id) as session:
            member = session.get_one(Member, (self.store.shop_id, self.member_id))
            for name, value in columns.items():
                setattr(member, name, value)

    def order(self, number: int, amount: int, **changes: Any) -> None:
        self.store.settle(self.store.order(number, self.customer, amount, **({"at": NOW} | changes)))

    def deliver(self) -> list[Letter]:
        """Carry out what is due, and what came of it, oldest first."""
        effects.carry_out_due(database(), effects.QUEUE)
        return self.letters()[::-1]

    def left(self) -> list[Effect]:
        with database().transaction(self.store.shop_id) as session:
            return session.query(Effect).filter(Effect.kind.like("mail.%")).all()


@pytest.fixture
def post(
    shopify: Running,
    app: Flask,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Post]:
    monkeypatch.setenv("SHOPIFY_STORE_URL", shopify.url + "/{shop}")
    settings.cache_clear()
    kept, port = Kept(tmp_path / "mail.sqlite"), free_port()
    config = load(smtp_host="127.0.0.1", smtp_port=port, smtp_security="none", mail_from="rewards@rapport.example")
    monkeypatch.setattr(mail, "settings", lambda: config)
    controller = mailbox.start(kept, port)

    def prepare(session: Any, shop_id: int) -> None:
        programs.publish(session, shop_id, demo_program(), effective_from=NOW - 400 * DAY, actor="test")

    answer = httpx.post(f"{shopify.url}/sandbox/{DEMO.domain}/session-token").json()
    shop_id = operations.install(database(), answer["session_token"], prepare)
    with database().transaction(shop_id) as session:
        token = keys.create(session, shop_id, "test", actor="test")
    world = shopify.sandbox.world
    number = len(world.customers(DEMO.domain))
    shopper = world.create_customer(DEMO.domain, "Noor", "Haddad", f"noor{number}@example.com")
    yield Post(Store(app, shop_id, token), shopify, lambda: mailbox.letters(kept), shopper)
    controller.stop()
    kept.close()
