"""The Admin GraphQL client: one POST with a time-out, tried again when throttled or when Shopify stumbles.

Documents live in `shops/graphql/*.graphql` and are validated against the published schema in a test. An answer that is
HTML, a redirect, errors under a 200, or no data is an error here. Source: https://shopify.dev/docs/api/usage/limits
"""

import functools
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from core import metrics
from core.config import settings
from core.db import Database
from core.effects import PermanentFailure
from core.errors import NotAuthenticated, RapportError, Unavailable
from shops import tokens
from shops.models import Shop

DOCUMENTS = Path(__file__).parent / "graphql"
TRIES = 5


class AdminRefused(RapportError):
    """Shopify understood the call and refused it. `codes` are those of its user errors: `TAKEN`, `INVALID`, …"""

    code = "shopify_refused"

    def __init__(self, detail: str, codes: Iterable[str] = ()) -> None:
        super().__init__(detail)
        self.codes = frozenset(codes)


class AccessDenied(AdminRefused):
    """The shop has not granted the app what the call needs."""

    code = "shopify_access_denied"


class Ambiguous(Unavailable):
    """No answer that says whether the call was carried out: look before it is tried again."""


@functools.cache
def document(name: str) -> str:
    """The text of a `.graphql` document by its file name without ending."""
    return (DOCUMENTS / f"{name}.graphql").read_text()


class Admin:
    """One shop's Admin API. Holds its access token for the length of a job and sends it to the shop's host only."""

    def __init__(self, domain: str, access_token: str) -> None:
        self._domain = domain
        self._token = access_token
        self._client = tokens.store_client()

    @classmethod
    def of(cls, database: Database, shop_id: int) -> "Admin":
        """The client of a shop, with a fresh token. Raises NotAuthenticated, Unavailable, PermanentFailure."""
        with database.transaction(shop_id) as session:
            shop = session.get(Shop, shop_id)
            if shop is None or shop.uninstalled_at is not None:
                raise PermanentFailure("the shop has uninstalled the app")
            return cls(shop.domain, tokens.access_token(session, shop_id, shop.domain))

    def __enter__(self) -> "Admin":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def call(self, name: str, /, **variables: Any) -> dict[str, Any]:
        """Run the document `name` and return its data.

        Raises AdminRefused and AccessDenied (nothing was done), NotAuthenticated, Unavailable (nothing was done) and
        Ambiguous (perhaps it was).
        """
        for tried in range(TRIES):
            began = time.perf_counter()
            answer = self._post(name, variables)
            outcome = "throttled" if _throttled(answer) else "errors" if answer.get("errors") else "ok"
            metrics.SHOPIFY_CALLS.labels(name, outcome).observe(time.perf_counter() - began)
            if outcome == "throttled":
                time.sleep(_restored_in(answer, tried))
                continue
            if outcome == "errors" or not isinstance(answer.get("data"), dict):
                raise _refusal(name, answer)
            data: dict[str, Any] = answer["data"]
            _raise_user_errors(name, data)
            return data
        raise Unavailable("Shopify is throttling this shop; try again")

    def _post(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        url = f"https://{self._domain}/admin/api/{settings().shopify_api_version}/graphql.json"
        try:
            response = self._client.post(
                url,
                json={"query": document(name), "variables": variables},
                headers={"X-Shopify-Access-Token": self._token},
            )
            answer = response.json() if response.status_code == 200 else None
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise Unavailable("Shopify does not answer; try again") from None
        except (httpx.HTTPError, ValueError):
            raise Ambiguous("Shopify gave no answer; it may have done what was asked") from None
        if response.status_code in (401, 403):
            raise NotAuthenticated("Shopify no longer takes this shop's token")
        if response.status_code == 429:
            raise Unavailable("Shopify is throttling this shop; try again")
        if not isinstance(answer, dict):
            raise Ambiguous(f"Shopify answered {response.status_code}; it may have done what was asked")
        return answer


def _codes(answer: dict[str, Any]) -> set[str]:
    """The codes of an answer's top-level errors."""
    errors = answer.get("errors")
    listed = errors if isinstance(errors, list) else []
    return {str((e.get("extensions") or {}).get("code")) for e in listed if isinstance(e, dict)}


def _throttled(answer: dict[str, Any]) -> bool:
    return "THROTTLED" in _codes(answer)


def _refusal(name: str, answer: dict[str, Any]) -> RapportError:
    text = f"{name}: {_messages(answer)}"
    if "INTERNAL_SERVER_ERROR" in _codes(answer):
        return Ambiguous(text)
    return AccessDenied(text) if "ACCESS_DENIED" in _codes(answer) else AdminRefused(text)


def _restored_in(answer: dict[str, Any], tried: int) -> float:
    """Seconds until the bucket holds what the call costs; doubling from half a second when the answer does not say."""
    cost = (answer.get("extensions") or {}).get("cost") or {}
    status = cost.get("throttleStatus") or {}
    missing = float(cost.get("requestedQueryCost") or 0) - float(status.get("currentlyAvailable") or 0)
    rate = float(status.get("restoreRate") or 0)
    return min(10.0, missing / rate if missing > 0 and rate > 0 else 0.5 * 2**tried)


def _messages(answer: dict[str, Any]) -> str:
    errors = answer.get("errors")
    if isinstance(errors, list):
        return "; ".join(str(e.get("message", e)) if isinstance(e, dict) else str(e) for e in errors)[:500]
    return str(errors or "no data")[:500]


def _raise_user_errors(name: str, data: dict[str, Any]) -> None:
    for result in data.values():
        faults = result.get("userErrors") if isinstance(result, dict) else None
        if faults:
            text = "; ".join(str(fault.get("message")) for fault in faults)[:500]
            raise AdminRefused(f"{name}: {text}", [str(fault["code"]) for fault in faults if fault.get("code")])
