"""Metafields as the Admin API reads and writes them."""

from typing import Any

from sandbox import metafields
from sandbox.admin_api import digest
from sandbox.answers.area import Area, Node
from sandbox.metafields import Metafield
from sandbox.nodes import number, paged, user_error
from sandbox.payloads import gid

KINDS = ("Customer", "Order", "Product", "Shop", "DiscountCodeNode", "DiscountAutomaticNode")


def metafield_node(field: Metafield) -> Node:
    return {
        "__typename": "Metafield",
        "id": gid("Metafield", field.id),
        "namespace": field.namespace,
        "key": field.key,
        "type": field.type,
        "value": field.value,
        "compareDigest": digest(field.value),
    }


class Metafields(Area):
    def root(self) -> Node:
        return super().root() | {"metafieldsSet": self.metafields_set, "metafieldsDelete": self.metafields_delete}

    def metafields_of(self, owner: str) -> Node:
        """The two fields of whatever owns metafields."""

        def one(key: str, namespace: str = "$app") -> Node | None:
            found = metafields.find(self.world, self.domain, owner, namespace, key)
            return metafield_node(found) if found else None

        def several(first: int = 50, after: str | None = None, namespace: str | None = None) -> Node:
            found = metafields.of(self.world, self.domain, owner, namespace)
            return paged([metafield_node(field) for field in found], first, after)

        return {"metafield": one, "metafields": several}

    def metafields_set(self, metafields: list[dict[str, Any]]) -> Node:
        """Up to 25, all or nothing; a `compareDigest` that no longer fits refuses them all."""
        if len(metafields) > 25:
            text = "Exceeded the maximum metafields input limit of 25."
            return {"metafields": None, "userErrors": [user_error(["metafields"], text, "LESS_THAN_OR_EQUAL_TO")]}
        with self.world.store.transaction():
            refused = [error for index, entry in enumerate(metafields) for error in self.faults(index, entry)]
            stored = [] if refused else self.stored(metafields)
        return {"metafields": stored or None, "userErrors": refused}

    def stored(self, entries: list[dict[str, Any]]) -> list[Node]:
        return [metafield_node(metafields.save(self.world, self.domain, e["ownerId"], e)) for e in entries]

    def faults(self, index: int, entry: dict[str, Any]) -> list[Node]:
        """Shopify's reasons to refuse one entry, the first that fits."""
        old = metafields.find(self.world, self.domain, entry["ownerId"], entry.get("namespace"), entry["key"])
        kind = entry.get("type") or (old.type if old else None)
        checks = (
            (not self.owner_exists(entry["ownerId"]), "ownerId", "INVALID", "Owner does not exist."),
            (len(entry["key"]) < 2, "key", "TOO_SHORT", "Key is too short (minimum is 2 characters)"),
            (len(entry["key"]) > 64, "key", "TOO_LONG", "Key is too long (maximum is 64 characters)"),
            (kind is None, "type", "BLANK", "Type can't be blank"),
            (kind not in metafields.TYPES, "type", "INCLUSION", "Type must be one of the supported types."),
            (not entry["value"], "value", "BLANK", "Value can't be blank."),
            (old and old.type != kind, "type", "INVALID_TYPE", "Type can't be changed while the metafield exists."),
            (
                not metafields.fits(kind or "", entry["value"]),
                "value",
                "INVALID_VALUE",
                f"Value is not a valid {kind}.",
            ),
            (stale(entry, old), "", "STALE_OBJECT", "The resource has been updated since it was loaded."),
        )
        found = next(((field, code, text) for failed, field, code, text in checks if failed), None)
        if found is None:
            return []
        field, code, text = found
        return [user_error(["metafields", str(index), *([field] if field else [])], text, code, elementIndex=index)]

    def owner_exists(self, owner: str) -> bool:
        if customer_id := number(owner, "Customer"):
            return self.world.store.exists(self.domain, "customer", customer_id)
        return any(number(owner, kind) for kind in KINDS)

    def metafields_delete(self, metafields: list[dict[str, Any]]) -> Node:
        """What isn't there is answered with null, without an error."""
        return {"deletedMetafields": [self.deleted(entry) for entry in metafields], "userErrors": []}

    def deleted(self, entry: dict[str, Any]) -> Node | None:
        removed = metafields.remove(self.world, self.domain, entry["ownerId"], entry["namespace"], entry["key"])
        return {**entry, "namespace": metafields.whole(entry["namespace"])} if removed else None


def stale(entry: dict[str, Any], old: Metafield | None) -> bool:
    return "compareDigest" in entry and entry["compareDigest"] != (digest(old.value) if old else None)
