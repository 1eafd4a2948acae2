"""How tests open the rewards pages, read them, and send their forms."""

import hashlib
import hmac
import re
import time
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlencode, urlsplit

from sqlalchemy.orm import Session

from core.config import settings
from core.db import database
from shops.models import Shop
from tests.web.stores import Store
from web.portal import sessions

PREFIX = "/apps/rewards"


def signed(params: dict[str, Any], secret: str | None = None) -> str:
    """A query as Shopify signs it."""
    key = (secret or settings().shopify_api_secret.get_secret_value()).encode()
    told = {name: str(value) for name, value in params.items()}
    said = "".join(sorted(f"{name}={value}" for name, value in told.items()))
    return urlencode(told | {"signature": hmac.new(key, said.encode(), hashlib.sha256).hexdigest()})


@dataclass
class Seen:
    """A page: its status, its HTML, and what of it people read."""

    answer: Any

    @property
    def status(self) -> int:
        return int(self.answer.status_code)

    @property
    def html(self) -> str:
        return str(self.answer.get_data(as_text=True))

    @property
    def text(self) -> str:
        without = re.sub(r"(?s)<(style|script)\b.*?</\1>", " ", self.html)
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", without))).replace("\u00a0", " ")

    def form(self, name: str, **which: str) -> dict[str, str]:
        """The fields of the form that goes to `name`, the one with these values among several."""
        for action, body in re.findall(r'(?s)<form[^>]*action="([^"]+)"[^>]*>(.*?)</form>', self.html):
            fields = {
                unescape(k): unescape(v)
                for k, v in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', body)
            }
            if urlsplit(action).path.endswith(f"/{name}") and which.items() <= fields.items():
                return fields
        raise AssertionError(f"no form {name} {which} on the page")


@dataclass
class Inside:
    """The pages as Shopify forwards them."""

    store: Store
    customer: int | None
    domain: str
    more: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def query(self, **params: Any) -> str:
        told = {"shop": self.domain, "path_prefix": PREFIX, "timestamp": int(time.time()),
                "logged_in_customer_id": self.customer or ""}  # fmt: skip
        return signed(told | self.more | params)

    def get(self, path: str = "", **params: Any) -> Seen:
        return Seen(self.store.client.get(f"{PREFIX}{path}?{self.query(**params)}", headers=self.headers))

    def post(self, name: str, fields: dict[str, Any]) -> Seen:
        return Seen(self.store.client.post(f"{PREFIX}/{name}?{self.query()}", data=fields, headers=self.headers))

    def onward(self, seen: Seen) -> str:
        """Where the page that comes after a form leads. Nothing signed is in it."""
        assert seen.status == 200, seen.text
        assert seen.answer.headers["Content-Type"].startswith("text/html")
        assert "signature" not in seen.html
        return unescape(re.findall(r'<a href="([^"]+)" data-onward', seen.html)[0])

    def follow(self, seen: Seen) -> Seen:
        """That page, as the browser and Shopify would go there."""
        to = urlsplit(self.onward(seen))
        params = dict(pair.split("=", 1) for pair in to.query.split("&") if pair)
        return self.get(to.path.removeprefix(PREFIX), **params)


@dataclass
class Alone:
    """A browser with its cookies."""

    store: Store
    browser: Any
    member: int | None

    def __post_init__(self) -> None:
        if self.member is not None:
            self.browser.get(link_of(self.store, self.member))

    @property
    def prefix(self) -> str:
        return "/s/roastery/rewards"

    def get(self, path: str = "", **params: Any) -> Seen:
        return Seen(self.browser.get(f"{self.prefix}{path}", query_string=params))

    def post(self, name: str, fields: dict[str, Any]) -> Seen:
        return Seen(self.browser.post(f"{self.prefix}/{name}", data=fields))

    def follow(self, seen: Seen) -> Seen:
        assert seen.status == 303, seen.text
        return Seen(self.browser.get(seen.answer.headers["Location"]))


def shop_of(session: Session, store: Store) -> Shop:
    return session.get_one(Shop, store.shop_id)


def link_of(store: Store, member_id: int) -> str:
    """The path of the link that a mail to this member holds."""
    with database().transaction(store.shop_id) as session:
        return urlsplit(sessions.link(shop_of(session, store), int(member_id))).path
