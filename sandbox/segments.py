"""Customer segments: the part of Shopify's segment query language that speaks of tags and of numbers of orders.

Source: https://shopify.dev/docs/api/shopifyql/segment-query-language-reference
"""

import operator
import re
from collections.abc import Callable, Collection
from typing import NamedTuple

import msgspec

from sandbox.orders import Customer
from sandbox.world import NotFound, World

TAGS = re.compile(r"\s*customer_tags\s+(NOT\s+)?CONTAINS\s+'((?:[^'\\]|\\.)*)'\s*", re.IGNORECASE)
ORDERS = re.compile(r"\s*number_of_orders\s*(>=|<=|!=|=|>|<)\s*(\d+)\s*", re.IGNORECASE)
COMPARE = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


class Visitor(NamedTuple):
    """Somebody at the checkout, as far as segments ask: their tags, and how many orders they placed before."""

    tags: Collection[str]
    orders: int


Test = Callable[[Visitor], bool]


class Segment(msgspec.Struct):
    """Times are epoch seconds."""

    id: int
    name: str
    query: str
    created_at: int
    edited_at: int


def tests(query: str) -> list[list[Test]]:
    """Alternatives of conditions. Raises ValueError on anything else."""
    return [[test(part) for part in either.split(" AND ")] for either in query.split(" OR ")]


def test(text: str) -> Test:
    if match := TAGS.fullmatch(text):
        wanted, tag = match[1] is None, re.sub(r"\\(.)", r"\1", match[2]).lower()
        return lambda visitor: (tag in {one.lower() for one in visitor.tags}) == wanted
    if match := ORDERS.fullmatch(text):
        compare, number = COMPARE[match[1]], int(match[2])
        return lambda visitor: compare(visitor.orders, number)
    known = "it knows customer_tags and number_of_orders"
    raise ValueError(f"The sandbox store can't segment customers by {text.strip()!r}; {known}.")


def matches(segment: Segment, visitor: Visitor | None) -> bool:
    """Whether somebody is in it; of nobody it can't be said."""
    return visitor is not None and any(all(test(visitor) for test in every) for every in tests(segment.query))


def every(world: World, domain: str) -> list[Segment]:
    return world.store.all(domain, "segment", Segment)


def find(world: World, domain: str, segment_id: int) -> Segment:
    segment = world.store.get(domain, "segment", segment_id, Segment)
    if segment is None:
        raise NotFound(f"{domain} has no segment {segment_id}.")
    return segment


def save(world: World, domain: str, segment: Segment) -> None:
    world.store.put(domain, "segment", segment.id, segment)


def belongs(world: World, domain: str, segment_ids: list[int], visitor: Visitor | None) -> bool:
    """Whether somebody is in one of the segments. A deleted segment has nobody in it."""
    return any(matches(segment, visitor) for segment in every(world, domain) if segment.id in segment_ids)


def visitor(world: World, domain: str, customer: Customer | None, email: str = "") -> Visitor | None:
    """Somebody by their account or their address; a guest of whom nothing is known is a new customer."""
    known = customer or (world.customer_by_email(domain, email) if email else None)
    address = ((known and known.email) or email).lower()
    if known is None and not address:
        return None
    number = known.id if known else 0
    past = [
        one for one in world.orders(domain) if (address and one.email.lower() == address) or one.customer_id == number
    ]
    return Visitor(known.tags if known else (), len(past))
