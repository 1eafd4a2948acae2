"""Friends' and partners' codes in the store: what is made there, how it fails, and what the checkout makes of it."""

from datetime import datetime
from typing import Any

import pytest

from core.errors import Conflict, InvalidInput, RapportError
from loyalty.models import Order
from loyalty.program import Benefit
from referrals import partners
from referrals.claims import issue, operations, rules
from tests.referrals.claims.rig import NOW, Desk, program

MADE = {
    "amount_off": (Benefit(kind="amount_off", amount=1000), {"gives": "fixed_amount", "value": 1000}),
    "percentage": (Benefit(kind="percentage", percentage="15"), {"gives": "percentage", "value": 15}),
    "free_shipping": (Benefit(kind="free_shipping"), {"gives": "shipping", "classes": ["SHIPPING"]}),
}


@pytest.fixture
def anna(desk: Desk) -> str:
    """The code of a member."""
    desk.publish()
    return desk.code(desk.member("Anna"))


def new_customers(desk: Desk) -> list[dict[str, Any]]:
    return [one for one in desk.ask("segments")["segments"] if one["name"] == issue.SEGMENT]


@pytest.mark.parametrize("kind", MADE)
def test_a_friends_code_is_for_one_new_customer_once(desk: Desk, anna: str, kind: str) -> None:
    benefit, expected = MADE[kind]
    desk.publish(friend=benefit, friend_minimum=3000)
    row = desk.claim(anna)
    assert desk.work() >= 1
    after, made = desk.read(row), desk.discount(row.discount)
    assert (after.state, after.error, desk.effects(operations.EFFECT, row.id)) == ("made", None, [])
    assert made is not None
    assert {name: made[name] for name in expected} == expected
    assert (made["usage_limit"], made["once_per_customer"], made["minimum_subtotal"]) == (1, True, 3000)
    assert (made["customers"], made["segments"]) == ([], [one["id"] for one in new_customers(desk)])
    assert made["ends_at"] == int(row.expires_at.timestamp())


def test_the_segment_is_made_once(desk: Desk, anna: str) -> None:
    for _ in range(3):
        desk.claim(anna)
    desk.work()
    (segment,) = new_customers(desk)
    assert segment["query"] == "number_of_orders = 0"


# At the checkout.


def test_a_new_guest_uses_it_once(desk: Desk, anna: str) -> None:
    friend = desk.email()
    row = desk.claim(anna, friend)
    desk.work()
    bought = desk.buy(row.discount, email=friend)
    assert bought.status_code == 201, bought.text
    assert bought.json()["total_discounts"] == "10.00"
    again = desk.buy(row.discount, email=desk.email())
    assert (again.status_code, "used already" in again.text) == (422, True)


def test_a_new_customer_with_an_account_uses_it(desk: Desk, anna: str) -> None:
    row = desk.claim(anna)
    desk.work()
    assert desk.buy(row.discount, customer_id=desk.customer()).status_code == 201


@pytest.mark.parametrize("guest", [True, False])
def test_who_has_ordered_before_can_not_use_it(desk: Desk, anna: str, guest: bool) -> None:
    row = desk.claim(anna)
    desk.work()
    who: dict[str, Any] = {"email": desk.email()} if guest else {"customer_id": desk.customer()}
    assert desk.buy(**who).status_code == 201
    refused = desk.buy(row.discount, **who)
    assert (refused.status_code, "New customers" in refused.text) == (422, True)


def test_an_order_that_is_too_small(desk: Desk, anna: str) -> None:
    desk.publish(friend_minimum=10_000_00)
    row = desk.claim(anna)
    desk.work()
    refused = desk.buy(row.discount, email=desk.email())
    assert (refused.status_code, "needs an order of at least $10,000.00" in refused.text) == (422, True)


# What goes wrong.


def test_a_customer_that_only_shopify_knows(desk: Desk, anna: str) -> None:
    known = desk.email()
    customer = desk.customer(known)
    assert desk.buy(customer_id=customer).status_code == 201
    row = desk.claim(anna, known)
    desk.work()
    after = desk.read(row)
    assert (after.state, after.error, after.ended_at is None) == ("failed", rules.EXISTING, False)
    assert desk.discount(row.discount) is None


@pytest.mark.parametrize(
    ("known", "claims", "status", "state"),
    [
        ("sam.friend@gmail.com", "samfriend@gmail.com", "paid", "failed"),
        ("s.a.mother+shop@googlemail.com", "Samother@gmail.com", "paid", "failed"),
        ("sam.third@example.com", "samthird@example.com", "paid", "made"),
        ("sam.fourth@gmail.com", "samfourth@gmail.com", "refunded", "made"),
    ],
)
def test_a_customer_with_another_way_to_write_the_address(
    desk: Desk, anna: str, known: str, claims: str, status: str, state: str
) -> None:
    member, order = desk.member("Sam", known), {"status": status, "cancelled_at": None, "test": False}
    with desk.open() as session:
        told = {"member_id": member, "processed_at": NOW, "state": order, "settled_at": NOW}
        session.add(Order(shop_id=desk.shop, order_id=member, **told))
    row = desk.claim(anna, claims)
    desk.work()
    after = desk.read(row)
    assert (after.state, after.error) == (state, rules.EXISTING if state == "failed" else None)
    assert (desk.discount(row.discount) is None) == (state == "failed")


