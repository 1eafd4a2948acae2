"""The shopper's face: rewards pages inside a shop's theme (`/apps/rewards`) and on their own (`/s/<shop>/rewards`).

`mounts` says where a request's pages stand and who asks, `visits` opens it, `view` and `earning` gather what is shown,
`pages` shows it, `acts` are its forms. Both places share every page; what differs is how people are known, and that
what goes into a theme is told apart from Liquid (`liquid`).
"""

from typing import Any

from flask import Blueprint, Flask, Response, g, redirect, request

from core import i18n
from core.config import settings
from shops.proxy import verified
from web import faces, storefronts
from web.faces import Look, policy
from web.portal import acts, entering, liquid, mounts, pages, sessions, words
from web.portal.mounts import Mount

PROXY = storefronts.PROXY

# Path, what answers, and how. Every route is looked through by the tests of signatures and sessions.
_PAGES: tuple[tuple[str, str, Any], ...] = (
    ("", "home", pages.home),
    ("/history", "history", pages.history),
    ("/preferences", "preferences", pages.preferences),
)
_ACTS: tuple[tuple[str, Any], ...] = (
    ("redeem", acts.redeem),
    ("give-back", acts.give_back),
    ("answer", acts.answer),
    ("consent", acts.consent),
    ("did", acts.did),
    ("nps", acts.nps),
    ("birthday", acts.birthday),
    ("export", acts.export),
    ("delete", acts.delete),
)
_LOOK = Look("portal/sorry.html", words.sorry)

inside = Blueprint("rewards_inside", __name__, url_prefix=PROXY)
alone = Blueprint("rewards", __name__, url_prefix="/s/<shop_name:name>/rewards")
for _blueprint in (inside, alone):
    i18n.speaks(_blueprint, mounts.chosen)


def register(app: Flask) -> None:
    """Give the app the rewards pages in both places."""
    app.register_blueprint(inside)
    app.register_blueprint(alone)


# Who asks.


@inside.before_request
def _forwarded() -> Response | None:
    """Only what Shopify has signed is answered. In a demo, who comes without any signature is sent to the store."""
    if settings().demo_shop and not request.query_string and request.method == "GET":
        away: Any = redirect(f"{settings().sandbox_url}/{settings().demo_shop}{request.path}")
        return away
    asked = verified(request.query_string)
    g.mount = Mount(asked.shop, PROXY, asked.path_prefix or PROXY, inside=True, customer_id=asked.customer_id)
    return None


@alone.url_value_preprocessor
def _name_shop(endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.shop_name = (values or {}).pop("name")


@alone.url_defaults
def _same_shop(endpoint: str, values: dict[str, Any]) -> None:
    values.setdefault("name", g.shop_name)


@alone.before_request
def _remembered() -> None:
    domain, own = f"{g.shop_name}.myshopify.com", f"/s/{g.shop_name}/rewards"
    g.mount = Mount(domain, own, own, inside=False, member_id=sessions.remembered(domain))


def _owned() -> None:
    if "mount" in g:
        g.form_owner = mounts.mount().owner


# What both places have.


def _allowed() -> policy.Allowed:
    return policy.Allowed()


def _into_the_theme(response: Response) -> Response:
    """The one place where a page becomes part of a theme."""
    if "mount" in g and "as_it_is" not in g and response.mimetype == "text/html":
        response.set_data(liquid.inert(response.get_data(as_text=True)))
        response.headers["Content-Type"] = f"{liquid.MIMETYPE}; charset=utf-8"
    return response


def _furnish(blueprint: Blueprint) -> None:
    blueprint.before_request(_owned)
    blueprint.context_processor(pages.for_templates)
    faces.dress(blueprint, _LOOK, allowed=_allowed, nowhere=pages.nowhere)
    for path, name, shown in _PAGES:
        blueprint.add_url_rule(path, name, shown, strict_slashes=False)
    for name, act in _ACTS:
        blueprint.add_url_rule(f"/{name}", name.replace("-", "_"), act, methods=["POST"])


_furnish(inside)
_furnish(alone)
inside.add_url_rule("/join", "join", acts.join, methods=["POST"])
inside.after_request(_into_the_theme)
alone.add_url_rule("/enter/<signed>", "enter", pages.enter)
alone.add_url_rule("/leave", "leave", acts.leave, methods=["POST"])
alone.add_url_rule("/sign-in", "sign_in", entering.ask)
alone.add_url_rule("/sign-in", "send_link", entering.send, methods=["POST"])
