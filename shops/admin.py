"""The Admin GraphQL client: one POST with a time-out, paced by what the shop allows, tried again when Shopify stumbles.

Documents live in `shops/graphql/*.graphql` and are validated against the published schema in a test. An answer that is
HTML, a redirect, errors under a 200, or no data is an error here. Source: https://shopify.dev/docs/api/usage/limits
"""

import functools
import math
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from core import clock, logs, metrics
from core.config import settings
from core.db import Database
from core.effects import PermanentFailure
from core.errors import NotAuthenticated, RapportError, Unavailable
from shops import pauses, tokens
from shops.buckets import PEOPLE, TRIMMINGS, Status, buckets
from shops.models import Shop
from shops.pauses import ShopPaused

DOCUMENTS = Path(__file__).parent / "graphql"
TRIES = 5
STUMBLE = 0.25  # seconds until the second try after no answer; doubled each time
# Seconds for the shop's bucket to fill; work that would wait longer comes back later. What leaves most to others comes
# back at once: its worker has more urgent things to do.
LONGEST_WAIT, TRIMMINGS_WAIT = 20.0, 1.0
LONGEST_THROTTLE = 3600.0  # seconds; nothing Shopify says keeps us away for longer
_UNKNOWN_COST = 10.0

log = logs.logger(__name__)


class UserError(NamedTuple):
    """One thing Shopify did not like: which field of the input, in which words, and its code such as `TAKEN`."""

    field: tuple[str, ...]
    message: str
    code: str | None


class AdminRefused(RapportError):
    """Shopify understood the call and refused it. `codes` are those of its user errors: `TAKEN`, `INVALID`, …"""

    code = "shopify_refused"

    def __init__(self, detail: str, codes: Iterable[str] = (), errors: Sequence[UserError] = ()) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)
        self.codes = frozenset(codes) | {error.code for error in errors if error.code}


class AccessDenied(AdminRefused):
    """The shop has not granted the app what the call needs."""

    code = "shopify_access_denied"


class Ambiguous(Unavailable):
    """No answer that says whether the call was carried out: look before it is tried again."""


class Throttled(Unavailable):
    """The shop was asked too much and nothing was done. `seconds` later its bucket holds what the call costs.

    An effect waits until then, which counts as no failure.
    """

    code = "shopify_throttled"

    def __init__(self, seconds: float) -> None:
        super().__init__("Shopify is throttling this shop; try again")
        self.seconds = min(seconds, LONGEST_THROTTLE)
        self.until = clock.now() + timedelta(seconds=self.seconds)
        self.retry_after = max(1, math.ceil(self.seconds))


class _Again(Exception):
    """Nothing was done, or nothing could be: try again so many seconds later, or fail with `error`."""

    def __init__(self, error: RapportError, seconds: float) -> None:
        super().__init__(error.detail)
        self.error, self.seconds = error, seconds


@functools.cache
def document(name: str) -> str:
    """The text of a `.graphql` document by its file name without ending."""
    return (DOCUMENTS / f"{name}.graphql").read_text()


@functools.cache
def reads(name: str) -> bool:
    """Whether a document only reads, so that asking twice does no harm."""
    text = "\n".join(line for line in document(name).splitlines() if not line.startswith("#"))
    return not text.lstrip().startswith("mutation")


class Keeper:
    """What a client does for its shop when Shopify says that a token no longer works or that the shop rests."""

    def __init__(self, database: Database, shop_id: int, domain: str, paused: bool) -> None:
        self._database, self._shop_id, self._domain, self._paused = database, shop_id, domain, paused

    def renew(self, refused: str) -> str:
        """Another token than the one that was refused. Raises NotAuthenticated, Unavailable."""
        return tokens.working(self._database, self._shop_id, self._domain, refused=refused)

    def pause(self, status: int) -> ShopPaused:
        return pauses.pause(self._database, self._shop_id, status)

    def answered(self) -> None:
        if self._paused:
            self._paused = False
            pauses.wake(self._database, self._shop_id)


