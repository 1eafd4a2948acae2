"""`flask sandbox traffic`: pour generated store traffic into the app."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import click
import httpx
import msgspec

from sandbox import oracle
from sandbox.signing import Delivery
from sandbox.traffic import Mix, deliveries, stories
from sandbox.world import CATALOGUES, SHOPS

Command = Callable[..., None]
SHARES = ("duplicates", "withhold", "refunds", "edits", "cancels", "unpaid", "guests", "hot")
BATCH = 200
DEFAULTS = {
    "base_url": "http://127.0.0.1:5000",
    "storefront_url": "",
    "shopify_api_secret": "development-api-secret",
}


def running(name: str) -> str:
    """A value of the demo that runs over RAPPORT_STATE, or what the app takes without one."""
    path = Path(os.environ.get("RAPPORT_STATE", ".rapport")) / "sandbox.json"
    facts: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return facts.get(name) or DEFAULTS[name]


class Share(click.ParamType[float]):
    """`5%`, `5` or `0.05`: all a twentieth. Plain numbers above 1 are percent."""

    name = "percent"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value)
        try:
            number = float(text.rstrip("%"))
        except ValueError:
            self.fail(f"{text} is not a share; write 5% or 0.05.", param, ctx)
        share = number / 100 if text.endswith("%") or number > 1 else number
        if not 0 <= share <= 1:
            self.fail(f"{text} is not between 0% and 100%.", param, ctx)
        return share


@click.group()
def sandbox() -> None:
    """The stand-in store."""


def share_options(command: Command) -> Command:
    for name in reversed(SHARES):
        default = getattr(Mix, name)
        command = click.option(f"--{name}", type=Share(), default=default, show_default=f"{default:.0%}")(command)
    return command


@sandbox.command()
@click.option("--orders", default=500, show_default=True, help="How many orders to make.")
@share_options
@click.option("--shuffle", is_flag=True, help="Deliver in random order.")
@click.option("--members", default=50, show_default=True)
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same traffic.")
@click.option("--now", type=int, default=None, help="Epoch second everything happened before; the default is now.")
@click.option("--rate", type=float, default=0, help="Deliveries per second; 0 is as fast as possible.")
@click.option("--connections", default=8, show_default=True)
@click.option("--shop", "domain", default="rapport-demo.myshopify.com", show_default=True)
@click.option(
    "--url", envvar="APP_URL", default=lambda: running("base_url"), help="The app; default: the running demo."
)
@click.option(
    "--store",
    envvar="SANDBOX_URL",
    default=lambda: urljoin(running("storefront_url"), "/"),
    help="Also tell this store.",
)
@click.option("--secret", envvar="SHOPIFY_API_SECRET", default=lambda: running("shopify_api_secret"))
@click.option("--manifest", type=click.Path(path_type=Path), help="Write final orders and expected points here.")
def traffic(
    orders: int,
    shuffle: bool,
    members: int,
    seed: int,
    now: int | None,
    rate: float,
    connections: int,
    domain: str,
    url: str,
    store: str,
    secret: str,
    manifest: Path | None,
    **shares: Any,
) -> None:
    """Send signed webhooks of made-up orders to the app and print what it answered."""
    if domain not in SHOPS:
        raise click.BadParameter(f"{domain} is not one of {', '.join(SHOPS)}.", param_hint="--shop")
    mix = Mix(
        orders=orders,
        seed=seed,
        shop=SHOPS[domain],
        secret=secret,
        now=now or int(time.time()),
        members=members,
        shuffle=shuffle,
        catalogue=tuple(CATALOGUES[domain]),
        **shares,
    )
    if store.startswith("http"):
        tell_store(store.rstrip("/"), mix)
    started = time.perf_counter()
    answers = send(deliveries(mix), f"{url.rstrip('/')}/webhooks/shopify", connections, rate)
    report(answers, time.perf_counter() - started)
    if manifest:
        write_manifest(manifest, mix)
    sys.exit(0 if set(answers) == {"200"} else 1)


def tell_store(url: str, mix: Mix) -> None:
    """The store must know the orders before the app asks for them."""
    made = stories(mix)
    while batch := list(islice(made, BATCH)):
        people = {story.customer.id: story.customer for story in batch if story.customer}
        body = {"customers": list(people.values()), "orders": [story.order for story in batch]}
        answer = httpx.post(f"{url}/sandbox/{mix.shop.domain}/traffic", content=msgspec.json.encode(body), timeout=30)
        answer.raise_for_status()


def send(stream: Iterable[Delivery], url: str, connections: int, rate: float) -> Counter[str]:
    """Post everything over a few kept-alive connections. Returns how often each answer came."""
    answers: Counter[str] = Counter()
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    with httpx.Client(timeout=5, limits=limits) as client, ThreadPoolExecutor(connections) as pool:
        paced = pace(stream, rate) if rate else iter(stream)
        while batch := list(islice(paced, connections * 16 if not rate else connections)):
            answers.update(pool.map(lambda delivery: post(client, url, delivery), batch))
    return answers


def post(client: httpx.Client, url: str, delivery: Delivery) -> str:
    try:
        return str(client.post(url, content=delivery.body, headers=delivery.headers).status_code)
    except httpx.HTTPError as error:
        return type(error).__name__


def pace(stream: Iterable[Delivery], rate: float) -> Iterator[Delivery]:
    started = time.perf_counter()
    for number, delivery in enumerate(stream):
        time.sleep(max(0.0, started + number / rate - time.perf_counter()))
        yield delivery


def report(answers: Counter[str], seconds: float) -> None:
    sent = answers.total()
    click.echo(f"{sent} deliveries in {seconds:.1f} s, {sent / max(seconds, 1e-9):.0f} per second")
    for answer, count in answers.most_common():
        click.echo(f"  {answer}: {count}")


def write_manifest(path: Path, mix: Mix) -> None:
    """`orders`: final payloads; `expected`: what the demo program owes for them, worked out independently."""
    final = [story.final for story in stories(mix)]
    expected = oracle.manifest(oracle.books(final))
    body = {"shop": mix.shop.domain, "seed": mix.seed, "now": mix.now, "expected": expected, "orders": final}
    path.write_text(json.dumps(body, ensure_ascii=False))
    click.echo(f"expected: {expected['available']} points available, {expected['pending']} pending ({path})")
