"""Shapes of Admin API answers: connections, cursors, money and search."""

import base64
import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

Node = dict[str, Any]
FAR = 2**62


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


TERM = re.compile(r"""(?:([a-z_]+):)?(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\S+))""")


def terms(query: str | None, known: Sequence[str]) -> list[tuple[str, str]]:
    """A search query as (field, value) pairs that must all fit; the field of a bare word is "".

    Values are lowered. Raises ValueError on a field that is not known.
    """
    found = [(field, one or two or bare) for field, one, two, bare in TERM.findall(query or "") if bare != "AND"]
    strange = [field for field, _ in found if field and field not in known]
    if strange:
        raise ValueError(f"The sandbox store can't search by {strange[0]!r}; it knows {', '.join(known)}.")
    return [(field, re.sub(r"\\(.)", r"\1", value).lower()) for field, value in found]


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