def test_a_customer_without_orders_is_new(desk: Desk, anna: str) -> None:
    known = desk.email()
    desk.customer(known)
    row = desk.claim(anna, known)
    desk.work()
    assert desk.read(row).state == "made"


def test_an_order_after_the_code_was_made_changes_nothing(desk: Desk, anna: str) -> None:
    friend = desk.email()
    row = desk.claim(anna, friend)
    desk.work()
    desk.buy(row.discount, customer_id=desk.customer(friend))
    issue.issue(desk.house.database, desk.shop, str(row.id))
    assert desk.read(row).state == "made"


def test_an_answer_that_was_lost_is_found_again(desk: Desk, anna: str) -> None:
    row = desk.claim(anna)
    desk.fault("timeout_after", "discountCodeBasicCreate")
    desk.work()
    assert desk.read(row).state == "making"
    desk.calm()
    desk.work(minutes=10)
    after = desk.read(row)
    assert (after.state, after.discount_id is None) == ("made", False)
    assert len([one for one in desk.ask("discounts")["discounts"] if one["code"] == row.discount]) == 1


def test_shopify_away_is_tried_again(desk: Desk, anna: str) -> None:
    row = desk.claim(anna)
    desk.fault("503", times=50)
    desk.work()
    assert desk.read(row).state == "making"
    desk.calm()
    desk.work(minutes=10)
    assert desk.read(row).state == "made"


def test_what_shopify_refuses_fails_visibly(desk: Desk, anna: str) -> None:
    row = desk.claim(anna)
    desk.fault("access_denied", "discountCodeBasicCreate", times=5)
    desk.work()
    after = desk.read(row)
    assert after.state == "failed"
    assert "discount_basic_create" in (after.error or "")
    desk.calm()


def test_the_last_referrer_ends_the_earlier_code(desk: Desk, anna: str) -> None:
    friend, ben = desk.email(), desk.code(desk.member("Ben"))
    first = desk.claim(anna, friend)
    desk.work()
    second = desk.claim(ben, friend)
    desk.work()
    was, now = desk.discount(first.discount), desk.discount(second.discount)
    assert was is not None
    assert now is not None
    assert (was["status"], now["status"]) == ("EXPIRED", "ACTIVE")
    assert desk.buy(first.discount, email=friend).status_code == 422
    assert desk.buy(second.discount, email=friend).status_code == 201


def test_ended_before_it_was_made(desk: Desk, anna: str) -> None:
    friend, ben = desk.email(), desk.code(desk.member("Ben"))
    first = desk.claim(anna, friend)
    desk.claim(ben, friend)
    desk.work()
    assert desk.discount(first.discount) is None


def test_ended_while_it_was_made(desk: Desk, anna: str, monkeypatch: pytest.MonkeyPatch) -> None:
    friend, ben, row = desk.email(), desk.code(desk.member("Ben")), None
    row = desk.claim(anna, friend)
    make = issue.coupons.make

    def make_and_be_overtaken(*told: Any) -> str:
        monkeypatch.setattr(issue.coupons, "make", make)
        made = make(*told)
        desk.claim(ben, friend)
        return made

    monkeypatch.setattr(issue.coupons, "make", make_and_be_overtaken)
    issue.issue(desk.house.database, desk.shop, str(row.id))
    ended = desk.discount(row.discount)
    assert ended is not None
    assert (desk.read(row).state, ended["status"]) == ("ended", "EXPIRED")


def test_a_thousand_from_one_address_make_nothing_more_in_shopify(desk: Desk, anna: str) -> None:
    made, _ = 0, desk.work()
    for number in range(40):
        try:
            desk.claim(anna, f"flood{number}@example.com", network="flood")
            made += 1
        except RapportError:
            continue
    before = len(desk.ask("discounts")["discounts"])
    desk.work()
    assert len(desk.ask("discounts")["discounts"]) - before == made == operations.MOST_OF_NETWORK


# Partners.


def test_a_partners_code_is_for_many_each_once(desk: Desk, anna: str) -> None:
    row = desk.partner("LENA15")
    desk.work()
    made = desk.discount("LENA15")
    assert made is not None
    assert (made["value"], made["usage_limit"], made["once_per_customer"]) == (15, None, True)
    assert (made["minimum_subtotal"], made["ends_at"]) == (2000, None)
    friends = [desk.email(), desk.email()]
    assert [desk.buy("LENA15", email=friend).status_code for friend in friends] == [201, 201]
    assert desk.buy("LENA15", email=friends[0]).status_code == 422
    assert desk.partner_codes(row)[0].discount_id is not None


