"""Access to a shop's Admin API: session tokens verified, exchanged for an expiring offline token, refreshed in time.

Shopify's own library (`shopifyapp`) makes the calls; this adapter adds what it leaves open: `iss`, `dest` and `exp` are
checked here, a 200 that is no token is an error, and tokens are stored together, encrypted, under one row lock.
Source: https://shopify.dev/docs/apps/build/authentication-authorization
"""

import functools
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx
import jwt
import shopify_app
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, crypto
from core.config import Settings, settings
from core.db import Database
from core.errors import NotAuthenticated, Unavailable
from shops.models import DOMAIN, ShopToken

TIMEOUT = httpx.Timeout(10, connect=3)
# Refresh this long before the token ends, so that no call starts with a token that dies on the way.
MARGIN = timedelta(minutes=5)
# A refresh token lives 90 days. One that would die with its shop's silence is exchanged for a new one long before.
WARM = timedelta(days=60)
# How often work looks again whether a merchant has opened the app.
LOOK = timedelta(hours=1)
_LONG_AGO = "2000-01-01T00:00:00Z"


class NeedsMerchant(NotAuthenticated):
    """This shop's tokens are void: work waits, which counts as no failure, until somebody opens the app."""

    code = "needs_merchant"

    def __init__(self) -> None:
        super().__init__("Shopify no longer takes this shop's token: somebody has to open the app in its admin")
        self.until = clock.now() + LOOK


_CUSTOMER = re.compile(r"gid://shopify/Customer/([1-9][0-9]{0,18})", re.ASCII)


class OfflineToken(NamedTuple):
    """A token pair as Shopify hands it out. Times are aware; None means it does not expire."""

    shop: str
    access_token: str
    access_expires_at: datetime | None
    refresh_token: str | None
    refresh_expires_at: datetime | None
    scopes: str


@functools.cache
def trusted() -> ssl.SSLContext:
    """Reading the certificates of all authorities takes longer than most calls: once a process."""
    return httpx.create_ssl_context()


class ToStore(httpx.BaseTransport):
    """Sends `https://<shop>.myshopify.com/…` to wherever SHOPIFY_STORE_URL says shops answer. Follows no redirect."""

    def __init__(self, store_url: str) -> None:
        self._store_url = store_url
        self._inner = httpx.HTTPTransport(retries=0, verify=trusted())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        target = httpx.URL(self._store_url.format(shop=request.url.host))
        request.url = target.copy_with(raw_path=target.raw_path.rstrip(b"/") + request.url.raw_path)
        request.headers["Host"] = target.netloc.decode()
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


def loopback() -> bool:
    """Whether shops are the sandbox's, which speak plain HTTP on loopback."""
    return settings().shopify_store_url.startswith("http://")


def store_client() -> httpx.Client:
    """An HTTP client for shops' own hosts, with time-outs and without redirects."""
    return httpx.Client(transport=ToStore(settings().shopify_store_url), timeout=TIMEOUT, follow_redirects=False)


def verify_session_token(token: str, config: Settings | None = None) -> dict[str, Any]:
    """The claims of a session token that App Bridge, or the till, made for us. Raises NotAuthenticated.

    Signed by the current or previous secret, for our client id, not expired, `iss` and `dest` naming the same shop.
    """
    claims = _claims(token, ("exp", "nbf", "iss", "dest", "aud", "sub"), config or settings())
    shop_of(claims)
    return claims


class Shopper(NamedTuple):
    """For whom a checkout or an account page runs. `customer_id` is None for somebody who has not signed in."""

    shop: str
    customer_id: int | None


def verify_shopper_token(token: str, config: Settings | None = None) -> Shopper:
    """Whom the token of a checkout or customer account extension speaks for. Raises NotAuthenticated.

    These can't be exchanged, name no issuer, and write the shop with or without `https://`.
    Source: https://shopify.dev/docs/api/checkout-ui-extensions/latest/apis/session-token
    """
    claims = _claims(token, ("exp", "nbf", "dest", "aud"), config or settings())
    domain, subject = str(claims["dest"]).removeprefix("https://"), _CUSTOMER.fullmatch(str(claims.get("sub", "")))
    # Whoever has an issuer is somebody of the staff, who is no customer.
    if not DOMAIN.fullmatch(domain) or "iss" in claims:
        raise NotAuthenticated("the session token is no shopper's")
    return Shopper(domain, int(subject[1]) if subject else None)


