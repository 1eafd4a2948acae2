"""The sandbox's admin frames an app, and its App Bridge does what the app's pages count on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from flask import Flask, jsonify, request
from playwright.sync_api import FrameLocator, Page, expect
from werkzeug.serving import make_server

from sandbox.admin import USERS
from sandbox.server import Quiet
from sandbox.testing import API_KEY, API_SECRET, Running, in_process, serving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

SHOP = "rapport-demo.myshopify.com"
MENU = """<ui-nav-menu><a href="/merchant" rel="home">Home</a><a href="/merchant/members">Members</a></ui-nav-menu>"""
PAGE = """<!doctype html><title>{path}</title><meta name="shopify-api-key" content="key">
<script src="{bridge}"></script>{menu}
<ui-title-bar title="At {path}">
<button id="plain">Export</button><button variant="primary" id="main">Add</button></ui-title-bar>
<ui-save-bar id="bar"><button variant="primary" id="kept">Keep</button><button id="dropped">Drop</button></ui-save-bar>
<form data-save-bar action="/merchant/saved"><input name="a" aria-label="Name" value="old"></form>
<output></output><script src="/page.js"></script>"""
SCRIPT = """const say = (text) => { document.querySelector("output").textContent = text; };
for (const name of ["plain", "main", "kept", "dropped"]) document.getElementById(name).onclick = () => say(name);"""


def claims(token: str) -> Any:
    return jwt.decode(token, API_SECRET, algorithms=["HS256"], audience=API_KEY)


@pytest.fixture
def embedded() -> Flask:
    """An app whose pages say what they were told, as strict about scripts as ours."""
    app = Flask("embedded")
    app.config["BRIDGE"], app.config["SEEN"] = "", []

    @app.get("/merchant")
    @app.get("/merchant/<path:rest>")
    def page(rest: str = "") -> Any:
        app.config["SEEN"].append(request.args)
        bridge = app.config["BRIDGE"]
        headers = {"Content-Security-Policy": f"default-src 'self'; script-src 'self' {bridge}; style-src 'self'"}
        return PAGE.format(path=request.path, bridge=f"{bridge}/app-bridge.js", menu=MENU), headers

    @app.get("/page.js")
    def script() -> Any:
        return SCRIPT, {"Content-Type": "text/javascript"}

    @app.get("/who")
    def who() -> Any:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        told = claims(token) if scheme == "Bearer" else {}
        # The first token of a page is refused once, as one that has just expired would be.
        if "again" in request.args and len(app.config["SEEN"]) < 2:
            app.config["SEEN"].append(token)
            return "", 401, {"X-Shopify-Retry-Invalid-Session-Request": "1"}
        return jsonify(told)

    return app


@pytest.fixture
def store(embedded: Flask, tmp_path: Path) -> Iterator[Running]:
    server = make_server("127.0.0.1", 0, embedded, threaded=True, request_handler=Quiet)
    with serving(server) as url, in_process(tmp_path, url) as running:
        embedded.config["BRIDGE"] = running.url
        yield running


@pytest.fixture
def inside(store: Running, page: Page) -> FrameLocator:
    page.goto(f"{store.url}/{SHOP}/admin/apps/rapport")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_label("Name")).to_be_visible()
    return frame


def ask(inside: FrameLocator, script: str) -> Any:
    return inside.locator("output").evaluate(f"async () => {script}")


def test_the_app_is_opened_as_shopify_opens_it(inside: FrameLocator, embedded: Flask, page: Page) -> None:
    (told,) = embedded.config["SEEN"]
    assert (told["embedded"], told["shop"]) == ("1", SHOP)
    assert claims(told["id_token"])["dest"] == f"https://{SHOP}"
    assert claims(told["id_token"])["sub"] == str(USERS[0].id)
    expect(page.locator(".title b")).to_have_text("At /merchant")
    assert "id_token" not in page.url


def test_tokens_are_fresh_and_go_to_the_app_alone(inside: FrameLocator, store: Running) -> None:
    first, second = ask(inside, "[await shopify.idToken(), await shopify.idToken()]")
    assert claims(first)["jti"] != claims(second)["jti"]
    assert ask(inside, "(await fetch('/who')).json()")["sub"] == str(USERS[0].id)
    assert ask(inside, "(await fetch('/who?again')).json()")["dest"] == f"https://{SHOP}"
    own = ask(inside, "(await fetch('/who', {headers: {Authorization: 'Basic x'}})).json()")
    assert own == {}
    stolen = httpx.post(f"{store.url}/{SHOP}/admin/session-token", headers={"Sec-Fetch-Site": "cross-site"})
    assert stolen.status_code == 403


def test_a_limited_user_can_be_chosen(inside: FrameLocator, page: Page) -> None:
    page.get_by_label("Signed in as").select_option(str(USERS[1].id))
    expect(page.get_by_text("Analytics")).to_have_count(0)
    expect(inside.get_by_label("Name")).to_be_visible()
    assert claims(ask(inside, "shopify.idToken()"))["sub"] == str(USERS[1].id)


def test_the_admin_draws_menu_title_bar_and_toasts(inside: FrameLocator, page: Page) -> None:
    page.get_by_role("button", name="Add").click()
    expect(inside.locator("output")).to_have_text("main")
    ask(inside, "{ shopify.toast.show('Saved, <b>really</b>'); shopify.loading(true); }")
    expect(page.get_by_text("Saved, <b>really</b>")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.get_by_role("navigation").get_by_role("link", name="Members").click()
    expect(page.locator(".title b")).to_have_text("At /merchant/members")
    page.wait_for_url(f"**/{SHOP}/admin/apps/rapport/members")
    page.reload()
    expect(page.locator(".title b")).to_have_text("At /merchant/members")
    expect(page.locator(".app-menu a")).to_have_attribute("aria-current", "page")


def test_changes_are_saved_or_discarded_in_the_admins_bar(inside: FrameLocator, page: Page) -> None:
    bar = page.get_by_role("region", name="Unsaved changes")
    expect(bar).to_be_hidden()
    inside.get_by_label("Name").fill("new")
    bar.get_by_role("button", name="Discard").click()
    expect(inside.get_by_label("Name")).to_have_value("old")
    expect(bar).to_be_hidden()
    ask(inside, "shopify.saveBar.show('bar')")
    bar.get_by_role("button", name="Keep").click()
    expect(inside.locator("output")).to_have_text("kept")
    ask(inside, "shopify.saveBar.hide('bar')")
    expect(bar).to_be_hidden()
    inside.get_by_label("Name").fill("newer")
    bar.get_by_role("button", name="Save").click()
    expect(page.locator(".title b")).to_have_text("At /merchant/saved")
    page.wait_for_url("**/admin/apps/rapport/saved?a=newer")
