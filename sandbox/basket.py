"""The storefront's cart, in a cookie, and Shopify's AJAX API over it as far as themes use it.

Source: https://shopify.dev/docs/api/ajax/reference/cart
"""

import json
from typing import TYPE_CHECKING, Any

from flask import Response, g, jsonify, redirect, render_template, request, send_from_directory, url_for

from sandbox import theme
from sandbox.orders import Customer, Item
from sandbox.storefront import NOTED, products, remember, signed_in, storefront, world

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

COOKIE = "cart"
# What the merchant has chosen for the blocks: the shop's own colour.
ACCENT = "#0f5c5a"
MOST = 9
Lines = list[tuple[Item, int]]


def lines() -> Lines:
    """What is in the cart; what the shop no longer sells is not."""
    try:
        kept = json.loads(request.cookies.get(COOKIE, "") or "{}")
        wanted = {int(variant): int(quantity) for variant, quantity in kept.items()}
    except (ValueError, AttributeError, TypeError):
        wanted = {}
    sold = {item.variant_id: item for item in world().products(g.shop.domain)}
    return [(sold[variant], min(MOST, n)) for variant, n in wanted.items() if variant in sold and n > 0]


def subtotal(held: Lines) -> int:
    """In minor units of the shop's currency."""
    return sum(item.price * quantity for item, quantity in held)


def cents(minor: int) -> int:
    """As Liquid and the AJAX API tell prices: in hundredths, whatever the currency."""
    return minor if g.shop.currency != "JPY" else minor * 100


def keep(answer: Response, held: Lines) -> Response:
    remember(answer, COOKIE, json.dumps({str(item.variant_id): quantity for item, quantity in held}))
    return answer


def changed(variant: int, quantity: int, *, more: bool) -> Lines:
    """The cart with so many of a variant, or so many `more`."""
    item = world().item(g.shop.domain, variant)
    held = {one.variant_id: (one, n) for one, n in lines()}
    known = held[variant][1] if more and variant in held else 0
    held[item.variant_id] = (item, max(0, min(MOST, known + quantity)))
    return [(one, n) for one, n in held.values() if n]


def told(held: Lines) -> dict[str, Any]:
    """The cart as JSON."""
    return {
        "currency": g.shop.currency,
        "item_count": sum(quantity for _, quantity in held),
        "items_subtotal_price": cents(subtotal(held)),
        "total_price": cents(subtotal(held)),
        "attributes": {NOTED: request.cookies[NOTED]} if NOTED in request.cookies else {},
        "items": [
            {"id": item.variant_id, "quantity": quantity, "price": cents(item.price), "title": item.title}
            for item, quantity in held
        ],
    }


# Shopify's AJAX API.


@storefront.get("/cart.js")
def cart_json() -> Response:
    return jsonify(told(lines()))


@storefront.post("/cart/add")
def add() -> "ResponseReturnValue":
    held = changed(request.form.get("id", 0, int), request.form.get("quantity", 1, int), more=True)
    return keep(redirect(url_for(".cart"), 303), held)  # type: ignore[arg-type]


@storefront.post("/cart/change.js")
def change_line() -> Response:
    asked = request.get_json()
    held = changed(int(asked["id"]), int(asked["quantity"]), more=False)
    return keep(jsonify(told(held)), held)


@storefront.post("/cart/update.js")
def update() -> Response:
    """As far as `attributes` go: who brought the shopper."""
    brought = (request.get_json().get("attributes") or {}).get(NOTED)
    answer = jsonify(told(lines()))
    if brought:
        remember(answer, NOTED, str(brought))
    return answer


# Pages of the theme.


@storefront.get("/cart")
def cart() -> str:
    held = lines()
    asked = [part for item, n in held for part in (("variant", item.variant_id), ("quantity", n))]
    return render_template("storefront/cart.html", lines=held, subtotal=subtotal(held), asked=asked, rapport=rapport())


@storefront.get("/products/<int:product_id>")
def product(product_id: int) -> str:
    known = world().product(g.shop.domain, product_id)
    shelf = [variants for _, variants in products()]
    place, variants = next((at, one) for at, one in enumerate(shelf) if one[0].product_id == product_id)
    shown = {
        "id": product_id,
        "tags": known.tags,
        "variants": [{"id": one.variant_id, "price": cents(one.price)} for one in variants],
        "selected_or_first_available_variant": {"price": cents(variants[0].price)},
    }
    return render_template(
        "storefront/product.html", item=variants[0], variants=variants, place=place, rapport=rapport(product=shown)
    )


@storefront.get("/pages/rewards")
def rewards() -> str:
    return render_template("storefront/rewards.html", rapport=rapport())


@storefront.get("/cdn/rapport/<path:name>")
def asset(name: str) -> Response:
    return send_from_directory(theme.ASSETS, name)


# The blocks.


def rapport(**objects: Any) -> Any:
    """What renders a block in a template: `rapport('launcher')`."""

    def block(name: str, **settings: Any) -> Any:
        given = {"page": portal(), "accent": ACCENT, **objects, **settings}
        return theme.render(name, given, language(), **liquid(), **objects)

    return block


def language() -> str:
    """What the blocks speak: the browser's language, as a shop that has published it would."""
    return request.accept_languages.best_match(theme.LANGUAGES) or theme.ENGLISH


def liquid() -> dict[str, Any]:
    """Liquid's objects of every page."""
    who: Customer | None = signed_in()
    return {
        "customer": {"id": who.id, "tags": who.tags} if who else None,
        "cart": {"items_subtotal_price": cents(subtotal(lines()))},
        "routes": {"account_login_url": url_for(".sign_in"), "root_url": url_for(".home")},
    }


@storefront.context_processor
def on_every_page() -> dict[str, Any]:
    """The blocks every page has: the launcher and the greeting for friends."""
    return {"embeds": lambda: rapport()("launcher") + rapport()("friend"), "portal": portal(), "language": language()}


def portal() -> str:
    """Where the shop's app proxy leads to the app."""
    return f"/{g.shop.domain}/apps/rewards"
