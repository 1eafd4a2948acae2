"""The control API: make things happen in a store, for tests and for the demo. JSON in and out.

Answers are webhook-shaped bodies (an order, a customer). What the store refuses is 422, what isn't there 404, what
can't be read 400, each as `{"errors": "why"}`. Times (`at`) are ISO 8601 or epoch seconds; without one it is now.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from flask import Blueprint, Response, current_app, jsonify, request

from sandbox import balances, billing, checkout, flow, metafields, payloads, promotions, segments
from sandbox.catalogue import COLLECTIONS
from sandbox.faults import Fault
from sandbox.orders import Customer, Discount, Item, Order
from sandbox.outbox import Weather
from sandbox.world import NotFound

if TYPE_CHECKING:
    from sandbox.server import Sandbox

control = Blueprint("control", __name__, url_prefix="/sandbox")
Moment = int | str | None


class LineRequest(msgspec.Struct, forbid_unknown_fields=True):
    variant_id: int
    quantity: int = 1


class OrderRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Customer by id, or a guest by e-mail (may be empty). `presentment` is (currency, minor units per 10,000).

    `codes` are checked as at a checkout, `discounts` are applied whatever they say. `source` is `web` or `pos`,
    `attributes` is what the storefront noted in the cart.
    """

    lines: list[LineRequest]
    customer_id: int | None = None
    email: str = ""
    status: str = "paid"
    discounts: list[Discount] = []
    codes: list[str] = []
    gift_cards: list[str] = []
    store_credit: bool = False
    source: str = "web"
    tip: int = 0
    test: bool = False
    presentment: tuple[str, int] | None = None
    attributes: dict[str, str] = {}
    at: Moment = None


class ChangeRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`lines` and `remove` are `{line id: quantity}`."""

    lines: dict[int, int] = {}
    add: list[LineRequest] = []
    remove: dict[int, int] = {}
    as_refund: bool = False
    note: str = ""
    at: Moment = None


class CustomerRequest(msgspec.Struct, forbid_unknown_fields=True):
    first_name: str = ""
    last_name: str = ""
    email: str | None = None
    at: Moment = None


class CustomerChange(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    first_name: str | msgspec.UnsetType = msgspec.UNSET
    last_name: str | msgspec.UnsetType = msgspec.UNSET
    email: str | msgspec.UnsetType | None = msgspec.UNSET
    phone: str | msgspec.UnsetType | None = msgspec.UNSET
    note: str | msgspec.UnsetType | None = msgspec.UNSET


class MergeRequest(msgspec.Struct, forbid_unknown_fields=True):
    into: int


class ProductChange(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """`collections` are handles."""

    vendor: str | msgspec.UnsetType = msgspec.UNSET
    product_type: str | msgspec.UnsetType = msgspec.UNSET
    tags: list[str] | msgspec.UnsetType = msgspec.UNSET
    collections: list[str] | msgspec.UnsetType = msgspec.UNSET


class Tags(msgspec.Struct, forbid_unknown_fields=True):
    tags: list[str]


class MetafieldName(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    namespace: str = "$app"


class TrafficRequest(msgspec.Struct, forbid_unknown_fields=True):
    """State of customers and orders as `sandbox.traffic` made them."""

    customers: list[Customer]
    orders: list[Order]


def running() -> "Sandbox":
    found: Sandbox = current_app.extensions["sandbox"]
    return found


def read(type_: type[Any]) -> Any:
    return msgspec.json.decode(request.get_data() or b"{}", type=type_)


def moment(at: Moment) -> int | None:
    return int(datetime.fromisoformat(at).timestamp()) if isinstance(at, str) else at


@control.errorhandler(msgspec.DecodeError)
@control.errorhandler(ValueError)
def unreadable(error: Exception) -> tuple[Response, int]:
    return jsonify(errors=str(error)), 400


def items(domain: str, lines: list[LineRequest]) -> list[tuple[Item, int]]:
    world = running().world
    return [(world.item(domain, line.variant_id), line.quantity) for line in lines]


def order_answer(domain: str, order: Order, status: int = 200) -> tuple[Response, int]:
    return jsonify(running().world.order_payload(domain, order)), status


def customer_answer(domain: str, customer: Customer, status: int = 200) -> tuple[Response, int]:
    body = payloads.customer_payload(running().world.shop(domain), customer)
    return jsonify(body | {"tags": customer.tags}), status


@control.get("/<domain>/orders")
def list_orders(domain: str) -> Response:
    world = running().world
    return jsonify(orders=[world.order_payload(domain, order) for order in world.orders(domain)])


@control.get("/<domain>/orders/<int:order_id>")
def show_order(domain: str, order_id: int) -> Any:
    return order_answer(domain, running().world.order(domain, order_id))


@control.post("/<domain>/orders")
def create_order(domain: str) -> Any:
    world, wish = running().world, read(OrderRequest)
    buyer = world.customer(domain, wish.customer_id) if wish.customer_id else None
    same = {name: getattr(wish, name) for name in checkout.Purchase._fields if name not in ("items", "customer")}
    purchase = checkout.Purchase(items(domain, wish.lines), buyer, **same)
    order = checkout.buy(world, domain, purchase, moment(wish.at))
    return order_answer(domain, order, 201)


@control.post("/<domain>/orders/<int:order_id>/<any(pay, refund, edit, cancel, fulfill):change>")
def change_order(domain: str, order_id: int, change: str) -> Any:
    world, wish = running().world, read(ChangeRequest)
    at = moment(wish.at)
    if change == "pay":
        order = world.pay(domain, order_id, at)
    elif change == "refund":
        order = world.refund(domain, order_id, wish.lines, at, wish.note)
    elif change == "edit":
        order = world.edit(domain, order_id, items(domain, wish.add), wish.remove, at, wish.as_refund)
    elif change == "cancel":
        order = world.cancel(domain, order_id, at)
    else:
        order = world.fulfil(domain, order_id, wish.lines or None, at)
    return order_answer(domain, order)


@control.post("/<domain>/orders/<int:order_id>/delete")
def delete_order(domain: str, order_id: int) -> Any:
    running().world.delete_order(domain, order_id)
    return "", 204


@control.get("/<domain>/customers")
def list_customers(domain: str) -> Response:
    world = running().world
    shop = world.shop(domain)
    return jsonify(customers=[payloads.customer_payload(shop, customer) for customer in world.customers(domain)])


@control.post("/<domain>/customers")
def create_customer(domain: str) -> Any:
    wish = read(CustomerRequest)
    customer = running().world.create_customer(
        domain, wish.first_name, wish.last_name, wish.email or None, moment(wish.at)
    )
    return customer_answer(domain, customer, 201)


@control.post("/<domain>/customers/<int:customer_id>")
def change_customer(domain: str, customer_id: int) -> Any:
    return customer_answer(domain, running().world.update_customer(domain, customer_id, given(read(CustomerChange))))


def given(change: msgspec.Struct) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(change).items() if value is not msgspec.UNSET}


@control.post("/<domain>/customers/<int:customer_id>/<any(redact, data_request):topic>")
def compliance(domain: str, customer_id: int, topic: str) -> Any:
    running().world.compliance(domain, f"customers/{topic}", customer_id)
    return "", 204


@control.post("/<domain>/customers/<int:customer_id>/delete")
def delete_customer(domain: str, customer_id: int) -> Any:
    running().world.delete_customer(domain, customer_id)
    return "", 204


@control.post("/<domain>/customers/<int:customer_id>/merge")
def merge_customer(domain: str, customer_id: int) -> Any:
    """Merge this customer into another: `{"into": id}`."""
    running().world.merge_customers(domain, read(MergeRequest).into, customer_id)
    return "", 204


@control.post("/<domain>/uninstall")
def uninstall(domain: str) -> Any:
    running().world.uninstall(domain)
    return "", 204


@control.post("/<domain>/redact")
def redact(domain: str) -> Any:
    running().world.redact_shop(domain)
    return "", 204


@control.post("/<domain>/subscription")
def subscribe(domain: str) -> Response:
    """Choose a plan on Shopify's page: see `sandbox.billing`. The shop sends `app_subscriptions/update`."""
    world = running().world
    return jsonify(msgspec.to_builtins(billing.choose(world, world.shop(domain).domain, read(billing.Subscription))))


@control.post("/<domain>/session-token")
def session_token(domain: str) -> Response:
    """For the app's pages and the till; `?surface=shopper` for checkout and account pages, of `customer` if any."""
    sandbox = running()
    shop = sandbox.world.shop(domain)
    if request.args.get("surface") == "shopper":
        return jsonify(session_token=sandbox.app.shopper_token(shop, request.args.get("customer", type=int)))
    return jsonify(session_token=sandbox.app.session_token(shop))


@control.get("/<domain>/flow")
def flow_started(domain: str) -> Response:
    """The triggers that the shop's Flow has taken, oldest first."""
    return jsonify(started=[msgspec.to_builtins(one) for one in flow.started(running().world, domain)])


@control.post("/<domain>/replay")
def replay(domain: str) -> Response:
    """Send the shop's whole past to the app again."""
    sandbox = running()
    return jsonify(queued=sandbox.outbox.replay(sandbox.world.shop(domain).domain))


@control.post("/<domain>/traffic")
def take_in(domain: str) -> Any:
    """Know what a traffic run made, so that the app can reconcile with it. Sends nothing."""
    past = read(TrafficRequest)
    running().world.take_in(domain, past.customers, past.orders)
    return "", 204


@control.get("/<domain>/deliveries")
def deliveries(domain: str) -> Response:
    """`?state=` and `?limit=`; newest first, with the count of every state."""
    outbox = running().outbox
    log = outbox.log(domain, request.args.get("state"), int(request.args.get("limit", 200)))
    return jsonify(counts=outbox.counts(domain), deliveries=log)


