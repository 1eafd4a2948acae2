"""Shops whose points expire."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.loyalty.expiry.shop import Expiring

Open = Callable[..., Expiring]


@pytest.fixture
def open_shop(database_url: str) -> Iterator[Open]:
    """Makes the shop of a test, and proves its books when the test is over."""
    opened: list[Expiring] = []

    def make(*given: Any, **named: Any) -> Expiring:
        opened.append(Expiring(database_url, *given, **named))
        return opened[-1]

    yield make
    for shop in opened:
        assert shop.proven()
        shop.database.dispose()