def _claims(token: str, required: Sequence[str], config: Settings) -> dict[str, Any]:
    for secret in config.webhook_secrets:
        try:
            claims: dict[str, Any] = jwt.decode(
                token, secret, algorithms=["HS256"], audience=config.shopify_api_key, leeway=5,
                options={"require": list(required)},
            )  # fmt: skip
        except jwt.InvalidSignatureError:
            continue
        except jwt.PyJWTError as error:
            raise NotAuthenticated(f"the session token is not valid: {error}") from None
        return claims
    raise NotAuthenticated("the session token is not signed by this app")


def shop_of(claims: dict[str, Any]) -> str:
    """The myshopify.com domain that the claims name. Raises NotAuthenticated when `iss` and `dest` disagree."""
    domain = str(claims["dest"]).removeprefix("https://")
    if not DOMAIN.fullmatch(domain) or claims["iss"] != f"https://{domain}/admin":
        raise NotAuthenticated("the session token does not name one shop")
    return domain


def exchange(session_token: str) -> OfflineToken:
    """Exchange a verified session token for an expiring offline token. Raises NotAuthenticated, Unavailable."""
    claims = verify_session_token(session_token)
    told = {"exchangeable": True, "token": session_token, "claims": claims}
    with store_client() as client:
        return _taken(
            lambda: _library().exchange_using_token_exchange("offline", told, None, True, client), shop_of(claims)
        )


def _library() -> shopify_app.ShopifyApp:
    config = settings()
    old = config.shopify_api_secret_old.get_secret_value() or None
    return shopify_app.ShopifyApp(config.shopify_api_key, config.shopify_api_secret.get_secret_value(), old)


def _taken(ask: Callable[[], Any], domain: str) -> OfflineToken:
    """The token pair that the library brings. An answer that is no token is an error, whatever its status."""
    try:
        result = ask()
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        raise Unavailable("Shopify answered what is no token; try again") from None
    token = result.access_token
    if result.ok and token is not None and token.token:
        return OfflineToken(
            domain, token.token, _moment(token.expires), token.refresh_token, _moment(token.refresh_token_expires),
            token.scope or "",
        )  # fmt: skip
    answered = result.http_logs[-1].res.status if result.http_logs else 0
    if answered >= 500 or result.log.code in ("network_error", "server_error", "rate_limit_exceeded", "success"):
        raise Unavailable("Shopify does not hand out a token just now; try again")
    if result.log.code in ("invalid_grant", "refresh_token_expired"):
        raise NeedsMerchant
    raise NotAuthenticated(f"Shopify refused to hand out a token ({result.log.code})")


def _moment(text: str | None) -> datetime | None:
    # The library reckons by the machine's clock, everything else here by ours.
    return datetime.fromisoformat(text.replace("Z", "+00:00")) + (clock.now() - datetime.now(UTC)) if text else None


def keep(session: Session, shop_id: int, token: OfflineToken) -> None:
    """Store both tokens at once, encrypted."""
    row = session.get(ShopToken, (shop_id,), with_for_update=True) or ShopToken(shop_id=shop_id)
    row.access_token = crypto.encrypt(token.access_token)
    row.access_expires_at = token.access_expires_at
    row.refresh_token = token.refresh_token and crypto.encrypt(token.refresh_token)  # type: ignore[assignment]
    row.refresh_expires_at = token.refresh_expires_at
    row.refused_at = None
    row.updated_at = clock.now()
    session.add(row)
    session.flush()


