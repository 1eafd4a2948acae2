"""The sandbox's stores: their customers and orders, changed by the operations a real store has, each of which sends
the webhooks Shopify would send."""

import secrets
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from sandbox import catalogue, orders, payloads
from sandbox.catalogue import DEMO, PRODUCTS, SECOND, SECOND_PRODUCTS, Product
from sandbox.orders import Basket, Customer, Item, Order, OrderError, Shop
from sandbox.outbox import Outbox
from sandbox.store import Store

SCOPES = ",".join(
    (
        "read_customers,write_customers,read_customer_merge,read_orders,read_all_orders,read_products",
        "read_discounts,write_discounts,read_gift_cards,write_gift_cards,read_store_credit_accounts",
        "read_store_credit_account_transactions,write_store_credit_account_transactions",
        "read_validations,write_validations,write_app_proxy",
    )
)
ACCESS_SECONDS = 3_600
REFRESH_SECONDS = 7_776_000
encode = msgspec.json.encode

SHOPS = {shop.domain: shop for shop in (DEMO, SECOND)}
CATALOGUES = {DEMO.domain: PRODUCTS, SECOND.domain: SECOND_PRODUCTS}


class NotFound(LookupError):
    """There is no such shop, customer, order or product; the message names it."""


class Install(msgspec.Struct):
    """The app on one shop. Tokens map to the epoch second they end at."""

    installed: bool = False
    access: dict[str, float] = msgspec.field(default_factory=dict)
    refresh: dict[str, float] = msgspec.field(default_factory=dict)


