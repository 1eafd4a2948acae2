"""Stripe as one piece: its API, its books, its news, and the pages behind its links."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Flask

from sandbox.store import Store
from sandbox.stripe.api import api
from sandbox.stripe.books import Books
from sandbox.stripe.faults import Faults
from sandbox.stripe.idempotency import Keys
from sandbox.stripe.news import News
from sandbox.stripe.pages import pages


@dataclass
class Stripe:
    """`calls` counts calls by their names; `faults`, `books`, `keys` and `news` are for tests to turn."""

    key: str
    books: Books
    news: News
    keys: Keys
    clock: Callable[[], float] = time.time
    faults: Faults = field(default_factory=Faults)
    calls: Counter[str] = field(default_factory=Counter)

    def mount(self, app: Flask) -> None:
        """Give an app the API and the pages."""
        app.extensions["stripe"] = self
        app.register_blueprint(api)
        app.register_blueprint(pages)

    def close(self) -> None:
        self.news.close()


def start(store: Store, app_url: str, key: str, secret: str) -> Stripe:
    """News go to the app's door, signed with `secret`."""
    news = News(f"{app_url.rstrip('/')}/webhooks/stripe", secret)
    return Stripe(key, Books(store, news), news, Keys(time.time))
