"""Installing, moving, leaving, what merchants set. Each takes a session and never commits; what asks the shop first
takes the database.

A merchant's page calls `open_shop` with the session token that App Bridge gave it, and has the installed shop.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.db import Database, open_shops
from core.effects import Effect
from core.errors import Conflict, InvalidInput
from core.events import Happened, record
from core.i18n import _
from shops import appearance, tokens
from shops.admin import Admin
from shops.appearance import Appearance
from shops.models import DOMAIN, Shop, ShopToken
from shops.tokens import OfflineToken

# Filled by app.py when the parts are wired together: what the rooms above give a shop that has just come, each called
# with (session, shop id) in the transaction that installs it.
welcome: list[Callable[[Session, int], object]] = []

# In a shop's settings while its merchant has not said whether the past goes on: see `returning`.
_RETURNING = "returning"
# In a shop's settings: after how many days without an order its members are at risk, and what may be chosen.
QUIET = "quiet_days"
QUIET_DAYS, QUIET_LEAST, QUIET_MOST = 90, 14, 365


class Opened(NamedTuple):
    """A shop whose merchant looks at the app. `user` is Shopify's number of that person, `new` whether this visit
    installed it.
    """

    shop: Shop
    user: str
    new: bool


def open_shop(database: Database, session_token: str) -> Opened:
    """The installed shop that a session token names; installed now when it is not, or when its tokens no longer work.

    The one way into the merchant's pages: call it for every request that brings a session token (the document's
    `id_token` or `Authorization: Bearer`). Where the shop is known it costs one signature check and one query. The
    first time it exchanges the token, asks the shop for its details and gives it all that `welcome` holds; two requests
    at once install once. `opened.shop` is a detached row: open its rows with `database.transaction(opened.shop.id)`.

    Raises NotAuthenticated for a token that is expired, tampered with, for another app or of two minds about its shop
    (answer 401 with `X-Shopify-Retry-Invalid-Session-Request: 1`, and App Bridge fetches a new one), Unavailable when
    Shopify does not answer, AdminRefused when the shop refuses to tell what it is called.
    """
    claims = tokens.verify_session_token(session_token)
    domain = tokens.shop_of(claims)
    user = str(claims["sub"])
    shop = _working(database, domain)
    if shop is not None:
        return Opened(shop, user, new=False)
    with database.transaction() as flight:
        # A page's first requests come together. Whoever waited here finds the shop installed.
        flight.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"shop:{domain}"})
        shop = _working(database, domain)
        if shop is not None:
            return Opened(shop, user, new=False)
        shop_id, new = _take_in(database, session_token, _welcome)
    with database.transaction(shop_id) as session:
        return Opened(session.get_one(Shop, shop_id), user, new)


def _working(database: Database, domain: str) -> Shop | None:
    """The shop of that domain, if it is installed and we can speak to it."""
    with database.transaction() as session:
        shop = session.scalar(sa.select(Shop).where(Shop.domain == domain, Shop.uninstalled_at.is_(None)))
        if shop is None:
            return None
        open_shops(session, [shop.id])
        return shop if tokens.alive(session, shop.id) else None


def _welcome(session: Session, shop_id: int) -> None:
    for step in welcome:
        step(session, shop_id)


def install(database: Database, session_token: str, prepare: Callable[[Session, int], object]) -> int:
    """Install the shop that a session token names, or take it in again, and return its id.

    Asks the shop for a token and for what it is called before anything is written. `prepare(session, shop_id)` gives
    it what the rooms above need from the first delivery on: a program. Raises NotAuthenticated, Unavailable,
    AdminRefused.
    """
    return _take_in(database, session_token, prepare)[0]


def _take_in(database: Database, session_token: str, prepare: Callable[[Session, int], object]) -> tuple[int, bool]:
    """The shop's id, and whether it was not installed before."""
    token = tokens.exchange(session_token)
    with Admin(token.shop, token.access_token) as admin:
        about = admin.call("shop")["shop"]
    with database.transaction() as session:
        shop, again = _register(session, token, about)
        open_shops(session, [shop.id])
        tokens.keep(session, shop.id, token)
        _resume_effects(session, shop.id)
        # Where only its tokens had died, nothing of the shop is new.
        if not again:
            prepare(session, shop.id)
            record(session, [Happened(shop.id, "shop.installed", {"scopes": token.scopes}, clock.now())])
    return shop.id, not again


def _register(session: Session, token: OfflineToken, about: dict[str, Any]) -> tuple[Shop, bool]:
    """The shop's row, and whether it was installed all along."""
    number = int(about["id"].rsplit("/", 1)[-1])
    shop = session.scalar(
        # Its number first: the domain may be another than it was.
        sa.select(Shop)
        .where((Shop.shopify_id == number) | (Shop.domain == token.shop))
        .order_by(Shop.shopify_id.is_(None), Shop.id)
        .limit(1)
        .with_for_update()
    )
    again = shop is not None and shop.shopify_id == number and shop.uninstalled_at is None
    if shop is None:
        shop = Shop(domain=token.shop, settings={})
        session.add(shop)
    elif shop.uninstalled_at or shop.redacted_at:
        shop.returned = True
        if shop.redacted_at is None:
            shop.settings = (shop.settings or {}) | {_RETURNING: clock.now().isoformat()}
    if not again:
        shop.installed_at = clock.now()
    shop.domain, shop.shopify_id = token.shop, number
    shop.name = about["name"]
    shop.currency = about["currencyCode"]
    shop.timezone = about["ianaTimezone"]
    shop.scopes = token.scopes
    shop.uninstalled_at = shop.redacted_at = None
    shop.paused_at = shop.paused_until = shop.paused_status = None
    session.flush()
    return shop, again


