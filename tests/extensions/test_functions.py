"""Functions that Shopify runs: their queries are valid, what they are given is what their query gets, and what they
answer fits the published schema."""

import functools
import gzip
import json
import subprocess
import tomllib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLSchema,
    Undefined,
    build_client_schema,
    coerce_input_value,
    execute_sync,
    get_named_type,
    parse,
    validate,
)

from loyalty.program import Reward
from loyalty.rewards import inputs
from sandbox.admin_api import SCHEMA

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 10, 1, tzinfo=UTC)
VERSION = "2026-10"
APIS = {"discounts": "functions_discount", "early-access": "functions_cart_checkout_validation"}
# By target, the field of the schema's mutation whose argument is the answer.
RESULTS = {
    "cart.lines.discounts.generate.run": "cartLinesDiscountsGenerateRun",
    "cart.delivery-options.discounts.generate.run": "cartDeliveryOptionsDiscountsGenerateRun",
    "cart.validations.generate.run": "cartValidationsGenerateRun",
}


@functools.cache
def schema(folder: str) -> GraphQLSchema:
    path = SCHEMA.with_name(f"{APIS[folder]}_{VERSION}.json.gz")
    return build_client_schema(json.loads(gzip.decompress(path.read_bytes()))["data"], assume_valid=True)


def targets() -> list[tuple[str, str, str, str]]:
    """(folder, export, target, query file) of every function."""
    found = []
    for folder in APIS:
        config = tomllib.loads((ROOT / "extensions" / folder / "shopify.extension.toml").read_text())
        assert config["api_version"] == VERSION
        for extension in config["extensions"]:
            found += [(folder, one["export"], one["target"], one["input_query"]) for one in extension["targeting"]]
    return found


TARGETS = {export: (folder, target, query) for folder, export, target, query in targets()}


@pytest.mark.parametrize("export", TARGETS)
def test_the_query_is_valid(export: str) -> None:
    folder, _, query = TARGETS[export]
    document = parse((ROOT / "extensions" / folder / query).read_text())
    assert [error.message for error in validate(schema(folder), document)] == []


def run(node: str, export: str, world: dict[str, Any]) -> dict[str, Any]:
    """What a function answers: given what its query gets from `world`, and held against the schema."""
    folder, target, query = TARGETS[export]
    document = parse((ROOT / "extensions" / folder / query).read_text())
    asked = execute_sync(schema(folder), document, world, type_resolver=lambda value, *_: value["__typename"])
    assert asked.errors is None
    module = (ROOT / "extensions" / folder / "src" / "index.js").as_uri()
    script = (
        f"import {{{export} as run}} from {json.dumps(module)};"
        "let all='';for await(const part of process.stdin)all+=part;"
        "console.log(JSON.stringify(run(JSON.parse(all))))"
    )
    command = [node, "--input-type=module", "-e", script]
    answered = subprocess.run(command, input=json.dumps(asked.data), capture_output=True, text=True, check=True)
    said: dict[str, Any] = json.loads(answered.stdout)
    mutation = schema(folder).mutation_type
    assert mutation
    assert coerce_input_value(said, mutation.fields[RESULTS[target]].args["result"].type) is not Undefined, said
    return said


def tagged(held: Iterable[str]) -> Callable[..., bool]:
    return lambda info, tags: bool(set(held) & set(tags))


def line(number: int, amount: str, **product: Any) -> dict[str, Any]:
    """A line of the cart; `tags` and `prices` are its product's."""
    tags, prices = product.pop("tags", ()), product.pop("prices", None)
    return {
        "id": f"gid://shopify/CartLine/{number}",
        "cost": {"subtotalAmount": {"amount": amount}},
        "merchandise": {
            "__typename": "ProductVariant",
            "id": f"gid://shopify/ProductVariant/{number}",
            "product": {
                "id": f"gid://shopify/Product/{number}", "isGiftCard": False, "title": f"Product {number}",
                "hasAnyTag": tagged(tags),
                "metafield": prices and {"jsonValue": prices}, **product,
            },
        },
    }  # fmt: skip


