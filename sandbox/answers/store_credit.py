"""Store credit as the Admin API reads and writes it. Crediting twice credits twice: there is no idempotency key."""

from datetime import datetime
from typing import Any

from sandbox import balances
from sandbox.answers.area import Area, Node
from sandbox.balances import Account, Movement
from sandbox.money import minor
from sandbox.nodes import number, paged, user_error
from sandbox.orders import Customer
from sandbox.payloads import gid, utc

TYPES = {"credit": "Credit", "debit": "Debit", "expiration": "Expiration"}


class StoreCredit(Area):
    def root(self) -> Node:
        return super().root() | {
            "storeCreditAccountCredit": self.store_credit_credit,
            "storeCreditAccountDebit": self.store_credit_debit,
        }

    def accounts_of(self, customer: Customer) -> list[Node]:
        found = balances.account(self.world, self.domain, customer.id)
        return [self.account_node(found)] if found else []

    def account_node(self, account: Account) -> Node:
        def transactions(
            first: int = 50, after: str | None = None, reverse: bool = False, sort_key: str = "CREATED_AT"
        ) -> Node:
            if sort_key != "CREATED_AT":
                raise ValueError("The sandbox store sorts store credit transactions by CREATED_AT only.")
            listed = account.movements[::-1] if reverse else account.movements
            return paged([self.movement_node(account, movement) for movement in listed], first, after)

        return {
            "__typename": "StoreCreditAccount",
            "id": gid("StoreCreditAccount", account.id),
            "balance": self.amount(account.balance),
            "transactions": transactions,
        }

    def movement_node(self, account: Account, movement: Movement) -> Node:
        kind = f"StoreCreditAccount{TYPES[movement.kind]}Transaction"
        common = {
            "__typename": kind,
            "amount": self.amount(movement.amount),
            "balanceAfterTransaction": self.amount(movement.balance_after),
            "createdAt": utc(movement.at),
            "event": movement.event,
            "account": lambda: self.account_node(account),
        }
        if movement.kind == "expiration":
            return common
        common["id"] = gid(kind, movement.id)
        if movement.kind == "credit":
            common["expiresAt"] = movement.expires_at and utc(movement.expires_at)
            common["remainingAmount"] = self.amount(movement.remaining)
        return common

    def store_credit_credit(self, id: str, credit_input: dict[str, Any]) -> Node:
        """`id` is a customer or an account. A customer's first credit opens the account."""
        until = credit_input.get("expiresAt")
        expires_at = int(datetime.fromisoformat(str(until)).timestamp()) if until else None
        with self.world.store.transaction():
            found, customer_id = self.credited(id)
            money, field = credit_input["creditAmount"], ["creditInput", "creditAmount"]
            limit = minor(str(balances.CREDIT_LIMIT), self.shop.currency)
            held = found.balance if found else 0
            if customer_id is None:
                return refused(["id"], "Owner does not exist.", "OWNER_NOT_FOUND")
            if error := self.money_fault(money, field, "UNSUPPORTED_CURRENCY"):
                return error
            if held + self.minor(money) > limit:
                return refused(field, "This credit exceeds the account's limit.", "CREDIT_LIMIT_EXCEEDED")
            if expires_at is not None and expires_at <= self.world.clock():
                text = "The expiry date must be in the future."
                return refused(["creditInput", "expiresAt"], text, "EXPIRES_AT_IN_PAST")
            made = balances.credit(self.world, self.domain, customer_id, self.minor(money), expires_at)
        return {"storeCreditAccountTransaction": self.movement_node(made, made.movements[-1]), "userErrors": []}

    def store_credit_debit(self, id: str, debit_input: dict[str, Any]) -> Node:
        with self.world.store.transaction():
            found, _ = self.credited(id)
            money, field = debit_input["debitAmount"], ["debitInput", "debitAmount"]
            if found is None:
                return refused(["id"], "The store credit account could not be found.", "ACCOUNT_NOT_FOUND")
            if error := self.money_fault(money, field, "MISMATCHING_CURRENCY"):
                return error
            if self.minor(money) > found.balance:
                return refused(field, "The store credit account does not have sufficient funds.", "INSUFFICIENT_FUNDS")
            made = balances.debit(self.world, self.domain, found, self.minor(money))
        return {"storeCreditAccountTransaction": self.movement_node(found, made), "userErrors": []}

    def credited(self, id: str) -> tuple[Account | None, int | None]:
        """The account named by its own id or its owner's, and the customer, where they exist."""
        if account_id := number(id, "StoreCreditAccount"):
            found = balances.account_by_id(self.world, self.domain, account_id)
            return found, found.customer_id if found else None
        customer_id = number(id, "Customer")
        if customer_id is None or not self.world.store.exists(self.domain, "customer", customer_id):
            return None, None
        return balances.account(self.world, self.domain, customer_id), customer_id

    def minor(self, money: dict[str, Any]) -> int:
        return minor(str(money["amount"]), self.shop.currency)

    def money_fault(self, money: dict[str, Any], field: list[str], currency_code: str) -> Node | None:
        if money["currencyCode"] != self.shop.currency:
            return refused([*field, "currencyCode"], "The currency is not supported.", currency_code)
        if self.minor(money) <= 0:
            return refused([*field, "amount"], "A positive amount must be used.", "NEGATIVE_OR_ZERO_AMOUNT")
        return None


def refused(field: list[str], text: str, code: str) -> Node:
    return {"storeCreditAccountTransaction": None, "userErrors": [user_error(field, text, code)]}
