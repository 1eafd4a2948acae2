"""What every area of the Admin API's answers has: the shop, money, and pages in order of change."""

from collections.abc import Callable
from typing import Any

from sandbox.money import decimal
from sandbox.nodes import Node, connection, cursor, position, short, updated_between
from sandbox.world import World


class Area:
    """One shop's answers in one field. `root()` gives root fields; areas add to it one after another."""

    def __init__(self, world: World, domain: str) -> None:
        self.world = world
        self.domain = domain
        self.shop = world.shop(domain)

    def root(self) -> Node:
        return {}

    def amount(self, minor: int, currency: str | None = None) -> Node:
        """MoneyV2, with Shopify's shortest form of at least one decimal: `12.5`, `1200.0`."""
        currency = currency or self.shop.currency
        return {"amount": short(decimal(minor, currency)), "currencyCode": currency}

    def ranked(
        self, kind: str, type_: type[Any], node: Callable[[Any], Node], first: int, after: str | None, query: str | None
    ) -> Node:
        """A page in order of `updated_at`; a change moves a document to the end, as in Shopify."""
        low, high = updated_between(query)
        found = self.world.store.page(self.domain, kind, type_, position(after), low, high, first + 1)
        page = found[:first]
        cursors = [cursor(document.updated_at, document.id) for document in page]
        return connection([node(document) for document in page], more=len(found) > first, cursors=cursors)
