"""Shapes of Admin API answers: connections, cursors, money, and the documents only the Admin API writes."""

import base64
import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from sandbox.admin_api import digest
from sandbox.payloads import gid

Node = dict[str, Any]
FAR = 2**62


class Discount(msgspec.Struct):
    """A code discount the app made. `kind` is the GraphQL type name."""

    id: int
    code: str
    kind: str
    title: str
    starts_at: str
    ends_at: str | None = None
    usage_limit: int | None = None
    once_per_customer: bool = False
    uses: int = 0
    active: bool = True


class Metafield(msgspec.Struct):
    id: int
    owner: str
    namespace: str
    key: str
    type: str
    value: str


def number(global_id: str, kind: str) -> int | None:
    """The number in `gid://shopify/<kind>/<number>`, None for another kind."""
    match = re.fullmatch(rf"gid://shopify/{kind}/(\d+)", global_id)
    return int(match[1]) if match else None


def user_error(field: Sequence[str], message: str, code: str | None = None, **more: Any) -> Node:
    return {"field": list(field), "message": message, "code": code, "extraInfo": None, "elementIndex": None} | more


def connection(nodes: Sequence[Node], *, more: bool = False, cursors: Sequence[str] | None = None) -> Node:
    cursors = cursors or [str(index) for index in range(len(nodes))]
    edges = [{"node": node, "cursor": cursor} for node, cursor in zip(nodes, cursors, strict=True)]
    page = {
        "hasNextPage": more,
        "hasPreviousPage": False,
        "startCursor": cursors[0] if cursors else None,
        "endCursor": cursors[-1] if cursors else None,
    }
    return {"nodes": list(nodes), "edges": edges, "pageInfo": page}


def paged(nodes: Sequence[Node], first: int | None, after: str | None = None) -> Node:
    """A connection over a list that is already in memory; its cursors are positions."""
    start = int(after) + 1 if after else 0
    end = start + (first or 50)
    cursors = [str(index) for index in range(start, min(end, len(nodes)))]
    return connection(nodes[start:end], more=end < len(nodes), cursors=cursors)


def cursor(rank: int, key: int) -> str:
    return base64.b64encode(json.dumps([rank, str(key)]).encode()).decode()


def position(after: str | None) -> tuple[int, str]:
    rank, key = json.loads(base64.b64decode(after)) if after else (-1, "")
    return rank, key


RANGE = re.compile(r"updated_at:(>=|<=|>|<|)'?\"?([^'\"\s]+)'?\"?")


def updated_between(query: str | None) -> tuple[int, int]:
    """Epoch seconds `low <= updated_at < high` of a search query. Raises ValueError on a filter it doesn't know."""
    low, high = 0, FAR
    rest = RANGE.sub("", query or "").replace("AND", "").strip()
    if rest and rest != "test:false":
        raise ValueError(f"The sandbox store can't search by {rest!r}; it knows updated_at and test:false.")
    for sign, text in RANGE.findall(query or ""):
        at = int(datetime.fromisoformat(text).timestamp())
        if sign.startswith(">"):
            low = max(low, at + (sign == ">"))
        elif sign.startswith("<"):
            high = min(high, at + (sign == "<="))
        else:
            low, high = at, at + 1
    return low, high


def short(amount: str) -> str:
    whole, _, part = amount.partition(".")
    return f"{whole}.{part.rstrip('0') or '0'}"


def graph_money(pair: Node) -> Node:
    """A webhook's money set as a MoneyBag."""

    def money(side: str) -> Node:
        return {"amount": short(pair[side]["amount"]), "currencyCode": pair[side]["currency_code"]}

    return {"shopMoney": money("shop_money"), "presentmentMoney": money("presentment_money")}


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def metafield_node(field: Metafield) -> Node:
    return {
        "__typename": "Metafield",
        "id": gid("Metafield", field.id),
        "namespace": field.namespace,
        "key": field.key,
        "type": field.type,
        "value": field.value,
        "compareDigest": digest(field.value),
    }


def discount_node(discount: Discount) -> Node:
    status = "ACTIVE" if discount.active else "EXPIRED"
    code = {"id": gid("DiscountRedeemCode", discount.id), "code": discount.code, "asyncUsageCount": discount.uses}
    body = {
        "__typename": discount.kind,
        "title": discount.title,
        "status": status,
        "startsAt": discount.starts_at,
        "endsAt": discount.ends_at,
        "usageLimit": discount.usage_limit,
        "appliesOncePerCustomer": discount.once_per_customer,
        "asyncUsageCount": discount.uses,
        "codes": lambda first=1, after=None: paged([code], first, after),
    }
    return {"__typename": "DiscountCodeNode", "id": gid("DiscountCodeNode", discount.id), "codeDiscount": body}
