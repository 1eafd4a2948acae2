"""The independent calculation, against sums done by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from sandbox import oracle
from sandbox.catalogue import DEMO, SECOND
from sandbox.orders import Basket, Customer, Discount, Item, cancel, edit, pay, place, refund
from sandbox.payloads import order_payload
from sandbox.traffic import Mix, final_orders

T0 = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp())
DAY = 86_400
NOOR = Customer(7, "Noor", "Haddad", "Noor@example.com", T0, T0)
numbers = iter(range(10**6))


def thing(price, **more):
    return Item(1, 2, "Thing", None, "T", "V", price, **more)


def bought(price, day, quantity=1, shop=DEMO, customer=NOOR, status="paid", **basket):
    number = next(numbers)
    wish = Basket([(thing(price), quantity)], **basket)
    return place(shop, 10**12 + number, 1001 + number, wish, T0 + day * DAY, customer=customer, status=status)[0]


def member(*orders, shop=DEMO, at=None):
    found = oracle.books([order_payload(shop, order, NOOR) for order in orders], at=at)
    return found.members[7]


def test_one_point_a_dollar_and_one_floor():
    assert member(bought(1999, 0)).available == 50 + 19


def test_discounts_tips_gift_cards_tax_and_shipping_earn_nothing():
    order = place(
        DEMO,
        1,
        1001,
        Basket([(thing(5000), 1), (thing(2500, gift_card=True), 1)], [Discount("TEN", "percentage", 10)], tip=700),
        T0,
        customer=NOOR,
    )[0]
    assert member(order).available == 50 + 45


def test_the_multiplier_is_the_tier_before_the_order():
    # 500.00 makes an Advocate for the next order, not for itself; 1,500.00 an Ambassador.
    result = member(bought(50_000, 0), bought(100_000, 10), bought(10_000, 20))
    assert list(result.points.values()) == [500, 1250, 150]
    assert result.tier == "ambassador"


def test_exactly_365_days_ago_still_counts_and_a_second_earlier_does_not():
    first = bought(50_000, 0)
    assert list(member(first, bought(1000, 365)).points.values()) == [500, 12]
    first.processed_at -= 1
    assert list(member(first, bought(1000, 365)).points.values()) == [500, 10]


def test_an_order_of_the_same_second_is_not_before():
    assert list(member(bought(50_000, 0), bought(1000, 0)).points.values()) == [500, 10]


def test_a_refund_takes_back_points_by_the_rule_of_its_order_and_spend_from_its_own_day():
    first, second, third = bought(50_000, 0), bought(10_000, 5), bought(10_000, 20)
    refund(DEMO, first, {first.lines[0].id: 1}, T0 + 10 * DAY)
    # The second order keeps its 1.25: the refund came later. The third is Insider: 100.00 are left.
    assert list(member(first, second, third).points.values()) == [0, 125, 100]


def test_an_unpaid_order_waits_and_makes_no_tier():
    waiting, later = bought(60_000, 0, status="pending"), bought(1000, 5)
    assert (member(waiting, later).pending, member(waiting, later).available) == (600, 60)
    pay(DEMO, waiting, T0 + 6 * DAY)
    assert (member(waiting, later).pending, member(waiting, later).available) == (0, 50 + 600 + 12)


def test_a_cancelled_order_earns_nothing():
    order = bought(50_000, 0)
    cancel(DEMO, order, T0 + DAY)
    assert member(order, bought(1000, 2)).available == 50 + 10


@pytest.mark.parametrize("as_refund", [False, True])
def test_a_removed_unit_counts_no_more(as_refund):
    order = bought(1000, 0, quantity=3, discounts=[Discount("ONE", "fixed_amount", 100)])
    edit(DEMO, order, T0 + 60, remove={order.lines[0].id: 1}, as_refund=as_refund)
    # 29.00 for three; two are 19.33.
    assert member(order).available == 50 + 19


def test_included_tax_earns_nothing_and_yen_have_no_decimals():
    assert member(bought(1080, 0, shop=SECOND), shop=SECOND).available == 50 + 1000


def test_a_guests_orders_are_held_until_a_customer_has_the_address():
    guest = place(DEMO, 3, 1003, Basket([(thing(2000), 1)]), T0, email="NOOR@example.com")[0]
    alone = oracle.books([order_payload(DEMO, guest, None)])
    assert alone.held["noor@example.com"].available == 20
    assert alone.available == 0
    claimed = oracle.books([order_payload(DEMO, guest, None)], [{"id": 7, "email": "Noor@example.com"}])
    assert (claimed.members[7].available, claimed.held) == (70, {})


def test_test_orders_earn_nothing():
    order = place(DEMO, 4, 1004, Basket([(thing(2000), 1)]), T0, customer=NOOR, test=True)[0]
    assert member(order).available == 50


def test_the_windows_running_totals_agree_with_adding_up_each_time():
    orders = list(final_orders(Mix(orders=150, members=2, hot=0.7, refunds=0.3, cancels=0.1, guests=0)))
    books = oracle.books(orders)
    kept = [oracle.summary(order) for order in orders]
    for mine in kept:
        others = [fact for order in kept if order is not mine for fact in order.facts if same_buyer(order, mine)]
        start = mine.placed_at - timedelta(days=365).total_seconds()
        spend = sum(fact.amount for fact in others if start <= fact.at < mine.placed_at)
        tier = "ambassador" if spend >= 150_000 else "advocate" if spend >= 50_000 else "insider"
        assert books.members[mine.customer["id"]].tiers[mine.id] == tier


def same_buyer(one, other):
    return one.customer["id"] == other.customer["id"]
