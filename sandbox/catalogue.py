"""The two shops of the sandbox and what they sell."""

from typing import NamedTuple

from msgspec import Struct

from sandbox.orders import Item, Shop


class Collection(NamedTuple):
    id: int
    handle: str
    title: str


class Product(Struct):
    """What a shop says about a product besides its variants. `collections` are handles, `updated_at` epoch seconds."""

    id: int
    title: str
    vendor: str
    product_type: str
    tags: list[str]
    collections: list[str]
    updated_at: int = 1_767_225_600
    created_at: int = 1_767_225_600


DEMO = Shop(
    domain="rapport-demo.myshopify.com",
    id=64_512_309_771,
    name="North Pier Coffee",
    email="hello@northpier.example",
    currency="USD",
    timezone="America/New_York",
    country_code="US",
    country="United States",
    city="Portland",
    tax_basis_points=550,
    shipping=600,
)

SECOND = Shop(
    domain="second-demo.myshopify.com",
    id=71_220_418_003,
    name="Kawabe Coffee",
    email="hello@kawabe.example",
    currency="JPY",
    timezone="Asia/Tokyo",
    country_code="JP",
    country="Japan",
    city="Kyoto",
    tax_basis_points=800,
    taxes_included=True,
    shipping=550,
)


def variant(number: int, product: int, title: str, variant_title: str | None, price: int, grams: int = 0) -> Item:
    sku = f"NPC-{product:02d}{number:02d}"
    return Item(
        8_120_000_000_000 + product, 44_310_000_000_000 + number, title, variant_title, sku, NORTH_PIER, price, grams
    )


NORTH_PIER = "North Pier Coffee"

PRODUCTS = (
    variant(1, 1, "Breakwater Espresso", "250 g", 1650, 250),
    variant(2, 1, "Breakwater Espresso", "1 kg", 5400, 1000),
    variant(3, 2, "Lighthouse Blend", "250 g", 1500, 250),
    variant(4, 2, "Lighthouse Blend", "1 kg", 4900, 1000),
    variant(5, 3, "Ethiopia Guji, washed", "250 g", 2150, 250),
    variant(6, 4, "Colombia Huila Decaf", "250 g", 1825, 250),
    variant(7, 5, "Pour-over Dripper", None, 2800, 400)._replace(vendor="Sable Ceramics"),
    variant(8, 6, "Paper Filters, 100", None, 799, 180)._replace(vendor="Sable Ceramics"),
    variant(9, 7, "Pier Mug", "Sea green", 1999, 380)._replace(vendor="Sable Ceramics"),
    variant(10, 8, "Hand Grinder", None, 13_900, 700)._replace(vendor="Kessel"),
    variant(11, 9, "North Pier Gift Card", "$25", 2500)._replace(gift_card=True, sku=None),
)

SECOND_PRODUCTS = (
    Item(8_990_000_000_001, 45_990_000_000_001, "Kawabe House", "200 g", "KWB-01", "Kawabe Coffee", 1480, 200),
    Item(8_990_000_000_002, 45_990_000_000_002, "Kyoto Dark", "200 g", "KWB-02", "Kawabe Coffee", 1620, 200),
    Item(8_990_000_000_003, 45_990_000_000_003, "Cold Brew Bags", "5", "KWB-03", "Kawabe Coffee", 980, 150),
)

COLLECTIONS = (
    Collection(301_000_000_001, "coffee", "Coffee"),
    Collection(301_000_000_002, "espresso", "For espresso"),
    Collection(301_000_000_003, "brew-gear", "Brew gear"),
    Collection(301_000_000_004, "new-arrivals", "New arrivals"),
)

# Type, tags and collections of each product, by title.
FACTS: dict[str, tuple[str, list[str], list[str]]] = {
    "Breakwater Espresso": ("Coffee", ["blend", "dark"], ["coffee", "espresso"]),
    "Lighthouse Blend": ("Coffee", ["blend", "medium"], ["coffee"]),
    "Ethiopia Guji, washed": ("Coffee", ["light", "single-origin"], ["coffee", "new-arrivals"]),
    "Colombia Huila Decaf": ("Coffee", ["decaf", "single-origin"], ["coffee"]),
    "Pour-over Dripper": ("Equipment", ["ceramic"], ["brew-gear"]),
    "Paper Filters, 100": ("Equipment", ["refill"], ["brew-gear"]),
    "Pier Mug": ("Homeware", ["ceramic", "gift"], ["brew-gear", "new-arrivals"]),
    "Hand Grinder": ("Equipment", ["gift"], ["brew-gear"]),
    "North Pier Gift Card": ("Gift Card", ["gift"], []),
    "Kawabe House": ("Coffee", ["blend"], ["coffee"]),
    "Kyoto Dark": ("Coffee", ["dark"], ["coffee", "espresso"]),
    "Cold Brew Bags": ("Coffee", ["cold-brew"], ["coffee", "new-arrivals"]),
}


def product(item: Item) -> Product:
    """The product of a variant, as the shop opened with it. KeyError for something that is not in the catalogue."""
    kind, tags, collections = FACTS[item.title]
    return Product(item.product_id or 0, item.title, item.vendor or "", kind, list(tags), list(collections))


# One line each under a product's name, by title.
NOTES = {
    "Breakwater Espresso": "Dark chocolate, walnut",
    "Lighthouse Blend": "Caramel, red apple",
    "Ethiopia Guji, washed": "Jasmine, apricot",
    "Colombia Huila Decaf": "Cocoa, brown sugar",
    "North Pier Gift Card": "By e-mail, never expires",
    "Kawabe House": "Hazelnut, plum",
    "Kyoto Dark": "Molasses, cedar",
    "Cold Brew Bags": "Steep overnight",
}
