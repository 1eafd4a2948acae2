"""What happens to an order: quantities, money and statuses as Shopify reports them."""

import random

import pytest

from sandbox import orders, payloads
from sandbox.catalogue import DEMO, PRODUCTS, SECOND, SECOND_PRODUCTS
from sandbox.orders import Basket, Discount, OrderError

ESPRESSO, KILO, *_, GIFT_CARD = PRODUCTS
T0 = 1_780_000_000
TEN_PERCENT = Discount("TEN", "percentage", 10)


def place(*items, shop=DEMO, status="paid", **basket):
    return orders.place(shop, 10**13, 1001, Basket(items, **basket), T0, email="rosa@example.com", status=status)[0]


def body(order, shop=DEMO):
    return payloads.order_payload(shop, order, None)


def test_a_paid_order_emits_create_and_paid():
    _, topics = orders.place(DEMO, 10**13, 1001, Basket([(ESPRESSO, 1)]), T0)
    assert topics == ("orders/create", "orders/paid")


def test_money_adds_up():
    order = body(place((ESPRESSO, 2), (KILO, 1), discounts=[TEN_PERCENT], tip=300))
    # 2 × 16.50 + 54.00 = 87.00, less 10% = 78.30, 5.5% tax = 4.31 (1.63 + 2.67), 6.00 shipping, 3.00 tip.
    assert order["total_line_items_price"] == "87.00"
    assert order["subtotal_price"] == order["current_subtotal_price"] == "78.30"
    assert order["total_discounts"] == "8.70"
    assert order["total_tax"] == "4.30"
    assert order["total_tip_received"] == "3.00"
    assert order["total_price"] == order["current_total_price"] == "91.60"
    assert order["total_outstanding"] == "0.00"


def test_a_refund_of_one_unit_shrinks_current_quantity_and_keeps_quantity():
    order = place((ESPRESSO, 3), discounts=[TEN_PERCENT])
    line = order.lines[0]
    assert orders.refund(DEMO, order, {line.id: 1}, T0 + 60) == ("refunds/create", "orders/updated")
    shown = body(order)
    assert (shown["line_items"][0]["quantity"], shown["line_items"][0]["current_quantity"]) == (3, 2)
    assert shown["financial_status"] == "partially_refunded"
    assert shown["subtotal_price"] == "44.55"
    assert shown["current_subtotal_price"] == "29.70"
    refunded = shown["refunds"][0]["refund_line_items"][0]
    assert refunded["subtotal"] == 14.85
    assert refunded["subtotal_set"]["shop_money"] == {"amount": "14.85", "currency_code": "USD"}


def test_refunding_everything_in_steps_gives_back_exactly_what_the_line_cost():
    order = place((ESPRESSO._replace(price=333), 3), discounts=[Discount("ONE", "fixed_amount", 100)])
    line = order.lines[0]
    for step in range(3):
        orders.refund(DEMO, order, {line.id: 1}, T0 + step)
    assert sum(refund.lines[0].subtotal for refund in order.refunds) == 999 - 100
    assert order.status == "refunded"


def test_more_than_is_left_can_not_be_refunded():
    order = place((ESPRESSO, 1), (KILO, 1))
    with pytest.raises(OrderError, match="has 1 left, not 2"):
        orders.refund(DEMO, order, {order.lines[0].id: 1, order.lines[1].id: 2}, T0)
    assert all(line.refunded == 0 for line in order.lines)


def test_adding_a_line_to_a_paid_order_leaves_it_partially_paid_until_paid():
    order = place((ESPRESSO, 1))
    assert orders.edit(DEMO, order, T0 + 5, add=[(KILO, 1)]) == ("orders/edited", "orders/updated")
    assert body(order)["financial_status"] == "partially_paid"
    assert body(order)["total_outstanding"] == "56.97"
    orders.pay(DEMO, order, T0 + 9)
    assert body(order)["financial_status"] == "paid"


