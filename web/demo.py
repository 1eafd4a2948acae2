"""`flask demo seed`: the demo shop, brought in through the same operations the app uses. Development only.

It may run any number of times: what is there already is left as it is.
"""

import contextlib
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click
import httpx
import sqlalchemy as sa
from flask.cli import AppGroup
from sqlalchemy.orm import Session

from core.config import settings
from core.db import database
from core.effects import PermanentFailure
from core.errors import NotAuthenticated
from loyalty import programs
from loyalty.models import Member
from loyalty.program import demo_program
from shops import keys, operations
from shops.admin import Admin
from shops.models import Shop
from shops.staff import operations as staff
from shops.staff import queries as counters
from shops.staff.operations import WrongPin
from web import demo_friends, demo_life
from webhooks.drain import count_waiting

LOCATIONS = ("Harbour Street", "Market Hall")
PROGRAM_NAME = "North Pier Rewards"
# Before any order, so that the shop's whole past is settled by its first program.
SINCE_EVER = datetime(1990, 1, 1, tzinfo=UTC)
PATIENCE = 90  # seconds for the past to arrive and be worked off

demo = AppGroup("demo", help="The demo shop (development only).")


@demo.command("seed")
def seed() -> None:
    """Install the demo shop, give it a program, an API key and its past, and print where everything is."""
    domain = settings().demo_shop
    if not domain or not settings().sandbox_url:
        raise click.UsageError("there is no demo shop here: DEMO_SHOP and SANDBOX_URL are not set")
    shop_id = _installed(domain)
    with database().transaction(shop_id) as session:
        token, pin = _api_token(session, shop_id), _staff_pin(session, shop_id)
        new = session.scalar(sa.select(Member.id).where(Member.shop_id == shop_id).limit(1)) is None
    if new:
        _ask_sandbox(f"{domain}/replay")
    _wait_until_worked_off(domain)
    if demo_friends.bring(shop_id, _ask_shop):
        _wait_until_worked_off(domain)
    if demo_life.unfold(shop_id, _ask_shop, _ask_world):
        _wait_until_worked_off(domain)
    click.echo(json.dumps(_facts(domain, token, pin), indent=2))


def _installed(domain: str) -> int:
    """The demo shop's id; installed as a merchant would, by opening the app, unless the app works there already."""
    with database().transaction() as session:
        shop_id = session.scalar(sa.select(Shop.id).where(Shop.domain == domain))
    if shop_id is not None and _works(shop_id):
        return shop_id
    answer = _ask_sandbox(f"{domain}/session-token")
    return operations.install(database(), answer["session_token"], _publish_once)


def _works(shop_id: int) -> bool:
    try:
        with Admin.of(database(), shop_id) as admin:
            admin.call("shop")
    except (NotAuthenticated, PermanentFailure):
        return False
    return True


def _publish_once(session: Session, shop_id: int) -> None:
    if not programs.load(session, [shop_id]).of(shop_id):
        programs.publish(session, shop_id, demo_program(PROGRAM_NAME), effective_from=SINCE_EVER, actor="demo")


def _api_token(session: Session, shop_id: int) -> str:
    """The demo's API token."""
    token = kept().get("api_token", "")
    if not keys.verify(session, token):
        token = keys.create(session, shop_id, "demo", actor="demo")
        _keep(api_token=token)
    return token


def _staff_pin(session: Session, shop_id: int) -> str:
    """Sam's PIN at the counter, with two locations to choose from."""
    pin = kept().get("staff_pin", "")
    with contextlib.suppress(WrongPin):
        return pin if staff.sign_in(session, shop_id, pin) else ""
    person = staff.invite(session, shop_id, "Sam Rivera", actor="demo")
    joined = staff.join(session, shop_id, person.id, person.generation)
    known = {place.name for place in counters.locations(session, shop_id)}
    for name in LOCATIONS:
        if name not in known:
            staff.add_location(session, shop_id, name, actor="demo")
    _keep(staff_pin=joined.pin)
    return joined.pin


def kept() -> dict[str, str]:
    """What the demo keeps beside the other secrets: the API token and the PIN, of which the database has hashes."""
    file = settings().rapport_state / "demo.json"
    return json.loads(file.read_text()) if file.exists() else {}


def _keep(**facts: str) -> None:
    file = settings().rapport_state / "demo.json"
    text = json.dumps(kept() | facts)
    file.touch(mode=0o600)
    file.write_text(text)


def _ask_sandbox(path: str, method: str = "POST", body: Mapping[str, Any] | None = None) -> Any:
    url = f"{settings().sandbox_url}/sandbox/{path}"
    return httpx.request(method, url, json=body, timeout=30, trust_env=False).raise_for_status().json()


def _ask_shop(path: str, body: Mapping[str, Any] | None) -> Any:
    return _ask_sandbox(f"{settings().demo_shop}/{path}", "GET" if body is None else "POST", body)


def _ask_world(path: str, body: Mapping[str, Any]) -> Any:
    url = path if path.startswith("http") else f"{settings().sandbox_url}/{path}"
    return httpx.post(url, json=body, timeout=30, trust_env=False).raise_for_status().json()


def _wait_until_worked_off(domain: str) -> None:
    """Wait until the past is here, or a while: whatever is missing then still comes, only later."""
    deadline = time.monotonic() + PATIENCE
    while _underway(domain):
        if time.monotonic() > deadline:
            click.echo("The demo shop's past is still arriving.", err=True)
            return
        time.sleep(0.2)


def _underway(domain: str) -> bool:
    waiting = _ask_sandbox(f"{domain}/deliveries?limit=1", "GET")["counts"].get("pending", 0)
    return bool(waiting or count_waiting(database()))


def _facts(domain: str, token: str, pin: str) -> dict[str, str | None]:
    """What `sandbox.json` holds: where everything is and the secrets to reach it, null for what isn't built yet."""
    config = settings()
    return {
        "base_url": config.app_url,
        "shop": domain,
        "shopify_api_secret": config.shopify_api_secret.get_secret_value(),
        "api_token": token,
        "apple_ca_pem": str(config.apple_push_ca) if config.apple_push_ca else None,
        "database_url": config.database_url,
        "redis_url": config.redis_url,
        "staff_login_url": f"{config.app_url}/staff/sign-in?shop={domain.removesuffix('.myshopify.com')}",
        "staff_pin": pin,
        "merchant_url": f"{config.sandbox_url}/{domain}/admin/apps/rapport",
        "portal_url": f"{config.sandbox_url}/{domain}/apps/rewards",
        "storefront_url": f"{config.sandbox_url}/{domain}/",
    }
