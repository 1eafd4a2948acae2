"""Accounts, transfers and balances, kept in the sandbox's store. Amounts are in Stripe's units."""

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from babel.numbers import get_territory_currencies

from sandbox.store import Store
from sandbox.stripe import forms
from sandbox.stripe.news import News
from sandbox.stripe.refusal import Refusal, missing

SHOP = "stripe"
COUNTRY = "US"
FUNDS = {"usd": 10_000_00}
NEEDS = ["business_profile.url", "external_account", "individual.dob.day", "individual.first_name",
         "individual.id_number", "tos_acceptance.date"]  # fmt: skip
Body = dict[str, Any]


def new(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(8)}"


class Books:
    """What Stripe knows. Each change of an account or a transfer is told."""

    def __init__(self, store: Store, news: News, clock: Callable[[], float] = time.time) -> None:
        self.store, self.news, self.clock = store, news, clock

    # Accounts.

    def open_account(self, given: Mapping[str, Any]) -> Body:
        country = str(given.get("country") or COUNTRY)
        currencies = get_territory_currencies(country)
        if not currencies:
            raise Refusal(f"Country '{country}' is unknown.", "country_unsupported", param="country")
        if country != COUNTRY and _agreement(given) != "recipient":
            message = f"You cannot request the transfers capability alone for accounts in {country}."
            raise Refusal(message, param="capabilities")
        wanted = given.get("capabilities") or {}
        account = {
            "id": new("acct"), "object": "account", "type": "express", "country": country, "email": None,
            "business_type": None, "capabilities": dict.fromkeys(wanted, "inactive"),
            "charges_enabled": False, "controller": given.get("controller") or {}, "created": int(self.clock()),
            "default_currency": currencies[0].lower(), "details_submitted": False,
            "metadata": given.get("metadata") or {},
            "payouts_enabled": False, "requirements": _requirements(NEEDS, "requirements.past_due"),
            "tos_acceptance": {"service_agreement": _agreement(given)},
        }  # fmt: skip
        self._put("account", account)
        return account

    def account(self, key: str) -> Body:
        found = self.store.get(SHOP, "account", key, dict)
        if found is None:
            message = f"The provided key does not have access to account '{key}' (or that account does not exist)."
            raise Refusal(message, "account_invalid", status=403)
        return found

    def accounts(self) -> list[Body]:
        return sorted(self.store.all(SHOP, "account", dict), key=lambda one: -one["created"])

    def change(self, key: str, **changes: Any) -> Body:
        """Change an account, and tell of it."""
        with self.store.transaction():
            account = self.account(key) | changes
            self._put("account", account)
        self.news.tell("account.updated", account, account=key)
        return account

    def finish(self, key: str) -> Body:
        """As when its owner has told all, and all was found good."""
        able = {"capabilities": {"transfers": "active"}, "payouts_enabled": True, "requirements": _requirements([])}
        return self.change(key, details_submitted=True, **able)

    def restrict(self, key: str, *needs: str) -> Body:
        """As when something about its owner has to be cleared first."""
        asked = _requirements(list(needs) or ["individual.verification.document"], "requirements.past_due")
        unable = {"capabilities": {"transfers": "inactive"}, "payouts_enabled": False, "requirements": asked}
        return self.change(key, details_submitted=True, **unable)

    def reject(self, key: str) -> Body:
        unable = {"capabilities": {"transfers": "inactive"}, "payouts_enabled": False}
        return self.change(key, requirements=_requirements([], "rejected.fraud"), **unable)

    def bank_refuses(self, key: str) -> None:
        """As when a payment from the account's balance comes back from its owner's bank."""
        account = self.account(key)
        told = {
            "id": new("po"), "object": "payout", "amount": 1, "currency": account["default_currency"],
            "created": int(self.clock()), "failure_code": "account_closed", "metadata": {}, "status": "failed",
        }  # fmt: skip
        self.news.tell("payout.failed", told, account=key)

    # Transfers.

    def balance(self) -> dict[str, int]:
        """The platform's, by currency."""
        return self.store.get(SHOP, "balance", "platform", dict[str, int]) or dict(FUNDS)

    def fund(self, currency: str, amount: int) -> None:
        """Have the platform hold this much."""
        self.store.put(SHOP, "balance", "platform", self.balance() | {currency: amount})

    def transfer(self, given: Mapping[str, Any]) -> Body:
        amount, currency = forms.whole(given, "amount"), str(given["currency"])
        with self.store.transaction():
            account = self._receiver(str(given["destination"]), currency)
            held = self.balance()
            if held.get(currency, 0) < amount:
                message = "You have insufficient available funds in your Stripe account."
                raise Refusal(message, "balance_insufficient")
            made = self._made(given, account, amount, currency)
            self._put("transfer", made)
            self.store.put(SHOP, "balance", "platform", held | {currency: held[currency] - amount})
        self.news.tell("transfer.created", made)
        return made

    def _receiver(self, key: str, currency: str) -> Body:
        account = self.store.get(SHOP, "account", key, dict)
        if account is None:
            raise missing("destination", key, "destination")
        if account["capabilities"].get("transfers") != "active":
            message = "Your destination account needs the transfers capability enabled."
            raise Refusal(message, "insufficient_capabilities_for_transfer")
        platform = get_territory_currencies(COUNTRY)[0].lower()
        if currency not in (account["default_currency"], platform):
            message = f"Invalid currency: {currency}. An account in {account['country']} can take "
            raise Refusal(f"{message}{account['default_currency']}.", "parameter_invalid", param="currency")
        return account

    def _made(self, given: Mapping[str, Any], account: Body, amount: int, currency: str) -> Body:
        key = new("tr")
        reversals = {"object": "list", "data": [], "has_more": False, "url": f"/v1/transfers/{key}/reversals"}
        return {
            "id": key, "object": "transfer", "amount": amount, "amount_reversed": 0, "balance_transaction": new("txn"),
            "created": int(self.clock()), "currency": currency, "description": given.get("description"),
            "destination": account["id"], "destination_payment": new("py"), "livemode": False,
            "metadata": given.get("metadata") or {}, "reversals": reversals, "reversed": False,
            "source_transaction": None, "source_type": "card", "transfer_group": given.get("transfer_group"),
        }  # fmt: skip

    def transfers(self, group: str | None = None, destination: str | None = None) -> list[Body]:
        """The newest first."""
        found = self.store.all(SHOP, "transfer", dict)
        wanted = [
            one for one in found
            if group in (None, one["transfer_group"]) and destination in (None, one["destination"])
        ]  # fmt: skip
        return sorted(wanted, key=lambda one: (-one["created"], one["id"]))

    def one_transfer(self, key: str) -> Body:
        found = self.store.get(SHOP, "transfer", key, dict)
        if found is None:
            raise missing("transfer", key)
        return found

    def reverse(self, key: str, amount: int | None = None) -> Body:
        """Take a transfer back, or a part of it."""
        with self.store.transaction():
            made, held = self.one_transfer(key), self.balance()
            back = amount or made["amount"] - made["amount_reversed"]
            if not 0 < back <= made["amount"] - made["amount_reversed"]:
                raise Refusal("The reversal is for more than is left of the transfer.", param="amount")
            reversal = {
                "id": new("trr"), "object": "transfer_reversal", "amount": back, "balance_transaction": new("txn"),
                "created": int(self.clock()), "currency": made["currency"], "metadata": {}, "transfer": key,
            }  # fmt: skip
            made["amount_reversed"] += back
            made["reversed"] = made["amount_reversed"] == made["amount"]
            made["reversals"]["data"].append(reversal)
            self._put("transfer", made)
            self.store.put(SHOP, "balance", "platform", held | {made["currency"]: held[made["currency"]] + back})
        self.news.tell("transfer.reversed", made)
        return reversal

    def totals(self) -> dict[str, int]:
        """What was transferred and not taken back, by currency."""
        sums: dict[str, int] = {}
        for one in self.transfers():
            sums[one["currency"]] = sums.get(one["currency"], 0) + one["amount"] - one["amount_reversed"]
        return sums

    # Onboarding links.

    def link(self, given: Mapping[str, Any]) -> str:
        """The name of a link that is good once."""
        account = self.account(str(given["account"]))
        if given.get("type") != "account_onboarding":
            raise Refusal("Only account_onboarding can be asked for this account.", param="type")
        for name in ("refresh_url", "return_url"):
            if not str(given.get(name, "")).startswith(("http://", "https://")):
                raise Refusal(f"Not a valid URL: {name}.", "url_invalid", param=name)
        key, ends = secrets.token_urlsafe(12), int(self.clock()) + 300
        told = {"id": key, "account": account["id"], "refresh": given["refresh_url"], "back": given["return_url"],
                "expires_at": ends, "opened": False}  # fmt: skip
        self._put("link", told)
        return key

    def linked(self, key: str) -> Body:
        found = self.store.get(SHOP, "link", key, dict)
        if found is None:
            raise missing("link", key)
        return found

    def opened(self, link: Body) -> None:
        self._put("link", link | {"opened": True})

    def _put(self, kind: str, document: Body) -> None:
        self.store.put(SHOP, kind, document["id"], document)


def _agreement(given: Mapping[str, Any]) -> str:
    return str((given.get("tos_acceptance") or {}).get("service_agreement") or "full")


def _requirements(due: list[str], reason: str | None = None) -> Body:
    return {
        "alternatives": [], "current_deadline": None, "currently_due": due, "disabled_reason": reason, "errors": [],
        "eventually_due": due, "past_due": due if reason else [], "pending_verification": [],
    }  # fmt: skip