@pytest.mark.parametrize("as_refund", [False, True])
def test_removing_a_quantity(as_refund):
    order = place((ESPRESSO, 2))
    line = order.lines[0]
    topics = orders.edit(DEMO, order, T0 + 5, remove={line.id: 1}, as_refund=as_refund)
    shown = body(order)
    assert ("refunds/create" in topics) == as_refund == bool(shown["refunds"])
    assert (shown["line_items"][0]["quantity"], shown["line_items"][0]["current_quantity"]) == (2, 1)
    assert shown["current_subtotal_price"] == "16.50"
    assert shown["financial_status"] == "paid"
    assert payloads.body("orders/edited", DEMO, order, None)["order_edit"]["line_items"]["removals"] == [
        {"id": line.id, "delta": 1}
    ]


@pytest.mark.parametrize(("status", "after"), [("paid", "refunded"), ("pending", "voided"), ("authorized", "voided")])
def test_cancelling(status, after):
    order = place((ESPRESSO, 2), status=status)
    topics = orders.cancel(DEMO, order, T0 + 7)
    shown = body(order)
    assert topics == ("refunds/create", "orders/cancelled", "orders/updated")
    assert shown["financial_status"] == after
    assert (shown["current_subtotal_price"], shown["subtotal_price"]) == ("0.00", "33.00")
    assert shown["cancelled_at"] == shown["updated_at"] == "2026-05-28T16:26:47-04:00"
    with pytest.raises(OrderError, match="already cancelled"):
        orders.cancel(DEMO, order, T0 + 8)


def test_a_cancelled_half_paid_order_returns_only_what_was_received():
    order = place((ESPRESSO, 1))
    received = order.received
    orders.edit(DEMO, order, T0 + 1, add=[(KILO, 1)])
    orders.cancel(DEMO, order, T0 + 2)
    assert sum(refund.amount for refund in order.refunds) == received


def test_gift_cards_take_no_discount_tax_or_shipping():
    order = body(place((GIFT_CARD, 1), discounts=[TEN_PERCENT]))
    assert order["total_price"] == "25.00"
    assert order["line_items"][0]["gift_card"] is True
    assert order["shipping_lines"] == []


def test_yen_has_no_decimals_and_prices_include_tax():
    order = place((SECOND_PRODUCTS[0], 1), shop=SECOND)
    shown = body(order, SECOND)
    assert (shown["subtotal_price"], shown["total_tax"], shown["total_price"]) == ("1480", "110", "2030")
    orders.refund(SECOND, order, {order.lines[0].id: 1}, T0)
    refunded = body(order, SECOND)["refunds"][0]["refund_line_items"][0]
    assert (refunded["subtotal"], refunded["total_tax"]) == (1370, 110)


def test_a_foreign_buyer_sees_his_own_money():
    order = body(place((ESPRESSO, 1), presentment=("EUR", 9_137)))
    assert order["presentment_currency"] == "EUR"
    assert order["subtotal_price_set"] == {
        "shop_money": {"amount": "16.50", "currency_code": "USD"},
        "presentment_money": {"amount": "15.07", "currency_code": "EUR"},
    }


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_the_current_subtotal_is_what_is_left(seed):
    chance = random.Random(seed)
    order = place(
        *[(item, chance.randint(1, 4)) for item in chance.sample(PRODUCTS[:10], 3)],
        discounts=[Discount("X", "percentage", chance.randint(0, 40))],
    )
    for step in range(6):
        left = [line for line in order.lines if line.current]
        if not left:
            break
        line = chance.choice(left)
        if chance.random() < 0.5 and order.status in orders.PAID:
            orders.refund(DEMO, order, {line.id: chance.randint(1, line.current)}, T0 + step)
        else:
            orders.edit(DEMO, order, T0 + step, remove={line.id: 1}, as_refund=chance.random() < 0.5)
    shown = body(order)
    for line in order.lines:
        assert 0 <= orders.remaining(DEMO, line) <= line.net
        assert line.refunded_amount <= line.net
    assert shown["current_subtotal_price"] == payloads.decimal(
        sum(orders.remaining(DEMO, line) for line in order.lines), "USD"
    )