def test_where_every_order_counts_everybody_may_use_it(desk: Desk, anna: str) -> None:
    desk.partner("TEAM77", "staff")
    desk.work()
    made = desk.discount("TEAM77")
    assert made is not None
    assert (made["gives"], made["segments"]) == ("shipping", [])
    regular = desk.customer()
    assert desk.buy(customer_id=regular).status_code == 201
    assert desk.buy("TEAM77", customer_id=regular).status_code == 201


def test_an_ended_partners_code_is_gone(desk: Desk, anna: str) -> None:
    row = desk.partner("GONE44")
    desk.work()
    for _ in range(2):
        with desk.open() as session:
            partners.end(session, desk.shop, row.id, actor="test")
    desk.work()
    assert desk.discount("GONE44") is None
    with pytest.raises(RapportError) as refused:
        desk.claim("GONE44")
    assert refused.value.code == "code_retired"


def test_a_partner_comes_back(desk: Desk, anna: str) -> None:
    email = desk.email("back")
    row = desk.partner("BACK44", email=email)
    with desk.open() as session:
        partners.end(session, desk.shop, row.id, actor="test")
    again = desk.partner("BACK44", email=email, name="Lena Anew")
    desk.work()
    assert (again.id, again.name, again.ended_at) == (row.id, "Lena Anew", None)
    assert desk.discount("BACK44") is not None
    with pytest.raises(Conflict) as refused:
        desk.partner("BACK55", email=email)
    assert refused.value.extra == {"partner_id": str(row.id)}


def test_a_partners_new_code_takes_the_place_of_the_old(desk: Desk, anna: str) -> None:
    email = desk.email("new")
    row = desk.partner("OLDONE", email=email)
    desk.work()
    with desk.open() as session:
        partners.change(
            session, desk.shop, row.id, partnership="staff", name="Lena", email=email, code="NEWONE", actor="test"
        )
    desk.work()
    assert desk.discount("OLDONE") is None
    made = desk.discount("NEWONE")
    assert made is not None
    assert made["gives"] == "shipping"


def test_new_terms_make_a_new_discount_under_the_same_code(desk: Desk, anna: str) -> None:
    row = desk.partner("TERMS9")
    desk.work()
    terms = program().referral.partnerships[0]
    better = terms.model_copy(update={"friend": Benefit(kind="percentage", percentage="20")})
    desk.publish(partnerships=(better,))
    with desk.open() as session:
        partners.ask_all(session)
    desk.work()
    made = desk.discount("TERMS9")
    assert made is not None
    assert made["value"] == 20
    before = made["id"]
    with desk.open() as session:
        partners.ask_all(session)
    desk.work()
    assert (desk.discount("TERMS9") or {})["id"] == before
    assert desk.effects(partners.EFFECT, row.id) == []


def test_a_partners_code_that_is_the_shops_own_discount(desk: Desk, anna: str) -> None:
    theirs = desk.claim(anna)
    desk.work()
    made = desk.discount(theirs.discount)
    assert made is not None
    row = desk.partner("OTHERS5")
    with desk.open() as session:  # as if the shop had had this discount all along
        (code,) = partners.all_codes(session, desk.shop, row.id)
        code.code = theirs.discount
    desk.work()
    ((state, error),) = desk.effects(partners.EFFECT, row.id)
    assert (state, error) == ("failed", "the code exists in Shopify but is not ours")
    with desk.open() as session:
        assert partners.faults(session, desk.shop, [row.id]) == {row.id: error}
        partners.end(session, desk.shop, row.id, actor="test")
    desk.work()
    assert desk.discount(theirs.discount) is not None


def test_a_partner_without_a_code_of_choice(desk: Desk, anna: str) -> None:
    row = desk.partner(name="Ravi Example")
    (code,) = desk.partner_codes(row)
    assert code.code.startswith("RAVI")


@pytest.mark.parametrize(
    ("told", "refusal"),
    [
        ({"partnership": "nobody"}, "unknown_partnership"),
        ({"code": "x"}, "bad_code"),
        ({"code": "ADMIN"}, "reserved_code"),
        ({"email": "nobody"}, "bad_email"),
    ],
)
def test_partners_that_can_not_be(desk: Desk, anna: str, told: dict[str, str], refusal: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        desk.partner(**told)
    assert refused.value.code == refusal


def test_a_partners_code_is_nobody_elses(desk: Desk, anna: str) -> None:
    with pytest.raises(Conflict) as refused:
        desk.partner(anna)
    assert refused.value.code == "code_taken"


def test_a_claim_by_a_partner_has_the_partners_terms(desk: Desk, anna: str) -> None:
    desk.partner("CLAIM15")
    row = desk.claim("CLAIM15")
    desk.work()
    made = desk.discount(row.discount)
    assert made is not None
    assert (made["value"], made["minimum_subtotal"], made["usage_limit"]) == (15, 2000, 1)
    assert datetime.fromtimestamp(made["ends_at"], row.expires_at.tzinfo) == row.expires_at
