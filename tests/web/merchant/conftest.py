"""The app over a database of its own, its merchant's pages, and tokens as App Bridge makes them."""

import time
from dataclasses import dataclass
from typing import Any

import jwt
import pytest

from core.config import settings
from core.db import database
from shops import tokens
from shops.models import Shop
from tests.web.conftest import app, other_store, store  # noqa: F401
from tests.web.stores import Store
from web.faces import forms

USER = "41"


def session_token(domain: str, *, user: str = USER, **claims: Any) -> str:
    """A session token as Shopify signs it, a minute long."""
    config, now = settings(), int(time.time())
    told = {
        "iss": f"https://{domain}/admin", "dest": f"https://{domain}", "aud": config.shopify_api_key, "sub": user,
        "exp": now + 60, "nbf": now - 5, "iat": now, "jti": "1", "sid": "1",
    }  # fmt: skip
    return jwt.encode(told | claims, config.shopify_api_secret.get_secret_value(), algorithm="HS256")


@dataclass(frozen=True)
class Office:
    """A shop's merchant at work: asks for pages, sends forms."""

    store: Store
    domain: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {session_token(self.domain)}"}

    def get(self, path: str, **query: Any) -> Any:
        return self.store.client.get(f"/merchant{path}", query_string=query, headers=self.headers)

    def post(self, path: str, **fields: Any) -> Any:
        """As htmx sends a form of this merchant's."""
        token = forms.signed(f"merchant:{self.domain}:{USER}")
        sent = {"headers": self.headers | {"HX-Request": "true"}, "data": {**fields, "form_token": token}}
        return self.store.client.post(f"/merchant{path}", **sent)

    def text(self, path: str, **query: Any) -> str:
        """A page's text, which must be there."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return str(answer.text)


def office_of(store: Store) -> Office:  # noqa: F811
    """A merchant of a shop that is installed: with a token for its Admin API."""
    with database().transaction(store.shop_id) as session:
        domain = session.get_one(Shop, store.shop_id).domain
        tokens.keep(session, store.shop_id, tokens.OfflineToken(domain, "none that works", None, None, None, ""))
    return Office(store, domain)


@pytest.fixture
def office(store: Store) -> Office:  # noqa: F811
    return office_of(store)


@pytest.fixture
def other_office(other_store: Store) -> Office:  # noqa: F811
    return office_of(other_store)
