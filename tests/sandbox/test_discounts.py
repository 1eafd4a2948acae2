"""Discounts by the app's own documents, and what a checkout makes of them."""

import pytest

from tests.sandbox.conftest import DEMO

START = "2026-01-01T00:00:00Z"
ESPRESSO, KILO, MUG = 44_310_000_000_001, 44_310_000_000_002, 44_310_000_000_009
MUG_PRODUCT = "gid://shopify/Product/8120000000007"


def basic(code="RAP-1", value=None, items=None, **more):
    gets = {"value": value or {"discountAmount": {"amount": "5.00"}}, "items": items or {"all": True}}
    return {
        "title": "5 off",
        "code": code,
        "startsAt": START,
        "context": {"all": "ALL"},
        "customerGets": gets,
        **more,
    }


def ships_free(code="SHIP-1", **more):
    return {"title": "Ships free", "code": code, "startsAt": START, "context": {"all": "ALL"}, **more}


def capped(code="CAP-1", percentage=20, maximum="10.00", **more):
    config = f'{{"percentage": {percentage}, "maximum": "{maximum}"}}'
    return {
        "title": "20% off",
        "code": code,
        "startsAt": START,
        "functionHandle": "capped-percentage",
        "discountClasses": ["ORDER"],
        "metafields": [{"namespace": "$app", "key": "config", "type": "json", "value": config}],
        **more,
    }


@pytest.fixture
def people(store):
    world = store.sandbox.world
    return [world.customer_by_email(DEMO, f"{name}@example.com") for name in ("noor.haddad", "theo.okafor")]


@pytest.fixture
def buy(control):
    def buy(*codes, lines=((ESPRESSO, 2),), **more):
        wanted = [{"variant_id": variant, "quantity": quantity} for variant, quantity in lines]
        return control.post("/orders", json={"lines": wanted, "codes": codes, **more})

    return buy


def refused(answer):
    return [(error["code"], ".".join(error["field"][1:])) for error in answer["userErrors"]]


def test_a_code_is_made_once_whatever_its_case(call):
    assert call("discount_basic_create", discount=basic())["codeDiscountNode"]["id"]
    again = call("discount_basic_create", discount=basic("rap-1"))
    assert (again["codeDiscountNode"], refused(again)) == (None, [("TAKEN", "code")])


def test_a_code_is_looked_up_and_deactivated(call):
    made = call("discount_free_shipping_create", discount=ships_free(usageLimit=1))["codeDiscountNode"]["id"]
    found = call("discount_by_code", code="ship-1")
    assert found["id"] == made
    assert found["codeDiscount"] == {
        "__typename": "DiscountCodeFreeShipping",
        "title": "Ships free",
        "status": "ACTIVE",
        "startsAt": START,
        "endsAt": None,
        "usageLimit": 1,
        "asyncUsageCount": 0,
    }
    assert call("discount_deactivate", id=made)["userErrors"] == []
    assert call("discount_by_code", code="SHIP-1")["codeDiscount"]["status"] == "EXPIRED"
    assert call("discount_by_code", code="NO-SUCH") is None
    gone = call("discount_deactivate", id="gid://shopify/DiscountCodeNode/1")
    assert [error["code"] for error in gone["userErrors"]] == ["INVALID"]


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"title": ""}, ("BLANK", "title")),
        ({"code": None}, ("BLANK", "code")),
        ({"startsAt": None}, ("BLANK", "startsAt")),
        ({"context": None}, ("BLANK", "context")),
        ({"customerGets": None}, ("BLANK", "customerGets")),
        ({"endsAt": START}, ("END_DATE_BEFORE_START_DATE", "endsAt")),
        ({"usageLimit": 0}, ("GREATER_THAN", "usageLimit")),
        ({"context": {"customers": {"add": ["gid://shopify/Customer/1"]}}}, ("INVALID", "context.customers.add")),
        (
            {"customerGets": {"value": {"percentage": 10}, "items": {"all": True}}},
            ("VALUE_OUTSIDE_RANGE", "customerGets.value.percentage"),
        ),
        (
            {"customerGets": {"value": {"discountAmount": {"amount": "0"}}, "items": {"all": True}}},
            ("GREATER_THAN", "customerGets.value.discountAmount.amount"),
        ),
        ({"customerGets": {"value": {"percentage": 0.1}, "items": {}}}, ("CONFLICT", "customerGets.items")),
        (
            {
                "customerGets": {
                    "value": {"percentage": 1.0},
                    "items": {"products": {"productsToAdd": ["gid://shopify/Product/1"]}},
                }
            },
            ("INVALID", "customerGets.items"),
        ),
    ],
)
def test_what_shopify_refuses_is_refused(call, change, refusal):
    assert refused(call("discount_basic_create", discount=basic() | change)) == [refusal]


def test_two_free_shippings_can_not_be_allowed_together(call):
    answer = call("discount_free_shipping_create", discount=ships_free(combinesWith={"shippingDiscounts": True}))
    assert refused(answer) == [("INVALID_COMBINES_WITH_FOR_DISCOUNT_CLASS", "combinesWith")]


