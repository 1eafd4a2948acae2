"""Products and the collections they are in, as the Admin API shows them."""

from sandbox.answers.area import Area, Node
from sandbox.catalogue import COLLECTIONS, Product
from sandbox.nodes import number, paged
from sandbox.payloads import gid, utc
from sandbox.world import NotFound


class Products(Area):
    def root(self) -> Node:
        return super().root() | {"product": self.product}

    def product(self, id: str) -> Node | None:
        try:
            return product_node(self.world.product(self.domain, number(id, "Product") or 0))
        except NotFound:
            return None


def product_node(product: Product) -> Node:
    within = [one for one in COLLECTIONS if one.handle in product.collections]
    nodes = [{"id": gid("Collection", one.id), "handle": one.handle, "title": one.title} for one in within]
    return {
        "__typename": "Product",
        "id": gid("Product", product.id),
        "title": product.title,
        "vendor": product.vendor,
        "productType": product.product_type,
        "tags": sorted(product.tags),
        "status": "ACTIVE",
        "createdAt": utc(product.created_at),
        "updatedAt": utc(product.updated_at),
        "collections": lambda first=50, after=None: paged(nodes, first, after),
    }
