"""A discount as a mutation asks for it: Shopify's reasons to refuse it, and what the shop then offers."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from sandbox import promotions
from sandbox.catalogue import COLLECTIONS
from sandbox.money import minor
from sandbox.nodes import Node, number, user_error
from sandbox.promotions import FUNCTIONS, Promotion
from sandbox.world import World

COMMON = {"title", "startsAt", "endsAt", "context", "minimumRequirement", "combinesWith", "tags"}
CODED = COMMON | {"code", "usageLimit", "appliesOncePerCustomer"}
SHIPPING = {"destination", "maximumShippingPrice"}
# What the sandbox store understands of each input; anything else that is given is refused by name.
KNOWN = {
    "DiscountCodeBasic": CODED | {"customerGets"},
    "DiscountCodeFreeShipping": CODED | SHIPPING,
    "DiscountCodeApp": (CODED - {"minimumRequirement"}) | {"functionHandle", "discountClasses", "metafields"},
    "DiscountAutomaticFreeShipping": COMMON | SHIPPING,
}
CLASSES = {"orderDiscounts": "ORDER", "productDiscounts": "PRODUCT", "shippingDiscounts": "SHIPPING"}
# Shopify's own defaults, which ask for nothing.
DEFAULTS = {"appliesOnOneTimePurchase": True, "appliesOnSubscription": True, "recurringCycleLimit": 1}
Fault = tuple[tuple[str, ...], str, str]


def epoch(moment: Any) -> int:
    return int(datetime.fromisoformat(str(moment)).timestamp())


class Wish:
    """One input. With `old` it is an update, and what is not given is taken from there."""

    def __init__(
        self, world: World, domain: str, argument: str, kind: str, given: dict[str, Any], old: Promotion | None = None
    ) -> None:
        self.world, self.domain, self.currency = world, domain, world.shop(domain).currency
        self.argument, self.kind, self.given, self.old = argument, kind, given, old
        self.automatic = kind.startswith("DiscountAutomatic")
        self.shipping = kind.endswith("FreeShipping")
        asked = {name for name, value in given.items() if value not in (None, False, DEFAULTS.get(name))}
        if strange := asked - KNOWN[kind]:
            raise ValueError(f"The sandbox store does not answer {kind} with {', '.join(sorted(strange))}.")

    # Refusals

    def faults(self) -> list[Node]:
        found = (*self.blank(), *self.times(), *self.buyers(), *self.goods(), *self.value(), *self.function())
        return [user_error([self.argument, *field], text, code) for field, code, text in (*found, *self.rest())]

    def blank(self) -> Iterator[Fault]:
        needed = ["title", "startsAt", *([] if self.automatic else ["code"])]
        needed += ["context"] if self.kind != "DiscountCodeApp" else []
        needed += ["customerGets"] if self.kind == "DiscountCodeBasic" else []
        for name in needed if self.old is None else ():
            if not self.given.get(name):
                words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
                yield (name,), "BLANK", f"{words.capitalize()} can't be blank"

    def times(self) -> Iterator[Fault]:
        starts, ends = self.given.get("startsAt"), self.given.get("endsAt")
        starts_at = epoch(starts) if starts else self.old.starts_at if self.old else None
        if ends and starts_at is not None and epoch(ends) <= starts_at:
            yield ("endsAt",), "END_DATE_BEFORE_START_DATE", "Ends at needs to be after starts at"
        if self.given.get("usageLimit") is not None and self.given["usageLimit"] < 1:
            yield ("usageLimit",), "GREATER_THAN", "Usage limit must be greater than 0"

    def buyers(self) -> Iterator[Fault]:
        context = {name: value for name, value in (self.given.get("context") or {}).items() if value}
        if "markets" in context:
            raise ValueError("The sandbox store has no markets.")
        if len(context) > 1:
            yield ("context",), "TOO_MANY_ARGUMENTS", "Only one of all, customers or customerSegments can be given"
        for name, kind, stored in (("customers", "Customer", "customer"), ("customerSegments", "Segment", "segment")):
            for global_id in (context.get(name) or {}).get("add") or []:
                if not self.world.store.exists(self.domain, stored, number(global_id, kind)):
                    yield ("context", name, "add"), "INVALID", f"{kind} {global_id} does not exist"

    def goods(self) -> Iterator[Fault]:
        items = {name: value for name, value in self.items().items() if value}
        if self.kind == "DiscountCodeBasic" and self.given.get("customerGets") and len(items) != 1:
            text = "Items must be exactly one of all, collections or products"
            yield ("customerGets", "items"), "CONFLICT", text
        known: dict[str, set[int | None]] = {
            "Product": {item.product_id for item in self.world.products(self.domain)},
            "ProductVariant": {item.variant_id for item in self.world.products(self.domain)},
            "Collection": {one.id for one in COLLECTIONS},
        }
        for kind, listed in self.named().items():
            for one in listed:
                if one not in known[kind]:
                    yield ("customerGets", "items"), "INVALID", f"{kind} {one} does not exist"

    def items(self) -> dict[str, Any]:
        return (self.given.get("customerGets") or {}).get("items") or {}

    def named(self) -> dict[str, list[int]]:
        """The numbers of the products, variants and collections it is for."""
        products, collections = self.items().get("products") or {}, self.items().get("collections") or {}
        lists = {
            "Product": products.get("productsToAdd"),
            "ProductVariant": products.get("productVariantsToAdd"),
            "Collection": collections.get("add"),
        }
        return {kind: [number(one, kind) or 0 for one in listed or []] for kind, listed in lists.items()}

    def value(self) -> Iterator[Fault]:
        given = {name: v for name, v in (self.gets().get("value") or {}).items() if v is not None}
        if self.kind != "DiscountCodeBasic" or not self.given.get("customerGets"):
            return
        if len(given) != 1:
            yield ("customerGets", "value"), "MISSING_ARGUMENT", "Value must be a percentage or an amount"
        elif "percentage" in given and not 0 < given["percentage"] <= 1:
            text = "Value must be between 0.0 and 1.0"
            yield ("customerGets", "value", "percentage"), "VALUE_OUTSIDE_RANGE", text
        elif "discountAmount" in given and Decimal(str(given["discountAmount"].get("amount") or 0)) <= 0:
            text = "Value must be greater than 0"
            yield ("customerGets", "value", "discountAmount", "amount"), "GREATER_THAN", text

    def gets(self) -> dict[str, Any]:
        return self.given.get("customerGets") or {}

    def function(self) -> Iterator[Fault]:
        if self.kind != "DiscountCodeApp":
            return
        handle, classes = self.given.get("functionHandle"), set(self.given.get("discountClasses") or ())
        if not handle:
            text = "Either function ID or function handle must be provided."
            yield ("functionHandle",), "MISSING_FUNCTION_IDENTIFIER", text
        elif handle not in FUNCTIONS:
            text = f"Function {handle} not found. Ensure that it is released in the current app."
            yield ("functionHandle",), "INVALID", text
        elif not classes or not classes <= set(FUNCTIONS[handle]):
            yield ("discountClasses",), "INVALID", "Discount classes must be among those of the function"

    def rest(self) -> Iterator[Fault]:
        """What the minimum, the combinations and the code get wrong."""
        minimum = {name: value for name, value in (self.given.get("minimumRequirement") or {}).items() if value}
        if len(minimum) > 1:
            text = "Specify a minimum subtotal or a quantity, but not both."
            yield ("minimumRequirement",), "MINIMUM_SUBTOTAL_AND_QUANTITY_RANGE_BOTH_PRESENT", text
        # Two free shippings can't both apply, so Shopify refuses a shipping discount that says so.
        if self.shipping and (self.given.get("combinesWith") or {}).get("shippingDiscounts"):
            text = "Shipping discounts can't be combined with other shipping discounts"
            yield ("combinesWith",), "INVALID_COMBINES_WITH_FOR_DISCOUNT_CLASS", text
        code = self.given.get("code")
        if code and len(code) > 255:
            yield ("code",), "TOO_LONG", "Code is too long (maximum is 255 characters)"
        if code and promotions.by_code(self.world, self.domain, code):
            yield ("code",), "TAKEN", "Code must be unique. Please try a different code."

    # What it comes to

    def promotion(self, key: int) -> Promotion:
        new = self.old or Promotion(key, self.kind, "", int(self.world.clock()), 0)
        return msgspec.structs.replace(new, **self.told(), **self.people(new))

    def told(self) -> dict[str, Any]:
        """The fields that are given, as the promotion keeps them."""
        given = self.given
        plain = {
            "title": "title",
            "code": "code",
            "usageLimit": "usage_limit",
            "appliesOncePerCustomer": "once_per_customer",
            "tags": "tags",
            "functionHandle": "function",
            "discountClasses": "classes",
        }
        found = {ours: given[theirs] for theirs, ours in plain.items() if given.get(theirs) is not None}
        for theirs, ours in (("startsAt", "starts_at"), ("endsAt", "ends_at")):
            if theirs in given:
                found[ours] = given[theirs] and epoch(given[theirs])
        if "combinesWith" in given:
            found["combines_with"] = [CLASSES[name] for name, yes in (given["combinesWith"] or {}).items() if yes]
        return found | self.least() | self.worth()

    def least(self) -> dict[str, Any]:
        if "minimumRequirement" not in self.given:
            return {}
        wanted = self.given["minimumRequirement"] or {}
        subtotal = (wanted.get("subtotal") or {}).get("greaterThanOrEqualToSubtotal")
        quantity = (wanted.get("quantity") or {}).get("greaterThanOrEqualToQuantity")
        return {
            "minimum_subtotal": self.minor(subtotal) if subtotal else None,
            "minimum_quantity": int(quantity) if quantity else None,
        }

    def minor(self, amount: Any) -> int:
        return minor(str(amount), self.currency)

    def worth(self) -> dict[str, Any]:
        if self.shipping:
            price = self.given.get("maximumShippingPrice")
            return {"gives": "shipping", "classes": ["SHIPPING"]} | (
                {"maximum_shipping": self.minor(price)} if price is not None else {}
            )
        if self.kind == "DiscountCodeApp":
            return {"gives": "function"}
        named, value = self.named(), self.gets()["value"]
        goods = {"products": named["Product"], "variants": named["ProductVariant"], "collections": named["Collection"]}
        classes = {"classes": ["PRODUCT" if any(named.values()) else "ORDER"]}
        if value.get("percentage") is not None:
            return goods | classes | {"gives": "percentage", "value": float(Decimal(str(value["percentage"])) * 100)}
        off = value["discountAmount"]
        if off.get("appliesOnEachItem"):
            raise ValueError("The sandbox store splits an amount off over the items; it has no amount off each item.")
        return goods | classes | {"gives": "fixed_amount", "value": self.minor(off["amount"])}

    def people(self, old: Promotion) -> dict[str, list[int]]:
        """Customers and segments are added to and removed from those it has; `all` opens it to everybody."""
        context = self.given.get("context") or {}
        if context.get("all"):
            return {"customers": [], "segments": []}
        return {
            "customers": changed(old.customers, context.get("customers"), "Customer"),
            "segments": changed(old.segments, context.get("customerSegments"), "Segment"),
        }


def changed(before: list[int], change: dict[str, Any] | None, kind: str) -> list[int]:
    added = {number(one, kind) or 0 for one in (change or {}).get("add") or []}
    removed = {number(one, kind) or 0 for one in (change or {}).get("remove") or []}
    return sorted(({*before} | added) - removed)
