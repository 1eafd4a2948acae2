"""Small shops with customers who order, and what they ask the API."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask

from core.db import database
from loyalty import programs
from loyalty.operations import Customer
from loyalty.program import demo_program
from loyalty.rules import Line, OrderState, Refund, RefundLine
from shops import keys
from shops.models import Shop
from webhooks.arrivals import Arrival
from webhooks.settlement import settle

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
# Shopify's order ids are beyond what a JavaScript number holds.
FIRST_ORDER = 2**53 + 1001


@dataclass(frozen=True)
class Store:
    """A shop with the demo program and an API key. Orders are numbered from #1 on, ids from FIRST_ORDER."""

    app: Flask
    shop_id: int
    token: str

    @property
    def client(self) -> Any:
        return self.app.test_client()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"/api/v1{path}", query_string=query, headers=self.headers)

    def post(self, path: str, body: Any, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(f"/api/v1{path}", json=body, headers=self.headers | named)

    def settle(self, *arrivals: Arrival) -> None:
        with database().transaction(self.shop_id) as session:
            settle(session, arrivals)

    def order(self, number: int, customer: Customer | None, amount: int = 80_00, **changes: Any) -> Arrival:
        """An order of one line, as it would arrive: `amount` in minor units, `changes` to its state."""
        return Arrival(self.shop_id, FIRST_ORDER + number, order_state(number, amount, **changes), customer=customer)

    def customer(self, number: int, email: str | None = None) -> Customer:
        return Customer(self.shop_id, number, email, email is not None, "Noor", NOW - 30 * DAY)

    def member_of(self, customer: Customer) -> dict[str, Any]:
        (found,) = self.get("/members", customer_id=customer.customer_id).json["items"]
        return found


def order_state(number: int, amount: int, *, at: datetime = NOW - 3 * DAY, **changes: Any) -> OrderState:
    line = Line(id=number * 10 + 1, title="Coffee", quantity=1, current=1, price=amount, discount=0, tax=0)
    known: dict[str, Any] = {
        "status": "paid",
        "cancelled_at": None,
        "test": False,
        "currency": "USD",
        "digits": 2,
        "taxes_included": False,
        "shipping": 500,
        "shipping_tax": 0,
        "lines": (line,),
        "updated_at": at,
    }
    return OrderState(order_id=FIRST_ORDER + number, name=f"#{number}", processed_at=at, **known | changes)


def refund(number: int, amount: int, *, at: datetime = NOW - DAY, refund_id: int | None = None) -> Refund:
    """A refund of part of the order's only line."""
    return Refund(refund_id or number, at, (RefundLine(number * 10 + 1, 0, amount, 0),))


def open_store(app: Flask, domain: str) -> Store:
    with database().transaction() as session:
        shop = Shop(domain=domain, name=domain, currency="USD", timezone="UTC", installed_at=NOW)
        session.add(shop)
        session.flush()
    with database().transaction(shop.id) as session:
        programs.publish(session, shop.id, demo_program(), effective_from=NOW - 400 * DAY, actor="test")
        token = keys.create(session, shop.id, "test", actor="test")
    return Store(app, shop.id, token)
