"""Checkout: codes are checked, automatic discounts found, gift cards and store credit taken, the order is placed."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sandbox import balances, orders, promotions, rules
from sandbox.orders import Basket, Customer, Discount, Item, Order, OrderError, Payment
from sandbox.promotions import Cart, Counter
from sandbox.world import World


class Purchase(NamedTuple):
    """What a shopper asks for. `discounts` are applied unchecked, `codes` as a checkout does; the rest is as usual.

    `attributes` is what the storefront noted in the cart.
    """

    items: Sequence[tuple[Item, int]]
    customer: Customer | None = None
    email: str = ""
    codes: Sequence[str] = ()
    discounts: Sequence[Discount] = ()
    gift_cards: Sequence[str] = ()
    store_credit: bool = False
    status: str = "paid"
    source: str = "web"
    test: bool = False
    tip: int = 0
    presentment: tuple[str, int] | None = None
    attributes: Mapping[str, str] | None = None


def buy(world: World, domain: str, wish: Purchase, at: int | None = None) -> Order:
    """Place the order. Raises OrderError with a sentence for the shopper; then nothing has been used up."""
    at = world.now(at)
    with world.store.transaction():
        if kept := rules.objection(world, domain, wish.items, wish.customer):
            raise OrderError(kept)
        chosen = counter(world, domain, wish, at).chosen(wish.codes)
        for promotion, _ in chosen:
            promotions.use(world, domain, promotion)
        return world.place(
            domain,
            basket(wish, [discount for _, discount in chosen]),
            at,
            pay=lambda order: pay(world, domain, wish, order),
            **who(wish),
        )


def preview(world: World, domain: str, wish: Purchase) -> Order:
    """What the order would be, without placing it. Raises OrderError as `buy` does."""
    at = world.now(None)
    chosen = [discount for _, discount in counter(world, domain, wish, at).chosen(wish.codes)]
    return orders.place(world.shop(domain), 0, 0, basket(wish, chosen), at, **who(wish))[0]


def counter(world: World, domain: str, wish: Purchase, at: int) -> Counter:
    return Counter(world, domain, Cart(wish.items, wish.customer, wish.email, at))


def basket(wish: Purchase, chosen: Sequence[Discount]) -> Basket:
    return Basket(wish.items, [*wish.discounts, *chosen], wish.tip, wish.presentment)


def who(wish: Purchase) -> dict[str, Any]:
    return {name: getattr(wish, name) for name in ("customer", "email", "status", "test", "source", "attributes")}


def pay(world: World, domain: str, wish: Purchase, order: Order) -> None:
    """Gift cards first, then store credit; what is still due is charged to a card."""
    if (wish.gift_cards or wish.store_credit) and order.status != "paid":
        raise OrderError("Gift cards and store credit pay at once. Choose “Pay now” to use them.")
    due = order.received
    for code in wish.gift_cards:
        taken = balances.pay_by_gift_card(world, domain, code, due, order.id, order.created_at) if due else 0
        due -= keep(order, "gift_card", taken)
    if wish.store_credit and wish.customer:
        keep(order, "shopify_store_credit", balances.pay_by_store_credit(world, domain, wish.customer.id, due))


def keep(order: Order, gateway: str, amount: int) -> int:
    if amount:
        order.payments.append(Payment(gateway, amount))
    return amount
