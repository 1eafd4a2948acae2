"""What the Admin API answers: the store's state as GraphQL nodes (dicts of values, and functions for arguments)."""

from collections.abc import Callable

from sandbox.answers.area import Node
from sandbox.answers.discounts import Discounts
from sandbox.answers.gift_cards import GiftCards
from sandbox.answers.orders import Orders
from sandbox.answers.segments import Segments
from sandbox.payloads import gid
from sandbox.world import SCOPES, World


def roots(world: World) -> Callable[[str], Node]:
    return lambda domain: Answers(world, domain).root()


class Answers(Orders, Discounts, GiftCards, Segments):
    """One shop's answers, all areas together."""

    def root(self) -> Node:
        return super().root() | {
            "shop": self.shop_node,
            "node": self.node,
            "nodes": lambda ids: [self.node(id) for id in ids],
            "publicApiVersions": [{"handle": "2026-10", "supported": True, "displayName": "2026-10 (Latest)"}],
            "currentAppInstallation": self.installation,
        }

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
        return {"id": gid("AppInstallation", 1), "accessScopes": scopes}
