"""Klaviyo: signals as events of a profile, and how the member stands as properties of it.

A profile is made or found by the customer's id and address; nobody is subscribed to anything by it.
Source: https://developers.klaviyo.com/en/reference/api_overview
"""

import functools
from datetime import timedelta
from typing import Any

import httpx

from core import clock
from core.config import settings
from core.db import Database
from core.effects import NotYet, PermanentFailure
from core.errors import Unavailable
from loyalty import programs
from loyalty.models import Member
from loyalty.queries import tier_names
from loyalty.telling import operations, rules
from loyalty.telling.rules import Event, Signal, Standing
from shops import connections

REVISION = "2025-07-15"
TIMEOUT = httpx.Timeout(10, connect=3)
# Seconds to wait when Klaviyo says that it was asked too often, and does not say for how long.
PAUSE = 30


class Klaviyo:
    """One shop's account, by its private key."""

    def __init__(self, key: str) -> None:
        headers = {
            "Authorization": f"Klaviyo-API-Key {key}",
            "revision": REVISION,
            "Accept": "application/vnd.api+json",
        }
        self._client = httpx.Client(base_url=settings().klaviyo_url, headers=headers, timeout=TIMEOUT)

    def __enter__(self) -> "Klaviyo":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def event(self, body: dict[str, Any]) -> None:
        """Have an event counted."""
        self._post("/api/events", body)

    def profile(self, attributes: dict[str, Any]) -> None:
        """Make a profile, or bring it up to date."""
        self._post("/api/profile-import", {"data": {"type": "profile", "attributes": attributes}})

    def _post(self, path: str, body: dict[str, Any]) -> None:
        """Raises PermanentFailure (refused), NotYet (asked too often), Unavailable (no answer)."""
        try:
            answer = self._client.post(path, json=body)
        except httpx.HTTPError:
            raise Unavailable("Klaviyo does not answer; it is told again later") from None
        if answer.status_code == 429:
            wait = answer.headers.get("Retry-After", "")
            raise NotYet(clock.now() + timedelta(seconds=min(3600, int(wait)) if wait.isdigit() else PAUSE))
        if answer.status_code >= 500:
            raise Unavailable(f"Klaviyo answered {answer.status_code}; it is told again later")
        if answer.status_code not in (200, 201, 202):
            raise PermanentFailure(f"Klaviyo refused ({answer.status_code}): {_why(answer)}")


def _why(answer: httpx.Response) -> str:
    try:
        errors = answer.json()["errors"]
        return "; ".join(str(error.get("detail") or error.get("title")) for error in errors)[:300]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "no reason given"


def tell_klaviyo(database: Database, shop_id: int, member_id: str) -> None:
    """An effect: tell Klaviyo what it has not heard of a member, and how they stand now."""
    with database.transaction(shop_id) as session:
        connection = connections.connection(session, shop_id, connections.KLAVIYO)
        member = session.get(Member, (shop_id, int(member_id)))
        names = tier_names(programs.load(session, [shop_id]).in_force(shop_id, clock.now()).program)
    if connection is None or connection.secret is None or member is None:
        return
    with Klaviyo(connection.secret) as klaviyo:
        operations.tell(database, shop_id, int(member_id), connection, functools.partial(_send, klaviyo))
        if standing := operations.standing_of(member, names.get):
            klaviyo.profile(rules.klaviyo_profile(standing))


def _send(klaviyo: Klaviyo, event: Event, signal: Signal, standing: Standing) -> None:
    klaviyo.event(rules.klaviyo_event(event, signal, standing))