def rotate_encryption(session: Session, shop_id: int) -> None:
    """Encrypt the shop's tokens under the newest key. Raises UndecipherableSecret."""
    row = session.get(ShopToken, (shop_id,), with_for_update=True)
    if row is not None:
        row.access_token = crypto.rotate(row.access_token)
        row.refresh_token = row.refresh_token and crypto.rotate(row.refresh_token)


def working(database: Database, shop_id: int, domain: str, *, refused: str | None = None) -> str:
    """`access_token` in a transaction of its own; notes it when only a merchant can bring a new one."""
    with _noting_refusal(database, shop_id), database.transaction(shop_id) as session:
        return access_token(session, shop_id, domain, refused=refused)


def warm(database: Database, shop_id: int, domain: str) -> bool:
    """Exchange a refresh token that nears its end for a new pair, so that a shop's silence does not cost it its access.

    True when that was due. Raises as `access_token`.
    """
    with _noting_refusal(database, shop_id), database.transaction(shop_id) as session:
        row = _token(session, shop_id, lock=True)
        if row.refresh_expires_at is None or row.refresh_expires_at - WARM > clock.now():
            return False
        keep(session, shop_id, _refresh(row, domain))
    return True


@contextmanager
def _noting_refusal(database: Database, shop_id: int) -> Iterator[None]:
    began = clock.now()
    try:
        yield
    except NeedsMerchant:
        with database.transaction(shop_id) as session:
            # Not where somebody has opened the app meanwhile.
            session.execute(
                sa.update(ShopToken)
                .where(ShopToken.shop_id == shop_id, ShopToken.updated_at <= began, ShopToken.refused_at.is_(None))
                .values(refused_at=clock.now())
            )
        raise


def access_token(session: Session, shop_id: int, domain: str, *, refused: str | None = None) -> str:
    """A token that lives at least MARGIN longer; refreshed under the row's lock when it does not.

    `refused` is a token that Shopify did not take: another one is needed. Raises NeedsMerchant when the app must be
    opened again, NotAuthenticated, Unavailable when Shopify can't be asked.
    """
    row = _token(session, shop_id)
    if _fresh(row, refused):
        return crypto.decrypt(row.access_token)
    # Another job may have refreshed while we waited for the lock: look again before using up the refresh token.
    row = _token(session, shop_id, lock=True)
    if _fresh(row, refused):
        return crypto.decrypt(row.access_token)
    refreshed = _refresh(row, domain)
    keep(session, shop_id, refreshed)
    return refreshed.access_token


def alive(session: Session, shop_id: int) -> bool:
    """Whether the shop has a token that works, or that can be exchanged for one that does."""
    now = clock.now()
    row = session.get(ShopToken, (shop_id,), populate_existing=True)
    if row is None or row.refused_at is not None:
        return False
    ends = row.refresh_expires_at if row.refresh_token else row.access_expires_at
    return ends is None or ends > now


def _token(session: Session, shop_id: int, *, lock: bool = False) -> ShopToken:
    statement = sa.select(ShopToken).where(ShopToken.shop_id == shop_id).execution_options(populate_existing=True)
    row = session.scalar(statement.with_for_update() if lock else statement)
    if row is None or row.refused_at is not None:
        raise NeedsMerchant
    return row


def _fresh(row: ShopToken, refused: str | None) -> bool:
    lives = row.access_expires_at is None or row.access_expires_at - MARGIN > clock.now()
    return lives and (refused is None or crypto.decrypt(row.access_token) != refused)


def _refresh(row: ShopToken, domain: str) -> OfflineToken:
    if row.refresh_token is None or (row.refresh_expires_at and row.refresh_expires_at <= clock.now()):
        raise NeedsMerchant
    held = {
        "shop": domain.removesuffix(".myshopify.com"),
        "token": crypto.decrypt(row.access_token),
        "expires": _LONG_AGO,  # the library refuses to refresh what still lives a while
        "scope": "",
        "access_mode": "offline",
        "refresh_token": crypto.decrypt(row.refresh_token),
        "refresh_token_expires": None,
        "user": None,
    }
    with store_client() as client:
        return _taken(lambda: _library().refresh_token_exchanged_access_token(held, client), domain)
