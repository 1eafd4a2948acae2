"""Customer segments: the part of Shopify's segment query language that speaks of tags.

Source: https://shopify.dev/docs/api/shopifyql/segment-query-language-reference
"""

import re

import msgspec

from sandbox.orders import Customer
from sandbox.world import NotFound, World

TEST = re.compile(r"\s*customer_tags\s+(NOT\s+)?CONTAINS\s+'((?:[^'\\]|\\.)*)'\s*", re.IGNORECASE)


class Segment(msgspec.Struct):
    """Times are epoch seconds."""

    id: int
    name: str
    query: str
    created_at: int
    edited_at: int


def tests(query: str) -> list[list[tuple[bool, str]]]:
    """Alternatives of conditions, each whether a tag is wanted and the tag. Raises ValueError on anything else."""
    return [[test(part) for part in either.split(" AND ")] for either in query.split(" OR ")]


def test(text: str) -> tuple[bool, str]:
    match = TEST.fullmatch(text)
    if not match:
        raise ValueError(f"The sandbox store can't segment customers by {text.strip()!r}; it knows customer_tags.")
    return match[1] is None, re.sub(r"\\(.)", r"\1", match[2]).lower()


def matches(segment: Segment, customer: Customer) -> bool:
    tags = {tag.lower() for tag in customer.tags}
    return any(all((tag in tags) == wanted for wanted, tag in every) for every in tests(segment.query))


def every(world: World, domain: str) -> list[Segment]:
    return world.store.all(domain, "segment", Segment)


def find(world: World, domain: str, segment_id: int) -> Segment:
    segment = world.store.get(domain, "segment", segment_id, Segment)
    if segment is None:
        raise NotFound(f"{domain} has no segment {segment_id}.")
    return segment


def save(world: World, domain: str, segment: Segment) -> None:
    world.store.put(domain, "segment", segment.id, segment)


def belongs(world: World, domain: str, segment_ids: list[int], customer: Customer | None) -> bool:
    """Whether a customer is in one of the segments. A deleted segment has nobody in it."""
    return customer is not None and any(
        matches(segment, customer) for segment in every(world, domain) if segment.id in segment_ids
    )
