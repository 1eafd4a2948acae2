"""Klaviyo as far as Rapport tells it things: profiles and events under one private key, held to its documented shapes.

Source: https://developers.klaviyo.com/en/reference/api_overview
"""

import re
from collections import Counter
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request

klaviyo = Blueprint("klaviyo", __name__, url_prefix="/klaviyo")
_KEY = re.compile(r"Klaviyo-API-Key (pk_[A-Za-z0-9]{20,60})")
_REVISION = re.compile(r"20\d\d-\d\d-15")
_IDENTIFIERS = ("id", "email", "phone_number", "external_id", "anonymous_id", "_kx")
_EVENT = {"properties", "time", "value", "value_currency", "unique_id", "metric", "profile"}


class Account:
    """What one account knows. `refuse` answers the next calls with these statuses."""

    def __init__(self) -> None:
        self.profiles: dict[str, dict[str, Any]] = {}
        self.events: dict[str, dict[str, Any]] = {}
        self.revoked: set[str] = set()
        self.refuse: list[int] = []
        self.calls: Counter[str] = Counter()


class Refused(Exception):
    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


def account() -> Account:
    found: Account = current_app.extensions.setdefault("klaviyo", Account())
    return found


@klaviyo.errorhandler(Refused)
def refused(error: Refused) -> tuple[Response, int, dict[str, str]]:
    body = {"errors": [{"status": error.status, "code": error.code, "title": error.code, "detail": error.detail}]}
    return jsonify(body), error.status, {"Retry-After": "7"} if error.status == 429 else {}


@klaviyo.before_request
def check() -> None:
    if not request.path.startswith("/klaviyo/api/"):
        return
    key = _KEY.fullmatch(request.headers.get("Authorization", ""))
    if key is None or key[1] in account().revoked:
        raise Refused(401, "not_authenticated", "Authentication credentials were not provided or are incorrect.")
    if not _REVISION.fullmatch(request.headers.get("revision", "")):
        raise Refused(400, "invalid", "The revision header must be a valid API revision.")
    account().calls[request.path.rpartition("/")[2]] += 1
    if account().refuse:
        raise Refused(account().refuse.pop(0), "planned", "Something went wrong, as it was planned.")


@klaviyo.post("/api/events")
def create_event() -> tuple[str, int]:
    told = attributes("event")
    if unknown := set(told) - _EVENT:
        raise Refused(400, "invalid", f"'{sorted(unknown)[0]}' is not a valid field for the resource 'event'.")
    metric, profile = part(told, "metric"), part(told, "profile")
    if not metric.get("name") or not isinstance(told.get("properties"), dict):
        raise Refused(400, "invalid", "An event needs a metric's name and properties.")
    datetime.fromisoformat(told["time"])
    key = upsert(profile)
    account().events.setdefault(told["unique_id"], told | {"metric": metric["name"], "profile": key})
    return "", 202


@klaviyo.post("/api/profile-import")
def import_profile() -> tuple[Response, int]:
    key = upsert(attributes("profile"))
    return jsonify(data={"type": "profile", "id": key, "attributes": account().profiles[key]}), 200


@klaviyo.get("/sandbox")
def show() -> Response:
    """What the account knows, for people who look."""
    return jsonify(profiles=account().profiles, events=list(account().events.values()))


def attributes(kind: str) -> dict[str, Any]:
    body = request.get_json(silent=True)
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict) or data.get("type") != kind or not isinstance(data.get("attributes"), dict):
        raise Refused(400, "invalid", f"The payload must be a resource of type '{kind}'.")
    return dict(data["attributes"])


def part(told: dict[str, Any], name: str) -> dict[str, Any]:
    data = (told.get(name) or {}).get("data") or {}
    if data.get("type") != name:
        raise Refused(400, "invalid", f"'{name}' must be a resource of that type.")
    return dict(data["attributes"])


def upsert(profile: dict[str, Any]) -> str:
    """The profile by its customer id or address; properties are merged."""
    named = {name: str(profile[name]) for name in _IDENTIFIERS if profile.get(name)}
    if not named:
        raise Refused(400, "invalid", "One of email, phone_number, external_id or id is required.")
    known = account().profiles
    same = (key for key, one in known.items() if any(one.get(name) == value for name, value in named.items()))
    key = next(same, named.get("external_id") or named.get("email") or str(len(known)))
    before = known.get(key, {})
    known[key] = before | profile | {"properties": before.get("properties", {}) | profile.get("properties", {})}
    return key
