"""Run the sandbox store: `python -m sandbox --port 5010 --state .rapport --app-url http://127.0.0.1:5000`."""

import signal
import threading
from pathlib import Path

import click
import msgspec

from sandbox import mailbox
from sandbox.apple import world as apple_world
from sandbox.google import world as google_world
from sandbox.outbox import Weather
from sandbox.server import build, create_app, serve, urls
from sandbox.stripe import world as stripe_world
from sandbox.world import SHOPS


@click.command()
@click.option("--port", type=int, required=True, help="0 picks a free one.")
@click.option("--state", type=click.Path(path_type=Path), required=True, help="Where the world is kept.")
@click.option("--app-url", required=True, help="Where the app answers; webhooks go to /webhooks/shopify there.")
@click.option("--api-key", envvar="SHOPIFY_API_KEY", default="development-api-key")
@click.option("--api-secret", envvar="SHOPIFY_API_SECRET", default="development-api-secret")
@click.option(
    "--weather", envvar="SANDBOX_WEATHER", default="{}", help='How webhooks travel, e.g. {"retry_factor": 0.1}.'
)
@click.option("--apple", type=click.Path(path_type=Path), help="Where Apple's certificates are; none: no iPhone.")
@click.option("--push-port", type=int, default=0, help="Where pushes to iPhones come in.")
@click.option("--google", type=click.Path(path_type=Path), help="Where Google's account is; none: no Google Wallet.")
@click.option("--mail-port", type=int, help="Where mail comes in; none: no mailbox.")
@click.option("--stripe-key", envvar="STRIPE_SECRET_KEY", default="", help="The app's key at Stripe; none: no Stripe.")
@click.option("--stripe-secret", envvar="STRIPE_WEBHOOK_SECRETS", default="", help="What Stripe signs its news with.")
def main(
    port: int,
    state: Path,
    app_url: str,
    api_key: str,
    api_secret: str,
    weather: str,
    apple: Path | None,
    push_port: int,
    google: Path | None,
    mail_port: int | None,
    stripe_key: str,
    stripe_secret: str,
) -> None:
    sandbox = build(state, app_url, api_key, api_secret, msgspec.json.decode(weather, type=Weather))
    if apple:
        sandbox.apple = apple_world.start(apple, sandbox.world.store, push_port)
    if google:
        sandbox.google = google_world.start(google, sandbox.world.store)
    if mail_port is not None:
        sandbox.mail = mailbox.start(sandbox.world.store, mail_port)
    if stripe_key:
        sandbox.stripe = stripe_world.start(sandbox.world.store, app_url, stripe_key, stripe_secret.split(",")[0])
    server = serve(create_app(sandbox), port)
    # Shutting down from another thread: `shutdown` waits for the loop that the signal has interrupted.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    for domain, url in urls(server, SHOPS).items():
        click.echo(f"{domain}: {url}")
    server.serve_forever()
    server.server_close()
    sandbox.close()


if __name__ == "__main__":
    main()
