"""A shop whose members carry cards: the app over HTTP on loopback, Apple's push service, and iPhones."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core import effects
from core.config import settings
from core.db import database
from loyalty.operations import Customer
from sandbox.apple.phone import Phone
from sandbox.apple.world import Apple
from sandbox.google.world import Google
from tests.web.stores import Store
from tests.webhooks.rig import House, delivery

PATIENCE = 10  # seconds


@dataclass(frozen=True)
class Wallet:
    """`store` is a shop of the app that answers at `url`."""

    store: Store
    url: str
    apple: Apple
    google: Google

    @property
    def phones(self) -> Any:
        return self.apple.phones

    def buy(self, number: int, customer: Customer, amount: int = 80_00, **changes: Any) -> None:
        self.store.settle(self.store.order(number, customer, amount, **changes))

    def merge(self, kept: Customer, deleted: Customer) -> None:
        """Shopify tells that two customers are one."""
        gid = "gid://shopify/Customer/{}".format
        told = {
            "admin_graphql_api_customer_kept_id": gid(kept.customer_id),
            "admin_graphql_api_customer_deleted_id": gid(deleted.customer_id),
        }
        house = House(settings().database_url)
        house.settle(self.store.shop_id, [delivery("customers/merge", told)])
        house.database.dispose()

    def member(self, customer: Customer) -> str:
        return str(self.store.member_of(customer)["id"])

    def card(self, member: str, phone: str = "iphone") -> str:
        """Add the member's card to a phone; its serial."""
        link = self.store.get(f"/members/{member}/wallet").json["apple"]["download_url"]
        return str(self.phones.add(phone, link))

    def told(self, serial: str, phone: str = "iphone") -> dict[str, Any]:
        """`pass.json` as the phone has it."""
        held: dict[str, Any] = self.phones.phone(phone).passes[serial].read().told
        return held

    def shows(self, serial: str, key: str, phone: str = "iphone") -> Any:
        fields = self.phones.phone(phone).passes[serial].read().fields()
        return next((field["value"] for field in fields if field["key"] == key), None)

    def work(self) -> int:
        """Carry out the effects that are due."""
        return effects.carry_out_due(database())

    def wait(self, true: Callable[[], object]) -> None:
        """Work until something is so; phones fetch in threads of their own."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, "waited in vain"
            self.work()
            time.sleep(0.02)

    def notes(self, phone: str = "iphone") -> list[str]:
        """What the phone has announced, oldest first."""
        found: Phone = self.phones.phone(phone)
        return [note.text for note in reversed(found.notes)]
