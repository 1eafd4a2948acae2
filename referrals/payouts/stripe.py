"""Stripe Connect, by Stripe's own library: accounts of payees, and transfers to them.

A transfer may be asked for again at any time: first it is looked for in its statement's group, then it is asked for
under an idempotency key. Stripe forgets keys after a day (https://docs.stripe.com/api/idempotent_requests), but no
transfer. Nothing is tried again here: the effect that asked decides.
"""

import functools
import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

import stripe
from stripe import RequestsClient, StripeClient, StripeError

from core.config import settings
from core.errors import NotFound, RapportError, Unavailable
from referrals.payouts import rules
from referrals.payouts.rules import Transfer

TIMEOUT = (4.0, 20.0)  # seconds to connect, and to answer
PAGE = 100

# Stripe refuses these while an account can't be paid, however right the request is. Source:
# https://docs.stripe.com/error-codes
_PAUSED = frozenset(("insufficient_capabilities_for_transfer", "transfers_not_allowed", "capability_not_active"))
_BROKE = frozenset(("balance_insufficient", "insufficient_funds"))
# It is still at work on the first request under this key.
_AT_WORK = frozenset(("idempotency_key_in_use", "lock_timeout"))

Made = TypeVar("Made")

# At INFO it tells of each call, on the output of commands too.
logging.getLogger("stripe").setLevel(logging.WARNING)


class NotSetUp(NotFound):
    """This installation pays nobody."""

    code = "no_payouts"


class StripeAway(Unavailable):
    """Stripe gave no answer that says what was done; the same may be asked again under the same key."""

    code = "stripe_unavailable"


class StripeRefused(RapportError):
    """Stripe did nothing, and says why. `reason` is its code."""

    status = HTTPStatus.BAD_GATEWAY
    code = "stripe_refused"
    reason: str | None = None


class NoBalance(StripeRefused):
    """The platform's balance at Stripe does not cover a transfer."""


class AccountPaused(StripeRefused):
    """The account can't be paid now."""


class BadKey(RapportError):
    """Stripe does not let us in; nothing was done."""

    status = HTTPStatus.BAD_GATEWAY
    code = "bad_stripe_key"


class Order(NamedTuple):
    """A transfer to be made. `amount` is in Stripe's units; all of it stays the same as long as the key does."""

    statement_id: int
    attempt: int
    key: str
    group: str
    amount: int
    currency: str
    account: str
    metadata: dict[str, str]


class Client:
    """Speaks for the platform's account. Safe to share among threads."""

    def __init__(self, url: str, key: str) -> None:
        address = url.rstrip("/")
        self._v1 = StripeClient(
            key, base_addresses={"api": address}, http_client=RequestsClient(timeout=TIMEOUT), max_network_retries=0
        ).v1

    def pay(self, order: Order) -> Transfer:
        """The transfer of an order, made once. Raises StripeAway, StripeRefused, BadKey."""
        made = next((one for one in self.transfers(order.group) if one.stands), None)
        return made or self._transfer(order)

    def _transfer(self, order: Order) -> Transfer:
        asked: Any = {
            "amount": order.amount, "currency": order.currency.lower(), "destination": order.account,
            "transfer_group": order.group, "metadata": order.metadata,
        }  # fmt: skip
        return _told(
            lambda: rules.transfer_of(_plain(self._v1.transfers.create(asked, {"idempotency_key": order.key})))
        )

    def transfers(self, group: str | None = None) -> list[Transfer]:
        """All transfers of a group, or of the platform's account; the newest first."""
        asked: Any = {"limit": PAGE} | ({"transfer_group": group} if group else {})
        return _told(lambda: [rules.transfer_of(_plain(one)) for one in _all(self._v1.transfers.list(asked))])

    def open_account(self, key: str, country: str | None, metadata: dict[str, str]) -> dict[str, Any]:
        """A new Express account, in the platform's country where none is named. The same key makes the same one.

        Stripe collects who its owner is and what tax forms ask; we take no losses of theirs but what Express demands.
        """
        asked: dict[str, Any] = {
            "controller": {
                "stripe_dashboard": {"type": "express"},
                "fees": {"payer": "application"},
                "losses": {"payments": "application"},
                "requirement_collection": "stripe",
            },
            "capabilities": {"transfers": {"requested": True}},
            "metadata": metadata,
        }
        if country:
            asked["country"] = country
        if rules.abroad(country, self.country):
            asked["tos_acceptance"] = {"service_agreement": "recipient"}
        params: Any = asked
        return _told(lambda: _plain(self._v1.accounts.create(params, {"idempotency_key": key})))

    def account(self, id_: str) -> dict[str, Any]:
        """A payee's account as it is now."""
        return _told(lambda: _plain(self._v1.accounts.retrieve(id_)))

    @functools.cached_property
    def country(self) -> str:
        """The platform's own."""
        return _told(lambda: str(_plain(self._v1.accounts.retrieve_current())["country"]))

    def link(self, account: str, *, again: str, back: str) -> str:
        """Where the account's owner tells Stripe who they are: good once, for some minutes."""
        asked: Any = {"account": account, "refresh_url": again, "return_url": back, "type": "account_onboarding"}
        return _told(lambda: str(self._v1.account_links.create(asked).url))


def _plain(made: Any) -> dict[str, Any]:
    told: dict[str, Any] = made.to_dict()
    return told


def _all(listed: Any) -> Iterable[Any]:
    found: Iterable[Any] = listed.auto_paging_iter()
    return found


def _told(ask: Callable[[], Made]) -> Made:
    """What Stripe answers. Raises StripeAway, StripeRefused, BadKey."""
    try:
        return ask()
    except StripeError as error:
        raise _meant(error) from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise StripeAway("Stripe's answer can't be read; it may have done what was asked") from None


def _meant(error: StripeError) -> RapportError:
    code, said = _code(error), " ".join((error.user_message or "no reason given").split())[:300]
    if code in _AT_WORK or isinstance(error, (stripe.APIConnectionError, stripe.APIError, stripe.RateLimitError)):
        return StripeAway("Stripe gave no clear answer; it is asked again")
    if code == "account_invalid" or isinstance(error, (stripe.InvalidRequestError, stripe.IdempotencyError)):
        return _refusal(code, f"Stripe refused: {said}")
    if isinstance(error, (stripe.AuthenticationError, stripe.PermissionError)):
        return BadKey("Stripe does not accept STRIPE_SECRET_KEY for this")
    return _refusal(code, f"Stripe refused: {said}")


def _refusal(code: str | None, sentence: str) -> StripeRefused:
    kind = NoBalance if code in _BROKE else AccountPaused if code in _PAUSED else StripeRefused
    refused = kind(sentence)
    refused.reason = code
    return refused


def _code(error: StripeError) -> str | None:
    return error.code or (error.error.code if error.error else None)


def is_set_up() -> bool:
    """Whether this installation pays commission out."""
    return bool(settings().stripe_secret_key.get_secret_value())


def client() -> Client:
    """The process's client. Raises NotSetUp."""
    if not is_set_up():
        raise NotSetUp("payouts are not set up here")
    return _client(settings().stripe_url, settings().stripe_secret_key.get_secret_value())


@functools.lru_cache(maxsize=2)
def _client(url: str, key: str) -> Client:
    return Client(url, key)
