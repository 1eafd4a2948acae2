"""A sandbox inside the running process, for tests: `with in_process(state, app_url) as sandbox: sandbox.url …`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.outbox import Weather
from sandbox.server import Sandbox, build, create_app, serve

API_KEY = "development-api-key"
API_SECRET = "development-api-secret"


@dataclass
class Running:
    """`url` has no slash at its end. `sandbox.world` is the way to make things happen without HTTP."""

    url: str
    sandbox: Sandbox


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
    server = serve(create_app(sandbox), port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Running(f"http://127.0.0.1:{server.port}", sandbox)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        sandbox.close()
