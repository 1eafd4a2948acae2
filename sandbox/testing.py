"""A sandbox inside the running process, for tests: `with in_process(state, app_url) as sandbox: sandbox.url …`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from werkzeug.serving import BaseWSGIServer, make_server

from sandbox.google import world as google_world
from sandbox.google.world import Google
from sandbox.outbox import Weather
from sandbox.server import Quiet, Sandbox, build, create_app, serve
from sandbox.store import Store
from sandbox.stripe import world as stripe_world
from sandbox.stripe.world import Stripe

API_KEY = "development-api-key"
API_SECRET = "development-api-secret"


@dataclass
class Running:
    """`url` has no slash at its end. `sandbox.world` is the way to make things happen without HTTP."""

    url: str
    sandbox: Sandbox
    app: Flask


@contextmanager
def in_process(
    state: Path,
    app_url: str,
    *,
    api_key: str = API_KEY,
    api_secret: str = API_SECRET,
    weather: Weather | None = None,
    port: int = 0,
) -> Iterator[Running]:
    """A sandbox on a free port of loopback, with its world under `state`; gone when the block ends."""
    sandbox = build(state, app_url, api_key, api_secret, weather)
    try:
        app = create_app(sandbox)
        with serving(serve(app, port)) as url:
            yield Running(url, sandbox, app)
    finally:
        sandbox.close()


@contextmanager
def google_in_process(folder: Path, store: Store) -> Iterator[tuple[str, Google]]:
    """Google alone on a free port of loopback, its account in `folder`; the URL has no slash at its end."""
    google = google_world.start(folder, store)
    app = Flask("sandbox")
    google.mount(app)
    try:
        with serving(make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)) as url:
            yield url, google
    finally:
        google.close()


@contextmanager
def stripe_in_process(store: Store, app_url: str, key: str, secret: str) -> Iterator[tuple[str, Stripe]]:
    """Stripe alone on a free port of loopback; the URL is the app's STRIPE_URL."""
    stripe = stripe_world.start(store, app_url, key, secret)
    app = Flask("sandbox")
    stripe.mount(app)
    try:
        with serving(make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)) as url:
            yield f"{url}/stripe", stripe
    finally:
        stripe.close()


@contextmanager
def serving(server: BaseWSGIServer) -> Iterator[str]:
    """Its URL while it serves in a thread of its own."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
