"""A shop with a member, looked at from inside its theme (as Shopify forwards it) and from outside."""

from collections.abc import Callable
from typing import Any

import pytest

from core.db import database
from tests.web.portal.people import Alone, Inside
from tests.web.stores import Store


@pytest.fixture
def inside(store: Store) -> Callable[..., Inside]:
    """`inside(customer_id)`: the pages as Shopify forwards them for who is signed in to the shop, None for nobody."""
    return lambda customer=None, domain="roastery.myshopify.com", **more: Inside(store, customer, domain, more)


@pytest.fixture
def alone(store: Store) -> Callable[..., Alone]:
    """`alone(member_id)`: a browser that has followed the link of a mail, None for one that has not."""
    return lambda member=None: Alone(store, store.app.test_client(), member)


@pytest.fixture
def noor(store: Store) -> dict[str, Any]:
    """A member with an order of $800: 50 points for joining and 800 for the order."""
    store.settle(store.order(1, store.customer(7, "noor@example.com"), 800_00))
    return store.member_of(store.customer(7))


@pytest.fixture
def shop_id(store: Store) -> int:
    return store.shop_id


@pytest.fixture
def session(store: Store) -> Any:
    with database().transaction(store.shop_id) as session:
        yield session