@control.get("/<domain>/products")
def products(domain: str) -> Response:
    return jsonify(products=[item._asdict() for item in running().world.products(domain)])


@control.get("/<domain>/products/<int:product_id>")
def show_product(domain: str, product_id: int) -> Response:
    return jsonify(msgspec.to_builtins(running().world.product(domain, product_id)))


@control.post("/<domain>/products/<int:product_id>")
def change_product(domain: str, product_id: int) -> Response:
    """Change `vendor`, `product_type`, `tags` or `collections`; the shop sends `products/update`."""
    changes = given(read(ProductChange))
    strange = set(changes.get("collections", ())) - {one.handle for one in COLLECTIONS}
    if strange:
        raise ValueError(f"There is no collection {', '.join(sorted(strange))}.")
    return jsonify(msgspec.to_builtins(running().world.change_product(domain, product_id, changes)))


# What the app made, and what a merchant may undo behind its back


@control.get("/<domain>/customers/<int:customer_id>")
def show_customer(domain: str, customer_id: int) -> Any:
    """With `tags`, `metafields` ({key: value} of the app's own), `store_credit` (minor units) and `gift_cards`."""
    world = running().world
    body = payloads.customer_payload(world.shop(domain), world.customer(domain, customer_id))
    account = balances.account(world, domain, customer_id)
    fields = metafields.of(world, domain, payloads.gid("Customer", customer_id), "$app")
    cards = [card for card in balances.gift_cards(world, domain) if card.customer_id == customer_id]
    return jsonify(
        body
        | {
            "tags": sorted(world.customer(domain, customer_id).tags),
            "metafields": {field.key: field.value for field in fields},
            "store_credit": account.balance if account else 0,
            "store_credit_transactions": msgspec.to_builtins(account.movements if account else []),
            "gift_cards": msgspec.to_builtins(cards),
        }
    )


@control.post("/<domain>/customers/<int:customer_id>/tags")
def set_tags(domain: str, customer_id: int) -> Any:
    """Make the customer's tags exactly these: `{"tags": [...]}`."""
    tags = sorted(set(read(Tags).tags))
    return customer_answer(domain, running().world.update_customer(domain, customer_id, {"tags": tags}))


@control.post("/<domain>/customers/<int:customer_id>/metafields/delete")
def delete_metafield(domain: str, customer_id: int) -> Any:
    wish, world = read(MetafieldName), running().world
    owner = payloads.gid("Customer", world.customer(domain, customer_id).id)
    if not metafields.remove(world, domain, owner, wish.namespace, wish.key):
        raise NotFound(f"Customer {customer_id} has no metafield {wish.key}.")
    return "", 204


@control.get("/<domain>/discounts")
def list_discounts(domain: str) -> Response:
    """Every discount the app made, oldest first, each with its `status` now. Money is minor units."""
    world = running().world
    made = [(one, one.status(world.clock())) for one in promotions.every(world, domain)]
    return jsonify(discounts=[msgspec.to_builtins(one) | {"status": status} for one, status in made])


@control.post("/<domain>/discounts/<int:discount_id>/delete")
def delete_discount(domain: str, discount_id: int) -> Any:
    world = running().world
    found = promotions.by_id(world, domain, discount_id)
    if found is None:
        raise NotFound(f"{domain} has no discount {discount_id}.")
    promotions.remove(world, domain, found)
    return "", 204


@control.get("/<domain>/gift-cards")
def list_gift_cards(domain: str) -> Response:
    """With their codes, which the Admin API never shows."""
    return jsonify(gift_cards=msgspec.to_builtins(balances.gift_cards(running().world, domain)))


@control.get("/<domain>/segments")
def list_segments(domain: str) -> Response:
    """Each with the ids of the customers who are in it now."""
    world = running().world
    people = {who.id: segments.visitor(world, domain, who) for who in world.customers(domain)}
    return jsonify(
        segments=[
            msgspec.to_builtins(one)
            | {"customers": [who for who, told in people.items() if segments.matches(one, told)]}
            for one in segments.every(world, domain)
        ]
    )


@control.post("/<domain>/segments/<int:segment_id>/delete")
def delete_segment(domain: str, segment_id: int) -> Any:
    world = running().world
    world.store.remove(domain, "segment", segments.find(world, domain, segment_id).id)
    return "", 204


@control.post("/faults")
def faults() -> Any:
    """Plan what goes wrong next: see `sandbox.faults`."""
    running().faults.plan(read(Fault))
    return "", 204


@control.delete("/faults")
def no_faults() -> Any:
    running().faults.clear()
    return "", 204


@control.get("/weather")
def show_weather() -> Response:
    return jsonify(msgspec.structs.asdict(running().outbox.weather))


@control.post("/weather")
def set_weather() -> Response:
    """How deliveries travel from now on; what is not given returns to calm."""
    running().outbox.weather = read(Weather)
    return show_weather()
