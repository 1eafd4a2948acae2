"""What every view of the merchant gets: one transaction of one shop, who asks, and the shop's own clock and words."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, g, redirect, request, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from core import clock
from core.config import settings
from core.db import database
from loyalty import programs
from loyalty.programs import Programs, Version
from shops.models import Shop
from shops.staff import queries as staff
from web.merchant.access import Visitor

merchant = Blueprint("merchant", __name__, url_prefix="/merchant")

MAX_ID = 2**63 - 1
# An id in a path. What no row's id can be is not found.
ID = f"int(min=1, max={MAX_ID})"

Answer = str | Response | tuple[str, int]


@dataclass(frozen=True)
class Desk:
    """A request of somebody of the shop's staff: their shop's open session, and who they are."""

    session: Session
    shop: Shop
    visitor: Visitor

    @property
    def shop_id(self) -> int:
        return self.shop.id

    @property
    def actor(self) -> str:
        return self.visitor.actor

    @functools.cached_property
    def now(self) -> datetime:
        return clock.now()

    @functools.cached_property
    def programs(self) -> Programs:
        return programs.load(self.session, [self.shop.id])

    @functools.cached_property
    def staff_name(self) -> Callable[[str], str | None]:
        """What to call somebody at the counter by the actor that the ledger has."""
        return staff.names(self.session, self.shop.id)

    @property
    def version(self) -> Version:
        """The program in force. Raises NotFound for a shop without one."""
        return self.programs.in_force(self.shop.id, self.now)

    @property
    def zone(self) -> ZoneInfo:
        """The clock that the shop's days follow."""
        return self.version.program.zone


def page(rule: str, *, methods: Sequence[str] = ("GET",)) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Serve a view `(desk, **path)` in one transaction; its answer is whole before the commit."""

    def declare(view: Callable[..., Answer]) -> Callable[..., Answer]:
        @functools.wraps(view)
        def answer(**path: Any) -> Answer:
            visitor: Visitor = g.visitor
            with database().transaction(visitor.shop_id) as session:
                return view(Desk(session, session.get_one(Shop, visitor.shop_id), visitor), **path)

        merchant.add_url_rule(rule, view.__name__, answer, methods=methods, strict_slashes=False)
        return view

    return declare


def post(rule: str) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Serve a view that changes something."""
    return page(rule, methods=("POST",))


def go(endpoint: str, **values: Any) -> Response:
    """Show another page after a change. `said` among the values is told there, signed."""
    if "said" in values:
        values["said"] = _said().dumps(values["said"])
    return redirect(url_for(f"merchant.{endpoint}", **values), 303)


def told() -> str:
    """What the change before this page has to say, for a minute."""
    try:
        return str(_said().loads(request.args.get("said", ""), max_age=60))
    except BadSignature:
        return ""


def _said() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt="merchant's notice")
