"""A small shop one can buy from: sign in or be a guest, use codes and credit, order, refund, edit, cancel, pay."""

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from babel.dates import format_datetime
from flask import Blueprint, Response, current_app, g, redirect, render_template, request, url_for

from sandbox import app_proxy, balances
from sandbox import checkout as counter
from sandbox.catalogue import NOTES
from sandbox.checkout import Purchase
from sandbox.money import minor, shown
from sandbox.orders import (
    Customer,
    Item,
    Order,
    OrderError,
    refundable,
    remaining,
    remaining_tax,
)
from sandbox.payloads import current_totals, money_set, original_totals, outstanding, zone

if TYPE_CHECKING:
    from sandbox.world import World

storefront = Blueprint("storefront", __name__, url_prefix="/<domain>")
# What a theme keeps of the address a visit began at, and notes in the cart: who brought the shopper.
NOTED = "rapport_ref"
STATUS = {
    "paid": "Paid",
    "pending": "To be paid",
    "authorized": "Authorized",
    "partially_paid": "Partly paid",
    "partially_refunded": "Partly refunded",
    "refunded": "Refunded",
    "voided": "Voided",
}


def world() -> "World":
    found: World = current_app.extensions["sandbox"].world
    return found


@storefront.url_value_preprocessor
def open_shop(endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.shop = world().shop((values or {}).pop("domain"))


@storefront.url_defaults
def same_shop(endpoint: str, values: dict[str, Any]) -> None:
    values.setdefault("domain", g.shop.domain)


@storefront.context_processor
def shared() -> dict[str, Any]:
    return {
        "shop": g.shop,
        "customer": signed_in(),
        "guest_email": request.cookies.get("guest", ""),
        "applied": request.cookies.get("discount", ""),
        "price": lambda amount: shown(amount, g.shop.currency),
        "day": day,
        "status_words": STATUS,
    }


@storefront.errorhandler(OrderError)
def refused(error: OrderError) -> tuple[str, int]:
    return render_template("storefront/refused.html", why=str(error)), 422


def day(at: int) -> str:
    return format_datetime(at, "d MMM yyyy", tzinfo=zone(g.shop.timezone), locale="en")


def signed_in() -> Customer | None:
    number = request.cookies.get("customer", "")
    return world().store.get(g.shop.domain, "customer", number, Customer) if number.isdigit() else None


def my_orders() -> list[Order]:
    """The signed-in customer's or the guest's, newest first."""
    customer, guest = signed_in(), request.cookies.get("guest", "").lower()
    mine = [
        order
        for order in world().orders(g.shop.domain)
        if (customer and order.customer_id == customer.id)
        or (not customer and guest and order.customer_id is None and order.email.lower() == guest)
    ]
    return sorted(mine, key=lambda order: (order.created_at, order.number), reverse=True)


def products() -> list[tuple[Item, list[Item]]]:
    """Each product with its variants, in the order of the catalogue."""
    grouped: dict[int | None, list[Item]] = {}
    for item in world().products(g.shop.domain):
        grouped.setdefault(item.product_id, []).append(item)
    return [(variants[0], variants) for variants in grouped.values()]


@storefront.get("/")
def home() -> str:
    return render_template("storefront/home.html", products=products(), notes=NOTES)


@storefront.get("/discount/<code>")
def share(code: str) -> Any:
    """Shopify's shareable link: the code waits for the checkout, and the visit goes on to `redirect`, in this shop.

    Source: https://help.shopify.com/en/manual/discounts/managing-discount-codes
    """
    place = request.args.get("redirect", "/")
    answer = redirect(inside(place))
    remember(answer, "discount", code)
    if noted := parse_qs(urlsplit(place).query).get(NOTED):
        remember(answer, NOTED, noted[-1])
    return answer


def inside(place: str) -> str:
    """The path of a place of this shop; whatever else is asked for, its home."""
    return f"/{g.shop.domain}/{place.lstrip('/')}" if place.startswith("/") else url_for(".home")


@storefront.get("/sign-in")
def sign_in() -> str:
    people = sorted(world().customers(g.shop.domain), key=lambda person: person.first_name)
    return render_template("storefront/sign_in.html", people=people)


@storefront.post("/sign-in")
def be() -> Any:
    """Become a known customer (`customer`), a new one (`name`, `email`) or nobody, and go on to `return_to`."""
    number, email = request.form.get("customer", ""), request.form.get("email", "").strip()
    if email:
        first, _, last = request.form.get("name", "").strip().partition(" ")
        number = str(world().create_customer(g.shop.domain, first, last, email).id)
    answer = redirect(inside(request.form.get("return_to", "")), 303)
    remember(answer, "customer", number)
    return answer


def remember(answer: Any, name: str, value: str) -> None:
    answer.set_cookie(name, value, path=f"/{g.shop.domain}/", httponly=True, samesite="Lax")


@storefront.route(app_proxy.SUBPATH, methods=app_proxy.METHODS)
@storefront.route(f"{app_proxy.SUBPATH}/", methods=app_proxy.METHODS)
@storefront.route(f"{app_proxy.SUBPATH}/<path:rest>", methods=app_proxy.METHODS)
def proxied(rest: str = "") -> Any:
    if not world().install(g.shop.domain).installed:
        return render_template("storefront/refused.html", why="There is no such page."), 404
    return app_proxy.answer(signed_in())


@storefront.get("/checkout")
def checkout() -> Any:
    """What is asked for stands in the address: `variant` and `quantity` in pairs, `code`, `gift_card`, `credit`."""
    lines = asked_lines(request.args)
    if not lines:
        return redirect(url_for(".home"))
    return checkout_page(lines, request.args)


@storefront.post("/checkout")
def place() -> Any:
    lines, email = asked_lines(request.form), request.form.get("email", "").strip()
    if not lines:
        raise OrderError("Your basket is empty.")
    try:
        order = counter.buy(world(), g.shop.domain, wish(lines, request.form))
    except OrderError as error:
        return checkout_page(lines, request.form, str(error)), 422
    answer = redirect(url_for(".show_order", order_id=order.id, thanks=1), 303)
    answer.delete_cookie("discount", path=f"/{g.shop.domain}/")
    if email and not signed_in():
        remember(answer, "guest", email)
    return answer


def asked_lines(form: Any) -> list[tuple[Item, int]]:
    """The variants of a form, each once, with how many. What is given without a quantity is one."""
    variants, quantities = form.getlist("variant", type=int), form.getlist("quantity", type=int)
    wanted: dict[int, int] = {}
    for place, variant in enumerate(variants):
        wanted[variant] = wanted.get(variant, 0) + (quantities[place] if place < len(quantities) else 1)
    return [(world().item(g.shop.domain, variant), min(9, n)) for variant, n in wanted.items() if n > 0]


def wish(lines: list[tuple[Item, int]], form: Any) -> Purchase:
    customer = signed_in()
    return Purchase(
        lines,
        customer,
        "" if customer else form.get("email", "").strip(),
        codes=form.get("code", request.cookies.get("discount", "")).replace(",", " ").split(),
        gift_cards=[code] if (code := form.get("gift_card", "").strip()) else [],
        store_credit="credit" in form,
        status="paid" if form.get("pay", "now") == "now" else "pending",
        attributes={NOTED: brought} if (brought := request.cookies.get(NOTED, "")) else None,
    )


def checkout_page(lines: list[tuple[Item, int]], form: Any, why: str = "") -> str:
    """The sums as they would be. A code that can't be used is said, and the sums are those without it."""
    purchase, customer = wish(lines, form), signed_in()
    try:
        order = counter.preview(world(), g.shop.domain, purchase)
    except OrderError as error:
        why = why or str(error)
        order = counter.preview(world(), g.shop.domain, purchase._replace(codes=()))
    account = balances.account(world(), g.shop.domain, customer.id) if customer else None
    return render_template(
        "storefront/checkout.html",
        lines=lines,
        order=order,
        bill=bill(order),
        form=form,
        why=why,
        credit=account.balance if account else 0,
        products=products(),
    )


@storefront.get("/orders")
def orders() -> str:
    return render_template("storefront/orders.html", orders=[(order, bill(order)) for order in my_orders()])


@storefront.get("/orders/<int:order_id>")
def show_order(order_id: int) -> str:
    order = world().order(g.shop.domain, order_id)
    return render_template(
        "storefront/order.html", order=order, bill=bill(order), thanks="thanks" in request.args, products=products()
    )


def bill(order: Order) -> dict[str, Any]:
    """The sums a receipt shows, in minor units, as the order stands now."""
    shop = g.shop
    money = money_set(shop, order)
    totals = original_totals(shop, order, money) | current_totals(shop, order, money)
    left = {
        line.id: remaining(shop, line) + (remaining_tax(line) if shop.taxes_included else 0) for line in order.lines
    }
    return {
        "lines": left,
        "subtotal": minor(totals["current_subtotal_price"], shop.currency),
        "tax": minor(totals["current_total_tax"], shop.currency),
        "total": minor(totals["current_total_price"], shop.currency),
        "outstanding": outstanding(shop, order),
        "goods": sum(line.gross for line in order.lines if not line.tip),
        "discounts": [(discount.code, taken_off(order, index)) for index, discount in enumerate(order.discounts)],
        "shipping": 0 if order.cancelled_at else order.shipping - order.shipping_discount,
        "refunded": sum(refund.amount for refund in order.refunds),
        "refundable": refundable(order),
    }


def taken_off(order: Order, index: int) -> int:
    """What one of an order's discounts came to."""
    if order.discounts[index].target == "shipping_line":
        return order.shipping_discount
    return sum(share for line in order.lines for at, share in line.allocations if at == index)


@storefront.post("/orders/<int:order_id>/<any(pay, cancel, refund, remove, add, fulfil):change>")
def change(order_id: int, change: str) -> Any:
    domain, line = g.shop.domain, request.form.get("line", 0, int)
    if change == "pay":
        world().pay(domain, order_id)
    elif change == "cancel":
        world().cancel(domain, order_id)
    elif change == "fulfil":
        world().fulfil(domain, order_id)
    elif change == "refund":
        world().refund(domain, order_id, {line: 1})
    elif change == "remove":
        world().edit(domain, order_id, remove={line: 1})
    else:
        world().edit(domain, order_id, add=[(world().item(domain, request.form.get("variant", 0, int)), 1)])
    return redirect(url_for(".show_order", order_id=order_id), 303)


@storefront.after_request
def note(answer: Response) -> Response:
    if brought := request.args.get(NOTED):
        remember(answer, NOTED, brought)
    answer.headers["Cache-Control"] = "no-store"
    return answer