class Admin:
    """One shop's Admin API. Holds its access token for the length of a job and sends it to the shop's host only.

    `spared` is the share of what the shop allows at once that its calls leave to more urgent ones: see `shops.buckets`.
    """

    def __init__(self, domain: str, access_token: str, keeper: Keeper | None = None, *, spared: float = PEOPLE) -> None:
        self._domain = domain
        self._token = access_token
        self._keeper = keeper
        self._spared = spared
        self._patience = TRIMMINGS_WAIT if spared >= TRIMMINGS else LONGEST_WAIT
        self._renewed = False
        self._client = tokens.store_client()

    @classmethod
    def of(cls, database: Database, shop_id: int, *, spared: float = PEOPLE) -> "Admin":
        """The client of a shop, with a fresh token.

        Raises NotAuthenticated, Unavailable (ShopPaused while it rests), PermanentFailure for one that has left.
        """
        with database.transaction(shop_id) as session:
            shop = session.get(Shop, shop_id)
            if shop is None or shop.uninstalled_at is not None:
                raise PermanentFailure("the shop has uninstalled the app")
            pauses.check(shop)
        keeper = Keeper(database, shop_id, shop.domain, shop.paused_at is not None)
        return cls(shop.domain, tokens.working(database, shop_id, shop.domain), keeper, spared=spared)

    def __enter__(self) -> "Admin":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def call(self, name: str, /, **variables: Any) -> dict[str, Any]:
        """Run the document `name` and return its data.

        Raises AdminRefused and AccessDenied (nothing was done), NotAuthenticated, Unavailable (nothing was done) and
        Ambiguous (perhaps it was). A document that only reads is asked again before that.
        """
        for tried in range(TRIES):
            try:
                return self._attempt(name, variables, tried)
            except _Again as again:
                if tried == TRIES - 1 or again.seconds > self._patience:
                    raise again.error from None
                time.sleep(again.seconds)
        raise AssertionError("the last try ends in an answer or an error")

    def _attempt(self, name: str, variables: dict[str, Any], tried: int) -> dict[str, Any]:
        cost = self._await_turn(name)
        began, outcome, told = time.perf_counter(), "failed", None
        try:
            answer = self._answer(name, variables, tried)
            told = Status.told(answer)
            data, outcome = _read(name, answer, tried), "ok"
            return data
        except (_Again, RapportError) as error:
            outcome = _outcome(error)
            raise
        finally:
            buckets.settle(self._domain, cost, told)
            _costs[name] = told.requested if told else cost
            seconds = time.perf_counter() - began
            metrics.SHOPIFY_CALLS.labels(name, outcome).observe(seconds)
            log.info(
                "shopify call", shop=self._domain, operation=name, outcome=outcome, ms=round(seconds * 1000),
                attempt=tried + 1, cost=told and told.actual, left=told and told.available,
            )  # fmt: skip

    def _await_turn(self, name: str) -> float:
        """Wait until the shop's bucket holds what the call will cost, and take it out."""
        cost, waited = _costs.get(name, _UNKNOWN_COST), 0.0
        while seconds := buckets.take(self._domain, cost, spared=self._spared):
            waited += seconds
            if waited > self._patience:
                raise Throttled(seconds)
            metrics.SHOPIFY_WAITS.observe(seconds)
            time.sleep(seconds)
        return cost

    def _answer(self, name: str, variables: dict[str, Any], tried: int) -> dict[str, Any]:
        try:
            response = self._post(name, variables)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise _Again(Unavailable("Shopify does not answer; try again"), STUMBLE * 2**tried) from None
        except httpx.HTTPError:
            raise _stumbled(name, "Shopify gave no answer; it may have done what was asked", tried) from None
        self._check_status(name, response, tried)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise _stumbled(name, "Shopify answered what is no data; it may have done what was asked", tried)
        if self._keeper:
            self._keeper.answered()
        self._renewed = False
        return answer

    def _post(self, name: str, variables: dict[str, Any]) -> httpx.Response:
        return self._client.post(
            f"https://{self._domain}/admin/api/{settings().shopify_api_version}/graphql.json",
            json={"query": document(name), "variables": variables},
            headers={"X-Shopify-Access-Token": self._token},
        )

    def _check_status(self, name: str, response: httpx.Response, tried: int) -> None:
        status = response.status_code
        if status == 200:
            return
        if status == 401:
            self._renew()
        if status in (401, 403):
            raise NotAuthenticated("Shopify no longer takes this shop's token")
        if status in pauses.WHY:
            raise self._keeper.pause(status) if self._keeper else ShopPaused(status)
        if status == 429:
            raise _throttled(_retry_after(response, tried))
        if response.is_redirect:
            # Never followed: the token is for the shop's own host and no other.
            raise Unavailable("Shopify sends this shop's calls elsewhere; open the app in the shop's admin")
        raise _stumbled(name, f"Shopify answered {status}; it may have done what was asked", tried)

    def _renew(self) -> None:
        """A token that ended or was replaced while the job went on: one other is tried."""
        if self._keeper and not self._renewed:
            self._token, self._renewed = self._keeper.renew(self._token), True
            raise _Again(NotAuthenticated("Shopify no longer takes this shop's token"), 0)