def world(*lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A checkout. `config` is the discount's, `tier`, `perks` and `tags` the customer's."""
    tier, tags, config, perks = more.get("tier"), more.get("tags"), more.get("config"), more.get("perks")
    fields = {"tier": tier and {"value": tier}, "perks": perks is not None and {"jsonValue": perks}}
    customer = {
        "metafield": lambda info, key, **asked: fields[key] or None,
        "hasAnyTag": tagged(tags or ()),
    }
    return {
        "presentmentCurrencyRate": more.get("rate", "1.0"),
        "buyerJourney": {"step": more.get("step", "CHECKOUT_INTERACTION")},
        "discount": {
            "discountClasses": more.get("classes", ["ORDER"]),
            "metafield": config and {"jsonValue": config},
        },
        "cart": {
            "buyerIdentity": {"customer": customer if tier or tags or perks is not None else None},
            "lines": list(lines),
            "deliveryGroups": [
                {"id": "gid://shopify/CartDeliveryGroup/1"},
                {"id": "gid://shopify/CartDeliveryGroup/2"},
            ],
        },
    }


def config_of(**terms: Any) -> dict[str, Any]:
    """What we tell Shopify for a capped reward: the function's configuration and classes."""
    reward = Reward(key="capped", name="Capped", kind="percentage", cost=100, **terms)
    coupon = inputs.Coupon("Capped", "RAP-1", reward, None, "USD", NOW, None, {"all": "ALL"})
    document, made = inputs.discount(coupon)
    assert (document, made["functionHandle"]) == ("discount_app_create", "capped-percentage")
    return {"config": json.loads(made["metafields"][0]["value"]), "classes": made["discountClasses"]}


def only(said: dict[str, Any], operation: str) -> dict[str, Any]:
    ((done,),) = [said["operations"]]
    (candidate,) = done[operation]["candidates"]
    return dict(candidate)


def test_a_percentage_stops_at_its_maximum(node: str) -> None:
    told = config_of(percentage=20, maximum=15_00)
    below = only(run(node, "capped", world(line(1, "50.00"), **told)), "orderDiscountsAdd")
    assert below["value"] == {"percentage": {"value": "20"}}
    above = only(run(node, "capped", world(line(1, "50.00"), line(2, "40.00"), **told)), "orderDiscountsAdd")
    assert above["value"] == {"fixedAmount": {"amount": "15.00"}}
    abroad = only(run(node, "capped", world(line(1, "90.00"), rate="0.5", **told)), "orderDiscountsAdd")
    assert abroad["value"] == {"fixedAmount": {"amount": "7.50"}}


def test_gift_cards_are_left_out_and_minimums_held(node: str) -> None:
    told = config_of(percentage=20, maximum=15_00, minimum_order=30_00)
    card = line(2, "100.00", isGiftCard=True)
    assert run(node, "capped", world(line(1, "20.00"), card, **told)) == {"operations": []}
    taken = only(run(node, "capped", world(line(1, "30.00"), card, **told)), "orderDiscountsAdd")
    assert taken["targets"] == [{"orderSubtotal": {"excludedCartLineIds": ["gid://shopify/CartLine/2"]}}]


def test_only_named_products_are_taken_off(node: str) -> None:
    told = config_of(percentage=50, maximum=15_00, products=(1,), variants=(3,))
    assert told["classes"] == ["PRODUCT"]
    lines = [line(1, "10.00"), line(2, "99.00"), line(3, "30.00")]
    taken = only(run(node, "capped", world(*lines, **told)), "productDiscountsAdd")
    assert [target["cartLine"]["id"][-1] for target in taken["targets"]] == ["1", "3"]
    assert taken["value"] == {"fixedAmount": {"amount": "15.00", "appliesToEachItem": False}}
    assert run(node, "capped", world(line(2, "99.00"), **told)) == {"operations": []}


def test_a_discount_without_configuration_does_nothing(node: str) -> None:
    for export in ("capped", "prices", "shipping"):
        assert run(node, export, world(line(1, "10.00"), tier="advocate")) == {"operations": []}


def test_members_pay_their_tiers_price(node: str) -> None:
    lines = [
        line(1, "10.00", prices={"advocate": 5, "ambassador": 10}),
        line(2, "10.00", prices={"ambassador": 10}),
        line(3, "10.00"),
        line(4, "10.00", prices={"ambassador": 25}),
        line(5, "10.00", prices={"ambassador": "free"}),
        line(6, "10.00", prices={"ambassador": 200}),
    ]
    said = run(node, "prices", world(*lines, tier="ambassador", classes=["PRODUCT"]))
    ((done,),) = [said["operations"]]
    given = {
        candidate["value"]["percentage"]["value"]: [target["cartLine"]["id"][-1] for target in candidate["targets"]]
        for candidate in done["productDiscountsAdd"]["candidates"]
    }
    assert given == {"10": ["1", "2"], "25": ["4"]}
    assert run(node, "prices", world(*lines, tier="insider", classes=["PRODUCT"])) == {"operations": []}
    assert run(node, "prices", world(*lines, classes=["PRODUCT"])) == {"operations": []}


def test_shipping_is_free_for_who_has_it_as_a_perk(node: str) -> None:
    free = only(run(node, "shipping", world(perks=["free-shipping"], classes=["SHIPPING"])), "deliveryDiscountsAdd")
    assert free["value"] == {"percentage": {"value": "100"}}
    assert len(free["targets"]) == 2
    for perks in (["early-access"], [], None):
        assert run(node, "shipping", world(perks=perks, classes=["SHIPPING"])) == {"operations": []}
    assert run(node, "shipping", world(perks=["free-shipping"], classes=["PRODUCT"])) == {"operations": []}


def test_early_access_is_kept_for_those_who_have_it(node: str) -> None:
    lines = [line(1, "10.00", tags=["early-access"]), line(1, "10.00", tags=["early-access"]), line(2, "5.00")]
    said = run(node, "validate", world(*lines))
    ((done,),) = [said["operations"]]
    (error,) = done["validationAdd"]["errors"]
    assert (error["target"], error["message"][:9]) == ("$.cart", "Product 1")
    nothing = {"operations": []}
    assert run(node, "validate", world(*lines, tags=["perk:early-access"])) == nothing
    assert run(node, "validate", world(*lines, tags=["tier:insider"])) != nothing
    assert run(node, "validate", world(*lines, step="CART_INTERACTION")) == nothing
    assert run(node, "validate", world(line(2, "5.00"))) == nothing


def test_the_schema_does_refuse(node: str) -> None:
    """Holding answers against the schema can fail."""
    mutation = schema("discounts").mutation_type
    assert mutation
    kind = mutation.fields["cartLinesDiscountsGenerateRun"].args["result"].type
    assert get_named_type(kind).name == "CartLinesDiscountsGenerateRunResult"
    assert (
        coerce_input_value({"operations": [{"orderDiscountsAdd": {"selectionStrategy": "FIRST"}}]}, kind) is Undefined
    )
    assert coerce_input_value({"operations": [], "more": 1}, kind) is Undefined