def test_an_unknown_function_is_refused(call):
    answer = call("discount_app_create", discount=capped(functionHandle="other"))
    assert refused(answer) == [("INVALID", "functionHandle")]


def test_an_argument_the_store_does_not_know_is_refused_by_name(ask):
    answer = ask("discount_basic_create.graphql", discount=basic(recurringCycleLimit=3)).json()
    assert "recurringCycleLimit" in answer["errors"][0]["message"]


def test_an_amount_off_is_shared_by_the_lines_and_named_in_the_order(call, buy):
    call("discount_basic_create", discount=basic(usageLimit=1))
    order = buy("rap-1", lines=((ESPRESSO, 1), (KILO, 1))).json()
    assert order["discount_codes"] == [{"code": "RAP-1", "amount": "5.00", "type": "fixed_amount"}]
    # 5.00 off 16.50 + 54.00, the floor of each share and the last cent to the first line.
    assert [line["discount_allocations"][0]["amount"] for line in order["line_items"]] == ["1.18", "3.82"]
    assert (order["subtotal_price"], order["discount_applications"][0]["target_selection"]) == ("65.50", "all")
    assert call("discount_by_code", code="RAP-1")["codeDiscount"]["asyncUsageCount"] == 1
    again = buy("RAP-1")
    assert (again.status_code, again.json()["errors"]) == (422, "RAP-1 has been used already.")


@pytest.mark.parametrize(
    ("percentage", "maximum", "quantity", "off", "kind"),
    [
        (20, "10.00", 1, "3.30", "percentage"),
        (20, "10.00", 4, "10.00", "fixed_amount"),
        (12.5, "99", 1, "2.06", "percentage"),
    ],
)
def test_a_percentage_with_a_cap_is_what_the_function_says(call, buy, percentage, maximum, quantity, off, kind):
    call("discount_app_create", discount=capped(percentage=percentage, maximum=maximum))
    order = buy("CAP-1", lines=((ESPRESSO, quantity),)).json()
    assert order["discount_codes"] == [{"code": "CAP-1", "amount": off, "type": kind}]


def test_a_function_keeps_to_the_minimum_and_the_products_of_its_configuration(call, buy):
    config = f'{{"percentage": 50, "maximum": "9", "minimum": "30.00", "products": ["{MUG_PRODUCT}"], "variants": []}}'
    metafield = {"namespace": "$app", "key": "config", "type": "json", "value": config}
    call("discount_app_create", discount=capped(metafields=[metafield], discountClasses=["PRODUCT"]))
    why = "CAP-1 needs an order of at least $30.00. Add $10.01 more to use it."
    assert buy("CAP-1", lines=((MUG, 1), (ESPRESSO, 9))).json()["errors"] == why
    order = buy("CAP-1", lines=((MUG, 2), (ESPRESSO, 1))).json()
    assert [len(line["discount_allocations"]) for line in order["line_items"]] == [1, 0]
    assert order["discount_codes"] == [{"code": "CAP-1", "amount": "9.00", "type": "fixed_amount"}]


def test_one_free_product_is_its_price_off_that_product(call, buy):
    free = basic("MUG-1", {"discountAmount": {"amount": "19.99", "appliesOnEachItem": False}},
                 {"products": {"productsToAdd": [MUG_PRODUCT]}})  # fmt: skip
    call("discount_basic_create", discount=free)
    assert buy("MUG-1").json()["errors"] == "MUG-1 is for something that isn't in your order."
    order = buy("MUG-1", lines=((MUG, 2), (ESPRESSO, 1))).json()
    assert [len(line["discount_allocations"]) for line in order["line_items"]] == [1, 0]
    assert (order["total_discounts"], order["discount_applications"][0]["target_selection"]) == ("19.99", "entitled")


def test_a_code_for_one_customer_is_hers_alone(call, buy, people):
    noor, theo = people
    context = {"customers": {"add": [f"gid://shopify/Customer/{noor.id}"]}}
    call("discount_basic_create", discount=basic(context=context, appliesOncePerCustomer=True))
    kind = "RAP-1 belongs to another account. Sign in with the one it was made for."
    assert buy("RAP-1", customer_id=theo.id).json()["errors"] == kind
    assert buy("RAP-1", email="guest@example.com").json()["errors"] == kind
    assert buy("RAP-1", customer_id=noor.id).status_code == 201
    assert buy("RAP-1", customer_id=noor.id).json()["errors"] == "You have used RAP-1 already."


def test_a_minimum_tells_what_is_missing(call, buy):
    minimum = {"subtotal": {"greaterThanOrEqualToSubtotal": "40.00"}}
    call("discount_basic_create", discount=basic(minimumRequirement=minimum))
    assert buy("RAP-1").json()["errors"] == "RAP-1 needs an order of at least $40.00. Add $7.00 more to use it."
    assert buy("RAP-1", lines=((ESPRESSO, 3),)).status_code == 201


