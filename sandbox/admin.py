"""A shop's admin as far as an embedded app needs one: it frames the app with a session token, and its App Bridge.

`/app-bridge.js` stands in for Shopify's: it runs in the app's page and asks the admin around it for tokens, and to draw
what belongs to the admin (menu, title, save bar, toasts). Who is signed in is chosen in the top bar.
Source: https://shopify.dev/docs/api/app-home
"""

import base64
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request, send_from_directory

from sandbox.orders import Shop

if TYPE_CHECKING:
    from sandbox.server import Sandbox

admin = Blueprint("admin", __name__)
HOME = "/merchant"  # the path of the app's home, as its shopify.app.toml says


class User(NamedTuple):
    """Somebody of the shop's staff. `limited` ones see the app and their own part of the admin."""

    id: int
    name: str
    role: str
    limited: bool


USERS = (
    User(94_100_000_001, "Mira Castellan", "Store owner", False),
    User(94_100_000_002, "Jonas Bree", "Limited: orders and customers", True),
)


def running() -> "Sandbox":
    found: Sandbox = current_app.extensions["sandbox"]
    return found


def user() -> User:
    """Who is signed in: the owner, until somebody else is chosen."""
    return next((one for one in USERS if str(one.id) == request.cookies.get("staff")), USERS[0])


@admin.get("/<domain>/admin")
@admin.get("/<domain>/admin/")
def home(domain: str) -> Any:
    return redirect(f"/{running().world.shop(domain).domain}/admin/apps/rapport")


@admin.get("/<domain>/admin/apps/rapport")
@admin.get("/<domain>/admin/apps/rapport/")
@admin.get("/<domain>/admin/apps/rapport/<path:path>")
def framed(domain: str, path: str = "") -> str:
    """The app's page inside the admin."""
    sandbox = running()
    shop = sandbox.world.shop(domain)
    source = f"{sandbox.app_url}{HOME}{f'/{path}' if path else ''}?{launch(sandbox, shop)}"
    place = urlsplit(sandbox.app_url)
    return render_template(
        "admin/frame.html",
        shop=shop, user=user(), users=USERS, source=source, app_home=HOME, app_origin=f"{place.scheme}://{place.netloc}",
    )  # fmt: skip


def launch(sandbox: "Sandbox", shop: Shop) -> str:
    """The query an app is opened with: its own, then what Shopify adds and signs, as with OAuth."""
    where = f"{urlsplit(request.host_url).netloc}/{shop.domain}/admin"
    told = {name: values[-1] for name, values in request.args.lists()} | {
        "embedded": "1",
        "host": base64.urlsafe_b64encode(where.encode()).decode().rstrip("="),
        "locale": request.args.get("locale", "en"),
        "session": secrets.token_hex(32),
        "shop": shop.domain,
        "timestamp": str(int(time.time())),
        "id_token": sandbox.app.session_token(shop, user().id),
    }
    said = "&".join(f"{name}={value}" for name, value in sorted(told.items()))
    return urlencode(told | {"hmac": hmac.digest(sandbox.app.api_secret.encode(), said.encode(), "sha256").hex()})


@admin.post("/<domain>/admin/session-token")
def session_token(domain: str) -> Any:
    """A fresh token of who is signed in. Only the admin's own pages may ask: a cookie alone proves no page.

    Where the app was uninstalled, pages of it that are still open get none.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return jsonify(errors="Not from the admin"), 403
    sandbox = running()
    if sandbox.world.left(domain):
        return jsonify(errors="The app is not installed"), 404
    return jsonify(session_token=sandbox.app.session_token(sandbox.world.shop(domain), user().id))


@admin.post("/<domain>/admin/staff")
def sign_in(domain: str) -> Any:
    """Be one of the shop's staff (`user`)."""
    answer = redirect(f"/{running().world.shop(domain).domain}/admin/apps/rapport", 303)
    answer.set_cookie("staff", request.form.get("user", ""), path=f"/{domain}/admin", httponly=True, samesite="Lax")
    return answer


@admin.get("/app-bridge.js")
def app_bridge() -> Response:
    answer = send_from_directory(str(current_app.static_folder), "app-bridge.js", mimetype="text/javascript")
    answer.headers["Cache-Control"] = "no-cache"
    answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return answer
