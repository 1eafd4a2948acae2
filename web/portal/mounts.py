"""The two places where the rewards pages stand: inside a shop's theme, and as pages of our own.

Inside, Shopify forwards requests to `/apps/rewards`, signs each and says which customer is signed in to the shop; there
are no cookies. Outside, at `/s/<shop>/rewards`, a cookie of ours knows the member.
"""

from typing import Any, NamedTuple

from flask import g, request, url_for
from werkzeug.routing import BuildError

from core import i18n


class Mount(NamedTuple):
    """Where this request's pages stand, and who is asking.

    `own` is the path that our routes begin with, `prefix` what browsers see instead. `customer_id` is Shopify's word
    for who is signed in, `member_id` that of our cookie.
    """

    domain: str
    own: str
    prefix: str
    inside: bool
    customer_id: int | None = None
    member_id: int | None = None

    @property
    def owner(self) -> str:
        """Whose forms these are."""
        who = f"customer-{self.customer_id}" if self.customer_id else self.member_id or ""
        return f"portal:{self.domain}:{who}"


def mount() -> Mount:
    """Where this request's pages stand."""
    found: Mount = g.mount
    return found


def address(name: str, **values: Any) -> str:
    """Where a page of ours is, as the browser reaches it. A language that was asked for stays asked for."""
    here = mount()
    if "lang" not in values and (asked := chosen()):
        values["lang"] = asked
    anchor = values.pop("_anchor", "")
    path = url_for(f".{name}", **{key: value for key, value in values.items() if value is not None})
    if not path.startswith(here.own):
        raise BuildError(name, values, None)
    return here.prefix + path.removeprefix(here.own) + (f"#{anchor}" if anchor else "")


def chosen() -> str | None:
    """The language that the address asks for, if we speak it."""
    asked = (request.args.get("lang") or request.args.get("locale") or "").split("-")[0].lower()
    return asked if asked in i18n.LANGUAGES else None
