"""A small shop one can buy from: sign in as a customer or be a guest, place orders, refund, edit, cancel, pay."""

from typing import TYPE_CHECKING, Any

from babel.dates import format_datetime
from babel.numbers import format_currency
from flask import Blueprint, Response, current_app, g, redirect, render_template, request, url_for

from sandbox.catalogue import NOTES
from sandbox.money import exponent, minor
from sandbox.orders import (
    Basket,
    Customer,
    Discount,
    Item,
    Order,
    OrderError,
    Shop,
    refundable,
    remaining,
    remaining_tax,
)
from sandbox.payloads import current_totals, money_set, original_totals, outstanding, zone

if TYPE_CHECKING:
    from sandbox.world import World

storefront = Blueprint("storefront", __name__, url_prefix="/<domain>")
CODES = {
    "WELCOME10": Discount("WELCOME10", "percentage", 10),
    "FIVEOFF": Discount("FIVEOFF", "fixed_amount", 500),
    "SHIPFREE": Discount("SHIPFREE", "percentage", 100, target="shipping_line"),
}
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
        "price": lambda amount: price(g.shop, amount),
        "day": day,
        "status_words": STATUS,
    }


@storefront.errorhandler(OrderError)
def refused(error: OrderError) -> tuple[str, int]:
    return render_template("storefront/refused.html", why=str(error)), 422


def price(shop: Shop, amount: int) -> str:
    return format_currency(amount / 10 ** exponent(shop.currency), shop.currency, locale="en_US")


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


@storefront.get("/sign-in")
def sign_in() -> str:
    people = sorted(world().customers(g.shop.domain), key=lambda person: person.first_name)
    return render_template("storefront/sign_in.html", people=people)


@storefront.post("/sign-in")
def be() -> Any:
    """Become a known customer (`customer`), a new one (`name`, `email`) or nobody."""
    number, email = request.form.get("customer", ""), request.form.get("email", "").strip()
    if email:
        first, _, last = request.form.get("name", "").strip().partition(" ")
        number = str(world().create_customer(g.shop.domain, first, last, email).id)
    answer = redirect(url_for(".home"))
    remember(answer, "customer", number)
    return answer


def remember(answer: Any, name: str, value: str) -> None:
    answer.set_cookie(name, value, path=f"/{g.shop.domain}/", httponly=True, samesite="Lax")


@storefront.get("/checkout")
def checkout() -> str:
    item = world().item(g.shop.domain, request.args.get("variant", 0, int))
    quantity = max(1, min(9, request.args.get("quantity", 1, int)))
    return render_template("storefront/checkout.html", item=item, quantity=quantity)


@storefront.post("/checkout")
def place() -> Any:
    form, customer = request.form, signed_in()
    item = world().item(g.shop.domain, form.get("variant", 0, int))
    email = "" if customer else form.get("email", "").strip()
    basket = Basket([(item, max(1, min(9, form.get("quantity", 1, int))))], discounts(form.get("code", "")))
    status = "paid" if form.get("pay", "now") == "now" else "pending"
    order = world().place(g.shop.domain, basket, customer=customer, email=email, status=status)
    answer = redirect(url_for(".show_order", order_id=order.id, thanks=1), 303)
    if email:
        remember(answer, "guest", email)
    return answer


def discounts(code: str) -> list[Discount]:
    """Raises OrderError for a code the shop doesn't have."""
    code = code.strip().upper()
    if not code:
        return []
    if code not in CODES:
        raise OrderError(f"{code} isn't a code this shop knows. Try WELCOME10, FIVEOFF or SHIPFREE.")
    return [CODES[code]]


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
        "shipping": 0 if order.cancelled_at else order.shipping - order.shipping_discount,
        "refunded": sum(refund.amount for refund in order.refunds),
        "refundable": refundable(order),
    }


@storefront.post("/orders/<int:order_id>/<any(pay, cancel, refund, remove, add):change>")
def change(order_id: int, change: str) -> Any:
    domain, line = g.shop.domain, request.form.get("line", 0, int)
    if change == "pay":
        world().pay(domain, order_id)
    elif change == "cancel":
        world().cancel(domain, order_id)
    elif change == "refund":
        world().refund(domain, order_id, {line: 1})
    elif change == "remove":
        world().edit(domain, order_id, remove={line: 1})
    else:
        world().edit(domain, order_id, add=[(world().item(domain, request.form.get("variant", 0, int)), 1)])
    return redirect(url_for(".show_order", order_id=order_id), 303)


@storefront.after_request
def never_cached(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    return answer
