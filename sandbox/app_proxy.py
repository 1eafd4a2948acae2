"""The storefront's app proxy: `/apps/rewards` is the app's, reached through the shop as Shopify reaches it.

Known of Shopify: any method and its body are forwarded, with the query signed and said which customer is signed in;
cookies are dropped both ways, and a few more headers on the way back; an answer of `application/liquid` is rendered
inside the theme, any other is handed on as it is, with its status. Shopify documents that it follows redirects itself,
while apps have seen theirs reach the browser, with the signed address in it: here a redirect is handed on, and an app
does well to answer none that leads to itself.
Source: https://shopify.dev/docs/apps/build/online-store/display-dynamic-data

Every shop here stands under a path of one host, so the prefix it tells has the shop's before Shopify's own.
"""

import functools
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode

import httpx
from flask import Response, current_app, g, render_template, request
from markupsafe import Markup

from sandbox.orders import Customer
from sandbox.signing import proxy_signature

if TYPE_CHECKING:
    from sandbox.server import Sandbox

SUBPATH = "/apps/rewards"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
PATIENCE = 10  # seconds
LIQUID = "application/liquid"
# Ours to say, or never handed on to an app.
_KEPT_BACK = frozenset(("cookie", "host", "connection", "content-length", "transfer-encoding", "accept-encoding"))
# What Shopify takes out of an app's answer, and what concerns only the way it came here.
_TAKEN_OUT = frozenset(
    re.findall(
        r"\S+",
        """
        accept-patch accept-ranges connection cookie date delta-base im p3p pragma preference-applied proxy-authenticate
        public-key-pins server service-worker-allowed set-cookie trailer tk warning x-powered-by
        content-encoding content-length keep-alive transfer-encoding
        """,
    )
)
_NO_LAYOUT = re.compile(r"\{%-?\s*layout none\s*-?%\}")
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


def answer(customer: Customer | None) -> Any:
    """What the app says to the current request of a browser in which `customer` is signed in."""
    try:
        told = forward(customer)
    except httpx.HTTPError:
        return render_template("storefront/refused.html", why="There was an error in the third-party application."), 502
    kept = [(name, value) for name, value in told.headers.multi_items() if name not in _TAKEN_OUT]
    if told.headers.get("content-type", "").partition(";")[0].strip().lower() == LIQUID:
        return themed(told, kept)
    return Response(told.content, told.status_code, kept)


def forward(customer: Customer | None) -> httpx.Response:
    """Send the browser's request on to the app. Raises httpx.HTTPError."""
    prefix = f"/{g.shop.domain}{SUBPATH}"
    sandbox: Sandbox = current_app.extensions["sandbox"]
    rest = quote(request.path.removeprefix(prefix), safe="/~!$&'()*+,;=:@")
    headers = {name: value for name, value in request.headers if name.lower() not in _KEPT_BACK}
    asked = httpx.Request(
        request.method,
        f"{sandbox.app_url}{SUBPATH}{rest}?{signed(sandbox.app.api_secret, prefix, customer)}",
        content=request.get_data(),
        headers=headers | {"X-Forwarded-Host": g.shop.domain, "X-Forwarded-For": request.remote_addr or ""},
        extensions={"timeout": httpx.Timeout(PATIENCE).as_dict()},
    )
    told = _wire().handle_request(asked)
    told.read()
    return told


@functools.cache
def _wire() -> httpx.HTTPTransport:
    """Keeps nothing between requests but connections: unlike a client it knows neither cookies nor redirects."""
    return httpx.HTTPTransport()


def signed(secret: str, prefix: str, customer: Customer | None) -> str:
    """The browser's query with what Shopify adds to it."""
    pairs = parse_qsl(request.query_string.decode("ascii", "replace"), keep_blank_values=True)
    pairs += [
        ("shop", g.shop.domain),
        ("logged_in_customer_id", str(customer.id) if customer else ""),
        ("path_prefix", prefix),
        ("timestamp", str(int(time.time()))),
    ]
    return urlencode([*pairs, ("signature", proxy_signature(secret, pairs))])


def themed(told: httpx.Response, headers: list[tuple[str, str]]) -> Response:
    """The answer inside the theme, or alone with `{% layout none %}`. No other Liquid is run here: it becomes an error,
    as it is none of the app's pages' business.
    """
    alone = _NO_LAYOUT.search(told.text)
    body = _TAG.sub("Liquid error: not run in the sandbox", _NO_LAYOUT.sub("", told.text))
    page = body if alone else render_template("storefront/app.html", body=Markup(body))
    kept = [(name, value) for name, value in headers if name not in ("content-type", "etag", "last-modified")]
    return Response(page, told.status_code, kept, mimetype="text/html")