# What each document was last said to cost: what to take out of the bucket before it is asked again.
_costs: dict[str, float] = {}


def _stumbled(name: str, text: str, tried: int) -> Exception:
    """What no answer means: a document that only reads is asked again."""
    error = Ambiguous(text)
    return _Again(error, STUMBLE * 2**tried) if reads(name) else error


def _outcome(error: Exception) -> str:
    """How metrics and logs call what went wrong."""
    if isinstance(error, _Again):
        error = error.error
    return next((text for kind, text in _OUTCOMES.items() if isinstance(error, kind)), "unavailable")


# The narrower kind first.
_OUTCOMES = {
    ShopPaused: "paused",
    Throttled: "throttled",
    Ambiguous: "ambiguous",
    AccessDenied: "denied",
    AdminRefused: "errors",
    NotAuthenticated: "unauthenticated",
}


def _throttled(seconds: float) -> _Again:
    return _Again(Throttled(seconds), seconds)


def _retry_after(response: httpx.Response, tried: int) -> float:
    try:
        seconds = float(response.headers.get("Retry-After", ""))
    except ValueError:
        seconds = -1.0
    return seconds if 0 <= seconds < math.inf else STUMBLE * 2**tried


def _read(name: str, answer: dict[str, Any], tried: int) -> dict[str, Any]:
    """The data of an answer under HTTP 200, or what it says is wrong."""
    if "THROTTLED" in _codes(answer):
        raise _throttled(_restored_in(answer, tried))
    data = answer.get("data")
    if answer.get("errors") or not isinstance(data, dict):
        raise _refusal(name, answer, tried)
    _raise_user_errors(name, data)
    if not reads(name) and None in data.values():
        raise Ambiguous(f"{name}: Shopify does not say whether it did what was asked")
    return data


def _codes(answer: dict[str, Any]) -> set[str]:
    """The codes of an answer's top-level errors."""
    errors = answer.get("errors")
    listed = errors if isinstance(errors, list) else []
    return {str((e.get("extensions") or {}).get("code")) for e in listed if isinstance(e, dict)}


def _refusal(name: str, answer: dict[str, Any], tried: int) -> Exception:
    text = f"{name}: {_messages(answer)}"
    if "INTERNAL_SERVER_ERROR" in _codes(answer):
        return _stumbled(name, text, tried)
    return AccessDenied(text) if "ACCESS_DENIED" in _codes(answer) else AdminRefused(text)


def _restored_in(answer: dict[str, Any], tried: int) -> float:
    """Seconds until the bucket holds what the call costs; doubling from half a second when the answer does not say."""
    told = Status.told(answer)
    missing = told.requested - told.available if told else 0
    return missing / told.rate if told and missing > 0 else 0.5 * 2**tried


def _messages(answer: dict[str, Any]) -> str:
    errors = answer.get("errors")
    if isinstance(errors, list):
        return "; ".join(str(e.get("message", e)) if isinstance(e, dict) else str(e) for e in errors)[:500]
    return str(errors or "no data")[:500]


def _raise_user_errors(name: str, data: dict[str, Any]) -> None:
    for result in data.values():
        faults = result.get("userErrors") if isinstance(result, dict) else None
        if faults:
            errors = [_user_error(fault) for fault in faults]
            text = "; ".join(error.message for error in errors)[:500]
            raise AdminRefused(f"{name}: {text}", errors=errors)


def _user_error(fault: dict[str, Any]) -> UserError:
    field, code = fault.get("field") or (), fault.get("code")
    return UserError(tuple(map(str, field)), str(fault.get("message")), str(code) if code else None)
