"""Discounts as the Admin API reads and writes them."""

from typing import Any

from sandbox import metafields, promotions
from sandbox.answers.area import Node
from sandbox.answers.customers import Customers
from sandbox.answers.discount_input import Wish
from sandbox.answers.segments import Segments
from sandbox.nodes import number, paged, terms, user_error
from sandbox.payloads import gid, utc
from sandbox.promotions import Promotion

CODE, AUTOMATIC = "DiscountCodeNode", "DiscountAutomaticNode"
AT_ONCE = 25


class Discounts(Customers, Segments):
    def root(self) -> Node:
        return super().root() | {
            "codeDiscountNode": self.code_discount,
            "codeDiscountNodeByCode": self.code_discount_by_code,
            "discountNode": self.discount_node,
            "discountNodes": self.discount_nodes,
            "discountCodeBasicCreate": self.basic_create,
            "discountCodeFreeShippingCreate": self.free_shipping_create,
            "discountCodeAppCreate": self.app_create,
            "discountCodeActivate": lambda id: self.code_until(id, None),
            "discountCodeDeactivate": lambda id: self.code_until(id, int(self.world.clock())),
            "discountCodeDelete": self.code_delete,
            "discountAutomaticFreeShippingCreate": self.automatic_create,
            "discountAutomaticFreeShippingUpdate": self.automatic_update,
            "discountAutomaticActivate": lambda id: self.automatic_until(id, None),
            "discountAutomaticDeactivate": lambda id: self.automatic_until(id, int(self.world.clock())),
            "discountAutomaticDelete": self.automatic_delete,
        }

    # Reading

    def promotion(self, global_id: str, *kinds: str) -> Promotion | None:
        wanted = next((key for kind in kinds if (key := number(global_id, kind))), None)
        found = promotions.by_id(self.world, self.domain, wanted)
        return found if found and (CODE if found.code else AUTOMATIC) in kinds else None

    def code_discount(self, id: str) -> Node | None:
        found = self.promotion(id, CODE)
        return self.code_node(found) if found else None

    def automatic_discount(self, id: str) -> Node | None:
        found = self.promotion(id, AUTOMATIC)
        return self.automatic_node(found) if found else None

    def code_discount_by_code(self, code: str) -> Node | None:
        found = promotions.by_code(self.world, self.domain, code)
        return self.code_node(found) if found else None

    def discount_node(self, id: str) -> Node | None:
        """By its own kind of id or by the general one."""
        found = self.promotion(id, "DiscountNode", CODE, AUTOMATIC)
        return self.general_node(found) if found else None

    def discount_nodes(self, first: int = 50, after: str | None = None, query: str | None = None) -> Node:
        """Searched by `title:`, `code:`, `method:` (automatic or code), `status:`, `tag:`, `id:` or a title's word."""
        wanted, now = terms(query, ("title", "code", "method", "status", "tag", "id")), self.world.clock()
        every = promotions.every(self.world, self.domain)
        found = [one for one in every if all(value in facts(one, now)[field] for field, value in wanted if field)]
        worded = [one for one in found if all(field or value in one.title.lower() for field, value in wanted)]
        return paged([self.general_node(one) for one in worded], first, after)

    def code_node(self, promotion: Promotion) -> Node:
        owner = promotion.node_id()
        body = self.body(promotion)
        return {"__typename": CODE, "id": owner, "codeDiscount": body, **self.metafields_of(owner)}

    def automatic_node(self, promotion: Promotion) -> Node:
        owner = promotion.node_id()
        body = self.body(promotion)
        return {"__typename": AUTOMATIC, "id": owner, "automaticDiscount": body, **self.metafields_of(owner)}

    def general_node(self, promotion: Promotion) -> Node:
        fields = self.metafields_of(promotion.node_id())
        number = gid("DiscountNode", promotion.id)
        return {"__typename": "DiscountNode", "id": number, "discount": self.body(promotion), **fields}

    def body(self, promotion: Promotion) -> Node:
        common = {
            "__typename": promotion.kind,
            "title": promotion.title,
            "status": promotion.status(self.world.clock()),
            "startsAt": utc(promotion.starts_at),
            "endsAt": utc(promotion.ends_at) if promotion.ends_at is not None else None,
            "createdAt": utc(promotion.created_at),
            "discountClasses": promotion.classes,
            "tags": promotion.tags,
            "asyncUsageCount": promotion.uses,
            "context": lambda: self.context(promotion),
            "combinesWith": {
                "orderDiscounts": "ORDER" in promotion.combines_with,
                "productDiscounts": "PRODUCT" in promotion.combines_with,
                "shippingDiscounts": "SHIPPING" in promotion.combines_with,
            },
        }
        return common | coded(promotion) if promotion.code else common

    def context(self, promotion: Promotion) -> Node:
        if promotion.customers:
            people = [self.customer(gid("Customer", one)) for one in promotion.customers]
            return {"__typename": "DiscountCustomers", "customers": [person for person in people if person]}
        if promotion.segments:
            groups = [self.segment(gid("Segment", one)) for one in promotion.segments]
            return {"__typename": "DiscountCustomerSegments", "segments": [group for group in groups if group]}
        return {"__typename": "DiscountBuyerSelectionAll", "all": "ALL"}

    # Writing

    def basic_create(self, basic_code_discount: dict[str, Any]) -> Node:
        wish = Wish(self.world, self.domain, "basicCodeDiscount", "DiscountCodeBasic", basic_code_discount)
        return self.coded_create(wish)

    def free_shipping_create(self, free_shipping_code_discount: dict[str, Any]) -> Node:
        wish = Wish(
            self.world, self.domain, "freeShippingCodeDiscount", "DiscountCodeFreeShipping", free_shipping_code_discount
        )
        return self.coded_create(wish)

    def coded_create(self, wish: Wish) -> Node:
        made, errors = self.create(wish)
        return {"codeDiscountNode": self.code_node(made) if made else None, "userErrors": errors}

    def app_create(self, code_app_discount: dict[str, Any]) -> Node:
        made, errors = self.create(
            Wish(self.world, self.domain, "codeAppDiscount", "DiscountCodeApp", code_app_discount)
        )
        if made is None:
            return {"codeAppDiscount": None, "userErrors": errors}
        return {"codeAppDiscount": self.body(made) | {"discountId": made.node_id()}, "userErrors": []}

    def create(self, wish: Wish) -> tuple[Promotion | None, list[Node]]:
        """Codes are unique without regard to case, as in Shopify: a second one is TAKEN."""
        with self.world.store.transaction():
            if errors := wish.faults():
                return None, errors
            made = wish.promotion(1_420_000_000_000 + self.world.store.count(self.domain, "discounts"))
            promotions.save(self.world, self.domain, made)
            for entry in wish.given.get("metafields") or []:
                metafields.save(self.world, self.domain, made.node_id(), entry)
        return made, []

    def automatic_create(self, free_shipping_automatic_discount: dict[str, Any]) -> Node:
        wish = self.automatic_wish(free_shipping_automatic_discount)
        every, now = promotions.every(self.world, self.domain), self.world.clock()
        if sum(one.code is None and one.status(now) == "ACTIVE" for one in every) >= AT_ONCE:
            text = f"Only {AT_ONCE} automatic discounts can be active at a time."
            return {"automaticDiscountNode": None, "userErrors": [user_error([], text, "ACTIVE_PERIOD_OVERLAP")]}
        made, errors = self.create(wish)
        return {"automaticDiscountNode": self.automatic_node(made) if made else None, "userErrors": errors}

    def automatic_wish(self, given: dict[str, Any], old: Promotion | None = None) -> Wish:
        name = "freeShippingAutomaticDiscount"
        return Wish(self.world, self.domain, name, "DiscountAutomaticFreeShipping", given, old)

    def automatic_update(self, id: str, free_shipping_automatic_discount: dict[str, Any]) -> Node:
        """What is not given stays as it is."""
        with self.world.store.transaction():
            old = self.promotion(id, AUTOMATIC)
            if old is None:
                return absent("automaticDiscountNode", "Discount does not exist")
            wish = self.automatic_wish(free_shipping_automatic_discount, old)
            if errors := wish.faults():
                return {"automaticDiscountNode": None, "userErrors": errors}
            changed = wish.promotion(old.id)
            promotions.save(self.world, self.domain, changed)
        return {"automaticDiscountNode": self.automatic_node(changed), "userErrors": []}

    def until(self, promotion: Promotion, ends_at: int | None) -> Promotion:
        promotion.ends_at = ends_at
        promotions.save(self.world, self.domain, promotion)
        return promotion

    def code_until(self, id: str, ends_at: int | None) -> Node:
        """Shopify deactivates a discount by ending it now, and activates it by giving it no end."""
        found = self.promotion(id, CODE)
        if found is None:
            return absent("codeDiscountNode", "Code discount does not exist.")
        return {"codeDiscountNode": self.code_node(self.until(found, ends_at)), "userErrors": []}

    def automatic_until(self, id: str, ends_at: int | None) -> Node:
        found = self.promotion(id, AUTOMATIC)
        if found is None:
            return absent("automaticDiscountNode", "Automatic discount does not exist.")
        return {"automaticDiscountNode": self.automatic_node(self.until(found, ends_at)), "userErrors": []}

    def code_delete(self, id: str) -> Node:
        found = self.promotion(id, CODE)
        if found is None:
            return absent("deletedCodeDiscountId", "Code discount does not exist.")
        promotions.remove(self.world, self.domain, found)
        return {"deletedCodeDiscountId": id, "userErrors": []}

    def automatic_delete(self, id: str) -> Node:
        found = self.promotion(id, AUTOMATIC)
        if found is None:
            return absent("deletedAutomaticDiscountId", "Automatic discount does not exist.")
        promotions.remove(self.world, self.domain, found)
        return {"deletedAutomaticDiscountId": id, "userErrors": []}


def absent(result: str, text: str) -> Node:
    return {result: None, "userErrors": [user_error(["id"], text, "INVALID")]}


def facts(promotion: Promotion, now: float) -> dict[str, list[str]]:
    """What a search by each field compares with."""
    return {
        "title": [promotion.title.lower()],
        "code": [(promotion.code or "").lower()],
        "method": ["code" if promotion.code else "automatic"],
        "status": [promotion.status(now).lower()],
        "tag": [tag.lower() for tag in promotion.tags],
        "id": [str(promotion.id)],
    }


def coded(promotion: Promotion) -> Node:
    code = {"id": gid("DiscountRedeemCode", promotion.id), "code": promotion.code, "asyncUsageCount": promotion.uses}
    return {
        "usageLimit": promotion.usage_limit,
        "appliesOncePerCustomer": promotion.once_per_customer,
        "codes": lambda first=1, after=None: paged([code], first, after),
    }
