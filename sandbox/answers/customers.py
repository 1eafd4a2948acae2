"""Customers and their tags as the Admin API shows them."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from sandbox.answers.area import Node
from sandbox.answers.metafields import Metafields
from sandbox.answers.store_credit import StoreCredit
from sandbox.nodes import connection, cursor, number, paged, position, user_error
from sandbox.orders import Address, Customer, Order, OrderError
from sandbox.payloads import gid, utc
from sandbox.world import NotFound


def lowered(tags: Iterable[str]) -> set[str]:
    return {tag.lower() for tag in tags}


def tagged_with(query: str | None) -> Callable[[Customer], bool]:
    """The filter of a search query: `tag:'tier:gold'` (any of several, by commas) or nothing. Else ValueError."""
    match = re.fullmatch(r"""\s*tag:(?:'([^']*)'|"([^"]*)"|([^\s'"]+))\s*""", query or "tag:*")
    if not match:
        raise ValueError(f"The sandbox store can't search by {query!r} in the order of ids; it knows tag.")
    wanted = lowered((match[1] or match[2] or match[3]).split(","))
    return lambda customer: wanted == {"*"} or bool(wanted & lowered(customer.tags))


def address_node(address: Address | None) -> Node | None:
    if address is None:
        return None
    same = {name: getattr(address, name) for name in ("name", "address1", "address2", "city", "zip", "phone")}
    return {"__typename": "MailingAddress", "countryCodeV2": address.country, **same}


class Customers(StoreCredit, Metafields):
    def root(self) -> Node:
        return super().root() | {
            "customer": self.customer,
            "customers": self.customers,
            "customerByIdentifier": self.customer_by_identifier,
            "customerCreate": self.customer_create,
            "tagsAdd": self.tags_add,
            "tagsRemove": self.tags_remove,
        }

    def customer(self, id: str) -> Node | None:
        try:
            return self.customer_node(self.world.customer(self.domain, number(id, "Customer") or 0))
        except NotFound:
            return None

    def customer_by_identifier(self, identifier: dict[str, Any]) -> Node | None:
        if "emailAddress" in identifier:
            found = self.world.customer_by_email(self.domain, identifier["emailAddress"])
            return self.customer_node(found) if found else None
        if "phoneNumber" in identifier:
            called = (one for one in self.world.customers(self.domain) if one.phone == identifier["phoneNumber"])
            return next(map(self.customer_node, called), None)
        if "id" in identifier:
            return self.customer(identifier["id"])
        raise ValueError(f"The sandbox store can't look customers up by {', '.join(identifier)}.")

    def customer_create(self, input: dict[str, Any]) -> Node:
        """An address is taken once, as at Shopify."""
        names = (input.get("firstName") or "", input.get("lastName") or "")
        try:
            made = self.world.create_customer(self.domain, *names, input.get("email"))
        except OrderError:
            return {"customer": None, "userErrors": [user_error(["email"], "Email has already been taken")]}
        if input.get("phone"):
            made = self.world.update_customer(self.domain, made.id, {"phone": input["phone"]})
        if consent := input.get("emailMarketingConsent"):
            made = self.world.update_customer(self.domain, made.id, {"marketing": consent["marketingState"].lower()})
        return {"customer": self.customer_node(made), "userErrors": []}

    def customers(
        self, first: int = 50, after: str | None = None, query: str | None = None, sort_key: str = "UPDATED_AT"
    ) -> Node:
        if sort_key == "ID":
            return self.by_id(first, after, query)
        if sort_key != "UPDATED_AT":
            raise ValueError("The sandbox store sorts customers by ID or UPDATED_AT.")
        return self.ranked("customer", Customer, self.customer_node, first, after, query)

    def by_id(self, first: int, after: str | None, query: str | None) -> Node:
        """A page in the order of ids, after the id that is the cursor; filtered by `tag:`."""
        people = sorted(self.world.customers(self.domain), key=lambda customer: customer.id)
        known, start = tagged_with(query), position(after)[0]
        left = [customer for customer in people if customer.id > start and known(customer)]
        cursors = [cursor(customer.id, customer.id) for customer in left[:first]]
        nodes = [self.customer_node(customer) for customer in left[:first]]
        return connection(nodes, more=len(left) > first, cursors=cursors)

    def customer_node(self, customer: Customer) -> Node:
        def mine() -> list[Order]:
            return self.world.orders_of(self.domain, customer.id)

        address = {"emailAddress": customer.email, "marketingState": customer.marketing.upper()}
        return {
            "__typename": "Customer",
            "id": gid("Customer", customer.id),
            "legacyResourceId": str(customer.id),
            "firstName": customer.first_name,
            "lastName": customer.last_name,
            "displayName": f"{customer.first_name} {customer.last_name}".strip() or customer.email,
            "locale": customer.locale,
            "note": customer.note,
            "state": customer.state.upper(),
            "verifiedEmail": True,
            "createdAt": utc(customer.created_at),
            "updatedAt": utc(customer.updated_at),
            "tags": sorted(customer.tags),
            "numberOfOrders": lambda: str(len(mine())),
            "amountSpent": lambda: self.amount(sum(order.received for order in mine())),
            "defaultEmailAddress": address if customer.email else None,
            "defaultPhoneNumber": {"phoneNumber": customer.phone} if customer.phone else None,
            "defaultAddress": address_node(customer.address),
            **self.metafields_of(gid("Customer", customer.id)),
            "storeCreditAccounts": lambda first=50, after=None: paged(self.accounts_of(customer), first, after),
        }

    def tags_add(self, id: str, tags: list[str]) -> Node:
        """A tag that is there already, in whatever case, stays as it is."""
        return self.tagged(id, lambda old: old | {tag for tag in tags if tag.lower() not in lowered(old)})

    def tags_remove(self, id: str, tags: list[str]) -> Node:
        return self.tagged(id, lambda old: {tag for tag in old if tag.lower() not in lowered(tags)})

    def tagged(self, owner: str, change: Callable[[set[str]], set[str]]) -> Node:
        customer_id = number(owner, "Customer")
        if customer_id is None:
            raise ValueError(f"The sandbox store tags customers only, not {owner}.")
        with self.world.store.transaction():
            return self.tag_customer(customer_id, change)

    def tag_customer(self, customer_id: int, change: Callable[[set[str]], set[str]]) -> Node:
        try:
            customer = self.world.customer(self.domain, customer_id)
        except NotFound:
            return {"node": None, "userErrors": [user_error(["id"], "Customer does not exist")]}
        tags = change(set(customer.tags))
        if tags != set(customer.tags):
            customer = self.world.update_customer(self.domain, customer_id, {"tags": sorted(tags)})
        return {"node": self.customer_node(customer), "userErrors": []}
