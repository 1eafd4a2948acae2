"""What makes a tier real in the shop: tags, the app's metafields and segments; and how a merchant can undo it."""

import pytest

from tests.sandbox.conftest import DEMO


@pytest.fixture
def noor(store):
    return store.sandbox.world.customer_by_email(DEMO, "noor.haddad@example.com").id


@pytest.fixture
def owner(noor):
    return f"gid://shopify/Customer/{noor}"


def field(owner, key="points", value="120", kind="number_integer", **more):
    return {"ownerId": owner, "namespace": "$app", "key": key, "type": kind, "value": value, **more}


def refused(answer):
    return [(error["code"], error["field"][-1]) for error in answer["userErrors"]]


def test_metafields_keep_a_digest(call, owner):
    new = call("metafields_set", metafields=[field(owner, compareDigest=None)])
    digest = new["metafields"][0]["compareDigest"]
    stale = call("metafields_set", metafields=[field(owner, value="130", compareDigest="old")])
    assert refused(stale) == [("STALE_OBJECT", "0")]
    fresh = call("metafields_set", metafields=[field(owner, value="130", compareDigest=digest)])
    assert fresh["metafields"][0]["value"] == "130"


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"value": "many"}, ("INVALID_VALUE", "value")),
        ({"value": ""}, ("BLANK", "value")),
        ({"key": "p"}, ("TOO_SHORT", "key")),
        ({"type": "points"}, ("INCLUSION", "type")),
        ({"type": "json", "value": "{"}, ("INVALID_VALUE", "value")),
        ({"ownerId": "gid://shopify/Customer/1"}, ("INVALID", "ownerId")),
    ],
)
def test_one_bad_metafield_refuses_them_all(call, owner, change, refusal):
    answer = call(
        "metafields_set", metafields=[field(owner, "tier", "gold", "single_line_text_field"), field(owner) | change]
    )
    assert refused(answer) == [refusal]
    assert call("customer_perks", id=owner)["metafields"]["nodes"] == []


def test_a_type_stays_while_the_metafield_is_there(call, owner):
    call("metafields_set", metafields=[field(owner)])
    changed = call("metafields_set", metafields=[field(owner, kind="json")])
    assert refused(changed) == [("INVALID_TYPE", "type")]


def test_more_than_25_metafields_are_too_many(call, owner):
    answer = call("metafields_set", metafields=[field(owner, f"key{n}") for n in range(26)])
    assert [error["code"] for error in answer["userErrors"]] == ["LESS_THAN_OR_EQUAL_TO"]


def test_perks_are_read_back_and_deleted(call, owner):
    call("tags_add", id=owner, tags=["tier:gold"])
    call("metafields_set", metafields=[field(owner), field(owner, "tier", "gold", "single_line_text_field")])
    perks = call("customer_perks", id=owner)
    assert perks["tags"] == ["tier:gold"]
    assert {one["key"]: one["value"] for one in perks["metafields"]["nodes"]} == {"points": "120", "tier": "gold"}
    names = [{"ownerId": owner, "namespace": "$app", "key": key} for key in ("tier", "nothing")]
    deleted = call("metafields_delete", metafields=names)["deletedMetafields"]
    assert deleted == [{"ownerId": owner, "key": "tier"}, None]
    assert [one["key"] for one in call("customer_perks", id=owner)["metafields"]["nodes"]] == ["points"]


def test_tags_are_the_same_in_any_case(call, owner):
    call("tags_add", id=owner, tags=["VIP"])
    call("tags_add", id=owner, tags=["vip", "new"])
    assert call("customer_perks", id=owner)["tags"] == ["VIP", "new"]
    call("tags_remove", id=owner, tags=["vip"])
    assert call("customer_perks", id=owner)["tags"] == ["new"]