@pytest.mark.parametrize(
    ("times", "why"),
    [
        ({"endsAt": "2026-02-01T00:00:00Z"}, "RAP-1 ended on 31 January 2026."),
        ({"startsAt": "2126-01-01T12:00:00Z"}, "RAP-1 starts on 1 January 2126."),
    ],
)
def test_a_code_has_its_time(call, buy, times, why):
    call("discount_basic_create", discount=basic(**times))
    assert buy("RAP-1").json()["errors"] == why


def test_codes_are_used_together_only_when_both_allow_it(call, buy):
    both = {"combinesWith": {"shippingDiscounts": True}}
    call("discount_basic_create", discount=basic(**both))
    call("discount_free_shipping_create", discount=ships_free())
    call("discount_free_shipping_create", discount=ships_free("SHIP-2", combinesWith={"orderDiscounts": True}))
    why = "RAP-1 and SHIP-1 can't be used together. Please choose one of them."
    assert buy("RAP-1", "SHIP-1").json()["errors"] == why
    order = buy("RAP-1", "SHIP-2").json()
    assert [code["type"] for code in order["discount_codes"]] == ["fixed_amount", "shipping"]
    assert order["shipping_lines"][0]["discounted_price"] == "0.00"


def test_a_tier_ships_free_by_its_segment_alone(call, buy, people, control):
    noor, theo = people
    segment = call("segment_create", name="Tier: gold", query="customer_tags CONTAINS 'tier:gold'")["segment"]["id"]
    wish = {
        "title": "Gold ships free",
        "startsAt": START,
        "context": {"customerSegments": {"add": [segment]}},
        "combinesWith": {"orderDiscounts": True, "productDiscounts": True},
    }
    made = call("automatic_free_shipping_create", discount=wish)["automaticDiscountNode"]["id"]
    call("tags_add", id=f"gid://shopify/Customer/{noor.id}", tags=["tier:gold"])
    order = buy(customer_id=noor.id).json()
    assert (order["discount_codes"], order["shipping_lines"][0]["discounted_price"]) == ([], "0.00")
    assert (
        order["discount_applications"][0] | {"title": "Gold ships free", "type": "automatic"}
        == order["discount_applications"][0]
    )
    assert "code" not in order["discount_applications"][0]
    assert buy(customer_id=theo.id).json()["shipping_lines"][0]["discounted_price"] == "6.00"
    shown = call("automatic_discount", id=made)["discount"]
    assert (shown["status"], shown["context"]) == ("ACTIVE", {"segments": [{"id": segment}]})
    # A code that combines with nothing has its way, and the automatic one stands back.
    call("discount_basic_create", discount=basic())
    assert buy("RAP-1", customer_id=noor.id).json()["shipping_lines"][0]["discounted_price"] == "6.00"
    call("automatic_discount_deactivate", id=made)
    assert buy(customer_id=noor.id).json()["shipping_lines"][0]["discounted_price"] == "6.00"
    assert control.get("/discounts").json()["discounts"][0]["status"] == "EXPIRED"


def test_an_automatic_discount_is_found_changed_and_deleted(call, control):
    one, two = (
        call("segment_create", name=name, query=f"customer_tags CONTAINS '{name}'")["segment"]["id"] for name in "ab"
    )
    wish = {"title": "Gold ships free", "startsAt": START, "context": {"customerSegments": {"add": [one]}}}
    made = call("automatic_free_shipping_create", discount=wish)["automaticDiscountNode"]["id"]
    assert call("automatic_discounts_find", query=r"method:automatic title:'Gold\'s'")["nodes"] == []
    (found,) = call("automatic_discounts_find", query="method:automatic title:'Gold ships free'")["nodes"]
    assert found["id"].rpartition("/")[2] == made.rpartition("/")[2]
    change = {"title": "Gold", "context": {"customerSegments": {"add": [two], "remove": [one]}}}
    assert call("automatic_free_shipping_update", id=made, discount=change)["userErrors"] == []
    shown = call("automatic_discount", id=made)["discount"]
    assert (shown["title"], shown["context"]["segments"]) == ("Gold", [{"id": two}])
    call("automatic_discount_deactivate", id=made)
    call("automatic_discount_activate", id=made)
    assert call("automatic_discount", id=made)["discount"]["status"] == "ACTIVE"
    assert call("automatic_discount_delete", id=made)["deletedAutomaticDiscountId"] == made
    assert call("automatic_discount", id=made) is None
    assert call("automatic_discounts_find", query="method:automatic")["nodes"] == []
    assert [error["code"] for error in call("automatic_discount_delete", id=made)["userErrors"]] == ["INVALID"]


def test_a_merchant_may_delete_a_discount_behind_the_apps_back(call, control):
    call("discount_basic_create", discount=basic())
    number = control.get("/discounts").json()["discounts"][0]["id"]
    assert control.post(f"/discounts/{number}/delete").status_code == 204
    assert call("discount_by_code", code="RAP-1") is None
