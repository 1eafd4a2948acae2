"""What the Admin API answers: the store's state as GraphQL nodes (dicts of values, and functions for arguments)."""

from collections.abc import Callable
from typing import Any

from flask import request

from sandbox import billing, flow
from sandbox.answers.area import Node
from sandbox.answers.discounts import Discounts
from sandbox.answers.gift_cards import GiftCards
from sandbox.answers.orders import Orders
from sandbox.answers.rules import Rules
from sandbox.answers.segments import Segments
from sandbox.bulk import Bulk
from sandbox.nodes import number, user_error
from sandbox.payloads import gid
from sandbox.world import SCOPES, World


def roots(world: World, bulk: Bulk | None = None) -> Callable[[str], Node]:
    return lambda domain: Answers(world, domain, bulk).root()


class Answers(Orders, Discounts, GiftCards, Segments, Rules):
    """One shop's answers, all areas together."""

    def __init__(self, world: World, domain: str, bulk: Bulk | None = None) -> None:
        super().__init__(world, domain)
        self.bulk = bulk

    def root(self) -> Node:
        return super().root() | {
            "shop": self.shop_node,
            "node": self.node,
            "nodes": lambda ids: [self.node(id) for id in ids],
            "publicApiVersions": [{"handle": "2026-10", "supported": True, "displayName": "2026-10 (Latest)"}],
            "currentAppInstallation": self.installation,
            "bulkOperation": self.bulk_operation,
            "bulkOperationRunQuery": self.bulk_run,
            "flowTriggerReceive": self.flow_trigger,
        }

    def flow_trigger(self, handle: str | None = None, payload: Any = None) -> Node:
        wrong = flow.receive(self.world, self.domain, handle or "", payload)
        return {"userErrors": [user_error(("handle",), text, None) for text in wrong]}

    def node(self, id: str) -> Node | None:
        kind = id.removeprefix("gid://shopify/").partition("/")[0]
        known: dict[str, Callable[[str], Node | None]] = {
            "Customer": self.customer,
            "Order": self.order,
            "Product": self.product,
            "DiscountCodeNode": self.code_discount,
            "DiscountAutomaticNode": self.automatic_discount,
            "GiftCard": self.gift_card,
            "Segment": self.segment,
        }
        return known[kind](id) if kind in known else None

    def shop_node(self) -> Node:
        shop = self.shop
        return {
            "id": gid("Shop", shop.id),
            "name": shop.name,
            "myshopifyDomain": shop.domain,
            "primaryDomain": {"host": shop.domain, "url": f"https://{shop.domain}"},
            "url": f"https://{shop.domain}",
            "email": shop.email,
            "contactEmail": shop.email,
            "currencyCode": shop.currency,
            "enabledPresentmentCurrencies": [shop.currency],
            "ianaTimezone": shop.timezone,
            "taxesIncluded": shop.taxes_included,
            "plan": {"partnerDevelopment": True, "shopifyPlus": False, "publicDisplayName": "Basic"},
            "customerAccountsV2": {"customerAccountsVersion": "NEW_CUSTOMER_ACCOUNTS"},
            "shopAddress": {"countryCodeV2": shop.country_code, "country": shop.country, "city": shop.city},
            "billingAddress": {"countryCodeV2": shop.country_code, "country": shop.country, "city": shop.city},
            **self.metafields_of(gid("Shop", shop.id)),
        }

    def installation(self) -> Node:
        scopes = [{"handle": scope} for scope in SCOPES.split(",")]
        active = [billing.node(self.amount, one) for one in billing.active(self.world, self.domain)]
        return {"id": gid("AppInstallation", 1), "accessScopes": scopes, "activeSubscriptions": active}

    def bulk_run(self, query: str, group_objects: bool) -> Node:
        if self.bulk is None:
            raise ValueError("A bulk operation can't start another.")
        return self.bulk.start(self.domain, query)

    def bulk_operation(self, id: str) -> Node | None:
        found = self.bulk.find(self.domain, number(id, "BulkOperation") or 0) if self.bulk else None
        return self.bulk.node(self.domain, found, request.host_url.rstrip("/")) if self.bulk and found else None
