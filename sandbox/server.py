"""The sandbox over HTTP: Shopify's own routes under /{shop}/admin, a control API under /sandbox, a storefront."""

import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from aiosmtpd.controller import Controller
from flask import Blueprint, Flask, Response, current_app, jsonify, request, send_file
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from sandbox import answers, basket, faults, seed
from sandbox.admin import admin
from sandbox.admin_api import VERSIONS, AdminApi, schema
from sandbox.apple.pages import iphone
from sandbox.apple.world import Apple
from sandbox.bulk import Bulk
from sandbox.control import control
from sandbox.faults import Fault, Faults
from sandbox.google.world import Google
from sandbox.klaviyo import klaviyo
from sandbox.mailbox import mailbox
from sandbox.oauth import App
from sandbox.orders import OrderError
from sandbox.outbox import Outbox, Weather
from sandbox.store import Store
from sandbox.stripe.world import Stripe
from sandbox.world import NotFound, World

shopify = Blueprint("shopify", __name__)
log = logging.getLogger("sandbox")


@dataclass
class Sandbox:
    """Everything one running sandbox holds. `app_url` has no slash at its end."""

    world: World
    outbox: Outbox
    app: App
    api: AdminApi
    faults: Faults
    app_url: str
    bulk: Bulk
    apple: Apple | None = None
    google: Google | None = None
    stripe: Stripe | None = None
    mail: Controller | None = None

    def close(self) -> None:
        if self.apple:
            self.apple.close()
        if self.google:
            self.google.close()
        if self.stripe:
            self.stripe.close()
        if self.mail:
            self.mail.stop()
        self.outbox.stop()
        self.world.store.close()


def build(state: Path, app_url: str, api_key: str, api_secret: str, weather: Weather | None = None) -> Sandbox:
    """Open or make the world kept under `state` and start sending its webhooks to the app."""
    store, app_url = Store(state / "sandbox.sqlite"), app_url.rstrip("/")
    outbox = Outbox(store, f"{app_url}/webhooks/shopify", api_secret, weather=weather)
    world = World(store, outbox)
    seed.seed(world)
    outbox.start()
    faults = Faults()
    bulk = Bulk(world, answers.roots(world), faults, state / "bulk")
    api = AdminApi(answers.roots(world, bulk))
    return Sandbox(world, outbox, App(api_key, api_secret), api, faults, app_url, bulk)


def create_app(sandbox: Sandbox) -> Flask:
    app = Flask(__name__)
    app.secret_key = secrets.token_bytes(32)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["sandbox"] = sandbox
    app.register_blueprint(control)
    app.register_blueprint(klaviyo)
    if sandbox.apple:
        app.register_blueprint(iphone)
    if sandbox.google:
        sandbox.google.mount(app)
    if sandbox.stripe:
        sandbox.stripe.mount(app)
    app.register_blueprint(mailbox)
    app.register_blueprint(shopify)
    app.register_blueprint(admin)
    app.register_blueprint(basket.storefront)
    app.register_error_handler(NotFound, lambda error: (jsonify(errors=str(error)), 404))
    app.register_error_handler(OrderError, lambda error: (jsonify(errors=str(error)), 422))
    app.add_url_rule("/healthz", view_func=lambda: {"status": "ok"}, endpoint="healthz")
    return app


def running() -> Sandbox:
    found: Sandbox = current_app.extensions["sandbox"]
    return found


@shopify.before_request
def before() -> Response | None:
    fault = running().faults.next()
    return faults.transport(fault) if fault else None


@shopify.post("/<domain>/admin/oauth/access_token")
def access_token(domain: str) -> tuple[Response, int]:
    sandbox = running()
    form = request.get_json(silent=True) if request.is_json else request.form.to_dict()
    body, status = sandbox.app.grant(sandbox.world, sandbox.world.shop(domain), form or {})
    return jsonify(body), status


@shopify.post("/<domain>/admin/api/<version>/graphql.json")
def graphql(domain: str, version: str) -> Any:
    sandbox = running()
    shop = sandbox.world.shop(domain)
    if version not in VERSIONS:
        return jsonify(errors="Not Found"), 404
    if not authorized(sandbox, domain):
        return jsonify(errors="[API] Invalid API key or access token (unrecognized login or wrong password)"), 401
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        return jsonify(errors={"query": "Required parameter missing or invalid"}), 400
    fault = sandbox.faults.next(faults.called_fields(str(body.get("query") or ""))) or Fault("none")
    if fault.kind == "timeout_before":
        return faults.hang_up(fault.seconds)
    if spoiled := faults.transport(fault):
        return spoiled
    throttled = "sandbox.throttle" in request.environ
    answer = sandbox.api.run(shop.domain, body, throttled=throttled, forced=faults.forced(fault))
    if fault.kind == "timeout_after":
        return faults.hang_up(fault.seconds)
    return Response(msgspec.json.encode(answer), mimetype="application/json")


def authorized(sandbox: Sandbox, domain: str) -> bool:
    token = request.headers.get("X-Shopify-Access-Token", "")
    return sandbox.world.install(domain).access.get(token, 0) > sandbox.world.clock()


@shopify.get("/<domain>/bulk/<int:number>.jsonl")
def bulk_file(domain: str, number: int) -> Response:
    """A bulk operation's answer, whole or by `Range`, to whoever knows its address."""
    path = running().bulk.path(running().world.shop(domain).domain, number)
    if not path.exists():
        raise NotFound(f"There is no file of bulk operation {number}.")
    return send_file(path.resolve(), mimetype="application/jsonl", conditional=True, etag=False)


class Quiet(WSGIRequestHandler):
    """Keep-alive, and no line per request: the delivery log is what one reads."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def serve(app: Flask, port: int) -> BaseWSGIServer:
    """A threaded server on loopback, bound but not yet serving. Port 0 picks a free one (`server.port`)."""
    schema()
    return make_server("127.0.0.1", port, app, threaded=True, request_handler=Quiet)


def urls(server: BaseWSGIServer, domains: Iterable[str]) -> dict[str, str]:
    return {domain: f"http://127.0.0.1:{server.port}/{domain}/" for domain in domains}
