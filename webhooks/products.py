"""What bonuses ask of products: read from the shop when an order needs it, then the orders that waited are settled."""

from core import clock
from core.db import Database
from core.effects import PermanentFailure
from loyalty import products
from loyalty.earning.rules import Labels
from loyalty.models import Order
from shops.admin import Admin, AdminRefused
from webhooks.payloads import gid_number
from webhooks.upkeep import settle_all_again


def fetch_product(database: Database, shop_id: int, product_id: str) -> None:
    """Read a product's tags and collections and settle the orders that wait for them. An effect: harmless to repeat.

    A product the shop has no more gets no labels. Raises PermanentFailure when the shop refuses to tell.
    """
    labels = _read(database, shop_id, int(product_id))
    with database.transaction(shop_id) as session:
        products.keep(session, shop_id, {int(product_id): labels}, clock.now())
    holds_it = Order.state["lines"].contains([{"product_id": int(product_id)}])
    settle_all_again(database, shop_id, Order.labels_wanted, holds_it)


def _read(database: Database, shop_id: int, product_id: int) -> Labels:
    with Admin.of(database, shop_id) as admin:
        try:
            (node,) = admin.call("product_facts", ids=[f"gid://shopify/Product/{product_id}"])["nodes"]
        except AdminRefused as error:
            raise PermanentFailure(error.detail) from None
    if not node:
        return Labels()
    collections = frozenset(gid_number(collection["id"]) for collection in node["collections"]["nodes"])
    return Labels(frozenset(tag.casefold() for tag in node["tags"]), collections)