def test_every_customer_is_walked_once_though_they_change(call, store):
    world = store.sandbox.world
    seen, after = [], None
    while True:
        page = call("customers_perks", first=4, after=after)
        seen += [node["id"] for node in page["nodes"]]
        call("tags_add", id=page["nodes"][0]["id"], tags=["seen"])
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == sorted({f"gid://shopify/Customer/{customer.id}" for customer in world.customers(DEMO)})
    tagged = call("customers_perks", first=50, query="tag:'seen'")["nodes"]
    assert {node["id"] for node in tagged} == set(seen[::4])


def test_a_segment_holds_who_has_the_tag(call, control, owner, noor):
    made = call("segment_create", name="Tier: gold", query="customer_tags CONTAINS 'tier:gold'")["segment"]["id"]
    call("tags_add", id=owner, tags=["tier:gold"])
    (shown,) = control.get("/segments").json()["segments"]
    assert shown["customers"] == [noor]
    assert call("segments_find", query="name:'Tier: gold'")["nodes"] == [
        {"id": made, "name": "Tier: gold", "query": "customer_tags CONTAINS 'tier:gold'"}
    ]
    either = (
        "customer_tags NOT CONTAINS 'tier:gold' AND customer_tags CONTAINS 'x' OR customer_tags CONTAINS 'tier:gold'"
    )
    assert call("segment_update", id=made, name="Gold", query=either)["userErrors"] == []
    assert control.get("/segments").json()["segments"][0]["customers"] == [noor]
    assert call("segment_delete", id=made)["deletedSegmentId"] == made
    assert call("segments_find", query="gold")["nodes"] == []


def test_a_segment_holds_who_never_ordered(call, control, store, noor):
    new = store.sandbox.world.create_customer(DEMO, "Sam", "New", "sam.new@example.com").id
    call("segment_create", name="New", query="number_of_orders = 0")
    call("segment_create", name="Tagged or regular", query="customer_tags CONTAINS 'vip' OR number_of_orders >= 1")
    held = {one["name"]: one["customers"] for one in control.get("/segments").json()["segments"]}
    ordered = {order.customer_id for order in store.sandbox.world.orders(DEMO)} - {None}
    assert new in held["New"]
    assert noor in ordered
    assert set(held["New"]).isdisjoint(ordered)
    assert set(held["Tagged or regular"]) == ordered


@pytest.mark.parametrize(
    ("name", "query", "field"),
    [
        ("", "customer_tags CONTAINS 'x'", "name"),
        ("TAKEN", "customer_tags CONTAINS 'x'", "name"),
        ("New", "amount_spent > 5", "query"),
    ],
)
def test_a_segment_that_can_not_be_is_refused(call, name, query, field):
    call("segment_create", name="Taken", query="customer_tags CONTAINS 'x'")
    answer = call("segment_create", name=name, query=query)
    assert (answer["segment"], [error["field"] for error in answer["userErrors"]]) == (None, [[field]])


def test_a_merchant_undoes_perks_behind_the_apps_back(call, control, owner, noor):
    call("tags_add", id=owner, tags=["tier:gold", "vip"])
    call("metafields_set", metafields=[field(owner)])
    shown = control.get(f"/customers/{noor}").json()
    assert (shown["tags"], shown["metafields"]) == (["tier:gold", "vip"], {"points": "120"})
    control.post(f"/customers/{noor}/tags", json={"tags": ["vip"]}).raise_for_status()
    control.post(f"/customers/{noor}/metafields/delete", json={"key": "points"}).raise_for_status()
    assert control.post(f"/customers/{noor}/metafields/delete", json={"key": "points"}).status_code == 404
    perks = call("customer_perks", id=owner)
    assert (perks["tags"], perks["metafields"]["nodes"]) == (["vip"], [])


def test_a_merge_keeps_the_tags_of_both(store, call, control, noor, owner):
    theo = store.sandbox.world.customer_by_email(DEMO, "theo.okafor@example.com").id
    call("tags_add", id=owner, tags=["tier:gold"])
    call("tags_add", id=f"gid://shopify/Customer/{theo}", tags=["tier:silver"])
    control.post(f"/customers/{theo}/merge", json={"into": noor}).raise_for_status()
    assert call("customer_perks", id=owner)["tags"] == ["tier:gold", "tier:silver"]
