"""Metafields of a store: kept by owner, namespace and key, checked by their type as Shopify checks them."""

import json
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import msgspec

from sandbox.world import World

# What the reserved namespace `$app` becomes: Shopify puts the app's number in its place.
APP = "app--1048577"


class Metafield(msgspec.Struct):
    """`owner` is a global id. `namespace` is never the short `$app`."""

    id: int
    owner: str
    namespace: str
    key: str
    type: str
    value: str


def matching(pattern: str) -> Callable[[str], object]:
    def check(value: str) -> None:
        if not re.fullmatch(pattern, value):
            raise ValueError

    return check


# What must not fail on a value of each type. Source: https://shopify.dev/docs/apps/build/metafields/list-of-data-types
TYPES: dict[str, Callable[[str], Any]] = {
    "single_line_text_field": matching(r"[^\n]+"),
    "multi_line_text_field": matching(r"(?s).+"),
    "number_integer": matching(r"-?\d{1,16}"),
    "number_decimal": matching(r"-?\d{1,13}(\.\d{1,9})?"),
    "boolean": matching(r"true|false"),
    "json": json.loads,
    "date": date.fromisoformat,
    "date_time": datetime.fromisoformat,
    "list.single_line_text_field": json.loads,
}


def fits(kind: str, value: str) -> bool:
    try:
        TYPES[kind](value)
    except (ValueError, KeyError):
        return False
    return True


def whole(namespace: str | None) -> str:
    """`$app` and `$app:group` as Shopify stores them; nothing given means `$app`."""
    _, _, group = (namespace or "$app").partition(":")
    if not (namespace or "$app").startswith("$app"):
        return str(namespace)
    return f"{APP}--{group}" if group else APP


def find(world: World, domain: str, owner: str, namespace: str | None, key: str) -> Metafield | None:
    return world.store.get(domain, "metafield", place(owner, namespace, key), Metafield)


def place(owner: str, namespace: str | None, key: str) -> str:
    return f"{owner} {whole(namespace)}.{key}"


def save(world: World, domain: str, owner: str, entry: dict[str, Any]) -> Metafield:
    """Set one from a GraphQL input: `namespace`, `key`, `value` and, unless it exists, `type`."""
    namespace, key = entry.get("namespace"), entry["key"]
    old = find(world, domain, owner, namespace, key)
    number = old.id if old else 23_000_000_000 + world.store.count(domain, "metafields")
    kind = entry.get("type") or (old.type if old else "single_line_text_field")
    field = Metafield(number, owner, whole(namespace), key, kind, entry["value"])
    world.store.put(domain, "metafield", place(owner, namespace, key), field)
    return field


def remove(world: World, domain: str, owner: str, namespace: str | None, key: str) -> bool:
    return world.store.remove(domain, "metafield", place(owner, namespace, key))


def of(world: World, domain: str, owner: str, namespace: str | None = None) -> list[Metafield]:
    """Everything of one owner, or of one namespace of it."""
    found = world.store.all_of(domain, "metafield", f"{owner} ", Metafield)
    return [field for field in found if namespace is None or field.namespace == whole(namespace)]