class World:
    """All methods take the shop's domain first and may be called from any thread. `at` defaults to now."""

    def __init__(self, store: Store, outbox: Outbox, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self.outbox = outbox
        self.clock = clock

    # What there is

    def shop(self, domain: str) -> Shop:
        if domain not in SHOPS:
            raise NotFound(f"There is no shop {domain}.")
        return SHOPS[domain]

    def products(self, domain: str) -> tuple[Item, ...]:
        """Every variant, with its product's vendor of today."""
        changed = {product.id: product.vendor for product in self.store.all(domain, "product", Product)}
        items = CATALOGUES[self.shop(domain).domain]
        return tuple(item._replace(vendor=changed.get(item.product_id or 0, item.vendor)) for item in items)

    def item(self, domain: str, variant_id: int) -> Item:
        for item in self.products(domain):
            if item.variant_id == variant_id:
                return item
        raise NotFound(f"{domain} sells no variant {variant_id}.")

    def product(self, domain: str, product_id: int) -> Product:
        changed = self.store.get(domain, "product", product_id, Product)
        first = next((item for item in CATALOGUES[self.shop(domain).domain] if item.product_id == product_id), None)
        if first is None:
            raise NotFound(f"{domain} sells no product {product_id}.")
        return changed or catalogue.product(first)

    def change_product(
        self, domain: str, product_id: int, changes: Mapping[str, Any], at: int | None = None
    ) -> Product:
        """Change `title`, `vendor`, `product_type`, `tags` or `collections` (handles), and say so."""
        at = self.now(at)
        with self.store.transaction():
            product = msgspec.structs.replace(self.product(domain, product_id), **changes, updated_at=at)
            self.store.put(domain, "product", product_id, product)
            variants = [item for item in self.products(domain) if item.product_id == product_id]
            body = payloads.product_payload(self.shop(domain), product, variants)
            self.emit(domain, {"products/update": body}, at)
        return product

    def order(self, domain: str, order_id: int) -> Order:
        order = self.store.get(domain, "order", order_id, Order)
        if order is None:
            raise NotFound(f"{domain} has no order {order_id}.")
        return order

    def customer(self, domain: str, customer_id: int) -> Customer:
        customer = self.store.get(domain, "customer", customer_id, Customer)
        if customer is None:
            raise NotFound(f"{domain} has no customer {customer_id}.")
        return customer

    def buyer(self, domain: str, order: Order) -> Customer | None:
        return self.store.get(domain, "customer", order.customer_id, Customer) if order.customer_id else None

    def orders(self, domain: str) -> list[Order]:
        """Least recently updated first."""
        return self.store.all(domain, "order", Order)

    def customers(self, domain: str) -> list[Customer]:
        return self.store.all(domain, "customer", Customer)

    def customer_by_email(self, domain: str, email: str) -> Customer | None:
        return next((c for c in self.customers(domain) if (c.email or "").lower() == email.lower()), None)

    def orders_of(self, domain: str, customer_id: int) -> list[Order]:
        return [order for order in self.orders(domain) if order.customer_id == customer_id]

    def order_payload(self, domain: str, order: Order) -> dict[str, Any]:
        return payloads.order_payload(self.shop(domain), order, self.buyer(domain, order))

    # Telling the app

    def emit(self, domain: str, topics: Mapping[str, Any], at: int, *, always: bool = False) -> None:
        """Queue one event's webhooks, `{topic: body}`. Without the app they are held, unless Shopify sends `always`."""
        held = not (always or self.install(domain).installed)
        event = str(uuid.uuid4())
        for topic, body in topics.items():
            self.outbox.add(domain, topic, encode(body), event_id=event, triggered_at=payloads.utc(at), held=held)

    def save(self, domain: str, order: Order, topics: Sequence[str], at: int) -> Order:
        shop, customer = self.shop(domain), self.buyer(domain, order)
        self.store.put(domain, "order", order.id, order, order.updated_at)
        self.emit(domain, {topic: payloads.body(topic, shop, order, customer) for topic in topics}, at)
        return order

    def now(self, at: int | None) -> int:
        return int(self.clock()) if at is None else at

    # Customers

    def create_customer(
        self, domain: str, first_name: str, last_name: str, email: str | None, at: int | None = None
    ) -> Customer:
        at, shop = self.now(at), self.shop(domain)
        with self.store.transaction():
            if email and self.customer_by_email(domain, email):
                raise OrderError(f"{email} is already a customer of {shop.name}.")
            number = 7_640_200_000_000 + shop.id % 1000 * 100_000 + self.store.count(domain, "customers")
            customer = Customer(number, first_name, last_name, email, at, at)
            self.save_customer(domain, customer, "customers/create", at)
        return customer

    def save_customer(self, domain: str, customer: Customer, topic: str, at: int) -> None:
        self.store.put(domain, "customer", customer.id, customer, customer.updated_at)
        self.emit(domain, {topic: payloads.customer_payload(self.shop(domain), customer)}, at)

    def update_customer(
        self, domain: str, customer_id: int, changes: Mapping[str, Any], at: int | None = None
    ) -> Customer:
        """Change `first_name`, `last_name`, `email`, `phone`, `note`, `tags` or `marketing`."""
        at = self.now(at)
        with self.store.transaction():
            before = self.customer(domain, customer_id)
            customer = msgspec.structs.replace(before, **changes, updated_at=at)
            self.save_customer(domain, customer, "customers/update", at)
        return customer

    def delete_customer(self, domain: str, customer_id: int) -> None:
        with self.store.transaction():
            customer = self.customer(domain, customer_id)
            self.store.remove(domain, "customer", customer_id)
            self.emit(domain, {"customers/delete": payloads.customer_delete_payload(customer)}, self.now(None))

    def merge_customers(self, domain: str, kept: int, deleted: int) -> None:
        """The second customer's orders and tags become the first's."""
        at = self.now(None)
        with self.store.transaction():
            heir, gone = self.customer(domain, kept), self.customer(domain, deleted)
            heir.tags, heir.updated_at = sorted({*heir.tags, *gone.tags}), at
            self.store.put(domain, "customer", kept, heir, at)
            for order in self.orders_of(domain, deleted):
                order.customer_id, order.updated_at = kept, at
                self.save(domain, order, ("orders/updated",), at)
            self.store.remove(domain, "customer", deleted)
            self.emit(domain, {"customers/merge": payloads.customer_merge_payload(kept, deleted)}, at)

    def compliance(self, domain: str, topic: str, customer_id: int) -> None:
        """`customers/redact` (also forgets the person here) or `customers/data_request`."""
        shop, at = self.shop(domain), self.now(None)
        key = "orders_to_redact" if topic == "customers/redact" else "orders_requested"
        with self.store.transaction():
            customer = self.customer(domain, customer_id)
            theirs = [order.id for order in self.orders_of(domain, customer_id)]
            body = payloads.compliance_payload(shop, customer, theirs, key)
            self.emit(domain, {topic: body}, at, always=True)
            if topic == "customers/redact":
                self.forget(domain, customer_id)

    def forget(self, domain: str, customer_id: int) -> None:
        """The orders stay, without the person, so that nobody can read them back from here."""
        for order in self.orders_of(domain, customer_id):
            order.email, order.customer_id = "", None
            self.store.put(domain, "order", order.id, order, order.updated_at)
        self.store.remove(domain, "customer", customer_id)

    # Orders

    def place(
        self,
        domain: str,
        basket: Basket,
        at: int | None = None,
        *,
        pay: Callable[[Order], None] | None = None,
        **details: Any,
    ) -> Order:
        """`details` as in `orders.place`: customer or email, status, test, source. `pay` notes how it was paid."""
        at, shop = self.now(at), self.shop(domain)
        with self.store.transaction():
            number = self.store.count(domain, "orders")
            order, topics = orders.place(shop, self.order_id(shop, number), 1000 + number, basket, at, **details)
            if pay:
                pay(order)
            return self.save(domain, order, topics, at)

    def order_id(self, shop: Shop, number: int) -> int:
        # Every fifth is odd and above 2^53, where a float would name another order.
        return 2**53 + 1 + 2 * (shop.id % 1000 * 100_000 + number) if number % 5 == 0 else 5_690_000_000_000 + number

    def alter(
        self, domain: str, order_id: int, change: Callable[[Order, int], tuple[str, ...]], at: int | None = None
    ) -> Order:
        """Apply one of the functions of `sandbox.orders`. Raises OrderError when the store would refuse."""
        at = self.now(at)
        with self.store.transaction():
            order = self.order(domain, order_id)
            topics = change(order, at)
            return self.save(domain, order, topics, at)

    def pay(self, domain: str, order_id: int, at: int | None = None) -> Order:
        return self.alter(domain, order_id, lambda order, at: orders.pay(self.shop(domain), order, at), at)

    def refund(
        self, domain: str, order_id: int, lines: Mapping[int, int] | None = None, at: int | None = None, note: str = ""
    ) -> Order:
        """`{line id: quantity}`; everything that is left when not given."""

        def change(order: Order, at: int) -> tuple[str, ...]:
            every = {line.id: line.current for line in order.lines if line.current and not line.tip}
            return orders.refund(self.shop(domain), order, lines or every, at, note=note or None)

        return self.alter(domain, order_id, change, at)

    def edit(
        self,
        domain: str,
        order_id: int,
        add: Sequence[tuple[Item, int]] = (),
        remove: Mapping[int, int] | None = None,
        at: int | None = None,
        as_refund: bool = False,
    ) -> Order:
        def change(order: Order, at: int) -> tuple[str, ...]:
            return orders.edit(self.shop(domain), order, at, add=add, remove=remove, as_refund=as_refund)

        return self.alter(domain, order_id, change, at)

    def cancel(self, domain: str, order_id: int, at: int | None = None) -> Order:
        return self.alter(domain, order_id, lambda order, at: orders.cancel(self.shop(domain), order, at), at)

    def fulfil(
        self, domain: str, order_id: int, lines: Mapping[int, int] | None = None, at: int | None = None
    ) -> Order:
        return self.alter(domain, order_id, lambda order, at: orders.fulfil(order, at, lines), at)

    def delete_order(self, domain: str, order_id: int) -> None:
        with self.store.transaction():
            self.order(domain, order_id)
            self.store.remove(domain, "order", order_id)
            self.emit(domain, {"orders/delete": {"id": order_id}}, self.now(None))

    def take_in(self, domain: str, people: Sequence[Customer], past: Sequence[Order]) -> None:
        """Know customers and orders whose webhooks were sent by someone else (a traffic run); sends nothing."""
        self.shop(domain)
        with self.store.transaction():
            for customer in people:
                self.store.put(domain, "customer", customer.id, customer, customer.updated_at)
            for order in past:
                self.store.put(domain, "order", order.id, order, order.updated_at)

    # The app on a shop

    def install(self, domain: str) -> Install:
        return self.store.get(self.shop(domain).domain, "install", "app", Install) or Install()

    def issue_tokens(self, domain: str, spent_refresh: str | None = None) -> dict[str, Any]:
        """A new pair of tokens, as Shopify answers. The refresh token it was bought with stops working."""
        now, install = self.clock(), self.install(domain)
        access, refresh = f"shpat_{secrets.token_hex(16)}", f"shprt_{secrets.token_hex(16)}"
        install.access = {token: end for token, end in install.access.items() if end > now}
        install.refresh.pop(spent_refresh or "", None)
        install.installed = True
        install.access[access] = now + ACCESS_SECONDS
        install.refresh[refresh] = now + REFRESH_SECONDS
        self.store.put(domain, "install", "app", install)
        return {
            "access_token": access,
            "scope": SCOPES,
            "expires_in": ACCESS_SECONDS,
            "refresh_token": refresh,
            "refresh_token_expires_in": REFRESH_SECONDS,
        }

    def uninstall(self, domain: str) -> None:
        with self.store.transaction():
            self.store.put(domain, "install", "app", Install())
            body = payloads.shop_payload(self.shop(domain))
            self.emit(domain, {"app/uninstalled": body}, self.now(None), always=True)

    def left(self, domain: str) -> bool:
        """Whether the shop had the app and has it no more."""
        held = self.store.get(self.shop(domain).domain, "install", "app", Install)
        return held is not None and not held.installed

    def redact_shop(self, domain: str) -> None:
        """What Shopify sends 48 hours after an uninstall."""
        body = payloads.shop_redact_payload(self.shop(domain))
        self.emit(domain, {"shop/redact": body}, self.now(None), always=True)
