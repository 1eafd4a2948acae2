"""Shopify Flow as far as an app sees it: it takes triggers that the app declared, and runs its actions.

Source: https://shopify.dev/docs/apps/build/flow
"""

import functools
import json
import tomllib
import uuid
from pathlib import Path
from typing import Any

from msgspec import Struct

from sandbox.signing import signature
from sandbox.world import World

DECLARED = Path(__file__).parents[1] / "extensions" / "flow" / "shopify.extension.toml"
MOST_BYTES = 50_000


class Started(Struct):
    """A trigger that was taken."""

    handle: str
    payload: dict[str, Any]
    at: int


@functools.cache
def declared(kind: str) -> dict[str, dict[str, Any]]:
    """The app's triggers (`flow_trigger`) or actions (`flow_action`) by handle."""
    known = tomllib.loads(DECLARED.read_text())["extensions"]
    return {one["handle"]: one for one in known if one["type"] == kind}


def fields(extension: dict[str, Any]) -> set[str]:
    """The names of an extension's fields as payloads carry them."""
    every = extension.get("settings", {}).get("fields", [])
    return {field.get("key") or field["type"].replace("_reference", "_id") for field in every}


def receive(world: World, domain: str, handle: str, payload: Any) -> list[str]:
    """Take a trigger; what is wrong with it, if anything."""
    trigger = declared("flow_trigger").get(handle)
    if trigger is None:
        return [f"Invalid handle: {handle}"]
    if not isinstance(payload, dict) or len(json.dumps(payload)) > MOST_BYTES:
        return ["Errors validating schema: properties must be an object of at most 50 KB."]
    if wrong := sorted(fields(trigger) ^ payload.keys()):
        return [f"Errors validating schema: {', '.join(wrong)}"]
    if not isinstance(payload["customer_id"], int):
        return ["Errors validating schema: customer_id must be a number."]
    key = str(uuid.uuid4())
    world.store.put(domain, "flow", key, Started(handle, payload, int(world.clock())), int(world.clock() * 1000))
    return []


def started(world: World, domain: str) -> list[Started]:
    """The triggers a shop's Flow has taken, oldest first."""
    return world.store.all(domain, "flow", Started)


def action(
    world: World, domain: str, handle: str, secret: str, properties: dict[str, Any], run: str | None = None
) -> tuple[str, bytes, dict[str, str]]:
    """A call of one of the app's actions as Flow sends it: its path, body and headers."""
    extension, shop = declared("flow_action")[handle], world.shop(domain)
    body = json.dumps(
        {
            "shop_id": shop.id,
            "shopify_domain": domain,
            "action_run_id": run or str(uuid.uuid4()),
            "action_definition_id": extension["handle"],
            "handle": extension["handle"],
            "properties": properties,
        }
    ).encode()
    headers = {
        "Content-Type": "application/json",
        "X-Shopify-Shop-Domain": domain,
        "X-Shopify-Hmac-SHA256": signature(secret, body),
    }
    return "/" + extension["runtime_url"].split("/", 3)[3], body, headers