def _resume_effects(session: Session, shop_id: int) -> None:
    """What waited for somebody to open the app need wait no longer."""
    session.execute(
        sa.update(Effect)
        .where(Effect.shop_id == shop_id, Effect.state == "waiting", Effect.due_at > clock.now())
        .values(due_at=clock.now())
    )


# Coming back.


def returning(shop: Shop) -> bool:
    """Whether a shop has come back with a past, and its merchant has not said yet whether that goes on.

    Until they say, it goes on: members keep their points, and the program stays in force. `keep_past` says so for good;
    `loyalty.privacy.start_afresh` begins anew.
    """
    return _RETURNING in (shop.settings or {})


def keep_past(session: Session, shop_id: int, *, actor: str) -> None:
    """The merchant goes on where they left. Raises Conflict when there is nothing to decide."""
    decide(session, shop_id)
    record(session, [Happened(shop_id, "shop.past_kept", {}, clock.now(), actor=actor)])


def decide(session: Session, shop_id: int) -> Shop:
    """The shop, locked, no longer waiting for its merchant's choice. Raises Conflict when it was not."""
    shop = session.get_one(Shop, shop_id, with_for_update=True, populate_existing=True)
    if not returning(shop):
        raise Conflict(
            _("this shop has nothing to decide: it did not come back, or said already"), code="not_returning"
        )
    shop.settings = {key: value for key, value in shop.settings.items() if key != _RETURNING}
    session.flush()
    return shop


# Changing and leaving.


def uninstall(session: Session, shop_id: int, at: datetime) -> bool:
    """The app is gone from the shop: its token is void, its effects stop. Data stays until shop/redact.

    False when the shop has installed it again since: the news came late.
    """
    left = session.scalar(
        sa.update(Shop)
        .where(Shop.id == shop_id, Shop.uninstalled_at.is_(None), Shop.installed_at <= at)
        .values(uninstalled_at=clock.now())
        .returning(Shop.id)
    )
    if left is None:
        return False
    for table in (ShopToken, Effect):
        session.execute(sa.delete(table).where(table.shop_id == shop_id))
    return True


def set_scopes(session: Session, shop_id: int, scopes: Iterable[str]) -> None:
    """What the merchant now allows us."""
    session.execute(sa.update(Shop).where(Shop.id == shop_id).values(scopes=",".join(sorted(scopes))))
    _resume_effects(session, shop_id)


class Details(NamedTuple):
    """What a shop says of itself; None where it does not."""

    shopify_id: int
    domain: str | None = None
    name: str | None = None
    timezone: str | None = None


def update_details(session: Session, shop_id: int, told: Details) -> str | None:
    """Take over a shop's new name, clock, or myshopify.com domain. Returns the domain it had when that changes.

    Its currency is that of the first day: Shopify allows no other once something was sold. Raises InvalidInput for a
    domain that is none or for the news of another shop.
    """
    shop = session.get_one(Shop, shop_id, with_for_update=True, populate_existing=True)
    if told.domain and not DOMAIN.fullmatch(told.domain):
        raise InvalidInput("the shop's new domain is no myshopify.com domain", code="bad_domain")
    if shop.shopify_id not in (None, told.shopify_id):
        raise InvalidInput("these are the details of another shop", code="other_shop")
    before, shop.shopify_id = shop.domain, told.shopify_id
    shop.domain = told.domain or shop.domain
    shop.name = told.name or shop.name
    shop.timezone = told.timezone or shop.timezone
    session.flush()
    return before if before != shop.domain else None


def set_appearance(session: Session, shop_id: int, given: Any, *, actor: str) -> Appearance:
    """How the shop's rewards pages look and speak from now on: all of `shops.appearance.Appearance`, as plain data.

    Records `appearance.set` with the names of what changed; the same again changes nothing. Raises InvalidInput
    (`bad_appearance`, with `faults` by field).
    """
    chosen = appearance.checked(given)
    shop = session.scalars(sa.select(Shop).where(Shop.id == shop_id).with_for_update()).one()
    before, after = appearance.appearance_of(shop.settings).model_dump(), chosen.model_dump()
    changed = sorted(name for name, value in after.items() if before[name] != value)
    if changed:
        shop.settings = {**(shop.settings or {}), appearance.KEY: chosen.model_dump(mode="json")}
        record(session, [Happened(shop_id, "appearance.set", {"changed": changed}, clock.now(), actor=actor)])
    return chosen


def quiet_days(shop: Shop) -> int:
    """After how many days without an order a member of this shop is at risk."""
    return int((shop.settings or {}).get(QUIET, QUIET_DAYS))


def set_quiet_days(session: Session, shop_id: int, days: int, *, actor: str) -> None:
    """From now on members are at risk after so many days without an order. Raises InvalidInput (`bad_days`)."""
    if days not in range(QUIET_LEAST, QUIET_MOST + 1):
        raise InvalidInput(
            _("choose from %(least)s to %(most)s days", least=QUIET_LEAST, most=QUIET_MOST), code="bad_days"
        )
    shop = session.scalars(sa.select(Shop).where(Shop.id == shop_id).with_for_update()).one()
    if quiet_days(shop) != days:
        shop.settings = {**(shop.settings or {}), QUIET: days}
        record(session, [Happened(shop_id, "at_risk.days_set", {"days": days}, clock.now(), actor=actor)])
