"""Gift cards as the Admin API reads and writes them. Their code is never shown again."""

from datetime import date, datetime
from typing import Any

from sandbox import balances
from sandbox.answers.area import Node
from sandbox.answers.customers import Customers
from sandbox.balances import GiftCard
from sandbox.money import minor
from sandbox.nodes import number, paged, terms, user_error
from sandbox.payloads import gid, utc, zone


class GiftCards(Customers):
    def root(self) -> Node:
        return super().root() | {
            "giftCard": self.gift_card,
            "giftCards": self.gift_cards,
            "giftCardCreate": self.gift_card_create,
            "giftCardDeactivate": self.gift_card_deactivate,
        }

    def found_gift_card(self, id: str) -> GiftCard | None:
        wanted = number(id, "GiftCard")
        return next((card for card in balances.gift_cards(self.world, self.domain) if card.id == wanted), None)

    def gift_card(self, id: str) -> Node | None:
        found = self.found_gift_card(id)
        return self.gift_card_node(found) if found else None

    def gift_cards(self, first: int = 50, after: str | None = None, query: str | None = None) -> Node:
        """Searched by a bare word (the whole code or its last characters), `customer_id:`, `id:` or `status:`."""
        wanted = terms(query, ("customer_id", "id", "status"))
        found = [card for card in balances.gift_cards(self.world, self.domain) if all(fits(card, *t) for t in wanted)]
        return paged([self.gift_card_node(card) for card in found], first, after)

    def gift_card_node(self, card: GiftCard) -> Node:
        return {
            "__typename": "GiftCard",
            "id": gid("GiftCard", card.id),
            "lastCharacters": card.code[-4:],
            "maskedCode": f"•••• •••• •••• {card.code[-4:]}",
            "enabled": card.deactivated_at is None,
            "deactivatedAt": card.deactivated_at and utc(card.deactivated_at),
            "note": card.note,
            "createdAt": utc(card.created_at),
            "expiresOn": card.expires_on,
            "customer": lambda: self.customer(gid("Customer", card.customer_id or 0)),
            "initialValue": self.amount(card.initial),
            "balance": self.amount(card.balance),
        }

    def gift_card_create(self, input: dict[str, Any]) -> Node:
        """The sandbox store wants a code of ours and the shop's own currency."""
        with self.world.store.transaction():
            if error := self.gift_card_fault(input):
                return {"giftCard": None, "giftCardCode": None, "userErrors": [error]}
            amount = minor(str(input["initialAmount"]["amount"]), self.shop.currency)
            card = GiftCard(
                581_000_000_000 + self.world.store.count(self.domain, "gift_cards"),
                input["code"].lower(),
                amount,
                amount,
                int(self.world.clock()),
                str(input["expiresOn"]) if input.get("expiresOn") else None,
                number(input.get("customerId") or "", "Customer"),
                input.get("note"),
            )
            balances.save_gift_card(self.world, self.domain, card)
        return {"giftCard": self.gift_card_node(card), "giftCardCode": card.code, "userErrors": []}

    def gift_card_fault(self, given: dict[str, Any]) -> Node | None:
        """Shopify's first reason to refuse it. Raises ValueError for what the sandbox does not know."""
        known = {"code", "initialAmount", "customerId", "expiresOn", "note"}
        if strange := {name for name, value in given.items() if value is not None} - known:
            raise ValueError(f"The sandbox store does not answer giftCardCreate with {', '.join(sorted(strange))}.")
        if not given.get("code"):
            raise ValueError("The sandbox store makes gift cards with a given code only.")
        code, money = given["code"], given.get("initialAmount")
        if money is None:
            return user_error(["input", "initialAmount"], "Initial amount can't be blank", "MISSING_ARGUMENT")
        amount = minor(str(money["amount"]), self.shop.currency)
        limit = minor(str(balances.GIFT_CARD_LIMIT), self.shop.currency)
        until = date.fromisoformat(str(given["expiresOn"])) if given.get("expiresOn") else date.max
        today = datetime.fromtimestamp(self.world.clock(), zone(self.shop.timezone)).date()
        owner = given.get("customerId")
        checks = (
            (money["currencyCode"] != self.shop.currency, "initialAmount", "INVALID", "Currency isn't the shop's"),
            (amount <= 0, "initialAmount", "GREATER_THAN", "Initial value must be greater than 0"),
            (amount > limit, "initialAmount", "GIFT_CARD_LIMIT_EXCEEDED", "Initial value is over the shop's limit"),
            (len(code) < 8, "code", "TOO_SHORT", "Code is too short (minimum is 8 characters)"),
            (len(code) > 20, "code", "TOO_LONG", "Code is too long (maximum is 20 characters)"),
            (not (code.isascii() and code.isalnum()), "code", "INVALID", "Code can only hold letters and numbers"),
            (owner and not self.customer(owner), "customerId", "CUSTOMER_NOT_FOUND", "The customer wasn't found."),
            (until <= today, "expiresOn", "INVALID", "Expires on must be in the future"),
            (balances.gift_card(self.world, self.domain, code), "code", "TAKEN", "Code has already been taken"),
        )  # fmt: skip
        return next((user_error(["input", field], text, why) for failed, field, why, text in checks if failed), None)

    def gift_card_deactivate(self, id: str) -> Node:
        with self.world.store.transaction():
            card = self.found_gift_card(id)
            if card is None:
                return {"giftCard": None, "userErrors": [user_error(["id"], "The gift card could not be found.")]}
            card.deactivated_at = card.deactivated_at or int(self.world.clock())
            balances.save_gift_card(self.world, self.domain, card)
        return {"giftCard": self.gift_card_node(card), "userErrors": []}


def fits(card: GiftCard, field: str, value: str) -> bool:
    if field == "customer_id":
        return str(card.customer_id) == value
    if field == "id":
        return str(card.id) == value
    if field == "status":
        return value == ("disabled" if card.deactivated_at else "enabled")
    return value in (card.code, card.code[-4:])
